"""Correlated noise of the rational counter, e = C^-1 z, in exact integers and block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import kernels_blt as kernels
from dpkit.continual.kernels_blt import CHECK_STEPS, H_BITS
from dpkit.continual.queue import NoiseQueue

__all__ = ["Recursion", "RecursiveNoise", "SlowNoise"]

_WORD, _SIGN = 2**64 - 1, 2**63
_ROOM = 57  # a state of one word stays below 2^59, so that sums of up to 15 of them fit 64 bits
_FACTOR_BITS = 62 - H_BITS  # products of h and a factor stay below 2^63
_FIRST, _LARGEST = 64, 4096


@dataclass(frozen=True)
class Recursion:
    """The integers that define C.

    z_t = e_t + carry; the first `wide` states, the slowest, and the others each carry floor(sum of s_i/2^q).
    Then v = s_i + omega_i e_t, part = floor(floor(v/2^drop) factor_i/2^shift_i), and s_i <- v - part
    where t_i >= 1/2, or part below: v t_i, rounded to an integer.

    Args:
        p: numbers are in units of 2^-p of a grid unit.
        omega: weights r_i in units of 2^-q.
        factor, shift: 1 - t_i, or t_i where t_i < 1/2, is factor_i 2^-(drop + shift_i).
        keep: 1 where the factor is of 1 - t_i, else 0.
        wide: how many states take two 64-bit words in the compiled loop.
        slow: (drop, q) of these: the states carry q more bits.
        rest: (drop, q) of the others.
    """

    p: int
    omega: tuple[int, ...]
    factor: tuple[int, ...]
    shift: tuple[int, ...]
    keep: tuple[int, ...]
    wide: int
    slow: tuple[int, int]
    rest: tuple[int, int]

    @classmethod
    def of(
        cls, a: NDArray[np.float64], r: NDArray[np.float64], p: int, room: int, wide: int
    ) -> Recursion | None:
        """Return the integers nearest to real rates and weights; None where they would not fit.

        Args:
            a, r: rates, slowest first, and weights.
            p: lattice.
            room: draws, and states less their q bits, stay below 2^room, but for one in 10^800.
            wide: number of states of two words.
        """
        q = _ROOM - room
        slow = rest = (room + q + 1 - H_BITS, q)
        if wide:  # as fine as the fastest of them allows: its shift becomes 0
            spare = math.floor(-math.log2(-math.expm1(-a[wide - 1])))
            q = min(62, max(q, spare + _FACTOR_BITS - 2 + H_BITS - room))
            slow = (room + q + 1 - H_BITS, q)
        omega, factor, shift, keep = [], [], [], []
        for i, (rate, weight) in enumerate(zip(a.tolist(), r.tolist(), strict=True)):
            drop, q = slow if i < wide else rest
            gap = -math.expm1(-rate)
            keep.append(int(gap <= 0.5))
            share = Fraction(gap if keep[-1] else math.exp(-rate))
            places = _FACTOR_BITS - 1 - math.floor(math.log2(share))
            factor.append(round(share * 2**places))
            shift.append(places - drop)
            omega.append(round(Fraction(weight) * (1 << q)))
        if wide > sum(keep):
            return None
        if not (min(shift) >= 0 and max(shift) <= 62 and rest[0] >= 1 and slow[0] <= 62 and rest[1] >= 1):
            return None
        found = cls(p, tuple(omega), tuple(factor), tuple(shift), tuple(keep), wide, slow, rest)
        above = sum(found.exact_weights()) - 1
        if above >= 0:  # sum r_i < 1, or the last zero would not exist; rounding may not undo it
            omega[-1] -= math.floor(above * (1 << q)) + 1
        return replace(found, omega=tuple(omega))

    def _each(self) -> list[tuple[int, int]]:
        return [self.slow] * self.wide + [self.rest] * (len(self.omega) - self.wide)

    def shares(self) -> list[Fraction]:
        """Return the exact factors in use."""
        rows = zip(self.factor, self.shift, self._each(), strict=True)
        return [Fraction(f, 1 << (drop + s)) for f, s, (drop, _) in rows]

    def gaps(self) -> list[Fraction]:
        """Return the exact 1 - t_i in use."""
        return [g if k else 1 - g for g, k in zip(self.shares(), self.keep, strict=True)]

    def carry(self, states: list[int]) -> int:
        """Return what the states subtract from the next z."""
        return (sum(states[: self.wide]) >> self.slow[1]) + (sum(states[self.wide :]) >> self.rest[1])

    def rounding(self) -> float:
        """Return a bound on how far rounding moves the difference of two runs in any z.

        A state's roundings differ by less than 1 + share 2^drop a step and decay with t_i: over 1 - t_i in
        all, 2^-q of it in z; each floor in z adds less than 1.
        """
        rows = zip(self.gaps(), self.shares(), self._each(), strict=True)
        moved = sum((1 + share * 2**drop) / (gap * 2**q) for gap, share, (drop, q) in rows)
        return ((self.wide > 0) + (self.wide < len(self.omega)) + float(moved)) * (1 + 1e-12)

    def rates(self) -> NDArray[np.float64]:
        """Return the a_i of the poles in use."""
        return np.array([-math.log1p(-float(g)) for g in self.gaps()])

    def exact_weights(self) -> list[Fraction]:
        """Return the r_i in use."""
        rows = zip(self.omega, self._each(), strict=True)
        return [Fraction(w, 1 << q) for w, (_, q) in rows]

    def weights(self) -> NDArray[np.float64]:
        """Return the r_i in use."""
        return np.array([float(w) for w in self.exact_weights()])

    def falls(self) -> bool:
        """Return whether c_0 >= c_1 >= ... > 0, exactly: weights positive and sum of r_i t_i at most 1."""
        total = sum(w * (1 - g) for w, g in zip(self.exact_weights(), self.gaps(), strict=True))
        return min(self.omega) > 0 and total <= 1


class SlowNoise:
    """The recursion in Python's integers, one step after the other: the definition.

    Args:
        recursion: the integers.
        queue: independent noise z.
    """

    def __init__(self, recursion: Recursion, queue: NoiseQueue) -> None:
        self._recursion, self._queue = recursion, queue
        columns = (recursion.omega, recursion.factor, recursion.shift, recursion.keep)
        self._rows = list(zip(*columns, recursion._each(), strict=True))
        self._states = [0] * len(self._rows)

    def from_z(self, z: int) -> int:
        """Take one independent draw and return the correlated one."""
        e = z - self._recursion.carry(self._states)
        self.push(e)
        return e

    def push(self, e: int) -> None:
        """Let the states take e."""
        fresh = []
        for s, (omega, factor, shift, keep, (drop, _)) in zip(self._states, self._rows, strict=True):
            v = s + omega * e
            part = (v >> drop) * factor >> shift
            fresh.append(v - part if keep else part)
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
        r = recursion
        kept = (1,) * sum(r.keep)  # slow states come first, and they are the ones that are kept
        self._table = (r.omega, r.factor, r.shift, kept, r.slow, r.rest)
        self._limits = [1 << (H_BITS + drop) for drop, _ in r._each()]
        rows = zip(r.omega, r._each(), strict=True)
        steps = CHECK_STEPS.bit_length() - 1  # so many moves by omega e at most double the largest state
        e_bits = [H_BITS - steps + drop - w.bit_length() for w, (drop, _) in rows]
        self._e_limit = 1 << max(0, min(*e_bits, 62))
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
        k = self._recursion.wide
        if all(abs(s) < limit for s, limit in zip(self._states, self._limits, strict=True)):
            low = [(s & _WORD) - ((s & _SIGN) << 1) for s in self._states]  # the low word, read as signed
            high = [s >> 64 for s in self._states[:k]]
            out, carried = np.empty(z.size, dtype=np.int64), self._recursion.carry(self._states)
            words = (tuple(low), tuple(high), *self._table)
            lows, highs, bits, e_bits = kernels.blt_noise(z, out, *words, carried)
            if 0 <= bits < 2 << H_BITS and 0 <= e_bits < self._e_limit:
                slow = [(h << 64) + (w & _WORD) for w, h in zip(lows, highs, strict=False)]
                self._states = [*slow, *lows[k:]]
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
