"""What public arithmetic asks of its kernels: every distinct call, with memory before and after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np


@dataclass
class Call:
    """One call of a kernel.

    Attributes:
        module, kernel: where it lives.
        arguments: NumPy scalars, and (dtype, block, first byte, items) for arrays.
        before: memory that the arrays lie in; arrays that share memory share a block.
        after: the same when the kernel had returned.
        result: what it returned.
    """

    module: str
    kernel: str
    arguments: list[object]
    before: list[bytes] = field(default_factory=list)
    after: list[bytes] = field(default_factory=list)
    result: object = None


class Recorder:
    """Keeps the first call of every kernel that `wanted` accepts."""

    def __init__(self, wanted: Callable[[tuple[object, ...]], bool]) -> None:
        self.calls: dict[tuple[str, str, str], Call] = {}
        self._wanted = wanted

    def watch(self, monkeypatch, package: str) -> None:
        """Watch every kernel that a module of the package calls as `<name>kernels.<kernel>`."""
        for name, module in list(sys.modules.items()):
            if not name.startswith(package + ".") or not isinstance(module, ModuleType):
                continue
            for attribute, value in list(vars(module).items()):
                if attribute.endswith("kernels") and isinstance(value, ModuleType):
                    monkeypatch.setattr(module, attribute, _Watched(self, value))

    def run(self, module: str, kernel: str, function: Callable[..., object], arguments: tuple) -> object:
        """Call through, writing down what happens."""
        tags = ",".join(type(a).__name__ for a in arguments if isinstance(a, np.generic))
        key = (module, kernel, tags)
        if key in self.calls or not self._wanted(arguments):
            return function(*arguments)
        call, blocks = _describe(module, kernel, arguments)
        call.before = [block.tobytes() for block in blocks]
        call.result = function(*arguments)
        call.after = [block.tobytes() for block in blocks]
        self.calls[key] = call
        return call.result


class _Watched:
    """Stands in for a module of kernels."""

    def __init__(self, recorder: Recorder, module: ModuleType) -> None:
        self._recorder, self._module = recorder, module

    def __getattr__(self, name: str) -> object:
        value = getattr(self._module, name)
        if not hasattr(value, "py_func"):
            return value
        return lambda *arguments: self._recorder.run(self._module.__name__, name, value, arguments)


def _describe(module: str, kernel: str, arguments: tuple) -> tuple[Call, list[np.ndarray]]:
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    ranges = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays)
    joined: list[list[int]] = []
    for low, high in ranges:
        if joined and low < joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], high)
        else:
            joined.append([low, high])
    described: list[object] = []
    for argument in arguments:
        if not isinstance(argument, np.ndarray):
            described.append(argument if isinstance(argument, np.generic) else np.int64(argument))
            continue
        assert argument.ndim == 1
        assert argument.flags.c_contiguous
        start = argument.ctypes.data
        block = next(k for k, (low, high) in enumerate(joined) if low <= start <= high)
        described.append((argument.dtype.name, block, start - joined[block][0], argument.size))
    return Call(module, kernel, described), [_view(arrays, low, high) for low, high in joined]


def _view(arrays: list[np.ndarray], low: int, high: int) -> np.ndarray:
    """The bytes [low, high) of memory, which some arrays cover."""
    import ctypes

    kept = [a for a in arrays if low <= a.ctypes.data < max(high, low + 1)]
    view = np.ctypeslib.as_array((ctypes.c_uint8 * (high - low)).from_address(low))
    assert kept or high == low
    return view
