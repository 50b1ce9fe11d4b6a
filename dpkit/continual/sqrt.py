"""The square-root counter: the best Toeplitz factorisation, at the price of the whole history in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual.blt import BLTEngine
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.readers import make_reader
from dpkit.continual.settings import Budget
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource

__all__ = ["SQRT_LIMIT", "SlowSqrtNoise", "SqrtDesign", "SqrtNoise", "sqrt_coefficients"]

SQRT_LIMIT = 1 << 22
"""Longest horizon; a counter holds four numbers for each step."""
_TOP = 36  # log2 of the noise
_BLOCK = 256
_FAR = 100  # standard deviations; a draw beyond, once in 10^2000, goes to the slow twin
_ULP = 2.0**-53


@lru_cache(maxsize=4)
def sqrt_coefficients(n: int) -> NDArray[np.float64]:
    """Return f_0..f_(n-1) of 1/sqrt(1 - x), f_k = binom(2k, k)/4^k, each to 2^-44 of itself.

    By f_k = (1 - 1/(2k)) f_(k-1) up to 127; then by its series, 1/sqrt(pi k) (1 - 1/(8k) + 1/(128k^2) +
    5/(1024k^3) - 21/(32768k^4) - 399/(262144k^5) + ...), whose next term is below 10^-15.

    >>> sqrt_coefficients(3).tolist()
    [1.0, 0.5, 0.375]
    """
    k = np.arange(1, min(n, 128), dtype=np.float64)
    near = np.concatenate([[1.0], np.cumprod(1.0 - 0.5 / k)])[:n]
    k = np.arange(128, max(n, 128), dtype=np.float64)
    u = 1.0 / k
    tail = 1 + u * (-1 / 8 + u * (1 / 128 + u * (5 / 1024 - u * (21 / 32768 + u * (399 / 262144)))))
    out = np.concatenate([near, tail / np.sqrt(np.pi * k)])
    out.flags.writeable = False
    return out


@lru_cache(maxsize=4)
def _row_norms(n: int) -> NDArray[np.float64]:
    """Return |row t of B|^2 = f_0^2 + ... + f_(t-1)^2 for t = 1..n."""
    return np.cumsum(sqrt_coefficients(n) ** 2)


@dataclass(frozen=True)
class SqrtDesign:
    """B = C = the lower triangular Toeplitz matrix of 1/sqrt(1 - x).

    Args:
        budget: rho; pure budgets are refused.
        sensitivity: change D of one element, grid units; of a vector, in L2.
        magnitude: largest |element|, grid units.
        horizon: number of steps T, up to `SQRT_LIMIT`.
        changes, parts, gap, columns: as for `BLTDesign`.

    *Privacy*: the released integers are a_t = 2^p (x_1 + ... + x_t) + z_t + H_t, H_t an integer function of
    the independent draws before t that lies within E of sum_(k >= 1) f_k z_(t-k), whatever they are. Given
    earlier answers, neighbours' z differ by at most S = 2^p D |C u| + 4 E sqrt(n columns) in L2. Proof in
    docs/privacy.md.

    The cost: four numbers of memory a step, and O(log^2 T) amortised operations, by fast convolution of the
    blocks that end at each step.

    Source: Fichtenberger, Henzinger, Upadhyay 2023; Henzinger, Upadhyay 2025.
    """

    budget: Budget
    sensitivity: int
    magnitude: int
    horizon: int
    changes: int = 1
    parts: int = 1
    gap: int = 1
    columns: int = 1
    name = "sqrt"

    @cached_property
    def change(self) -> float:
        """|C u|, rounded up."""
        f, n = sqrt_coefficients(self.horizon), self.horizon
        if self.changes > 1:
            square = self.changes * _row_norms(n)[math.ceil(n / self.changes) - 1]
        else:
            total = np.array(f)
            for start in range(self.gap, min(n, self.gap * self.parts), self.gap):
                total[start:] += f[: n - start]
            square = (total**2).sum()
        return math.sqrt(float(square)) * (1 + 1e-9)

    @cached_property
    def p(self) -> int:
        """Released integers are in units of 2^-p of a grid unit."""
        sigma = self.sensitivity * self.change / math.sqrt(2 * float(self.budget.amount))
        p = min(40, math.floor(_TOP - 0.5 - math.log2(sigma)), 60 - self.magnitude.bit_length())
        if p < 1:
            raise ArgumentError(
                f"rho = {float(self.budget.amount):.3g} needs noise beyond the sampler's range at this "
                "resolution: raise rho, or pass a coarser resolution"
            )
        return p

    @cached_property
    def limit(self) -> int:
        """Draws up to this size take the fast path."""
        sigma = 2.0**self.p * self.sensitivity * self.change / math.sqrt(2 * float(self.budget.amount))
        return math.ceil(2 * _FAR * sigma)

    @cached_property
    def rounding(self) -> float:
        """E: half a unit for rounding, and the floats' errors for draws up to `limit`.

        A product by FFT of N points is off by at most 32 log2(N) 2^-53 |z| |f| at every place (the three
        transforms' relative errors in L2 are below 7 log2(N) 2^-53 each: Higham 2002, section 24.1), a direct
        sum of 256 terms by 256 2^-53 sum |f z|; the coefficients themselves by 2^-44, their sum is below 2
        sqrt(T).
        """
        size = float(self.limit)
        total = 0.5 + (2.0**-44 + 2 * _BLOCK * _ULP) * size * 2 * math.sqrt(self.horizon)
        norm = math.sqrt(float(_row_norms(self.horizon)[-1]))
        length = _BLOCK
        while length < self.horizon:
            total += 32 * math.log2(2 * length) * _ULP * math.sqrt(length) * size * norm
            length *= 2
        return total + 1.0

    @cached_property
    def scale(self) -> Fraction:
        """Noise variance of z, rounded up, in squared units of 2^-p."""
        linear = 2.0**self.p * self.sensitivity * self.change
        total = linear + 4 * self.rounding * math.sqrt(self.horizon * self.columns)
        return self.budget.scale(Fraction(total) ** 2 * Fraction(1 + 2.0**-40))

    @property
    def state_size(self) -> int:
        """All draws, and the sum."""
        return self.horizon + 1

    def variance(self, t: int) -> float:
        """Return sigma^2 |row t of B|^2."""
        return float(self.scale) * 4.0**-self.p * float(_row_norms(self.horizon)[t - 1])

    def mean_variance(self, steps: int) -> float:
        """Return the mean over 1..steps."""
        return float(self.scale) * 4.0**-self.p * float(_row_norms(self.horizon)[:steps].mean())

    def worst_variance(self, steps: int) -> float:
        """Return the variance of the last step, the largest."""
        return self.variance(steps)

    def start(self, source: NoiseSource) -> BLTEngine:
        """Return a fresh engine."""
        return self.engine(NoiseQueue(source, self.budget.law, self.scale))

    def engine(self, queue: Any, slow: bool = False) -> BLTEngine:
        """Return an engine on a given queue; `slow` takes the twin in Python's integers."""
        noise: Any = (SlowSqrtNoise if slow else SqrtNoise)(self.horizon, self.limit, queue)
        return BLTEngine(self.p, noise, make_reader(2.0**-self.p, 1.0, 0))

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        return {"mechanism": self.name, "p": self.p, "horizon": self.horizon, "noise_scale": str(self.scale)}


class SlowSqrtNoise:
    """z_t + floor(sum_(k >= 1) f_k z_(t-k)) in integers of 60 more bits: the definition, O(t) a step.

    Hands out differences, as what is released is summed.

    Args:
        horizon: number of steps.
        limit: not used here.
        queue: independent noise z.
    """

    def __init__(self, horizon: int, limit: int, queue: NoiseQueue) -> None:
        self._horizon, self._limit, self._queue = horizon, limit, queue
        self._z: list[int] = []
        self._previous = 0

    @cached_property
    def _integers(self) -> list[int]:
        f, out = 1 << 60, []
        for k in range(1, self._horizon):
            f -= f // (2 * k)
            out.append(f)
        return out

    def after(self, z: int) -> int:
        """Take one independent draw and return the correlated noise of this step."""
        past = sum(f * y for f, y in zip(self._integers, reversed(self._z), strict=False)) >> 60
        self._z.append(z)
        return z + past

    def next(self) -> int:
        """Return by how much the noise moves in the next step."""
        now = self.after(self._queue.next())
        move, self._previous = now - self._previous, now
        return move

    def take(self, n: int) -> NDArray[np.int64]:
        """Return the next n moves."""
        return np.array([self.next() for _ in range(n)], dtype=np.int64)

    def export(self) -> dict[str, Any]:
        """Return all draws used and the last noise; secret."""
        return {"z": list(self._z), "previous": self._previous}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._z, self._previous = [int(z) for z in state["z"]], int(state["previous"])


class SqrtNoise(SlowSqrtNoise):
    """The same by blocks: at the end of block i, the 2^l blocks that end there, 2^l the largest power of two
    that divides i, are convolved with f and added to the 2^l blocks that follow.

    *Privacy*: every number depends on earlier draws only, floats included: a block's transform is taken
    when it is complete, and sums inside a block are separate for each step.
    """

    def __init__(self, horizon: int, limit: int, queue: NoiseQueue) -> None:
        super().__init__(horizon, limit, queue)
        self._f = sqrt_coefficients(horizon)
        self._draws, self._count = np.empty(horizon, dtype=np.int64), 0
        self._coming = np.zeros(-(-horizon // _BLOCK) * _BLOCK)
        self._made: NDArray[np.int64] = np.empty(0, dtype=np.int64)  # the noise of the block under way
        self._tail: NDArray[np.int64] = np.empty(0, dtype=np.int64)  # restored draws of an unmade block
        self._t = 0
        self._far = False

    def _next_block(self) -> None:
        """Draw a block, after the draws that are known already, and make its noise."""
        known, self._tail = self._tail, self._tail[:0]
        start = self._count
        size = min(_BLOCK, self._horizon - start)
        fresh = self._queue.ahead(size - known.size)
        self._queue.consume(fresh, size - known.size)
        z = self._draws[start : start + size]
        z[: known.size], z[known.size :] = known, fresh[: size - known.size]
        self._count = start + size
        self._far = self._far or bool(np.abs(z).max() > self._limit)
        if self._far:
            self._z = self._draws[:start].tolist()
            self._made = np.array([self.after(y) for y in z.tolist()], dtype=np.int64)
            return
        inside = (
            np.concatenate([[0.0], np.convolve(z[:-1], self._f[1:size])[: size - 1]]) if size > 1 else 0.0
        )
        self._made = z + np.rint(self._coming[start : start + size] + inside).astype(np.int64)
        done = (start + size) // _BLOCK
        if size == _BLOCK:
            length = (done & -done) * _BLOCK
            stop = min(start + size + length, self._coming.size)
            ended = self._draws[start + size - length : start + size].astype(np.float64)
            past = np.fft.rfft(ended, 2 * length)
            both = np.fft.irfft(past * _transform(length, self._horizon), 2 * length)
            self._coming[start + size : stop] += both[length : length + stop - start - size]

    def _moves(self, n: int) -> NDArray[np.int64]:
        """Return the next moves, up to n of them, from the block under way."""
        at = self._t % _BLOCK
        if self._t >= self._count:
            self._next_block()
        noise = self._made[at : at + n]
        moves = np.diff(noise, prepend=self._previous)
        self._previous, self._t = int(noise[-1]), self._t + noise.size
        return moves

    def next(self) -> int:
        """Return by how much the noise moves in the next step."""
        at = self._t % _BLOCK
        if self._t >= self._count:
            self._next_block()
        now = int(self._made[at])
        move, self._previous = now - self._previous, now
        self._t += 1
        return move

    def take(self, n: int) -> NDArray[np.int64]:
        """Return the next n moves."""
        parts = [np.empty(0, dtype=np.int64)]
        while n > 0:
            parts.append(self._moves(n))
            n -= parts[-1].size
        return np.concatenate(parts)

    def export(self) -> dict[str, Any]:
        """Return all draws used and the last noise; secret."""
        return {"z": self._draws[: self._t].tolist(), "previous": self._previous}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`: the blocks are made again from their draws."""
        z = np.array(state["z"], dtype=np.int64)
        for start in range(0, z.size, _BLOCK):
            self._tail = z[start : start + _BLOCK]
            if self._tail.size == min(_BLOCK, self._horizon - start):
                self._next_block()
        self._t, self._previous = z.size, int(state["previous"])


@lru_cache(maxsize=64)
def _transform(length: int, horizon: int) -> NDArray[np.complex128]:
    """Return the transform of f_0..f_(2 length - 1), zero beyond the horizon."""
    return np.fft.rfft(sqrt_coefficients(horizon)[: 2 * length], 2 * length)
