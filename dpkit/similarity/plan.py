"""Noise for a vector whose parts need different amounts of it: a budget, the scales, and the draw.

A structure hands over, for every place a record can be, how much the record changes each part of the vector.
Scales are integers' reciprocals, so the largest total change is an exact integer, and the scales that follow
from it are rationals, rounded up.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._lattice import ways
from dpkit.errors import ArgumentError
from dpkit.grid import decode_signed, round_up
from dpkit.guarantee import ApproxDP, Guarantee, PureDP
from dpkit.noise import MAX_DIMENSION, MAX_SCALE, NoiseSource
from dpkit.similarity.calibration import GAUSSIAN, LAPLACE, RADIAL
from dpkit.similarity.radial import draw_vector, group_sizes

__all__ = ["Budget", "NoisePlan", "best_shapes", "largest", "least_noise", "part_scales", "shares"]

_RATE_BITS = 24
_SHARE_BITS = 40


@dataclass(frozen=True)
class Budget:
    """What a vector may spend.

    Args:
        mechanism: `discrete-laplace` (amount is epsilon) or `discrete-gaussian` (amount is rho, or mu^2/2).
        amount: exact.
        replace: whether neighbours differ by a replaced record; else by one record more or less.
        guarantee: the promise that spending it keeps.
        spare: what every Gaussian variance needs on top; `NoisePlan.of` adds it.
    """

    mechanism: str
    amount: Fraction
    replace: bool
    guarantee: Guarantee
    spare: Fraction = Fraction(0)

    @classmethod
    def of(cls, epsilon: float, delta: float, neighbours: str) -> "Budget":
        """Return the budget of a checked request: delta = 0 is pure, else by the Gaussian curve."""
        return cls.options(epsilon, delta, neighbours)[0]

    @classmethod
    def options(cls, epsilon: float, delta: float, neighbours: str) -> "list[Budget]":
        """Return the budgets that keep a checked request: Gaussian ones by the curve, then through zCDP."""
        replace = neighbours == "replace"
        if delta == 0.0:
            return [cls(LAPLACE, Fraction(epsilon), replace, PureDP(epsilon, neighbours))]
        return [
            cls(GAUSSIAN, w.amount, replace, ApproxDP(epsilon, delta, neighbours, w.rho), w.spare)
            for w in ways(epsilon, delta)
        ]

    @property
    def pure(self) -> bool:
        """Whether the noise is discrete Laplace."""
        return self.mechanism == LAPLACE

    def split(self, share: Fraction) -> "Budget":
        """Return a share of the budget, for one of several parts that are released together."""
        return Budget(self.mechanism, self.amount * share, self.replace, self.guarantee, self.spare)

    def scale(self, change: Fraction | int) -> Fraction:
        """Return the scale that a part needs when it alone spends the budget.

        Pure: b = change / amount, change the largest l1 change. Gaussian: variance = change / (2 amount),
        change the largest squared l2 change, `spare` to be added. Rounded up.
        """
        return round_up(Fraction(change) / (self.amount if self.pure else 2 * self.amount))


def best_shapes(changes: Iterable[float], weights: Iterable[float], pure: bool) -> list[float]:
    """Return the relative scales that give an answer the least variance.

    Minimises sum q_j b_j^2 with sum s_j / b_j fixed: b_j ~ (s_j/q_j)^(1/3); or, Gaussian, sum q_j v_j with
    sum s_j / v_j fixed: v_j ~ sqrt(s_j/q_j).

    Args:
        changes: s_j, largest l1 change (pure) or squared l2 change (Gaussian) of part j.
        weights: q_j, mean squared weight of part j in an answer.
        pure: which of the two.
    """
    power = 1.0 / 3.0 if pure else 0.5
    return [(max(float(s), 1.0) / q) ** power for s, q in zip(changes, weights, strict=True)]


def part_scales(shapes: Sequence[float], budget: Budget, worst: Callable[[list[int]], int]) -> list[Fraction]:
    """Return scales of the given shape that spend the budget exactly on the worst neighbours, rounded up.

    With N_j an integer near 1/shape_j and G >= sum_j N_j change_j over all neighbours, an exact integer,
    scale_j = G / (N_j amount) gives sum_j change_j / scale_j <= amount (Gaussian: 2 amount).

    Args:
        shapes: relative scales, such as from `best_shapes`.
        budget: what may be spent.
        worst: N -> G, changes being l1 changes, or squared l2 changes.
    """
    least = min(shapes)
    rates = [max(1, round(math.ldexp(least / shape, _RATE_BITS))) for shape in shapes]
    total = worst(rates)
    return [budget.scale(Fraction(total, rate)) for rate in rates]


def largest(changes: Sequence[Any], rates: Sequence[int]) -> int:
    """Return max over places x of sum_j rates_j changes_j(x), exactly.

    Args:
        changes: for each part an array over places of exact integers, or one integer for all places.
        rates: integers.
    """
    total: Any = 0
    for rate, change in zip(rates, changes, strict=True):
        total = total + np.asarray(change).astype(object) * rate
    return int(np.max(total))


def shares(weights: Sequence[float]) -> list[Fraction]:
    """Return positive fractions that add up to exactly one, near the given proportions."""
    if len(set(weights)) == 1:
        return [Fraction(1, len(weights))] * len(weights)
    top = math.fsum(weights)
    parts = [max(1, int(math.ldexp(weight / top, _SHARE_BITS))) for weight in weights]
    return [Fraction(part, sum(parts)) for part in parts]


@dataclass(frozen=True)
class NoisePlan:
    """The noise of one release.

    Args:
        mechanism: `discrete-laplace`, `discrete-gaussian` or `discrete-radial`.
        runs: (scale, length) for stretches of the vector, in order: Laplace scale b or Gaussian variance.
            Radial noise: the first stretch has radial vectors of scale b, the others Laplace noise.
        group: radial noise: the most coordinates that share a vector; else 1.
    """

    mechanism: str
    runs: tuple[tuple[Fraction, int], ...]
    group: int = 1

    @classmethod
    def of(cls, budget: Budget, runs: Iterable[tuple[Fraction, int]], group: int = 1) -> "NoisePlan":
        """Return a plan with equal neighbours joined; ArgumentError where the samplers' range is left.

        Args:
            budget: the promise.
            runs: (scale, length), in order.
            group: above 1 for radial noise on the first stretch, its scale being a radial one.
        """
        joined: list[tuple[Fraction, int]] = []
        for least, length in runs:
            scale = least + budget.spare
            if joined and joined[-1][0] == scale and (group == 1 or len(joined) > 1):
                joined[-1] = (scale, joined[-1][1] + length)
            else:
                joined.append((scale, length))
        top = Fraction(MAX_SCALE // 2 if budget.pure else (MAX_SCALE // 2) ** 2)
        widest = joined[0][0] * (math.isqrt(group - 1) + 1)  # b sqrt(k), or b
        if max(widest, *(scale for scale, _ in joined)) > top:
            raise ArgumentError(
                "epsilon needs noise beyond the sampler's range: take a larger epsilon or a smaller structure"
            )
        return cls(budget.mechanism if group == 1 else RADIAL, tuple(joined), group)

    @property
    def size(self) -> int:
        """The length of the vector."""
        return sum(length for _, length in self.runs)

    def variances(self) -> NDArray[np.float64]:
        """Return the variance of every coordinate's noise: 2 b^2 (within 1/6 of the discrete law's), or v."""
        pure = self.mechanism != GAUSSIAN
        each = [2.0 * float(scale) ** 2 if pure else float(scale) for scale, _ in self.runs]
        found = np.repeat(each, [length for _, length in self.runs])
        if self.mechanism == RADIAL:
            scale, length = self.runs[0]
            sizes = group_sizes(length, self.group)
            found[:length] = np.repeat([(size + 1) * float(scale) ** 2 for size in sizes], sizes)
        return found

    def add(self, vector: NDArray[np.uint64], source: NoiseSource) -> NDArray[np.int64]:
        """Return the vector under exact noise on *every* coordinate, modulo 2^64, read back as signed.

        *Privacy*: the only place where an exact vector meets noise; the vector leaves in no other way.
        """
        sampler = source.discrete_gaussian if self.mechanism == GAUSSIAN else source.discrete_laplace
        runs = list(self.runs)
        parts = [draw_vector(source, *runs.pop(0), self.group)] if self.mechanism == RADIAL else []
        noise = np.concatenate(parts + [np.asarray(sampler(scale, length)) for scale, length in runs])
        return decode_signed(vector + noise.astype(np.int64).view(np.uint64))

    def to_public(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        scales = [[str(scale), length] for scale, length in self.runs]
        public: dict[str, Any] = {"mechanism": self.mechanism, "scales": scales}
        if self.mechanism == RADIAL:
            public["group"] = self.group
        return public

    @classmethod
    def from_public(cls, public: dict[str, Any]) -> "NoisePlan":
        """Read back `to_public`; ValueError, TypeError or KeyError for anything else."""
        if public["mechanism"] not in (LAPLACE, GAUSSIAN, RADIAL):
            raise ValueError(f"unknown mechanism {public['mechanism']!r}")
        runs = tuple((Fraction(scale), int(length)) for scale, length in public["scales"])
        if not runs or any(scale <= 0 or length < 1 for scale, length in runs):
            raise ValueError("scales and lengths must be positive")
        group = public["group"] if public["mechanism"] == RADIAL else 1
        if type(group) is not int or not 1 <= group <= MAX_DIMENSION:
            raise ValueError(f"group must be an integer in 1..{MAX_DIMENSION}")
        return cls(public["mechanism"], runs, group)


def least_noise(
    calibrate: Callable[[Budget], NoisePlan], budgets: Sequence[Budget]
) -> tuple[NoisePlan, Budget]:
    """Return a plan and its budget: the first whose noise is nowhere more than the last's.

    Args:
        calibrate: the plan of a budget.
        budgets: of one promise, from `Budget.options`; public, as the plans are, so the choice is.
    """
    *first, last = budgets
    usual = calibrate(last)
    for budget in first:
        plan = calibrate(budget)
        if bool(np.all(plan.variances() <= usual.variances())):
            return plan, budget
    return usual, last
