"""The range argument of a committed table: limbs looked up chunk by chunk, then one opening per chunk.

An entry v of a b-bit table is v + 2^(b-1) = sum_k 2^(s_k) limb_k, with limbs of n_k <= 16 bits. The rows of
limbs 1, 2, ... are committed; limb 0 needs no commitment, being

    limb_0(z) = v(z) + 2^(b-1) mask(z) - sum_(k >= 1) 2^(s_k) limb_k(z)

at any point z, with mask the public indicator of entries (as opposed to padding). With alpha and beta drawn
after all commitments, the lookup identity is

    sum_(chunks, x, k) 1 / (alpha - limb_k(x) - beta n_k covered(x))
        = sum_table m / (alpha - v - beta n) + pad / alpha

where covered is mask, or a little more (rows that do not exist are known to be zero: they may pass for
entries), and pad the public number of leaves that are not covered. As in `zkdl.protocol.lookup` it holds as
an identity of rational functions only if every limb of an entry is a pair (n_k, v) of the table, and if every
limb at padding is the pair (0, 0): so padding is proved to be zero too. That matters: the layout of a layer
leaves room for neurons that the statement does not have.

Every chunk is a group of trees of its own, so the prover holds one chunk at a time. The trees of the limbs
of a chunk end at one point z: a random combination of their claims is one inner product with
eq(z_columns, .) of the rows folded with eq(z_rows, .).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.arguments import Rounds, inner_product, random_combination
from zkdl.protocol.channel import Channel, Rows, Section, Vector
from zkdl.protocol.fraction_trees import FractionWork, Tree, descend, draw, plant, table_at
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.linear import Linear
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.table import Chunk, Table
from zkdl.protocol.transcript import FR_MODULUS as R

__all__ = ["PROTOCOL", "TABLE", "TableWork", "chunk_name", "limb_name", "run"]

PROTOCOL = b"zkdl-table/1"
TABLE = "table"
"""The tree of the lookup table."""


class TableWork(FractionWork, Protocol):
    """What the schedule of a table asks of a prover."""

    def limb_rows(self, chunk: int, limb: int) -> NDArray[np.integer]:
        """Rows of one limb of a chunk, to commit."""

    def multiplicity_rows(self) -> NDArray[np.integer]:
        """How often every entry of the lookup table occurs, in rows to commit."""

    def lookup_chunk(self, chunk: int, challenges: LookupChallenges) -> None:
        """Build the trees of a chunk."""

    def lookup_table(self, challenges: LookupChallenges) -> None:
        """Build the tree of the lookup table."""

    def product_rounds(self, left: Sequence[int], right: Sequence[int]) -> Rounds:
        """The inner product of two lists of field elements, as long as a power of two."""


def limb_name(limb: int) -> str:
    """The tree of a limb of the chunk at hand."""
    return f"limb{limb}"


def chunk_name(chunk: int) -> str:
    """The statement's rows of a chunk, by the name under which a channel knows them."""
    return f"chunk{chunk}"


@dataclass
class _Opening:
    """One inner product that is still to be proved: rows folded at ``point`` have the value ``claim``."""

    reason: Reason
    vector: Vector
    point: list[int]
    claim: Linear


@dataclass
class _Leaves:
    """Claims on the limbs of a chunk at the leaves of their trees."""

    table: Table
    chunk: Chunk
    c: LookupChallenges
    point: list[int] = field(default_factory=list)
    covered: int = 0
    limbs: list[Linear] = field(default_factory=list)

    def claim(self, point: list[int], p: Linear, q: Linear) -> Linear:
        """Take q = alpha - limb - beta n covered for the next limb; p is one."""
        if not self.limbs:
            # All trees of a chunk are equally deep: they end at one point.
            self.point, self.covered = point, self.table.covered_at(self.chunk, point)
        width = self.table.limb_widths[len(self.limbs)]
        self.limbs.append((self.c.alpha - self.c.beta * width * self.covered) % R - q)
        return p - 1


def run(ch: Channel, table: Table, work: TableWork | None) -> None:
    """Walk the schedule of a table from its statement to the last opening.

    The prover calls it with its work, the verifier with None.

    *Transcript*: the canonical bytes of the table; commitments to limbs 1, 2, ... of every chunk and to the
    multiplicities; alpha and beta; per chunk the roots and the way down its trees; the same for the lookup
    table with the relation between all roots; a value per inner product; the settling of the ledger; the
    inner products.
    """
    ch.absorb("table", table.canonical_bytes())
    ch.section(Section.COMMITMENTS)
    rows: list[list[Rows]] = []
    for index, chunk in enumerate(table.chunks):
        rows.append([ch.known_rows(chunk_name(index))])
        for limb in range(1, len(table.limb_widths)):
            rows[index].append(
                ch.rows(
                    f"limbs/{limb}",
                    chunk.rows,
                    lambda index=index, limb=limb: work.limb_rows(index, limb),  # type: ignore[union-attr,misc]
                )
            )
    counts = ch.rows(
        "multiplicities",
        len(table.lookup.live_rows),
        lambda: work.multiplicity_rows(),  # type: ignore[union-attr]
    )
    ledger = Ledger(ch)
    openings = _look_up(ledger, table, rows, counts, work)
    _open(ledger, openings, work)


def _look_up(
    ch: Ledger, table: Table, rows: Sequence[Sequence[Rows]], counts: Rows, work: TableWork | None
) -> list[_Opening]:
    ch.section(Section.RANGES)
    limbs = range(len(table.limb_widths))
    leaves = len(limbs) * sum(1 << chunk.num_vars for chunk in table.chunks)
    c = draw(ch, leaves + (1 << table.lookup.num_vars))
    sums: list[tuple[int, Linear, Linear]] = []
    openings: list[_Opening] = []
    entries = 0
    for index, chunk in enumerate(table.chunks):
        ch.compute(lambda index=index: work.lookup_chunk(index, c))  # type: ignore[union-attr,misc]
        found = _Leaves(table, chunk, c)
        group = plant(ch, [Tree(limb_name(k), chunk.num_vars, found.claim) for k in limbs], work)
        sums += [group.root(limb_name(k)) for k in limbs]
        descend(ch, group, work)
        openings.append(_chunk_opening(ch, table, found, rows[index]))
        entries += table.entries(chunk) * len(limbs)

    ch.compute(lambda: work.lookup_table(c))  # type: ignore[union-attr]

    def end(point: list[int], p: Linear, q: Linear) -> Linear:
        vector = _fold(ch, counts, point[table.lookup.row_bits :], len(table.lookup.live_rows))
        openings.append(_Opening(Reason.OPENING, vector, point[: table.lookup.row_bits], p))
        return q - table_at(table.lookup, c, point)

    group = plant(ch, [Tree(TABLE, table.lookup.num_vars, end)], work)
    # alpha is zero with probability 1/r, and then no proof is accepted.
    padding = (leaves - entries) * (pow(c.alpha, -1, R) if c.alpha else 0) % R
    ch.require("lookup/sum", [*sums, group.root(TABLE, R - 1)], 0 * sums[0][1] + padding, Reason.MULTIPLICITY)
    descend(ch, group, work)
    return openings


def _fold(ch: Ledger, rows: Rows, point: Sequence[int], count: int) -> Vector:
    return ch.channel.combine(rows, za.multilinear.eq_table(list(point))[:count])


def _chunk_opening(ch: Ledger, table: Table, leaves: _Leaves, rows: Sequence[Rows]) -> _Opening:
    """One claim on the rows of a chunk for all its limbs; limb 0 in terms of the entries and the others."""
    powers, claim = random_combination(ch, "limbs/combine", leaves.limbs)
    z_columns, z_rows = table.split(leaves.point)
    vector, shift = _fold(ch, rows[0], z_rows, leaves.chunk.rows), 0
    for width, power, limb in zip(table.limb_widths, powers[1:], rows[1:], strict=False):
        shift += width
        vector = vector + (power - (1 << shift)) % R * _fold(ch, limb, z_rows, leaves.chunk.rows)
    claim = claim - table.offset * table.mask_at(leaves.chunk, leaves.point) % R
    return _Opening(table.reason, vector, list(z_columns), claim)


def _open(ch: Ledger, openings: Sequence[_Opening], work: TableWork | None) -> None:
    ch.section(Section.OPENING)
    # Single commitments: an inner product needs its claim in one of its own.
    values = ch.channel.scalars(
        "opening/values", len(openings), lambda: [ch.value(opening.claim) for opening in openings]
    )
    relations = [opening.claim - ch.lift(value) for opening, value in zip(openings, values, strict=True)]
    _, target = random_combination(ch, "opening/combine", relations)
    ch.require("opening/final", [], target)
    ch.settle(work.product_rounds if work is not None else None)
    for opening, value in zip(openings, values, strict=True):
        weights = za.multilinear.eq_table(opening.point)
        inner_product(ch.channel, opening.reason, "opening/rows", opening.vector, weights, value)
