"""Where arithmetic runs: on the processor, or on a CUDA device.

The public functions of this package are written for the processor and marked `@switched`. While the GPU
backend is chosen, each of them first offers its call to the engine (`zkdl.arithmetic.gpu`), which runs it
on the device, leaves small ones to the processor, and moves arrays where they are needed. Results agree bit
for bit.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import FunctionType
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from ..errors import BackendError, InputError

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CHOICES = ("auto", "cpu", "gpu")


class Engine(Protocol):
    """What a backend brings: see `zkdl.arithmetic.gpu.engine.Engine`."""

    def call(self, name: str, cpu: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run one public function, on the device or by calling `cpu`."""


class _State:
    """The engine in use; None for the processor."""

    engine: Engine | None = None


def switched(name: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Mark a public function as one that a device may take over.

    Args:
        name: what engines know it by, such as ``"multilinear.eq_table"``.

    Returns:
        A decorator. Calls cost a tenth of a microsecond more while the processor does the work.
    """

    def mark(function: Callable[_P, _T]) -> Callable[_P, _T]:
        state = _State

        def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            engine = state.engine
            if engine is None:
                return function(*args, **kwargs)
            result: _T = engine.call(name, function, args, kwargs)
            return result

        # doctest only looks at functions whose globals are those of the module it searches; `call` itself
        # uses none, only its closure.
        home = cast(FunctionType, function).__globals__
        moved = FunctionType(call.__code__, home, function.__name__, None, call.__closure__)
        return cast("Callable[_P, _T]", functools.update_wrapper(moved, function))

    return mark


def on_processor(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The processor's version of a switched function."""
    return cast("Callable[_P, _T]", cast(Any, function).__wrapped__)


def set_backend(name: str = "auto") -> None:
    """Choose where the arithmetic that follows runs.

    Args:
        name: ``"cpu"``; ``"gpu"``: one CUDA device, through CuPy; ``"auto"``: the device if CuPy and one that
            passes its self-test are there, else the processor.

    Raises:
        BackendError: ``"gpu"``, and there is no CuPy, no device, or one that fails; the backend stays as it
            was.
        InputError: another name.

    Example:
        >>> set_backend("cpu"); get_backend()
        'cpu'
    """
    if name not in _CHOICES:
        raise InputError(f"backend: expected one of {', '.join(_CHOICES)}, got {name!r}")
    if name == "cpu":
        use_engine(None)
        return
    gpu = importlib.import_module(f"{__package__}.gpu")
    try:
        use_engine(gpu.open_engine())
    except BackendError:
        if name == "gpu":
            raise
        use_engine(None)


def get_backend() -> str:
    """Where arithmetic runs now, ``"cpu"`` or ``"gpu"``; the processor until `set_backend` is called."""
    return "cpu" if _State.engine is None else "gpu"


def use_engine(engine: Engine | None) -> Engine | None:
    """Install an engine that the caller made; None: the processor.

    Returns:
        The engine that was in use before.
    """
    before, _State.engine = _State.engine, engine
    return before
