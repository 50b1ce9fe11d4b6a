"""Radial noise on Z^k, P(z) proportional to exp(-|z|_2 / b): its tree of merges and the exact decisions.

A vector is put together from its coordinates, two neighbouring blocks at a time. A block of j coordinates has
the law exp(-r_j |z|), with rates r_j = rho_j / (b rho_k); blocks of one are discrete Laplace. Two blocks x, y
of i and j coordinates are kept as one block with probability

    exp(-(r_(i+j) |(x, y)| - r_i |x| - r_j |y|)),

else all their coordinates are drawn afresh. The exponent is never positive, by Cauchy and Schwarz, because
the integers rho satisfy rho_(i+j)^2 >= rho_i^2 + rho_j^2. At the root the rate is 1/b. A merge is kept with
probability about 0.7 or more, so a coordinate costs about sqrt(k) Laplace draws. Proof in docs/privacy.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from dpkit.noise.exact import LazyUniform, Word, laplace_trial
from dpkit.noise.scales import LaplaceTable, one_laplace

__all__ = ["MAX_DIMENSION", "UNIT_BITS", "RadialTable", "RadialTrial", "radial_table"]

MAX_DIMENSION = 1 << 10
UNIT_BITS = 44
"""The kernel holds exponents in units of 2^-44; they stay below 45 * 1024 < 2^16."""
_RATE_BITS = 32
_LARGEST = 1 << 60  # of what the kernel keeps: an exponent in its units


@dataclass(frozen=True)
class RadialTable:
    """The steps that make one vector, and their fixed-point rates.

    Args:
        scale: b.
        dimension: k.
        leaf: the scale b rho_k / rho_1 of the coordinates' proposals, near b sqrt(k).
        proposal: fixed-point form of `leaf`.
        sizes: (2 k - 1,) coordinates of the block that each step makes, in order; 1 is a fresh coordinate.
        back: (2 k - 1,) the step to return to when a merge is refused; -1 for coordinates.
        place: (2 k - 1,) the coordinate that a step draws.
        rates: rho of every step.
        mantissa, exponent: (2 k - 1,) rate r = rho / (b rho_k) of every step, mantissa = floor(r 2^exponent)
            in [2^63, 2^64), uint64 and int64.
    """

    scale: Fraction
    dimension: int
    leaf: Fraction
    proposal: LaplaceTable
    sizes: np.ndarray
    back: np.ndarray
    place: np.ndarray
    rates: tuple[int, ...]
    mantissa: np.ndarray
    exponent: np.ndarray


def _rate(size: int, known: dict[int, int]) -> int:
    """Return rho_size: 2^32 for one coordinate, else the least integer that the merge's halves allow."""
    if size not in known:
        left, right = _rate(size // 2, known), _rate(size - size // 2, known)
        known[size] = math.isqrt(left * left + right * right - 1) + 1
    return known[size]


def _steps(size: int, first: int, steps: list[tuple[int, int, int]]) -> None:
    """Append (size, step to return to, coordinate) of every step of a block, its halves first."""
    if size == 1:
        steps.append((1, -1, first))
        return
    start = len(steps)
    _steps(size // 2, first, steps)
    _steps(size - size // 2, first + size // 2, steps)
    steps.append((size, start, first))


def _fixed(rate: Fraction) -> tuple[int, int]:
    """Return (floor(rate 2^exponent) in [2^63, 2^64), exponent)."""
    exponent = 63 - rate.numerator.bit_length() + rate.denominator.bit_length()
    while True:
        mantissa = (rate.numerator << max(exponent, 0)) // (rate.denominator << max(-exponent, 0))
        if mantissa >> 63:
            return mantissa, exponent
        exponent += 1


@lru_cache(maxsize=64)
def radial_table(scale: Fraction, dimension: int) -> RadialTable:
    """Return the steps and rates of a scale and a dimension, both checked before."""
    steps: list[tuple[int, int, int]] = []
    _steps(dimension, 0, steps)
    known = {1: 1 << _RATE_BITS}
    root = _rate(dimension, known)
    fixed = {size: _fixed(Fraction(rate, root) / scale) for size, rate in known.items()}
    leaf = scale * Fraction(root, known[1])
    columns = [np.array([step[i] for step in steps], dtype=np.int64) for i in range(3)]
    return RadialTable(
        scale,
        dimension,
        leaf,
        one_laplace(leaf),
        columns[0],
        columns[1],
        columns[2],
        tuple(known[size] for size, _, _ in steps),
        np.array([fixed[size][0] for size, _, _ in steps], dtype=np.uint64),
        np.array([fixed[size][1] for size, _, _ in steps], dtype=np.int64),
    )


class RadialTrial:
    """One vector in the making, in Python integers: the slow twin, and what finishes the kernel's declines.

    Args:
        table: from `radial_table`.

    `step` is the next step, `blocks` holds (squared norm, rho) of the blocks that wait to be merged, `values`
    the coordinates drawn so far.
    """

    __slots__ = ("blocks", "step", "table", "values")

    def __init__(self, table: RadialTable) -> None:
        self.table = table
        self.step = 0
        self.blocks: list[tuple[int, int]] = []
        self.values = [0] * table.dimension

    def resume(self, step: int, squares: list[int]) -> None:
        """Go to a step, with the squared norms of the blocks that wait there."""
        waiting: list[int] = []
        for back, rate in zip(self.table.back[:step].tolist(), self.table.rates[:step], strict=True):
            if back >= 0:
                del waiting[-2:]
            waiting.append(rate)
        self.step, self.blocks = step, list(zip(squares, waiting, strict=True))

    @property
    def finished(self) -> bool:
        """Whether the vector is complete."""
        return self.step == len(self.table.rates)

    def advance(self, first: int, word: Word) -> None:
        """Take the next step with the word `first`; `word` supplies more bits where those do not decide."""
        table, rate = self.table, self.table.rates[self.step]
        back = int(table.back[self.step])
        if back < 0:
            z = laplace_trial(table.leaf, first, word)
            if z is None:
                return
            self.values[int(table.place[self.step])] = z
            self.blocks.append((z * z, rate))
            self.step += 1
            return
        left, right = self.blocks[-2:]
        del self.blocks[-2:]
        whole = (left[0] + right[0], rate)
        if self._kept(whole, left, right, LazyUniform(first, 64, word)):
            self.blocks.append(whole)
            self.step += 1
        else:
            self.step = back

    def _kept(
        self, whole: tuple[int, int], left: tuple[int, int], right: tuple[int, int], uniform: LazyUniform
    ) -> bool:
        """Return whether U < exp(-(rho |z| - rho' |x| - rho'' |y|) / (b rho_k)), drawing bits while open."""
        if whole[0] == 0:
            return True
        unit = self.table.scale * self.table.rates[-1]
        while True:
            precision = uniform.count + 32
            low, high = uniform.neg_log_bounds(precision)
            ends = [_length(square, rate, unit, precision) for square, rate in (whole, left, right)]
            if low > ends[0] + 1 - ends[1] - ends[2]:
                return True
            if high is not None and high < ends[0] - ends[1] - ends[2] - 2:
                return False
            uniform.extend()

    def lengths(self) -> list[int]:
        """Return r |x| of the waiting blocks in the kernel's units, floored."""
        unit = self.table.scale * self.table.rates[-1]
        return [_length(square, rate, unit, UNIT_BITS) for square, rate in self.blocks]

    @property
    def oversized(self) -> bool:
        """Whether a block does not fit the kernel's integers (probability below exp(-2^13))."""
        return any(square >> 126 for square, _ in self.blocks) or any(h >= _LARGEST for h in self.lengths())


def _length(square: int, rate: int, unit: Fraction, precision: int) -> int:
    """Return floor(2^precision rate sqrt(square) / unit)."""
    numerator = square * (rate * unit.denominator) ** 2 << 2 * precision
    return math.isqrt(numerator // unit.numerator**2)
