"""Planted bugs: streaming mechanisms that break their promise in known ways, and honest ones beside them.

An auditor is only as good as the faults it finds, so these come with the library: run your own statistics or
adversaries against them before you trust a clean report. All of them are counters of numbers in [0, 1] built
on a binary tree, many runs at once; noise is drawn exactly, from the operating system, by `dpkit.noise`.

*Privacy*: none. Nothing here is for use on data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dpkit.audit.adapters import running_sum
from dpkit.audit.game import Array, StreamMechanism
from dpkit.audit.laws import gaussian_log_ratio, prefix_nodes
from dpkit.errors import ArgumentError
from dpkit.guarantee import ZCDP, ApproxDP, Guarantee, PureDP
from dpkit.noise import OSNoise, rational_up

__all__ = ["ADAPTIVE", "BUGS", "index_trap", "planted"]

UNIT = 1 << 20
"""Grid units in 1.0."""


@dataclass(frozen=True)
class _Bug:
    """How a tree is broken.

    Args:
        about: what is wrong, for readers.
        factor: on the noise's standard deviation.
        law: `gaussian`, `laplace`, or `float laplace`: textbook noise in floating point.
        noise: how the noise of the nodes of one run, (runs, steps), is spoiled before use.
        relation: what is promised.
        clip: whether elements are clipped.
        forks: a state may be continued twice.
        skips_empty: nodes with exact sum 0 get no noise.
        seed: the generator's seed is a constant.
        rho: what is promised, for gaussian noise; epsilon = sqrt(2 rho) for laplace.
        per_step: noise goes on prefixes, each calibrated as if it were the only answer.
        raises: NaN raises in the middle of the stream.
        horizon: steps by default; short where a short stream shows the fault best.
    """

    about: str
    factor: float = 1.0
    law: str = "gaussian"
    noise: Callable[[Array], Array] | None = None
    relation: str = "zero-out"
    clip: bool = True
    forks: bool = False
    skips_empty: bool = False
    seed: bool = False
    rho: float = 0.5
    per_step: bool = False
    raises: bool = False
    horizon: int = 8


def _levels_shared(noise: Array) -> Array:
    """Give all nodes of a level the level's first noise."""
    out = noise.copy()
    for t in range(1, noise.shape[1] + 1):
        out[:, t - 1] = noise[:, (t & -t) - 1]
    return out


def _keys_collide(noise: Array) -> Array:
    """Give node (level, index) the noise that belongs to level + index."""
    out = noise.copy()
    for t in range(1, noise.shape[1] + 1):
        level = (t & -t).bit_length() - 1
        out[:, t - 1] = noise[:, min(level + (t >> (level + 1)), noise.shape[1] - 1)]
    return out


def _restarted(noise: Array) -> Array:
    """Draw the first half of the nodes' noise and use it again: the generator restarts in the middle."""
    half = (noise.shape[1] + 1) // 2
    return np.concatenate([noise[:, :half], noise[:, : noise.shape[1] - half]], axis=1)


def _first(noise: Array) -> Array:
    """Use the first noise everywhere."""
    return np.repeat(noise[:, :1], noise.shape[1], axis=1)


def _without(place: int) -> Callable[[Array], Array]:
    """Leave the noise of one node out: the one completed at this step (0-based; -1 is the last)."""

    def spoil(noise: Array) -> Array:
        out = noise.copy()
        out[:, place] = 0.0
        return out

    return spoil


_BUGS: dict[str, _Bug] = {
    "none": _Bug("an honest binary tree, zCDP"),
    "none, pure": _Bug("an honest binary tree, pure epsilon", law="laplace", horizon=2),
    "noise halved": _Bug("half the standard deviation", factor=0.5),
    "noise halved, pure": _Bug("half the Laplace scale", law="laplace", factor=0.5, horizon=2),
    "variance for deviation": _Bug(
        "the variance passed where the deviation belongs, large rho", factor=-1.0, rho=2.5, horizon=2
    ),
    "levels forgotten": _Bug("calibrated for one node, not for all levels", factor=-2.0),
    "replace as zero-out": _Bug(
        "elements in [-1, 1] replaced, paid for as zeroed out", factor=0.5, relation="replace"
    ),
    "levels share noise": _Bug("one noise for each level, never refreshed", noise=_levels_shared),
    "keys collide": _Bug("noise keyed by level + index", noise=_keys_collide),
    "generator restarts": _Bug("the noise of the first half comes again in the second", noise=_restarted),
    "one noise for all answers": _Bug(
        "noise drawn once and added to every prefix", noise=_first, per_step=True
    ),
    "root without noise": _Bug("no noise on the last node", noise=_without(-1)),
    "leaf without noise": _Bug("no noise on the first leaf", noise=_without(0)),
    "noise never negative": _Bug("noise rejected until it is positive", noise=np.abs),
    "empty nodes skipped": _Bug("no noise on nodes whose sum is zero", skips_empty=True),
    "float noise": _Bug("textbook Laplace noise in floating point", law="float laplace", horizon=2),
    "seed constant": _Bug("every run has the same noise", seed=True),
    "state continued twice": _Bug("a checkpoint can be continued twice", forks=True),
    "not clipped": _Bug("elements outside the bounds are let through", clip=False),
    "composition forgotten": _Bug("fresh noise for each prefix, each as if alone", per_step=True),
    "error tells": _Bug("NaN raises", raises=True),
}
BUGS: dict[str, str] = {name: bug.about for name, bug in _BUGS.items()}
"""Names for `planted`, and what is wrong; those that begin with `none` are honest."""
ADAPTIVE = "index trap"


class _Trees:
    """Runs of one broken tree: exact sums in grid units, answers in units of 1.0."""

    def __init__(self, bug: _Bug, runs: int, steps: int, noise: Array) -> None:
        self._bug, self._runs, self._steps, self._noise = bug, runs, steps, noise
        self._matrix = prefix_nodes(steps)
        self._given = np.zeros((runs, 0))
        self._silent = np.zeros(runs, dtype=np.bool_)

    def step(self, xs: Array) -> Array:
        t = self._given.shape[1] + 1
        if t > self._steps:
            raise ArgumentError(f"this planted counter takes {self._steps} steps: pass a larger horizon")
        low = -1.0 if self._bug.relation == "replace" else 0.0
        if self._bug.raises:
            self._silent |= np.isnan(xs)
        clean = np.nan_to_num(np.clip(xs, low, 1.0) if self._bug.clip else np.clip(xs, -1e6, 1e6))
        units = np.rint(clean * UNIT)
        self._given = np.concatenate([self._given, units[:, None]], axis=1)
        noise = self._noise
        if self._bug.skips_empty:
            ends = np.arange(1, t + 1)
            prefix = np.concatenate([np.zeros((self._runs, 1)), np.cumsum(self._given, axis=1)], axis=1)
            empty = prefix[:, 1:] == prefix[:, ends - (ends & -ends)]
            noise = np.where(np.pad(empty, ((0, 0), (0, self._steps - t))), 0.0, noise)
        noises = noise[:, t - 1] if self._bug.per_step else noise @ self._matrix[t - 1]
        answers = (self._given.sum(axis=1) + noises) / UNIT
        return np.where(self._silent, np.nan, answers)[:, None]

    def steps(self, xs: Array) -> Array | None:
        return None

    def fork(self) -> _Trees | None:
        if not self._bug.forks:
            return None
        other = _Trees(self._bug, self._runs, self._steps, self._noise)
        other._given = self._given.copy()
        return other


def _scale(bug: _Bug, steps: int) -> float:
    """Return the broken noise scale in grid units: a deviation, or a Laplace scale."""
    levels, width = steps.bit_length(), 2.0 if bug.relation == "replace" else 1.0
    if bug.law == "gaussian":
        honest = width * math.sqrt(levels / (2.0 * bug.rho))
    else:
        honest = width * levels / math.sqrt(2.0 * bug.rho)
    alone = honest / (math.sqrt(levels) if bug.law == "gaussian" else levels)
    if bug.per_step or bug.factor == -2.0:
        return alone * UNIT
    return (honest**2 if bug.factor == -1.0 else bug.factor * honest) * UNIT


def _draw(bug: _Bug, runs: int, steps: int) -> Array:
    scale = _scale(bug, steps)
    if bug.law == "float laplace":
        rng = np.random.default_rng()
        noise: Array = scale * rng.laplace(size=(runs, steps))
    elif bug.law == "laplace":
        noise = OSNoise().discrete_laplace(rational_up(scale), (runs, steps)).astype(np.float64)
    else:
        variance = rational_up(scale * scale)
        noise = OSNoise().discrete_gaussian(variance, (runs, steps)).astype(np.float64)
    if bug.seed:
        same = np.random.default_rng(7).normal(scale=scale, size=steps).round()
        noise = np.broadcast_to(same, (runs, steps))
    return noise if bug.noise is None else bug.noise(noise)


def planted(bug: str = "none", horizon: int | None = None) -> StreamMechanism:
    """Return a binary-tree counter with this bug, as the audit plays it.

    Args:
        bug: one of `BUGS`; `none` and `none, pure` are honest.
        horizon: number of steps; None takes the one that shows the bug best, `.steps` of the result.

    >>> planted("noise halved").guarantee
    ZCDP(rho=0.5, neighbours='zero-out')
    """
    if bug not in _BUGS:
        raise ArgumentError(f"bug must be one of {', '.join(_BUGS)}, got {bug!r}")
    kind = _BUGS[bug]
    steps = kind.horizon if horizon is None else horizon
    if steps < 1:
        raise ArgumentError(f"horizon must be at least 1, got {horizon!r}")
    promised: Guarantee = ZCDP(kind.rho, kind.relation)
    if kind.law != "gaussian":
        promised = PureDP(math.sqrt(2.0 * kind.rho), kind.relation)
    honest = replace(kind, factor=1.0)
    low = -1.0 if kind.relation == "replace" else 0.0
    nodes = prefix_nodes(steps)
    covariance = nodes @ nodes.T * (_scale(honest, steps) / UNIT) ** 2
    truth = running_sum((low, 1.0))
    return StreamMechanism(
        bug,
        promised,
        lambda runs: _Trees(kind, runs, steps, _draw(kind, runs, steps)),
        truth=truth,
        log_ratio=gaussian_log_ratio(covariance, truth),  # of the honest tree
        steps=steps,
        bounds=(low, 1.0),
    )


class _Traps:
    """Runs of the index trap."""

    def __init__(self, runs: int, size: int) -> None:
        self._secret = np.random.default_rng().integers(1, size + 1, size=runs)
        self._started = False

    def step(self, xs: Array) -> Array:
        if not self._started:
            self._started = True
            return self._secret[:, None].astype(np.float64)
        return (xs == self._secret)[:, None].astype(np.float64)

    def steps(self, xs: Array) -> Array | None:
        return None

    def fork(self) -> None:
        return None


def index_trap(size: int = 1 << 16) -> StreamMechanism:
    """Return a mechanism that is private on every fixed stream, and not at all on adaptive ones.

    Step 1 publishes a random index i in 1..size; every later answer is 1 where the element equals i, else 0.
    On two fixed neighbouring streams the answers agree unless i is one of the two elements on which they
    differ: (0, 2/size)-DP. An adversary that has seen i plays it, and the next answer names the side.

    >>> index_trap(64).guarantee
    ApproxDP(epsilon=0.0, delta=0.03125, neighbours='zero-out', rho=None)
    """
    return StreamMechanism(
        ADAPTIVE, ApproxDP(0.0, 2.0 / size, "zero-out"), lambda runs: _Traps(runs, size), steps=4
    )
