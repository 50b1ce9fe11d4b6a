"""Sums of |x - y|^p, coordinate by coordinate, from the hat basis on a grid of places.

The interpolant is that of `dpkit.similarity.hat`, but a power other than one is curved everywhere, so a
record changes every coefficient. Records are rounded to one of the 2^L + 1 places and counted there; a public
table of integers says how each place changes each coefficient. There are finitely many places, so the largest
change is found by looking at all of them, on the very integers that are summed.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.errors import ArgumentError
from dpkit.similarity.calibration import COUNT_SHARE
from dpkit.similarity.hat import GRID_BITS, HatReader, add_leaves, box_integers, hat_runs
from dpkit.similarity.plan import Budget, NoisePlan, best_shapes, largest, part_scales, shares

__all__ = ["PowerMap", "PowerReader"]

_CHUNK_NUMBERS = 1 << 19


@njit(cache=True, nogil=True)
def _transform(counts, table, half, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write out[i, k] = sum over places X of counts[i, X] table[m_k - X + M], m_k = (2 k + 1) half."""
    places = counts.shape[1]
    for i in range(counts.shape[0]):
        for k in range(out.shape[1]):
            middle = (2 * k + 1) * half + places - 1
            total = 0
            for x in range(places):
                total += counts[i, x] * table[middle - x]
            out[i, k] = total


@dataclass(frozen=True)
class PowerMap:
    """The public map of a sum of |x - y|^p: a box, a power and a depth.

    Args:
        low, high: the box, tuples of d floats.
        depth: L; 2^L + 1 places a coordinate.
        power: p > 0.
        grid_bits: P; coefficients are multiples of 2^-P R^p, truncated toward zero.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    depth: int
    power: float
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
        """The length of the vector: d (2^L + 1) coefficients and the count."""
        return self.columns * ((1 << self.depth) + 1) + 1

    @functools.cached_property
    def tables(self) -> tuple[NDArray[np.int64], ...]:
        """The integer tables, read at (coefficient's place - record's place) + 2^L: the ends, then levels.

        At level l with half-width h: phi(t) - (phi(t - h) + phi(t + h))/2, phi(t) = |t|^p.
        """
        places = 1 << self.depth
        steps = np.arange(-places, places + 1, dtype=np.float64) / places
        scale = float(2**self.grid_bits)

        def phi(t: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.abs(t) ** self.power

        found = [np.trunc(scale * phi(steps)).astype(np.int64)]
        for level in range(self.depth):
            half = 0.5 ** (level + 1)
            bend = phi(steps) - (phi(steps - half) + phi(steps + half)) / 2.0
            found.append(np.trunc(scale * bend).astype(np.int64))
        return tuple(found)

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records: how many are at each place, (d, 2^L + 1)."""
        return np.zeros((self.columns, (1 << self.depth) + 1), dtype=np.uint64)

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Count records at their places, in place."""
        low, high = np.array(self.low), np.array(self.high)
        rows = max(1, _CHUNK_NUMBERS // self.columns)
        unused = np.zeros(sums.shape, dtype=np.int64)
        for start in range(0, len(records), rows):
            places = box_integers(records[start : start + rows], low, high, self.depth)
            add_leaves(sums.view(np.int64), unused, places, 0)

    def vector(self, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the coefficients, exact modulo 2^64: ends (d, 2), level by level (d, 2^l), the count."""
        counts, places = sums.view(np.int64), 1 << self.depth
        first = self.tables[0][places:]
        ends = np.stack([counts @ first, counts @ first[::-1]], axis=1)
        parts = [ends.reshape(-1)]
        for level in range(self.depth):
            part = np.empty((len(counts), 1 << level), dtype=np.int64)
            _transform(counts, self.tables[level + 1], places >> (level + 1), part)
            parts.append(part.reshape(-1))
        return np.concatenate([*parts, counts[:1].sum(axis=1)]).view(np.uint64)

    def profile(self, squared: bool) -> list[NDArray[np.int64]]:
        """Return, for ends and levels, the sum of |changes| (or squares) of a record at each place."""
        places = 1 << self.depth

        def size(table: NDArray[np.int64]) -> NDArray[np.int64]:
            return table * table if squared else np.abs(table)

        first = size(self.tables[0][places:])
        found = [first + first[::-1]]
        for level, table in enumerate(self.tables[1:]):
            half = places >> (level + 1)
            middles = np.arange(half, places, 2 * half)
            total = np.zeros(places + 1, dtype=np.int64)
            windows = np.lib.stride_tricks.sliding_window_view(size(table), places + 1)
            for m in middles:
                total += windows[m][::-1]
            found.append(total)
        return found

    @property
    def same_signs(self) -> bool:
        """Whether every coefficient has one sign over all records, so that contributions never cancel."""
        return all(bool((t >= 0).all() or (t <= 0).all()) for t in self.tables)

    def calibrate(self, budget: Budget) -> NoisePlan:
        """Return the noise that keeps the budget's promise; the worst place is found by looking at all.

        The count takes 1/50 of the budget where it is private. `replace` doubles l1 changes, and quadruples
        squared ones unless no two contributions have opposite signs: then |a - b|^2 <= |a|^2 + |b|^2.
        """
        profile = self.profile(squared=not budget.pure)
        weights = [2.0 / 3.0] + [1.0 / 3.0] * self.depth
        shapes = best_shapes([part.max() for part in profile], weights, budget.pure)
        factor = 1
        if budget.replace:
            factor = 2 if budget.pure or self.same_signs else 4
        share = 2.0 / 3.0 if budget.pure else 1.0
        parts = shares([float(w) ** (self.power * share) for w in self.widths / self.widths.max()])
        rest = budget if budget.replace else budget.split(1 - COUNT_SHARE)

        def worst(rates: list[int]) -> int:
            return factor * largest(profile, rates)

        whole = {part: part_scales(shapes, rest.split(part), worst) for part in set(parts)}
        runs = hat_runs([whole[part] for part in parts])
        if not budget.replace:
            runs.append((budget.split(COUNT_SHARE).scale(1), 1))
        return NoisePlan.of(budget, runs)

    def read(self, noisy: NDArray[np.int64], plan: NoisePlan, count: int | None = None) -> "PowerReader":
        """Return the answers that a noisy vector holds; `count` where the number of records is public."""
        return PowerReader(self, noisy, plan.variances(), count)


class PowerReader(HatReader):
    """Answers from noisy coefficients, with a count of its own; only inside the box."""

    def __init__(
        self,
        shape: PowerMap,
        noisy: NDArray[np.int64],
        variances: NDArray[np.float64],
        count: int | None,
    ) -> None:
        super().__init__(shape, noisy, variances, count, shape.power)
        self._own_count = (float(noisy[-1]), float(variances[-1])) if count is None else (float(count), 0.0)

    def count(self) -> tuple[float, float]:
        """Return the number of records and its variance."""
        return self._own_count

    def scaled(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return queries in units of the box; ArgumentError outside it, where nothing is known."""
        found = super().scaled(queries)
        if ((found < 0.0) | (found > 1.0)).any():
            raise ArgumentError(
                "Y must lie within the bounds for a sum of |x - y|^p with p other than 1 and 2"
            )
        return found

    def spread(self, queries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the noise's variance in each sum, and its covariance with `count`, (m,) each."""
        return super().spread(queries)[0], np.zeros(len(queries))
