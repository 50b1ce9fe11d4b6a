"""Running counts of d categories under one budget."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit.continual import choose
from dpkit.continual import state as states
from dpkit.continual.blt import LIMIT
from dpkit.continual.design import Design, Engine, Release
from dpkit.continual.settings import Domain, check_count, guarantee_of, read_budget, read_neighbours
from dpkit.continual.stream import Stream
from dpkit.errors import ArgumentError
from dpkit.guarantee import Guarantee
from dpkit.noise import NoiseSource, OSNoise

__all__ = ["Histogram"]


class Histogram(Stream):
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
        share = Fraction(1, 2) if neighbours == "replace" else Fraction(1)
        budget = read_budget(rho, epsilon, delta).part(share)
        domain = Domain.read((0.0, 1.0), None)
        # one category changes by one whatever the relation: `replace` is paid by the share
        request = (mechanism, budget, domain, "zero-out", horizon, expected)
        self._design: Design = choose.candidates(*request)[0]
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
        self.guarantee: Guarantee = guarantee_of(rho, epsilon, delta, neighbours)
        self._open(OSNoise())

    def _open(self, source: NoiseSource) -> None:
        """Start the stream; tests pass seeded noise."""
        self._engines: list[Engine] = [self._design.start(source) for _ in range(self._d)]
        self._begin(self._settings["horizon"] or LIMIT)

    @property
    def mechanism(self) -> str:
        """Name of the mechanism in use."""
        return self._design.name

    def std(self, t: int) -> float:
        """Return the standard deviation of the noise of each count at step t; public."""
        return float(np.sqrt(self._design.variance(check_count(t, "t", 1, self._limit)))) * self._unit

    def step(self, category: int) -> Release:
        """Take one element and return the noisy counts, `.value` of shape (d,).

        Args:
            category: an integer.

        Raises:
            HorizonError, BudgetSpentError: as `Counter.step`.
            ArgumentError: category is no integer.
        """
        if not isinstance(category, int | np.integer) or isinstance(category, bool):
            raise ArgumentError(f"category must be an integer, got {type(category).__name__}")
        place = int(category)
        with self._lock:
            self._enter(1)
            one = self._one
            value = np.array([e.step(one if j == place else 0) for j, e in enumerate(self._engines)])
            t = self._leave(1)
        return Release(value * self._unit, t, self._design, self._unit)

    def steps(self, categories: ArrayLike) -> NDArray[np.float64]:
        """Take many elements and return the noisy counts after each.

        Args:
            categories: (n,) integers.

        Returns:
            (n, d) float64.
        """
        places = np.asarray(categories)
        if places.ndim != 1 or (places.dtype.kind not in "iu" and places.size):
            raise ArgumentError(
                f"categories must be a one-dimensional integer array, got shape {places.shape} and dtype "
                f"{places.dtype}"
            )
        out = np.empty((places.size, self._d))
        with self._lock:
            self._enter(places.size)
            for j, engine in enumerate(self._engines):
                out[:, j] = engine.steps((places == j) * np.int64(self._one)) * self._unit
            self._leave(places.size)
        return out

    def state(self) -> bytes:
        """Seal the stream's state and end this object; as `Counter.state`."""
        with self._lock:
            self._enter(0)
            self._ended = "this stream was handed over by state(): continue it with from_state"
            engines = {"all": [engine.export() for engine in self._engines]}
            return states.seal_state("histogram", self._settings, self._design.describe(), self._t, engines)

    @classmethod
    def from_state(cls, data: bytes, store: states.ClaimStore | None = None) -> Histogram:
        """Continue the stream that `state` sealed, once; as `Counter.from_state`."""
        settings, t, engines, token = states.open_state("histogram", data)
        counts = states.rebuilt(lambda: cls(**settings))

        states.check_design(data, counts._design.describe())

        def restore() -> None:
            for engine, saved in zip(counts._engines, engines["all"], strict=True):
                engine.restore(saved)

        states.rebuilt(restore)
        states.claim(token, store)
        counts._t = t
        return counts

    def __repr__(self) -> str:
        return f"Histogram({self._d}, {self._design.name!r}, {self.guarantee!r}, t={self._t})"
