"""Exact variances of the counters, read off the code that runs: chosen numbers stand for the noise.

A linear counter's noise at step t is row t of a matrix B times independent draws of one variance, so its
variance is that times the row's sum of squares. The engines, compiled loops included, get numbers instead
of draws and zeros for elements, and what they answer shows the squares:

- binary, smooth: entries of B are 0 or 1, so with ones for draws an answer *is* its sum of squares;
- k-ary: entries of one level are all 0, 1 or all 0, -1 at a time: ones for one level after the other;
- honaker: entries of draws of equal height below one node are equal: ones for one height after the other;
- blt, sqrt: B is Toeplitz: one large draw at the first step shows its column;
- hybrid: ones for the totals, and the open epochs' counters by themselves.

tests/dpkit/continual/test_exact_errors.py compares with every single entry on short streams.
"""

import numpy as np
from numba import njit

from dpkit.continual.hybrid import HybridEngine
from dpkit.noise import UnsafeSeededNoise


class Numbers:
    """A queue that hands out given numbers, then zeros."""

    def __init__(self, numbers=()):
        self._numbers, self._at = np.asarray(numbers, dtype=np.int64), 0

    def next(self):
        self._at += 1
        return int(self._numbers[self._at - 1]) if self._at <= self._numbers.size else 0

    def ahead(self, n):
        found = self._numbers[self._at : self._at + n]
        self._at += n
        return np.concatenate([found, np.zeros(n - found.size, dtype=np.int64)])

    def consume(self, draws, used):
        self._at -= len(draws) - used


def fed(design, numbers):
    """Return an engine of the design on these numbers."""
    if hasattr(design, "engine"):
        return design.engine(Numbers(numbers))
    engine = design.start(UnsafeSeededNoise(0))
    engine._queue = Numbers(numbers)
    return engine


def answers(design, numbers, steps):
    """Return the answers to so many zeros, (steps,), in grid units."""
    return fed(design, numbers).steps(np.zeros(steps, dtype=np.int64)).astype(np.float64)


@njit(cache=True)
def _kary_levels(half, digits, steps, out):
    used = 0
    for _ in range(steps):
        level = 0
        while digits[level] == half:
            out[used : used + half] = level
            used += half
            digits[level] = -half
            level += 1
        if digits[level] >= 0:
            out[used] = level
            used += 1
        digits[level] += 1
    return used


def _kary(design, steps):
    half = (design.k - 1) // 2
    levels = np.empty(steps * (half + 2), dtype=np.int8)
    used = _kary_levels(half, np.zeros(design.height + 1, dtype=np.int64), steps, levels)
    squares = np.zeros(steps)
    for level in range(design.height):
        squares += np.abs(answers(design, levels[:used] == level, steps))
    return squares


def _honaker(design, steps):
    t = np.arange(1, steps + 1)
    drawn = np.frexp((t & -t).astype(np.float64))[1]  # step t draws heights 0 .. trailing zeros
    heights = np.arange(drawn.sum()) - np.repeat(np.cumsum(drawn) - drawn, drawn)
    tops = steps.bit_length()
    below = np.zeros(tops)  # of a whole tree of height H: sum of squares over its draws
    for h in range(tops):
        found = answers(design, heights == h, steps)
        for top in range(h, tops):
            count = 1 << (top - h)
            below[top] += count * (found[(1 << top) - 1] / count) ** 2
    return ((t[:, None] >> np.arange(tops) & 1) * below).sum(1)


def _hybrid(design, steps):
    engine = HybridEngine(Numbers(np.ones(64)), lambda i: fed(design.epoch(i), ()))
    found = engine.steps(np.zeros(steps, dtype=np.int64)) * float(design.budget.variance(design.total_scale))
    for i in range(1, steps.bit_length()):
        start, stop = 1 << i, min((2 << i) - 1, steps + 1)  # the last step of an epoch is its total alone
        if stop > start:
            found[start - 1 : stop - 1] += variances(design.epoch(i), stop - start)
    return found


def variances(design, steps):
    """Return the variance of every answer, (steps,), in squared grid units."""
    if design.name == "hybrid":
        return _hybrid(design, steps)
    if design.name in ("blt", "sqrt"):
        pulse = 8 * round(float(design.scale) ** 0.5)  # large beside rounding, ordinary for the code
        column = answers(design, [pulse], steps) / pulse
        return np.cumsum(column**2) * float(design.scale)
    node = design.budget.variance(design.scale)
    if design.name in ("binary", "smooth"):
        found = answers(design, np.ones(4 * steps + 64), steps)  # more than they draw
        return found * node
    return {"honaker": _honaker, "k-ary": _kary}[design.name](design, steps) * node


def exact_errors(counter, steps):
    """Return (RMSE, worst standard deviation) of a `Counter` over 1..steps, in the user's units."""
    found = variances(counter._design, steps)
    return float(np.sqrt(found.mean())) * counter._unit, float(np.sqrt(found.max())) * counter._unit
