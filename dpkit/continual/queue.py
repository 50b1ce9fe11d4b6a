"""Noise drawn in blocks and used in order, each draw once."""

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual.settings import GAUSSIAN
from dpkit.continual.ziggurat import draw_gaussian
from dpkit.noise import NoiseSource

__all__ = ["NoiseQueue"]

_FIRST, _LARGEST = 64, 4096


class NoiseQueue:
    """Draws of one law and scale; a sampler call costs as much as hundreds of draws, so blocks are fetched.

    What one consumer takes one by one equals what another takes in bulk, given the same source.

    Args:
        source: operating-system noise; seeded noise in tests only.
        law: `gaussian` or `laplace`.
        scale: variance or Laplace scale.

    *Privacy*: unread draws live in memory and are as secret as the sums; they are never copied into a state.
    """

    __slots__ = ("_at", "_block", "_draw", "_grow", "_scale")

    def __init__(self, source: NoiseSource, law: str, scale: Fraction) -> None:
        self._draw: Any = partial(draw_gaussian, source) if law == GAUSSIAN else source.discrete_laplace
        self._scale = scale
        self._block: list[int] = []
        self._at = 0
        self._grow = _FIRST

    def next(self) -> int:
        """Return one fresh draw."""
        at = self._at
        if at == len(self._block):
            self._block = self._draw(self._scale, self._grow).tolist()
            self._grow = min(2 * self._grow, _LARGEST)
            at = 0
        self._at = at + 1
        return self._block[at]

    def ahead(self, n: int) -> NDArray[np.int64]:
        """Return at least n unread draws, in order; call `consume` with how many were used."""
        if self._at == len(self._block):
            self._block, self._at = [], 0
            return np.asarray(self._draw(self._scale, n), dtype=np.int64)
        rest = np.array(self._block[self._at :], dtype=np.int64)
        if rest.size < n:
            fresh = np.asarray(self._draw(self._scale, n - rest.size), dtype=np.int64)
            rest = np.concatenate([rest, fresh])
        self._block, self._at = [], 0
        return rest

    def consume(self, draws: NDArray[np.int64], used: int) -> None:
        """Put back what of `ahead` was not used."""
        self._block, self._at = draws[used:].tolist(), 0
