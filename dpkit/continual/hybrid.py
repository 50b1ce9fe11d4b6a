"""Unknown horizon out of counters with a horizon: epochs of doubling length, each with a tree of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual.design import Design, Engine
from dpkit.continual.kary import KaryDesign
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.settings import GAUSSIAN, Budget
from dpkit.continual.smooth import SmoothDesign
from dpkit.continual.tree import TreeDesign
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource

__all__ = ["HybridDesign", "fixed_design"]

_REFERENCE = 20  # the split of the budget is tuned for the epoch [2^20, 2^21)


def fixed_design(name: str, budget: Budget, sensitivity: int, horizon: int) -> Design:
    """Return the tree design of this name for a known horizon."""
    if name in ("binary", "honaker"):
        return TreeDesign(name, budget, sensitivity, horizon)
    if name == "smooth":
        return SmoothDesign(budget, sensitivity, horizon)
    if name == "k-ary":
        return KaryDesign(budget, sensitivity, horizon)
    raise ArgumentError(f"mechanism must be binary, honaker, smooth or k-ary here, got {name!r}")


@dataclass(frozen=True)
class HybridDesign:
    """Epoch i is the steps [2^i, 2^(i+1)); closed epochs are one noisy number each, the open one a counter.

    The counter of epoch i serves 2^i - 1 steps: the last step of an epoch is answered by the epoch's total.

    Args:
        inner: the mechanism of the open epoch.
        budget: what the noise pays for; the inner counter gets the share `share`, the totals the rest.
        sensitivity: change of one element, grid units.

    *Privacy*: an element lies in one epoch: it pays for one inner counter and one total, which compose to
    the whole budget whatever the number of steps.

    Source: Chan, Shi, Song 2011.
    """

    inner: str
    budget: Budget
    sensitivity: int
    horizon: int | None = None

    @property
    def name(self) -> str:
        """`hybrid`."""
        return "hybrid"

    @cached_property
    def share(self) -> Fraction:
        """Share of the inner counter: least mean variance in the reference epoch, in steps of 1/64."""
        length = (1 << _REFERENCE) - 1
        inner = fixed_design(self.inner, self.budget, self.sensitivity, length).mean_variance(length)
        totals = _REFERENCE * self.budget.variance(self._total_scale(self.budget))
        power = 1 if self.budget.law == GAUSSIAN else 2  # variance falls with rho, or with epsilon squared
        shares = [Fraction(j, 64) for j in range(8, 57)]
        return min(shares, key=lambda f: inner / float(f) ** power + totals / float(1 - f) ** power)

    def _total_scale(self, budget: Budget) -> Fraction:
        d = self.sensitivity
        return budget.scale(d * d if budget.law == GAUSSIAN else d)

    @cached_property
    def total_scale(self) -> Fraction:
        """Noise scale of an epoch's total, rounded up."""
        return self._total_scale(self.budget.part(1 - self.share))

    @cached_property
    def _epochs(self) -> dict[int, Design]:
        return {}

    def epoch(self, i: int) -> Design:
        """Return the inner design of epoch i >= 1."""
        if i not in self._epochs:
            budget = self.budget.part(self.share)
            self._epochs[i] = fixed_design(self.inner, budget, self.sensitivity, (1 << i) - 1)
        return self._epochs[i]

    @cached_property
    def _total(self) -> float:
        return self.budget.variance(self.total_scale)

    @property
    def state_size(self) -> int:
        """The inner counter's state at 2^20 steps, the closed epochs' sum, and the clock."""
        return self.epoch(_REFERENCE).state_size + 2

    def variance(self, t: int) -> float:
        """Return the closed epochs' variance plus the open counter's."""
        i = t.bit_length() - 1
        if t + 1 == 2 << i:
            return (i + 1) * self._total
        return i * self._total + self.epoch(i).variance(t - (1 << i) + 1)

    def mean_variance(self, steps: int) -> float:
        """Return the mean over 1..steps, exactly, epoch by epoch."""
        total = 0.0
        for i in range(steps.bit_length()):
            inside = min(steps + 1, 2 << i) - (1 << i)
            closing = int(inside == 1 << i)
            if inside > closing:
                total += (inside - closing) * (
                    i * self._total + self.epoch(i).mean_variance(inside - closing)
                )
            total += closing * (i + 1) * self._total
        return total / steps

    def worst_variance(self, steps: int) -> float:
        """Return the largest over 1..steps."""
        worst = 0.0
        for i in range(steps.bit_length()):
            inside = min(steps + 1, 2 << i) - (1 << i)
            closing = int(inside == 1 << i)
            if inside > closing:
                inner = self.epoch(i).worst_variance(inside - closing)
                worst = max(worst, i * self._total + inner)
            if closing:
                worst = max(worst, (i + 1) * self._total)
        return worst

    def start(self, source: NoiseSource) -> HybridEngine:
        """Return a fresh engine."""
        totals = NoiseQueue(source, self.budget.law, self.total_scale)
        return HybridEngine(totals, lambda i: self.epoch(i).start(source))

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        return {
            "mechanism": self.name,
            "inner": self.inner,
            "share": str(self.share),
            "total_scale": str(self.total_scale),
        }


class HybridEngine:
    """Noisy sum of the closed epochs, exact sum of the open one, and its counter.

    Args:
        totals: noise of the epochs' totals.
        open_epoch: i -> a fresh engine for epoch i.
    """

    def __init__(self, totals: NoiseQueue, open_epoch: Callable[[int], Engine]) -> None:
        self._totals, self._open_epoch = totals, open_epoch
        self._t = self._closed = self._current = 0
        self._inner: Engine | None = None

    def step(self, x: int) -> float:
        """Take one element."""
        t = self._t = self._t + 1
        epoch = t.bit_length() - 1
        self._current += x
        if t & (t + 1) == 0:  # t = 2^(epoch + 1) - 1: the epoch closes
            self._closed += self._current + self._totals.next()
            self._current, self._inner = 0, None
            return self._closed
        if self._inner is None:
            self._inner = self._open_epoch(epoch)
        return self._closed + self._inner.step(x)

    def steps(self, xs: NDArray[np.int64]) -> NDArray[Any]:
        """Take many elements, epoch by epoch."""
        parts: list[NDArray[Any]] = []
        done = 0
        while done < xs.size:
            t = self._t + 1
            room = (1 << t.bit_length()) - 1 - t  # steps before the one that closes the epoch
            piece = xs[done : done + room]
            if piece.size:
                if self._inner is None:
                    self._inner = self._open_epoch(t.bit_length() - 1)
                parts.append(self._closed + self._inner.steps(piece))
                self._t += piece.size
                self._current += int(piece.sum())
                done += piece.size
            else:
                parts.append(np.array([self.step(int(xs[done]))]))
                done += 1
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        inner = None if self._inner is None else self._inner.export()
        return {"t": self._t, "closed": self._closed, "current": self._current, "inner": inner}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._t, self._closed, self._current = state["t"], state["closed"], state["current"]
        self._inner = None
        if state["inner"] is not None:
            self._inner = self._open_epoch(self._t.bit_length() - 1)
            self._inner.restore(state["inner"])
