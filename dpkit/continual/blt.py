"""The rational (BLT) counter in exact integers: a few numbers of state, any horizon, known or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import blt_rates
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.readers import make_reader
from dpkit.continual.recursion import Recursion, RecursiveNoise, SlowNoise
from dpkit.continual.settings import Budget
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource

__all__ = ["LIMIT", "BLTDesign", "BLTEngine", "default_degree"]

LIMIT = 1 << 40
"""Steps after which a counter of unknown horizon stops: its calibration counts rounding up to there."""
_MARGIN = 1 << 11
_SLACK = 2e-3
_TOP = 36  # log2 of the noise: finer would cost rounding nothing, and the sampler slows down above 2^40


def default_degree(length: float) -> int:
    """Return the number of poles: the least that comes within 0.2 % of the best, 0.8 % at 2^40 steps."""
    return next((m for bits, m in ((10, 4), (16, 5), (22, 6), (32, 8)) if length <= 1 << bits), 9)


@dataclass(frozen=True)
class BLTDesign:
    """A rational factorisation with m poles; the noise of the answers is made by an integer recursion.

    Args:
        budget: rho; pure budgets are refused.
        sensitivity: change D of one element, grid units; of a vector, in L2.
        magnitude: largest |element|, grid units.
        horizon: number of steps, or None: calibrated to streams of any length up to `LIMIT`.
        expected: where the horizon is unknown, the length that the error is tuned for; privacy does not
            depend on it.
        degree: m; None takes `default_degree`.
        changes: number of elements that differ between neighbours, with alternating signs.
        parts, gap: number of elements that differ, with any signs, at least `gap` steps apart.
        keep: weight of the past a step, for decayed sums; 1 for plain sums.
        window: answers are sums of the last so many elements; 0 for all.
        columns: number of coordinates of an element; each has an engine of its own.

    *Privacy*: the released integers are i_t = 2^p x_t + e_t, with C e = z up to rounding and z discrete
    Gaussian. Given earlier answers one neighbour's z differs from the other's by C of the elements'
    difference: by at most S = 2^p D |C u| + sqrt(n columns) R in L2, |C u| the largest norm for the pattern
    of changes, R the rounding bound. Noise of variance S^2/(2 rho) gives rho-zCDP, adaptively chosen streams
    included. Proof in docs/privacy.md.
    """

    budget: Budget
    sensitivity: int
    magnitude: int
    horizon: int | None
    expected: int = 1 << 20
    degree: int | None = None
    changes: int = 1
    parts: int = 1
    gap: int = 1
    keep: float = 1.0
    window: int = 0
    columns: int = 1
    name = "blt"

    @property
    def length(self) -> int:
        """The length that the rates are tuned for; without a horizon a little more than expected.

        A guess may be short: half as much again, up to 2^11 steps, costs 1-3 % at the guess and keeps the
        worst step within a tenth of the tuned design's at four times the guess.
        """
        return self.horizon or self.expected + min(self.expected // 2, _MARGIN)

    @cached_property
    def target(self) -> blt_rates.Target:
        """What the optimiser is asked for."""
        return blt_rates.Target(
            max(self.length, 4),
            self.horizon is None,
            -math.log(self.keep),
            self.window,
            self.changes,
            self.parts,
            self.gap,
        )

    @cached_property
    def rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rates (a, b) of poles and zeros, before they are rounded."""
        a, b = blt_rates.design_rates(self.degree or default_degree(self.target.reach), self.target)
        return np.array(a), np.array(b)

    @cached_property
    def recursion(self) -> Recursion:
        """The integers: as fine as the sampler allows, in 64-bit words where rounding then costs little.

        Slow states, of which rounding would be felt over far horizons, get two.
        """
        a = self.rates[0]
        r = blt_rates.encoder_weights(*self.rates)
        n = math.inf if self.horizon is None else float(self.horizon)
        change = math.sqrt(float(self.target.sensitivity(a, r, n)))
        sigma = self.sensitivity * change / math.sqrt(2 * float(self.budget.amount))
        p = min(40, math.floor(_TOP - 0.5 - math.log2(sigma)), 60 - self.magnitude.bit_length())
        if p < 1:
            raise ArgumentError(
                f"rho = {float(self.budget.amount):.3g} needs noise beyond the sampler's range at this "
                "resolution: raise rho, pass a coarser resolution, or mechanism='hybrid'"
            )
        spread = math.ceil(math.log2(sigma)) + 7  # 100 standard deviations; beyond, the slow twin
        # a coarser lattice leaves the states of far horizons more bits; then the slowest get two words
        choices = [(p, 0, 1), (p - 2, 0, 1), (p - 4, 0, 1)]
        choices += [(p, wide, times) for times in (1, 10) for wide in range(1, len(a) + 1)]
        for finer, wide, times in choices:
            recursion = Recursion.of(a, r, finer, spread + finer, wide) if finer > 0 else None
            if recursion is None or not recursion.falls():
                continue
            coarse = min(recursion.omega) < 16  # weights of fewer bits would move the optimum
            if not coarse and self._slack(recursion, change) <= times * _SLACK:
                return recursion
        raise ArgumentError(
            f"rho = {float(self.budget.amount):.3g} leaves the integer recursion too few bits for "
            f"{self.horizon or LIMIT} steps: raise rho, pass a coarser resolution, or mechanism='hybrid'"
        )

    def _slack(self, recursion: Recursion, change: float) -> float:
        """Return the share of the sensitivity that pays for rounding."""
        numbers = (self.horizon or LIMIT) * self.columns
        return math.sqrt(numbers) * recursion.rounding() / (2.0**recursion.p * self.sensitivity * change)

    @cached_property
    def change(self) -> float:
        """|C u| for the integers in use, rounded up."""
        n = math.inf if self.horizon is None else float(self.horizon)
        used = self.recursion
        return math.sqrt(float(self.target.sensitivity(used.rates(), used.weights(), n))) * (1 + 1e-9)

    @cached_property
    def scale(self) -> Fraction:
        """Noise variance of z, rounded up, in squared units of 2^-p."""
        numbers = (self.horizon or LIMIT) * self.columns
        linear = 2.0**self.recursion.p * self.sensitivity * self.change
        total = linear + math.sqrt(numbers) * self.recursion.rounding()
        return self.budget.scale(Fraction(total) ** 2 * Fraction(1 + 2.0**-40))

    @cached_property
    def _noise(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        used = self.recursion
        a = used.rates()
        b = blt_rates.zeros_of(a, used.weights())
        unit = float(self.scale) * 4.0**-used.p
        return unit, *blt_rates.noise_weights(a, b, self.target.decay)

    @property
    def state_size(self) -> int:
        """m integers of the noise and the sum; a window keeps its elements too."""
        return len(self.rates[0]) + 1 + self.window

    def variance(self, t: int) -> float:
        """Return sigma^2 |row t of B|^2."""
        unit, beta, rates = self._noise
        return unit * float(self.target.rows(beta, rates, t))

    def mean_variance(self, steps: int) -> float:
        """Return the mean over 1..steps."""
        unit, beta, rates = self._noise
        return unit * self.target.rows_sum(beta, rates, steps) / steps

    def worst_variance(self, steps: int) -> float:
        """Return the variance of the last step, the largest."""
        return self.variance(steps)

    def start(self, source: NoiseSource) -> BLTEngine:
        """Return a fresh engine."""
        return self.engine(NoiseQueue(source, self.budget.law, self.scale))

    def engine(self, queue: Any, slow: bool = False) -> BLTEngine:
        """Return an engine on a given queue; `slow` takes the twin that shares no compiled code."""
        used = self.recursion
        noise = (SlowNoise if slow else RecursiveNoise)(used, queue)
        return BLTEngine(used.p, noise, make_reader(2.0**-used.p, self.keep, self.window))

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        e = self.recursion
        return {
            "mechanism": self.name,
            "p": e.p,
            "omega": [str(w) for w in e.omega],
            "factor": [str(f) for f in e.factor],
            "shift": list(e.shift),
            "slow": [e.wide, *e.slow],
            "rest": list(e.rest),
            "noise_scale": str(self.scale),
            "keep": self.keep,
            "window": self.window,
        }


class BLTEngine:
    """Releases i_t = 2^p x_t + e_t and reads the answers off them.

    Args:
        p: grid units in i are 2^p.
        noise: the correlated draws e.
        reader: sums of i.
    """

    def __init__(self, p: int, noise: SlowNoise, reader: Any) -> None:
        self._p, self._noise, self._reader = p, noise, reader
        self._next, self._one = noise.next, reader.one

    def release(self, x: int) -> int:
        """Take one element and return the released integer i_t."""
        return (x << self._p) + self._noise.next()

    def releases(self, xs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take many elements and return the released integers."""
        moves = xs << np.int64(self._p)
        moves += self._noise.take(xs.size)
        return moves

    def step(self, x: int) -> float:
        """Take one element."""
        answer: float = self._one((x << self._p) + self._next())
        return answer

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many elements."""
        answers: NDArray[np.float64] = self._reader.many(self.releases(xs))
        return answers

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"states": self._noise.export(), "reader": self._reader.export()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._noise.restore(state["states"])
        self._reader.restore(state["reader"])
