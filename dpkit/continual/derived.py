"""Streams in disguise: the k most frequent categories, and the number of distinct items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit.continual.counter import Counter
from dpkit.continual.design import Release
from dpkit.continual.histogram import Histogram
from dpkit.continual.settings import check_count
from dpkit.errors import ArgumentError
from dpkit.guarantee import ZCDP, Guarantee, PureDP

__all__ = ["DistinctCount", "TopK", "TopKRelease"]

_NAN = ("not a number",)  # equal to no legal item


class TopKRelease(NamedTuple):
    """The k largest noisy counts: categories `value` (k,) from the largest on, `counts` (k,), `std`, `t`."""

    value: NDArray[np.int64]
    counts: NDArray[np.float64]
    std: float
    t: int


class TopK:
    """The k most frequent categories so far, after every element.

    Args:
        d: number of categories, public.
        k: how many to name, 1..d.
        settings: as for `Histogram`.

    *Privacy*: a function of a `Histogram`'s answers, whatever k is. The counts shown are selected for being
    large, so they lean upwards.

    >>> top = TopK(5, 2, rho=0.5, horizon=100)
    >>> top.step(3).value.shape
    (2,)
    """

    def __init__(self, d: int, k: int, **settings: Any) -> None:
        self._counts = Histogram(d, **settings)
        self._k = check_count(k, "k", 1, int(d))

    @property
    def guarantee(self) -> Guarantee:
        """What the whole stream promises."""
        return self._counts.guarantee

    @property
    def t(self) -> int:
        """Number of elements taken so far."""
        return self._counts.t

    @property
    def mechanism(self) -> str:
        """Name of the counters' mechanism."""
        return self._counts.mechanism

    def step(self, category: int) -> TopKRelease:
        """Take one element, as `Histogram.step`."""
        release = self._counts.step(category)
        order = np.argsort(-release.value, kind="stable")[: self._k]
        return TopKRelease(order, release.value[order], release.std, release.t)

    def steps(self, categories: ArrayLike) -> NDArray[np.int64]:
        """Take many elements, (n,) integers, and return the k categories after each, (n, k)."""
        values = self._counts.steps(categories)
        return np.argsort(-values, axis=1, kind="stable")[:, : self._k]


class DistinctCount:
    """The number of distinct items so far; items are only ever added.

    Args:
        unit: `item`, neighbours differ in all occurrences of one item; or `event`, in one occurrence.
        settings: as for `Counter`, without bounds and neighbours.

    *Privacy*: it counts first occurrences. Without one item, one element of that stream of zeros and ones
    changes. Without one occurrence at most two change, by opposite amounts, where the first occurrence moves
    to a later step; the squared change doubles at most (for pure budgets the change doubles), so the counter
    gets half the budget. The set of items seen is kept in memory, exactly.

    >>> distinct = DistinctCount(rho=0.5, horizon=100)
    >>> distinct.step("a").t
    1
    """

    def __init__(
        self,
        *,
        unit: str = "item",
        rho: float | None = None,
        epsilon: float | None = None,
        horizon: int | None = None,
        mechanism: str = "auto",
        expected: int = 1 << 20,
    ) -> None:
        if unit not in ("item", "event"):
            raise ArgumentError(f"unit must be 'item' or 'event', got {unit!r}")
        self.unit = unit
        whole = Counter(rho=rho, epsilon=epsilon, horizon=horizon, mechanism=mechanism, expected=expected)
        self.guarantee: Guarantee = whole.guarantee
        self._counter = whole
        if unit == "event":
            if rho is not None:
                rho = float(ZCDP(rho).rho) / 2
            else:
                epsilon = float(PureDP(epsilon or 0.0).epsilon) / 2
            self._counter = Counter(
                rho=rho, epsilon=epsilon, horizon=horizon, mechanism=mechanism, expected=expected
            )
        self._seen: set[Any] = set()

    @property
    def t(self) -> int:
        """Number of elements taken so far."""
        return self._counter.t

    @property
    def mechanism(self) -> str:
        """Name of the counter's mechanism."""
        return self._counter.mechanism

    def std(self, t: int) -> float:
        """Return the standard deviation of the noise at step t; public."""
        return self._counter.std(t)

    def step(self, item: object) -> Release:
        """Take one element and return the noisy number of distinct items.

        Args:
            item: a string, bytes or number; None is no item. All NaN are one item.

        Raises:
            HorizonError, BudgetSpentError: as `Counter.step`.
            ArgumentError: another type.
        """
        key = _key(item)
        release = self._counter.step(float(key is not None and key not in self._seen))
        if key is not None:
            self._seen.add(key)
        return release

    def steps(self, items: Iterable[object]) -> NDArray[np.float64]:
        """Take many elements and return the noisy number after each."""
        keys = [_key(item) for item in items]
        fresh, new = set(self._seen), np.zeros(len(keys))
        for i, key in enumerate(keys):
            if key is not None and key not in fresh:
                new[i] = 1.0
                fresh.add(key)
        values = self._counter.steps(new)
        self._seen = fresh
        return values


def _key(item: object) -> Any:
    """Return a hashable stand-in for an item, or raise ArgumentError."""
    if isinstance(item, np.generic):
        item = item.item()
    if item is not None and not isinstance(item, str | bytes | int | float):
        raise ArgumentError(f"item must be a string, bytes, a number or None, got {type(item).__name__}")
    return _NAN if item != item else item
