"""MaxSum and SumSelect: error bounds of blocks and of counters, and the choice between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dpkit.continual.blt import BLTDesign
from dpkit.continual.settings import GAUSSIAN, Budget, Domain
from dpkit.errors import ArgumentError

__all__ = ["COUNT_DOMAIN", "Plan", "make_plans"]

COUNT_DOMAIN = Domain.read((0.0, 1.0), None)
_ALL_LENGTHS = 1 << 16


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


def block_plan(select: bool, d: int, horizon: int, budget: Budget, neighbours: str, beta: float) -> Plan:
    """Return the block length with the least bound.

    With m = floor(T/r) answers: lag plus noise, the lag r - 1 for a selection and half of it for MaxSum,
    whose answers are shifted to the middle; noise sqrt((m/rho) ln(2 m/beta)) or (m/epsilon) ln(m/beta) for
    MaxSum; ln(d m/beta)/g for a selection with weights exp(g S).
    """
    r = _lengths(horizon)
    m = (horizon // r).astype(np.float64)
    amount = float(budget.amount)
    if select:
        noise = selection_scale(budget, m, neighbours) * np.log(d * m / beta)
        bounds = (r - 1) + noise
    elif budget.law == GAUSSIAN:
        bounds = (r - 1) / 2 + np.sqrt(m / amount * np.log(2 * m / beta))
    else:
        bounds = (r - 1) / 2 + m / amount * np.log(m / beta)
    best = int(np.argmin(bounds))
    return Plan("blocks", float(bounds[best]), int(r[best]), int(m[best]))


def selection_scale(budget: Budget, m: np.ndarray | float, neighbours: str) -> np.ndarray | float:
    """Return 1/g for m selections: sqrt(m/(8 rho)) or m/epsilon, twice that under `replace`."""
    amount = float(budget.amount)
    one = np.sqrt(m / (8 * amount)) if budget.law == GAUSSIAN else m / amount
    return one * (2 if neighbours == "replace" else 1)


def counters_design(d: int, horizon: int, budget: Budget) -> BLTDesign:
    """Return the counter of one column, at one d-th of the budget."""
    from fractions import Fraction

    sensitivity = COUNT_DOMAIN.sensitivity("replace")
    return BLTDesign(budget.part(Fraction(1, d)), sensitivity, sensitivity, horizon)


def counters_plan(select: bool, d: int, horizon: int, budget: Budget, beta: float) -> Plan:
    """Return the bound worst sqrt(2 ln(2 d T/beta)) of the largest counter, twice that for a selection."""
    worst = math.sqrt(counters_design(d, horizon, budget).worst_variance(horizon)) * COUNT_DOMAIN.unit
    bound = worst * math.sqrt(2 * math.log(2 * d * horizon / beta))
    return Plan("counters", 2 * bound if select else bound, 1, horizon)


def make_plans(
    select: bool, mechanism: str, d: int, horizon: int, budget: Budget, neighbours: str, beta: float
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
            plans.append(counters_plan(select, d, horizon, budget, beta))
        except ArgumentError:  # noise beyond the sampler: only where blocks would win anyway
            if mechanism == "counters":
                raise
    return sorted(plans, key=lambda plan: plan.bound)
