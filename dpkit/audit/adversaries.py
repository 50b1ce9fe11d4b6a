"""Adversaries of the continual-release game, and the library of them that an audit tries by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dpkit.audit.game import Adversary, Array, Moves, StreamMechanism
from dpkit.errors import ArgumentError

__all__ = [
    "boundary",
    "feedback",
    "fixed",
    "follower",
    "patient",
    "restart",
    "standard_adversaries",
    "tracing",
]


def fixed(left: ArrayLike, right: ArrayLike, name: str = "fixed", fork: int | None = None) -> Adversary:
    """Return the oblivious adversary: two streams, written down before the game.

    Args:
        left, right: (steps,) or (steps, d).
        name: for reports.
        fork: as for `Adversary`.
    """
    one, two = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if one.shape != two.shape or one.ndim not in (1, 2):
        raise ArgumentError(f"left and right must be streams of one shape, got {one.shape} and {two.shape}")

    def start(runs: int, rng: np.random.Generator) -> Moves:
        return lambda t, history: (_rows(one[t], runs), _rows(two[t], runs))

    return Adversary(name, len(one), start, oblivious=True, fork=fork)


def _rows(x: Array, runs: int) -> Array:
    return np.broadcast_to(x, (runs, *np.shape(x)))


def _element(value: ArrayLike, columns: int | None) -> Array:
    """Return one element: a number, or a row with the number in every column."""
    array = np.asarray(value, dtype=np.float64)
    return array if columns is None or array.ndim else np.full(columns, float(array))


def boundary(
    steps: int, high: ArrayLike, low: ArrayLike, columns: int | None = None, rest: ArrayLike = 0.0
) -> list[Adversary]:
    """Return fixed adversaries that challenge where structures change: at the ends, around powers of 2.

    Args:
        steps: length of the game.
        high, low: the two elements of the challenge; low is the neutral one under `zero-out`.
        columns: d, for rows.
        rest: every other element.
    """
    powers = {1 << k for k in range(steps.bit_length())}
    around = {1, steps, *powers, *(p - 1 for p in powers), *(p + 1 for p in powers)}
    places = sorted(around & set(range(1, steps + 1)))
    one, two, base = (_element(v, columns) for v in (high, low, rest))
    found = []
    for place in places:
        left = np.repeat(base[None], steps, axis=0)
        right = left.copy()
        left[place - 1], right[place - 1] = one, two
        name = f"boundary{_among(rest)}, challenge at step {place}"
        found.append(fixed(left, right, name))
    return found


def _among(rest: ArrayLike) -> str:
    """Return how to call a background in a name; nothing for zeros."""
    array = np.asarray(rest, dtype=np.float64)
    if not array.any():
        return ""
    return f" among {float(array):g}" if array.ndim == 0 else " among rows"


def restart(
    steps: int, high: ArrayLike, low: ArrayLike, columns: int | None = None, at: int = 1
) -> Adversary:
    """Return the adversary that takes a checkpoint and continues it twice, with and without the challenge.

    Args:
        steps, high, low, columns: as for `boundary`.
        at: steps before the checkpoint; the challenge comes right after.
    """
    one, two = _element(high, columns), _element(low, columns)
    left = np.zeros((steps, *one.shape))
    left[:] = two
    right = left.copy()
    left[at] = one
    return fixed(left, right, f"restart after step {at}", fork=at)


def feedback(
    steps: int, high: float, low: float, at: int, columns: int | None = None, name: str = "feedback"
) -> Adversary:
    """Return the adversary whose elements depend on answers: high where the last answer rose, low elsewhere.

    Args:
        steps, high, low, columns: as for `boundary`.
        at: step of the challenge, 1-based.
        name: for reports.
    """

    def start(runs: int, rng: np.random.Generator) -> Moves:
        def moves(t: int, history: Array) -> tuple[Any, Any]:
            one, two = (_rows(_element(v, columns), runs) for v in (high, low))
            if t == at - 1:
                return one, two
            if t == 0:
                return two, two
            before = history[:, t - 2, 0] if t > 1 else 0.0
            rising = np.asarray(history[:, t - 1, 0] > before)
            x = np.where(rising if one.ndim == 1 else rising[:, None], one, two)
            return x, x

        return moves

    return Adversary(f"{name}, challenge at step {at}", steps, start)


def patient(steps: int, high: float, low: float, columns: int | None = None) -> Adversary:
    """Return the adversary that picks its moment: it challenges once the noise seems to have become smaller.

    It feeds low elements, and challenges after the first answer that is smaller in magnitude than the one
    before; at the latest on the last step. Each game decides from its own answers: games stay independent.
    """

    def start(runs: int, rng: np.random.Generator) -> Moves:
        waiting = np.ones(runs, dtype=np.bool_)

        def moves(t: int, history: Array) -> tuple[Any, Any]:
            nonlocal waiting
            one, two = (_rows(_element(v, columns), runs) for v in (high, low))
            go = waiting.copy()
            if t < steps - 1:
                seen = np.abs(np.nan_to_num(history[:, :, 0]))
                go &= (seen[:, t - 1] < seen[:, t - 2]) if t > 1 else False
            waiting &= ~go
            return np.where(go if one.ndim == 1 else go[:, None], one, two), two

        return moves

    return Adversary("patient", steps, start)


def follower(
    steps: int, at: int, neutral: float = 0.0, columns: int | None = None, other: float | None = None
) -> Adversary:
    """Return the argmax-follower: it feeds the mechanism's last answer back to it, also as the challenge.

    With rows, the row has a 1 in the column that the last answer named, or that was largest in it. Before the
    challenge and after it, regular elements follow the answers too.

    Args:
        steps: length of the game.
        at: step of the challenge, 1-based, at least 2.
        neutral: the other element of the challenge.
        columns: d, for rows.
        other: regular elements, where they shall not follow.
    """

    def start(runs: int, rng: np.random.Generator) -> Moves:
        blank = np.full((runs,) if columns is None else (runs, columns), neutral)

        def moves(t: int, history: Array) -> tuple[Any, Any]:
            if t == 0:
                return blank, blank
            last = np.nan_to_num(history[:, t - 1])
            if columns is None:
                echo = last.argmax(axis=1).astype(np.float64) if last.shape[1] > 1 else last[:, 0]
            else:
                picked = last.argmax(axis=1) if last.shape[1] > 1 else last[:, 0].astype(np.int64)
                echo = np.zeros((runs, columns))
                echo[np.arange(runs), np.clip(picked, 0, columns - 1)] = 1.0
            if t == at - 1:
                return echo, blank
            x = echo if other is None else np.full_like(echo, other)
            return x, x

        return moves

    quiet = "" if other is None else ", quiet elsewhere"
    return Adversary(f"follower{quiet}, challenge at step {at}", steps, start)


def tracing(d: int, copies: int = 1, seed: int = 0) -> Adversary:
    """Return the marginals reduction as one game: a private row, then d questions that read it.

    The challenge row is the first element. For column j come `copies` rows e_j, which bring the column to the
    top, and as many rows 1 - e_j, which level the others.

    Args:
        d: columns; the game has 1 + 2 d copies steps.
        copies: at least 1, the largest sum of a private column.
        seed: of the row.

    Source: the reduction from marginals to MaxSum of Jain and others (2023); see `trace_maxsum`.
    """
    row = (np.random.default_rng(seed).random(d) < 0.5).astype(np.float64)
    if not row.any():
        row[0] = 1.0
    questions = []
    for j in range(d):
        unit = np.zeros(d)
        unit[j] = 1.0
        questions += [unit] * copies + [1.0 - unit] * copies
    left = np.array([row, *questions])
    right = left.copy()
    right[0] = 0.0
    return fixed(left, right, "tracing")


def standard_adversaries(mechanism: StreamMechanism, steps: int | None = None) -> list[Adversary]:
    """Return the adversaries that an audit tries by default.

    Fixed ones at all boundaries, on backgrounds low and high; elements far outside the bounds, and NaN;
    feedback; patient; follower; restart; for rows also single columns and tracing.

    Args:
        mechanism: for its relation, neutral element, columns and bounds.
        steps: length of the games; None takes the mechanism's.
    """
    steps, columns = mechanism.steps if steps is None else steps, mechanism.columns
    if steps < 2:
        raise ArgumentError(f"steps must be at least 2, got {steps!r}")
    low, high = map(float, mechanism.bounds)
    replaced = mechanism.guarantee.neighbours == "replace"
    base = low if replaced else mechanism.neutral
    far = high if replaced or abs(high - base) >= abs(low - base) else low
    middle = steps // 2 + 1
    players: list[Adversary] = boundary(steps, far, base, columns)
    players += [boundary(steps, far, base, columns, rest=far)[i] for i in (0, -1)]
    if not replaced and low != base and high != base:
        other = boundary(steps, low if far == high else high, base, columns)[0]
        players.append(replace(other, name=f"{other.name}, other bound"))
    hostile: Sequence[float] = (np.nan, 1e300, -np.inf)
    players += [
        fixed(
            np.concatenate([_element(odd, columns)[None], _background(steps - 1, base, columns)]),
            _background(steps, base, columns),
            f"hostile element {odd:g}",
        )
        for odd in hostile
    ]
    players += [feedback(steps, far, base, at, columns) for at in (1, middle)]
    players += [patient(steps, far, base, columns), restart(steps, far, base, columns)]
    players += [follower(steps, 2, base, columns, other=base), follower(steps, middle, base, columns)]
    if mechanism.changes > 1:
        players += _users(steps, mechanism.changes, far, base, columns)
    if columns is not None and columns > 1:
        players.append(tracing(columns))
        single = np.zeros(columns)
        single[0] = far
        players.append(
            replace(boundary(steps, single, base, columns)[0], name="one column, challenge at step 1")
        )
        players += boundary(steps, single, base, columns, rest=np.roll(single, 1))[-1:]
    return players


def _users(steps: int, changes: int, high: float, low: float, columns: int | None) -> list[Adversary]:
    """Return fixed adversaries whose user takes part at the first, the last, and evenly spread steps."""
    count = min(changes, steps)
    patterns = {
        "first": np.arange(count),
        "last": np.arange(steps - count, steps),
        "spread": np.linspace(0, steps - 1, count).astype(np.int64),
    }
    found = []
    for name, places in patterns.items():
        right = _background(steps, low, columns)
        left = right.copy()
        left[places] = _element(high, columns)
        found.append(fixed(left, right, f"user at the {name} {count} steps"))
    return found


def _background(steps: int, value: float, columns: int | None) -> Array:
    return np.repeat(_element(value, columns)[None], steps, axis=0)
