"""Round polynomials of sums of products of multilinear tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.transcript import FR_MODULUS as R

Array = NDArray[np.uint64]


@dataclass
class Term:
    """coef * product of one, two or three tables (by name)."""

    coef: int
    factors: tuple[str, ...]


class ProductRounds:
    """Sum over terms of coef * sum_x prod_k table_k(x), one variable at a time.

    Tables may be shared between terms: each is folded once per round. A term whose tables have
    fewer variables than the sumcheck is taken as zero wherever an extra variable is one: until its
    first own round it contributes (1 - X) times its sum.

    Args:
        tables: (2^n, 4) field elements by name; n may differ between tables of different terms.
        terms: the products; all factors of a term have the same length.
        num_vars: rounds of the whole sumcheck.
    """

    def __init__(self, tables: dict[str, Array], terms: Sequence[Term], num_vars: int) -> None:
        self.tables = tables
        self._terms = list(terms)
        self._left = num_vars
        self._scale = [1] * len(self._terms)
        self._waiting: dict[int, int] = {}
        for k, term in enumerate(self._terms):
            if len(tables[term.factors[0]]) < 1 << num_vars:
                self._waiting[k] = self._sum(term)

    def _sum(self, term: Term) -> int:
        factors = [self.tables[name] for name in term.factors]
        if len(factors) == 1:
            total = za.Fr.sum(factors[0])
        elif len(factors) == 2:
            total = za.Fr.inner(factors[0], factors[1])
        else:
            total = za.Fr.inner(za.Fr.mul(factors[0], factors[1]), factors[2])
        (value,) = za.Fr.to_ints(total)
        return int(value)

    def coefficients(self) -> list[int]:
        """Coefficients of the current round polynomial, constant first."""
        out = [0, 0, 0, 0]
        size = 1 << self._left
        for k, term in enumerate(self._terms):
            scale = term.coef * self._scale[k] % R
            factors = [self.tables[name] for name in term.factors]
            if len(factors[0]) < size:
                part = [self._waiting[k], -self._waiting[k]]
            else:
                part = _round(factors)
            for i, c in enumerate(part):
                out[i] = (out[i] + scale * c) % R
        while len(out) > 2 and out[-1] == 0:
            out.pop()
        return out

    def bind(self, challenge: int) -> None:
        """Fix the highest variable of every table that has it."""
        size = 1 << self._left
        for k, term in enumerate(self._terms):
            if len(self.tables[term.factors[0]]) < size:
                self._scale[k] = self._scale[k] * (1 - challenge) % R
        for name, table in self.tables.items():
            if len(table) == size:
                self.tables[name] = za.multilinear.fold_high(table, challenge)
        self._left -= 1

    def value(self, name: str) -> int:
        """Value of a table at the point, once every variable is bound."""
        (value,) = za.Fr.to_ints(self.tables[name][:1])
        return int(value)


def _round(factors: Sequence[Array]) -> list[int]:
    if len(factors) == 3:
        return list(za.sumcheck.round_cubic(*factors))
    if len(factors) == 2:
        return list(za.sumcheck.round_quadratic(*factors))
    half = len(factors[0]) // 2
    low, high = (
        int(v) for part in (factors[0][:half], factors[0][half:]) for v in za.Fr.to_ints(za.Fr.sum(part))
    )
    return [low, (high - low) % R]
