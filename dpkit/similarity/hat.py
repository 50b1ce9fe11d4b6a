"""Sums of |x - y| from the hat basis: an interpolant whose coefficients are sums over records.

On one coordinate scaled to [0, 1], F(y) = sum over x of |x - y| is written in the hierarchical (Faber) basis:
its two end values, and for every dyadic interval down to depth L the amount by which the value at the middle
lies off the chord. A record changes the ends by (x, 1 - x) and, at each level, one coefficient, by minus its
distance to the nearer end of its interval; those changes halve from level to level, so the total is bounded
by 2 without any logarithm of n. Records keep 2^-20 of the range; a chunk costs two additions per coordinate,
because counts and totals in the 2^L leaves determine all coefficients.

Between the ends F is interpolated at 2^L + 1 places, so a query costs one look-up per coordinate.
"""

import copy
import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.grid import to_grid
from dpkit.similarity.convex import convex_table
from dpkit.similarity.plan import Budget, NoisePlan, best_shapes, largest, part_scales, shares

__all__ = ["GRID_BITS", "HatMap", "HatReader", "add_leaves", "box_integers", "hat_runs"]

GRID_BITS = 20
_CHUNK_NUMBERS = 1 << 19
_MEAN_ENDS, _MEAN_HAT = 2.0 / 3.0, 1.0 / 3.0  # squared weights of the ends and of one level, mean over y


@njit(cache=True, nogil=True)
def add_leaves(counts, totals, integers, shift):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add every integer to the count and the total of its leaf, (d, 2^L) int64 each."""
    last = counts.shape[1] - 1
    for r in range(integers.shape[0]):
        for i in range(integers.shape[1]):
            leaf = min(integers[r, i] >> shift, last)
            counts[i, leaf] += 1
            totals[i, leaf] += integers[r, i]


@njit(cache=True, nogil=True)
def _interpolate(points, table, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write sum over coordinates of the interpolated table, extended by |x - y| outside [0, 1]."""
    cells = table.shape[1] - 1
    for r in range(points.shape[0]):
        total = 0.0
        for i in range(points.shape[1]):
            u = points[r, i]
            if u < 0.0:
                total += table[i, 0] * (1.0 - u) - table[i, cells] * u
            elif u > 1.0:
                total += table[i, cells] * u + table[i, 0] * (u - 1.0)
            else:
                place = u * cells
                k = min(int(place), cells - 1)
                total += table[i, k] + (table[i, k + 1] - table[i, k]) * (place - k)
        out[r] = total


@njit(cache=True, nogil=True)
def _spread(points, variances, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write, for every query, the variance of its noise and its covariance with the sum of both ends.

    variances: (d, L + 1), of an end value and of each level's coefficients; coordinates are independent.
    """
    depth = variances.shape[1] - 1
    for r in range(points.shape[0]):
        total, cross = 0.0, 0.0
        for i in range(points.shape[1]):
            u = points[r, i]
            beyond = max(0.0, -u, u - 1.0)
            near = 1.0 + beyond if beyond > 0.0 else 1.0 - u
            far = beyond if beyond > 0.0 else u
            total += variances[i, 0] * (near * near + far * far)
            cross += (near + far) * variances[i, 0]
            if beyond == 0.0:
                scaled = u
                for level in range(depth):
                    k = min(int(scaled), (1 << level) - 1)
                    hat = 1.0 - abs(2.0 * (scaled - k) - 1.0)
                    total += variances[i, level + 1] * hat * hat
                    scaled *= 2.0
        out[r, 0] = total
        out[r, 1] = cross


def box_integers(
    points: NDArray[Any], low: NDArray[np.float64], high: NDArray[np.float64], bits: int
) -> NDArray[np.int64]:
    """Return round(2^bits (clip(x) - low) / (high - low)) in [0, 2^bits], (rows, d) int64; NaN is the middle.

    Elementwise, so a record's integers never depend on the records beside it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.clip(np.asarray(points, dtype=np.float64), low, high)
        found = to_grid((values - low) / (high - low), bits, 1 << bits, 0.5)
    return np.maximum(found, 0)


def hat_runs(scales: list[list[Fraction]]) -> list[tuple[Fraction, int]]:
    """Return the runs of a vector laid out as ends (d, 2), then level by level (d, 2^l).

    Args:
        scales: for each coordinate, the scale of its ends and of its levels.
    """
    runs = [(each[0], 2) for each in scales]
    for level in range(len(scales[0]) - 1):
        runs += [(each[level + 1], 1 << level) for each in scales]
    return runs


@dataclass(frozen=True)
class HatMap:
    """The public map of a sum of |x - y|: a box, a depth and a grid.

    Args:
        low, high: the box, tuples of d floats.
        depth: L; 2^L leaves a coordinate.
        grid_bits: P >= L; records are rounded to 2^-P of the range.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    depth: int
    grid_bits: int = GRID_BITS

    @property
    def columns(self) -> int:
        """The number of coordinates d."""
        return len(self.low)

    @functools.cached_property
    def widths(self) -> NDArray[np.float64]:
        """The ranges R_i, (d,)."""
        return np.array(self.high) - np.array(self.low)

    @property
    def size(self) -> int:
        """The length of the vector: d (2^L + 1)."""
        return self.columns * ((1 << self.depth) + 1)

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records: counts and totals of the leaves, (2, d, 2^L)."""
        return np.zeros((2, self.columns, 1 << self.depth), dtype=np.uint64)

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add records to the leaves, modulo 2^64, in place."""
        low, high = np.array(self.low), np.array(self.high)
        rows = max(1, _CHUNK_NUMBERS // self.columns)
        for start in range(0, len(records), rows):
            self.add_integers(sums, box_integers(records[start : start + rows], low, high, self.grid_bits))

    def add_integers(self, sums: NDArray[np.uint64], integers: NDArray[np.int64]) -> None:
        """Add records that are on the grid already, (rows, d) int64 in [0, 2^P]."""
        leaves = sums.view(np.int64)
        add_leaves(leaves[0], leaves[1], integers, self.grid_bits - self.depth)

    def vector(self, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the coefficients, exact modulo 2^64: ends (d, 2), then level by level (d, 2^l)."""
        counts, totals = sums
        top = np.uint64(1 << self.grid_bits)
        ends = np.stack([totals.sum(axis=1), (counts * top - totals).sum(axis=1)], axis=1)
        levels = []
        for level in range(self.depth - 1, -1, -1):
            half = np.arange(1 << level, dtype=np.uint64) << np.uint64(self.grid_bits - level)
            left = totals[:, 0::2] - counts[:, 0::2] * half
            right = counts[:, 1::2] * (half + np.uint64(1 << (self.grid_bits - level))) - totals[:, 1::2]
            levels.append((np.uint64(0) - (left + right)).reshape(-1))
            counts, totals = counts[:, 0::2] + counts[:, 1::2], totals[:, 0::2] + totals[:, 1::2]
        return np.concatenate([ends.reshape(-1), *levels[::-1]])

    def profile(self) -> NDArray[np.int64]:
        """Return |change| at each level for x at the 2^L + 1 dyadic places, (L, 2^L + 1), in grid units.

        A record's total change, whatever the scales, is linear in x between those places, so its largest
        value over all x is the largest over them.
        """
        places = np.arange((1 << self.depth) + 1, dtype=np.int64) << (self.grid_bits - self.depth)
        found = np.empty((self.depth, len(places)), dtype=np.int64)
        for level in range(self.depth):
            width = 1 << (self.grid_bits - level)
            inside = places % width
            found[level] = np.minimum(inside, width - inside)
        return found

    def calibrate(self, budget: Budget) -> NoisePlan:
        """Return the noise that keeps the budget's promise with the least variance; proof in docs/privacy.md.

        Pure: scales ~ (change/weight)^(1/3), made as small as the worst place allows. Gaussian: variances V
        at the ends and V / 2^(l+1) at level l, V = 4^P / (2 rho), from x^2 + (1-x)^2 + sum_l 2^(l+1) c_l^2 <=
        1. Coordinates share the budget in proportion to R^(2/3), or R.
        """
        power = 2.0 / 3.0 if budget.pure else 1.0
        parts = shares([float(w) ** power for w in self.widths / self.widths.max()])
        known: dict[Fraction, list[Fraction]] = {}
        for part in parts:
            if part not in known:
                known[part] = self._scales(budget.split(part))
        return NoisePlan.of(budget, hat_runs([known[part] for part in parts]))

    def _scales(self, budget: Budget) -> list[Fraction]:
        """Return the scales of one coordinate: its ends, then its levels."""
        top = 1 << self.grid_bits
        if not budget.pure:
            ends = budget.scale(Fraction(4**self.grid_bits * (2 if budget.replace else 1)))
            return [ends] + [ends / (2 << level) for level in range(self.depth)]
        profile = self.profile()
        changes = [top, *(top >> (level + 1) for level in range(self.depth))]
        if budget.replace:
            changes[1] //= 2
        shapes = best_shapes(changes, [_MEAN_ENDS] + [_MEAN_HAT] * self.depth, pure=True)
        if not budget.replace:
            return part_scales(shapes, budget, lambda rates: largest([top, *profile], rates))
        # Neighbours x <= x': 2 (x' - x) at the ends, |c_0(x) - c_0(x')| on top, c_l(x) + c_l(x') below. With
        # M(s) = max over x of (2 x N_end + s c_0 N_0 + sum_l>0 c_l N_l), that is at most M(1) + M(-1)
        # - 2^(P+1) N_end, because every c_l is symmetric about the middle.
        places = np.arange(profile.shape[1], dtype=np.int64) << (self.grid_bits - self.depth)

        return part_scales(shapes, budget, functools.partial(self._worst_pair, profile, places))

    def _worst_pair(self, profile: NDArray[np.int64], places: NDArray[np.int64], rates: list[int]) -> int:
        signs = [largest([2 * places, s * profile[0], *profile[1:]], rates) for s in (1, -1)]
        return sum(signs) - 2 * (1 << self.grid_bits) * rates[0]

    def read(self, noisy: NDArray[np.int64], plan: NoisePlan, count: int | None = None) -> "HatReader":
        """Return the answers that a noisy vector holds; `count` where the number of records is public."""
        return HatReader(self, noisy, plan.variances(), count)


class HatReader:
    """Answers from noisy coefficients: interpolation at 2^L + 1 places a coordinate.

    Args:
        shape: the public map.
        noisy: its noisy vector.
        variances: of every coordinate of the vector.
        count: the number of records where it is public.
        power: of the range that the coefficients are in units of (1, or p for |x - y|^p).
    """

    def __init__(
        self,
        shape: Any,
        noisy: NDArray[Any],
        variances: NDArray[np.float64],
        count: int | None = None,
        power: float = 1.0,
    ) -> None:
        self._public_count = count
        d, depth = shape.columns, shape.depth
        self._low, self._widths = np.array(shape.low), shape.widths
        unit = self._widths**power * 2.0**-shape.grid_bits
        ends = noisy[: 2 * d].reshape(d, 2).astype(np.float64)
        table, spread = ends[:, ::1], np.empty((d, depth + 1))
        spread[:, 0] = variances[: 2 * d : 2]
        start = 2 * d
        for level in range(depth):
            stop = start + (d << level)
            wider = np.empty((d, (2 << level) + 1))
            wider[:, 0::2] = table
            wider[:, 1::2] = (table[:, 1:] + table[:, :-1]) / 2.0 + noisy[start:stop].reshape(d, -1)
            spread[:, level + 1] = variances[start : stop : 1 << level]
            table, start = wider, stop
        self._table = np.ascontiguousarray(table * unit[:, None])
        self._variances = spread * unit[:, None] ** 2
        # Both ends together count the records: R (e0 + e1). The best mean over coordinates weighs by noise.
        self._ends = ends.sum(axis=1) * 2.0**-shape.grid_bits
        self._end_variances = 2.0 * spread[:, 0] * 4.0**-shape.grid_bits
        precision = 1.0 / self._end_variances
        self._weights = precision / precision.sum()
        self._unit = self._widths**power
        self._power = power

    def convex(self) -> Self:
        """Return these answers made convex along every coordinate, no steeper than `count` records allow."""
        steepest = max(self.count()[0], 1.0) * max(self._power, 1.0) * self._unit
        found = copy.copy(self)
        found._table = convex_table(self._table, steepest)
        return found

    def largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the most that one record in the box can add, (m,)."""
        u = self.scaled(queries)
        return np.asarray(np.maximum(np.abs(u), np.abs(1.0 - u)) ** self._power @ self._unit)

    def scaled(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return queries in units of the box, infinite and missing ones as NaN."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = (np.asarray(queries, dtype=np.float64) - self._low) / self._widths
        return np.where(np.isfinite(found), found, np.nan)

    def count(self) -> tuple[float, float]:
        """Return the number of records that the ends tell, and its variance (|x - y| only)."""
        if self._public_count is not None:
            return float(self._public_count), 0.0
        return float(self._ends @ self._weights), float(1.0 / (1.0 / self._end_variances).sum())

    def values(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sums, (m,)."""
        out = np.empty(len(queries))
        _interpolate(self.scaled(queries), self._table, out)
        return out

    def terms(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the coordinates' parts of the sums, (m, d)."""
        scaled = self.scaled(queries)
        found = np.empty((self._table.shape[0], len(queries)))
        for i, row in enumerate(found):
            _interpolate(np.ascontiguousarray(scaled[:, i : i + 1]), self._table[i : i + 1], row)
        return found.T

    def spread(self, queries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the noise's variance in each sum, and its covariance with `count`, (m,) each."""
        out = np.empty((len(queries), 2))
        _spread(self.scaled(queries), self._variances, out)
        if self._public_count is not None:
            return out[:, 0], np.zeros(len(queries))
        weights = self._weights / self._unit
        cross = np.empty((len(queries), 2))
        _spread(self.scaled(queries), self._variances[:, :1] * weights[:, None], cross)
        return out[:, 0], cross[:, 1]

    def own_variance(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the variance of the noise that coordinates do not share, (m,): here all of it."""
        return self.spread(queries)[0]

    def typical(self) -> float:
        """Return the root of the noise's variance, mean over queries spread evenly in the box."""
        ends, levels = self._variances[:, 0].sum(), self._variances[:, 1:].sum()
        return float(np.sqrt(ends * _MEAN_ENDS + levels * _MEAN_HAT))
