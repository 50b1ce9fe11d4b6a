"""The smooth binary tree: the same variance at every step."""

from __future__ import annotations

import math
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

__all__ = ["SmoothDesign", "SmoothEngine", "next_word"]


def next_word(word: int) -> int:
    """Return the next larger number with as many one-bits.

    >>> [bin(w)[2:] for w in (0b0011, next_word(0b0011), next_word(0b0101))]
    ['11', '101', '110']
    """
    low = word & -word
    carried = word + low
    return carried + (carried & -carried) // (2 * low) - 1


@dataclass(frozen=True)
class SmoothDesign:
    """A tree whose leaves are the h-bit words with h/2 ones; prefix t sums the left siblings along word t.

    Args:
        budget: what the noise pays for.
        sensitivity: change of one element, grid units.
        horizon: number of steps T; h is the least even number with binom(h, h/2) >= T + 1.

    *Privacy*: an element's leaf has h/2 zeros, and it lies in exactly the left siblings at those zeros:
    at most h/2 noisy nodes, each changed by at most the sensitivity D. Node variance (h/2) D^2/(2 rho).

    Source: Andersson and Pagh 2023.
    """

    budget: Budget
    sensitivity: int
    horizon: int
    name = "smooth"

    @cached_property
    def height(self) -> int:
        """h."""
        h = 2
        while math.comb(h, h // 2) < self.horizon + 1:
            h += 2
        return h

    @cached_property
    def scale(self) -> Fraction:
        """Noise scale of every node, rounded up."""
        d = self.sensitivity
        return self.budget.scale(self.height // 2 * (d * d if self.budget.law == GAUSSIAN else d))

    @property
    def state_size(self) -> int:
        """h/2 live noises, the word, and the sum."""
        return self.height // 2 + 2

    def variance(self, t: int) -> float:
        """Return h/2 node variances, at every step."""
        return self.height // 2 * self.budget.variance(self.scale)

    def mean_variance(self, steps: int) -> float:
        """Return the same number."""
        return self.variance(1)

    def worst_variance(self, steps: int) -> float:
        """Return the same number."""
        return self.variance(1)

    def start(self, source: NoiseSource) -> SmoothEngine:
        """Return a fresh engine."""
        return SmoothEngine(self.height, NoiseQueue(source, self.budget.law, self.scale))

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        return {"mechanism": self.name, "height": self.height, "noise_scale": str(self.scale)}


class SmoothEngine:
    """Exact prefix sum plus the noise at each one-bit of the current word.

    Args:
        height: h.
        queue: the nodes' noise.
    """

    def __init__(self, height: int, queue: NoiseQueue) -> None:
        self._queue = queue
        self._live = [0] * (height + 1)
        self._word = (1 << height // 2) - 1
        self._total = self._now = 0

    def step(self, x: int) -> int:
        """Take one element: the lowest run of ones moves, and the nodes at its new places are new."""
        self._total += x
        live, word, now = self._live, self._word, self._now
        start = (word & -word).bit_length() - 1
        position = start
        while word >> position & 1:
            now -= live[position]
            live[position] = 0
            position += 1
        self._word = next_word(word)
        for place in (position, *range(position - start - 1)):
            live[place] = z = self._queue.next()
            now += z
        self._now = now
        return self._total + now

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take many elements."""
        out, live = np.empty(xs.size, dtype=np.int64), np.array(self._live, dtype=np.int64)
        draws = int(kernels.smooth_draws(self._word, xs.size))
        noise = self._queue.ahead(draws)
        word, total, now = kernels.smooth_fill(xs, out, noise, live, self._word, self._total, self._now)
        self._queue.consume(noise, draws)
        self._word, self._total, self._now, self._live = int(word), int(total), int(now), live.tolist()
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"word": self._word, "total": self._total, "now": self._now, "live": list(self._live)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._word, self._total, self._now = state["word"], state["total"], state["now"]
        self._live = list(state["live"])
