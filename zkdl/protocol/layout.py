"""Where every committed integer lives: blocks in stacks, stacks in rows.

A *block* is one tensor whose axes are padded with zeros to powers of two; the last axis varies
fastest, so the table of its multilinear extension has the variables of the last axis first
(little-endian). A *stack* concatenates blocks, largest first, so that every block starts at a
multiple of its own padded size: an evaluation of a block at a point is then the evaluation of the
stack at that point followed by the bits of the block's address. A stack is cut into rows of
``2**row_bits`` entries and each row gets one Pedersen commitment; rows that hold only padding are
not committed, both sides know them to be zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError

BlockName = tuple[str | int, ...]

MIN_ROW_BITS = 4
MAX_ROW_BITS = 14


def log2_ceil(n: int) -> int:
    """Smallest k with 2**k >= n.

    >>> [log2_ceil(n) for n in (1, 2, 3, 64, 65)]
    [0, 1, 2, 6, 7]
    """
    return (n - 1).bit_length()


@dataclass(frozen=True)
class Block:
    """One padded tensor inside a stack.

    Args:
        name: what the block holds, e.g. ``("sign", 2)`` for the signs of layer 2.
        shape: true extent of each axis, slowest first.
        offset: index of its first entry in the stack.
    """

    name: BlockName
    shape: tuple[int, ...]
    offset: int = 0

    @property
    def axis_vars(self) -> tuple[int, ...]:
        """Variables of each axis, slowest first."""
        return tuple(log2_ceil(n) for n in self.shape)

    @property
    def num_vars(self) -> int:
        """Variables of the padded block."""
        return sum(self.axis_vars)

    @property
    def size(self) -> int:
        """Entries of the padded block."""
        return 1 << self.num_vars

    @property
    def live(self) -> int:
        """Entries up to the last one that can be non-zero, in whole slices of the slowest axis."""
        inner = self.size >> self.axis_vars[0]
        return self.shape[0] * inner

    def pad(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return ``values`` padded with zeros, flat, length ``size``."""
        if values.shape != self.shape:
            raise InputError(f"block {self.name}: values have shape {values.shape}, expected {self.shape}")
        out = np.zeros(tuple(1 << v for v in self.axis_vars), dtype=values.dtype)
        out[tuple(slice(0, n) for n in self.shape)] = values
        return out.reshape(-1)


@dataclass(frozen=True)
class Stack:
    """Blocks of one committed polynomial, placed and cut into rows."""

    blocks: tuple[Block, ...]
    row_bits: int

    @classmethod
    def build(cls, shapes: Iterable[tuple[BlockName, tuple[int, ...]]], row_bits: int) -> Stack:
        """Place blocks, largest padded size first (stable), so that each is aligned to its size."""
        blocks = [Block(name, shape) for name, shape in shapes]
        offset, placed = 0, []
        for block in sorted(blocks, key=lambda b: -b.size):
            placed.append(Block(block.name, block.shape, offset))
            offset += block.size
        return cls(tuple(placed), row_bits)

    @cached_property
    def _by_name(self) -> dict[BlockName, Block]:
        return {block.name: block for block in self.blocks}

    def block(self, name: BlockName) -> Block:
        """The block called ``name``."""
        return self._by_name[name]

    @cached_property
    def num_vars(self) -> int:
        """Variables of the whole stack: at least one full row."""
        total = sum(block.size for block in self.blocks)
        return max(self.row_bits, log2_ceil(max(total, 1)))

    @cached_property
    def live_rows(self) -> NDArray[np.int64]:
        """Indices of the rows that are committed, ascending."""
        width = 1 << self.row_bits
        rows: set[int] = set()
        for block in self.blocks:
            first, last = block.offset // width, (block.offset + block.live - 1) // width
            rows.update(range(first, last + 1))
        return np.array(sorted(rows), dtype=np.int64)

    def table(
        self, values: Mapping[BlockName, NDArray[np.integer]], dtype: type = np.int64
    ) -> NDArray[np.integer]:
        """Lay all blocks out in one flat integer table of length ``2**num_vars``."""
        out: NDArray[Any] = np.zeros(1 << self.num_vars, dtype=dtype)
        for block in self.blocks:
            out[block.offset : block.offset + block.size] = block.pad(values[block.name])
        return out

    def rows(self, table: NDArray[np.integer]) -> NDArray[np.integer]:
        """The committed rows of a flat table, shape (len(live_rows), 2**row_bits)."""
        return np.ascontiguousarray(table.reshape(-1, 1 << self.row_bits)[self.live_rows])


def weight_stack(widths: Sequence[int], bias: bool, row_bits: int) -> Stack:
    """Layout of all weights (and biases) of a network: block ``("weight", l)`` is d_{l-1} x d_l."""
    shapes: list[tuple[BlockName, tuple[int, ...]]] = []
    for layer in range(1, len(widths)):
        shapes.append((("weight", layer), (widths[layer - 1], widths[layer])))
        if bias:
            shapes.append((("bias", layer), (widths[layer],)))
    return Stack.build(shapes, row_bits)


def weight_rows(
    widths: Sequence[int],
    bias: bool,
    row_bits: int,
    weights: Sequence[NDArray[np.int64]],
    biases: Sequence[NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Rows to commit for one state (or difference) of the weights, shape (rows, 2**row_bits) int64."""
    stack = weight_stack(widths, bias, row_bits)
    values: dict[BlockName, NDArray[np.integer]] = {
        ("weight", layer): weights[layer - 1] for layer in range(1, len(widths))
    }
    if bias:
        values.update({("bias", layer): biases[layer - 1] for layer in range(1, len(widths))})
    return stack.rows(stack.table(values)).astype(np.int64, copy=False)


def cell_shapes(
    widths: Sequence[int], batch_size: int, steps: int, limb_widths: Sequence[int], bits: tuple[int, int]
) -> list[tuple[BlockName, tuple[int, ...], int]]:
    """Every auxiliary cell block of the relation with its range, as (name, shape, bit width).

    Args:
        limb_widths: bit widths of the limbs of a remainder, least significant first.
        bits: (activation_bits, gradient_bits) of the settings.

    Returns:
        For each layer l: ``positive`` P, ``sign`` S, ``remainder`` limbs; for l < L also
        ``gradient`` (H' plus 2**(q_g - 1), so that it is non-negative) and ``gradient_remainder``
        limbs. Shapes are (d_l, T, B).
    """
    activation_bits, gradient_bits = bits
    out: list[tuple[BlockName, tuple[int, ...], int]] = []
    last = len(widths) - 1
    for layer in range(1, last + 1):
        shape = (widths[layer], steps, batch_size)
        out.append((("positive", layer), shape, activation_bits - 1))
        out.append((("sign", layer), shape, 1))
        for k, width in enumerate(limb_widths):
            out.append((("remainder", layer, k), shape, width))
        if layer < last:
            out.append((("gradient", layer), shape, gradient_bits))
            for k, width in enumerate(limb_widths):
                out.append((("gradient_remainder", layer, k), shape, width))
    return out


def choose_row_bits(
    widths: Sequence[int], bias: bool, batch_size: int, steps: int, limb_widths: Sequence[int]
) -> int:
    """Row length that balances commitments in the file against the work of opening one row.

    The file holds one point per row of cells and of weights; the opening and the verifier's last
    multi-scalar multiplication cost one full-size scalar per entry of a row, and a row must hold
    one whole record. Near the square root of the number of cells (and lookup table entries) both are
    small.
    """
    shapes = cell_shapes(widths, batch_size, steps, limb_widths, (16, 16))
    cells = sum(prod(1 << log2_ceil(n) for n in shape) for _, shape, _ in shapes)
    cells += sum(1 << width for width in {width for *_, width in shapes})
    weights = sum((widths[k - 1] + bias) * widths[k] for k in range(1, len(widths)))
    record = widths[0] + widths[-1]
    balanced = (log2_ceil(max(cells, weights, 1)) + 2) // 2
    chosen = max(log2_ceil(record), min(balanced, MAX_ROW_BITS), MIN_ROW_BITS)
    if chosen > MAX_ROW_BITS:
        raise InputError(
            f"widths: a record has {record} numbers (features and labels), at most {1 << MAX_ROW_BITS} fit "
            "in one committed row; reduce the number of features"
        )
    return chosen
