"""Correlated noise of the rational counter, e = C^-1 z, in exact integers and block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import kernels_blt as kernels
from dpkit.continual.queue import NoiseQueue

__all__ = ["Recursion", "RecursiveNoise", "SlowNoise"]

_WORD, _SIGN = 2**64 - 1, 2**63
_ROOM = 58  # states stay below 2^58, so that sums of up to 15 of them fit 64 bits
_FIRST, _LARGEST = 64, 4096


@dataclass(frozen=True)
class Recursion:
    """The integers that define C.

    z_t = e_t + floor(sum_i s_i / 2^q), then s_i <- (s_i + omega_i e_t) times t_i, rounded to an integer as
    v - floor(v (1 - t_i)) where t_i >= 1/2 and floor(v t_i) below, the factors in units of 2^-64.

    Args:
        p: numbers are in units of 2^-p of a grid unit.
        q: the states carry q more bits.
        omega: weights r_i in units of 2^-q.
        factor: 2^64 (1 - t_i), or 2^64 t_i where t_i < 1/2; below 2^63.
        keep: 1 where the factor is of 1 - t_i, else 0.
        width: 64 or 128, the words that the compiled loop keeps a state in.
    """

    p: int
    q: int
    omega: tuple[int, ...]
    factor: tuple[int, ...]
    keep: tuple[int, ...]
    width: int

    @classmethod
    def of(cls, a: NDArray[np.float64], r: NDArray[np.float64], p: int, q: int, width: int) -> Recursion:
        """Return the integers nearest to real rates and weights."""
        gaps = -np.expm1(-a)
        keep = tuple(int(gap <= 0.5) for gap in gaps)
        factor = tuple(
            round(Fraction(float(gap if k else 1.0 - gap)) * 2**64) for gap, k in zip(gaps, keep, strict=True)
        )
        omega = [round(Fraction(float(weight)) * 2**q) for weight in r]
        # sum r_i < 1, or the last zero would not exist; rounding may not undo it
        omega[-1] -= max(0, sum(omega) + 1 - (1 << q))
        return cls(p, q, tuple(omega), tuple(min(f, 2**63 - 1) for f in factor), keep, width)

    def gaps(self) -> list[Fraction]:
        """Return the exact 1 - t_i in use."""
        shares = [Fraction(f, 1 << 64) for f in self.factor]
        return [g if k else 1 - g for g, k in zip(shares, self.keep, strict=True)]

    def rounding(self) -> float:
        """Return a bound on how far rounding moves the difference of two runs in any z.

        Each state's roundings differ by less than 1 a step and decay with t_i: less than 1/(1 - t_i) in all,
        2^-q of it in z; the floor in z adds less than 1.
        """
        return 1.0 + float(sum(1 / g for g in self.gaps())) * 2.0**-self.q * (1 + 1e-12)

    def rates(self) -> NDArray[np.float64]:
        """Return the a_i of the poles in use."""
        return np.array([-math.log1p(-float(g)) for g in self.gaps()])

    def weights(self) -> NDArray[np.float64]:
        """Return the r_i in use."""
        return np.array([w / 2.0**self.q for w in self.omega])

    def falls(self) -> bool:
        """Return whether c_0 >= c_1 >= ... > 0, exactly: weights positive and sum of r_i t_i at most 1."""
        total = sum(w * (1 - g) for w, g in zip(self.omega, self.gaps(), strict=True))
        return min(self.omega) > 0 and total <= 1 << self.q


class SlowNoise:
    """The recursion in Python's integers, one step after the other: the definition.

    Args:
        recursion: the integers.
        queue: independent noise z.
    """

    def __init__(self, recursion: Recursion, queue: NoiseQueue) -> None:
        self._recursion, self._queue = recursion, queue
        self._rows = list(zip(recursion.omega, recursion.factor, recursion.keep, strict=True))
        self._states = [0] * len(self._rows)

    def from_z(self, z: int) -> int:
        """Take one independent draw and return the correlated one."""
        e = z - (sum(self._states) >> self._recursion.q)
        self.push(e)
        return e

    def push(self, e: int) -> None:
        """Let the states take e."""
        fresh = []
        for s, (omega, factor, keep) in zip(self._states, self._rows, strict=True):
            v = s + omega * e
            fresh.append(v - (v * factor >> 64) if keep else v * factor >> 64)
        self._states = fresh

    def next(self) -> int:
        """Return the next correlated draw."""
        return self.from_z(self._queue.next())

    def take(self, n: int) -> NDArray[np.int64]:
        """Return the next n."""
        return np.array([self.next() for _ in range(n)], dtype=np.int64)

    def export(self) -> list[str]:
        """Return the states; secret."""
        return [str(s) for s in self._states]

    def restore(self, states: list[str]) -> None:
        """Continue from `export`."""
        if len(states) != len(self._rows):
            raise ValueError("states of another design")
        self._states = [int(s) for s in states]


class RecursiveNoise(SlowNoise):
    """The same numbers from a compiled loop, drawn ahead in blocks.

    A block that the loop's words cannot hold, which is to be expected once in 10^800 draws, is done again by
    the slow twin.

    *Privacy*: draws ahead live in memory only. A state is of the last draw *used*: the block is run again up
    to there.
    """

    def __init__(self, recursion: Recursion, queue: NoiseQueue) -> None:
        super().__init__(recursion, queue)
        wide = recursion.width == 128
        self._fill: Any = kernels.blt_noise_wide if wide else kernels.blt_noise
        self._table = (recursion.omega, recursion.factor, recursion.keep)
        self._state_limit = 1 << (min(recursion.q - 5, 50) if wide else _ROOM)
        self._e_limit = 1 << (61 - max(w.bit_length() for w in recursion.omega) if not wide else _ROOM)
        self._block: list[int] = []
        self._at, self._grow = 0, _FIRST
        self._before, self._z = self._states, np.empty(0, dtype=np.int64)

    def next(self) -> int:
        """Return the next correlated draw."""
        at = self._at
        if at == len(self._block):
            self._before = self._states
            self._z = self._queue.ahead(self._grow)
            self._queue.consume(self._z, self._z.size)
            self._block = self._run(self._z).tolist()
            self._grow = min(2 * self._grow, _LARGEST)
            at = 0
        self._at = at + 1
        return self._block[at]

    def take(self, n: int) -> NDArray[np.int64]:
        """Return the next n: what is left of the block, then a block of its own."""
        if self._at == len(self._block):
            z = self._queue.ahead(n)
            self._queue.consume(z, n)
            return self._run(z[:n])
        rest = np.array(self._block[self._at : self._at + n], dtype=np.int64)
        self._at += rest.size
        if rest.size == n:
            return rest
        z = self._queue.ahead(n - rest.size)
        self._queue.consume(z, n - rest.size)
        self._block, self._at = [], 0
        return np.concatenate([rest, self._run(z[: n - rest.size])])

    def _run(self, z: NDArray[np.int64]) -> NDArray[np.int64]:
        """Advance the states over these draws and return the correlated ones."""
        low = [(s & _WORD) - ((s & _SIGN) << 1) for s in self._states]  # the low word, read as signed
        high = [s >> 64 for s in self._states]
        wide = self._recursion.width == 128
        if max(abs(s) for s in (high if wide else self._states)) < self._state_limit:
            out, carried = np.empty(z.size, dtype=np.int64), sum(self._states) >> self._recursion.q
            words = (tuple(low), tuple(high), *self._table)
            lows, highs, bits, e_bits = self._fill(z, out, *words, self._recursion.q, carried)
            if 0 <= bits < self._state_limit and 0 <= e_bits < self._e_limit:
                pairs = zip(lows, highs, strict=True)
                self._states = [(h << 64) + (w & _WORD) if wide else w for w, h in pairs]
                return out
        return np.array([self.from_z(v) for v in z.tolist()], dtype=np.int64)

    def export(self) -> list[str]:
        """Return the states after the last draw used; secret."""
        if self._at == len(self._block):
            return super().export()
        now, self._states = self._states, self._before
        self._run(self._z[: self._at])
        at_last_used, self._states = self._states, now
        return [str(s) for s in at_last_used]

    def restore(self, states: list[str]) -> None:
        """Continue from `export`."""
        super().restore(states)
        self._block, self._at = [], 0
