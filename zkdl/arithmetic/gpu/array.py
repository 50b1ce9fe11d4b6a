"""Arrays that live on the device, with as much of NumPy's manner as the prover uses.

A `DeviceArray` is contiguous. Slices along the first axis are views; other boxes are copied. The NumPy
functions that join and repeat arrays work on the device; whatever else NumPy is asked to do with one
fetches it to the host, and the engine counts that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .device import Device, Memory

Shape = tuple[int, ...]


class Owner(Protocol):
    """What an array asks of the engine it belongs to: see `zkdl.arithmetic.gpu.engine.Engine`."""

    @property
    def device(self) -> Device:
        """Where its memory is."""

    def empty(self, shape: Shape, dtype: DTypeLike = ...) -> DeviceArray:
        """An array that is not cleared."""

    def put(self, value: Any, dtype: DTypeLike | None = ...) -> DeviceArray:
        """A host array copied to the device; a device array as it is."""

    def spread(self, source: DeviceArray, shape: Shape) -> DeviceArray:
        """One element repeated to a shape."""

    def repeat(self, source: DeviceArray, times: int) -> Any:
        """Every element so many times in a row, or NotImplemented."""

    def note(self, array: DeviceArray) -> None:
        """Count an array that is fetched to the host for want of a kernel."""


class DeviceArray:
    """A contiguous array in device memory; make one with `Engine.put` or `Engine.empty`.

    Attributes:
        engine: whose device it lives on.
        shape: as NumPy's.
        dtype: as NumPy's; field elements are uint64 limbs in the last axis.
    """

    __slots__ = ("_memory", "_offset", "dtype", "engine", "shape")

    def __init__(
        self, engine: Owner, memory: Memory, offset: int, shape: Shape, dtype: DTypeLike = np.uint64
    ) -> None:
        self.engine = engine
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._memory = memory
        self._offset = offset

    @property
    def address(self) -> int:
        """Where its first entry lies."""
        return self._memory.address + self._offset

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self.size * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[DeviceArray]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"

    def reshape(self, *shape: Any) -> DeviceArray:
        """The same entries under another shape; one length may be -1."""
        wanted = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        known = math.prod(n for n in wanted if n != -1)
        if -1 in wanted:
            wanted = tuple(self.size // known if n == -1 and known else n for n in wanted)
        if math.prod(wanted) != self.size or any(n < 0 for n in wanted):
            raise ValueError(f"cannot reshape a device array of shape {self.shape} into {shape}")
        return self._view(0, wanted)

    def copy(self) -> DeviceArray:
        """The same entries in memory of their own."""
        out = self.engine.empty(self.shape, self.dtype)
        self.engine.device.copy(out.address, self.nbytes, self.address, self.nbytes, self.nbytes, 1)
        return out

    def to_host(self) -> NDArray[Any]:
        """The entries as a NumPy array."""
        out = np.empty(self.shape, self.dtype)
        self.engine.device.download(out, self.address)
        return out

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a device array cannot become a NumPy array without a copy")
        self.engine.note(self)
        host = self.to_host()
        return host if dtype is None else host.astype(dtype, copy=False)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        special = _FUNCTIONS.get(func)
        if special is not None:
            result = special(self.engine, *args, **kwargs)
            if result is not NotImplemented:
                return result
        host_args, host_kwargs = hosted(args), hosted(kwargs)
        return func(*host_args, **host_kwargs)

    # Boxes -----------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        box = _box(key, self.shape)
        if box is None:
            return np.asarray(self)[key]
        (i, rows, j, width), shape = box
        pitch = math.prod(self.shape[1:])
        if rows <= 1 or width == pitch:
            return self._view((i * pitch + j) * self.dtype.itemsize, shape)
        out = self.engine.empty(shape, self.dtype)
        item = self.dtype.itemsize
        start = self.address + (i * pitch + j) * item
        self.engine.device.copy(out.address, width * item, start, pitch * item, width * item, rows)
        return out

    def __setitem__(self, key: Any, value: Any) -> None:
        box = _box(key, self.shape)
        if box is None:
            host = np.asarray(self)
            host[key] = np.asarray(value)
            self.engine.device.upload(self.address, host)
            return
        (i, rows, j, width), shape = box
        if not rows or not width:
            return
        pitch, item = math.prod(self.shape[1:]), self.dtype.itemsize
        start = self.address + (i * pitch + j) * item
        source = self.engine.put(value, self.dtype)
        if source.shape != shape and source.size == math.prod(shape):
            # Leading axes of length one are all that may differ.
            if tuple(n for n in source.shape if n != 1) != tuple(n for n in shape if n != 1):
                raise ValueError(f"cannot put shape {source.shape} into a box of shape {shape}")
        elif source.shape != shape:
            source = self.engine.spread(source, shape)
        self.engine.device.copy(start, pitch * item, source.address, width * item, width * item, rows)

    def _view(self, offset: int, shape: Shape) -> DeviceArray:
        return DeviceArray(self.engine, self._memory, self._offset + offset, shape, self.dtype)


def hosted(value: Any) -> Any:
    """The same arguments with device arrays fetched to the host, inside lists, tuples and dicts too."""
    if isinstance(value, DeviceArray):
        return np.asarray(value)
    if isinstance(value, list | tuple):
        return type(value)(hosted(item) for item in value)
    if isinstance(value, dict):
        return {name: hosted(item) for name, item in value.items()}
    return value


def _box(key: Any, shape: Shape) -> tuple[tuple[int, int, int, int], Shape] | None:
    """A key of integers and plain slices: (first row, rows, first entry in the row, entries), result shape.

    None if the key is anything else, or cuts more axes than the first two that are not whole.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if len(keys) > len(shape):
        raise IndexError(f"too many indices for a device array of shape {shape}: {len(keys)}")
    starts, counts, out = [], [], []
    for part, n in zip(keys, shape, strict=False):
        if isinstance(part, slice):
            start, stop, step = part.indices(n)
            if step != 1:
                return None
            starts.append(start)
            counts.append(max(0, stop - start))
            out.append(counts[-1])
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            if not -n <= part < n:
                raise IndexError(f"index {part} is out of bounds for an axis of length {n}")
            starts.append(int(part) % n)
            counts.append(1)
        else:
            return None
    rest = shape[len(keys) :]
    out += rest
    if len(starts) == 1:
        whole = math.prod(rest)
        return (starts[0], counts[0], 0, whole), tuple(out)
    # Further axes must be whole, so that what is taken of a row is one piece.
    if any(s or c != n for s, c, n in zip(starts[2:], counts[2:], shape[2:], strict=False)):
        return None
    inner = math.prod(shape[2:])
    return (starts[0], counts[0], starts[1] * inner, counts[1] * inner), tuple(out)


# NumPy's functions on device arrays ------------------------------------------------------------------------


def _concatenate(engine: Owner, arrays: Any, axis: int = 0, **rest: Any) -> Any:
    parts = list(arrays)
    if axis != 0 or rest:
        return NotImplemented
    tails = {tuple(part.shape[1:]) for part in parts}
    if len(tails) != 1:
        raise ValueError(f"cannot concatenate shapes {[tuple(part.shape) for part in parts]}")
    out = engine.empty((sum(len(part) for part in parts), *tails.pop()), parts[0].dtype)
    at = 0
    for part in parts:
        out[at : at + len(part)] = part
        at += len(part)
    return out


def _tile(engine: Owner, array: Any, reps: Any) -> Any:
    counts = (reps,) if isinstance(reps, int) else tuple(reps)
    if len(counts) != array.ndim or any(n != 1 for n in counts[1:]):
        return NotImplemented
    n, times = len(array), counts[0]
    out = engine.empty((n * times, *array.shape[1:]), array.dtype)
    if out.size:
        out[:n] = array
        have = n
        while have < n * times:
            step = min(have, n * times - have)
            out[have : have + step] = out[:step]
            have += step
    return out


def _repeat(engine: Owner, array: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis != 0 or not isinstance(repeats, int | np.integer) or array.ndim != 2:
        return NotImplemented
    return engine.repeat(array, int(repeats))


def _copy(engine: Owner, array: Any, **_: Any) -> Any:
    return array.copy()


_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.concatenate: _concatenate,
    np.tile: _tile,
    np.repeat: _repeat,
    np.copy: _copy,
    np.shape: lambda engine, array: array.shape,
    np.ndim: lambda engine, array: array.ndim,
    np.size: lambda engine, array: array.size,
}
