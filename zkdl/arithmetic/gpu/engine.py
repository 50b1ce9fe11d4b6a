"""The engine: a device, its arrays, and the table of operations that run on it.

A public function of `zkdl.arithmetic` lands in `Engine.call`. Its operation, if there is one, gives the
result on the device, or NotImplemented where the processor should do it: below `line` elements a launch and
a wait cost more than the work. Then, and where no kernel exists, the arguments are fetched and the
processor's function runs; `fallbacks` counts how often that moved device arrays or left work above the line
to the processor.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..backend import use_engine
from ..field import Fr
from .array import DeviceArray, Shape, hosted
from .device import BLOCK, Device

LINE = 1024
"""Elements below which the processor does the work: a few launches and a wait take about as long."""

_BLOCKS = 16  # a multiprocessor: enough to hide latency, and partial sums stay few

Operation = Callable[..., Any]


class Engine:
    """One device at work.

    Args:
        device: where kernels run.
        operations: the device's version of public functions, by name; each takes the engine first.
        line: least number of elements worth a launch.

    Attributes:
        fallbacks: how often each operation went to the processor although it was large, and ``"numpy"``:
            how often NumPy code fetched a device array.
        moved_bytes: what the fallbacks brought to the host.
        launches: how often each kernel was launched.
        kept: arrays that stay on the device for later calls, by digest, oldest first.
    """

    def __init__(self, device: Device, operations: Mapping[str, Operation], line: int = LINE) -> None:
        self.device = device
        self.line = line
        self.fallbacks: Counter[str] = Counter()
        self.moved_bytes = 0
        self.launches: Counter[str] = Counter()
        self.kept: OrderedDict[bytes, DeviceArray] = OrderedDict()
        self._operations = operations
        self._doing = ""

    def call(self, name: str, cpu: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run one public function on the device, or on the processor with arguments that are there."""
        operation = self._operations.get(name)
        if operation is not None:
            result = operation(self, *args, **kwargs)
            if result is not NotImplemented:
                return result
        before, self._doing = self._doing, name
        engine = use_engine(None)
        try:
            if any(entries(value) >= self.line for value in (*args, *kwargs.values())):
                self.fallbacks[name] += 1
            return cpu(*hosted(args), **hosted(kwargs))
        finally:
            use_engine(engine)
            self._doing = before

    def note(self, array: DeviceArray) -> None:
        """Count a device array that is fetched to the host for want of a kernel."""
        if entries(array) >= self.line:
            self.moved_bytes += array.nbytes
            if not self._doing:
                self.fallbacks["numpy"] += 1

    # Arrays ----------------------------------------------------------------------------------------------

    def empty(self, shape: Shape, dtype: DTypeLike = np.uint64) -> DeviceArray:
        """An array that is not cleared."""
        memory = self.device.allocate(math.prod(shape) * np.dtype(dtype).itemsize)
        return DeviceArray(self, memory, 0, tuple(shape), dtype)

    def zeros(self, shape: Shape, dtype: DTypeLike = np.uint64) -> DeviceArray:
        """An array of zeros."""
        out = self.empty(shape, dtype)
        self.device.clear(out.address, out.nbytes)
        return out

    def put(self, value: Any, dtype: DTypeLike | None = None) -> DeviceArray:
        """A host array copied to the device; a device array as it is."""
        if isinstance(value, DeviceArray):
            return value
        host = np.array(value, dtype=dtype, order="C", copy=None)
        out = self.empty(host.shape, host.dtype)
        self.device.upload(out.address, np.ascontiguousarray(host))
        return out

    def spread(self, source: DeviceArray, shape: Shape) -> DeviceArray:
        """One element repeated to a shape, or whatever else NumPy can broadcast."""
        if source.size == 4 and source.shape[-1:] == shape[-1:] == (4,):
            out = self.empty(shape)
            self.over("elementwise.fill_Fr", out.size // 4, source, out)
            return out
        return self.put(np.broadcast_to(np.asarray(source), shape), source.dtype)

    def repeat(self, source: DeviceArray, times: int) -> Any:
        """Every element of an (n, 4) array `times` times in a row."""
        if source.shape[1] != 4:
            return NotImplemented
        ones = self.ones(times)
        out = self.empty((len(source) * times, 4))
        self.over("multilinear.outer_Fr", len(out), ones, source, out, before=(np.uint64(times),))
        return out

    def ones(self, n: int) -> DeviceArray:
        """n ones of Fr."""
        return self.spread(self.element(1), (n, 4))

    def element(self, value: int) -> DeviceArray:
        """One element of Fr, `(1, 4)`: what kernels take by reference."""
        return self.put(Fr.from_ints([value]))

    # Launches --------------------------------------------------------------------------------------------

    def blocks(self, threads: int) -> int:
        """A grid for so many threads: enough blocks, but no more than keep the device busy."""
        return max(1, min(-(-threads // BLOCK), _BLOCKS * self.device.processors))

    def launch(self, kernel: str, blocks: int, *args: Any) -> None:
        """Queue a kernel; arrays are passed by address, Python integers are refused: kernels have widths."""
        self.launches[kernel] += 1
        self.device.launch(kernel, blocks, [_argument(arg) for arg in args])

    def over(self, kernel: str, n: int, *args: Any, before: tuple[Any, ...] = ()) -> None:
        """Queue a kernel over n elements whose last argument is n; nothing for n = 0."""
        if n:
            self.launch(kernel, self.blocks(n), *args, *before, np.uint64(n))


def _argument(value: Any) -> np.generic:
    if isinstance(value, DeviceArray):
        return np.uint64(value.address)
    if isinstance(value, np.generic):
        return value
    raise TypeError(f"kernel argument: expected an array or a NumPy scalar, got {type(value).__name__}")


def entries(value: Any) -> int:
    """Number of elements of an array, device or host: field elements count by rows; 0 for anything else."""
    if isinstance(value, DeviceArray | np.ndarray):
        wide = value.ndim > 1 and value.dtype == np.uint64
        return value.size // max(1, value.shape[-1]) if wide else value.size
    return 0
