"""The adaptive continual-release game: an adversary sees every answer before it chooses the next elements.

A secret side is drawn, left or right. At every step the adversary, who knows the answers so far, names two
elements; the mechanism gets the one of its side. Where the two are equal the step is regular, where they
differ it is a challenge; the two streams must stay neighbours. Many games run in step, as arrays.

Source: Jain, Raskhodnikova, Sivakumar, Smith, "The Price of Differential Privacy under Continual Observation"
(2023), the adaptive model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dpkit.errors import ArgumentError
from dpkit.guarantee import Guarantee

__all__ = [
    "Adversary",
    "Challenge",
    "Plays",
    "Regular",
    "Session",
    "Stop",
    "StreamMechanism",
    "Transcript",
    "each",
    "play",
    "play_many",
]

Array = NDArray[np.float64]
Moves = Callable[[int, Array], tuple[Any, Any]]
SIDES = ("left", "right")


@dataclass(frozen=True)
class Regular:
    """A step on which both streams have the same element."""

    x: Any


@dataclass(frozen=True)
class Challenge:
    """A step on which the streams differ: the mechanism gets `left` or `right`, by the secret side."""

    left: Any
    right: Any


@dataclass(frozen=True)
class Stop:
    """The adversary has seen enough."""


class Session(Protocol):
    """Many independent runs of a mechanism, in step."""

    def step(self, xs: Array) -> Array:
        """Feed one element to each run, (runs,) or (runs, d); return the answers, (runs, k)."""

    def steps(self, xs: Array) -> Array | None:
        """Feed whole streams, (runs, steps) or (runs, steps, d); return (runs, steps, k) or None."""

    def fork(self) -> Session | None:
        """Return a second continuation of the same runs, or None where the mechanism refuses."""


@dataclass(frozen=True)
class StreamMechanism:
    """A streaming mechanism as an adversary sees it; `adapt`, `shipped` and `planted` make them.

    Args:
        name: for reports.
        guarantee: what it promises, with the neighbour relation: `zero-out` or `replace`.
        start: runs -> Session.
        neutral: the element that counts as nothing; under `zero-out` every challenge has it on one side.
        changes: at how many steps neighbours may differ: 1 is the event level; more is a user who takes part
            so often.
        truth: streams (runs, steps) or (runs, steps, d) -> exact answers (runs, steps, k), which statistics
            subtract; None where answers are no noisy numbers.
        log_ratio: the exact log-likelihood ratio of answers, where known: Plays -> (runs,).
        steps: length of the games that suit it.
        columns: d, where elements are rows; None for numbers.
        bounds: legal elements.
    """

    name: str
    guarantee: Guarantee
    start: Callable[[int], Session]
    neutral: float = 0.0
    changes: int = 1
    truth: Callable[[Array], Array] | None = None
    log_ratio: Callable[[Plays], Array] | None = field(default=None, compare=False)
    steps: int = 8
    columns: int | None = None
    bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Adversary:
    """A way to choose elements in view of earlier answers, for many games at once.

    Args:
        name: for reports.
        steps: length of the game.
        start: (runs, generator) -> moves; moves(t, answers (runs, t, k)) -> (left, right), each a number,
            (runs,) or (runs, d).
        oblivious: the moves do not look at answers, so whole streams may be fed at once.
        fork: number of steps after which it takes a checkpoint and tries to continue it twice; the second
            continuation is fed the right-hand stream on both sides.
    """

    name: str
    steps: int
    start: Callable[[int, np.random.Generator], Moves]
    oblivious: bool = False
    fork: int | None = None


@dataclass(frozen=True, eq=False)
class Plays:
    """What the adversary knows after many games on one side, all but the side itself.

    Args:
        answers: (runs, steps, k); NaN where a run was stopped or raised. After a fork the columns double:
            the second half are the other continuation's.
        left, right: (runs, steps) or (runs, steps, d), the two streams.
        refused: the mechanism refused to be continued twice.
    """

    answers: Array
    left: Array
    right: Array
    refused: bool = False

    @property
    def runs(self) -> int:
        """Number of games."""
        return len(self.answers)

    @property
    def differs(self) -> NDArray[np.bool_]:
        """Where the streams differ, (runs, steps)."""
        unequal = (self.left != self.right) & ~(np.isnan(self.left) & np.isnan(self.right))
        return unequal.any(axis=2) if unequal.ndim == 3 else unequal

    @property
    def challenge(self) -> NDArray[np.int64]:
        """First step on which the streams differ, 0-based, (runs,); 0 where they never do."""
        return self.differs.argmax(axis=1)


@dataclass(frozen=True)
class Transcript:
    """One game: the moves and the answers, in order."""

    moves: tuple[Regular | Challenge, ...]
    answers: tuple[Any, ...]
    side: str


def _spread(value: Any, runs: int) -> Array:
    array = np.asarray(value, dtype=np.float64)
    return np.broadcast_to(array, (runs,)) if array.ndim == 0 else array


def play_many(
    mechanism: StreamMechanism, adversary: Adversary, runs: int, side: str, seed: int | None = None
) -> Plays:
    """Play many games on one side.

    Args:
        mechanism, adversary: the players.
        runs: number of games.
        side: `left` or `right`.
        seed: of the adversary's own coins; None draws one. The mechanism's noise is its own affair.

    Raises:
        ArgumentError: the adversary's streams are no neighbours, or the mechanism raised in every game before
            the first answer.
    """
    if side not in SIDES:
        raise ArgumentError(f"side must be 'left' or 'right', got {side!r}")
    moves = adversary.start(runs, np.random.default_rng(seed))
    session = mechanism.start(runs)
    given: tuple[list[Array], list[Array]] = ([], [])
    if adversary.oblivious and adversary.fork is None:
        for t in range(adversary.steps):
            for stream, x in zip(given, moves(t, np.empty((runs, 0, 1))), strict=True):
                stream.append(_spread(x, runs))
        chosen = np.stack(given[SIDES.index(side)], axis=1)
        whole = session.steps(chosen)
        if whole is not None:
            left, right = (np.stack(s, axis=1) for s in given)
            return _checked(Plays(whole, left, right), mechanism)
        return _checked(_step_by_step(session, adversary, None, given, side, runs), mechanism)
    return _checked(_step_by_step(session, adversary, moves, given, side, runs), mechanism)


def _step_by_step(
    session: Session,
    adversary: Adversary,
    moves: Moves | None,
    given: tuple[list[Array], list[Array]],
    side: str,
    runs: int,
) -> Plays:
    history: Array = np.empty((runs, 0, 1))
    other: Session | None = None
    refused = False
    for t in range(adversary.steps):
        if t == adversary.fork:
            other = session.fork()
            refused = other is None
        if moves is not None:
            for stream, x in zip(given, moves(t, history[:, :t]), strict=True):
                stream.append(_spread(x, runs))
        answer = session.step(given[SIDES.index(side)][t])
        k = answer.shape[1]
        if t == 0:
            history = np.full((runs, adversary.steps, 2 * k if adversary.fork is not None else k), np.nan)
        history[:, t, :k] = answer
        if other is not None:
            history[:, t, k:] = other.step(given[1][t])
    return Plays(history, np.stack(given[0], axis=1), np.stack(given[1], axis=1), refused)


def _checked(plays: Plays, mechanism: StreamMechanism) -> Plays:
    """Refuse streams that are no neighbours: an audit of those would prove nothing."""
    differs = plays.differs
    most = int(differs.sum(axis=1).max(initial=0))
    if most > mechanism.changes:
        raise ArgumentError(
            f"the adversary's streams differ at {most} steps, but neighbours of {mechanism.name!r} differ at "
            f"no more than {mechanism.changes}: pass changes={most} for a user-level promise"
        )
    if mechanism.guarantee.neighbours == "zero-out":
        one_sided = np.zeros_like(differs)
        for stream in (plays.left, plays.right):
            blank = stream == mechanism.neutral
            one_sided |= blank.all(axis=2) if blank.ndim == 3 else blank
        if (differs & ~one_sided).any():
            raise ArgumentError(
                f"under zero-out one side of every challenge is the neutral element {mechanism.neutral:g}; "
                "the adversary replaced an element by another"
            )
    return plays


def each(
    adversary: Callable[[list[Any]], Regular | Challenge | Stop], steps: int, neutral: float = 0.0
) -> Adversary:
    """Return the adversary that asks a function, for each game apart, what to do after these answers.

    Args:
        adversary: (list of answers, each a float or an array) -> Regular, Challenge or Stop.
        steps: longest game.
        neutral: what a run gets after its Stop; its answers are no longer seen.
    """

    def start(runs: int, rng: np.random.Generator) -> Moves:
        stopped = np.zeros(runs, dtype=np.bool_)

        def moves(t: int, history: Array) -> tuple[Any, Any]:
            history[stopped, t - 1 : t] = np.nan
            left, right = [], []
            for i in range(runs):
                said = [float(a[0]) if a.size == 1 else a.copy() for a in history[i]]
                move = Stop() if stopped[i] else adversary(said)
                if isinstance(move, Stop):
                    stopped[i] = True
                    move = Regular(neutral)
                pair = (move.left, move.right) if isinstance(move, Challenge) else (move.x, move.x)
                left.append(pair[0])
                right.append(pair[1])
            return np.array(left, dtype=np.float64), np.array(right, dtype=np.float64)

        return moves

    return Adversary(getattr(adversary, "__name__", "function"), steps, start)


def play(
    mechanism: StreamMechanism,
    adversary: Adversary | Callable[[list[Any]], Any],
    side: str,
    steps: int = 64,
) -> Transcript:
    """Play one game and return everything that was said.

    Args:
        mechanism: the mechanism.
        adversary: an `Adversary`, or a function from the answers so far to Regular, Challenge or Stop.
        side: `left` or `right`.
        steps: longest game, for a function.

    >>> import dpkit
    >>> from dpkit.audit import Challenge, Regular, Stop, adapt, play
    >>> counter = adapt(lambda: dpkit.Counter(rho=0.5), promises=dpkit.ZCDP(0.5, "zero-out"))
    >>> game = play(counter, lambda answers: Stop() if answers else Challenge(1, 0), "left")
    >>> game.moves, len(game.answers)
    ((Challenge(left=1.0, right=0.0),), 1)
    """
    if not isinstance(adversary, Adversary):
        adversary = each(adversary, steps)
    plays = play_many(mechanism, adversary, 1, side)
    moves: list[Regular | Challenge] = []
    answers: list[Any] = []
    for t, differs in enumerate(plays.differs[0]):
        answer = plays.answers[0, t]
        if np.isnan(answer).all() and not differs:
            break
        left, right = plays.left[0, t].tolist(), plays.right[0, t].tolist()
        moves.append(Challenge(left, right) if differs else Regular(left))
        answers.append(float(answer[0]) if answer.size == 1 else answer)
    return Transcript(tuple(moves), tuple(answers), side)
