"""What both sides derive from a statement before the first message."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zkdl.protocol.initial import initial_weights
from zkdl.protocol.layout import Block, BlockName, Stack, cell_shapes, log2_ceil, weight_stack
from zkdl.protocol.publics import Point, prefix
from zkdl.protocol.sampling import batches
from zkdl.protocol.statement import Statement
from zkdl.protocol.transcript import FR_MODULUS as R

RangeArgument = Literal["lookup", "bits"]
DATA_BLOCK: BlockName = ("data", 0)


@dataclass(frozen=True)
class Instance:
    """A statement with its layouts; everything here is public.

    Args:
        statement: a validated statement.
        ranges: which range argument the proof uses.
    """

    statement: Statement
    ranges: RangeArgument = "lookup"

    @property
    def widths(self) -> tuple[int, ...]:
        """(d_0, ..., d_L)."""
        return tuple(self.statement.widths)

    @property
    def num_layers(self) -> int:
        """L."""
        return len(self.widths) - 1

    @cached_property
    def width_vars(self) -> tuple[int, ...]:
        """Variables of each width."""
        return tuple(log2_ceil(d) for d in self.widths)

    @property
    def step_vars(self) -> int:
        """Variables of the step index t."""
        return log2_ceil(self.statement.steps)

    @property
    def batch_vars(self) -> int:
        """Variables of the position b in a batch."""
        return log2_ceil(self.statement.batch_size)

    @cached_property
    def batch_records(self) -> NDArray[np.int64]:
        """The record that stands at (t, b), as the seed names it: (T, B)."""
        s = self.statement
        return batches(s.seed, s.records, s.batch_size, s.steps, s.first_step)

    @cached_property
    def used_records(self) -> NDArray[np.int64]:
        """Records that occur in some batch, ascending."""
        return np.unique(self.batch_records)

    @cached_property
    def batch_slots(self) -> NDArray[np.int64]:
        """Position in `used_records` of the record at (t, b): (T, B)."""
        return np.searchsorted(self.used_records, self.batch_records)

    @cached_property
    def cell_ranges(self) -> dict[BlockName, int]:
        """Bit width of every cell block."""
        return {name: width for name, _, width in self._cells}

    @cached_property
    def _cells(self) -> list[tuple[BlockName, tuple[int, ...], int]]:
        s = self.statement
        q = (s.settings.activation_bits, s.settings.gradient_bits)
        return cell_shapes(self.widths, s.batch_size, s.steps, s.settings.limb_widths, q)

    @cached_property
    def cells(self) -> Stack:
        """Layout of the auxiliary cells."""
        return Stack.build([(name, shape) for name, shape, _ in self._cells], self.statement.row_bits)

    @cached_property
    def bits(self) -> Stack:
        """Layout of the bits of all cells and of the used records (range argument ``bits``)."""
        shapes: list[tuple[BlockName, tuple[int, ...]]] = []
        for name, shape, width in self._cells:
            shapes += [((*name, "bit", i), shape) for i in range(width)]
        for i in range(self.data_width):
            shapes.append(((*DATA_BLOCK, "bit", i), self.data_block.shape))
        return Stack.build(shapes, self.statement.row_bits)

    @cached_property
    def multiplicities(self) -> Stack:
        """Layout of the lookup table (range argument ``lookup``): block ("range", n) is 0 .. 2^n - 1."""
        widths = {*self.cell_ranges.values(), *([self.data_width] if self.data_width else [])}
        shapes: list[tuple[BlockName, tuple[int, ...]]] = [(("range", n), (1 << n,)) for n in sorted(widths)]
        return Stack.build(shapes, self.statement.row_bits)

    @property
    def data_width(self) -> int:
        """Bits in which this proof shows the numbers of used records to lie; 0 where another proof does."""
        s = self.statement
        return s.settings.activation_bits if s.data_ranges == "proof" else 0

    @property
    def range_poly(self) -> str:
        """The polynomial that the range argument commits beside the cells."""
        return "bits" if self.ranges == "bits" else "multiplicities"

    def stack(self, poly: str) -> Stack:
        """The layout of a committed polynomial other than the data."""
        if poly not in ("cells", "bits", "multiplicities", "final", "initial"):
            raise ValueError(f"no stack is called {poly!r}")
        return getattr(self, poly)

    @cached_property
    def final(self) -> Stack:
        """Layout of the committed difference W_T - W_0."""
        return weight_stack(self.widths, self.statement.bias, self.statement.row_bits)

    @property
    def commits_initial(self) -> bool:
        """Whether part of the initial weights is committed."""
        return bool(self.statement.initial_commitment)

    @property
    def initial(self) -> Stack:
        """Layout of what is committed of the initial weights: that of the final difference."""
        return self.final

    @property
    def known(self) -> tuple[str, ...]:
        """Polynomials whose commitments are part of the statement."""
        return ("data", "final", "initial") if self.commits_initial else ("data", "final")

    @property
    def data_columns(self) -> int:
        """Numbers of one record: features, then labels."""
        return self.widths[0] + self.widths[-1]

    @cached_property
    def data_block(self) -> Block:
        """The used records as a tensor (column, record), for the range argument."""
        return Block(DATA_BLOCK, (self.data_columns, len(self.used_records)))

    @property
    def data_vars(self) -> int:
        """Variables of the data polynomial: a row per used record, columns first."""
        return self.statement.row_bits + log2_ceil(len(self.used_records))

    @cached_property
    def base(self) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        """The public part of W_0 and of the initial biases, from the seed."""
        s = self.statement
        return initial_weights(s.initial_seed, self.widths, s.bias, s.settings)

    def real(self, batch_point: Point, step_point: Point, width_point: Point, layer: int) -> int:
        """MLE of the indicator of real (unpadded) entries of a (d_l, T, B) tensor."""
        s = self.statement
        return (
            prefix(batch_point, s.batch_size)
            * prefix(step_point, s.steps)
            % R
            * prefix(width_point, self.widths[layer])
            % R
        )
