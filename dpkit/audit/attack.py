"""The distinguishing game: many releases of two neighbouring data sets, and what telling them apart proves.

Half of the releases choose the attack (which statistic, which threshold, which direction), the other half
measure it, so the bounds are honest whatever was tried.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.audit.events import best_event, certify
from dpkit.errors import ArgumentError
from dpkit.guarantee import ApproxDP, Guarantee, PureDP

__all__ = ["AuditReport", "Mechanism", "audit"]

Pair = tuple[str, NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Mechanism:
    """A mechanism as an adversary sees it.

    Args:
        name: for reports.
        guarantee: what it promises.
        run: (records, runs) -> (runs, k) array of independent releases.
        centre: records -> (k,) the exact vector before noise; None where it is unknown (medians stand in).
    """

    name: str
    guarantee: Guarantee
    run: Callable[[NDArray[Any], int], NDArray[Any]]
    centre: Callable[[NDArray[Any]], NDArray[Any]] | None = None


@dataclass(frozen=True)
class AuditReport:
    """The strongest evidence found.

    Args:
        mechanism: its name.
        promised: its guarantee.
        epsilon: lower bound on epsilon at the promised delta.
        rho: lower bound on rho.
        pair, statistic: where the larger violation, or the larger bound, was found.
        confidence: both bounds hold with at least this probability.
    """

    mechanism: str
    promised: Guarantee
    epsilon: float
    rho: float
    pair: str
    statistic: str
    confidence: float

    @property
    def violated(self) -> bool:
        """Whether the evidence contradicts the promise."""
        if isinstance(self.promised, PureDP | ApproxDP) and self.epsilon > self.promised.epsilon:
            return True
        return self.promised.rho is not None and self.rho > self.promised.rho


def _statistics(
    mechanism: Mechanism, pair: Pair, first: NDArray[Any], second: NDArray[Any]
) -> Iterator[tuple[str, Callable[[NDArray[Any]], NDArray[np.float64]]]]:
    """Yield named scores, large where the first data set is likelier, built from training releases alone."""
    if mechanism.centre is None:
        a, b = np.median(first, axis=0), np.median(second, axis=0)
    else:
        a, b = mechanism.centre(pair[1]).astype(np.float64), mechanism.centre(pair[2]).astype(np.float64)
    spread = np.median(np.abs(second - b), axis=0) + np.median(np.abs(first - a), axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    yield "laplace likelihood ratio", lambda z: (((np.abs(z - b)) - np.abs(z - a)) / scale).sum(axis=1)
    yield "projection on the difference", lambda z: (z * ((a - b) / scale**2)).sum(axis=1)
    yield (
        "coordinates without noise",
        lambda z: (z == a).sum(axis=1) - (z == b).sum(axis=1) + 0.0,
    )


def audit(
    mechanism: Mechanism, pairs: Sequence[Pair], runs: int = 20_000, confidence: float = 0.999
) -> AuditReport:
    """Play the distinguishing game on every pair and return the strongest evidence against the promise.

    Args:
        mechanism: the mechanism under audit.
        pairs: (name, records, neighbouring records).
        runs: releases drawn from each side of each pair; half choose the attack, half measure it.
        confidence: probability with which all bounds of the report hold together.

    Returns:
        AuditReport; `.violated` says whether the promise is refuted. Not refuted is no proof of privacy.

    Raises:
        ArgumentError: no pairs, or fewer than 100 runs.

    Source: Jagielski, Ullman, Oprea 2020 (lower bounds from events), with Renyi divergences of coins for
    zCDP.
    """
    if not pairs or runs < 100:
        raise ArgumentError(f"audit needs at least one pair and 100 runs, got {len(pairs)} and {runs}")
    promised = mechanism.guarantee
    delta = promised.delta if isinstance(promised, ApproxDP) else 0.0
    error = (1.0 - confidence) / (4 * len(pairs))  # two objectives, two bounds each
    half = runs // 2
    best = dict.fromkeys(("epsilon", "rho"), (-np.inf, "", ""))
    for pair in pairs:
        outputs = [np.asarray(mechanism.run(records, runs)) for records in pair[1:]]
        train, test = [z[:half] for z in outputs], [z[half:] for z in outputs]
        scores = list(_statistics(mechanism, pair, *train))
        for objective in best:
            choices = [
                (best_event(score(train[0]), score(train[1]), objective, delta), name, score)
                for name, score in scores
            ]
            event, name, score = max(choices, key=lambda choice: choice[0].value)
            bound = certify(event, score(test[0]), score(test[1]), objective, delta, error).value
            if bound > best[objective][0]:
                best[objective] = (bound, pair[0], name)
    epsilon, rho = best["epsilon"], best["rho"]
    shown = rho if promised.rho is not None and rho[0] > promised.rho else epsilon
    return AuditReport(mechanism.name, promised, epsilon[0], rho[0], shown[1], shown[2], confidence)
