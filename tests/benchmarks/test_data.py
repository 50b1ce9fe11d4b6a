"""Real data for the benchmarks: the numbers are pinned, and what is missing is said."""

import numpy as np
import pytest

from benchmarks import _data


@pytest.mark.parametrize("name", _data.NAMES)
def test_the_numbers_are_the_pinned_ones(name):
    try:
        data = _data.load(name)
    except _data.MissingPackageError as error:
        pytest.skip(str(error))
    assert data.X.shape == (len(data.y), len(data.columns))
    assert np.isfinite(data.X).all()
    assert len(np.unique(data.y)) > 1
    assert data.source


def test_other_numbers_are_refused(monkeypatch):
    make, _ = _data._SETS["digits"]
    monkeypatch.setitem(_data._SETS, "digits", (make, "0" * 64))
    with pytest.raises(_data.WrongDataError, match="figures are about 000"):
        _data.load("digits")
    with pytest.raises(KeyError, match="no data set 'nothing'"):
        _data.load("nothing")


def test_the_digest_depends_on_every_number():
    X, y = np.zeros((3, 2)), np.arange(3)
    other = X.copy()
    other[2, 1] = 1e-300
    assert (
        len({_data.digest(X, y), _data.digest(other, y), _data.digest(X, y[::-1]), _data.digest(X, None)})
        == 4
    )


def test_a_missing_package_is_said_with_what_to_install():
    with pytest.raises(_data.MissingPackageError, match=r"pip install 'dpkit-zkdl\[data\]'"):
        _data._package_file("no_such_package", "file", extra="data")
