"""Running sums of vectors of bounded length, one noisy vector after every element."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.continual import choose
from dpkit.continual.bank import BankedStream
from dpkit.continual.blt import LIMIT
from dpkit.continual.design import Release
from dpkit.continual.settings import (
    GAUSSIAN,
    Budget,
    check_count,
    guarantee_of,
    read_budget,
    read_neighbours,
)
from dpkit.continual.workload import Workload, read_workload
from dpkit.errors import ArgumentError
from dpkit.noise import OSNoise

__all__ = ["Ball", "VectorCounter"]

_BITS = 20


@dataclass(frozen=True)
class Ball:
    """Vectors of L2 length at most 2^20 units, on the integer grid.

    Args:
        norm: what 2^20 units stand for.
    """

    norm: float

    @property
    def unit(self) -> float:
        """The grid step."""
        return self.norm / 2.0**_BITS

    @property
    def magnitude(self) -> int:
        """The largest |coordinate|, grid units."""
        return 1 << _BITS

    def sensitivity(self, neighbours: str) -> int:
        """Return the largest L2 change, grid units: to zero, or to any other vector of the ball."""
        return (2 if neighbours == "replace" else 1) << _BITS

    def units(self, vectors: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return vectors (n, d) on the grid, shortened to the ball; one with a NaN or infinity becomes zero.

        Coordinates are rounded towards zero, so that rounding never lengthens; the squared length is then
        checked in integers, and what floats left too long is halved.
        """
        rows = np.where(np.isfinite(vectors).all(1, keepdims=True), vectors, 0.0)
        largest = np.abs(rows).max(1, keepdims=True, initial=0.0)
        scaled = rows / np.where(largest > 0, largest, 1.0)  # squares of huge and tiny numbers stay finite
        length = np.maximum(np.sqrt((scaled**2).sum(1, keepdims=True)), 1.0)
        with np.errstate(over="ignore"):
            shrink = np.minimum(largest / self.norm, 1.0 / length)
        units = np.trunc(scaled * shrink * 2.0**_BITS * (1 - 2.0**-40)).astype(np.int64)
        long = (units**2).sum(1, keepdims=True) > 1 << (2 * _BITS)
        return np.where(long, units // 2, units)


class VectorCounter(BankedStream):
    """A differentially private running sum of vectors, such as clipped gradients.

    Args:
        d: number of coordinates.
        norm: largest L2 length of an element; longer ones are shortened, one that is not finite is zero.
        rho, epsilon, delta, horizon, mechanism, neighbours, expected, window, decay, participations,
            separation: as for `Counter`; pure budgets are refused.

    *Privacy*: every coordinate has a counter with noise of its own, all of one variance; the L2 sensitivity
    of the whole is that of one counter times the largest L2 change of a vector: `norm`, twice that under
    `replace`. It does not grow with d.

    >>> sums = VectorCounter(3, norm=2.0, rho=0.5, horizon=100)
    >>> sums.step([1.0, 0.0, -1.0]).value.shape
    (3,)
    """

    _kind = "vector"

    def __init__(
        self,
        d: int,
        *,
        norm: float = 1.0,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        mechanism: str = "auto",
        neighbours: str = "zero-out",
        expected: int = 1 << 20,
        window: int | None = None,
        decay: float | None = None,
        participations: int = 1,
        separation: int = 1,
    ) -> None:
        self._d, self._ball = check_count(d, "d", 1, 1 << 24), _ball(norm)
        horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
        expected = check_count(expected, "expected", 1, LIMIT)
        neighbours = read_neighbours(neighbours)
        workload = read_workload(window, decay, participations, separation)
        request = _request(self._d, self._ball, rho, epsilon, delta, horizon, neighbours, expected, workload)
        self._design, self._unit = choose.candidates(mechanism, *request)[0], self._ball.unit
        self._settings = {
            "d": self._d,
            "norm": self._ball.norm,
            "rho": rho if rho is None else float(rho),
            "epsilon": epsilon if epsilon is None else float(epsilon),
            "delta": float(delta),
            "horizon": horizon,
            "mechanism": mechanism,
            "neighbours": neighbours,
            "expected": expected,
            "window": workload.window or None,
            "decay": None if workload.keep == 1.0 else workload.keep,
            "participations": workload.parts,
            "separation": workload.gap,
        }
        self.guarantee = guarantee_of(rho, epsilon, delta, neighbours)
        self._columns = self._d
        self._open(OSNoise())

    def step(self, vector: ArrayLike) -> Release:
        """Take one vector, (d,), and return the noisy sum, `.value` of shape (d,)."""
        return self._take(self._units(vector, 1)[0])

    def steps(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Take many vectors, (n, d), and return the noisy sum after each, (n, d)."""
        units = self._units(vectors, 2)
        return self._take_all(len(units), lambda j: np.ascontiguousarray(units[:, j]))

    def _units(self, vectors: ArrayLike, axes: int) -> NDArray[np.int64]:
        vectors = on_host(vectors)
        try:
            values = np.asarray(vectors)
        except (ValueError, TypeError):
            raise ArgumentError("vectors must be rectangular, got a ragged array") from None
        if values.dtype.kind not in "buif" or values.ndim != axes or values.shape[-1] != self._d:
            shape = f"({self._d},)" if axes == 1 else f"(n, {self._d})"
            raise ArgumentError(
                f"vectors must be real numbers of shape {shape}, got shape {values.shape} and dtype "
                f"{values.dtype}"
            )
        return self._ball.units(values.astype(np.float64).reshape(-1, self._d))

    @classmethod
    def predict(
        cls,
        d: int,
        *,
        norm: float = 1.0,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        neighbours: str = "zero-out",
        expected: int = 1 << 20,
        window: int | None = None,
        decay: float | None = None,
        participations: int = 1,
        separation: int = 1,
    ) -> list[choose.Prediction]:
        """Return the mechanisms for a request with the exact error figures of each coordinate, best first."""
        d, ball = check_count(d, "d", 1, 1 << 24), _ball(norm)
        horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
        expected, neighbours = check_count(expected, "expected", 1, LIMIT), read_neighbours(neighbours)
        workload = read_workload(window, decay, participations, separation)
        request = _request(d, ball, rho, epsilon, delta, horizon, neighbours, expected, workload)
        designs = choose.candidates("auto", *request)
        steps = horizon or expected
        return choose.predictions(designs, ball, neighbours, steps, request[0], d, workload)


def _ball(norm: Any) -> Ball:
    number = float(norm) if isinstance(norm, int | float | np.number) else math.nan
    if not 1e-100 < number < 1e100:
        raise ArgumentError(f"norm must be a positive number, got {norm!r}")
    return Ball(number)


def _request(
    d: int,
    ball: Ball,
    rho: float | None,
    epsilon: float | None,
    delta: float,
    horizon: int | None,
    neighbours: str,
    expected: int,
    workload: Workload,
) -> tuple[Budget, Ball, str, int | None, int, Workload]:
    budget = read_budget(rho, epsilon, delta)
    if budget.law != GAUSSIAN:
        raise ArgumentError("vectors of bounded L2 length need rho, or delta above 0")
    return budget, ball, neighbours, horizon, expected, replace(workload, columns=d)
