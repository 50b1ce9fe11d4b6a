"""What an adversary computes from a game before it scores it: numbers, one row for each game."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from dpkit.audit.game import Array, Plays, StreamMechanism

__all__ = ["MOST", "families", "granularity", "linear", "residuals", "window"]

MOST = 96
"""At most so many features of a kind; long games are seen through their first and last steps."""


def residuals(plays: Plays, mechanism: StreamMechanism) -> Array:
    """Return the answers minus the exact answers of the right-hand stream, (runs, steps, k); NaN becomes 0.

    On the right side this is the noise, on the left side the noise plus what the challenge changed.
    """
    answers = plays.answers
    if mechanism.truth is not None:
        exact = mechanism.truth(plays.right)
        if exact.shape[2] and answers.shape[2] % exact.shape[2] == 0:
            answers = answers - np.tile(exact, (1, 1, answers.shape[2] // exact.shape[2]))
    return np.clip(np.nan_to_num(answers), -1e150, 1e150)


def _few(columns: Array) -> Array:
    """Return the first and last columns where there are more than `MOST`."""
    if columns.shape[1] <= MOST:
        return columns
    return np.concatenate([columns[:, : MOST // 2], columns[:, -MOST // 2 :]], axis=1)


def _flat(array: Array) -> Array:
    return array.reshape(len(array), -1)


def window(values: Array, plays: Plays, reach: int = 2) -> Array:
    """Return the values around each game's own challenge, (runs, (2 reach + 1) k); zeros beyond the ends."""
    runs, _, k = values.shape
    padded = np.concatenate([np.zeros((runs, reach, k)), values, np.zeros((runs, reach, k))], axis=1)
    at = plays.challenge[:, None] + np.arange(2 * reach + 1)
    return padded[np.arange(runs)[:, None], at].reshape(runs, -1)


def linear(plays: Plays, mechanism: StreamMechanism) -> Array:
    """Return numbers of which differences are worth weighing: residuals, and those around the challenge."""
    values = residuals(plays, mechanism)
    return np.concatenate([_few(_flat(values)), window(values, plays)], axis=1)


def nodes(values: Array) -> Array:
    """Return v_t - v_(t - lowbit t), the dyadic nodes, (runs, steps, k)."""
    padded = np.concatenate([np.zeros_like(values[:, :1]), values], axis=1)
    t = np.arange(1, values.shape[1] + 1)
    return values - padded[:, t - (t & -t)]


def granularity(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponent of the lowest bit set in each float: what low-order bits give away.

    A sum of a number and float noise is rounded to the spacing of floats near it, so which numbers can come
    out depends on the secret. Zero, infinities and NaN have none: 1100.

    >>> granularity(np.array([1.0, 0.75, 3.0, 0.0])).tolist()
    [0.0, -2.0, 0.0, 1100.0]
    """
    usable = np.isfinite(values) & (values != 0.0)
    mantissa, exponent = np.frexp(np.where(usable, values, 1.0))
    whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = np.log2((whole & -whole).astype(np.float64))
    return np.where(usable, exponent - 53 + lowest, 1100.0)


_KNOWN: weakref.WeakKeyDictionary[Plays, dict[str, Array]] = weakref.WeakKeyDictionary()


def families(plays: Plays, mechanism: StreamMechanism) -> dict[str, Array]:
    """Return single numbers that may give the side away, each to be seen through its distribution alone.

    Within `increments` and within `nodes` honest mechanisms often have independent noise: there the sum of
    log ratios is the likelihood ratio.
    """
    if plays not in _KNOWN:  # several statistics look at the same games
        _KNOWN[plays] = _families(plays, mechanism)
    return _KNOWN[plays]


def _families(plays: Plays, mechanism: StreamMechanism) -> dict[str, Array]:
    values = residuals(plays, mechanism)
    answers = plays.answers
    around = window(values, plays)
    others = [
        _flat(values),
        _flat(np.diff(np.nan_to_num(answers), axis=1, prepend=0.0)),
        around,
        np.diff(around, axis=1),
        np.isnan(answers).sum(axis=(1, 2), dtype=np.float64)[:, None],
        values.min(axis=(1, 2))[:, None],
        values.max(axis=(1, 2))[:, None],
    ]
    half = values.shape[2] // 2
    if half and values.shape[2] % 2 == 0:
        others.append(_flat(values[:, :, :half] - values[:, :, half:]))
    return {
        "increments": _few(_flat(np.diff(values, axis=1, prepend=0.0))),
        "nodes": _few(_flat(nodes(values))),
        "low-order bits": _few(_flat(granularity(answers))),
        "others": np.concatenate([_few(part) for part in others], axis=1),
    }
