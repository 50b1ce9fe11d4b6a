"""Fraction trees of the lookup argument."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import Stack
from zkdl.protocol.lookup import CELLS, DATA, TABLE
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.leaves import IntegerLeaves, Segment, denominators
from zkdl.prover.rounds import EqFactor, Table, completed, exchanged, folded
from zkdl.prover.tensors import Tensors

Array = NDArray[np.uint64]
Leaves = tuple[Table, Array] | IntegerLeaves
"""Numerators and denominators, or integers that they are made of."""

_USED: Leaves = (np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.uint64))


class FractionTrees:
    """All layers of some trees; layer k holds 2^k numerators and denominators.

    Args:
        leaves: by tree, numerators (integers or elements) and denominators (elements), 2^n of each, or
            integers that they are made of.
    """

    def __init__(self, leaves: Mapping[str, Leaves]) -> None:
        self._layers = {tree: _build(given) for tree, given in leaves.items()}
        self._rounds: LayerRounds | None = None

    def roots(self) -> list[int]:
        """p, q and 1/q of every tree."""
        out = []
        for layers in self._layers.values():
            p, q = (_value(a) for a in layers[0])  # type: ignore[union-attr]
            # A zero denominator has no inverse: any value then fails the verifier's check.
            out += [p, q, pow(q, -1, R) if q else 0]
        return out

    def rounds(self, layer: int, point: list[int], coefs: dict[str, tuple[int, int]]) -> LayerRounds:
        """sum_x eq(point, x) sum_trees [a (p0 q1 + p1 q0) + b q0 q1](x)."""
        trees = {}
        combination = next(iter(coefs.values()))[1]
        for tree, (scale, _) in coefs.items():
            layers = self._layers[tree]
            # Each layer is used once, and used up.
            given, layers[layer + 1] = layers[layer + 1], _USED
            trees[tree] = _Tree(given, scale, combination)
        self._rounds = LayerRounds(trees, point)
        return self._rounds

    def values(self, tree: str) -> list[int]:
        """p0, p1, q0, q1 at the end of the current layer."""
        assert self._rounds is not None
        return self._rounds.values(tree)


class TreeWork:
    """What the trees of `zkdl.protocol.fraction_trees` ask of a prover, for the group at hand."""

    _trees: FractionTrees | None = None

    def lookup_roots(self) -> list[int]:
        assert self._trees is not None
        return self._trees.roots()

    def lookup_rounds(self, layer: int, point: list[int], coefs: dict[str, tuple[int, int]]) -> LayerRounds:
        assert self._trees is not None
        return self._trees.rounds(layer, point, coefs)

    def lookup_values(self, tree: str) -> list[int]:
        assert self._trees is not None
        return self._trees.values(tree)


class _Tree:
    """One tree's share of a layer, scale (u q1 + p1 q0) with u = p0 + factor q0, in the place of p0 and q.

    Integer numerators stay integers until their first variable is bound; until then u is p0.
    """

    def __init__(self, given: Leaves, scale: int, factor: int) -> None:
        self._scale, self._factor = scale, factor
        self._leaves: IntegerLeaves | None = None
        if isinstance(given, IntegerLeaves):
            self._leaves = given
            return
        p, q = given
        half = len(q) // 2
        self._u, self._p1 = p[:half], p[half:]
        self._q0, self._q1 = q[:half], q[half:]
        if not self._integers:
            self._u = za.sumcheck.add_multiple(self._u, self._q0, factor)
        self._ready: list[int] | None = None

    @property
    def _integers(self) -> bool:
        return self._u.ndim == 1

    def known(self, eq: Array, *, swapped: bool = False) -> list[int]:
        """Constant and leading coefficient, or those of the same sum with the halves exchanged."""
        ends = None if self._leaves is not None or swapped else self._ready
        if self._leaves is not None:
            ends = self._with_factor(self._leaves.first_round(eq, swapped=swapped))
        elif ends is None:
            tables: list[Table] = [self._u, self._p1, self._q0, self._q1]
            if swapped:
                tables = [exchanged(table) for table in tables]
            if self._integers:
                ends = self._with_factor(za.sumcheck.round_integer_layer(eq, *tables))
            else:
                ends = za.sumcheck.round_layer(eq, *tables)
        return [self._scale * c % R for c in ends]

    def _with_factor(self, sums: tuple[tuple[int, int], tuple[int, int]]) -> list[int]:
        return [x + self._factor * y for x, y in zip(*sums, strict=True)]

    def bind(self, eq: Array, challenge: int) -> None:
        """Fix the highest variable; ``eq`` is the table of the round that follows."""
        if self._leaves is not None:
            self._u, self._p1, self._q0, self._q1 = self._leaves.bound(challenge, self._factor)
            self._leaves = self._ready = None
            return
        size = len(self._q0)
        if self._integers or size < 4:
            integers = self._integers
            self._u, self._p1 = folded(self._u, challenge), folded(self._p1, challenge)
            self._q0, self._q1 = folded(self._q0, challenge), folded(self._q1, challenge)
            if integers:
                self._u = za.sumcheck.add_multiple(self._u, self._q0, self._factor)
            self._ready = None
            return
        tables = (self._u, self._p1, self._q0, self._q1)
        self._ready, bound = za.sumcheck.fold_round_layer(eq, *tables, challenge)
        self._u, self._p1, self._q0, self._q1 = bound

    def values(self) -> list[int]:
        """p0, p1, q0, q1 once every variable is bound."""
        u, p1, q0, q1 = (_value(table) for table in (self._u, self._p1, self._q0, self._q1))
        return [u if self._integers else (u - self._factor * q0) % R, p1, q0, q1]


class LayerRounds:
    """Sum over trees of sum_x eq(point, x) of what `_Tree` describes."""

    def __init__(self, trees: dict[str, _Tree], point: list[int]) -> None:
        self._trees = trees
        self._eq = EqFactor(point, len(point))

    def coefficients(self, claim: int) -> list[int]:
        """Coefficients of the current round polynomial, constant first."""
        r, eq = self._eq.coordinate, self._eq.table
        parts = [tree.known(eq) for tree in self._trees.values()]
        c0, c2 = (sum(column) % R for column in zip(*parts, strict=True))
        if r != 0:
            return completed([c0, c2], claim, r)
        at_1 = sum(tree.known(eq, swapped=True)[0] for tree in self._trees.values())
        return [c0, (at_1 - c0 - c2) % R, c2]

    def bind(self, challenge: int) -> None:
        """Fix the highest variable."""
        self._eq.bind()
        for tree in self._trees.values():
            tree.bind(self._eq.table, challenge)

    def values(self, tree: str) -> list[int]:
        """p0, p1, q0, q1 of a tree once every variable is bound."""
        return self._trees[tree].values()


def _value(table: Table) -> int:
    return int(table[0]) % R if table.ndim == 1 else int(za.Fr.to_ints(table[:1])[0])


def _build(given: Leaves) -> list[Leaves]:
    if isinstance(given, IntegerLeaves) and not given.small:
        given = given.dense()
    layers: list[Leaves] = [given]
    if isinstance(given, IntegerLeaves):
        layers.append(given.layer())
    while len((top := layers[-1])[1]) > 1:  # type: ignore[index]
        layers.append(za.sumcheck.fraction_layer(*top))  # type: ignore[misc]
    return layers[::-1]


def run_leaves(instance: Instance, tensors: Tensors, c: LookupChallenges) -> dict[str, Leaves]:
    """The leaves of the trees of a training run."""
    counts = np.asarray(tensors.tables["multiplicities"], dtype=np.int64)
    leaves: dict[str, Leaves] = {CELLS: _cell_leaves(instance, tensors, c)}
    if instance.data_width:
        leaves[DATA] = _data_leaves(instance, tensors, c)
    leaves[TABLE] = (counts, table_denominators(instance.multiplicities, c))
    return leaves


def _cell_leaves(instance: Instance, tensors: Tensors, c: LookupChallenges) -> IntegerLeaves:
    segments, end = [], 0
    for block in instance.cells.blocks:
        tag = c.beta * instance.cell_ranges[block.name]
        segments.append(Segment(block.offset, (c.alpha - tag) % R, 1))
        end = block.offset + block.size
    values = tensors.tables["cells"].astype(np.int64, copy=False)
    if end < len(values):
        # Entries that belong to no block are the fraction 0 / 1.
        segments.append(Segment(end, 1, 0))
    return IntegerLeaves(values, segments)


def _data_leaves(instance: Instance, tensors: Tensors, c: LookupChallenges) -> IntegerLeaves:
    bits = instance.data_width
    values = instance.data_block.pad(tensors.data.T + (1 << (bits - 1)))
    return IntegerLeaves(values, [Segment(0, (c.alpha - c.beta * bits) % R, 1)])


def table_denominators(stack: Stack, c: LookupChallenges) -> Array:
    """Leaf denominators of a lookup table, as `zkdl.protocol.fraction_trees.table_at`."""
    first = int(stack.blocks[0].name[1])
    q = za.Fr.scale(za.Fr.ones(1 << stack.num_vars), c.alpha - c.beta * first)
    for block in stack.blocks:
        part = slice(block.offset, block.offset + block.size)
        q[part] = denominators(np.arange(block.size), c.alpha - c.beta * int(block.name[1]))
    return q
