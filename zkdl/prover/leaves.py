"""Leaves of a fraction tree that are small integers: fractions n / (c - v) with n and c constant on segments.

Half of the work of a tree is in its leaves. As long as they are integers, the layer above them and their
first round need products of integers with field elements only, and no table of their own length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.transcript import FR_MODULUS as R

Array = NDArray[np.uint64]
Integers = NDArray[np.int64]

# Products of two values must fit in 64 bits; honest ones have 16.
_LIMIT = 1 << 31
# Leaves at a time: what is made of them stays in a second-level cache.
_CHUNK = 1 << 14
# Below this the calls cost more than they save.
_SMALL = 1 << 14


@dataclass(frozen=True)
class Segment:
    """Leaves from ``start`` to the next segment: numerator / (constant - value)."""

    start: int
    constant: int
    numerator: int


@dataclass(frozen=True)
class IntegerLeaves:
    """2^n leaves.

    Args:
        values: (2^n,) int64.
        segments: ascending, the first from 0; numerators 0 or 1.
    """

    values: Integers
    segments: Sequence[Segment]

    @property
    def small(self) -> bool:
        """Whether the leaves can be worked on as integers, and are enough of them to be worth it."""
        low, high = int(self.values.min()), int(self.values.max())
        return len(self.values) >= _SMALL and low > -_LIMIT and high < _LIMIT

    def dense(self) -> tuple[Integers, Array]:
        """Numerators and denominators, 2^n of each."""
        p, q = np.empty(len(self.values), dtype=np.int64), za.Fr.zeros(len(self.values))
        for start, stop, (segment,) in self._pieces(1):
            p[start:stop] = segment.numerator
            q[start:stop] = denominators(self.values[start:stop], segment.constant)
        return p, q

    def _pieces(self, parts: int) -> Iterator[tuple[int, int, tuple[Segment, ...]]]:
        """Cut 2^n / parts positions so that each part of the leaves has one segment on every piece."""
        length = len(self.values) // parts
        starts = np.array([segment.start for segment in self.segments])
        cuts = np.unique(np.concatenate([starts % length, [0, length]]))
        for start, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            places = np.searchsorted(starts, start + length * np.arange(parts), side="right") - 1
            yield start, stop, tuple(self.segments[k] for k in places.tolist())

    def layer(self) -> tuple[Array, Array]:
        """The sums of leaves i and i + 2^(n-1), as `zkdl.arithmetic.sumcheck.fraction_layer`."""
        half = len(self.values) // 2
        p, q = za.Fr.zeros(half), za.Fr.zeros(half)
        for start, stop, (low, high) in self._pieces(2):
            for a in range(start, stop, _CHUNK):
                b = min(a + _CHUNK, stop)
                numerators = np.repeat(np.array([low.numerator, high.numerator]), b - a)
                left = denominators(self.values[a:b], low.constant)
                right = denominators(self.values[half + a : half + b], high.constant)
                p[a:b], q[a:b] = za.sumcheck.fraction_layer(numerators, np.concatenate([left, right]))
        return p, q

    def first_round(self, eq: Array, *, swapped: bool = False) -> tuple[tuple[int, int], tuple[int, int]]:
        """As `zkdl.arithmetic.sumcheck.round_integer_layer`, or with the halves of the tables exchanged."""
        quarter = len(self.values) // 4
        order = (1, 0, 3, 2) if swapped else (0, 1, 2, 3)
        quarters = [self.values[quarter * k : quarter * (k + 1)] for k in order]
        fractions = products = fractions_top = products_top = 0
        for start, stop, found in self._pieces(4):
            (c0, n0), (c1, n1), (c2, n2), (c3, n3) = ((found[k].constant, found[k].numerator) for k in order)
            e, s0, s2, d0, d2, at_0, top = _weighted(quarters, eq, start, stop)
            fractions += e * (n0 * c2 + n2 * c0) - n0 * s2 - n2 * s0
            products += e * c0 * c2 - c0 * s2 - c2 * s0 + at_0
            fractions_top += e * ((n1 - n0) * (c3 - c2) + (n3 - n2) * (c1 - c0))
            fractions_top -= (n1 - n0) * d2 + (n3 - n2) * d0
            products_top += e * (c1 - c0) * (c3 - c2) - (c1 - c0) * d2 - (c3 - c2) * d0 + top
        return (fractions % R, fractions_top % R), (products % R, products_top % R)

    def bound(self, challenge: int, factor: int) -> tuple[Array, Array, Array, Array]:
        """u = p0 + factor q0, p1, q0, q1 with their highest variable bound; 2^(n-2) elements each."""
        half = len(self.values) // 2
        q0 = za.sumcheck.fold_integers(self.values[:half], challenge)
        q1 = za.sumcheck.fold_integers(self.values[half:], challenge)
        u, p1 = za.Fr.zeros(half // 2), za.Fr.zeros(half // 2)
        for start, stop, ends in self._pieces(4):
            part = slice(start, stop)
            c0, c1, c2, c3 = (segment.constant for segment in ends)
            n0, n1, n2, n3 = (segment.numerator for segment in ends)
            q0[part] = za.Fr.sub(_element(c0 + challenge * (c1 - c0)), q0[part])
            q1[part] = za.Fr.sub(_element(c2 + challenge * (c3 - c2)), q1[part])
            filled = _filled(n0 + challenge * (n1 - n0), stop - start)
            u[part] = za.sumcheck.add_multiple(filled, q0[part], factor)
            p1[part] = _filled(n2 + challenge * (n3 - n2), stop - start)
        return u, p1, q0, q1


def _weighted(quarters: Sequence[Integers], eq: Array, start: int, stop: int) -> list[int]:
    """Sums of eq times 1, v0, v2, v1 - v0, v3 - v2, v0 v2, (v1 - v0)(v3 - v2) over one piece."""
    out = [0] * 7
    for a in range(start, stop, _CHUNK):
        b = min(a + _CHUNK, stop)
        v0, v1, v2, v3 = (values[a:b] for values in quarters)
        d0, d2 = v1 - v0, v3 - v2
        rows = np.stack([np.ones_like(v0), v0, v2, d0, d2, v0 * v2, d0 * d2])
        for k, value in enumerate(za.Fr.to_ints(za.multilinear.matvec(rows, eq[a:b]))):
            out[k] += int(value)
    return out


def _element(value: int) -> Array:
    return za.Fr.from_ints([value % R])


def _filled(value: int, count: int) -> Array:
    value %= R
    if value == 0:
        return za.Fr.zeros(count)
    ones = za.Fr.ones(count)
    return ones if value == 1 else za.Fr.scale(ones, value)


def denominators(values: NDArray[Any], constant: int) -> Array:
    """constant - value of every integer."""
    return za.Fr.sub(_element(constant), za.Fr.from_int64(values))
