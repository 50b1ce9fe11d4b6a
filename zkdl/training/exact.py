"""Matrix products of integers that are exact whatever the magnitudes, through float64 BLAS where they fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["exact_matmul", "rescale"]

# Every partial sum of a product stays below its bound, so below 2^53 each one is an exact double.
_FLOAT_LIMIT = 2.0**53
_INT_LIMIT = 2.0**62
# Sums of absolute values are themselves rounded; this covers a million terms many times over.
_MARGIN = 1.0 + 2.0**-30
_MIN_LIMB_BITS = 8


def exact_matmul(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray:
    """Multiply two integer matrices without ever wrapping around.

    With the bound N = min(max row sum |a| * max |b|, max |a| * max column sum |b|) on every entry and
    every partial sum: below 2^53 one float64 product; below 2^62 the matrix with the larger entries is
    split into limbs whose products are below 2^53; beyond, Python integers.

    Args:
        a: (m, k) int64.
        b: (k, n) int64.

    Returns:
        (m, n) int64, or an object array of Python integers when an entry could reach 2^62.

    Example:
        >>> exact_matmul(np.array([[3, -1]]), np.array([[2**50], [1]])).tolist()
        [[3377699720527871]]
        >>> exact_matmul(np.array([[2**40]]), np.array([[2**40]]))[0, 0] == 2**80
        True
    """
    fa, fb = a.astype(np.float64), b.astype(np.float64)
    abs_a, abs_b = np.abs(fa), np.abs(fb)
    row, column = _top(abs_a.sum(axis=1)), _top(abs_b.sum(axis=0))
    top_a, top_b = _top(abs_a), _top(abs_b)
    bound = min(row * top_b, top_a * column) * _MARGIN
    if bound < _FLOAT_LIMIT:
        return (fa @ fb).astype(np.int64)
    if bound < _INT_LIMIT:
        if top_b >= top_a:
            product = _by_limbs(fa, b, row, top_b)
        else:
            transposed = _by_limbs(fb.T, a.T, column, top_a)
            product = None if transposed is None else np.ascontiguousarray(transposed.T)
        return a @ b if product is None else product
    return a.astype(object) @ b.astype(object)


def _top(values: NDArray[np.float64]) -> float:
    return float(values.max(initial=0.0))


def _by_limbs(
    small: NDArray[np.float64], large: NDArray[np.int64], row_sum: float, top: float
) -> NDArray[np.int64] | None:
    """small @ large with ``large`` cut into limbs; None where limbs would be too narrow to pay."""
    bits = 52 - int(row_sum * _MARGIN).bit_length()
    if bits < _MIN_LIMB_BITS:
        return None
    out = np.zeros((small.shape[0], large.shape[1]), dtype=np.int64)
    rest, shift = large, 0
    while True:
        last = (int(top) >> shift) < 1 << bits
        limb = rest if last else rest & ((1 << bits) - 1)
        # Shifts and sums may wrap in between; the total is below 2^62, so it comes out right modulo 2^64.
        out += (small @ limb.astype(np.float64)).astype(np.int64) << shift
        if last:
            return out
        rest, shift = rest >> bits, shift + bits


def rescale(values: NDArray, bits: int) -> tuple[NDArray, NDArray[np.int64]]:
    """Divide by 2^bits, rounding half up: v + 2^(bits-1) = 2^bits * q + r with 0 <= r < 2^bits.

    Args:
        values: int64 below 2^62 in magnitude, or Python integers of any size.
        bits: w >= 1.

    Returns:
        (q, r); q of the dtype of ``values``, r int64.

    Example:
        >>> [part.tolist() for part in rescale(np.array([-3, -2, 1, 2, 5]), 2)]
        [[-1, 0, 0, 1, 1], [3, 0, 3, 0, 3]]
    """
    shifted = values + (1 << (bits - 1))
    return shifted >> bits, (shifted & ((1 << bits) - 1)).astype(np.int64)
