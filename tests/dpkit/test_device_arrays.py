"""Arrays that lie on a device, in every public structure: answers as from NumPy, copied piece by piece."""

import numpy as np
import pytest

import dpkit
from dpkit import _arrays
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity import settings as kde_settings
from tests.dpkit.test_device import DeviceArray as PlainDeviceArray

X = np.random.default_rng(5).normal(scale=0.5, size=(60, 3))
PIECE = 20  # numbers: six rows of three


class DeviceArray(PlainDeviceArray):
    """One that notes how much was ever copied at once."""

    largest = 0

    def __getitem__(self, key):
        return DeviceArray(self._values[key])

    def get(self):
        DeviceArray.largest = max(DeviceArray.largest, self._values.size)
        return super().get()


class Foreign:
    """What other libraries' arrays on a device look like: no `get`, and no NumPy dtype."""

    shape, ndim, dtype = (2, 2), 2, "float64"

    def __init__(self):
        self.__cuda_array_interface__ = {"version": 3}

    def __len__(self):
        return 2


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(_arrays, "_PIECE_NUMBERS", PIECE)
    monkeypatch.setattr(DeviceArray, "largest", 0)


DISTANCES = [
    {"metric": "l1", "bounds": (-1.0, 1.0)},
    {"metric": "l1", "bounds": (-1.0, 1.0), "structure": "tree", "depth": 3},
    {"metric": "l1", "bounds": (-1.0, 1.0), "structure": "two-tree", "depth": 3},
    {"metric": "lp", "p": 0.5, "bounds": (-1.0, 1.0), "depth": 4},
    {"metric": "l2", "radius": 2.0, "features": 8, "depth": 4},
    {"metric": "sqeuclidean", "radius": 2.0, "center": np.zeros(3)},
]


@pytest.mark.parametrize("arguments", DISTANCES, ids=lambda a: f"{a['metric']}-{a.get('structure', 'hat')}")
def test_sums_of_distances(arguments):
    def release(records):
        made = dpkit.DistanceSum.builder(d=3, **arguments).update(records)
        return made.release(unsafe_noise=UnsafeSeededNoise(1))

    there, here = release(DeviceArray(X)), release(X)
    assert there.to_bytes() == here.to_bytes()
    Y = np.clip(X[:20], -1.0, 1.0)
    for normalized in (False, True):
        found = there.query(DeviceArray(Y), normalized=normalized, return_std=True)
        for ours, theirs in zip(found, here.query(Y, normalized=normalized, return_std=True), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(there.query(DeviceArray(Y)), here.query(Y), rtol=1e-12)
    assert there.query(DeviceArray(Y[:0])).shape == (0,)
    assert 0 < DeviceArray.largest <= PIECE
    assert dpkit.DistanceSum(DeviceArray(X), **arguments).d == 3


@pytest.mark.parametrize("arguments", [{}, {"reduce": 2}, {"kernel": "laplacian", "structure": "hash"}])
def test_sums_of_kernels_copy_a_piece_at_a_time(arguments, monkeypatch):
    monkeypatch.setattr(kde_settings, "_CHUNK_NUMBERS", PIECE)

    def release(records):
        made = dpkit.KDE.builder(d=3, features=16, **arguments).update(records)
        return made.release(unsafe_noise=UnsafeSeededNoise(1))

    many = np.tile(X, (4, 1))
    there, here = release(DeviceArray(many)), release(many)
    assert there.to_bytes() == here.to_bytes()
    np.testing.assert_allclose(there.query(DeviceArray(X)), here.query(X), rtol=1e-12)
    assert 0 < DeviceArray.largest <= 64 * 3  # a reduction takes at least 64 rows


def test_classifier():
    y = (X[:, 0] > 0.0).astype(int)
    arguments = {"epsilon": 5.0, "delta": 1e-5, "classes": [0, 1], "public_seed": 1}
    fitted = dpkit.SimilarityClassifier(**arguments).fit(DeviceArray(X), DeviceArray(y))
    assert (fitted.predict(DeviceArray(X)) == fitted.predict(X)).all()
    assert fitted.decision_function(DeviceArray(X)).shape == (60,)


def test_exact_sums():
    there, few = DeviceArray(X), DeviceArray(X[:4])
    ours = dpkit.exact.kernel_sum(there, few, "gaussian", 1.0)
    assert (ours == dpkit.exact.kernel_sum(X, X[:4], "gaussian", 1.0)).all()
    assert (dpkit.exact.distance_sum(there, few, "l2") == dpkit.exact.distance_sum(X, X[:4], "l2")).all()


def test_bounds_and_centres_may_lie_on_a_device():
    low, high = np.full(3, -1.0), np.full(3, 1.0)
    boxed = dpkit.DistanceSum(X, bounds=(DeviceArray(low), DeviceArray(high)))
    assert boxed.public["bounds"] == [[-1.0] * 3, [1.0] * 3]
    round_one = dpkit.DistanceSum(X, metric="sqeuclidean", radius=1.0, center=DeviceArray(low))
    assert round_one.public["center"] == [-1.0] * 3


@pytest.mark.parametrize(
    "make",
    [
        lambda a: dpkit.Counter(rho=0.5).steps(a(np.ones(5))),
        lambda a: dpkit.Histogram(3, rho=0.5).steps(a(np.array([0, 1, 2]))),
        lambda a: dpkit.TopK(3, k=1, rho=0.5).steps(a(np.array([0, 1, 2]))),
        lambda a: dpkit.MaxSum(3, horizon=8, rho=0.5).steps(a(np.ones((4, 3)))),
        lambda a: dpkit.SumSelect(3, horizon=8, rho=0.5).steps(a(np.ones((4, 3)))),
        lambda a: dpkit.VectorCounter(3, rho=0.5).steps(a(np.ones((4, 3)))),
        lambda a: dpkit.DistinctCount(rho=0.5).steps(a(np.array([1, 2, 2])), a(np.array([1, 1, 0]))),
    ],
)
def test_streams(make):
    assert make(DeviceArray).shape == make(np.asarray).shape


def test_arrays_of_other_libraries_are_refused_plainly():
    with pytest.raises(dpkit.ArgumentError, match=r"X lies on a device in a .*Foreign.*cupy.asarray\(X\)"):
        dpkit.DistanceSum(Foreign(), bounds=(0.0, 1.0))
    with pytest.raises(dpkit.ArgumentError, match="Y lies on a device"):
        dpkit.KDE(X, features=4).query(Foreign())
    with pytest.raises(dpkit.ArgumentError, match="lies on a device"):
        dpkit.Counter(rho=0.5).steps(Foreign())


@pytest.mark.gpu
def test_on_a_device():
    import cupy

    there = dpkit.DistanceSum(cupy.asarray(X), bounds=(-1.0, 1.0), epsilon=1.0)
    np.testing.assert_allclose(there.query(cupy.asarray(X)), there.query(X), rtol=1e-12)
