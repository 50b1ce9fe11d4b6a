"""Device arrays do what NumPy arrays do."""

import numpy as np
import pytest

from zkdl.arithmetic.gpu import DeviceArray


def numbers(*shape):
    return np.random.default_rng(shape).integers(0, 1 << 63, shape, dtype=np.uint64)


@pytest.mark.parametrize(
    ("shape", "key"),
    [
        ((9, 4), slice(2, 7)),
        ((9, 4), slice(None, -3)),
        ((9, 4), slice(5, 5)),
        ((9, 4), 3),
        ((9, 4), -1),
        ((5, 6, 4), 2),
        ((5, 6, 4), (slice(1, 4), slice(2, 5))),
        ((5, 6, 4), (slice(1, 4), 3)),
        ((5, 6, 4), (4, slice(1, 6))),
        ((5, 6, 4), (slice(0, 0), slice(1, 2))),
        ((5, 6, 4), (slice(None), slice(None, 2), slice(None))),
        ((9, 4), (slice(1, 3), slice(1, 2))),
    ],
)
def test_reading_and_writing_boxes(engine, shape, key):
    host = numbers(*shape)
    device = engine.put(host)
    assert isinstance(device[key], DeviceArray)
    assert device[key].shape == host[key].shape
    assert (device[key].to_host() == host[key]).all()
    new = numbers(*host[key].shape, 1)[..., 0]
    host[key] = new
    device[key] = new
    assert (device.to_host() == host).all()
    device[key] = engine.put(new[::-1].copy())
    host[key] = new[::-1]
    assert (device.to_host() == host).all()
    assert not engine.fallbacks


def test_slices_are_views_and_copies_are_not(engine):
    device = engine.put(numbers(9, 4))
    view, copy = device[2:5], device[2:5].copy()
    device[2:5] = np.zeros((3, 4), np.uint64)
    assert not view.to_host().any()
    assert copy.to_host().any()
    # A view keeps the memory of the array that it was cut from.
    del device
    assert not view.to_host().any()


@pytest.mark.parametrize("value", [np.uint64(7), numbers(4), numbers(1, 4)])
def test_broadcasting_into_a_slice(engine, value):
    host = numbers(9, 4)
    device = engine.put(host)
    host[1:8] = value
    device[1:8] = value
    assert (device.to_host() == host).all()


@pytest.mark.parametrize("key", [slice(None, None, 2), np.array([3, 1, 1]), np.arange(9) % 2 == 0, (..., 1)])
def test_other_keys_go_through_the_host(engine, key):
    host = numbers(9, 4)
    device = engine.put(host)
    assert (device[key] == host[key]).all()
    new = numbers(*host[key].shape)
    host[key] = new
    device[key] = new
    assert (device.to_host() == host).all()


def test_joining_and_repeating(engine):
    a, b = numbers(3, 4), numbers(6, 4)
    x, y = engine.put(a), engine.put(b)
    for got, want in [
        (np.concatenate([x, y, a]), np.concatenate([a, b, a])),
        (np.concatenate([b, x]), np.concatenate([b, a])),
        (np.tile(x, (7, 1)), np.tile(a, (7, 1))),
        (np.copy(x), a),
        (x.reshape(2, -1, 2), a.reshape(2, -1, 2)),
        (x.reshape((6, 2)), a.reshape(6, 2)),
    ]:
        assert isinstance(got, DeviceArray)
        assert (got.to_host() == want).all()
    assert not engine.fallbacks
    assert (np.shape(x), np.ndim(x), np.size(x), len(x), x.nbytes) == ((3, 4), 2, 12, 3, 96)
    assert [row.to_host().tolist() for row in x] == a.tolist()


def test_whatever_else_numpy_does_is_counted(engine):
    host = numbers(9, 4)
    device = engine.put(host)
    assert (np.flip(device, axis=0) == host[::-1]).all()
    assert (np.tile(device, 2) == np.tile(host, 2)).all()
    assert (np.concatenate([device, device], axis=1) == np.concatenate([host, host], axis=1)).all()
    assert engine.fallbacks["numpy"] == 4
    assert engine.moved_bytes == 4 * host.nbytes
    assert (np.flip(device[:2], axis=0) == host[1::-1]).all()
    assert engine.fallbacks["numpy"] == 4, "small arrays do not count"


def test_mistakes_are_refused(engine):
    device = engine.put(numbers(9, 4))
    with pytest.raises(ValueError, match="reshape"):
        device.reshape(5, 4)
    with pytest.raises(IndexError, match="out of bounds"):
        device[9]
    with pytest.raises(IndexError, match="too many"):
        device[0, 0, 0]
    with pytest.raises(ValueError, match="broadcast"):
        device[:3] = numbers(2, 4)
    with pytest.raises(ValueError, match="box of shape"):
        device[:3] = numbers(4, 3)
    with pytest.raises(ValueError, match="concatenate"):
        np.concatenate([device, numbers(3, 6)])
    with pytest.raises(ValueError, match="copy"):
        np.array(device, copy=False)
    with pytest.raises(TypeError, match="kernel argument"):
        engine.launch("elementwise.add_Fr", 1, device, device, device, 9)
