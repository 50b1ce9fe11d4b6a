"""Brute-force sensitivity: the integers that are summed, compared on neighbouring data sets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sensitivity", "brute_force_sensitivity"]


@dataclass(frozen=True)
class Sensitivity:
    """Largest changes seen, exact integers in grid units, and the pairs that showed them.

    Args:
        l1: largest sum of |changes|.
        l2_squared: largest sum of squared changes.
        l1_pair, l2_pair: names of the pairs.
    """

    l1: int
    l2_squared: int
    l1_pair: str
    l2_pair: str


def brute_force_sensitivity(
    exact: Callable[[NDArray[Any]], NDArray[np.int64]],
    pairs: Iterable[tuple[str, NDArray[Any], NDArray[Any]]],
) -> Sensitivity:
    """Return the largest change of an exact integer vector over neighbouring data sets.

    Args:
        exact: records -> (k,) int64, the vector that noise is about to be added to.
        pairs: (name, records, neighbouring records).

    Example:
        >>> count = lambda records: np.array([len(records)])
        >>> brute_force_sensitivity(count, [("one more", np.zeros((1, 1)), np.zeros((2, 1)))]).l1
        1
    """
    best = Sensitivity(0, 0, "", "")
    for name, first, second in pairs:
        changes = [int(b) - int(a) for a, b in zip(exact(first), exact(second), strict=True)]
        l1, l2 = sum(map(abs, changes)), sum(c * c for c in changes)
        best = Sensitivity(
            max(best.l1, l1),
            max(best.l2_squared, l2),
            name if l1 > best.l1 else best.l1_pair,
            name if l2 > best.l2_squared else best.l2_pair,
        )
    return best
