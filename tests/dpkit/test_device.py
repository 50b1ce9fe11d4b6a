"""Build and query through an array module: NumPy in CuPy's place, and, marked, a device."""

import sys
import types

import numpy as np
import pytest

import dpkit
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity import device
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.phases import tiles
from dpkit.similarity.sums import add_contributions, answer


class FakeCupy(types.ModuleType):
    """NumPy under CuPy's name, with a number of devices."""

    def __init__(self, devices):
        super().__init__("cupy")
        self.cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=lambda: devices))

    def __getattr__(self, name):
        return getattr(np, name)


class DeviceArray:
    """What the host sees of an array on a device: it is no NumPy array until `get` is called."""

    def __init__(self, values):
        self._values = np.asarray(values)
        self.shape, self.dtype, self.ndim = self._values.shape, self._values.dtype, self._values.ndim
        self.__cuda_array_interface__ = {"version": 3}

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        return DeviceArray(self._values[key])

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def get(self):
        return self._values


@pytest.fixture
def cupy(monkeypatch):
    fake = FakeCupy(1)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def odd_records(rows, d):
    X = np.random.default_rng(rows).normal(scale=3.0, size=(rows, d))
    X[0, 0], X[1, -1], X[2] = np.nan, -np.inf, 1e308
    X[3, 0], X[4, 0] = 2.0**29 + 0.25, -3e9
    return X


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bounds", [None, ((-1.0,) * 3, (2.0,) * 3)])
def test_integers_are_those_of_the_compiled_loops(kernel, bounds, monkeypatch):
    monkeypatch.setattr(device, "_CHUNK_NUMBERS", 1 << 10)
    X, features = odd_records(200, 3), FourierMap(kernel, 0.7, 3, 130, 4, bounds)
    ours, theirs = np.zeros((2, 130), dtype=np.uint64), np.zeros((2, 130), dtype=np.uint64)
    device.add_on(np, ours, X, features)
    add_contributions(theirs, X, features, tiles(features.words))
    assert (ours == theirs).all()


def test_limb_products_stay_below_two_to_the_53():
    """The largest limbs in the widest record: the sum that a matrix product must hold exactly."""
    largest = device.MAX_COLUMNS * (2**16 - 1) ** 2
    assert largest < 2**53
    features = FourierMap("gaussian", 1.0, 1 << 21, 1)
    with pytest.raises(dpkit.ArgumentError, match="at most 1048576 columns"):
        device.add_on(np, np.zeros((2, 1), dtype=np.uint64), np.zeros((1, 1 << 21)), features)


@pytest.mark.parametrize("block", [1, 3, 64, 200])
def test_answers_differ_by_the_order_of_a_float_sum_only(block):
    rng = np.random.default_rng(1)
    features = FourierMap("gaussian", 1.0, 3, 70)
    sums, Y = rng.integers(-(2**30), 2**30, size=(2, 70)), odd_records(40, 3)
    ours = device.answer_on(np, sums, Y, features, block)
    theirs = answer(sums, Y, features, tiles(features.words), block)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())


def release(backend, X, **arguments):
    builder = dpkit.KDE.builder(d=X.shape[1], features=96, backend=backend, **arguments)
    return builder.update(X).release(unsafe_noise=UnsafeSeededNoise(3))


@pytest.mark.parametrize("arguments", [{}, {"reduce": 2}, {"kernel": "laplacian", "structure": "fourier"}])
def test_releases_are_bit_identical(cupy, arguments):
    X = odd_records(500, 3)
    ours, theirs = release("gpu", X, **arguments), release("cpu", X, **arguments)
    assert ours.to_bytes() == theirs.to_bytes()
    Y = np.array([[0.0, 0.1, 0.2], [np.nan, 0.0, 0.0]])
    for a, b in zip(ours.query(Y, return_std=True), theirs.query(Y, return_std=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    loaded = dpkit.KDE.from_bytes(ours.to_bytes())
    assert (loaded.query(Y[:1]) == theirs.query(Y[:1])).all()


def test_the_builder_really_uses_the_module(cupy, monkeypatch):
    used = []
    monkeypatch.setattr(
        "dpkit.similarity.settings.add_on", lambda xp, sums, points, features: used.append(xp)
    )
    dpkit.KDE(np.zeros((5, 2)), features=4, backend="gpu")
    assert used == [cupy]


def test_arrays_of_a_device_are_taken_by_both_backends():
    X = odd_records(50, 3)
    there = release("cpu", DeviceArray(X))
    assert there.to_bytes() == release("cpu", X).to_bytes()
    assert (there.query(DeviceArray(X[5:])) == there.query(X[5:])).all()
    hashed = {"kernel": "laplacian", "structure": "hash"}
    assert release("cpu", DeviceArray(X), **hashed).to_bytes() == release("cpu", X, **hashed).to_bytes()
    with pytest.raises(dpkit.ArgumentError, match="two axes"):
        dpkit.KDE(DeviceArray(np.zeros(3)))


def test_errors_are_plain(monkeypatch):
    X = np.zeros((3, 2))
    with pytest.raises(dpkit.ArgumentError, match="backend must be one of cpu, gpu"):
        dpkit.KDE(X, backend="tpu")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(dpkit.DpkitError, match="needs CuPy"):
        dpkit.KDE(X, backend="gpu")
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(0))
    with pytest.raises(dpkit.DpkitError, match="no CUDA device"):
        dpkit.KDE(X, backend="gpu")
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(1))
    with pytest.raises(dpkit.ArgumentError, match="not 'hash'"):
        dpkit.KDE(X, "laplacian", structure="hash", backend="gpu")


@pytest.mark.gpu
def test_on_a_device():
    import cupy

    X = odd_records(20_000, 32)
    for records in (X, cupy.asarray(X)):
        ours, theirs = release("gpu", records, kernel="cauchy"), release("cpu", X, kernel="cauchy")
        assert ours.to_bytes() == theirs.to_bytes()
        np.testing.assert_allclose(ours.query(records[:50]), theirs.query(X[:50]), rtol=1e-9)
