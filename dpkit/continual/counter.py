"""Running counts and sums of a private stream: one answer after every element."""

from __future__ import annotations

from os import getpid
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit.continual import choose
from dpkit.continual.blt import LIMIT
from dpkit.continual.design import Design, Engine, Release
from dpkit.continual.settings import Domain, check_count, guarantee_of, read_budget, read_neighbours
from dpkit.continual.stream import INTERRUPTED, Stream
from dpkit.continual.workload import read_workload
from dpkit.noise import NoiseSource, OSNoise

__all__ = ["Counter"]

_make = tuple.__new__  # a named tuple's own constructor takes three times as long
_BULK = 3 << 12  # arrays below 128 KiB: the allocator keeps them, larger ones cost page faults each time


class Counter(Stream):
    """A differentially private running sum: of all elements, of a window, or with decay.

    Args:
        rho: zCDP budget of the whole stream; or
        epsilon, delta: an (epsilon, delta) budget of the whole stream; delta = 0 is pure.
        horizon: number of steps T, public; None where it is unknown (up to 2^40 steps).
        mechanism: `auto` (least predicted RMSE), `binary`, `honaker`, `smooth`, `sqrt` (keeps the whole
            history), `blt`, `k-ary` (pure budgets), `hybrid`. Without a horizon the trees run in epochs of
            doubling length.
        neighbours: `zero-out`, one element counts as zero; or `replace`, one element is any other legal one.
        bounds: legal range (low, high). Elements outside are clipped, NaN counts as the legal value nearest
            zero; nothing in a stream raises, so errors tell nothing about it.
        resolution: the grid step, a power of two; None takes about 2^-20 of the bounds. With resolution=1
            counts stay integers under the tree mechanisms.
        expected: where the horizon is unknown, the length that accuracy is tuned for; a guess 16 times too
            small costs half as much error again, and never privacy.
        window: sum the last so many elements only; or
        decay: let an element's weight fall by this factor a step. Both take `blt` and keep its guarantee.
        participations, separation: neighbours may differ in up to so many elements, any two of them at least
            `separation` steps apart (`blt` and `sqrt`).

    Raises:
        ArgumentError: an argument out of range, or a mechanism that does not fit the others.

    *Privacy*: event level, for the whole sequence of answers and for streams that are chosen in view of
    earlier answers. Elements are integers on a public grid; noise is exact discrete Gaussian or Laplace from
    operating-system entropy; where floats take part they process noisy integers only. Proofs in
    docs/privacy.md. Timing is not protected.

    >>> counter = Counter(rho=0.5, horizon=1000)
    >>> release = counter.step(1.0)
    >>> release.t, round(release.std, 1)
    (1, 1.8)
    >>> counter.steps([1, 0, 1]).shape
    (3,)
    >>> counter.guarantee
    ZCDP(rho=0.5, neighbours='zero-out')
    >>> Counter.from_state(counter.state()).step(1).t
    5
    """

    _kind = "counter"

    def __init__(
        self,
        *,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        mechanism: str = "auto",
        neighbours: str = "zero-out",
        bounds: tuple[float, float] = (0.0, 1.0),
        resolution: float | None = None,
        expected: int = 1 << 20,
        window: int | None = None,
        decay: float | None = None,
        participations: int = 1,
        separation: int = 1,
    ) -> None:
        horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
        expected = check_count(expected, "expected", 1, LIMIT)
        neighbours = read_neighbours(neighbours)
        self._workload = read_workload(window, decay, participations, separation)
        self._budget, self._domain = read_budget(rho, epsilon, delta), Domain.read(bounds, resolution)
        request = (self._budget, self._domain, neighbours, horizon, expected, self._workload)
        designs = choose.candidates(mechanism, *request)
        self._settings: dict[str, Any] = {
            "rho": rho if rho is None else float(rho),
            "epsilon": epsilon if epsilon is None else float(epsilon),
            "delta": float(delta),
            "horizon": horizon,
            "mechanism": mechanism,
            "neighbours": neighbours,
            "bounds": [self._domain.low, self._domain.high],
            "resolution": resolution if resolution is None else float(resolution),
            "expected": expected,
            "window": self._workload.window or None,
            "decay": None if self._workload.keep == 1.0 else self._workload.keep,
            "participations": self._workload.parts,
            "separation": self._workload.gap,
        }
        self._design: Design = designs[0]
        self.guarantee = guarantee_of(rho, epsilon, delta, neighbours)
        self._open(OSNoise())

    def _open(self, source: NoiseSource) -> None:
        """Start the stream; tests pass seeded noise."""
        self._unit = self._domain.unit
        self._engine: Engine = self._design.start(source)
        self._begin(self._settings["horizon"] or LIMIT)

    @property
    def horizon(self) -> int | None:
        """Number of steps, or None where unknown."""
        return self._design.horizon

    @property
    def mechanism(self) -> str:
        """Name of the mechanism in use."""
        return self._design.name

    def step(self, x: float) -> Release:
        """Take one element and return the noisy sum of all so far.

        Args:
            x: a number; content never raises.

        Raises:
            HorizonError: the horizon is reached; no noise was drawn.
            BudgetSpentError: the stream has been handed over, or this process is a copy.
            ArgumentError: x is no number at all.
        """
        units = self._domain.units(x)
        with self._lock:  # as `_enter` and `_leave`, written out: this is the innermost call
            t = self._t + 1
            if self._ended or t > self._limit or getpid() != self._pid:
                self._enter(1)  # raises
            self._ended = INTERRUPTED
            value = self._engine.step(units)
            self._t = t
            self._ended = ""
        unit = self._unit
        return _make(Release, (value * unit, t, self._design, unit))

    def steps(self, xs: ArrayLike) -> NDArray[np.float64]:
        """Take many elements and return the noisy sum after each; the same law as `step` one by one.

        Args:
            xs: (n,) numbers.

        Returns:
            (n,) float64.

        Raises:
            As `step`; an array that would pass the horizon is refused whole.
        """
        values = self._domain.checked(xs)
        out = np.empty(values.size)
        with self._lock:
            self._enter(values.size)
            for start in range(0, values.size, _BULK):
                piece = slice(start, start + _BULK)
                units = self._domain.checked_units(values[piece])
                np.multiply(self._engine.steps(units), self._unit, out=out[piece])
            self._leave(values.size)
        return out

    def std(self, t: int) -> float:
        """Return the standard deviation of the noise at step t; public."""
        return float(np.sqrt(self._design.variance(check_count(t, "t", 1, self._limit)))) * self._unit

    def prediction(self, steps: int | None = None) -> choose.Prediction:
        """Return the exact error figures of this counter over so many steps (the horizon, or `expected`)."""
        last = steps or self._settings["horizon"] or self._settings["expected"]
        return choose.predictions(
            [self._design],
            self._domain,
            self._settings["neighbours"],
            last,
            self._budget,
            workload=self._workload,
        )[0]

    @classmethod
    def predict(
        cls,
        *,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        neighbours: str = "zero-out",
        bounds: tuple[float, float] = (0.0, 1.0),
        resolution: float | None = None,
        expected: int = 1 << 20,
        window: int | None = None,
        decay: float | None = None,
        participations: int = 1,
        separation: int = 1,
    ) -> list[choose.Prediction]:
        """Return the mechanisms for a request with exact error figures, the one `auto` takes first.

        >>> best = Counter.predict(rho=0.5, horizon=2**20)[0]
        >>> best.mechanism, round(best.rmse, 2), round(best.floor, 2)
        ('blt', 5.32, 5.11)
        """
        horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
        expected = check_count(expected, "expected", 1, LIMIT)
        neighbours = read_neighbours(neighbours)
        workload = read_workload(window, decay, participations, separation)
        budget, domain = read_budget(rho, epsilon, delta), Domain.read(bounds, resolution)
        designs = choose.candidates("auto", budget, domain, neighbours, horizon, expected, workload)
        steps = horizon or expected
        return choose.predictions(designs, domain, neighbours, steps, budget, workload=workload)

    def _describe(self) -> dict[str, Any]:
        return self._design.describe()

    def _export(self) -> dict[str, Any]:
        return self._engine.export()

    def _restore(self, saved: dict[str, Any]) -> None:
        self._engine.restore(saved)

    def __repr__(self) -> str:
        return f"Counter({self._design.name!r}, {self.guarantee!r}, horizon={self.horizon}, t={self._t})"
