"""Sums of |x - y| from dyadic trees of counts: the baselines that the hat basis is measured against.

`tree` is the construction of the line of work that this module follows, rebuilt from its description:
every dyadic interval of each coordinate has a noisy count, and a query adds up noisy counts of intervals
whose distances grow by a factor 1 + alpha, each times its geometric-mean distance. `two-tree` has a second
tree with the sums of values, so it needs no annuli. Both pay for log2 M + 1 nodes a record.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.similarity.hat import GRID_BITS, HatMap
from dpkit.similarity.plan import Budget, NoisePlan, shares

__all__ = ["TreeMap", "TreeReader"]


@njit(cache=True, nogil=True)
def _node_weights(edges, weights, depth, variances):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the variance of sum_j weights_j prefix(edges_j), edges ascending: prefixes share nodes."""
    total = 0.0
    for level in range(depth + 1):  # nodes of 2^level leaves
        last, sum_ = -1, 0.0
        for j in range(edges.shape[0]):
            if (edges[j] >> level) & 1:
                node = (edges[j] >> level) - 1
                if node != last:
                    total += sum_ * sum_ * variances[depth - level]
                    last, sum_ = node, 0.0
                sum_ += weights[j]
        total += sum_ * sum_ * variances[depth - level]
    return total


@dataclass(frozen=True)
class TreeMap:
    """The public map of a tree baseline.

    Args:
        low, high: the box, tuples of d floats.
        depth: log2 M; M = 2^depth leaves a coordinate.
        values: whether a second tree holds sums of values (`two-tree`).
        alpha: annuli grow by 1 + alpha (`tree`).
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    depth: int
    values: bool
    alpha: float = 0.3
    grid_bits: int = GRID_BITS

    @functools.cached_property
    def leaves(self) -> HatMap:
        """The map that fills leaves with counts and totals."""
        return HatMap(self.low, self.high, self.depth, self.grid_bits)

    @property
    def columns(self) -> int:
        """The number of coordinates d."""
        return len(self.low)

    @property
    def size(self) -> int:
        """The length of the vector: nodes of all levels, largest intervals first."""
        return self.columns * ((2 << self.depth) - 1) * (2 if self.values else 1)

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records: counts and totals of the leaves."""
        return self.leaves.blank()

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add records to the leaves, modulo 2^64, in place."""
        self.leaves.add(sums, records)

    def vector(self, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the nodes, level by level, (d, 2^l) each: counts, then values where there are any."""
        parts = []
        for leaf in sums if self.values else sums[:1]:
            levels = [leaf]
            while levels[-1].shape[1] > 1:
                levels.append(levels[-1][:, 0::2] + levels[-1][:, 1::2])
            parts += [level.reshape(-1) for level in levels[::-1]]
        return np.concatenate(parts)

    def calibrate(self, budget: Budget) -> NoisePlan:
        """Return equal noise on all nodes of a tree; each record is in d (log2 M + 1) of them.

        Two trees share the budget equally; a value is at most 2^P. Under `replace` l1 and squared l2 changes
        double: all contributions are positive, so they add and never point apart.
        """
        nodes = self.columns * (self.depth + 1) * (2 if budget.replace else 1)
        parts = shares([1.0, 1.0] if self.values else [1.0])
        power = 1 if budget.pure else 2
        units = [1, (1 << self.grid_bits) ** power]
        length = self.columns * ((2 << self.depth) - 1)
        return NoisePlan.of(
            budget,
            [(budget.split(p).scale(nodes * u), length) for p, u in zip(parts, units, strict=False)],
        )

    def read(self, noisy: NDArray[np.int64], plan: NoisePlan, count: int | None = None) -> "TreeReader":
        """Return the answers that a noisy vector holds; `count` where the number of records is public."""
        return TreeReader(self, noisy, plan.variances(), count)


class TreeReader:
    """Answers from noisy nodes: prefix sums over leaves, each the sum of at most log2 M + 1 nodes."""

    def __init__(
        self, shape: TreeMap, noisy: NDArray[np.int64], variances: NDArray[np.float64], count: int | None
    ) -> None:
        self._shape, self._widths = shape, shape.leaves.widths
        half = len(noisy) // (2 if shape.values else 1)
        self._counts, self._roots = self._prefixes(noisy[:half].astype(np.float64))
        self._count_variance = float(variances[0])
        self._count = count
        if shape.values:
            step = 2.0**-shape.grid_bits
            self._totals, _ = self._prefixes(noisy[half:].astype(np.float64) * step)
            self._total_variance = float(variances[half]) * step * step
        steps = math.ceil(shape.depth * math.log(2.0) / math.log1p(shape.alpha))
        self._radii = (1.0 + shape.alpha) ** -np.arange(steps + 1.0)  # of the range, outermost first

    def _prefixes(self, nodes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return sums over the first e leaves, (d, M + 1), and the root's sum, (d,)."""
        d, depth = self._shape.columns, self._shape.depth
        edges = np.arange((1 << depth) + 1)
        found, start = np.zeros((d, len(edges))), 0
        for level in range(depth + 1):
            part = nodes[start : start + (d << level)].reshape(d, -1)
            start += d << level
            places = edges >> (depth - level)
            used = (places & 1) == 1
            found[:, used] += part[:, places[used] - 1]
        return found, nodes[:d].copy()

    def largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the most that one record in the box can add, (m,)."""
        u = self._scaled(queries)
        return np.asarray(np.maximum(np.abs(u), np.abs(1.0 - u)) @ self._widths)

    def count(self) -> tuple[float, float]:
        """Return the mean of the roots' counts, and its variance."""
        if self._count is not None:
            return float(self._count), 0.0
        return float(self._roots.mean()), self._count_variance / len(self._roots)

    def _scaled(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        low = np.array(self._shape.low)
        with np.errstate(over="ignore", invalid="ignore"):
            found = (np.asarray(queries, dtype=np.float64) - low) / self._widths
        return np.where(np.isfinite(found), found, np.nan)

    def _edges(self, u: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the leaf edges of one coordinate's annuli, ascending, and the weight of each prefix."""
        leaves = 1 << self._shape.depth
        own = np.rint(np.clip(u, 0.0, 1.0) * leaves).astype(np.int64)[:, None]
        reach = self._radii * leaves
        right = np.minimum(np.rint(np.clip(u, 0.0, 1.0)[:, None] * leaves + reach[::-1]), leaves)
        left = np.maximum(np.rint(np.clip(u, 0.0, 1.0)[:, None] * leaves - reach), 0)
        edges = np.concatenate([left.astype(np.int64), own, right.astype(np.int64)], axis=1)
        mean = self._radii / math.sqrt(1.0 + self._shape.alpha)
        rings = np.concatenate([mean, mean[::-1]])  # distance of the records between consecutive edges
        weights = np.concatenate([[0.0], rings]) - np.concatenate([rings, [0.0]])
        return edges, weights

    def values(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sums, (m,)."""
        u = self._scaled(queries)
        total = np.zeros(len(u))
        leaves = 1 << self._shape.depth
        for i in range(u.shape[1]):
            column = np.nan_to_num(u[:, i])
            inside = np.clip(column, 0.0, 1.0)
            if self._shape.values:
                edge = np.rint(inside * leaves).astype(np.int64)
                counts, totals = self._counts[i], self._totals[i]
                part = inside * (2.0 * counts[edge] - counts[-1]) + totals[-1] - 2.0 * totals[edge]
            else:
                edges, weights = self._edges(column)
                part = self._counts[i][edges] @ weights
            beyond = np.abs(column - inside)
            total += (part + beyond * self._roots[i]) * self._widths[i]
        total[np.isnan(u).any(axis=1)] = np.nan
        return total

    def spread(self, queries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the noise's variance in each sum, and zeros: the covariance with `count` is left out."""
        u = np.nan_to_num(self._scaled(queries))
        depth, leaves = self._shape.depth, 1 << self._shape.depth
        ones = np.ones(depth + 1)
        total = np.zeros(len(u))
        for i in range(u.shape[1]):
            inside = np.clip(u[:, i], 0.0, 1.0)
            beyond = np.abs(u[:, i] - inside)
            if self._shape.values:
                edge = np.rint(inside * leaves).astype(np.int64)
                for r, y in enumerate(inside):
                    pair = np.array([edge[r], leaves])
                    counts = _node_weights(pair, np.array([2.0 * y, beyond[r] - y]), depth, ones)
                    totals = _node_weights(pair, np.array([-2.0, 1.0]), depth, ones)
                    part = counts * self._count_variance + totals * self._total_variance
                    total[r] += part * self._widths[i] ** 2
                continue
            edges, weights = self._edges(inside)
            for r in range(len(u)):
                row = np.append(edges[r], leaves)
                part = _node_weights(row, np.append(weights, beyond[r]), depth, ones)
                total[r] += part * self._count_variance * self._widths[i] ** 2
        return total, np.zeros(len(u))

    def typical(self) -> float:
        """Return the root of the noise's variance, mean over a grid of queries on the diagonal of the box."""
        low, high = np.array(self._shape.low), np.array(self._shape.high)
        steps = (np.arange(64) + 0.5)[:, None] / 64
        return float(np.sqrt(self.spread(low + steps * (high - low))[0].mean()))
