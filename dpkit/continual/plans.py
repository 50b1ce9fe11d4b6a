"""MaxSum and SumSelect: error bounds of blocks and of counters, and the choice between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dpkit.continual.blt import BLTDesign
from dpkit.continual.settings import GAUSSIAN, Budget, Domain
from dpkit.errors import ArgumentError

__all__ = ["COUNT_DOMAIN", "BlockNoise", "Plan", "block_noise", "counters_design", "make_plans"]

COUNT_DOMAIN = Domain.read((0.0, 1.0), None)
_ALL_LENGTHS = 1 << 16
_SHARED_BITS = (20, 12, 8)  # the coarser ones only where the finest noise would leave the sampler's range


@dataclass(frozen=True)
class Plan:
    """One way to follow the largest column sum, and what it promises.

    Args:
        mechanism: `blocks` (a fresh private answer every `block` steps, repeated in between) or `counters`
            (one counter for each column).
        bound: with probability 1 - beta no step of the stream is off by more.
        block: steps between answers; 1 for counters.
        answers: number of fresh answers.
    """

    mechanism: str
    bound: float
    block: int
    answers: int


def _lengths(horizon: int) -> np.ndarray:
    """Return the block lengths to try: all of them, or a fine ladder."""
    if horizon <= _ALL_LENGTHS:
        return np.arange(1, horizon + 1, dtype=np.int64)
    return np.unique(np.rint(np.geomspace(1, horizon, _ALL_LENGTHS)).astype(np.int64))


@dataclass(frozen=True)
class BlockNoise:
    """Noise of MaxSum's answers: a fresh draw in each and, if `common`, one draw that all of them share.

    Args:
        fresh, common: variances, or Laplace scales, in units of 2^-bits.
        bits: the lattice.
    """

    fresh: Fraction
    common: Fraction | None
    bits: int

    def std(self, budget: Budget) -> float:
        """Return the standard deviation of one answer."""
        total = budget.variance(self.fresh)
        total += budget.variance(self.common) if self.common is not None else 0.0
        return math.sqrt(total) * 2.0**-self.bits


def _share(budget: Budget, m: Any, beta: float) -> Any:
    """Return the share of the budget that the common draw gets: least variance, or least Laplace bound."""
    if budget.law == GAUSSIAN:
        return 1 / (1 + np.sqrt(m))
    return 1 / (1 + np.sqrt(m * np.log(2 * m / beta) / math.log(2 / beta)))


def _noise_bounds(budget: Budget, m: Any, neighbours: str, beta: float) -> tuple[Any, Any]:
    """Return what all of m answers' noises stay below, and whether a common draw is worth it."""
    amount = float(budget.amount)
    shared = (m > 1) & (neighbours == "zero-out")
    if budget.law == GAUSSIAN:
        deviation = np.where(shared, (1 + np.sqrt(m)) / math.sqrt(8 * amount), np.sqrt(m / (2 * amount)))
        return deviation * np.sqrt(2 * np.log(2 * m / beta)), shared
    alone = m / amount * np.log(m / beta)
    last = math.log(2 / beta)
    both = (math.sqrt(last) + np.sqrt(m * np.log(2 * m / beta))) ** 2 / (2 * amount)
    return np.where(shared & (both < alone), both, alone), shared & (both < alone)


def block_noise(budget: Budget, m: int, neighbours: str, beta: float) -> BlockNoise:
    """Return the noise of m answers, each of which an element moves by at most 1.

    Under `zero-out` all move in one direction, so half a unit of the common draw hides half of each move.

    *Privacy*: with c = 2^(bits - 1) the shares of the budget pay for one change by c and for m changes by c;
    for the Gaussian the whole is 1 + 1/c too dear. Proof in docs/privacy.md.
    """
    if _noise_bounds(budget, float(m), neighbours, beta)[1]:
        gaussian = budget.law == GAUSSIAN
        common = Fraction(float(_share(budget, float(m), beta)))
        for bits in _SHARED_BITS if gaussian else (1,):
            c = 1 << (bits - 1)
            pays = budget.part(Fraction(c, c + 1)) if gaussian else budget
            try:
                fresh = pays.part(1 - common).scale(m * c * c if gaussian else m * c)
                return BlockNoise(fresh, pays.part(common).scale(c * c if gaussian else c), bits)
            except ArgumentError:
                continue
    return BlockNoise(budget.scale(m), None, 0)


def block_plan(select: bool, d: int, horizon: int, budget: Budget, neighbours: str, beta: float) -> Plan:
    """Return the block length with the least bound.

    With m = floor(T/r) answers: lag plus noise, the lag r - 1 for a selection and half of it for MaxSum,
    whose answers grow by half a unit a step; noise of deviation (1 + sqrt m)/sqrt(8 rho) under `zero-out`,
    sqrt(m/(2 rho)) under `replace`, times sqrt(2 ln(2 m/beta)), for MaxSum; ln(d m/beta)/g for a selection
    with weights exp(g S).
    """
    r = _lengths(horizon)
    m = (horizon // r).astype(np.float64)
    if select:
        bounds = (r - 1) + selection_scale(budget, m, neighbours) * np.log(d * m / beta)
    else:
        bounds = (r - 1) / 2 + _noise_bounds(budget, m, neighbours, beta)[0]
    best = int(np.argmin(bounds))
    return Plan("blocks", float(bounds[best]), int(r[best]), int(m[best]))


def selection_scale(budget: Budget, m: np.ndarray | float, neighbours: str) -> np.ndarray | float:
    """Return 1/g for m selections: sqrt(m/(8 rho)) or m/epsilon, twice that under `replace`."""
    amount = float(budget.amount)
    one = np.sqrt(m / (8 * amount)) if budget.law == GAUSSIAN else m / amount
    return one * (2 if neighbours == "replace" else 1)


def counters_design(
    select: bool, d: int, horizon: int, budget: Budget, neighbours: str, sparsity: int
) -> BLTDesign:
    """Return the counter of one column.

    A row changes at most `sparsity` columns, twice as many under `replace`, by one each. A selection sees
    differences of columns only: under `zero-out`, half a unit taken from all of them leaves changes of one
    half in all d.
    """
    one = COUNT_DOMAIN.units(1.0)
    changed = min(d, sparsity * (2 if neighbours == "replace" else 1))
    if select and neighbours == "zero-out" and d < 4 * changed:
        return BLTDesign(budget.part(Fraction(1, d)), one // 2, one, horizon)
    return BLTDesign(budget.part(Fraction(1, changed)), one, one, horizon)


def counters_plan(
    select: bool, d: int, horizon: int, budget: Budget, neighbours: str, beta: float, sparsity: int
) -> Plan:
    """Return the bound worst sqrt(2 ln(2 d T/beta)) of the largest counter, twice that for a selection."""
    design = counters_design(select, d, horizon, budget, neighbours, sparsity)
    worst = math.sqrt(design.worst_variance(horizon)) * COUNT_DOMAIN.unit
    bound = worst * math.sqrt(2 * math.log(2 * d * horizon / beta))
    return Plan("counters", 2 * bound if select else bound, 1, horizon)


def make_plans(
    select: bool,
    mechanism: str,
    d: int,
    horizon: int,
    budget: Budget,
    neighbours: str,
    beta: float,
    sparsity: int,
) -> list[Plan]:
    """Return the plans that a request allows, least bound first."""
    if mechanism not in ("auto", "blocks", "counters"):
        raise ArgumentError(f"mechanism must be auto, blocks or counters, got {mechanism!r}")
    if not 0 < beta < 1:
        raise ArgumentError(f"beta must lie in (0, 1), got {beta!r}")
    if mechanism == "counters" and budget.law != GAUSSIAN:
        raise ArgumentError("mechanism='counters' needs rho, or delta above 0; for a pure budget take blocks")
    plans = []
    if mechanism != "counters":
        plans.append(block_plan(select, d, horizon, budget, neighbours, beta))
    if mechanism != "blocks" and budget.law == GAUSSIAN:
        try:
            plans.append(counters_plan(select, d, horizon, budget, neighbours, beta, sparsity))
        except ArgumentError:  # noise beyond the sampler: only where blocks would win anyway
            if mechanism == "counters":
                raise
    return sorted(plans, key=lambda plan: plan.bound)
