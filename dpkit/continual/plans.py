"""MaxSum and SumSelect: error bounds of blocks and of counters, and the choice between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dpkit.continual.blt import BLTDesign
from dpkit.continual.design import Design
from dpkit.continual.settings import GAUSSIAN, Budget
from dpkit.continual.tree import TreeDesign
from dpkit.errors import ArgumentError

__all__ = ["COUNTERS", "BlockNoise", "Columns", "Plan", "block_noise", "counters_design", "make_plans"]

COUNTERS = ("auto", "blt", "binary")
_ONE = 1 << 20  # grid units in a count of 1 under the rational counter; a tree needs no grid but the integers
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
        counter: what each column runs, `blt` or `binary`; None for blocks.
    """

    mechanism: str
    bound: float
    block: int
    answers: int
    counter: str | None = None


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


@dataclass(frozen=True)
class Columns:
    """The counter of one column.

    Args:
        design: of each column; noises are independent.
        one: grid units in a count of 1.
        leads: whether the budget pays for differences of columns only.
    """

    design: Design
    one: int
    leads: bool

    def variance(self, t: int) -> float:
        """Return the variance of a column's answer at step t, in counts."""
        return self.design.variance(t) / self.one**2


def counters_design(
    select: bool, counter: str, d: int, horizon: int, budget: Budget, neighbours: str, sparsity: int
) -> Columns:
    """Return the counter of one column.

    A row changes at most `sparsity` columns, twice as many under `replace`, by one each. A selection sees
    differences of columns only: under `zero-out`, half a unit taken from all of them leaves changes of one
    half in all d, at a quarter of the cost each for Gaussian noise, at half of it for Laplace noise.
    """
    changed = min(d, sparsity * (2 if neighbours == "replace" else 1))
    halved = 4 if budget.law == GAUSSIAN else 2
    leads = select and neighbours == "zero-out" and d < halved * changed
    part = budget.part(Fraction(1, d if leads else changed))
    if counter == "binary":
        return Columns(TreeDesign("binary", part, 1, horizon), 2 if leads else 1, leads)
    return Columns(BLTDesign(part, _ONE // 2 if leads else _ONE, _ONE, horizon), _ONE, leads)


def _laplace_tail(scale: float, terms: int, log_odds: float) -> float:
    """Return u with P(|sum of so many Laplace draws| >= u) <= 2 exp(-log_odds), by Chernoff's bound.

    A draw has E e^(x z) <= 1/(1 - (x scale)^2), the discrete law too; u is the least, over x, of (log_odds -
    terms ln(1 - (x scale)^2))/x.
    """
    x = np.arange(1, 1024) / 1024
    return scale * float(((log_odds - terms * np.log1p(-x * x)) / x).min())


def counters_plan(
    select: bool,
    counter: str,
    d: int,
    horizon: int,
    budget: Budget,
    neighbours: str,
    beta: float,
    sparsity: int,
) -> Plan:
    """Return the bound on the largest of all errors of all columns, twice that for a selection.

    Gaussian noise: worst sqrt(2 ln(2 d T/beta)). A tree with Laplace noise adds up to as many draws as a step
    up to T has bits.
    """
    columns = counters_design(select, counter, d, horizon, budget, neighbours, sparsity)
    design, log_odds = columns.design, math.log(2 * d * horizon / beta)
    if budget.law == GAUSSIAN:
        bound = math.sqrt(design.worst_variance(horizon) * 2 * log_odds)
    else:
        terms = round(design.worst_variance(horizon) / design.variance(1))
        bound = _laplace_tail(math.sqrt(design.variance(1) / 2), terms, log_odds)
    bound /= columns.one
    return Plan("counters", 2 * bound if select else bound, 1, horizon, counter)


def make_plans(
    select: bool,
    mechanism: str,
    counter: str,
    d: int,
    horizon: int,
    budget: Budget,
    neighbours: str,
    beta: float,
    sparsity: int,
) -> list[Plan]:
    """Return the plans that a request allows, least bound first; equal bounds take the smaller state."""
    if mechanism not in ("auto", "blocks", "counters"):
        raise ArgumentError(f"mechanism must be auto, blocks or counters, got {mechanism!r}")
    if counter not in COUNTERS:
        raise ArgumentError(f"counter must be one of {', '.join(COUNTERS)}, got {counter!r}")
    if mechanism == "blocks" and counter != "auto":
        raise ArgumentError(f"counter={counter!r} needs mechanism='counters' or 'auto', got 'blocks'")
    if not 0 < beta < 1:
        raise ArgumentError(f"beta must lie in (0, 1), got {beta!r}")
    if counter == "blt" and budget.law != GAUSSIAN:
        raise ArgumentError("counter='blt' needs rho, or delta above 0; for a pure budget take 'binary'")
    plans = []
    if mechanism != "counters":
        plans.append(block_plan(select, d, horizon, budget, neighbours, beta))
    kinds = [k for k in COUNTERS[1:] if counter in ("auto", k) and (k != "blt" or budget.law == GAUSSIAN)]
    refusal: ArgumentError | None = None
    for kind in kinds if mechanism != "blocks" else ():
        try:
            plans.append(counters_plan(select, kind, d, horizon, budget, neighbours, beta, sparsity))
        except ArgumentError as cause:  # noise beyond the sampler
            refusal = cause
    if refusal is not None and (not plans or (counter != "auto" and mechanism == "counters")):
        raise refusal
    return sorted(plans, key=lambda plan: plan.bound)
