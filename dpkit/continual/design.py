"""What every counter shares: a public design with exact error formulas, and an engine that runs it."""

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dpkit.noise import NoiseSource

__all__ = ["Design", "Engine", "Release", "floor_rmse"]


class Engine(Protocol):
    """The secret half of a counter: exact sums and live noise. All numbers are in grid units."""

    def step(self, x: int) -> float:
        """Take one element and return the noisy prefix sum."""

    def steps(self, xs: NDArray[np.int64]) -> NDArray[Any]:
        """Take many elements; the same as repeated `step`."""

    def export(self) -> dict[str, Any]:
        """Return the state as JSON-ready integers and lists; secret."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `export` returned."""


class Design(Protocol):
    """The public half of a counter; needs no data."""

    @property
    def name(self) -> str:
        """The value of `mechanism=`."""

    @property
    def horizon(self) -> int | None:
        """Number of steps it is calibrated for, or None for no limit."""

    @property
    def state_size(self) -> int:
        """How many numbers the running state holds at most."""

    def variance(self, t: int) -> float:
        """Return the variance of the answer at step t, t >= 1, in squared grid units."""

    def mean_variance(self, steps: int) -> float:
        """Return the mean of the variance over steps 1..steps."""

    def worst_variance(self, steps: int) -> float:
        """Return the largest variance over steps 1..steps."""

    def start(self, source: NoiseSource) -> Engine:
        """Return a fresh engine."""

    def describe(self) -> dict[str, Any]:
        """Return the public parameters, JSON-ready."""


class _Fields(NamedTuple):
    value: Any  # a float, or a (d,) array where there are d counts
    t: int
    design: Design
    unit: float


class Release(_Fields):
    """One answer of a counter: `value`, `std` (standard deviation of its noise) and `t`; immutable.

    The noise has mean zero; its standard deviation is public and exact up to rounding.
    """

    __slots__ = ()

    @property
    def std(self) -> float:
        """Standard deviation of the noise in `value`."""
        return math.sqrt(self.design.variance(self.t)) * self.unit

    def __repr__(self) -> str:
        return f"Release(value={self.value!r}, std={self.std:.6g}, t={self.t})"


def floor_rmse(steps: int) -> float:
    """Return the least RMSE any factorisation can have over `steps` steps, at sensitivity 1 and rho = 1/2.

    It is (1/T) sum over j = 1..T of 1/(2 sin((2j - 1) pi / (4T + 2))), the nuclear norm of the prefix-sum
    matrix over T.

    >>> round(floor_rmse(1024), 3)
    2.91
    """
    if steps <= 1 << 16:
        j = np.arange(1, steps + 1, dtype=np.float64)
        return float((0.5 / np.sin((2 * j - 1) * np.pi / (4 * steps + 2))).mean())
    return (math.log(steps) + 0.5772156649015329 + math.log(16 / math.pi)) / math.pi
