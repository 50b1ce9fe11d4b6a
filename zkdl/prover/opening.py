"""The opening sumcheck: all claims on committed polynomials, without ever laying out their weights.

A claim weights a polynomial with coef * eq(point, .) over a block. Cut into a matrix whose columns are the
lowest s variables, every such weight is an outer product of a column vector, which many blocks share, and
row weights. With the row sums v_k = matrix * columns_k the sum over all entries is sum_k <rows_k, v_k>, and
stays so while row variables, the highest, are bound. Then the matrix is folded once, by eq of the bound
variables, and the s column variables follow. Entries are only ever multiplied as the small integers that
they are, a few times each; tables of field elements have the length of a column or a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.claims import BlockPart, DataPart, Part, cut_axes
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.rounds import completed

Array = NDArray[np.uint64]
Integers = NDArray[np.int64]

# Of one entry: as an integer times an element, and in a sumcheck of two tables of elements.
_INTEGER_COST, _ELEMENT_COST = 1, 16
_MAX_COLUMN_VARS = 14


@dataclass
class _Outer:
    """Row weights of all claims that share a column vector."""

    columns: Array
    rows: Array


@dataclass(frozen=True)
class Place:
    """One part: where its block starts, its coefficient, the point and the real entries inside the block.

    A block of 2^n entries of which axes (variables, real entries), the fastest first, count; None for all.
    """

    offset: int
    coef: int
    point: tuple[int, ...]
    real: tuple[tuple[int, int], ...] | None = None

    def separable(self, split: int) -> bool:
        """Whether the lowest ``split`` variables and the others say apart which entries are real."""
        at = 0
        for vars_, count in self.real or ():
            inside = 1 << max(0, min(split - at, vars_))
            if count > inside and count % inside:
                return False
            at += vars_
        return True

    def key(self, split: int) -> object:
        """What parts with the same column vector have in common."""
        inside = self.offset % (1 << split) if len(self.point) < split else 0
        return self.point[:split], self._axes(split)[0], inside

    def _axes(self, split: int) -> tuple[tuple[tuple[int, int], ...] | None, ...]:
        """The real entries below and above the split."""
        if self.real is None:
            return None, None
        below, above, at = [], [], 0
        for vars_, count in self.real:
            k = max(0, min(split - at, vars_))
            below.append((k, min(count, 1 << k)))
            above.append((vars_ - k, max(1, count >> k)))
            at += vars_
        return tuple(below), tuple(above)

    def weights(self, split: int) -> tuple[Array, Array]:
        """Column vector and row weights, the coefficient not in them."""
        tables = []
        for coordinates, axes in zip(
            (self.point[:split], self.point[split:]), self._axes(split), strict=True
        ):
            table = za.multilinear.eq_table(list(coordinates))
            tables.append(table if axes is None else cut_axes(table, axes))
        return tables[0], tables[1]


def _choose_split(places: Sequence[Place], num_vars: int) -> int:
    """Columns that make the work small: wide ones share row sums, too wide ones no longer share anything."""

    def cost(split: int) -> int:
        vectors = len({place.key(split) for place in places})
        row_sums = (_INTEGER_COST << num_vars) + (_ELEMENT_COST << (num_vars - split))
        return vectors * row_sums + (_ELEMENT_COST << split)

    widths = range(min(num_vars, _MAX_COLUMN_VARS) + 1)
    return min((k for k in widths if all(place.separable(k) for place in places)), key=cost)


def _add_block(out: dict[object, _Outer], place: Place, split: int, rows: int) -> None:
    key = place.key(split)
    columns, high = place.weights(split)
    if key not in out:
        if len(columns) < 1 << split:
            inside = place.offset % (1 << split)
            whole = za.Fr.zeros(1 << split)
            whole[inside : inside + len(columns)] = columns
            columns = whole
        out[key] = _Outer(columns, za.Fr.zeros(rows))
    first = place.offset >> split
    target = out[key].rows[first : first + len(high)]
    out[key].rows[first : first + len(high)] = za.sumcheck.add_multiple(target, high, place.coef)


class PolynomialRounds:
    """sum_x poly(x) weights(x) for one committed polynomial, one variable at a time.

    Args:
        matrix: (2^a, 2^s) integers, the polynomial.
        outers: its weights.
    """

    def __init__(self, matrix: Integers, outers: Sequence[_Outer]) -> None:
        self._matrix, self._outers = matrix, outers
        self.num_vars = matrix.size.bit_length() - 1
        self._point: list[int] = []
        self._pairs = [(outer.rows, za.multilinear.matvec(matrix, outer.columns)) for outer in outers]
        self._ready: list[list[int]] | None = None
        self._in_rows = True
        if len(matrix) == 1:
            self._turn()

    @property
    def total(self) -> int:
        """The whole sum that is left."""
        return sum(za.Fr.to_ints(za.Fr.inner(f, g))[0] for f, g in self._pairs) % R

    def known(self) -> tuple[int, int]:
        """Constant and leading coefficient of the current round polynomial."""
        parts = self._ready or [za.sumcheck.round_quadratic(f, g) for f, g in self._pairs]
        c0, c2 = (sum(column) % R for column in zip(*parts, strict=True))
        return c0, c2

    def bind(self, challenge: int) -> None:
        """Fix the highest variable."""
        self._point.append(challenge)
        self._ready, pairs = [], []
        for f, g in self._pairs:
            if len(f) >= 4:
                ends, f, g = za.sumcheck.fold_round_quadratic(f, g, challenge)
                self._ready.append(ends)
            else:
                f, g = (za.multilinear.fold_high(table, challenge) for table in (f, g))
            pairs.append((f, g))
        self._pairs, self._ready = pairs, self._ready or None
        if self._in_rows and len(self._pairs[0][0]) == 1:
            self._turn()

    def _turn(self) -> None:
        """From rows to columns."""
        self._in_rows = False
        eq = za.multilinear.eq_table(self._point[::-1])
        columns = za.multilinear.vecmat(eq, self._matrix)
        weights = za.Fr.zeros(len(columns))
        for outer, (rows, _) in zip(self._outers, self._pairs, strict=True):
            (weight,) = za.Fr.to_ints(rows[:1])
            weights = za.sumcheck.add_multiple(weights, outer.columns, weight)
        self._pairs, self._ready = [(weights, columns)], None
        # What is not needed any more is most of the memory.
        self._matrix, self._outers = np.zeros((1, 1), dtype=np.int64), ()

    def value(self) -> int:
        """The polynomial at the point, once every variable is bound."""
        return int(za.Fr.to_ints(self._pairs[0][1][:1])[0])


class OpeningRounds:
    """The sum of several polynomials' sums.

    A polynomial of fewer variables than the sumcheck is zero wherever an extra variable is one: until its
    first own round it contributes (1 - X) times its sum.
    """

    def __init__(self, polys: dict[str, PolynomialRounds]) -> None:
        self._polys = polys
        self._left = max(rounds.num_vars for rounds in polys.values())
        self._scale = dict.fromkeys(polys, 1)
        self._waiting = {name: p.total for name, p in polys.items() if p.num_vars < self._left}

    def coefficients(self, claim: int) -> list[int]:
        """Coefficients of the current round polynomial, constant first."""
        c0 = c2 = 0
        for name, rounds in self._polys.items():
            low, top = (self._waiting[name], 0) if name in self._waiting else rounds.known()
            c0 += self._scale[name] * low
            c2 += self._scale[name] * top
        return completed([c0, c2], claim, None)

    def bind(self, challenge: int) -> None:
        """Fix the highest variable of every polynomial that has it."""
        for name, rounds in self._polys.items():
            if name in self._waiting:
                self._scale[name] = self._scale[name] * (1 - challenge) % R
            else:
                rounds.bind(challenge)
        self._left -= 1
        for name in [name for name in self._waiting if self._polys[name].num_vars == self._left]:
            del self._waiting[name]

    def value(self, poly: str) -> int:
        """A polynomial at the point, once every variable is bound."""
        return self._polys[poly].value()


def block_rounds(table: Integers, places: Sequence[Place]) -> PolynomialRounds:
    """Rounds of a polynomial laid out in blocks.

    Args:
        table: (2^n,) integers.
        places: its parts, at least one.
    """
    split = _choose_split(places, len(table).bit_length() - 1)
    outers: dict[object, _Outer] = {}
    for place in places:
        _add_block(outers, place, split, len(table) >> split)
    return PolynomialRounds(table.reshape(-1, 1 << split), list(outers.values()))


def data_rounds(table: Integers, parts: Sequence[tuple[int, DataPart]]) -> PolynomialRounds:
    """Rounds of a polynomial with a row per record.

    Args:
        table: (2^a, 2^b) integers.
        parts: powers of the combination and parts, at least one.
    """
    outers: dict[object, _Outer] = {}
    for power, part in parts:
        key = (part.first, part.count, part.column_point)
        if key not in outers:
            columns = za.Fr.zeros(table.shape[1])
            columns[part.first : part.first + part.count] = part.column_weights()
            outers[key] = _Outer(columns, za.Fr.zeros(len(table)))
        rows = outers[key].rows
        count = len(part.rows)
        rows[:count] = za.sumcheck.add_multiple(rows[:count], part.rows, power * part.coef % R)
    return PolynomialRounds(table, list(outers.values()))


def opening_rounds(
    tables: dict[str, Integers],
    entries: Sequence[tuple[int, Sequence[Part]]],
    offset: Callable[[BlockPart], int],
) -> OpeningRounds:
    """The sumcheck of `zkdl.protocol.opening`.

    Args:
        tables: integers of every polynomial: flat, or a matrix with a row per record.
        entries: powers of the combination, and the parts of each claim.
        offset: where the block of a part starts in its table.
    """

    def places(poly: str) -> Iterator[Place]:
        for power, parts in entries:
            for part in parts:
                if isinstance(part, BlockPart) and part.poly == poly:
                    yield Place(offset(part), power * part.coef % R, part.point, part.real)

    polys = {}
    for poly, table in tables.items():
        if table.ndim == 1:
            polys[poly] = block_rounds(table, list(places(poly)))
        else:
            data = [(power, p) for power, parts in entries for p in parts if isinstance(p, DataPart)]
            polys[poly] = data_rounds(table, data)
    return OpeningRounds(polys)
