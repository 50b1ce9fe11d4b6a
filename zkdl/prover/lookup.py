"""Fraction trees of the lookup argument."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.instance import Instance
from zkdl.protocol.lookup import TREES
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.rounds import ProductRounds, Term
from zkdl.prover.tensors import Tensors

Array = NDArray[np.uint64]


class FractionTrees:
    """All layers of the three trees; layer k holds 2^k numerators and denominators."""

    def __init__(self, instance: Instance, tensors: Tensors, c: LookupChallenges) -> None:
        leaves = {
            "cells": _cell_leaves(instance, tensors, c),
            "data": _data_leaves(instance, tensors, c),
            "table": _table_leaves(instance, tensors, c),
        }
        self._layers = {tree: _build(*leaves[tree]) for tree in TREES}
        self._rounds: ProductRounds | None = None

    def roots(self) -> list[int]:
        """p, q and 1/q of every tree."""
        out = []
        for tree in TREES:
            p, q = (int(za.Fr.to_ints(a)[0]) for a in self._layers[tree][0])
            # A zero denominator has no inverse: any value then fails the verifier's check.
            out += [p, q, pow(q, -1, R) if q else 0]
        return out

    def rounds(self, layer: int, point: list[int], coefs: dict[str, tuple[int, int]]) -> ProductRounds:
        """sum_x eq(point, x) sum_trees [a (p0 q1 + p1 q0) + b q0 q1](x)."""
        tables: dict[str, Array] = {"eq": za.multilinear.eq_table(point)}
        terms = []
        half = 1 << layer
        for tree, (a, b) in coefs.items():
            p, q = self._layers[tree][layer + 1]
            tables[f"{tree}/p0"], tables[f"{tree}/p1"] = p[:half].copy(), p[half:].copy()
            tables[f"{tree}/q0"], tables[f"{tree}/q1"] = q[:half].copy(), q[half:].copy()
            terms += [
                Term(a, ("eq", f"{tree}/p0", f"{tree}/q1")),
                Term(a, ("eq", f"{tree}/p1", f"{tree}/q0")),
                Term(b, ("eq", f"{tree}/q0", f"{tree}/q1")),
            ]
            self._layers[tree][layer + 1] = (p[:0], q[:0])
        self._rounds = ProductRounds(tables, terms, layer)
        return self._rounds

    def values(self, tree: str) -> list[int]:
        """p0, p1, q0, q1 at the end of the current layer."""
        assert self._rounds is not None
        return [self._rounds.value(f"{tree}/{name}") for name in ("p0", "p1", "q0", "q1")]


def _build(p: Array, q: Array) -> list[tuple[Array, Array]]:
    layers = [(p, q)]
    while len(p) > 1:
        half = len(p) // 2
        p0, p1, q0, q1 = p[:half], p[half:], q[:half], q[half:]
        p, q = za.Fr.add(za.Fr.mul(p0, q1), za.Fr.mul(p1, q0)), za.Fr.mul(q0, q1)
        layers.append((p, q))
    return layers[::-1]


def _denominators(values: NDArray[Any], constant: int) -> Array:
    return za.Fr.sub(za.Fr.from_ints([constant % R]), za.Fr.from_int64(values))


def _cell_leaves(instance: Instance, tensors: Tensors, c: LookupChallenges) -> tuple[Array, Array]:
    stack, cells = instance.cells, tensors.tables["cells"]
    size = 1 << stack.num_vars
    p, q = za.Fr.zeros(size), _denominators(cells, 1)
    for block in stack.blocks:
        part = slice(block.offset, block.offset + block.size)
        p[part] = za.Fr.ones(1)
        q[part] = _denominators(cells[part], c.alpha - c.beta * instance.cell_ranges[block.name])
    return p, q


def _data_leaves(instance: Instance, tensors: Tensors, c: LookupChallenges) -> tuple[Array, Array]:
    bits = instance.statement.settings.activation_bits
    values = instance.data_block.pad(tensors.data.T + (1 << (bits - 1)))
    return za.Fr.ones(len(values)), _denominators(values, c.alpha - c.beta * bits)


def _table_leaves(instance: Instance, tensors: Tensors, c: LookupChallenges) -> tuple[Array, Array]:
    stack = instance.multiplicities
    size = 1 << stack.num_vars
    first = int(stack.blocks[0].name[1])
    q = np.repeat(za.Fr.from_ints([(c.alpha - c.beta * first) % R]), size, axis=0)
    for block in stack.blocks:
        part = slice(block.offset, block.offset + block.size)
        q[part] = _denominators(np.arange(block.size), c.alpha - c.beta * int(block.name[1]))
    return za.Fr.from_int64(tensors.tables["multiplicities"]), q
