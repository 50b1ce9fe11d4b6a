"""What is summed, and how many elements of a stream one individual may hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dpkit.continual.settings import check_count
from dpkit.errors import ArgumentError

__all__ = ["PLAIN", "Workload", "read_workload"]

_WINDOW_LIMIT = 1 << 24
_FLOOR_SIZE = 512


@dataclass(frozen=True)
class Workload:
    """The sums to answer, and the pattern in which neighbours differ.

    Args:
        window: answers are sums of the last so many elements; 0 for all.
        keep: an element's weight falls by this factor a step; 1 for plain sums.
        parts, gap: neighbours differ in at most `parts` elements, at least `gap` steps apart.
        changes: or in so many, with alternating signs.
        columns: coordinates of an element.
    """

    window: int = 0
    keep: float = 1.0
    parts: int = 1
    gap: int = 1
    changes: int = 1
    columns: int = 1

    @property
    def sums_all(self) -> bool:
        """Whether answers are sums over all steps."""
        return self.window == 0 and self.keep == 1.0

    def floor(self, steps: int) -> float:
        """Return a bound below the RMSE of every factorisation, at sensitivity 1 and rho = 1/2.

        The nuclear norm of the workload's matrix over its size. For windows and decay it is computed for 512
        steps; the norm of a longer stream is at least the sum over its pieces of that length.
        """
        size = min(steps, _FLOOR_SIZE)
        return _nuclear(size, self.window, self.keep) * (steps // size) / steps


PLAIN = Workload()


@lru_cache(maxsize=16)
def _nuclear(size: int, window: int, keep: float) -> float:
    k = np.subtract.outer(np.arange(size), np.arange(size))
    inside = (k >= 0) & ((k < window) if window else True)
    matrix = np.where(inside, keep ** np.maximum(k, 0).astype(np.float64), 0.0)
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def read_workload(window: Any, decay: Any, participations: Any, separation: Any) -> Workload:
    """Return the workload of these arguments, or raise ArgumentError."""
    if window is not None and decay is not None:
        raise ArgumentError("window and decay exclude each other: pass one of them")
    keep = 1.0
    if decay is not None:
        keep = float(decay) if isinstance(decay, int | float | np.number) else math.nan
        if not 1e-3 <= keep <= 1 - 1e-9:
            raise ArgumentError(f"decay must lie in [0.001, 1 - 1e-9], got {decay!r}")
    parts = check_count(participations, "participations", 1, 1 << 20)
    return Workload(
        window=0 if window is None else check_count(window, "window", 2, _WINDOW_LIMIT),
        keep=keep,
        parts=parts,
        gap=check_count(separation, "separation", 1, 1 << 40) if parts > 1 else 1,
    )
