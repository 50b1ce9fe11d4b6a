"""Compiled radial noise: every step in fixed point, decided for certain or handed on.

Squared norms are exact, in two words. A block's exponent r |x| is held in units of 2^-44, from an integer
square root that the kernel checks by squaring; its error is below 2^8 units (proof in docs/privacy.md). A
step that the fixed-point numbers leave open stops the kernel; `dpkit.noise.radial` takes that one step
exactly, from the same word, and the kernel goes on. No floating point takes part.
"""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import Any

import numpy as np

from dpkit._compiled import njit
from dpkit.noise.kernels import _laplace_trial, _leading_zeros, _multiply, _neg_log

__all__ = ["LENGTH_SLACK", "radial_fill", "root_table"]

LENGTH_SLACK = 1 << 10
"""Units of 2^-44 added on both sides of a merge's exponent: three lengths off by less than 2^8 each."""
ROOT_ERROR = 1 << 9
_I64, _U64 = np.int64, np.uint64
_ONE, _THREE = 1 << 60, 3 << 60


@cache
def root_table() -> np.ndarray:
    """Return 2^62 / sqrt((i + 1/2) / 256), floored, for i = 64..255 (uint64, zeros before): first guesses."""
    table = np.zeros(256, dtype=np.uint64)
    for i in range(64, 256):
        table[i] = isqrt((1 << 133) // (2 * i + 1))
    table.flags.writeable = False
    return table


@njit(cache=True, nogil=True, inline="always")
def _scaled(root: Any, mantissa: Any, shift: Any) -> Any:
    """Return floor of mantissa root / 2^(64 + shift), or -1 where it would reach 2^60."""
    high = _multiply(root, mantissa)[0]
    if shift >= 64:
        return _I64(0)
    if shift < 4 and (shift < 0 or (high >> _U64(shift)) >> _U64(60) != _U64(0)):
        return _I64(-1)
    return _I64(high >> _U64(shift))


@njit(cache=True, nogil=True, inline="always")
def _root_length(high: Any, low: Any, mantissa: Any, exponent: Any, guesses: Any) -> Any:
    """Return r sqrt(high 2^64 + low) in units of 2^-44, off by less than 2^8, or -1 where that fails."""
    if high | low == _U64(0):
        return _I64(0)
    if high != _U64(0):
        zeros = _leading_zeros(high) & _I64(62)
        if zeros > 0:
            high = (high << _U64(zeros)) | (low >> _U64(_I64(64) - zeros))
        low = low << _U64(zeros)
    else:
        own = _leading_zeros(low) & _I64(62)
        zeros = own + _I64(64)
        high, low = low << _U64(own), _U64(0)
    # x = high / 2^64 in [1/4, 1); y = 1 / sqrt(x) by Newton, in units of 2^-62
    y = guesses[high >> _U64(56)]
    for _ in range(3):
        square = _multiply(y, y)[0]  # units of 2^-60
        rest = _U64(_THREE) - _multiply(high, square)[0]
        y = _multiply(y, rest)[0] << _U64(3)
    root = min(_multiply(high, y)[0], (_U64(1) << _U64(62)) - _U64(1)) << _U64(2)
    below, above = root - _U64(ROOT_ERROR), root + _U64(ROOT_ERROR)
    first = _multiply(below, below)
    if first[0] > high or (first[0] == high and first[1] > low):
        return _I64(-1)
    if above > root:  # else it wrapped: above 2^64, so above the root
        second = _multiply(above, above)
        if second[0] < high or (second[0] == high and second[1] < low):
            return _I64(-1)
    return _scaled(root, mantissa, exponent + (zeros >> _I64(1)) - _I64(108))


@njit(cache=True, nogil=True, inline="always")
def _kept(gamma: Any, word: Any, slack: Any, tables: Any) -> Any:
    """Return (keep, certain) of U < exp(-gamma), gamma in units of 2^-44 to within `slack` of them."""
    if word == _U64(0):
        return _I64(0), _I64(0)
    if gamma >= _I64(1 << 50):
        return _I64(0), _I64(1)  # gamma is near 64 or above, while -log U is below 45
    zeros = _leading_zeros(word)
    margin = _neg_log(word, zeros, tables[0], tables[1], tables[2]) - (gamma << _I64(13))
    width = ((_I64(1) << zeros) >> _I64(6)) + _I64(1)  # log((w + 1) / w) <= 2^(zeros - 63)
    keep = _I64(margin - width > (slack << _I64(13)))
    return keep, keep | _I64(margin < -(slack << _I64(13)))


@njit(cache=True, nogil=True)
def radial_fill(
    words: Any,
    out: Any,
    state: Any,
    highs: Any,
    lows: Any,
    lengths: Any,
    steps: Any,
    rates: Any,
    proposal: Any,
    laplace_slack: Any,
    slack: Any,
    tables: Any,
    guesses: Any,
) -> Any:
    """Fill the rows of `out` with radial vectors until the words run out or a step cannot be decided.

    Args:
        words: (w,) uint64, fresh.
        out: (n, k) int64.
        state: (3,) int64: row, step, waiting blocks; kept between calls.
        highs, lows, lengths: the waiting blocks: squared norms (uint64 each) and r |x| (int64).
        steps: (back, place) of `RadialTable`.
        rates: (mantissa, exponent) of `RadialTable`.
        proposal: (mantissa, shift) of the coordinates' Laplace scale.
        laplace_slack, slack: allowances in units of 2^-57 and 2^-44.
        tables, guesses: `log_tables()`, `root_table()`.

    Returns:
        (words used, 1 where the last of them left its step open).
    """
    back, place = steps
    mantissa, exponent = rates
    row, step, depth = state[0], state[1], state[2]
    used, available, last = 0, words.size, back.size
    declined = 0
    while row < out.shape[0] and used < available:
        word = words[used]
        used += 1
        if back[step] < 0:
            z, decided = _laplace_trial(word, proposal[0], proposal[1], laplace_slack, tables)
            if decided == 0:
                declined = 1
                break
            negative = _I64(word >> _U64(63))
            if z == 0 and negative == 1:
                continue  # minus zero is refused
            out[row, place[step]] = (z ^ -negative) + negative
            highs[depth], lows[depth] = _multiply(_U64(z), _U64(z))
            length = _I64(0)
            if z > 0:
                zeros = _leading_zeros(_U64(z))
                length = _scaled(_U64(z) << _U64(zeros), mantissa[step], exponent[step] + zeros - _I64(108))
            lengths[depth] = length  # below 45 units: never -1
            depth += 1
            step += 1
        else:
            low = lows[depth - 2] + lows[depth - 1]
            high = highs[depth - 2] + highs[depth - 1] + _U64(low < lows[depth - 1])
            length = _root_length(high, low, mantissa[step], exponent[step], guesses)
            if length < 0:
                declined = 1
                break
            if high | low == _U64(0):
                keep, certain = _I64(1), _I64(1)
            else:
                gamma = length - lengths[depth - 2] - lengths[depth - 1]
                keep, certain = _kept(gamma, word, slack, tables)
            if certain == 0:
                declined = 1
                break
            depth -= 2
            if keep:
                highs[depth], lows[depth], lengths[depth] = high, low, length
                depth += 1
                step += 1
            else:
                step = back[step]
        if step == last:
            row += 1
            step, depth = 0, 0
    state[0], state[1], state[2] = row, step, depth
    return used, declined
