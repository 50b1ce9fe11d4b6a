"""Compiled samplers: fixed-point integer arithmetic that either decides for certain or declines.

Numbers are integers in units of 2^-57. A word w stands for the interval [w, w + step) / 2^64 of a uniform U;
`_neg_log` returns -log(w / 2^64) with an error below `LOG_ERROR` units (proof in docs/privacy.md). A sampler
compares both ends of what U may be; if they disagree it declines, and `dpkit.noise.exact` finishes that draw
from the same words. No floating point takes part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dpkit._compiled import njit

LOG_ERROR = 8
SLACK = 16
"""Units added on both sides of a logarithm: LOG_ERROR, the truncations of the product, and a reserve."""
GAMMA_SLACK = 112
"""Units added on both sides of the Gaussian exponent: 66 proved, LOG_ERROR, and a reserve."""

_I64, _U64 = np.int64, np.uint64


def _build_multiply(typingctx: Any, a: Any, b: Any) -> Any:
    """Return the full product of two uint64 as (high, low)."""
    signature = types.UniTuple(types.uint64, 2)(types.uint64, types.uint64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return context.make_tuple(builder, signature.return_type, (high, builder.trunc(product, word)))

    return signature, codegen


def _build_multiply_high_signed(typingctx: Any, a: Any, b: Any) -> Any:
    """Return floor(a b / 2^64) of two int64."""
    signature = types.int64(types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.sext(args[0], wide), builder.sext(args[1], wide))
        return builder.trunc(builder.ashr(product, ir.Constant(wide, 64)), word)

    return signature, codegen


def _build_leading_zeros(typingctx: Any, a: Any) -> Any:
    """Return the number of leading zero bits of a non-zero uint64, as int64."""
    signature = types.int64(types.uint64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

    return signature, codegen


# typed Any: an intrinsic is called without the typing context that its builder takes
_multiply: Any = intrinsic(_build_multiply)
_multiply_high_signed: Any = intrinsic(_build_multiply_high_signed)
_leading_zeros: Any = intrinsic(_build_leading_zeros)


@njit(cache=True, nogil=True, inline="always")
def _neg_log(w: Any, zeros: Any, reciprocal: Any, log_reciprocal: Any, log_two: Any) -> Any:
    """Return -log(w / 2^64) in units of 2^-57 to LOG_ERROR; `zeros` leading zeros, w > 0.

    w / 2^64 = 2^-zeros x, x in [1/2, 1); with r the tabled reciprocal of x and v = x r - 1, |v| < 2^-10.5:
    -log(w / 2^64) = zeros log 2 + log r - (v - v^2/2 + v^3 (1/3 - v/4 + v^2/5) - ...).
    """
    m = w << _U64(zeros)
    cell = (m >> _U64(53)) & _U64(1023)
    high, low = _multiply(m, reciprocal[cell])
    v = _I64((high << _U64(52)) | (low >> _U64(12)))  # x r in units of 2^-64, modulo 1: v, signed
    square = _multiply_high_signed(v, v)  # units of 2^-64
    cube = ((v >> _I64(24)) * (square >> _I64(16))) >> _I64(28)  # units of 2^-60
    tail = (
        _I64(357913941) - (v >> _I64(36)) + (((square >> _I64(34)) * _I64(13)) >> _I64(6))
    )  # units of 2^-30
    log1p = (v >> _I64(7)) - (square >> _I64(8)) + ((cube * tail) >> _I64(33))
    return log_two[zeros] + log_reciprocal[cell] - log1p


@njit(cache=True, nogil=True, inline="always")
def _laplace_trial(word: Any, mantissa: Any, shift: Any, slack: Any, tables: Any) -> Any:
    """Return (magnitude, 1) or (0, 0) where the first 63 bits of U leave floor(-b log U) open."""
    w = word << _U64(1)  # U in [w, w + 2) / 2^64
    if w == _U64(0):
        return _I64(0), _I64(0)
    zeros = _leading_zeros(w)
    log = max(_neg_log(w, zeros, tables[0], tables[1], tables[2]), _I64(0))
    width = ((_I64(1) << zeros) >> _I64(5)) + _I64(1)  # log((w + 2) / w) <= 2^(zeros - 62)
    product = _I64(_multiply(_U64(log), mantissa)[0])  # b (-log U) in units of 2^-shift
    low = max(product - slack - width, _I64(0)) >> shift
    if low != (product + slack) >> shift:
        return _I64(0), _I64(0)
    return low, _I64(1)


@njit(cache=True, nogil=True)
def laplace_fill(
    words: Any,
    out: Any,
    start: Any,
    mantissa: Any,
    shift: Any,
    step: Any,
    slack: Any,
    tables: Any,
    missed: Any,
) -> Any:
    """Fill out[start:] with discrete Laplace draws until the words run out.

    Args:
        words: (w,) uint64, fresh.
        out: (n,) int64.
        start: first index to fill.
        mantissa, shift: the scales (`LaplaceTable`); coordinate i takes entry i * step.
        slack: error allowance in units of 2^-57, SLACK or more.
        tables: `log_tables()`.
        missed: (w, 2) uint64; rows (index, word) of the draws declined.

    Returns:
        (words used, next index, rows of `missed`).
    """
    used, i, misses = 0, start, 0
    n, available = out.size, words.size
    while i < n and used < available:
        word = words[used]
        used += 1
        z, decided = _laplace_trial(word, mantissa[i * step], shift[i * step], slack, tables)
        negative = _I64(word >> _U64(63))
        out[i] = (z ^ -negative) + negative
        if decided == 0:
            missed[misses, 0] = i
            missed[misses, 1] = word
            misses += 1
        i += _I64(1) - (_I64(z == 0) & negative & decided)  # minus zero is refused, without a branch
    return used, i, misses


@njit(cache=True, nogil=True, inline="always")
def _accept(y: Any, word: Any, slope: Any, slope_shift: Any, offset: Any, slack: Any, tables: Any) -> Any:
    """Return (keep, decided): 1 to keep y, 1 if it is certain; U < exp(-gamma), gamma = (y s - offset)^2."""
    if word == _U64(0):
        return _I64(0), _I64(0)
    high, low = _multiply(_U64(y), slope)
    position = (high << _U64(_I64(64) - slope_shift)) | (low >> _U64(slope_shift))  # y s in units of 2^-56
    if high >> _U64(slope_shift) != _U64(0) or position >= _U64(1 << 62):
        return _I64(0), _I64(1)  # gamma above 64, while -log U is below 45
    distance = abs(_I64(position) - offset)
    if distance >= _I64(1 << 59):
        return _I64(0), _I64(1)
    high, low = _multiply(_U64(distance), _U64(distance))
    gamma = _I64((high << _U64(9)) | (low >> _U64(55)))
    zeros = _leading_zeros(word)
    margin = _neg_log(word, zeros, tables[0], tables[1], tables[2]) - gamma
    width = ((_I64(1) << zeros) >> _I64(6)) + _I64(1)  # log((w + 1) / w) <= 2^(zeros - 63)
    keep = _I64(margin - width > slack)
    return keep, keep | _I64(margin < -slack)


@njit(cache=True, nogil=True)
def gaussian_fill(
    words: Any,
    out: Any,
    start: Any,
    scales: Any,
    step: Any,
    slack: Any,
    gamma_slack: Any,
    tables: Any,
    missed: Any,
) -> Any:
    """Fill out[start:] with discrete Gaussian draws until fewer than two words are left.

    A trial takes two words, the proposal's and the acceptance's. Arguments as in `laplace_fill`; `scales`
    holds the five arrays of `GaussianTable`; `missed`, (w, 3) uint64, gets rows (index, first, second word).
    """
    mantissa, shift, slope, slope_shift, offset = scales
    used, i, misses = 0, start, 0
    n, available = out.size, words.size - 1
    while i < n and used < available:
        first, second = words[used], words[used + 1]
        used += 2
        j = i * step
        y, decided = _laplace_trial(first, mantissa[j], shift[j], slack, tables)
        negative = _I64(first >> _U64(63))
        out[i] = (y ^ -negative) + negative
        minus_zero = _I64(y == 0) & negative & decided
        keep, certain = _accept(y, second, slope[j], slope_shift[j], offset[j], gamma_slack, tables)
        if (decided & certain) | minus_zero == 0:
            missed[misses, 0] = i
            missed[misses, 1] = first
            missed[misses, 2] = second
            misses += 1
            keep = _I64(1)
        i += keep & (_I64(1) - minus_zero)  # no branch: whether a draw is kept cannot be predicted
    return used, i, misses
