"""The integers behind a proof: cells, bits, records and differences, laid out as committed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.claims import DataPart, Part
from zkdl.protocol.instance import DATA_BLOCK, Instance
from zkdl.protocol.layout import BlockName
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.training.witness import Witness

Integers = NDArray[np.int64]


class Tensors:
    """Integer tensors of one witness, by layer and as flat tables of the committed polynomials.

    Attributes:
        activations: A_0 .. A_{L-1}, each (T, B, d_l).
        gradients: G_1 .. G_L at index 1 .. L, each (T, B, d_l).
        initial: W_0 and the initial biases, the committed part included.
        tables: flat integers of ``cells``, ``bits``, ``final`` and, if committed, ``initial``.
        data: the used records, (records, columns).
    """

    def __init__(self, instance: Instance, witness: Witness) -> None:
        self.instance = instance
        s, last = instance.statement, instance.num_layers
        settings = s.settings
        self.data: Integers = np.ascontiguousarray(witness.data[instance.used_records])
        batch = self.data[instance.batch_slots]
        features = instance.widths[0]

        self.activations: list[Integers] = [np.ascontiguousarray(batch[:, :, :features])]
        self.gradients: list[Integers] = [np.zeros((0,), dtype=np.int64)]
        for layer in range(1, last):
            active = 1 - witness.sign[layer - 1]
            self.activations.append(active * witness.positive[layer - 1])
            self.gradients.append(active * witness.gradient[layer - 1])
        rescaled = witness.positive[-1] - (witness.sign[-1] << (settings.activation_bits - 1))
        shift = settings.gradient_scale - settings.activation_scale
        self.gradients.append((rescaled - batch[:, :, features:]) << shift)

        cells = self._cell_blocks(witness)
        self.initial: tuple[list[Integers], list[Integers]] = instance.base
        self.tables: dict[str, NDArray[np.integer]] = {
            "cells": instance.cells.table(cells),
            "final": self._state(witness.final_difference, witness.bias_difference),
        }
        if instance.commits_initial:
            added = (witness.initial_difference, witness.initial_bias_difference)
            self.tables["initial"] = self._state(*added)
            self.initial = (
                [base + more for base, more in zip(instance.base[0], added[0], strict=True)],
                [base + more for base, more in zip(instance.base[1], added[1], strict=True)],
            )
        if instance.ranges == "bits":
            self.tables["bits"] = instance.bits.table(self._bit_blocks(cells), np.int8)
        else:
            self.tables["multiplicities"] = self._multiplicities()

    def _state(self, weights: Sequence[Integers], biases: Sequence[Integers]) -> NDArray[np.integer]:
        """Weights and biases of all layers as one flat table."""
        layers = range(1, self.instance.num_layers + 1)
        values: dict[BlockName, NDArray[np.integer]] = {("weight", k): weights[k - 1] for k in layers}
        if self.instance.statement.bias:
            values.update({("bias", k): biases[k - 1] for k in layers})
        return self.instance.final.table(values)

    def _cell_blocks(self, witness: Witness) -> dict[BlockName, NDArray[np.integer]]:
        settings = self.instance.statement.settings
        out: dict[BlockName, NDArray[np.integer]] = {}

        def put(name: BlockName, values: Integers) -> None:
            out[name] = np.ascontiguousarray(values.transpose(2, 0, 1))

        def put_limbs(name: str, layer: int, values: Integers) -> None:
            widths = settings.limb_widths
            shift = 0
            for k, width in enumerate(widths):
                # The last limb takes whatever is left, so that an out-of-range remainder shows.
                limb = values >> shift
                if k + 1 < len(widths):
                    limb = limb & ((1 << width) - 1)
                put((name, layer, k), limb)
                shift += width

        for layer in range(1, self.instance.num_layers + 1):
            put(("positive", layer), witness.positive[layer - 1])
            put(("sign", layer), witness.sign[layer - 1])
            put_limbs("remainder", layer, witness.remainder[layer - 1])
            if layer < self.instance.num_layers:
                put(("gradient", layer), witness.gradient[layer - 1] + (1 << (settings.gradient_bits - 1)))
                put_limbs("gradient_remainder", layer, witness.gradient_remainder[layer - 1])
        return out

    def _bit_blocks(
        self, cells: dict[BlockName, NDArray[np.integer]]
    ) -> dict[BlockName, NDArray[np.integer]]:
        out: dict[BlockName, NDArray[np.integer]] = {}
        for name, width in self.instance.cell_ranges.items():
            for i in range(width):
                out[(*name, "bit", i)] = ((cells[name] >> i) & 1).astype(np.int8)
        for i in range(width := self.instance.data_width):
            records = self.data.T + (1 << (width - 1))
            out[(*DATA_BLOCK, "bit", i)] = ((records >> i) & 1).astype(np.int8)
        return out

    def _multiplicities(self) -> Integers:
        """How often every table entry occurs, over all cells and numbers of used records, padding too.

        Values outside their range are not counted: the two fraction sums then differ.
        """
        stack = self.instance.multiplicities
        out = np.zeros(1 << stack.num_vars, dtype=np.int64)

        def count(values: NDArray[np.integer], width: int) -> None:
            block = stack.block(("range", width))
            inside = values[(values >= 0) & (values < block.size)]
            out[block.offset : block.offset + block.size] += np.bincount(inside, minlength=block.size)

        cells = self.tables["cells"]
        for block in self.instance.cells.blocks:
            count(cells[block.offset : block.offset + block.size], self.instance.cell_ranges[block.name])
        if bits := self.instance.data_width:
            count(self.instance.data_block.pad(self.data.T + (1 << (bits - 1))), bits)
        return out

    def block_slice(self, poly: str, block: BlockName | None, size: int) -> slice:
        """Where a block of ``size`` entries lies in the flat table of ``poly``."""
        if block is None:
            return slice(0, size)
        offset = self.instance.stack(poly).block(block).offset
        return slice(offset, offset + size)

    def evaluate(self, parts: Sequence[Part]) -> int:
        """Value of a linear functional, as `zkdl.protocol.work.Work.evaluate`."""
        total = 0
        for part in parts:
            if isinstance(part, DataPart):
                columns = self.data[:, part.first : part.first + part.count]
                folded = za.multilinear.vecmat(part.rows, np.ascontiguousarray(columns))
                (value,) = za.Fr.to_ints(za.Fr.inner(folded, part.column_weights()))
            else:
                place = self.block_slice(part.poly, part.block, 1 << len(part.point))
                entries = self.tables[part.poly][place]
                value = za.multilinear.eval_int(part.real_entries(entries), part.point)
            total += part.coef * int(value)
        return total % R
