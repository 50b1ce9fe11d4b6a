"""Statistics of a game: functions that are large where the left stream seems likelier.

Each is fitted to games of its own; which one is used is decided on other games, and what it proves comes
from a third set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dpkit.audit import features
from dpkit.audit.game import Array, Plays, StreamMechanism

__all__ = ["STATISTICS", "Score", "Statistic"]

Score = Callable[[Plays], NDArray[np.float64]]
Statistic = Callable[[Plays, Plays, StreamMechanism], Score]

_BINS = np.linspace(0.0, 1.0, 17)[1:-1]


def last_answer(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
    """Score by the last answer's residual."""
    return lambda plays: features.residuals(plays, mechanism)[:, -1].sum(axis=1)


def sum_of_answers(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
    """Score by the sum of all residuals."""
    return lambda plays: features.residuals(plays, mechanism).sum(axis=(1, 2))


def answer_to_challenge(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
    """Score by how much the answer moved on the challenge."""

    def score(plays: Plays) -> NDArray[np.float64]:
        values = features.residuals(plays, mechanism)
        moved = np.diff(values, axis=1, prepend=0.0)
        return moved[np.arange(plays.runs), plays.challenge].sum(axis=1)

    return score


def likelihood_ratio(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
    """Score by the exact likelihood ratio, where the mechanism brings one."""
    if mechanism.log_ratio is None:
        return lambda plays: np.zeros(plays.runs)
    return mechanism.log_ratio


def learned_linear(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
    """Score by the linear function that separates the fitting games best: inverse covariance times shift.

    Directions without noise get weights without limit, which is how reused noise is found.
    """
    sides = [features.linear(p, mechanism) for p in (left, right)]
    pooled = np.concatenate(sides)
    centre = pooled.mean(axis=0)
    scale = np.maximum(np.quantile(np.abs(pooled - centre), 0.9, axis=0), 1e-12)
    sides = [np.clip((s - centre) / scale, -50.0, 50.0) for s in sides]
    shift = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    spread = sum(np.cov(s, rowvar=False) for s in sides) / 2.0
    spread = np.atleast_2d(spread)
    weights = np.linalg.solve(spread + 1e-9 * (1.0 + np.trace(spread)) * np.eye(len(shift)), shift)

    def score(plays: Plays) -> NDArray[np.float64]:
        rows = np.clip((features.linear(plays, mechanism) - centre) / scale, -50.0, 50.0)
        return np.asarray(rows @ weights, dtype=np.float64)

    return score


class _Table:
    """Log ratios of binned frequencies, one table for each feature; heavy values have bins of their own."""

    def __init__(self, left: Array, right: Array) -> None:
        pooled = np.concatenate([left, right])
        self._edges, self._ratios, self.gains = [], [], np.zeros(pooled.shape[1])
        for j in range(pooled.shape[1]):
            cuts = np.quantile(pooled[:, j], _BINS, method="lower")
            edges = np.unique(np.concatenate([cuts, np.nextafter(cuts, -np.inf)]))
            counts = [
                np.bincount(np.searchsorted(edges, side[:, j]), minlength=edges.size + 1) + 0.5
                for side in (left, right)
            ]
            p, q = (c / c.sum() for c in counts)
            self._edges.append(edges)
            self._ratios.append(np.log(p / q))
            self.gains[j] = ((p - q) * np.log(p / q)).sum()

    def ratio(self, rows: Array, j: int) -> Array:
        """Return the log ratio of feature j in each row."""
        return np.asarray(self._ratios[j][np.searchsorted(self._edges[j], rows[:, j])], dtype=np.float64)


def best_feature(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
    """Score by the one number whose distributions differ most between the fitting games."""
    sides = [features.families(p, mechanism) for p in (left, right)]
    made = {name: _Table(sides[0][name], sides[1][name]) for name in sides[0]}
    family = max(made, key=lambda name: float(made[name].gains.max()))
    best = int(np.argmax(made[family].gains))
    return lambda plays: made[family].ratio(features.families(plays, mechanism)[family], best)


def ratios_of(family: str) -> Statistic:
    """Return the statistic that adds up the log ratios of a family of features."""

    def statistic(left: Plays, right: Plays, mechanism: StreamMechanism) -> Score:
        made = _Table(*(features.families(p, mechanism)[family] for p in (left, right)))
        telling = np.flatnonzero(made.gains >= made.gains.max() / 8.0)[:64]

        def score(plays: Plays) -> NDArray[np.float64]:
            rows = features.families(plays, mechanism)[family]
            return np.sum([made.ratio(rows, int(j)) for j in telling], axis=0)

        return score

    return statistic


STATISTICS: dict[str, Statistic] = {
    "last answer": last_answer,
    "sum of answers": sum_of_answers,
    "answer to the challenge": answer_to_challenge,
    "likelihood ratio": likelihood_ratio,
    "learned: linear": learned_linear,
    "learned: best feature": best_feature,
    "learned: increments": ratios_of("increments"),
    "learned: nodes": ratios_of("nodes"),
}
