"""A sum of distances is convex along every coordinate; its noisy answers are not. This makes them so.

Post-processing of a released table of values at evenly spaced places: its slopes are replaced by the nearest
ones, in least squares, that never fall and stay within what n records can cause; the mean value is kept. The
true slopes are such ones, and a projection onto a convex set moves no point away from any point of the set,
so the squared error of the slopes never grows. Nothing is promised for that of the values.
"""

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit

__all__ = ["convex_table"]


@njit(cache=True, nogil=True)
def _pool(slopes, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Replace rows by their least-squares non-decreasing fits in [low, high], in place.

    Pool adjacent violators: runs are merged while a mean exceeds the next. Clipping the fit is the fit under
    bounds.

    Source: Barlow, Bartholomew, Bremner, Brunk, Statistical Inference under Order Restrictions (1972).
    """
    rows, n = slopes.shape
    means = np.empty(n)
    sizes = np.empty(n, np.int64)
    for i in range(rows):
        runs = 0
        for k in range(n):
            means[runs] = slopes[i, k]
            sizes[runs] = 1
            runs += 1
            while runs > 1 and means[runs - 2] > means[runs - 1]:
                both = sizes[runs - 2] + sizes[runs - 1]
                means[runs - 2] += (means[runs - 1] - means[runs - 2]) * sizes[runs - 1] / both
                sizes[runs - 2] = both
                runs -= 1
        at = 0
        for r in range(runs):
            mean = min(max(means[r], low), high)
            for _ in range(sizes[r]):
                slopes[i, at] = mean
                at += 1


def convex_table(table: NDArray[np.float64], steepest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of values made convex, with their means kept.

    Args:
        table: (d, M + 1) values at evenly spaced places, one row for each coordinate.
        steepest: (d,) largest rise over a whole row that the slopes may stand for, not negative.

    Example:
        >>> convex_table(np.array([[4.0, 1.0, 2.0, 1.0, 4.0]]), np.array([16.0]))
        array([[4.2, 1.2, 1.2, 1.2, 4.2]])
    """
    steps = table.shape[1] - 1
    unit = np.maximum(steepest, np.finfo(np.float64).tiny)[:, None] / steps
    slopes = np.ascontiguousarray(np.diff(table, axis=1) / unit)
    _pool(slopes, -1.0, 1.0)
    found = np.zeros_like(table)
    np.cumsum(slopes * unit, axis=1, out=found[:, 1:])
    return np.asarray(found + (table - found).mean(axis=1, keepdims=True))
