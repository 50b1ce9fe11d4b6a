"""Memory that a proof will take: which tables live when, counted from the statement alone.

Nothing is laid out or sampled here, so that the answer for a statement of any size, honest or not, comes
in about a millisecond. Each entry of `holdings` is one group of arrays with the phases in which it lives; the
peak is the largest sum over a phase. Whoever changes what the prover holds changes a line here, and
``python -m benchmarks.proving --fit`` shows both beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

from zkdl.protocol.layout import BlockName, Stack, cell_shapes, log2_ceil, weight_stack
from zkdl.protocol.statement import Statement

__all__ = ["PHASES", "PROCESS", "Holding", "Sizes", "holdings", "peak_bytes"]

PHASES = ("witness", "tensors", "commitments", "matmul", "update", "zkrelu", "ranges", "opening")
"""Phases of a proof in order; ``witness`` and ``tensors`` are both reported as witness."""

# An interpreter with the kernels of this package loaded and its small tables built.
PROCESS = 215 << 20


@dataclass(frozen=True)
class Sizes:
    """Counts behind one proof; all are exact but ``used``, which is an upper bound after the first epoch.

    Args:
        statement: acceptable.
        ranges: the range argument.
    """

    statement: Statement
    ranges: str

    @cached_property
    def samples(self) -> int:
        """T * B."""
        return self.statement.steps * self.statement.batch_size

    @cached_property
    def padded_samples(self) -> int:
        """2^(step variables + batch variables)."""
        return 1 << (log2_ceil(self.statement.steps) + log2_ceil(self.statement.batch_size))

    @cached_property
    def columns(self) -> int:
        """Numbers of one record."""
        return self.statement.widths[0] + self.statement.widths[-1]

    @cached_property
    def used(self) -> int:
        """Records that occur in some batch, at most."""
        return min(self.statement.records, self.samples)

    @cached_property
    def parameters(self) -> int:
        """Entries of all weight matrices."""
        return sum(a * b for a, b in pairwise(self.statement.widths))

    @cached_property
    def largest_matrix(self) -> int:
        """Entries of the largest weight matrix."""
        return max(a * b for a, b in pairwise(self.statement.widths))

    @cached_property
    def hidden(self) -> int:
        """Neurons of the hidden layers."""
        return sum(self.statement.widths[1:-1])

    @cached_property
    def neurons(self) -> int:
        """Neurons of the hidden layers and the output."""
        return sum(self.statement.widths[1:])

    @cached_property
    def _cell_shapes(self) -> list[tuple[BlockName, tuple[int, ...], int]]:
        s = self.statement
        bits = (s.settings.activation_bits, s.settings.gradient_bits)
        return cell_shapes(s.widths, s.batch_size, s.steps, s.settings.limb_widths, bits)

    @cached_property
    def cells(self) -> int:
        """Committed cells, without padding."""
        return sum(prod(shape) for _, shape, _ in self._cell_shapes)

    @cached_property
    def cell_stack(self) -> Stack:
        """Layout of the cells."""
        return Stack.build([(name, shape) for name, shape, _ in self._cell_shapes], self.statement.row_bits)

    @cached_property
    def cell_entries(self) -> int:
        """Entries of the cell polynomial."""
        return 1 << self.cell_stack.num_vars

    @cached_property
    def range_stack(self) -> Stack:
        """Layout of what the range argument commits beside the cells."""
        bits = self.data_width
        shapes: list[tuple[BlockName, tuple[int, ...]]] = []
        if self.ranges == "bits":
            for name, shape, width in self._cell_shapes:
                shapes += [((*name, i), shape) for i in range(width)]
            shapes += [(("data", i), (self.columns, self.used)) for i in range(bits)]
        else:
            widths = {width for *_, width in self._cell_shapes} | ({bits} if bits else set())
            shapes = [((n,), (1 << n,)) for n in sorted(widths)]
        return Stack.build(shapes, self.statement.row_bits)

    @cached_property
    def range_entries(self) -> int:
        """Entries of the polynomial of bits or multiplicities."""
        return 1 << self.range_stack.num_vars

    @cached_property
    def bits(self) -> int:
        """Committed bits, without padding; 0 without them."""
        if self.ranges != "bits":
            return 0
        cells = sum(prod(shape) * width for _, shape, width in self._cell_shapes)
        return cells + self.columns * self.used * self.data_width

    @cached_property
    def data_width(self) -> int:
        """Bits in which this proof shows records to lie, or 0."""
        s = self.statement
        return s.settings.activation_bits if s.data_ranges == "proof" else 0

    @cached_property
    def states(self) -> int:
        """Committed states of the weights: the final one, and the initial one where it is committed."""
        return 2 if self.statement.initial_commitment else 1

    @cached_property
    def final_entries(self) -> int:
        """Entries of the polynomial of one state of the weights."""
        s = self.statement
        return 1 << weight_stack(s.widths, s.bias, s.row_bits).num_vars

    @cached_property
    def data_entries(self) -> int:
        """Entries of the data polynomial: a committed row per used record."""
        return 1 << (self.statement.row_bits + log2_ceil(self.used))

    @cached_property
    def data_leaves(self) -> int:
        """Entries of the data as the range argument sees them; 0 where another proof ranges them."""
        return 1 << (log2_ceil(self.columns) + log2_ceil(self.used)) if self.data_width else 0

    def padded(self, width: int) -> int:
        """Entries of a padded tensor (width, T, B)."""
        return self.padded_samples << log2_ceil(width)


@dataclass(frozen=True)
class Holding:
    """Arrays that live from one phase to another.

    Args:
        name: what they are.
        size: bytes.
        first, last: phases, both included.
    """

    name: str
    size: int
    first: str
    last: str


def holdings(sizes: Sizes) -> list[Holding]:
    """Everything of note that a proof holds, with its phases."""
    z, s = sizes, sizes.statement
    hidden, neurons = z.hidden * z.samples, z.neurons * z.samples
    inputs = sum(s.widths[:-1]) * z.samples
    widths, last = s.widths, s.num_layers
    step_entries = [1 << (log2_ceil(s.steps) + log2_ceil(width)) for width in widths]
    product_tables = 2 * sum(step_entries[:-1]) + 2 * sum(step_entries[2:])
    hidden_entries = sum(z.padded(width) for width in widths[1:-1])
    out = [
        Holding("process", PROCESS, "witness", "opening"),
        Holding("witness", 8 * (3 * neurons + 2 * hidden), "witness", "opening"),
        Holding("records", (8 * z.columns + 32) * s.records, "witness", "opening"),
        Holding("differences", 8 * z.parameters * z.states, "witness", "opening"),
        Holding(
            "training again", 8 * (1 + z.states) * z.parameters + 48 * z.largest_matrix, "witness", "witness"
        ),
        Holding("used records", 8 * z.columns * z.used, "tensors", "opening"),
        Holding("activations, gradients", 8 * (inputs + neurons), "tensors", "opening"),
        Holding("cells by block", 8 * z.cells + 8 * z.columns * z.samples, "tensors", "tensors"),
        Holding("cell table", 8 * z.cell_entries, "tensors", "opening"),
        Holding("difference table", 8 * (z.final_entries + z.parameters) * z.states, "tensors", "opening"),
        Holding("cell rows", 8 * z.cells, "commitments", "opening"),
        Holding("sorted points", _sorting(z), "commitments", "commitments"),
        Holding("initial weights", 8 * z.parameters * z.states, "tensors", "opening"),
        Holding("slices", 32 * z.samples * (2 * last - 1), "matmul", "zkrelu"),
        Holding("product tables", 32 * product_tables, "matmul", "zkrelu"),
        Holding("update tables", 32 * z.padded_samples * 4 * last, "update", "zkrelu"),
        Holding("relu tables", 5 * 32 * hidden_entries, "zkrelu", "zkrelu"),
    ]
    if s.num_layers > 1:
        block = max(z.padded(width) for width in widths[1:-1])
        out.append(Holding("relu block", 4 * 32 * block, "zkrelu", "zkrelu"))
    # Row sums and row weights of the opening are too few to count: its entries stay integers.
    out.append(Holding("opening records", 8 * z.data_entries, "opening", "opening"))
    if z.ranges == "bits":
        out += [
            Holding("bits by block", z.bits, "tensors", "tensors"),
            Holding("bit table", z.range_entries, "tensors", "opening"),
            Holding("bit rows", z.bits, "commitments", "opening"),
            Holding("booleanity", (4 + 8 + 16 + 16) * z.range_entries, "ranges", "ranges"),
            Holding("bit integers", 8 * z.range_entries, "opening", "opening"),
        ]
    else:
        # Leaves stay integers, those of the cells the ones that are there; the layers above are elements.
        leaves = 64 * z.cell_entries + (8 + 64) * z.data_leaves + (32 + 64) * z.range_entries
        out.append(Holding("fraction trees", leaves, "ranges", "ranges"))
    return out


def _sorting(z: Sizes) -> int:
    """Codes and sums of a multi-scalar multiplication of rows."""
    return min(80 << 20, 16 * (z.cells + z.bits))


def peak_bytes(statement: Statement, ranges: str) -> dict[str, int]:
    """Bytes that live in each phase of a proof; the peak is the largest.

    Args:
        statement: acceptable; its commitments are not looked at.
        ranges: the range argument.
    """
    out = dict.fromkeys(PHASES, 0)
    for holding in holdings(Sizes(statement, ranges)):
        for phase in PHASES[PHASES.index(holding.first) : PHASES.index(holding.last) + 1]:
            out[phase] += holding.size
    return out
