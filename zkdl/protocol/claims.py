"""Linear claims on committed polynomials, collected for one opening.

A claim says that a committed handle equals a public linear functional of committed polynomials.
A functional is a sum of parts; a part weights one block of one polynomial with coef * eq(point, .)
or, for the data polynomial, columns and rows separately. A part can do two things: add its weights
to a table (prover) and evaluate the multilinear extension of its weights (verifier).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.channel import Handle
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import BlockName, Stack
from zkdl.protocol.publics import Point, eq, eq_index, prefix_eq
from zkdl.protocol.transcript import FR_MODULUS as R

Array = NDArray[np.uint64]


def cut_axes(table: NDArray[Any], real: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """A table, flat or of elements, with zeros beyond the real entries of an axis.

    Args:
        table: (2^n, ...).
        real: (variables, real entries) of each axis, the fastest first; n variables in all.
    """
    shape = (*(1 << vars_ for vars_, _ in reversed(real)), *table.shape[1:])
    inside = tuple(slice(count) for _, count in reversed(real))
    out = np.zeros_like(table)
    out.reshape(shape)[inside] = table.reshape(shape)[inside]
    return out


@dataclass(frozen=True)
class BlockPart:
    """coef * block(point), for one block of the polynomial ``poly``, or all of it (None).

    ``real`` gives (variables, entries) of each axis, the fastest first, where entries beyond the real ones
    must not count: of a block whose padding nobody has proved to be zero.
    """

    poly: str
    block: BlockName | None
    coef: int
    point: tuple[int, ...]
    real: tuple[tuple[int, int], ...] | None = None

    def real_entries(self, entries: NDArray[np.integer]) -> NDArray[np.integer]:
        """The block's entries, (2^n,) integers, with zeros in the place of those that do not count."""
        return entries if self.real is None else cut_axes(entries, self.real)

    def evaluate(self, stack: Stack, rho: Point, cache: dict[tuple[Any, ...], int]) -> int:
        """MLE of the weights at ``rho``; ``cache`` keeps what parts at one point share."""
        n = len(self.point)
        if (self.point, self.real) not in cache:
            cache[self.point, self.real] = self._evaluate(rho)
        address = 0 if self.block is None else stack.block(self.block).offset >> n
        return self.coef * cache[self.point, self.real] % R * eq_index(rho[n:], address) % R

    def _evaluate(self, rho: Point) -> int:
        if self.real is None:
            return eq(self.point, rho[: len(self.point)])
        out, at = 1, 0
        for vars_, count in self.real:
            axis = slice(at, at + vars_)
            out = out * prefix_eq(self.point[axis], rho[axis], count) % R
            at += vars_
        return out


@dataclass(frozen=True)
class DataPart:
    """coef * sum_u rows_u sum_c eq(column_point, c) data[u, first + c], over c < count.

    ``rows`` is a weight per used record: shape (records, 4).
    """

    coef: int
    rows: Array = field(repr=False)
    first: int
    count: int
    column_point: tuple[int, ...]

    def column_weights(self) -> Array:
        """eq(column_point, c) for c < count, shape (count, 4)."""
        return za.multilinear.eq_table(list(self.column_point))[: self.count]

    def evaluate(self, eq_columns: Array, eq_rows: Array) -> int:
        """MLE of the weights at a point whose eq tables over columns and rows are given."""
        columns = za.Fr.inner(self.column_weights(), eq_columns[self.first : self.first + self.count])
        rows = za.Fr.inner(self.rows, eq_rows[: len(self.rows)])
        (product,) = za.Fr.to_ints(za.Fr.mul(columns, rows))
        return self.coef * product % R


Part = BlockPart | DataPart


@dataclass
class Claims:
    """Everything that the opening has to settle, in the order in which it was claimed."""

    entries: list[tuple[Handle, list[Part]]] = field(default_factory=list)

    def add(self, handle: Handle, parts: Sequence[Part]) -> None:
        """Claim that ``handle`` equals the sum of ``parts``."""
        self.entries.append((handle, list(parts)))


def batch_rows(instance: Instance, batch_point: Point, step_point: Point) -> Array:
    """Weights on used records of an evaluation over (b, t): sum of eq over the slots of each record."""
    s = instance.statement
    eq_b = za.multilinear.eq_table(list(batch_point))[: s.batch_size]
    eq_t = za.multilinear.eq_table(list(step_point))[: s.steps]
    weights = np.concatenate([za.Fr.mul(eq_b, eq_t[t : t + 1]) for t in range(s.steps)])
    slots = instance.batch_slots.reshape(-1)
    out = za.Fr.zeros(len(instance.used_records))
    # A record occurs at most once per epoch: add one occurrence at a time, each a plain gather.
    order = np.argsort(slots, kind="stable")
    occurrence = np.empty(len(slots), dtype=np.int64)
    sorted_slots = slots[order]
    starts = np.searchsorted(sorted_slots, sorted_slots)
    occurrence[order] = np.arange(len(slots)) - starts
    for k in range(int(occurrence.max()) + 1):
        pick = np.flatnonzero(occurrence == k)
        out[slots[pick]] = za.Fr.add(out[slots[pick]], weights[pick])
    return out
