"""The two kinds of committed tables: records that runs train on, weights that runs start from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import InputError, Reason
from zkdl.protocol import table_json
from zkdl.protocol.channel import POINT_BYTES
from zkdl.protocol.fields import between, natural
from zkdl.protocol.layout import MAX_ROW_BITS, MIN_ROW_BITS, Stack, log2_ceil, weight_stack
from zkdl.protocol.publics import Point, prefix
from zkdl.protocol.table import BACKEND, VERSION, Chunk, Table
from zkdl.protocol.transcript import FR_MODULUS as R

__all__ = ["DataTable", "WeightTable", "parse_table", "read_table"]

_MAX_RECORDS = 1 << 26
_MAX_WIDTH = 1 << 20
_MAX_LAYERS = 64


@dataclass(frozen=True)
class DataTable(Table):
    """Records that runs train on: one row each, features, then labels.

    Args:
        bits: q_f, entries lie in [-2^(q_f-1), 2^(q_f-1)).
        scale: f, bits behind the point.
        commitment: one 48-byte point per record.
        features: d_0.
        outputs: d_L.
    """

    bits: int
    scale: int
    commitment: bytes
    features: int
    outputs: int
    version: int = VERSION
    backend: str = BACKEND

    kind = "data"
    reason = Reason.DATA

    @property
    def rows(self) -> int:
        """Number of records."""
        return len(self.commitment) // POINT_BYTES

    @property
    def columns(self) -> int:
        """Numbers of one record."""
        return self.features + self.outputs

    @property
    def row_vars(self) -> int:
        """Variables of a record."""
        return log2_ceil(self.columns)

    def mask(self, chunk: Chunk) -> NDArray[np.int64]:
        out = np.zeros((1 << log2_ceil(chunk.rows), 1 << self.row_vars), dtype=np.int64)
        out[: chunk.rows, : self.columns] = 1
        return out

    def mask_at(self, chunk: Chunk, point: Point) -> int:
        columns, rows = self.split(point)
        return prefix(columns, self.columns) * prefix(rows, chunk.rows) % R

    # Rows beyond the last are zero because nothing commits to them: they may pass for entries. With the
    # records running fastest the padding then is one stretch at the end.
    def covered(self, chunk: Chunk) -> NDArray[np.int64]:
        out = np.zeros((1 << log2_ceil(chunk.rows), 1 << self.row_vars), dtype=np.int64)
        out[:, : self.columns] = 1
        return out

    def covered_at(self, chunk: Chunk, point: Point) -> int:
        return prefix(self.split(point)[0], self.columns)

    def flat(self, matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.ascontiguousarray(matrix.T).reshape(-1)

    def split(self, point: Point) -> tuple[Point, Point]:
        rows = len(point) - self.row_vars
        return point[rows:], point[:rows]

    def _check_shape(self) -> None:
        between("features", self.features, 1, _MAX_WIDTH)
        between("outputs", self.outputs, 1, _MAX_WIDTH)
        between("features + outputs", self.columns, 2, 1 << MAX_ROW_BITS)
        between("records", self.rows, 1, _MAX_RECORDS)


@dataclass(frozen=True)
class WeightTable(Table):
    """Weights that runs start from, laid out in rows like every state of the weights.

    Args:
        bits: b, weights lie in [-2^(b-1), 2^(b-1)).
        scale: w, bits behind the point.
        commitment: one 48-byte point per row of `zkdl.protocol.layout.weight_rows`.
        widths: (d_0, ..., d_L).
        bias: whether every layer has a bias.
        row_bits: a row has 2^row_bits entries; runs that start from the table take it over.
    """

    bits: int
    scale: int
    commitment: bytes
    widths: tuple[int, ...]
    bias: bool
    row_bits: int
    version: int = VERSION
    backend: str = BACKEND

    kind = "weights"
    reason = Reason.WEIGHTS

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.widths, Sequence) or isinstance(self.widths, (str, bytes)):
            raise InputError(f"widths must be a sequence of integers, got {self.widths!r}")
        object.__setattr__(self, "widths", tuple(natural("widths", width) for width in self.widths))
        if not isinstance(self.bias, bool):
            raise InputError(f"bias must be a bool, got {self.bias!r}")

    @property
    def row_vars(self) -> int:
        """row_bits."""
        return self.row_bits

    @property
    def rows(self) -> int:
        """Rows in which the weights are committed."""
        return len(self._layout.live_rows)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum((a + self.bias) * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @cached_property
    def _layout(self) -> Stack:
        return weight_stack(self.widths, self.bias, self.row_bits)

    def mask(self, chunk: Chunk) -> NDArray[np.int64]:
        width = 1 << self.row_bits
        starts = self._layout.live_rows[chunk.slice] * width
        out = np.zeros((1 << log2_ceil(chunk.rows), width), dtype=np.int64)
        for block in self._layout.blocks:
            end, fast_vars = block.offset + block.size, block.axis_vars[-1]
            fan_in = block.shape[0] if len(block.shape) == 2 else 1
            first, last = np.searchsorted(starts, [block.offset // width * width, end])
            for row in range(first, last):
                start = int(starts[row])
                entry = np.arange(max(start, block.offset), min(start + width, end))
                slow, fast = np.divmod(entry - block.offset, 1 << fast_vars)
                out[row, entry - start] = (slow < fan_in) & (fast < block.shape[-1])
        return out

    def mask_at(self, chunk: Chunk, point: Point) -> int:
        columns, rows = (za.multilinear.eq_table(list(part)) for part in self.split(point))
        (value,) = za.Fr.to_ints(za.Fr.inner(za.multilinear.matvec(self.mask(chunk), columns), rows))
        return int(value)

    def _check_shape(self) -> None:
        if not 2 <= len(self.widths) <= _MAX_LAYERS + 1:
            raise InputError(f"widths must name 2 to {_MAX_LAYERS + 1} layers, got {len(self.widths)}")
        for width in self.widths:
            between("widths", width, 1, _MAX_WIDTH)
        between("row_bits", self.row_bits, MIN_ROW_BITS, MAX_ROW_BITS)
        # The cheap bound first, so that a short file cannot ask for a long computation.
        points = len(self.commitment) // POINT_BYTES
        if self.parameters > points << self.row_bits:
            raise InputError(
                f"commitment must hold one {POINT_BYTES}-byte point per row of {self.parameters} weights "
                f"(rows of {1 << self.row_bits}), got {len(self.commitment)} bytes"
            )


def parse_table(text: str | bytes) -> Table:
    """Read what `Table.to_json` wrote, of either kind; strict, but without `validate`.

    Raises:
        FormatError: Not JSON, an unknown, missing or repeated key, a wrong type, a float.
    """
    return table_json.build({"data": DataTable, "weights": WeightTable}, text)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a file that `Table.save` wrote.

    Raises:
        FormatError: The file is no table.
        OSError: The file cannot be read.
    """
    return parse_table(table_json.read_limited(path))
