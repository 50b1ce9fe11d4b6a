"""What an answer is made of: released integers, one a step, summed over all steps, a window, or with decay.

All of it is post-processing of the noisy integers i_t, and reads nothing else.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import kernels_blt as kernels

__all__ = ["DecayReader", "Reader", "SumReader", "WindowReader", "make_reader"]

_WORD, _HALF = 2**64 - 1, 2**63


class Reader(Protocol):
    """Turns released integers into answers, in grid units."""

    def one(self, move: int) -> float:
        """Take one integer and return the answer."""

    def many(self, moves: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many; the same as repeated `one`."""

    def export(self) -> Any:
        """Return the state, JSON-ready."""

    def restore(self, saved: Any) -> None:
        """Continue from `export`."""


def _to_float(total: int) -> float:
    """Round an integer as the compiled loop does; equal integers give equal floats whatever led to them."""
    if -_HALF <= total < _HALF:
        return float(total)
    return float(total >> 64) * 2.0**64 + float(total & _WORD)


class SumReader:
    """The sum of all, an exact integer.

    Args:
        unit: what an integer counts, in grid units.
    """

    def __init__(self, unit: float) -> None:
        self._unit, self._total = unit, 0

    def one(self, move: int) -> float:
        """Take one integer and return the answer."""
        self._total = total = self._total + move
        if -_HALF <= total < _HALF:
            return total * self._unit  # rounds the integer, then once more
        return _to_float(total) * self._unit

    def many(self, moves: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many."""
        out = np.empty(moves.size)
        low, high = np.uint64(self._total & _WORD), np.int64(self._total >> 64)
        low, high = kernels.running_sum(moves, out, self._unit, low, high)
        self._total = (int(high) << 64) + int(low)
        return out

    def export(self) -> Any:
        """Return the sum."""
        return str(self._total)

    def restore(self, saved: Any) -> None:
        """Continue from `export`."""
        self._total = int(saved)


class WindowReader(SumReader):
    """The sum of the last `window`, an exact integer.

    Args:
        unit: what an integer counts, in grid units.
        window: number of steps.
    """

    def __init__(self, unit: float, window: int) -> None:
        super().__init__(unit)
        self._last = deque([0] * window, maxlen=window)

    def one(self, move: int) -> float:
        """Take one integer and return the answer."""
        gone = self._last[0]
        self._last.append(move)
        return super().one(move - gone)

    def many(self, moves: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many."""
        joined = np.concatenate([np.array(self._last, dtype=np.int64), moves])
        self._last.extend(moves[-len(self._last) :].tolist())
        return super().many(moves - joined[: moves.size])

    def export(self) -> Any:
        """Return the sum and the window."""
        return [super().export(), list(self._last)]

    def restore(self, saved: Any) -> None:
        """Continue from `export`."""
        if len(saved[1]) != len(self._last):
            raise ValueError("a window of another length")
        super().restore(saved[0])
        self._last.extend(int(move) for move in saved[1])


class DecayReader:
    """The sum with the weight keep^k on the integer of k steps ago, in floats.

    Args:
        unit: what an integer counts, in grid units.
        keep: in (0, 1).
    """

    def __init__(self, unit: float, keep: float) -> None:
        self._unit, self._keep, self._total = unit, keep, 0.0

    def one(self, move: int) -> float:
        """Take one integer and return the answer."""
        self._total = self._keep * self._total + float(move)
        return self._total * self._unit

    def many(self, moves: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many."""
        out = np.empty(moves.size)
        self._total = float(kernels.decayed_sum(moves, out, self._unit, self._keep, self._total))
        return out

    def export(self) -> Any:
        """Return the sum."""
        return self._total

    def restore(self, saved: Any) -> None:
        """Continue from `export`."""
        self._total = float(saved)


def make_reader(unit: float, keep: float, window: int) -> Reader:
    """Return the reader of a workload: keep = 1 and window = 0 are plain sums."""
    if window:
        return WindowReader(unit, window)
    return SumReader(unit) if keep == 1.0 else DecayReader(unit, keep)
