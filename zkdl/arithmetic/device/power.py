"""Powers with a public exponent, by windows of four bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compile import device
from .elements import lanes, load, mul, one, square, store


def exponent_digits(exponent: int) -> np.ndarray:
    """The exponent's base-16 digits, highest first, as the array that `power` reads."""
    return np.frombuffer(bytes(int(d, 16) for d in f"{exponent:x}"), dtype=np.uint8).copy()


@device
def power(tag: Any, base: Any, digits: Any) -> Any:
    """base^e for the exponent with these base-16 digits."""
    width = lanes(tag)
    table = np.empty(16 * 6 * width, np.uint64)
    value = one(tag)
    for k in range(16):
        store(table, k * width, value)
        value = mul(value, base)
    result = load(tag, table, digits[0] * width)
    for k in range(1, digits.shape[0]):
        for _ in range(4):
            result = square(result)
        if digits[k] != 0:
            result = mul(result, load(tag, table, digits[k] * width))
    return result
