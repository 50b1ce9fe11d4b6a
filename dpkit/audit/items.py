"""Distinct items under audit: comings and goings, and adversaries that know what neighbours are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dpkit.audit.adapters import _Looped, _reopened, _Stock, continue_or_copy
from dpkit.audit.adversaries import fixed
from dpkit.audit.game import Adversary, Array, Moves, StreamMechanism
from dpkit.errors import ArgumentError

__all__ = ["distinct_items", "item_adversaries"]

_NOTHING = -1.0
_ITEMS = 4  # item 0 is the challenge's; the others are company


def _move(code: float) -> tuple[int | None, int]:
    """Return (item, change) of an element: 2 k adds a copy of item k, 2 k + 1 deletes one."""
    if not 0 <= code < 2 * _ITEMS:
        return None, 1
    return int(code) // 2, -1 if int(code) % 2 else 1


def distinct_items(make: Callable[[], Any], steps: int = 8) -> StreamMechanism:
    """Return a `DistinctCount` as the audit plays it.

    Elements are numbers: 2 k adds a copy of item k, 2 k + 1 deletes one, -1 is no item. Play it with
    `item_adversaries`, which keep to its neighbours: at the item level an item's elements all go together.

    Args:
        make: makes the mechanism; called once, and restarted for every game.
        steps: of a game.

    >>> import dpkit
    >>> distinct_items(lambda: dpkit.DistinctCount(rho=0.5, flips=2, horizon=8)).changes
    8
    """
    prototype, stock = make(), _Stock()
    flips, unit = prototype.flips, prototype.unit

    def step(mechanism: Any, code: float) -> Any:
        return mechanism.step(*_move(code))

    def whole(mechanism: Any, codes: Array) -> Any:
        items, changes = zip(*map(_move, codes.tolist()), strict=True)
        return mechanism.steps(items, changes)

    def start(runs: int) -> _Looped:
        objects = [_reopened(prototype, stock, None) for _ in range(runs)]
        return _Looped(objects, step, whole, continue_or_copy)

    return StreamMechanism(
        f"DistinctCount {prototype.mechanism}, {unit} level, flips {flips}",
        prototype.guarantee,
        start,
        _NOTHING,
        steps if unit == "item" else 1,
        lambda streams: _counted(streams, flips),
        steps=steps,
        bounds=(_NOTHING, 2.0 * _ITEMS - 1),
    )


def _counted(streams: Array, flips: int | None) -> Array:
    """Return the exact numbers that the mechanism adds noise to, (runs, steps, 1)."""
    runs, out = len(streams), np.zeros((*streams.shape, 1))
    copies, turns, present = (np.zeros((runs, _ITEMS), dtype=np.int64) for _ in range(3))
    most = 1 if flips is None else flips
    for t, codes in enumerate(streams.T):
        for item in range(_ITEMS):
            copies[:, item] += (codes == 2 * item).astype(np.int64) - (codes == 2 * item + 1)
        moved = ((copies > 0) != present) & (turns < most)
        turns += moved
        present = np.where(moved, copies > 0, present)
        out[:, t, 0] = present.sum(1)
    return out


def item_adversaries(mechanism: StreamMechanism, flips: int | None = None) -> list[Adversary]:
    """Return adversaries for `distinct_items`.

    Item level: item 0 comes and goes on one side and is absent on the other, alone and in company, at fixed
    steps, in a row and far apart, and where answers rise. Event level: one copy of item 0 is missing on one
    side, so that its later comings and goings differ.

    Args:
        mechanism: from `distinct_items`.
        flips: of the mechanism.
    """
    steps = mechanism.steps
    if steps < 4:
        raise ArgumentError(f"games of distinct items need at least 4 steps, got {steps}")
    times, count = np.arange(steps), 2 if flips is None else min(flips, steps - 1)
    absent = np.full(steps, _NOTHING)
    company = 2.0 + 2 * (times % 3)
    row = times % 2 if flips is not None else 0.0 * times  # comes and goes, or comes again and again
    apart = absent.copy()
    gap = max(1, steps // count)  # a power of two where the numbers are: that is where trees pay most
    places = times[gap if mechanism.changes == 1 else 0 :: gap][:count]
    apart[places] = row[: len(places)]
    if mechanism.changes == 1:
        found = []
        for name, rest in (("in a row", row[:-1]), ("far apart", apart[1:]), ("in company", company[1:])):
            left, right = (np.concatenate([[first], rest]) for first in (0.0, _NOTHING))
            found.append(fixed(left, right, f"one more copy, {name}"))
        missing = row.copy()
        missing[steps // 2] = _NOTHING
        return [*found, fixed(row, missing, "copy in the middle")]
    mixed = np.where(times % 2 == 0, row[times // 2], company)
    once = np.where(times == 0, 0.0, absent)
    streams = {"in a row": row, "far apart": apart, "in company": mixed, "once": once, "last": once[::-1]}
    found = [
        fixed(left, np.where(left < 2, _NOTHING, left), f"item 0, {name}") for name, left in streams.items()
    ]
    return [*found, _turning(steps, flips is not None)]


def _turning(steps: int, deletions: bool) -> Adversary:
    """Return the adversary whose item turns after every answer that rose, and rests otherwise."""

    def start(runs: int, rng: np.random.Generator) -> Moves:
        here = np.zeros(runs, dtype=np.bool_)

        def moves(t: int, history: Array) -> tuple[Any, Any]:
            nonlocal here
            rose = np.ones(runs, dtype=np.bool_)
            if t > 1:
                rose = np.nan_to_num(history[:, t - 1, 0]) > np.nan_to_num(history[:, t - 2, 0])
            code = np.where(here & deletions, 1.0, 0.0)
            left = np.where(rose, code, _NOTHING)
            here = here ^ rose
            return left, np.full(runs, _NOTHING)

        return moves

    return Adversary("turns where answers rise", steps, start)
