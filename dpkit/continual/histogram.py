"""Running counts of d categories under one budget."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.continual import choose
from dpkit.continual.bank import BankedStream
from dpkit.continual.blt import LIMIT
from dpkit.continual.design import Design, Release
from dpkit.continual.settings import (
    Budget,
    Domain,
    check_count,
    guarantee_of,
    read_budget,
    read_neighbours,
)
from dpkit.errors import ArgumentError
from dpkit.noise import OSNoise

__all__ = ["Histogram"]


class Histogram(BankedStream):
    """Running counts of categories 0..d-1: each element is one category, each answer d noisy counts.

    Args:
        d: number of categories, public.
        rho, epsilon, delta, horizon, mechanism, expected: as for `Counter`.
        neighbours: `zero-out`, one element counts nowhere; or `replace`, one element is in another category.

    *Privacy*: every category has a counter with noise of its own. Zeroing an element out changes one of
    them, so each gets the whole budget; replacing it changes two, so each gets half. An element outside
    0..d-1 counts nowhere and raises nothing.

    >>> counts = Histogram(3, rho=0.5, horizon=100)
    >>> release = counts.step(2)
    >>> release.value.shape, release.t
    ((3,), 1)
    """

    _kind = "histogram"

    def __init__(
        self,
        d: int,
        *,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        mechanism: str = "auto",
        neighbours: str = "zero-out",
        expected: int = 1 << 20,
    ) -> None:
        self._d = check_count(d, "d", 1, 1 << 24)
        horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
        expected = check_count(expected, "expected", 1, LIMIT)
        neighbours = read_neighbours(neighbours)
        domain, designs = _read(rho, epsilon, delta, horizon, mechanism, neighbours, expected)
        self._design = designs[0]
        self._unit, self._one = domain.unit, domain.units(1.0)
        self._settings: dict[str, Any] = {
            "d": self._d,
            "rho": rho if rho is None else float(rho),
            "epsilon": epsilon if epsilon is None else float(epsilon),
            "delta": float(delta),
            "horizon": horizon,
            "mechanism": mechanism,
            "neighbours": neighbours,
            "expected": expected,
        }
        self.guarantee = guarantee_of(rho, epsilon, delta, neighbours)
        self._columns = 2 if neighbours == "replace" else 1
        self._open(OSNoise())

    def step(self, category: int) -> Release:
        """Take one element and return the noisy counts, `.value` of shape (d,).

        Args:
            category: an integer.

        Raises:
            HorizonError, BudgetSpentError: as `Counter.step`.
            ArgumentError: category is no integer.
        """
        self._check(category)
        units = np.zeros(self._d, dtype=np.int64)
        if 0 <= category < self._d:
            units[category] = self._one
        return self._take(units)

    def steps(self, categories: ArrayLike) -> NDArray[np.float64]:
        """Take many elements and return the noisy counts after each.

        Args:
            categories: (n,) integers.

        Returns:
            (n, d) float64.
        """
        places = self._places(categories)
        return self._take_all(places.size, lambda j: (places == j) * np.int64(self._one))

    @staticmethod
    def _check(category: object) -> None:
        if not isinstance(category, int | np.integer) or isinstance(category, bool):
            raise ArgumentError(f"category must be an integer, got {type(category).__name__}")

    @staticmethod
    def _places(categories: ArrayLike) -> NDArray[Any]:
        places = np.asarray(on_host(categories))
        if places.ndim != 1 or (places.dtype.kind not in "iu" and places.size):
            raise ArgumentError(
                f"categories must be a one-dimensional integer array, got shape {places.shape} and dtype "
                f"{places.dtype}"
            )
        return places

    @classmethod
    def predict(
        cls,
        d: int,
        *,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        neighbours: str = "zero-out",
        expected: int = 1 << 20,
    ) -> list[choose.Prediction]:
        """Return the mechanisms for a request with the exact error figures of each count, best first.

        `max_error` bounds all d counts of all steps together; `state_size` counts all of them.

        >>> best = Histogram.predict(3, rho=0.5, horizon=1000)[0]
        >>> best.mechanism, best.counts
        ('blt', 3)
        """
        d = check_count(d, "d", 1, 1 << 24)
        horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
        expected = check_count(expected, "expected", 1, LIMIT)
        neighbours = read_neighbours(neighbours)
        domain, designs = _read(rho, epsilon, delta, horizon, "auto", neighbours, expected)
        budget = _budget(rho, epsilon, delta, neighbours)
        return choose.predictions(designs, domain, "zero-out", horizon or expected, budget, d)


def _read(
    rho: float | None,
    epsilon: float | None,
    delta: float,
    horizon: int | None,
    mechanism: str,
    neighbours: str,
    expected: int,
) -> tuple[Domain, list[Design]]:
    """Return the grid and the designs of one count."""
    budget = _budget(rho, epsilon, delta, neighbours)
    domain = Domain.read((0.0, 1.0), None)
    return domain, choose.candidates(mechanism, budget, domain, "zero-out", horizon, expected)


def _budget(rho: float | None, epsilon: float | None, delta: float, neighbours: str) -> Budget:
    """Return one count's budget: a count changes by at most one, but `replace` changes two of them."""
    return read_budget(rho, epsilon, delta).part(Fraction(1, 2 if neighbours == "replace" else 1))
