"""Audits of streaming mechanisms: many games against many adversaries, and what they prove together."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from dpkit.audit.adversaries import standard_adversaries
from dpkit.audit.events import OBJECTIVES, Event, Proof, best_events, certify
from dpkit.audit.game import Adversary, Plays, StreamMechanism, each, play_many
from dpkit.audit.scores import STATISTICS, Score, Statistic
from dpkit.errors import ArgumentError
from dpkit.guarantee import GDP, ApproxDP, Guarantee, PureDP

__all__ = ["Evidence", "StreamReport", "audit_stream"]

_FEWEST = 400


@dataclass(frozen=True)
class Evidence:
    """What one adversary proves with one statistic.

    Args:
        adversary, statistic: who, and how its games were scored.
        objective: `epsilon` (at the report's delta), `rho` or `mu`.
        bound: certified lower bound.
        estimate: the plain estimate.
        upper: upper bound on what this attack can prove with any number of games.
        shares: how often the chosen event happened on the two sides.
    """

    adversary: str
    statistic: str
    objective: str
    bound: float
    estimate: float
    upper: float
    shares: tuple[float, float]


@dataclass(frozen=True)
class StreamReport:
    """The strongest evidence against a streaming mechanism; `print` it, or take `to_json()`.

    Args:
        mechanism: its name.
        promised: its guarantee.
        delta: what `epsilon` is taken at.
        evidence: certified bounds of the finalists.
        confidence: all of them hold together with at least this probability.
        adversaries: how many were tried.
        games: how many games were played in all.
        refusals: adversaries whose second continuation was refused.
        seconds: time taken.
    """

    mechanism: str
    promised: Guarantee
    delta: float
    evidence: tuple[Evidence, ...]
    confidence: float
    adversaries: int
    games: int
    refusals: tuple[str, ...]
    seconds: float

    def _best(self, objective: str) -> Evidence:
        return max((e for e in self.evidence if e.objective == objective), key=lambda e: e.bound)

    @property
    def epsilon(self) -> float:
        """Certified lower bound on epsilon at `delta`."""
        return self._best("epsilon").bound

    @property
    def rho(self) -> float:
        """Certified lower bound on rho of zCDP."""
        return self._best("rho").bound

    @property
    def mu(self) -> float:
        """Certified lower bound on mu of Gaussian DP."""
        return self._best("mu").bound

    @property
    def mu_estimate(self) -> tuple[float, float, float]:
        """(low, estimate, high) of mu for the best attack; `high` bounds the attack, not the mechanism."""
        best = self._best("mu")
        return best.bound, best.estimate, best.upper

    @property
    def violated(self) -> bool:
        """Whether the evidence contradicts the promise."""
        return bool(self.violations)

    @property
    def violations(self) -> tuple[Evidence, ...]:
        """The evidence that contradicts the promise."""
        return tuple(e for e in self.evidence if e.bound > _promise(self.promised, e.objective, self.delta))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, for JSON; what is infinite becomes null."""
        return {
            "mechanism": self.mechanism,
            "promised": self.promised.to_dict(),
            "violated": self.violated,
            "delta": self.delta,
            "epsilon": _plain(self.epsilon),
            "rho": _plain(self.rho),
            "mu": [_plain(m) for m in self.mu_estimate],
            "confidence": self.confidence,
            "adversaries": self.adversaries,
            "games": self.games,
            "refusals": list(self.refusals),
            "seconds": self.seconds,
            "evidence": [
                {**vars(e), **{k: _plain(getattr(e, k)) for k in ("bound", "estimate", "upper")}}
                for e in self.evidence
            ],
        }

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        low, estimate, high = self.mu_estimate
        verdict = "PROMISE BROKEN" if self.violated else "nothing found against the promise"
        lines = [
            f"{self.mechanism}, promising {self.promised!r}: {verdict}",
            f"  epsilon >= {self.epsilon:.3g} at delta = {self.delta:.3g}; rho >= {self.rho:.3g}; "
            f"mu >= {low:.3g} (estimate {estimate:.3g}, at most {high:.3g} by this attack)",
            f"  {self.games} games, {self.adversaries} adversaries, confidence {self.confidence:.9g}, "
            f"{self.seconds:.1f} s",
        ]
        for e in self.violations:
            lines.append(f"  {e.objective} >= {e.bound:.3g} by {e.adversary!r}, {e.statistic}")
        lines += [f"  refused to be continued twice: {name}" for name in self.refusals]
        return "\n".join(lines)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _promise(promised: Guarantee, objective: str, delta: float) -> float:
    """Return the largest value of the objective that the promise allows; inf where it says nothing."""
    if objective == "epsilon":
        return promised.epsilon_at(delta)
    if objective == "rho":
        return math.inf if promised.rho is None else promised.rho
    return float(promised.mu) if isinstance(promised, GDP) else math.inf


@dataclass(frozen=True)
class _Candidate:
    adversary: Adversary
    statistic: str
    score: Score
    objective: str
    event: Event


def audit_stream(
    mechanism: StreamMechanism,
    adversaries: Sequence[Adversary | Callable[..., Any]] | None = None,
    *,
    steps: int | None = None,
    runs: int = 4000,
    delta: float | None = None,
    confidence: float = 0.999999,
    statistics: Mapping[str, Statistic] | None = None,
    finalists: int = 2,
    seed: int | None = None,
    progress: bool | None = None,
) -> StreamReport:
    """Play the adaptive game against a streaming mechanism and return the strongest evidence against it.

    Every adversary plays runs/2 games on each side for training: statistics are fitted to one half of these,
    the event that looks strongest is chosen on the other half. The `finalists` adversaries that look
    strongest for each objective play runs/2 fresh games a side, and only these are counted in the certified
    bounds.

    Args:
        mechanism: from `adapt`, `shipped` or `planted`.
        adversaries: the players; functions from the answers so far to a move are taken too. None takes
            `standard_adversaries`.
        steps: length of the games of standard adversaries and of functions; None takes the mechanism's.
        runs: games a side, half to train and half to measure.
        delta: for epsilon; None takes the promised delta (0 where there is none).
        confidence: probability with which all bounds of the report hold together. It is split over the
            bounds that are certified; nothing that was tried in training costs confidence.
        statistics: named statistics; None takes `STATISTICS`.
        finalists: adversaries measured for each objective.
        seed: of the adversaries' coins; the mechanism's noise is its own.
        progress: show progress on standard error; None shows it where that is a terminal.

    Returns:
        StreamReport; `.violated` says whether the promise is refuted. Not refuted is no proof of privacy.

    Raises:
        ArgumentError: too few runs, no adversary, or an adversary whose streams are no neighbours.

    Source: Jagielski, Ullman, Oprea 2020 (bounds from events); the adaptive game of Jain and others 2023.

    >>> import dpkit
    >>> from dpkit.audit import audit_stream, shipped
    >>> counter = shipped(dpkit.Counter, rho=0.5, horizon=4, mechanism="binary")
    >>> audit_stream(counter, steps=4, runs=400).violated
    False
    """
    if runs < _FEWEST or finalists < 1:
        raise ArgumentError(
            f"runs must be at least {_FEWEST} and finalists at least 1, got {runs} and {finalists}"
        )
    if not 0.0 < confidence < 1.0:
        raise ArgumentError(f"confidence must lie in (0, 1), got {confidence!r}")
    if adversaries is None:
        adversaries = standard_adversaries(mechanism, steps)
    length = mechanism.steps if steps is None else steps
    players = [a if isinstance(a, Adversary) else each(a, length, mechanism.neutral) for a in adversaries]
    if not players:
        raise ArgumentError("adversaries must hold at least one adversary, got none")
    promised = mechanism.guarantee
    if delta is None:
        delta = promised.delta if isinstance(promised, ApproxDP) else 0.0
    started = time.perf_counter()
    coins = np.random.default_rng(seed)
    objectives = _objectives(promised)
    bounds_wanted = 2 * len(objectives) * min(finalists, len(players))
    error = (1.0 - confidence) / bounds_wanted
    z = NormalDist().inv_cdf(1.0 - max(error, 1e-12))
    candidates: list[_Candidate] = []
    refusals = []
    for player in _shown(players, "training", progress):
        sides = [play_many(mechanism, player, runs // 2, side, int(coins.integers(2**63))) for side in _SIDES]
        refusals += [player.name] if sides[0].refused else []
        candidates += _train(mechanism, player, sides, statistics or STATISTICS, objectives, delta, z)
    evidence, measured = [], 0
    chosen = {o: _finalists(candidates, o, finalists) for o in objectives}
    fresh: dict[int, list[Plays]] = {}
    for candidate in _shown([c for o in objectives for c in chosen[o]], "measuring", progress):
        key = id(candidate.adversary)
        if key not in fresh:
            fresh[key] = [
                play_many(mechanism, candidate.adversary, runs // 2, side, int(coins.integers(2**63)))
                for side in _SIDES
            ]
            measured += 1
        proof = _measure(candidate, fresh[key], delta, error)
        evidence.append(
            Evidence(
                candidate.adversary.name,
                candidate.statistic,
                candidate.objective,
                proof.value,
                proof.estimate,
                proof.upper,
                proof.shares,
            )
        )
    games = 2 * (runs // 2) * (len(players) + measured)
    return StreamReport(
        mechanism.name,
        promised,
        delta,
        tuple(evidence),
        confidence,
        len(players),
        games,
        tuple(refusals),
        time.perf_counter() - started,
    )


_SIDES = ("left", "right")


def _objectives(promised: Guarantee) -> tuple[str, ...]:
    """Return what to look for, the promise's own measure first."""
    own = "mu" if isinstance(promised, GDP) else "rho"
    if isinstance(promised, PureDP | ApproxDP):
        own = "epsilon"
    return (own, *(o for o in OBJECTIVES if o != own))


def _train(
    mechanism: StreamMechanism,
    player: Adversary,
    sides: list[Plays],
    statistics: Mapping[str, Statistic],
    objectives: tuple[str, ...],
    delta: float,
    z: float,
) -> list[_Candidate]:
    """Fit every statistic to half of the games and choose, for each objective, the best event on the rest."""
    half = sides[0].runs // 2
    fit = [_part(plays, slice(None, half)) for plays in sides]
    rest = [_part(plays, slice(half, None)) for plays in sides]
    found = []
    for name, statistic in statistics.items():
        score = statistic(fit[0], fit[1], mechanism)
        left, right = score(rest[0]), score(rest[1])
        for objective, event in best_events(left, right, objectives, delta, z).items():
            found.append(_Candidate(player, name, score, objective, event))
    return [max((c for c in found if c.objective == o), key=lambda c: c.event.value) for o in objectives]


def _part(plays: Plays, rows: slice) -> Plays:
    return Plays(plays.answers[rows], plays.left[rows], plays.right[rows], plays.refused)


def _finalists(candidates: list[_Candidate], objective: str, count: int) -> list[_Candidate]:
    own = [c for c in candidates if c.objective == objective]
    return sorted(own, key=lambda c: -c.event.value)[:count]


def _measure(candidate: _Candidate, sides: list[Plays], delta: float, error: float) -> Proof:
    left, right = candidate.score(sides[0]), candidate.score(sides[1])
    return certify(candidate.event, left, right, candidate.objective, delta, error)


def _shown(items: list[Any], what: str, progress: bool | None) -> Iterable[Any]:
    """Return the items, with a progress bar on standard error where wanted."""
    wanted = sys.stderr.isatty() if progress is None else progress
    if not wanted or len(items) < 2:
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, description=what, console=Console(stderr=True), transient=True)
