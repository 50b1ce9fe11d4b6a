"""Discrete Gaussian noise of large variance by an exact ziggurat: one word a draw, mostly.

The graph of S exp(-y^2/(2v)), y = 0, 1, ..., is covered by 256 layers that are drawn with equal probability.
Layer i > 0 is the rectangle of x_i columns with heights [H_i, H_i + D_i), D_i = floor(2^55/x_i): of 55 bits
r, those that Lemire's method keeps fall on each column D_i times, so a column's probability *is* its height.
Layer 0 is the rectangle of x_1 columns and height H_1, and beyond it blocks of s columns whose heights halve.
A point of a layer is kept if it lies under the graph, decided for certain or declined, as in
`dpkit.noise.kernels`; what is declined is finished by exact arithmetic from the same words. Proof in
docs/privacy.md.

Source: Marsaglia and Tsang 2000 (the ziggurat); Lemire 2019 (uniform integers); the exact form is derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource
from dpkit.noise.exact import LazyUniform, Word, neg_log
from dpkit.noise.kernels import GAMMA_SLACK, _leading_zeros, _multiply, _neg_log
from dpkit.noise.scales import one_gaussian
from dpkit.noise.tables import log_tables

__all__ = ["LARGEST_VARIANCE", "LEAST_VARIANCE", "Ziggurat", "draw_gaussian", "make_ziggurat", "trial"]

LEAST_VARIANCE, LARGEST_VARIANCE = 1 << 32, 1 << 84
_LAYERS, _AREA = 256, 1 << 55
_I64, _U64 = np.int64, np.uint64


@dataclass(frozen=True)
class Ziggurat:
    """The table of one variance.

    Args:
        variance: v.
        top: S, the graph's height at 0.
        columns: x_i; the last column of layer i is below S exp(-x_i^2/(2v)) <= H_i.
        sure: columns below this lie under the graph over their whole height in layer i.
        heights: H_i, and H_256 >= S; H_0 = 0.
        span: s, with S exp(-(x_1 + j s)^2/(2v)) <= H_1/2^j for all j.
    """

    variance: Fraction
    top: int
    columns: tuple[int, ...]
    sure: tuple[int, ...]
    heights: tuple[int, ...]
    span: int

    def array(self) -> NDArray[np.uint64]:
        """Return the kernel's rows (256, 6): x, sure and not the tail's, 2^55 mod x, H 2^64/S and D 2^64/S
        rounded down, sure.
        """
        lows = [min((h << 64) // self.top, 2**64 - 1) for h in self.heights[:-1]]
        steps = [
            min(((b - a) << 64) // self.top, 2**64 - 1)
            for a, b in zip(self.heights, self.heights[1:], strict=False)
        ]
        rest = [0, *[_AREA % x for x in self.columns[1:]]]
        quick = (0, *self.sure[1:])
        columns = (self.columns, quick, rest, lows, steps, self.sure)
        return np.array(columns, dtype=np.uint64).T.copy()


def _build(variance: Fraction, x1: int) -> Ziggurat | None:
    """Return the ziggurat whose lowest rectangle has x1 columns, or None where 256 layers fall short of S."""
    sigma = math.sqrt(float(variance))
    span = math.ceil(math.log(2) * float(variance) / x1 * (1 + 1e-12)) + 2
    height = _AREA // (x1 + 2 * span)
    # S exp(-x1^2/(2v)) <= H_1
    top = math.floor(height * math.exp(x1 * x1 / (2 * float(variance))) * (1 - 1e-9))
    heights, columns, sure = [0, height], [x1], []
    for _ in range(1, _LAYERS):
        edge = sigma * math.sqrt(2 * math.log1p((top - heights[-1]) / heights[-1]))
        sure.append(max(0, math.floor(edge * (1 - 1e-9)) - 2))
        columns.append(math.ceil(edge * (1 + 1e-9)) + 2)
        heights.append(heights[-1] + _AREA // columns[-1])
        if heights[-1] >= top:
            break
    if len(heights) <= _LAYERS or heights[-1] < top:
        return None if heights[-1] < top else _short(variance, top, columns, sure, heights, span)
    return Ziggurat(variance, top, tuple(columns), (*sure, 0), tuple(heights), span)


def _short(
    variance: Fraction, top: int, columns: list[int], sure: list[int], heights: list[int], span: int
) -> Ziggurat:
    """Return a ziggurat with fewer than 256 useful layers: the rest lie above the graph and are refused."""
    missing = _LAYERS - len(columns)
    columns = columns + [columns[-1]] * missing
    heights = heights + [heights[-1] + (i + 1) * (_AREA // columns[-1]) for i in range(missing)]
    return Ziggurat(variance, top, tuple(columns), (*sure, *[0] * (missing + 1)), tuple(heights), span)


@lru_cache(maxsize=64)
def make_ziggurat(variance: Fraction) -> Ziggurat:
    """Return the ziggurat of a variance; the widest lowest rectangle for which 256 layers suffice."""
    sigma = math.sqrt(float(variance))
    low, high = math.floor(3.0 * sigma), math.ceil(4.0 * sigma)
    best = _build(variance, low)
    while high - low > max(1, low >> 24):
        middle = (low + high) // 2
        found = _build(variance, middle)
        low, high, best = (middle, high, found) if found is not None else (low, middle, best)
    if best is None:  # not reached: at 3 sigma 256 layers are always enough
        raise ArgumentError(f"variance {float(variance)!r} has no table of 256 layers")
    return best


def trial(table: Ziggurat, first: int, second: int, word: Word) -> int | None:
    """Return one draw from two words and, if need be, more; None where the trial must be repeated.

    The slow twin of the kernel, in integers throughout.
    """
    layer, negative, r = first & 255, first >> 8 & 1, first >> 9
    uniform, halvings = LazyUniform(second, 64, word), 0
    low, step = table.heights[layer], table.heights[layer + 1] - table.heights[layer]
    if layer == 0:
        m = r // step
        if m >= table.columns[0]:
            m -= table.columns[0]
            if m >= 2 * table.span:
                return None
            uniform, tail = LazyUniform(second >> 24, 40, word), second & (1 << 24) - 1
            width = 24
            while tail == 0:  # a geometric number of halvings
                halvings, tail, width = halvings + width, word(), 64
            halvings += (tail & -tail).bit_length() - 1
            m = table.columns[0] + halvings * table.span + m // 2
            low = 0
    else:
        x = table.columns[layer]
        m, rest = r * x >> 55, r * x & _AREA - 1
        if rest < _AREA % x:
            return None
    if not (m < table.sure[layer] or _under(table, low, step, halvings, m, uniform)):
        return None
    return (-m if m else None) if negative else m


def _under(table: Ziggurat, low: int, step: int, halvings: int, m: int, uniform: LazyUniform) -> bool:
    """Return whether (low + U step)/2^halvings < S exp(-m^2/(2v)), drawing bits of U while it is open."""
    gamma = Fraction(m * m) / (2 * table.variance)
    while True:
        count = uniform.count
        points = count + 32
        scale = table.top << (count + halvings)
        lower = (((low << count) + uniform.bits * step) << points) // scale
        upper = -((-((low << count) + (uniform.bits + 1) * step) << points) // scale)
        threshold = (gamma.numerator << points) // gamma.denominator
        if lower >= 1 << points or (lower and neg_log(lower, points, points) + 2 < threshold):
            return False
        if upper < 1 << points and neg_log(upper, points, points) - 2 > threshold:
            return True
        uniform.extend()


@njit(cache=True, nogil=True, inline="always")
def _below_graph(m: Any, w: Any, width: Any, slope: Any, slope_shift: Any, tables: Any) -> Any:
    """Return (keep, decided) for W < exp(-m^2/(2v)), W in [w, w + 4) / 2^64 or within `width` of log w."""
    if w == _U64(0):
        return False, False
    high, low = _multiply(m, slope)
    position = (high << _U64(_I64(64) - slope_shift)) | (low >> _U64(slope_shift))  # m s in units of 2^-56
    if high >> _U64(slope_shift) != _U64(0) or position >= _U64(1 << 59):
        return False, True  # the exponent is 64 or more, -log W below 45
    high, low = _multiply(position, position)
    gamma = _I64((high << _U64(9)) | (low >> _U64(55)))
    zeros = _leading_zeros(w)
    margin = _neg_log(w, zeros, tables[0], tables[1], tables[2]) - gamma
    spread = ((_I64(1) << zeros) >> _I64(4)) + _I64(1) + width
    keep = margin - spread > _I64(GAMMA_SLACK)
    return keep, keep or margin < -_I64(GAMMA_SLACK)


@njit(cache=True, nogil=True)
def _fill(words: Any, out: Any, start: Any, table: Any, curve: Any, tables: Any, missed: Any) -> Any:
    """Fill out[start:] until fewer than two words are left.

    Args:
        words: (w,) uint64, fresh.
        out: (n,) int64.
        start: first index to fill.
        table: `Ziggurat.array()`.
        curve: (slope, slope_shift, H_1, x_1, s).
        tables: `log_tables()`.
        missed: (k, 3) uint64; rows (index, first, second word) of the draws declined; it stops when they are
            full.

    Returns:
        (words used, next index, rows of `missed`).
    """
    slope, slope_shift, height, base, span = curve
    used, i, misses = _U64(0), _U64(start), _U64(0)  # unsigned: no test for indices from the end
    n, available, room = _U64(out.size), _U64(words.size - 1), _U64(len(missed))
    while i < n and used < available and misses < room:
        first = words[used]
        used += _U64(1)
        layer = first & _U64(255)
        m, rest = _multiply(first & ~_U64(511), table[layer, 0])  # r x = 2^55 m + rest
        negative = _I64((first >> _U64(8)) & _U64(1))
        if (m < table[layer, 1]) & (rest >> _U64(9) >= table[layer, 2]):  # 97 % of the words
            out[i] = (_I64(m) ^ -negative) + negative
            i += _U64(1) - _U64(negative & _I64(m == _U64(0)))
            continue
        if layer != _U64(0):
            if rest >> _U64(9) < table[layer, 2]:
                continue
            second = words[used]
            used += _U64(1)
            low = table[layer, 3]
            w = low + _multiply(second, table[layer, 4])[0]
            if w < low:
                continue  # above the top
            keep, decided = _below_graph(m, w, _I64(0), slope, slope_shift, tables)
        else:
            m = (first >> _U64(9)) // height
            if m < table[0, 5]:
                out[i] = (_I64(m) ^ -negative) + negative
                i += _U64(1) - _U64(negative & _I64(m == _U64(0)))
                continue
            second = words[used]
            used += _U64(1)
            keep, decided = False, False
            if m >= base:
                m -= base
                if m >= _U64(2) * span:
                    continue
                tail = second & _U64((1 << 24) - 1)
                u = second & ~_U64((1 << 24) - 1)
                if tail != _U64(0) and u != _U64(0):
                    halvings = _I64(63) - _leading_zeros(tail & (~tail + _U64(1)))
                    m = base + _U64(halvings) * span + (m >> _U64(1))
                    w = _multiply(u, table[0, 4])[0] >> _U64(halvings)
                    zeros = _leading_zeros(u)
                    if zeros < 30:
                        width = _I64(1) << (_I64(18) + zeros)
                        keep, decided = _below_graph(m, w, width, slope, slope_shift, tables)
        if not decided:
            missed[misses, 0] = i
            missed[misses, 1] = first
            missed[misses, 2] = second
            misses += _U64(1)
            i += _U64(1)
        elif keep:
            out[i] = (_I64(m) ^ -negative) + negative
            i += _U64(1) - _U64(negative & _I64(m == _U64(0)))
    return used, i, misses


def draw_gaussian(source: NoiseSource, variance: Fraction, n: int) -> NDArray[np.int64]:
    """Return n draws with P(z) proportional to exp(-z^2 / (2 variance)), exactly.

    Args:
        source: where the words come from.
        variance: between `LEAST_VARIANCE` and `LARGEST_VARIANCE`; others take the source's own sampler.
        n: number of draws.
    """
    if not LEAST_VARIANCE <= variance <= LARGEST_VARIANCE:
        return np.asarray(source.discrete_gaussian(variance, n), dtype=np.int64)
    table, array, curve = _prepared(variance)
    main, spare = source._streams()
    tables, out, done = log_tables(), np.empty(n, dtype=np.int64), 0
    missed = np.empty((32, 3), dtype=np.uint64)
    while done < n:
        words = main.ready(n - done + (n - done) // 16 + 16)
        used, done, misses = _fill(words, out, done, array, curve, tables, missed)
        main.consume(int(used))
        for i, first, second in missed[:misses].tolist():
            z = trial(table, first, second, spare)
            while z is None:
                z = trial(table, spare(), spare(), spare)
            out[i] = z
    return out


@lru_cache(maxsize=64)
def _prepared(variance: Fraction) -> tuple[Ziggurat, NDArray[np.uint64], tuple[Any, ...]]:
    table, gaussian = make_ziggurat(variance), one_gaussian(variance)
    numbers = (table.heights[1], table.columns[0], table.span)
    curve = (gaussian.slope[0], gaussian.slope_shift[0], *map(np.uint64, numbers))
    return table, table.array(), curve
