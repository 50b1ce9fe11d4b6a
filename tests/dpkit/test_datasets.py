"""The bundled data: what it is, and that a damaged file is noticed."""

import hashlib

import numpy as np
import pytest

import dpkit
from dpkit import datasets


def test_diamonds():
    table = datasets.load_diamonds()
    assert table.data.shape == (53_940, 7)
    assert table.columns == ("carat", "depth", "table", "price", "x", "y", "z")
    assert table.data[0].tolist() == [0.23, 61.5, 55.0, 326.0, 3.95, 3.98, 2.43]
    carat, price = table.select("carat", "price").T
    assert (carat.min(), carat.max(), price.min(), price.max()) == (0.2, 5.01, 326.0, 18_823.0)
    assert np.isclose(price.mean(), 3932.799722)
    cuts = np.bincount(table.labels["cut"])
    assert dict(zip(table.levels["cut"], cuts.tolist(), strict=True)) == {
        "Fair": 1610,
        "Good": 4906,
        "Very Good": 12_082,
        "Premium": 13_791,
        "Ideal": 21_551,
    }


def test_a_damaged_file_is_noticed(monkeypatch):
    monkeypatch.setattr(datasets, "_DIAMONDS_SHA256", hashlib.sha256(b"").hexdigest())
    with pytest.raises(dpkit.FormatError, match="damaged"):
        datasets.load_diamonds()
