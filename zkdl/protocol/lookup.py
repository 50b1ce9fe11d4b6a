"""Range argument ``lookup``: every cell is an entry of a public table (logUp by fraction trees).

The table lists (width, v) for every bit width in use and every v below 2^width; cell x of a block of
width n is the pair (n, value). With alpha and beta drawn after the cells and the multiplicities m
are committed,

    sum_cells 1 / (alpha - value - beta width) = sum_table m / (alpha - v - beta width)

holds as an identity of rational functions only if every cell is in the table. Beta is random, so a
field element cannot pass for an entry of another width. Each sum is the root of a tree of fractions
(`zkdl.protocol.fraction_trees`). Leaf denominators are linear in committed polynomials, leaf numerators
public or the multiplicities. Nothing but multiplicities is committed besides the cells, and the roots'
denominators are proved to have inverses.

Source: Haboeck (2022), Papini and Haboeck (2023).
"""

from __future__ import annotations

from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.channel import Section
from zkdl.protocol.claims import BlockPart, Claims, DataPart
from zkdl.protocol.fraction_trees import Tree, descend, draw, plant, table_at
from zkdl.protocol.instance import Instance
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.linear import Linear
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.publics import eq_index, prefix
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work

CELLS, DATA, TABLE = "cells", "data", "table"
"""The fraction sums: cells, numbers of the used records, table entries."""


def tree_vars(instance: Instance) -> dict[str, int]:
    """Depth of every tree: variables of its leaves. Records with a range proof of their own have none."""
    depths = {
        CELLS: instance.cells.num_vars,
        DATA: instance.data_block.num_vars,
        TABLE: instance.multiplicities.num_vars,
    }
    if not instance.data_width:
        del depths[DATA]
    return depths


def range_lookup(ch: Ledger, instance: Instance, claims: Claims, work: Work | None) -> None:
    """Prove that every cell, and every number of a used record, lies in its range.

    *Transcript*: alpha and beta; the roots and the inverses of their denominators with two closing
    relations; the way down the trees (`zkdl.protocol.fraction_trees.descend`).
    """
    ch.section(Section.RANGES)
    depths = tree_vars(instance)
    c = draw(ch, sum(1 << depth for depth in depths.values()))
    ch.compute(lambda: work.lookup_start(c))  # type: ignore[union-attr]

    def cells(point: list[int], p: Linear, q: Linear) -> Linear:
        return _cell_claim(instance, claims, c, point, p, q)

    def data(point: list[int], p: Linear, q: Linear) -> Linear:
        return _data_claim(instance, claims, c, point, p, q)

    def table(point: list[int], p: Linear, q: Linear) -> Linear:
        claims.add(p, [BlockPart("multiplicities", None, 1, tuple(point))])
        return q - table_at(instance.multiplicities, c, point)

    leaves = {CELLS: cells, DATA: data, TABLE: table}
    group = plant(ch, [Tree(name, depth, leaves[name]) for name, depth in depths.items()], work)
    terms = [group.root(name, R - 1 if name == TABLE else 1) for name in depths]
    ch.require("lookup/sum", terms, 0 * terms[0][1], Reason.MULTIPLICITY)
    descend(ch, group, work)


def _cell_claim(
    instance: Instance, claims: Claims, c: LookupChallenges, point: list[int], p: Linear, q: Linear
) -> Linear:
    covered = tags = 0
    for block in instance.cells.blocks:
        n = block.num_vars
        weight = eq_index(point[n:], block.offset >> n)
        covered += weight
        tags += weight * instance.cell_ranges[block.name]
    # Entries that belong to no block are the fraction 0 / 1.
    constant = c.alpha * covered + 1 - covered - c.beta * tags
    claims.add(constant % R - q, [BlockPart("cells", None, 1, tuple(point))])
    return p - covered % R


def _data_claim(
    instance: Instance, claims: Claims, c: LookupChallenges, point: list[int], p: Linear, q: Linear
) -> Linear:
    width = instance.data_width
    records = len(instance.used_records)
    record_vars = instance.data_block.axis_vars[1]
    z_u, z_c = point[:record_vars], point[record_vars:]
    rows = za.multilinear.eq_table(z_u)[:records]
    real = prefix(z_u, records) * prefix(z_c, instance.data_columns) % R
    constant = c.alpha - (1 << (width - 1)) * real - c.beta * width
    claims.add(constant % R - q, [DataPart(1, rows, 0, instance.data_columns, tuple(z_c))])
    return p - 1
