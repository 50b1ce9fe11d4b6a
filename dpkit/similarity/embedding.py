"""Sums of |x - y|_2 through sums of |x - y|_1: a public projection on k random directions.

For a direction u uniform on the sphere, E |<u, v>| = c_d |v|_2, so the mean of |<u_j, x> - <u_j, y>| over k
directions, divided by c_d, estimates |x - y|_2. Directions come in orthonormal sets of d: the squares of a
set add up to |v|^2 exactly, which takes away seven eighths of the variance that independent directions have
(share of |<u, v>| that is linear in <u, v>^2, below), at no cost to privacy or bias.

A record is an integer vector in a ball, a direction an integer vector of norm about 2^32, and their product
is exact in double precision in whatever order it is added up (partial sums stay below 2^53): a record's
contribution never depends on the records beside it.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.similarity.centred import CentredHatMap
from dpkit.similarity.fourier import directions
from dpkit.similarity.hat import GRID_BITS, HatMap, HatReader
from dpkit.similarity.moments import Ball, ball_integers
from dpkit.similarity.plan import Budget, NoisePlan
from dpkit.similarity.stream import PublicStream

__all__ = ["EmbeddingMap", "EmbeddingReader", "error_share", "mean_projection", "pair_spread"]

_DIRECTION_BITS = 32
_REACH = 3.0  # projections are clipped at three standard deviations of a record on the sphere
_CHUNK_NUMBERS = 1 << 19


def _moment(d: int, power: float) -> float:
    """Return E |<u, e>|^power for u uniform on the sphere of R^d."""
    logs = math.lgamma(d / 2) + math.lgamma((power + 1) / 2) - math.lgamma((d + power) / 2)
    return math.exp(logs) / math.sqrt(math.pi)


def mean_projection(d: int) -> float:
    """Return c_d = E |<u, e>| = Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).

    Example:
        >>> round(mean_projection(3), 12)
        0.5
    """
    return _moment(d, 1.0)


def error_share(d: int, k: int) -> float:
    """Return the variance of a mean over k directions in orthonormal sets, over that of k independent ones.

    |<u, v>| is a constant, a part linear in <u, v>^2 and a rest, uncorrelated with each other. At orthogonal
    directions the linear parts have correlation -1/(d-1), so they cancel over a full set; the rest, taken as
    its leading harmonic (degree 4), has 3/(d^2-1).
    """
    if d == 1:
        return 0.0
    first, variance = _moment(d, 1.0), 1.0 / d - _moment(d, 1.0) ** 2
    cross = _moment(d, 3.0) - first / d
    linear = cross**2 / ((_moment(d, 4.0) - 1.0 / d**2) * variance)
    share = 0.0
    for size, weight in ((d, k - k % d), (k % d, k % d)):
        rest = 1.0 + 3.0 * (size - 1) / (d * d - 1.0)
        share += weight / k * (linear * (1.0 - (size - 1) / (d - 1)) + (1.0 - linear) * rest)
    return share


def pair_spread(d: int, k: int) -> float:
    """Return the relative standard deviation of the estimate of one distance."""
    first = mean_projection(d)
    return math.sqrt(max(0.0, 1.0 / d / first**2 - 1.0) / k * error_share(d, k))


@dataclass(frozen=True)
class EmbeddingMap:
    """The public map of a sum of l2 distances: a ball, k directions, a depth.

    Args:
        ball: the domain.
        directions: k.
        depth: L of the hat basis on every direction.
        public_seed: fixes the directions, nothing else.
        centred: which of the two l1 structures the projections enter (see `CentredHatMap`).
    """

    ball: Ball
    directions: int
    depth: int
    public_seed: int = 0
    grid_bits: int = GRID_BITS
    centred: bool = False

    @property
    def columns(self) -> int:
        """The number of columns d of a record."""
        return self.ball.columns

    @property
    def reach(self) -> float:
        """The largest projection kept, in radii."""
        return min(1.0, _REACH / math.sqrt(self.columns))

    @functools.cached_property
    def words(self) -> NDArray[np.int64]:
        """The integer directions, round(2^32 u), (k, d) int64, read-only."""
        stream = PublicStream(self.public_seed, f"directions|{self.columns}|{self.directions}")
        unit = directions(stream, self.directions, self.columns)
        words = np.rint(unit * 2.0**_DIRECTION_BITS).astype(np.int64)
        words.flags.writeable = False
        return words

    @functools.cached_property
    def hat(self) -> HatMap:
        """The l1 structure that the projections enter, in radii."""
        kind = CentredHatMap if self.centred else HatMap
        return kind(
            (-self.reach,) * self.directions, (self.reach,) * self.directions, self.depth, self.grid_bits
        )

    @property
    def factor(self) -> float:
        """From sums of |z - z'|_1 to sums of distances: B / (k c_d)."""
        return self.ball.radius / (self.directions * mean_projection(self.columns))

    @property
    def size(self) -> int:
        """The length of the vector."""
        return self.hat.size

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records."""
        return self.hat.blank()

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add records, modulo 2^64, in place."""
        rows = max(1, _CHUNK_NUMBERS // max(self.columns, self.directions))
        words = self.words.astype(np.float64).T
        top = 1 << self.grid_bits
        for start in range(0, len(records), rows):
            v = ball_integers(records[start : start + rows], self.ball, self.grid_bits).astype(np.float64)
            products = (v @ words) * 2.0 ** -(self.grid_bits + _DIRECTION_BITS)
            places = np.rint((products / self.reach + 1.0) * (top / 2))
            self.hat.add_integers(sums, np.clip(places, 0.0, float(top)).astype(np.int64))

    def vector(self, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the coefficients, exact modulo 2^64."""
        return self.hat.vector(sums)

    def calibrate(self, budget: Budget) -> NoisePlan:
        """Return the noise that keeps the budget's promise: that of the l1 structure."""
        return self.hat.calibrate(budget)

    def read(self, noisy: NDArray[np.int64], plan: NoisePlan, count: int | None = None) -> "EmbeddingReader":
        """Return the answers that a noisy vector holds; `count` where the number of records is public."""
        return EmbeddingReader(self, self.hat.read(noisy, plan, count))


class EmbeddingReader:
    """Answers from the l1 structure of the projections."""

    def __init__(self, shape: EmbeddingMap, inner: HatReader) -> None:
        self._shape, self._inner = shape, inner
        self._unit = shape.words.astype(np.float64).T * 2.0**-_DIRECTION_BITS

    def _project(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(self._shape.ball.scaled(queries) @ self._unit)

    def convex(self) -> "EmbeddingReader":
        """Return these answers with the sums of every projection made convex."""
        return EmbeddingReader(self._shape, self._inner.convex())

    def largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the most that one record in the ball can add, (m,)."""
        return self._shape.ball.farthest(queries)

    def count(self) -> tuple[float, float]:
        """Return the number of records that the ends tell, and its variance."""
        return self._inner.count()

    def values(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sums, (m,)."""
        return self._inner.values(self._project(queries)) * self._shape.factor

    def spread(self, queries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the variance of noise and projection in each sum, and its covariance with `count`.

        The spread of the k terms, less the noise in them, tells the variance of the directions; directions
        in orthonormal sets leave `error_share` of it.
        """
        z = self._project(queries)
        noise, cross = self._inner.spread(z)
        k, factor = self._shape.directions, self._shape.factor
        if k == 1:
            drawn = np.full(len(z), np.inf) if self._shape.columns > 1 else np.zeros(len(z))
        else:
            terms = self._inner.terms(z)
            signal = np.maximum(terms.var(axis=1, ddof=1) - self._inner.own_variance(z) / k, 0.0)
            drawn = k * signal * error_share(self._shape.columns, k)
        return (noise + drawn) * factor**2, cross * factor

    def typical(self) -> float:
        """Return the noise's standard deviation, mean over queries spread evenly; projection not included."""
        return self._inner.typical() * self._shape.factor
