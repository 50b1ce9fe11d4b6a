"""The k most frequent categories of a stream."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit.continual import choose
from dpkit.continual.blt import LIMIT
from dpkit.continual.design import Release
from dpkit.continual.histogram import Histogram
from dpkit.continual.settings import check_count
from dpkit.continual.stream import Stream
from dpkit.noise import NoiseSource

__all__ = ["TopK", "TopKRelease"]


class _Fields(NamedTuple):
    value: NDArray[np.int64]
    counts: NDArray[np.float64]
    t: int
    whole: Release


class TopKRelease(_Fields):
    """The k largest noisy counts: categories `value` (k,) from the largest on, `counts` (k,), `std`, `t`.

    `whole` is the histogram's release that they are sorted from.
    """

    __slots__ = ()

    @property
    def std(self) -> float:
        """Standard deviation of the noise in each count."""
        return self.whole.std

    def __repr__(self) -> str:
        return f"TopKRelease(value={self.value!r}, counts={self.counts!r}, std={self.std:.6g}, t={self.t})"


class TopK(Stream):
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
    >>> TopK.from_state(top.state()).t
    1
    """

    _kind = "top-k"

    def __init__(self, d: int, k: int, **settings: Any) -> None:
        self._counts = Histogram(d, **settings)
        self._k = check_count(k, "k", 1, int(d))
        self._settings = {"k": self._k, **self._counts._settings}
        self.guarantee = self._counts.guarantee
        self._begin(self._counts._settings["horizon"] or LIMIT)

    def _open(self, source: NoiseSource) -> None:
        """Start the stream; tests pass seeded noise."""
        self._counts._open(source)
        self._begin(self._limit)

    @property
    def mechanism(self) -> str:
        """Name of the counters' mechanism."""
        return self._counts.mechanism

    def std(self, t: int) -> float:
        """Return the standard deviation of the noise of each count at step t; public."""
        return self._counts.std(t)

    def step(self, category: int) -> TopKRelease:
        """Take one element, as `Histogram.step`."""
        self._counts._check(category)
        with self._lock:
            self._enter(1)
            release = self._counts.step(category)
            self._leave(1)
        order = np.argsort(-release.value, kind="stable")[: self._k]
        return TopKRelease(order, release.value[order], release.t, release)

    def steps(self, categories: ArrayLike) -> NDArray[np.int64]:
        """Take many elements, (n,) integers, and return the k categories after each, (n, k)."""
        places = self._counts._places(categories)
        with self._lock:
            self._enter(places.size)
            values = self._counts.steps(places)
            self._leave(places.size)
        return np.argsort(-values, axis=1, kind="stable")[:, : self._k]

    @classmethod
    def predict(cls, d: int, k: int, **settings: Any) -> list[choose.Prediction]:
        """Return the figures of the counts that are sorted; as `Histogram.predict`.

        A category is missed only where its count is within twice `max_error` of one that is shown.
        """
        check_count(k, "k", 1, int(d))
        return Histogram.predict(d, **settings)

    def _draws(self) -> tuple[int, float] | None:
        return self._counts._draws()

    def _describe(self) -> dict[str, Any]:
        return self._counts._describe()

    def _export(self) -> dict[str, Any]:
        return self._counts._export()

    def _restore(self, saved: dict[str, Any]) -> None:
        self._counts._restore(saved)
        self._counts._t = self._t

    def __repr__(self) -> str:
        return f"TopK({self._settings['d']}, {self._k}, {self.mechanism!r}, {self.guarantee!r}, t={self._t})"
