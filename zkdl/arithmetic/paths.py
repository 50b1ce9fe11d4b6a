"""Which instructions the kernels use: one element at a time, or four or eight in vector registers.

All paths take and give the same arrays and agree bit for bit. The best one that the processor has is taken;
the environment variable `ZKDL_CPU_PATH` or `set_cpu_path` chooses another.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from numba.core import codegen, config

from ..errors import BackendError
from .device.tags import BY_TAG, TAGS

# What LLVM calls the instructions that a path needs, best path first.
_NEEDS: dict[str, tuple[str, ...]] = {
    "ifma": ("avx512f", "avx512dq", "avx512vl", "avx512ifma"),
    "avx2": ("avx2", "fma"),
    "scalar": (),
}


@functools.cache
def _features() -> frozenset[str]:
    """The processor features that numba compiles for: none where it was told to compile for any processor."""
    text = getattr(config, "CPU_FEATURES", None)
    if text is None:
        text = codegen.get_host_cpu_features()
    return frozenset(name[1:] for name in text.split(",") if name.startswith("+"))


def cpu_paths() -> tuple[str, ...]:
    """The paths that this processor can run, best first; the last is always ``"scalar"``.

    Example:
        >>> cpu_paths()[-1]
        'scalar'
    """
    return tuple(path for path, needs in _NEEDS.items() if _features().issuperset(needs))


def _checked(path: str, name: str) -> str:
    if path in cpu_paths():
        return path
    if path in _NEEDS:
        lacking = sorted(set(_NEEDS[path]) - _features())
        raise BackendError(
            f"{name}: this processor has no {', '.join(lacking)}, which the path '{path}' needs; "
            f"it can run {', '.join(cpu_paths())}"
        )
    raise BackendError(f"{name}: expected one of {', '.join(_NEEDS)}, got '{path}'")


class _Choice:
    """The path in use; None until it is asked for."""

    def __init__(self) -> None:
        self.path: str | None = None


_CHOICE = _Choice()


def get_cpu_path() -> str:
    """The path in use.

    Raises:
        BackendError: `ZKDL_CPU_PATH` names a path that this processor cannot run.
    """
    if _CHOICE.path is None:
        wanted = os.environ.get("ZKDL_CPU_PATH", "")
        _CHOICE.path = _checked(wanted, "ZKDL_CPU_PATH") if wanted else cpu_paths()[0]
    return _CHOICE.path


def set_cpu_path(path: str | None = None) -> None:
    """Use one path in the kernels that follow.

    Args:
        path: one of `cpu_paths`; None for the default (`ZKDL_CPU_PATH`, or the best one).

    Raises:
        BackendError: this processor cannot run it.

    Example:
        >>> set_cpu_path("scalar"); get_cpu_path()
        'scalar'
        >>> set_cpu_path()
    """
    _CHOICE.path = None if path is None else _checked(path, "path")


def vector_tag(field: str) -> Any:
    """The tag for kernels over many elements of the field "Fr" or "Fq" on the path in use."""
    return TAGS[field, get_cpu_path()]


def scalar_tag(field: str) -> Any:
    """The tag for one element at a time: for the tail that does not fill the lanes, and for short arrays."""
    return TAGS[field, "scalar"]


_LANES = {element.arithmetic.path: element.lanes for element in BY_TAG.values()}


def lane_count() -> int:
    """How many elements the path in use does at a time."""
    return _LANES[get_cpu_path()]
