"""Sums of |x - y|^2 from moments: sum |x|^2, sum x and the number of records say everything.

Records are moved to a public centre, scaled by a public radius, and truncated to integers inside the unit
ball; the check is made on the integers.
"""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.similarity.hat import GRID_BITS
from dpkit.similarity.plan import Budget, NoisePlan, shares
from dpkit.similarity.radial import GROUP, group_sizes, shared_change

__all__ = ["Ball", "MomentMap", "MomentReader", "ball_integers", "unit_rows"]

_CHUNK_NUMBERS = 1 << 19
_FAR = 2.0**30


@njit(cache=True, nogil=True, error_model="numpy")
def _into_ball(row, normalize, bits, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write a row, scaled into the unit ball (or onto its sphere) and truncated, in steps of 2^-bits.

    Plain loops in a fixed order. The last loop enforces the bound on the integers, should a float have
    overshot. Returns the sum of squares of the integers.
    """
    d = row.size
    step = 2.0**bits
    cap = 1 << (2 * bits)
    largest = 0.0
    for c in range(d):
        largest = max(largest, abs(row[c]))
    total = 0
    if largest == 0.0:
        out[:] = 0
        return total
    square = 0.0
    for c in range(d):
        part = row[c] / largest
        square += part * part
    norm = math.sqrt(square)  # of the row divided by its largest entry
    scale = 1.0 / norm if normalize or norm * largest > 1.0 else largest
    for c in range(d):
        whole = int(row[c] / largest * scale * step)
        whole = min(max(whole, -(1 << bits)), 1 << bits)
        out[c] = whole
        total += whole * whole
    while total > cap:
        total = 0
        for c in range(d):
            if out[c] > 0:
                out[c] -= 1
            elif out[c] < 0:
                out[c] += 1
            total += out[c] * out[c]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _about_centre(row, low, high, center, radius, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write a row clipped to a box (empty arrays: none), about the centre, in radii, NaN as the centre."""
    for c in range(row.size):
        x = float(row[c])
        if low.size > 0:
            x = min(max(x, low[c]), high[c]) if x == x else x
        x = (x - center[c]) / radius
        out[c] = min(max(x, -_FAR), _FAR) if x == x else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _ball_rows(points, low, high, center, radius, normalize, bits, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the integers of every row; a row's never depend on the rows beside it."""
    row = np.empty(points.shape[1])
    for r in range(points.shape[0]):
        _about_centre(points[r], low, high, center, radius, row)
        _into_ball(row, normalize, bits, out[r])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_rows(points, low, high, center, radius, normalize, bits, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add every row's integers to the sums, (d,) int64; return the sum of truncated squared norms."""
    row = np.empty(points.shape[1])
    whole = np.empty(points.shape[1], np.int64)
    squares = 0
    for r in range(points.shape[0]):
        _about_centre(points[r], low, high, center, radius, row)
        squares += _into_ball(row, normalize, bits, whole) >> bits
        for c in range(whole.size):
            sums[c] += whole[c]
    return squares


@dataclass(frozen=True)
class Ball:
    """A public domain: a ball, perhaps within a box, perhaps only its sphere.

    Args:
        center: tuple of d floats.
        radius: B > 0.
        box: (low, high) to which records are clipped first, or None.
        normalize: scale records to norm B (about the centre) in place of clipping them; zero stays zero.
    """

    center: tuple[float, ...]
    radius: float
    box: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    normalize: bool = False

    @property
    def columns(self) -> int:
        """The number of coordinates d."""
        return len(self.center)

    @functools.cached_property
    def numbers(self) -> tuple[Any, ...]:
        """The domain as the loops want it: the box's ends, or empty arrays, centre, radius, normalize."""
        low, high = self.box if self.box is not None else ((), ())
        ends = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        return *ends, np.array(self.center, dtype=np.float64), float(self.radius), self.normalize

    def scaled(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return queries about the centre in units of the radius, infinite and missing ones as NaN."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = (np.asarray(queries, dtype=np.float64) - np.array(self.center)) / self.radius
        found = np.where(np.isfinite(found), found, np.nan)
        if self.normalize:
            norms = np.sqrt((found * found).sum(axis=1, keepdims=True))
            found = np.divide(found, norms, out=np.zeros_like(found), where=norms != 0.0)
        return found

    def farthest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance of each query from the point of the ball that is farthest from it, (m,)."""
        y = self.scaled(queries)
        return np.asarray((1.0 + np.sqrt((y * y).sum(axis=1))) * self.radius)


def ball_integers(points: NDArray[Any], ball: Ball, bits: int) -> NDArray[np.int64]:
    """Return records as integers v with sum v_i^2 <= 4^bits, (rows, d); truncated toward zero.

    A missing coordinate becomes the centre's; an infinite one counts as 2^30 radii (or the box's end).
    """
    values = np.asarray(points, dtype=np.float64)
    out = np.empty(values.shape, dtype=np.int64)
    _ball_rows(values, *ball.numbers, bits, out)
    return out


@njit(cache=True, nogil=True)
def _rescale(values, normalize, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write rows scaled into the unit ball or onto its sphere, in a fixed order of operations."""
    for r in range(values.shape[0]):
        largest = 0.0
        for c in range(values.shape[1]):
            largest = max(largest, abs(values[r, c]))
        norm = 0.0
        if largest > 0.0:
            for c in range(values.shape[1]):
                part = values[r, c] / largest
                norm += part * part
            norm = math.sqrt(norm)
        for c in range(values.shape[1]):
            if largest > 0.0 and (normalize or norm * largest > 1.0):
                out[r, c] = values[r, c] / largest / norm
            else:
                out[r, c] = values[r, c]


def unit_rows(points: NDArray[Any], ball: Ball) -> NDArray[np.float64]:
    """Return records moved into the ball (or onto its sphere), in their own units, row by row."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = (np.asarray(points, dtype=np.float64) - np.array(ball.center)) / ball.radius
        values = np.where(np.isnan(values), 0.0, np.clip(values, -_FAR, _FAR))
    out = np.empty(values.shape)
    _rescale(values, ball.normalize, out)
    return out * ball.radius + np.array(ball.center)


@dataclass(frozen=True)
class MomentMap:
    """The public map of a sum of squared distances: a domain and a grid.

    Args:
        ball: the domain.
        grid_bits: P; records are multiples of 2^-P of the radius.
    """

    ball: Ball
    grid_bits: int = GRID_BITS

    @property
    def columns(self) -> int:
        """The number of coordinates d."""
        return self.ball.columns

    @property
    def size(self) -> int:
        """The length of the vector: the sum of records, of squared norms (unless all are one), the count."""
        return self.columns + (1 if self.ball.normalize else 2)

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records."""
        return np.zeros(self.size, dtype=np.uint64)

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add records to the moments, modulo 2^64, in place."""
        d = self.columns
        rows = max(1, _CHUNK_NUMBERS // d)
        for start in range(0, len(records), rows):
            part = np.asarray(records[start : start + rows], dtype=np.float64)
            squares = _add_rows(part, *self.ball.numbers, self.grid_bits, sums[:d].view(np.int64))
            if not self.ball.normalize:
                sums[d : d + 1] += np.array([squares]).view(np.uint64)
            sums[-1] += np.uint64(len(part))

    def vector(self, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return what noise is added to: the sums (but not the count, their last, under `replace`)."""
        return sums.copy()

    def calibrate(self, budget: Budget) -> NoisePlan:
        """Return the noise that keeps the budget's promise, shared so that an answer at |y| = B is best.

        One record: |v|_2 <= 2^P; squared norm in [0, 2^P]; count 1. Pure noise on v is radial, in g groups of
        coordinates, whose norms add up to at most sqrt(g) 2^P. Under `replace` the change of v doubles; that
        of the squared norm stays, since it has one sign; the count is public and not part of the vector that
        gets noise.
        """
        d, top, pure = self.columns, 1 << self.grid_bits, budget.pure
        square = top * top * (4 if budget.replace else 1)
        change = shared_change(d, square) if pure else Fraction(square)
        # change, unit, length, and what an answer's variance is times (change / unit / share)^2 (Gaussian: 1)
        spread = group_sizes(d, GROUP)[0] + 1.0
        sizes = [(change, top, d, 4.0 * (spread if pure else 1.0))]
        if not self.ball.normalize:
            sizes.append((Fraction(top if pure else top * top), top, 1, 2.0 if pure else 1.0))
        if not budget.replace:
            sizes.append((Fraction(1), 1, 1, 2.0 if pure else 1.0))
        # Least variance: shares of (change^2 weight)^(1/3), or (change weight)^(1/2), in public units.
        wanted = [
            ((float(change) / unit) ** 2 * weight) ** (1 / 3)
            if pure
            else (float(change) / unit**2 * weight) ** 0.5
            for change, unit, _, weight in sizes
        ]
        runs = [
            (budget.split(w).scale(change), length)
            for w, (change, _, length, _) in zip(shares(wanted), sizes, strict=True)
        ]
        return NoisePlan.of(budget, runs, GROUP if pure else 1)

    def read(self, noisy: NDArray[np.int64], plan: NoisePlan, count: int | None) -> "MomentReader":
        """Return the answers that a noisy vector holds."""
        return MomentReader(self, noisy, plan.variances(), count)


class MomentReader:
    """Answers from noisy moments: B^2 (s - 2 <y, v> + m |y|^2), y about the centre in radii B."""

    def __init__(
        self,
        shape: MomentMap,
        noisy: NDArray[np.int64],
        variances: NDArray[np.float64],
        count: int | None,
    ) -> None:
        d, step = shape.columns, 2.0**-shape.grid_bits
        self._ball = shape.ball
        self._center: NDArray[np.float64] = noisy[:d].astype(np.float64) * step
        self._center_variance = float(variances[0]) * step * step
        self._count = (float(noisy[-1]), float(variances[-1])) if count is None else (float(count), 0.0)
        self._squares = (
            self._count
            if shape.ball.normalize
            else (
                float(noisy[d]) * step,
                float(variances[d]) * step * step,
            )
        )

    def count(self) -> tuple[float, float]:
        """Return the number of records and its variance."""
        return self._count

    def values(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sums, (m,)."""
        y = self._ball.scaled(queries)
        norms = (y * y).sum(axis=1)
        sums = self._squares[0] - 2.0 * (y @ self._center) + self._count[0] * norms
        return np.asarray(sums * self._ball.radius**2)

    def spread(self, queries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the noise's variance in each sum, and its covariance with `count`, (m,) each."""
        y = self._ball.scaled(queries)
        norms = (y * y).sum(axis=1)
        scale, count = self._ball.radius**2, self._count[1]
        if self._ball.normalize:
            own, cross = (1.0 + norms) ** 2 * count, (1.0 + norms) * count
        else:
            own, cross = self._squares[1] + norms**2 * count, norms * count
        return (own + 4.0 * norms * self._center_variance) * scale**2, cross * scale

    def largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the most that one record in the ball can add, (m,)."""
        return self._ball.farthest(queries) ** 2

    def mean(self) -> tuple[NDArray[np.float64], float]:
        """Return the noisy sum of records about the centre, in radii, and the variance of each entry."""
        return self._center, self._center_variance

    def squares(self) -> float:
        """Return the noisy sum of squared norms about the centre, in squared radii."""
        return self._squares[0]

    def typical(self) -> float:
        """Return the noise's standard deviation in the sum at |y| = B."""
        own = 4.0 * self._count[1] if self._ball.normalize else self._squares[1] + self._count[1]
        return float(np.sqrt(own + 4.0 * self._center_variance)) * self._ball.radius**2
