"""Events that tell two sides apart: chosen on some games, certified on others.

An event is {score > threshold}. It is chosen where a pessimistic estimate of the loss it proves is largest;
what is reported comes from fresh games and from Clopper-Pearson bounds, so the choice may be as greedy as it
likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpkit.audit.statistics import clopper_pearson, epsilon_lower_bound, mu_lower_bound, rho_lower_bound

__all__ = ["OBJECTIVES", "Event", "Proof", "best_event", "best_events", "certify"]

OBJECTIVES = ("epsilon", "rho", "mu")
_TAIL = np.linspace(0.002, 0.05, 25)
_LEVELS = np.concatenate([_TAIL, np.linspace(0.06, 0.94, 89), 1.0 - _TAIL[::-1]])
_ORDERS = 1.0 + 2.0 ** np.arange(-6.0, 8.5, 0.5)


@dataclass(frozen=True)
class Event:
    """{sign * score > threshold}, claimed to be likelier on one side.

    Args:
        threshold, sign: the event.
        on_left: whether it is likelier on the left.
        value: what it seemed to prove when it was chosen.
    """

    threshold: float
    sign: float
    on_left: bool
    value: float


@dataclass(frozen=True)
class Proof:
    """What fresh games say about an event.

    Args:
        value: certified lower bound of the objective.
        estimate: the plain estimate from the two shares; no bound.
        upper: upper bound on what this event proves, however many games are played; not on the mechanism.
        shares: how often the event happened on the side where it is likelier, and on the other.
    """

    value: float
    estimate: float
    upper: float
    shares: tuple[float, float]


def _wilson_low(shares: NDArray[np.float64], trials: int, z: float) -> NDArray[np.float64]:
    centre = shares + z * z / (2 * trials)
    radius = z * np.sqrt(shares * (1.0 - shares) / trials + z * z / (4 * trials * trials))
    return np.clip((centre - radius) / (1.0 + z * z / trials), 0.0, 1.0)


def _probit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a quick inverse of the normal distribution function, for choosing only (error below 5e-4)."""
    tail = np.clip(np.minimum(p, 1.0 - p), 1e-12, 0.5)
    r = np.sqrt(-2.0 * np.log(tail))
    top = 2.515517 + r * (0.802853 + r * 0.010328)
    z = r - top / (1.0 + r * (1.432788 + r * (0.189269 + r * 0.001308)))
    return np.where(p < 0.5, -z, z)


def _losses(
    low: NDArray[np.float64], high: NDArray[np.float64], objective: str, delta: float
) -> NDArray[np.float64]:
    """Return the loss that event probabilities >= low here and <= high there prove; arrays, for choosing."""
    high = np.clip(high, 1e-12, 1.0)
    low = np.clip(low, 1e-12, 1.0)
    if objective == "epsilon":
        return np.log(np.maximum(low - delta, 1e-12) / high)
    if objective == "mu":
        return _probit(low) - _probit(high)
    orders = _ORDERS[:, None]
    first = orders * np.log(low) + (1.0 - orders) * np.log(high)
    rest = orders * np.log1p(-np.minimum(low, 1 - 1e-12)) + (1.0 - orders) * np.log1p(
        -np.minimum(high, 1 - 1e-12)
    )
    values = np.logaddexp(first, rest) / ((orders - 1.0) * orders)
    return np.where(low > high, values.max(axis=0), 0.0)


def best_events(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    objectives: Sequence[str],
    delta: float,
    z: float = 3.0,
) -> dict[str, Event]:
    """Return, for each objective, the event whose pessimistic loss is largest on these scores.

    Args:
        left, right: (n,), (m,) scores of games that will not be used to certify.
        objectives: among `epsilon` (at delta), `rho` and `mu`.
        delta: of epsilon.
        z: how many standard errors of pessimism.
    """
    best = dict.fromkeys(objectives, Event(math.inf, 1.0, True, -math.inf))
    for sign in (1.0, -1.0):
        one, two = np.sort(sign * left), np.sort(sign * right)
        pooled = np.sort(np.concatenate([one, two]))
        thresholds = np.unique(pooled[(_LEVELS * (pooled.size - 1)).astype(np.int64)])
        below = [np.searchsorted(s, thresholds, side="right") / s.size for s in (one, two)]
        sizes = (one.size, two.size)
        for on_left in (True, False):
            here, there = (0, 1) if on_left else (1, 0)
            low = _wilson_low(1.0 - below[here], sizes[here], z)
            high = 1.0 - _wilson_low(below[there], sizes[there], z)
            for objective in objectives:
                values = _losses(low, high, objective, delta)
                at = int(np.argmax(values))
                if values[at] > best[objective].value:
                    best[objective] = Event(float(thresholds[at]), sign, on_left, float(values[at]))
    return best


def best_event(
    left: NDArray[np.float64], right: NDArray[np.float64], objective: str, delta: float, z: float = 3.0
) -> Event:
    """Return the best event for one objective; see `best_events`."""
    return best_events(left, right, [objective], delta, z)[objective]


def _bound(objective: str, delta: float) -> Callable[[float, float], float]:
    if objective == "epsilon":
        return lambda low, high: epsilon_lower_bound(low, high, delta)
    return rho_lower_bound if objective == "rho" else mu_lower_bound


def certify(
    event: Event,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    objective: str,
    delta: float,
    error: float,
) -> Proof:
    """Return what scores of fresh games prove; `value` exceeds the truth with probability at most 2 error.

    Args:
        event: chosen without these scores.
        left, right: scores of fresh games.
        objective, delta: as for `best_event`.
        error: failure probability of each of the two Clopper-Pearson bounds used.
    """
    sides = [event.sign * s for s in ((left, right) if event.on_left else (right, left))]
    hits = [int((s > event.threshold).sum()) for s in sides]
    bounds = [clopper_pearson(h, s.size, error) for h, s in zip(hits, sides, strict=True)]
    shares = (hits[0] / sides[0].size, hits[1] / sides[1].size)
    loss = _bound(objective, delta)
    return Proof(loss(bounds[0][0], bounds[1][1]), loss(*shares), loss(bounds[0][1], bounds[1][0]), shares)
