"""Exact likelihood ratios of games, for mechanisms whose noise has a known law."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dpkit.audit.game import Array, Plays

__all__ = ["gaussian_log_ratio", "prefix_nodes"]


def prefix_nodes(steps: int) -> NDArray[np.float64]:
    """Return which dyadic nodes each prefix sums, (steps, steps): row t - 1 marks the ends of t's nodes.

    >>> prefix_nodes(3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    """
    found = np.zeros((steps, steps))
    for t in range(1, steps + 1):
        end = t
        while end:
            found[t - 1, end - 1] = 1.0
            end &= end - 1
    return found


def gaussian_log_ratio(
    covariance: NDArray[np.float64], truth: Callable[[Array], Array]
) -> Callable[[Plays], Array]:
    """Return log of density given the left stream over density given the right, for Gaussian noise.

    With d the difference of the exact answers and m their middle: d^T C^-1 (answers - m).

    Args:
        covariance: C of the answers' noise, (T, T), for streams of up to T steps.
        truth: exact answers, as in `StreamMechanism`; one number a step.
    """

    def ratio(plays: Plays) -> Array:
        k = plays.left.shape[1]
        left, right = truth(plays.left)[:, :, 0], truth(plays.right)[:, :, 0]
        off = np.nan_to_num(plays.answers[:, :, 0]) - (left + right) / 2.0
        solved = np.linalg.solve(covariance[:k, :k], off.T).T
        return np.asarray(((left - right) * solved).sum(axis=1), dtype=np.float64)

    return ratio
