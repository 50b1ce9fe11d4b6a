"""Integer fields of public files: their checks and their canonical bytes."""

from __future__ import annotations

import numpy as np

from zkdl.errors import InputError

__all__ = ["between", "encode", "natural"]


def natural(name: str, value: object) -> int:
    """A non-negative integer, of Python or of NumPy.

    Raises:
        InputError: It is something else.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 0:
        raise InputError(f"{name} must be a non-negative integer, got {value!r}")
    return int(value)


def between(name: str, value: int, low: int, high: int) -> None:
    """Refuse a field outside [low, high]."""
    if not low <= value <= high:
        raise InputError(f"{name} must be between {low} and {high}, got {value}")


def encode(value: int) -> bytes:
    """Little-endian, without leading zeros.

    >>> encode(0), encode(258)
    (b'', b'\\x02\\x01')
    """
    return value.to_bytes((value.bit_length() + 7) // 8, "little")
