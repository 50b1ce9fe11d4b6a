"""Reals on a public dyadic grid, saturated, and sums modulo 2^64.

Every number that meets private data is an integer here, so that sensitivities are exact statements about
integers and neither float rounding nor the order of a sum can add to them. Sums and noise live modulo 2^64
and are read back as signed: an overflow, which only absurd public parameters could cause, then spoils
accuracy and never privacy, because the noisy sum modulo 2^64 is a function of the exact noisy sum.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_signed", "norm_squared_cap", "pair_l1", "round_up", "to_grid"]


def to_grid(
    values: NDArray[np.float64], bits: int, limit: int, nan: NDArray[np.float64] | float = 0.0
) -> NDArray[np.int64]:
    """Return round(2^bits v), half to even, saturated to [-limit, limit].

    Nothing here raises or depends on record content: infinities and out-of-range values saturate, NaN becomes
    `nan` first.

    Args:
        values: any shape, float64.
        bits: the grid step is 2^-bits.
        limit: public bound in grid units, at most 2^53 so that the bound itself is exact in float64.
        nan: the public point that stands in for NaN, broadcast against `values`, in the units of `values`.

    Returns:
        int64 array of the same shape.

    Example:
        >>> to_grid(np.array([0.5, 1e300, -np.inf, np.nan]), 4, 1000).tolist()
        [8, 1000, -1000, 0]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.where(np.isnan(values), nan, values) * float(2**bits)
        return np.clip(np.rint(scaled), -float(limit), float(limit)).astype(np.int64)


def decode_signed(sums: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Read residues modulo 2^64 as the signed integers of least magnitude.

    Example:
        >>> decode_signed(np.array([3, 2**64 - 3], dtype=np.uint64)).tolist()
        [3, -3]
    """
    return sums.view(np.int64)


def norm_squared_cap(bits: int) -> int:
    """Return 4^bits, the largest c^2 + s^2 of a pair of contributions on the grid 2^-bits."""
    return 4**bits


def pair_l1(bits: int) -> int:
    """Return the largest |c| + |s| of integers with c^2 + s^2 <= 4^bits, at most isqrt(2 * 4^bits).

    (|c| + |s|)^2 <= 2 (c^2 + s^2), and |c| + |s| is an integer.

    Example:
        >>> pair_l1(20)
        1482910
    """
    return math.isqrt(2 * norm_squared_cap(bits))


def round_up(value: Fraction, significant: int = 30) -> Fraction:
    """Return a dyadic rational at least `value`, and at most 2^(1-significant) times larger, relatively.

    Noise scales are rounded up, so what is released is never less noisy than what was promised, and their
    denominators stay small enough for fast exact sampling.

    Args:
        value: positive.
        significant: how many leading bits are kept.

    Example:
        >>> round_up(Fraction(1, 3), 4)
        Fraction(11, 32)
    """
    shift = significant - (value.numerator.bit_length() - value.denominator.bit_length())
    if shift >= 0:
        return Fraction(-((-value.numerator << shift) // value.denominator), 1 << shift)
    return Fraction(-(-value.numerator // (value.denominator << -shift)) << -shift)
