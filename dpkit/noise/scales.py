"""Noise scales: rational numbers, checked once and turned into the fixed-point tables of the kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from numbers import Rational

import numpy as np

from dpkit.errors import ArgumentError

__all__ = ["MAX_SCALE", "rational_up", "sqrt_up"]

MAX_SCALE = 1 << 44
"""The largest Laplace scale, and the largest Gaussian standard deviation."""


def rational_up(value: float, ulps: int = 8) -> Fraction:
    """Return a rational not below a float that was computed with an error of at most `ulps` last places.

    Args:
        value: finite, above 0.
        ulps: units in the last place by which the true value may exceed `value`.

    >>> rational_up(0.5, ulps=0)
    Fraction(1, 2)
    """
    value = float(value)
    if not 0 < value < math.inf:
        raise ArgumentError(f"value must be finite and above 0, got {value!r}")
    return Fraction(value) + ulps * Fraction(math.ulp(value))


def sqrt_up(square: Fraction | int, bits: int = 40) -> Fraction:
    """Return a dyadic rational r with sqrt(square) <= r <= sqrt(square) (1 + 2^-bits).

    >>> sqrt_up(2) ** 2 >= 2, sqrt_up(Fraction(9, 4))
    (True, Fraction(3, 2))
    """
    square = Fraction(square)
    if square <= 0:
        raise ArgumentError(f"square must be above 0, got {square}")
    shift = max(0, bits + 1 - (square.numerator.bit_length() - square.denominator.bit_length() - 1) // 2)
    root = math.isqrt(math.ceil(square * 4**shift) - 1) + 1
    return Fraction(root, 1 << shift)


def as_rational(name: str, value: object, top: int) -> Fraction:
    """Return a positive rational argument, or raise ArgumentError.

    Args:
        name: of the argument, for the message. value: Fraction, integer, or a pair (numerator,
        denominator). Floats are refused: the caller must decide
            which way the last bit goes (`rational_up`).
        top: the largest value allowed.
    """
    if isinstance(value, tuple):
        if len(value) != 2 or not all(_is_integer(part) for part in value):
            raise ArgumentError(f"{name} must be a pair of integers (numerator, denominator), got {value!r}")
        if int(value[1]) <= 0:
            raise ArgumentError(f"{name} must have a denominator above 0, got {value!r}")
        exact = Fraction(int(value[0]), int(value[1]))
    elif _is_integer(value):
        exact = Fraction(int(value))  # type: ignore[call-overload]
    elif isinstance(value, Rational) and not isinstance(value, bool):
        exact = Fraction(value)
    else:
        hint = "; convert it with rational_up, which rounds to the private side" if _is_float(value) else ""
        raise ArgumentError(
            f"{name} must be a Fraction, an integer or a pair of integers, got {value!r}{hint}"
        )
    if not 0 < exact <= top:
        raise ArgumentError(f"{name} must lie in (0, {top}], got {exact}; change the grid so that it fits")
    return exact


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_float(value: object) -> bool:
    return isinstance(value, (float, np.floating))


def as_rationals(
    name: str, values: object, denominator: object, top: int
) -> tuple[list[Fraction], np.ndarray]:
    """Return the distinct scales and, per coordinate, the index of its scale.

    Args:
        name: of the argument, for the message.
        values: (k,) integer array, or a sequence of Fractions, integers and pairs.
        denominator: positive integer, or a (k,) integer array, that divides each value.
        top: the largest scale allowed.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        if values.ndim != 1:
            raise ArgumentError(f"{name} must be one-dimensional, got shape {values.shape}")
        dens = np.asarray(denominator)
        if dens.dtype.kind not in "iu" or dens.shape not in ((), values.shape):
            raise ArgumentError(
                f"denominator must be an integer or an integer array like {name}, got {denominator!r}"
            )
        if dens.ndim == 0:
            unique, index = np.unique(values, return_inverse=True)
            pairs = [(int(u), int(dens)) for u in unique]
        else:
            rows, index = np.unique(np.stack([values, dens], axis=1), axis=0, return_inverse=True)
            pairs = [(int(a), int(b)) for a, b in rows]
        return [as_rational(name, pair, top) for pair in pairs], index.reshape(-1).astype(np.int64)
    if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)):
        raise ArgumentError(f"{name} must be an integer array or a sequence of Fractions, got {values!r}")
    if not _is_integer(denominator) or int(denominator) <= 0:  # type: ignore[call-overload]
        raise ArgumentError(f"denominator must be an integer above 0 beside a sequence, got {denominator!r}")
    divisor = int(denominator)  # type: ignore[call-overload]
    seen: dict[object, int] = {}  # by spelling, so that a repeated scale costs one look-up
    distinct: list[Fraction] = []
    places = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate(values):
        key = _spelling(value)
        known = None if key is None else seen.get(key)
        if known is None:
            distinct.append(as_rational(f"{name}[{i}]", value, top * divisor) / divisor)
            known = len(distinct) - 1
            if key is not None:
                seen[key] = known
        places[i] = known
    return distinct, places


def _spelling(value: object) -> object:
    """Return a hashable key of the common spellings of a rational; None sends the value to the full check."""
    kind = type(value)
    if kind is int:
        return value
    if isinstance(value, Fraction):
        return value.numerator, value.denominator
    return value if isinstance(value, tuple) and all(type(part) is int for part in value) else None


@dataclass(frozen=True)
class LaplaceTable:
    """Fixed-point form of k scales b: mantissa = floor(b 2^(shift + 7)), uint64, and shift, int64."""

    scales: list[Fraction]
    mantissa: np.ndarray
    shift: np.ndarray


def laplace_table(scales: Sequence[Fraction]) -> LaplaceTable:
    """Return the table; shift = min(56 - floor(log2 b), 63), so the mantissa has 64 bits unless b < 2^-7."""
    shifts = [min(56 - _floor_log2(b), 63) for b in scales]
    mantissas = [(b.numerator << (s + 7)) // b.denominator for b, s in zip(scales, shifts, strict=True)]
    return LaplaceTable(list(scales), np.array(mantissas, dtype=np.uint64), np.array(shifts, dtype=np.int64))


@dataclass(frozen=True)
class GaussianTable:
    """Fixed-point form of k variances v = sigma^2, with the proposal scale t = floor(sigma) + 1 of each.

    slope = floor(2^(slope_shift + 56) / sqrt(2 v)) < 2^64, uint64, with slope_shift in 1..63; where sigma
    is tiny the slope is capped at 64. offset = floor(2^56 sigma / (sqrt(2) t)), int64.
    """

    variances: list[Fraction]
    proposals: list[int]
    proposal: LaplaceTable
    slope: np.ndarray
    slope_shift: np.ndarray
    offset: np.ndarray


def gaussian_table(variances: Sequence[Fraction]) -> GaussianTable:
    """Return the table of the variances."""
    proposals, slopes, shifts, offsets = [], [], [], []
    for v in variances:
        t = math.isqrt(v.numerator // v.denominator) + 1
        inverse = 1 / (2 * v)  # the square of the slope
        shift = max(1, 7 - _floor_log2(inverse) // 2)  # slope < 2^(k + 1), k = floor(log2 slope)
        root = math.isqrt((inverse.numerator << (2 * (shift + 56))) // inverse.denominator)
        proposals.append(t)
        slopes.append(min(root, 1 << 63) if shift == 1 else root)
        shifts.append(shift)
        offsets.append(math.isqrt((v.numerator << 112) // (2 * v.denominator * t * t)))
    return GaussianTable(
        list(variances),
        proposals,
        laplace_table([Fraction(t) for t in proposals]),
        np.array(slopes, dtype=np.uint64),
        np.array(shifts, dtype=np.int64),
        np.array(offsets, dtype=np.int64),
    )


@lru_cache(maxsize=256)
def one_laplace(scale: Fraction) -> LaplaceTable:
    """Return the table of a single scale."""
    return laplace_table([scale])


@lru_cache(maxsize=256)
def one_gaussian(variance: Fraction) -> GaussianTable:
    """Return the table of a single variance."""
    return gaussian_table([variance])


def _floor_log2(x: Fraction) -> int:
    """Return floor(log2 x) of a positive rational."""
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    at_least = x.numerator >= x.denominator << guess if guess >= 0 else x.numerator << -guess >= x.denominator
    return guess if at_least else guess - 1
