"""Round polynomials of sums of products of multilinear tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.layout import log2_ceil
from zkdl.protocol.transcript import FR_MODULUS as R

Array = NDArray[np.uint64]
Table = NDArray[Any]
"""(n, 4) field elements, or (n,) integers that become elements when their first variable is bound."""


def completed(known: Sequence[int], claim: int, r: int | None) -> list[int]:
    """All coefficients of a round polynomial from c_0, c_2, c_3, ... and the claim.

    The claim is c_0 + r (c_1 + c_2 + ...) under an eq factor with coordinate r, else it is
    2 c_0 + c_1 + c_2 + .... With r = 0 it does not tell c_1.
    """
    c0, *higher = known
    rest = claim - 2 * c0 if r is None else (claim - c0) * pow(r, -1, R)
    return [c0 % R, (rest - sum(higher)) % R, *(c % R for c in higher)]


class EqFactor:
    """The table of eq(r', x') for the variables below the free one, shrinking with the rounds.

    Args:
        point: r_0, r_1, ...
        num_vars: rounds of the sumcheck.
    """

    def __init__(self, point: Sequence[int], num_vars: int) -> None:
        self._point = list(point)
        self._free = num_vars - 1
        self.table = za.multilinear.eq_table(self._point[: max(0, self._free)])

    @property
    def coordinate(self) -> int | None:
        """r_j of the free variable, or None where it has no eq factor."""
        return self._point[self._free] if self._free < len(self._point) else None

    def bind(self) -> None:
        """Go on to the next variable."""
        self._free -= 1
        if 0 <= self._free < len(self._point):
            self.table = za.sumcheck.add_halves(self.table)


@dataclass
class Term:
    """coef * product of one, two or three tables (by name)."""

    coef: int
    factors: tuple[str, ...]


class ProductRounds:
    """Sum over terms of coef * sum_x eq(point, x) prod_k table_k(x), one variable at a time.

    Tables may be shared between terms: each is folded once per round. A term whose tables have
    fewer variables than the sumcheck is taken as zero wherever an extra variable is one: until its
    first own round it contributes (1 - X) times its sum.

    Args:
        tables: by name, (2^n, 4) field elements that this object may overwrite; n may differ between
            tables of different terms. The first factor of a product of two may also be (2^n,)
            integers; such a table becomes elements when its first variable is bound.
        terms: the products; all factors of a term have the same length.
        num_vars: rounds of the whole sumcheck.
        point: coordinates of the eq factor, of the lowest variables; for products of two elements.
    """

    def __init__(
        self, tables: dict[str, Table], terms: Sequence[Term], num_vars: int, point: Sequence[int] = ()
    ) -> None:
        self.tables = tables
        self._terms = list(terms)
        self._degree = max([2, *(len(term.factors) for term in terms)])
        self._left = num_vars
        self._scale = [1] * len(self._terms)
        self._eq = EqFactor(point, num_vars) if len(point) else None
        self._waiting: dict[int, int] = {}
        for k, term in enumerate(self._terms):
            if len(tables[term.factors[0]]) < 1 << num_vars:
                self._waiting[k] = self._sum([tables[name] for name in term.factors])
        names = [name for term in self._terms for name in term.factors]
        # A pair that shares nothing is folded and summed in one pass.
        self._alone = [
            self._eq is None and len(term.factors) == 2 and all(names.count(n) == 1 for n in term.factors)
            for term in self._terms
        ]
        self._ready: dict[int, list[int]] = {}

    def _sum(self, factors: Sequence[Table]) -> int:
        """sum_x eq(point, x) prod_k table_k(x) for tables that wait."""
        first, *others = factors
        if first.ndim == 1:
            return int(za.multilinear.inner_int(first, others[0]))
        if self._eq is not None:
            repeated = np.tile(self._eq.table, (len(first) // len(self._eq.table), 1))
            first = za.Fr.mul(first, repeated)
        if len(others) == 2:
            first = za.Fr.mul(first, others.pop())
        (value,) = za.Fr.to_ints(za.Fr.inner(first, others[0]) if others else za.Fr.sum(first))
        return int(value)

    def coefficients(self, claim: int) -> list[int]:
        """Coefficients of the current round polynomial, constant first."""
        r = None if self._eq is None else self._eq.coordinate
        known = self._known(swapped=False)
        if r != 0:
            return completed(known, claim, r)
        # The claim is t(0) alone: t(1) is the constant of the same sum with the halves exchanged.
        c0, c2 = known
        return [c0 % R, (self._known(swapped=True)[0] - c0 - c2) % R, c2 % R]

    def _known(self, *, swapped: bool) -> list[int]:
        out = [0] * self._degree
        for k, term in enumerate(self._terms):
            if k in self._waiting:
                part = [0 if swapped else self._waiting[k]]
            elif k in self._ready:
                part = self._ready[k]
            else:
                factors = [self.tables[name] for name in term.factors]
                if swapped:
                    factors = [exchanged(table) for table in factors]
                part = self._round(factors)
            scale = term.coef * self._scale[k] % R
            for i, c in enumerate(part):
                out[i] += scale * c
        return out

    def _round(self, factors: Sequence[Table]) -> list[int]:
        if len(factors) == 3:
            return za.sumcheck.round_cubic(*factors)
        if len(factors) == 2:
            eq = None if self._eq is None else self._eq.table
            return za.sumcheck.round_quadratic(factors[0], factors[1], eq)
        return [int(v) for v in za.Fr.to_ints(za.Fr.sum(factors[0][: len(factors[0]) // 2]))]

    def bind(self, challenge: int) -> None:
        """Fix the highest variable of every table that has it."""
        size = 1 << self._left
        self._ready = {}
        done: set[str] = set()
        for k, term in enumerate(self._terms):
            first = self.tables[term.factors[0]]
            if len(first) < size:
                self._scale[k] = self._scale[k] * (1 - challenge) % R
            elif self._alone[k] and first.ndim == 2 and size >= 4:
                f, g = (self.tables[name] for name in term.factors)
                self._ready[k], *bound = za.sumcheck.fold_round_quadratic(f, g, challenge)
                self.tables.update(zip(term.factors, bound, strict=True))
                done.update(term.factors)
        for name, table in self.tables.items():
            if len(table) == size and name not in done:
                self.tables[name] = folded(table, challenge)
        self._left -= 1
        for k in [k for k in self._waiting if len(self.tables[self._terms[k].factors[0]]) == size // 2]:
            del self._waiting[k]
        if self._eq is not None:
            self._eq.bind()

    def value(self, name: str) -> int:
        """Value of a table at the point, once every variable is bound."""
        table = self.tables[name]
        return int(table[0]) % R if table.ndim == 1 else int(za.Fr.to_ints(table[:1])[0])


def folded(table: Table, challenge: int) -> Array:
    """A table with its highest variable bound, in place where it holds elements."""
    if table.ndim == 1:
        return za.sumcheck.fold_integers(table, challenge)
    return za.multilinear.fold_high(table, challenge)


def exchanged(table: Table) -> Table:
    """The table with its halves exchanged: X becomes 1 - X in its free variable."""
    half = len(table) // 2
    return np.concatenate([table[half:], table[:half]])


def product_rounds(left: Sequence[int], right: Sequence[int]) -> ProductRounds:
    """The inner product of two lists of field elements, as long as a power of two."""
    tables: dict[str, Table] = {"left": za.Fr.from_ints(left), "right": za.Fr.from_ints(right)}
    return ProductRounds(tables, [Term(1, ("left", "right"))], log2_ceil(len(left)))


class BooleanRounds:
    """sum_x eq(point, x) (b(x)^2 - b(x)) for a table b of small integers.

    Args:
        table: (2^n,) int32.
        point: n coordinates.
    """

    def __init__(self, table: Table, point: Sequence[int]) -> None:
        self._table = table
        self._eq = EqFactor(point, len(point))

    def coefficients(self, claim: int) -> list[int]:
        """Coefficients of the current round polynomial, constant first."""
        r, table = self._eq.coordinate, self._table
        c0, c2 = za.sumcheck.round_boolean(self._eq.table, table)
        if r != 0:
            return completed([c0, c2], claim, r)
        at_1, _ = za.sumcheck.round_boolean(self._eq.table, exchanged(table))
        return [c0, (at_1 - c0 - c2) % R, c2]

    def bind(self, challenge: int) -> None:
        """Fix the highest variable."""
        self._table = folded(self._table, challenge)
        self._eq.bind()
