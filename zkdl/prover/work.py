"""The prover's computations, one family of tables per argument."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.claims import Part
from zkdl.protocol.instance import Instance
from zkdl.protocol.opening import poly_vars
from zkdl.protocol.points import LookupChallenges, MatmulPoints, ReluPoints, UpdatePoints
from zkdl.protocol.zkrelu import place_point
from zkdl.prover import matmul, update
from zkdl.prover.lookup import FractionTrees, TreeWork, run_leaves
from zkdl.prover.opening import OpeningRounds, opening_rounds
from zkdl.prover.rounds import BooleanRounds, ProductRounds, Term, product_rounds
from zkdl.prover.tensors import Tensors

Array = NDArray[np.uint64]
Integers = NDArray[np.int64]


class ProverWork(TreeWork):
    """Implements `zkdl.protocol.work.Work` for one witness."""

    def __init__(self, instance: Instance, tensors: Tensors) -> None:
        self._instance = instance
        self._tensors = tensors
        self._slices: matmul.Slices | None = None
        self._rounds: dict[str, ProductRounds] = {}
        self._opening: OpeningRounds | None = None

    def rows(self, poly: str) -> NDArray[np.integer]:
        return self._instance.stack(poly).rows(self._tensors.tables[poly])

    def evaluate(self, parts: Sequence[Part]) -> int:
        return self._tensors.evaluate(parts)

    def matmul_rounds(self, points: MatmulPoints) -> ProductRounds:
        self._slices = matmul.Slices(self._instance, self._tensors, points)
        return self._keep("matmul", matmul.rounds(self._instance, self._slices, points, self._tensors))

    def matmul_value(self, family: str, layer: int) -> int:
        return self._rounds["matmul"].value(f"{family}{layer}")

    def update_rounds(self, points: UpdatePoints) -> ProductRounds:
        assert self._slices is not None
        return self._keep("update", update.rounds(self._instance, self._tensors, self._slices, points))

    def update_value(self, family: str, layer: int) -> int:
        return self._rounds["update"].value(f"{family}{layer}")

    def relu_rounds(self, points: ReluPoints) -> ProductRounds:
        """sum_z sum_l (1 - S_l) (E^A_l P_l + E^G_l H'_l), E the combined eq tables."""
        instance, tables, terms = self._instance, {}, []
        base = instance.batch_vars + instance.step_vars
        hidden = range(1, instance.num_layers)
        offset = 1 << (instance.statement.settings.gradient_bits - 1)
        # Layers of one width share their points.
        eq: dict[tuple[int, ...], Array] = {}
        for layer in hidden:
            block = instance.cells.block(("sign", layer))
            size = slice(block.offset, block.offset + block.size)
            tables[f"active{layer}"] = za.Fr.from_int64(1 - self._tensors.tables["cells"][size])
            for tensor, name in (("A", "positive"), ("G", "gradient")):
                block = instance.cells.block((name, layer))
                values = self._tensors.tables["cells"][block.offset : block.offset + block.size]
                if tensor == "G":
                    values = values - block.pad(np.full(block.shape, offset, dtype=np.int64))
                tables[f"{tensor}{layer}"] = za.Fr.from_int64(values)
                weight = za.Fr.zeros(block.size)
                for coef, place in points.weights[tensor, layer]:
                    point = place_point(instance, points.update, place, layer)
                    if point not in eq:
                        eq[point] = za.multilinear.eq_table(list(point))
                    weight = za.sumcheck.add_multiple(weight, eq[point], coef)
                tables[f"E{tensor}{layer}"] = weight
                terms.append(Term(1, (f"E{tensor}{layer}", f"active{layer}", f"{tensor}{layer}")))
        num_vars = base + max(instance.width_vars[layer] for layer in hidden)
        return self._keep("zkrelu", ProductRounds(tables, terms, num_vars))

    def booleanity_rounds(self, point: Sequence[int]) -> BooleanRounds:
        self._forget()
        return BooleanRounds(self._tensors.tables["bits"].astype(np.int32), point)

    def product_rounds(self, left: Sequence[int], right: Sequence[int]) -> ProductRounds:
        return product_rounds(left, right)

    def lookup_start(self, challenges: LookupChallenges) -> None:
        self._forget()
        self._trees = FractionTrees(run_leaves(self._instance, self._tensors, challenges))

    def opening_rounds(
        self, entries: Sequence[tuple[int, Sequence[Part]]], polys: Sequence[str]
    ) -> OpeningRounds:
        self._trees = None
        self._opening = opening_rounds(
            {poly: self._opening_table(poly) for poly in polys},
            entries,
            lambda part: self._tensors.block_slice(part.poly, part.block, 1 << len(part.point)).start,
        )
        return self._opening

    def opening_value(self, poly: str) -> int:
        assert self._opening is not None
        return self._opening.value(poly)

    def _forget(self) -> None:
        """The range argument is the largest: the tables of those before go first."""
        self._rounds.clear()
        self._slices = None

    def _keep(self, name: str, rounds: ProductRounds) -> ProductRounds:
        self._rounds[name] = rounds
        return rounds

    def _opening_table(self, poly: str) -> Integers:
        if poly != "data":
            return self._tensors.tables[poly].astype(np.int64, copy=False)
        data = self._tensors.data
        columns = 1 << self._instance.statement.row_bits
        rows = 1 << (poly_vars(self._instance, "data") - self._instance.statement.row_bits)
        out = np.zeros((rows, columns), dtype=data.dtype)
        out[: data.shape[0], : data.shape[1]] = data
        return out
