"""The binary tree, and Honaker's estimate from below: one noisy node for each completed dyadic interval."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import kernels
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.settings import GAUSSIAN, Budget
from dpkit.noise import NoiseSource

__all__ = ["BinaryEngine", "HonakerEngine", "TreeDesign", "below_weights"]


def below_weights(levels: int) -> list[float]:
    """Return v_h = 2^h/(2^(h+1) - 1), the variance of a subtree's best estimate from its own nodes.

    The node alone has variance 1, its children's estimates together 2 v_(h-1); the best mixture weighs the
    node by 2 v_(h-1)/(2 v_(h-1) + 1), which is also the variance left.

    >>> below_weights(3)
    [1.0, 0.6666666666666666, 0.5714285714285714]
    """
    return [2.0**h / (2.0 ** (h + 1) - 1.0) for h in range(levels)]


def _bit_count(bit: int, t: int) -> int:
    """Return how many of the numbers 1..t have this bit set."""
    n = t + 1
    return (n >> (bit + 1) << bit) + max(0, (n & ((2 << bit) - 1)) - (1 << bit))


@dataclass(frozen=True)
class TreeDesign:
    """Noise on dyadic nodes; prefix t is the sum of one node for each set bit of t.

    Args:
        name: `binary` (exact integers throughout) or `honaker` (about half the variance; the estimates are
            floats computed from exact noisy integers).
        budget: what the noise pays for.
        sensitivity: change of one element, grid units.
        horizon: number of steps T.

    *Privacy*: one element lies in at most L = floor(log2 T) + 1 nodes, each changed by at most the
    sensitivity D: node variance L D^2/(2 rho) gives rho-zCDP, Laplace scale L D/epsilon gives epsilon-DP.
    What is released is a function of the noisy nodes.

    Source: Chan, Shi, Song 2011; Dwork, Naor, Pitassi, Rothblum 2010; Honaker 2015.
    """

    name: str
    budget: Budget
    sensitivity: int
    horizon: int

    @property
    def levels(self) -> int:
        """L, the number of levels."""
        return self.horizon.bit_length()

    @cached_property
    def scale(self) -> Fraction:
        """Noise scale of every node, rounded up."""
        d = self.sensitivity
        return self.budget.scale(self.levels * (d * d if self.budget.law == GAUSSIAN else d))

    @cached_property
    def _node(self) -> float:
        return self.budget.variance(self.scale)

    @cached_property
    def _weights(self) -> list[float]:
        return [1.0] * self.levels if self.name == "binary" else below_weights(self.levels)

    @property
    def state_size(self) -> int:
        """L numbers of noise or two for each level, the sum and the clock."""
        return self.levels + 2 if self.name == "binary" else 2 * self.levels + 1

    def variance(self, t: int) -> float:
        """Return the node variance times the sum of v_h over the set bits h of t."""
        return self._node * sum(v for h, v in enumerate(self._weights) if t >> h & 1)

    def mean_variance(self, steps: int) -> float:
        """Return the mean over 1..steps, exactly, by counting bits."""
        return self._node * sum(v * (_bit_count(h, steps) / steps) for h, v in enumerate(self._weights))

    def worst_variance(self, steps: int) -> float:
        """Return the largest over 1..steps: steps itself, or one bit cleared and all lower ones set."""
        candidates = [steps]
        for h in range(steps.bit_length()):
            if steps >> h & 1:
                candidates.append((steps >> h << h) - 1)
        return max(self.variance(t) for t in candidates)

    def start(self, source: NoiseSource) -> BinaryEngine | HonakerEngine:
        """Return a fresh engine."""
        queue = NoiseQueue(source, self.budget.law, self.scale)
        return (BinaryEngine if self.name == "binary" else HonakerEngine)(self.levels, queue)

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        return {"mechanism": self.name, "levels": self.levels, "noise_scale": str(self.scale)}


class BinaryEngine:
    """Exact prefix sum plus the noise of the live nodes; only nodes that a prefix uses are ever drawn.

    Args:
        levels: L.
        queue: the nodes' noise.
    """

    def __init__(self, levels: int, queue: NoiseQueue) -> None:
        self._queue = queue
        self._live = [0] * levels
        self._t = self._total = self._now = 0

    def step(self, x: int) -> int:
        """Take one element: fold the levels below the lowest set bit of t, draw that node, add up."""
        t = self._t = self._t + 1
        self._total += x
        live, level, now = self._live, (t & -t).bit_length() - 1, self._now
        for h in range(level):
            now -= live[h]
            live[h] = 0
        live[level] = z = self._queue.next()
        self._now = now = now + z
        return self._total + now

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take many elements."""
        out, live = np.empty(xs.size, dtype=np.int64), np.array(self._live, dtype=np.int64)
        noise = self._queue.ahead(xs.size)
        t, total, now = kernels.binary_fill(xs, out, noise, live, self._t, self._total, self._now)
        self._queue.consume(noise, xs.size)
        self._t, self._total, self._now, self._live = int(t), int(total), int(now), live.tolist()
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"t": self._t, "total": self._total, "now": self._now, "live": list(self._live)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._t, self._total, self._now = state["t"], state["total"], state["now"]
        self._live = list(state["live"])


class HonakerEngine:
    """For each set bit of t, the exact sum of its node and the estimate from all noisy nodes below it.

    Args:
        levels: L.
        queue: the nodes' noise.
    """

    def __init__(self, levels: int, queue: NoiseQueue) -> None:
        self._queue = queue
        self._weights = below_weights(levels)
        self._sums, self._estimates, self._t = [0] * levels, [0.0] * levels, 0

    def step(self, x: int) -> float:
        """Take one element: complete its node and the nodes that end here, draw each, mix, add up."""
        t = self._t = self._t + 1
        sums, estimates, weights, draw = self._sums, self._estimates, self._weights, self._queue.next
        node, level = x, 0
        estimate = float(node + draw())
        while t >> level & 1 == 0:
            node += sums[level]
            children = estimate + estimates[level]
            sums[level], estimates[level] = 0, 0.0
            level += 1
            weight = weights[level]
            estimate = weight * float(node + draw()) + (1.0 - weight) * children
        sums[level], estimates[level] = node, estimate
        answer = 0.0
        for value in estimates:  # the kernel's order, so that both give the same float
            answer += value
        return answer

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many elements."""
        end = self._t + xs.size
        draws = sum((end >> h) - (self._t >> h) for h in range(end.bit_length()))
        out, noise = np.empty(xs.size), self._queue.ahead(draws)
        sums, estimates = np.array(self._sums, dtype=np.int64), np.array(self._estimates)
        t = kernels.honaker_fill(xs, out, noise, sums, estimates, np.array(self._weights), self._t)
        self._queue.consume(noise, draws)
        self._t, self._sums, self._estimates = int(t), sums.tolist(), estimates.tolist()
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"t": self._t, "sums": list(self._sums), "estimates": list(self._estimates)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._t, self._sums, self._estimates = state["t"], list(state["sums"]), list(state["estimates"])
