"""The balanced k-ary tree for pure differential privacy: prefixes as sums *and differences* of nodes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import kernels
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.settings import Budget
from dpkit.noise import NoiseSource

__all__ = ["KaryDesign", "KaryEngine", "balanced_digits", "best_arity", "mean_digit_sum", "tree_height"]

_ARITIES = range(3, 100, 2)


def tree_height(k: int, steps: int) -> int:
    """Return the least h with (k^h - 1)/2 >= steps: the digits that the numbers up to `steps` need."""
    h = 1
    while (k**h - 1) // 2 < steps:
        h += 1
    return h


def balanced_digits(t: int, k: int, height: int) -> list[int]:
    """Return the digits of t in [-(k-1)/2, (k-1)/2], lowest first.

    >>> balanced_digits(5, 3, 3)
    [-1, -1, 1]
    """
    shifted = t + (k**height - 1) // 2
    return [shifted // k**i % k - (k - 1) // 2 for i in range(height)]


def _distance_sum(n: int, k: int, level: int) -> int:
    """Return the sum over u < n of |digit of u at this level, base k, minus (k-1)/2|."""
    half, width = (k - 1) // 2, k**level
    full, rest = divmod(n, k * width)
    digit, partial = divmod(rest, width)
    below = sum(abs(e - half) for e in range(digit)) * width
    return full * width * half * (half + 1) + below + abs(digit - half) * partial


def mean_digit_sum(k: int, steps: int) -> float:
    """Return the mean over t = 1..steps of the sum of |balanced digits| of t, exactly."""
    height = tree_height(k, steps)
    zero = (k**height - 1) // 2
    total = sum(_distance_sum(zero + steps + 1, k, i) - _distance_sum(zero + 1, k, i) for i in range(height))
    return total / steps


@lru_cache(maxsize=256)
def best_arity(steps: int) -> int:
    """Return the odd k with the least mean variance h^2 mean(sum |d_i|).

    >>> best_arity(2**10)
    13
    """
    return min(_ARITIES, key=lambda k: tree_height(k, steps) ** 2 * mean_digit_sum(k, steps))


@dataclass(frozen=True)
class KaryDesign:
    """Prefix t adds |d_i| nodes of width k^i for each positive digit d_i of t, subtracts for each negative.

    Args:
        budget: pure epsilon.
        sensitivity: change of one element, grid units.
        horizon: number of steps T.
        arity: k, odd; None takes the best for this horizon.

    *Privacy*: an element lies in at most one noisy node of each of the h levels: Laplace scale h D/epsilon.
    Nodes that reach beyond t are used before they are complete, so the order of release is not that of the
    nodes; the guarantee still holds against adaptive streams because it is pure (docs/privacy.md).

    Source: Andersson, Pagh, Steiner, Torkamani 2025.
    """

    budget: Budget
    sensitivity: int
    horizon: int
    arity: int | None = None
    name = "k-ary"

    @property
    def k(self) -> int:
        """The arity in use."""
        return self.arity or best_arity(self.horizon)

    @cached_property
    def height(self) -> int:
        """h."""
        return tree_height(self.k, self.horizon)

    @cached_property
    def scale(self) -> Fraction:
        """Laplace scale of every node, rounded up."""
        return self.budget.scale(self.height * self.sensitivity)

    @cached_property
    def _node(self) -> float:
        return self.budget.variance(self.scale)

    @property
    def state_size(self) -> int:
        """h (k-1)/2 live noises, h digits, and the sum."""
        return self.height * ((self.k - 1) // 2 + 1) + 1

    def variance(self, t: int) -> float:
        """Return the node variance times the sum of |digits| of t."""
        return self._node * sum(map(abs, balanced_digits(t, self.k, self.height)))

    def mean_variance(self, steps: int) -> float:
        """Return the mean over 1..steps, exactly, by counting digits."""
        height, zero = self.height, (self.k**self.height - 1) // 2
        total = sum(
            _distance_sum(zero + steps + 1, self.k, i) - _distance_sum(zero + 1, self.k, i)
            for i in range(height)
        )
        return self._node * total / steps

    def worst_variance(self, steps: int) -> float:
        """Return the largest over 1..steps: steps itself, or one digit lower and free digits below it."""
        half = (self.k - 1) // 2
        digits = balanced_digits(steps, self.k, self.height)[::-1]
        best, above, started = sum(map(abs, digits)), 0, False
        for place, d in enumerate(digits):
            lowest = -half if started else 0
            if d > lowest:
                best = max(best, above + max(abs(lowest), abs(d - 1)) + half * (len(digits) - place - 1))
            above += abs(d)
            started = started or d > 0
        return self._node * best

    def start(self, source: NoiseSource) -> KaryEngine:
        """Return a fresh engine."""
        return KaryEngine(self.k, self.height, NoiseQueue(source, self.budget.law, self.scale))

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        return {"mechanism": self.name, "k": self.k, "height": self.height, "noise_scale": str(self.scale)}


class KaryEngine:
    """Exact prefix sum plus the signed noise of the nodes that the digits of t name.

    Args:
        k: arity, odd.
        height: number of levels.
        queue: the nodes' noise.
    """

    def __init__(self, k: int, height: int, queue: NoiseQueue) -> None:
        self._queue = queue
        self._half = (k - 1) // 2
        self._digits = [0] * height
        self._stacks: list[list[int]] = [[] for _ in range(height)]
        self._total = self._now = 0

    def step(self, x: int) -> int:
        """Take one element: count up in balanced digits; a digit that wraps gets fresh nodes to subtract."""
        self._total += x
        digits, stacks, now, level, half = self._digits, self._stacks, self._now, 0, self._half
        while digits[level] == half:
            now -= sum(stacks[level])
            stacks[level] = [self._queue.next() for _ in range(half)]
            now -= sum(stacks[level])
            digits[level] = -half
            level += 1
        if digits[level] < 0:
            now += stacks[level].pop()
        else:
            z = self._queue.next()
            stacks[level].append(z)
            now += z
        digits[level] += 1
        self._now = now
        return self._total + now

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take many elements."""
        out, digits = np.empty(xs.size, dtype=np.int64), np.array(self._digits, dtype=np.int64)
        draws = int(kernels.kary_draws(digits.copy(), self._half, xs.size))
        noise = self._queue.ahead(draws)
        stacks = np.zeros((digits.size, self._half), dtype=np.int64)
        for row, stack in zip(stacks, self._stacks, strict=True):
            row[: len(stack)] = stack
        total, now = kernels.kary_fill(xs, out, noise, digits, stacks, self._total, self._now)
        self._queue.consume(noise, draws)
        self._total, self._now, self._digits = int(total), int(now), digits.tolist()
        self._stacks = [row[: abs(d)].tolist() for row, d in zip(stacks, self._digits, strict=True)]
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        stacks = [list(stack) for stack in self._stacks]
        return {"digits": list(self._digits), "stacks": stacks, "total": self._total, "now": self._now}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._total, self._now, self._digits = state["total"], state["now"], list(state["digits"])
        self._stacks = [list(stack) for stack in state["stacks"]]
