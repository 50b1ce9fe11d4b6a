"""Range argument ``lookup``: every cell is an entry of a public table (logUp by fraction trees).

The table lists (width, v) for every bit width in use and every v below 2^width; cell x of a block of
width n is the pair (n, value). With alpha and beta drawn after the cells and the multiplicities m
are committed,

    sum_cells 1 / (alpha - value - beta width) = sum_table m / (alpha - v - beta width)

holds as an identity of rational functions only if every cell is in the table. Beta is random, so a
field element cannot pass for an entry of another width. Each sum is the root p/q of a binary tree of
fractions, p0/q0 + p1/q1 = (p0 q1 + p1 q0) / (q0 q1); one sumcheck per layer carries claims on p and q
from the roots to the leaves, for all trees together. Leaf denominators are linear in committed
polynomials, leaf numerators public or the multiplicities. Nothing but multiplicities is committed
besides the cells, and the roots' denominators are proved to have inverses.

Source: Haboeck (2022), Papini and Haboeck (2023).
"""

from __future__ import annotations

from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.arguments import random_combination, sumcheck
from zkdl.protocol.channel import Section
from zkdl.protocol.claims import BlockPart, Claims, DataPart, Part
from zkdl.protocol.instance import Instance
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.linear import Linear, total
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.publics import eq_index, prefix
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work

Relation = tuple[list[tuple[int, Linear, Linear]], Linear]
"""Products and the target that they have to add up to."""

TREES = ("cells", "data", "table")
"""The three fraction sums: cells, numbers of the used records, table entries."""


def tree_vars(instance: Instance, tree: str) -> int:
    """Depth of a tree: variables of its leaves."""
    if tree == "cells":
        return instance.cells.num_vars
    return instance.data_block.num_vars if tree == "data" else instance.multiplicities.num_vars


def _leaf_claims(
    instance: Instance, claims: Claims, tree: str, c: LookupChallenges, point: list[int], p: Linear, q: Linear
) -> Linear:
    """Hand leaf claims to the opening; returns what must be zero of a public numerator."""
    if tree == "table":
        claims.add(p, [BlockPart("multiplicities", None, 1, tuple(point))])
        return q - _table_at(instance, c, point)
    if tree == "cells":
        covered = tags = 0
        for block in instance.cells.blocks:
            n = block.num_vars
            weight = eq_index(point[n:], block.offset >> n)
            covered += weight
            tags += weight * instance.cell_ranges[block.name]
        parts: list[Part] = [BlockPart("cells", None, 1, tuple(point))]
        # Entries that belong to no block are the fraction 0 / 1.
        constant = c.alpha * covered + 1 - covered - c.beta * tags
        claims.add(constant % R - q, parts)
        return p - covered % R
    settings = instance.statement.settings
    records = len(instance.used_records)
    record_vars = instance.data_block.axis_vars[1]
    z_u, z_c = point[:record_vars], point[record_vars:]
    rows = za.multilinear.eq_table(z_u)[:records]
    offset = 1 << (settings.activation_bits - 1)
    real = prefix(z_u, records) * prefix(z_c, instance.data_columns) % R
    constant = c.alpha - offset * real - c.beta * settings.activation_bits
    claims.add(constant % R - q, [DataPart(1, rows, 0, instance.data_columns, tuple(z_c))])
    return p - 1


def _table_at(instance: Instance, c: LookupChallenges, point: list[int]) -> int:
    """Leaf denominator of the table at a point; unused entries repeat the first entry."""
    out = rest = 0
    for block in instance.multiplicities.blocks:
        n, width = block.num_vars, int(block.name[1])
        weight = eq_index(point[n:], block.offset >> n)
        value = sum(r << i for i, r in enumerate(point[:n]))
        out += weight * (c.alpha - value - c.beta * width)
        rest += weight
    first = int(instance.multiplicities.blocks[0].name[1])
    return (out + (1 - rest) * (c.alpha - c.beta * first)) % R


def range_lookup(ch: Ledger, instance: Instance, claims: Claims, work: Work | None) -> None:
    """Prove that every cell and every number of a used record lies in its range.

    *Transcript*: alpha and beta; the roots and the inverses of their denominators with two closing
    relations; per layer of the trees the combination, the rounds, four evaluations per tree and the
    challenge that joins the halves; a random combination of the relations that close the layers; last,
    the public leaf values.
    """
    ch.section(Section.RANGES)
    c = LookupChallenges(ch.challenge("lookup/alpha"), ch.challenge("lookup/beta"))
    # A false identity survives at the roots of a polynomial of degree below leaves of all trees in
    # alpha; two distinct (width, value) pairs collide for at most one beta.
    leaves = sum(1 << tree_vars(instance, tree) for tree in TREES)
    ch.note("lookup/identity", 2 * leaves)
    ch.compute(lambda: work.lookup_start(c))  # type: ignore[union-attr]
    roots = ch.scalars("lookup/roots", 3 * len(TREES), lambda: work.lookup_roots())  # type: ignore[union-attr]
    state: dict[str, tuple[Linear, Linear]] = {}
    inverses: dict[str, Linear] = {}
    for k, tree in enumerate(TREES):
        p, q, inverses[tree] = roots[3 * k : 3 * k + 3]
        state[tree] = (p, q)
    one = 0 * roots[0] + 1
    _combined(ch, "lookup/inverse", [([(1, state[tree][1], inverses[tree])], one) for tree in TREES])
    signs = {"cells": 1, "data": 1, "table": R - 1}
    ch.require(
        "lookup/sum",
        [(signs[t], state[t][0], inverses[t]) for t in TREES],
        0 * roots[0],
        Reason.MULTIPLICITY,
    )

    point: list[int] = []
    public: list[Relation] = []
    closing: list[Relation] = []
    for layer in range(max(tree_vars(instance, tree) for tree in TREES)):
        active = [tree for tree in TREES if tree_vars(instance, tree) > layer]
        point, relation = _layer(ch, layer, point, active, state, work)
        closing.append(relation)
        for tree in active:
            if tree_vars(instance, tree) == layer + 1:
                public.append(([], _leaf_claims(instance, claims, tree, c, point, *state[tree])))
    _combined(ch, "lookup/layers", closing)
    _combined(ch, "lookup/leaves", public)


def _combined(ch: Ledger, label: str, relations: list[Relation]) -> None:
    """Demand several relations by one random combination of them."""
    powers, target = random_combination(ch, label, [goal for _, goal in relations])
    terms = [
        (power * k % R, a, b)
        for power, (products, _) in zip(powers, relations, strict=True)
        for k, a, b in products
    ]
    ch.require(label, terms, target)


def _layer(
    ch: Ledger,
    layer: int,
    point: list[int],
    active: list[str],
    state: dict[str, tuple[Linear, Linear]],
    work: Work | None,
) -> tuple[list[int], Relation]:
    """Claims on layer ``layer`` (2^layer fractions) become claims on the next.

    Returns their point and the relation that closes the sumcheck between them.
    """
    lam = ch.challenge("lookup/combine")
    ch.note(f"lookup/{layer}/combine", 2 * len(active))
    coefs: dict[str, tuple[int, int]] = {}
    power = 1
    for tree in active:
        coefs[tree] = (power, power * lam % R)
        power = coefs[tree][1] * lam % R
    claim = total(pair for tree in active for pair in zip(coefs[tree], state[tree], strict=True))
    rho, end = sumcheck(
        ch,
        f"lookup/{layer}",
        claim,
        layer,
        2,
        lambda: work.lookup_rounds(layer, point, coefs),  # type: ignore[union-attr]
        point,
    )
    values = ch.scalars(
        f"lookup/{layer}/values",
        4 * len(active),
        lambda: [v for tree in active for v in work.lookup_values(tree)],  # type: ignore[union-attr]
    )
    terms = []
    mu = ch.challenge("lookup/join")
    for k, tree in enumerate(active):
        p0, p1, q0, q1 = values[4 * k : 4 * k + 4]
        a, b = coefs[tree]
        terms += [(1, q1, a * p0 + b * q0), (a, q0, p1)]
        state[tree] = (p0 + mu * (p1 - p0), q0 + mu * (q1 - q0))
    return [*rho, mu], (terms, end)
