"""Public settings of a stream: the budget, the neighbour relation, and the grid that its numbers live on."""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._arrays import on_host
from dpkit.continual.kernels import grid_units
from dpkit.errors import ArgumentError
from dpkit.grid import round_up
from dpkit.guarantee import ZCDP, ApproxDP, Guarantee, PureDP, rho_for
from dpkit.noise import MAX_SCALE

__all__ = [
    "GAUSSIAN",
    "LAPLACE",
    "Budget",
    "Domain",
    "check_count",
    "guarantee_of",
    "read_budget",
    "read_neighbours",
]

GAUSSIAN, LAPLACE = "gaussian", "laplace"
_GRID_BITS = 20


@dataclass(frozen=True)
class Budget:
    """What noise has to pay for.

    Args:
        law: `gaussian`, counted in rho of zCDP, or `laplace`, counted in epsilon of pure DP.
        amount: rho or epsilon, exact.
    """

    law: str
    amount: Fraction

    def scale(self, sensitivity: Fraction | int) -> Fraction:
        """Return the noise scale that this budget needs, rounded up.

        Args:
            sensitivity: squared L2 sensitivity (gaussian) or L1 sensitivity (laplace), in grid units.

        Returns:
            The variance sensitivity/(2 rho), or the Laplace scale sensitivity/epsilon.

        Raises:
            ArgumentError: the noise would not fit the samplers' range.
        """
        gaussian = self.law == GAUSSIAN
        scale = round_up(Fraction(sensitivity) / (2 * self.amount if gaussian else self.amount))
        if scale > ((MAX_SCALE // 2) ** 2 if gaussian else MAX_SCALE // 2):
            raise ArgumentError(
                f"{'rho' if gaussian else 'epsilon'} = {float(self.amount):.3g} needs noise beyond the "
                "sampler's range at this resolution: raise the budget or pass a coarser resolution"
            )
        return scale

    def variance(self, scale: Fraction) -> float:
        """Return the variance of one draw: sigma^2, or 2 b^2 (the discrete law is below it by under 1/6)."""
        return float(scale) if self.law == GAUSSIAN else 2.0 * float(scale) ** 2

    def part(self, share: Fraction) -> "Budget":
        """Return this share of the budget."""
        return Budget(self.law, self.amount * share)


@dataclass(frozen=True)
class Domain:
    """Legal elements: reals in [low, high], rounded to multiples of 2^-bits.

    Args:
        low, high: public bounds.
        bits: the grid step is 2^-bits; may be negative.
    """

    low: float
    high: float
    bits: int

    @classmethod
    def read(cls, bounds: object, resolution: float | None) -> "Domain":
        """Return the domain of the arguments `bounds` and `resolution`, or raise ArgumentError."""
        try:
            low, high = (float(end) for end in bounds)  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            raise ArgumentError(f"bounds must be a pair (low, high) of numbers, got {bounds!r}") from None
        top = max(abs(low), abs(high))
        if not (low < high and 1e-100 < top < 1e100):
            raise ArgumentError(f"bounds must satisfy low < high with |.| below 1e100, got {(low, high)}")
        if resolution is None:
            return cls(low, high, _GRID_BITS - math.frexp(top)[1] + (math.frexp(top)[0] == 0.5))
        try:
            mantissa, exponent = math.frexp(float(resolution))
        except (TypeError, ValueError):
            raise ArgumentError(f"resolution must be a power of two, got {resolution!r}") from None
        if mantissa != 0.5:
            raise ArgumentError(f"resolution must be a power of two such as 1 or 2**-10, got {resolution!r}")
        domain = cls(low, high, 1 - exponent)
        low_units, high_units = domain._ends
        if not (low_units < high_units and max(abs(low_units), abs(high_units)) <= 2**30):
            raise ArgumentError(
                f"resolution {resolution!r} does not suit bounds {(low, high)}: the grid must have at least "
                "two and at most 2^30 points"
            )
        return domain

    @cached_property
    def _scale(self) -> float:
        return 2.0**self.bits

    @property
    def unit(self) -> float:
        """The grid step."""
        return 2.0**-self.bits

    @property
    def _ends(self) -> tuple[int, int]:
        return round(self.low * 2.0**self.bits), round(self.high * 2.0**self.bits)

    def sensitivity(self, neighbours: str) -> int:
        """Return by how many grid units one element may change: to zero, or to any other legal element."""
        low, high = self._ends
        return high - low if neighbours == "replace" else max(abs(low), abs(high))

    @property
    def magnitude(self) -> int:
        """The largest |element| in grid units."""
        low, high = self._ends
        return max(abs(low), abs(high))

    @property
    def nan_point(self) -> float:
        """What NaN counts as: the legal element nearest to zero."""
        return min(max(0.0, self.low), self.high)

    def units(self, x: object) -> int:
        """Return one element on the grid; content never raises, a type that is no number does."""
        if type(x) is float and self.low <= x <= self.high:
            return round(x * self._scale)
        if type(x) is not float:
            x = _as_float(x)
        if not self.low <= x <= self.high:
            x = self.low if x < self.low else self.high if x > self.high else self.nan_point
        return round(x * self._scale)

    def array_units(self, xs: object) -> NDArray[np.int64]:
        """Return a one-dimensional array of elements on the grid, equal to `units` one by one."""
        return self.checked_units(self.checked(xs))

    def checked(self, xs: object) -> NDArray[np.float64]:
        """Return a one-dimensional array of elements as floats, or raise ArgumentError."""
        xs = on_host(xs)
        try:
            values = np.asarray(xs)
        except (ValueError, TypeError):
            raise ArgumentError("array must be one-dimensional, got a ragged one") from None
        if values.dtype.kind not in "buif" or values.ndim != 1:
            raise ArgumentError(
                f"array must be one-dimensional and hold real numbers, got shape {values.shape} and dtype "
                f"{values.dtype}"
            )
        return values.astype(np.float64, copy=False)

    def checked_units(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return (n,) floats on the grid."""
        out = np.empty(values.size, dtype=np.int64)
        grid_units(values, out, self.low, self.high, self.nan_point, self._scale)
        return out


def _as_float(x: object) -> float:
    if isinstance(x, str | bytes | complex | np.complexfloating):
        raise ArgumentError(f"x must be a real number, got {type(x).__name__}")
    try:
        return float(x)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf if x > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        raise ArgumentError(f"x must be a real number, got {type(x).__name__}") from None


def read_neighbours(neighbours: object) -> str:
    """Return the neighbour relation of a stream, or raise ArgumentError."""
    if neighbours not in ("zero-out", "replace"):
        raise ArgumentError(f"neighbours must be 'zero-out' or 'replace', got {neighbours!r}")
    return str(neighbours)


def check_count(value: object, name: str, low: int, high: int) -> int:
    """Return an integer argument in [low, high], or raise ArgumentError."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= value <= high:  # type: ignore[operator]
        raise ArgumentError(f"{name} must be an integer in [{low}, {high}], got {value!r}")
    return int(value)  # type: ignore[call-overload]


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise ArgumentError(f"{name} must be a positive number, got {value!r}")
    number = float(value)
    if not 0 < number < math.inf:
        raise ArgumentError(f"{name} must be positive and finite, got {value!r}")
    return number


def read_budget(rho: float | None, epsilon: float | None, delta: float) -> Budget:
    """Return the budget of (rho) or (epsilon, delta); delta = 0 is pure.

    (epsilon, delta) is met through the largest rho whose zCDP implies it.
    """
    if (rho is None) == (epsilon is None):
        raise ArgumentError("exactly one of rho and epsilon must be given: rho=0.5, or epsilon=1, delta=1e-6")
    if rho is not None:
        if delta:
            raise ArgumentError(f"delta belongs to epsilon, got delta={delta!r} beside rho")
        return Budget(GAUSSIAN, Fraction(_positive(rho, "rho")))
    number = _positive(epsilon, "epsilon")
    if delta == 0:
        return Budget(LAPLACE, Fraction(number))
    implied = rho_for(number, delta)
    if implied <= 0:
        raise ArgumentError(f"epsilon = {epsilon!r}, delta = {delta!r} leave no budget: raise one of them")
    return Budget(GAUSSIAN, Fraction(implied))


def guarantee_of(rho: float | None, epsilon: float | None, delta: float, neighbours: str) -> Guarantee:
    """Return what those arguments promise."""
    if epsilon is None:
        return ZCDP(float(rho or 0.0), neighbours)
    if delta == 0:
        return PureDP(epsilon, neighbours)
    return ApproxDP(epsilon, delta, neighbours, rho_for(epsilon, delta))
