"""Committed tables: integers committed row by row once, with a range proof of their own.

A table proof says: every entry of these rows is an integer in [-2^(b-1), 2^(b-1)), and whatever its layout
calls padding is zero. There are two kinds, the records that runs train on and weights that runs start from;
both are described by a public statement (`zkdl.protocol.table_kinds`) and proved by
`zkdl.protocol.table_argument`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError, Reason
from zkdl.protocol import table_json
from zkdl.protocol.channel import POINT_BYTES
from zkdl.protocol.fields import between, encode, natural
from zkdl.protocol.files import write_whole
from zkdl.protocol.layout import MIN_ROW_BITS, Stack, log2_ceil
from zkdl.protocol.publics import Point

__all__ = ["CHUNK_VARS", "MAX_LIMB_BITS", "Chunk", "Table", "limb_widths"]

VERSION = 1
BACKEND = "bls12-381/hyrax"
MAX_LIMB_BITS = 16
"""A limb is looked up in a table of at most 2^16 values."""
CHUNK_VARS = 21
"""A chunk of rows has at most 2^CHUNK_VARS limbs, padding included: what bounds the prover's memory."""

# Below this size another chunk costs more bytes than it is worth.
_SMALL_VARS = 16
_MAX_BITS = {"data": 20, "weights": 61}
_DOMAIN = b"dpkit-zkdl/table"


def limb_widths(bits: int) -> tuple[int, ...]:
    """Bits of the limbs of a ``bits``-bit integer, least significant first: as few and as even as possible.

    >>> limb_widths(16), limb_widths(40)
    ((16,), (14, 13, 13))
    """
    count = -(-bits // MAX_LIMB_BITS)
    width, wider = divmod(bits, count)
    return (width + 1,) * wider + (width,) * (count - wider)


@dataclass(frozen=True)
class Chunk:
    """Rows that one group of fraction trees covers.

    Args:
        first: its first row.
        rows: how many.
        row_vars: variables of a row.
    """

    first: int
    rows: int
    row_vars: int

    @property
    def num_vars(self) -> int:
        """Variables of the padded chunk."""
        return self.row_vars + log2_ceil(self.rows)

    @property
    def slice(self) -> slice:
        """Its rows in the table."""
        return slice(self.first, self.first + self.rows)


class Table:
    """What both kinds of table have; use `DataTable` or `WeightTable`.

    Attributes:
        bits: b, entries lie in [-2^(b-1), 2^(b-1)).
        scale: an entry v stands for the real number v / 2^scale.
        commitment: one 48-byte point per row.
        version: protocol version, 1.
        backend: ``"bls12-381/hyrax"``.
    """

    bits: int
    scale: int
    commitment: bytes
    version: int
    backend: str

    kind: ClassVar[Literal["data", "weights"]]
    reason: ClassVar[Reason]
    """What it means when the rows do not open to what was looked up."""

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(cast(Any, self)) if field.type == "int"):
            object.__setattr__(self, name, natural(name, getattr(self, name)))
        if not isinstance(self.backend, str):
            raise InputError(f"backend must be text, got {self.backend!r}")
        if not isinstance(self.commitment, (bytes, bytearray, memoryview)):
            raise InputError(f"commitment must be bytes, got {type(self.commitment).__name__}")
        object.__setattr__(self, "commitment", bytes(self.commitment))

    @property
    def rows(self) -> int:
        """Committed rows."""
        raise NotImplementedError

    @property
    def row_vars(self) -> int:
        """Variables of a row: its entries stand on the first 2^row_vars bases."""
        raise NotImplementedError

    def mask(self, chunk: Chunk) -> NDArray[np.int64]:
        """1 where a chunk holds entries, 0 at padding: (2^(variables of its rows), 2^row_vars)."""
        raise NotImplementedError

    def mask_at(self, chunk: Chunk, point: Point) -> int:
        """Multilinear extension of `mask`, flat, at a point."""
        raise NotImplementedError

    def covered(self, chunk: Chunk) -> NDArray[np.int64]:
        """1 where the lookup takes a limb for an entry's, 0 where it demands zero; shaped like `mask`."""
        return self.mask(chunk)

    def covered_at(self, chunk: Chunk, point: Point) -> int:
        """Multilinear extension of `covered`, flat, at a point."""
        return self.mask_at(chunk, point)

    def entries(self, chunk: Chunk) -> int:
        """The sum of `covered`."""
        return int(self.covered(chunk).sum())

    def flat(self, matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        """A padded chunk in the order of the leaves of its trees, of which `split` says the variables."""
        return matrix.reshape(-1)

    def split(self, point: Point) -> tuple[Point, Point]:
        """The coordinates of the columns and of the rows of a point on the leaves."""
        return point[: self.row_vars], point[self.row_vars :]

    @property
    def limb_widths(self) -> tuple[int, ...]:
        """Bits of the limbs of an entry plus 2^(b-1)."""
        return limb_widths(self.bits)

    @property
    def offset(self) -> int:
        """2^(b-1): what makes entries non-negative."""
        return 1 << (self.bits - 1)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The rows in pieces of bounded size, without much padding where that costs time.

        The next piece has as many rows as fit in its bound. If it has to be padded by more than 3/8, and is
        not small, it ends at the last power of two instead.
        """
        limbs = log2_ceil(len(self.limb_widths))
        most = 1 << max(0, CHUNK_VARS - self.row_vars - limbs)
        out, first = [], 0
        while first < self.rows:
            rows = min(most, self.rows - first)
            padded = 1 << log2_ceil(rows)
            if 8 * rows <= 5 * padded and padded << (self.row_vars + limbs) > 1 << _SMALL_VARS:
                rows = padded // 2
            out.append(Chunk(first, rows, self.row_vars))
            first += rows
        return tuple(out)

    @cached_property
    def lookup(self) -> Stack:
        """Layout of the multiplicities: block ("range", n) is 0 .. 2^n - 1."""
        widths = sorted(set(self.limb_widths))
        probe = Stack.build([(("range", n), (1 << n,)) for n in widths], 0)
        row_bits = max(MIN_ROW_BITS, (probe.num_vars + 1) // 2)
        return Stack.build([(("range", n), (1 << n,)) for n in widths], row_bits)

    def validate(self) -> None:
        """Check every field.

        Raises:
            InputError: The first field that is not acceptable, with what is expected.
        """
        if self.version != VERSION:
            raise InputError(f"version must be {VERSION}, got {self.version}")
        if self.backend != BACKEND:
            raise InputError(f"backend must be {BACKEND!r}, got {self.backend!r}")
        between("bits", self.bits, 2, _MAX_BITS[self.kind])
        between("scale", self.scale, 0, self.bits - 1)
        self._check_shape()
        expected = self.rows * POINT_BYTES
        if len(self.commitment) != expected:
            raise InputError(
                f"commitment must be {expected} bytes for {self.rows} rows, got {len(self.commitment)}"
            )

    def _check_shape(self) -> None:
        raise NotImplementedError

    def canonical_bytes(self) -> bytes:
        """The encoding that proofs bind: injective, every field with its length in front.

        The kind, then the fields in their order; integers are little-endian without leading zeros.
        """
        parts: list[bytes] = [_DOMAIN, self.kind.encode()]
        for _, value in self._values():
            if isinstance(value, tuple):
                parts += [encode(len(value)), *map(encode, value)]
            elif isinstance(value, (int, bool)):
                parts.append(encode(int(value)))
            else:
                parts.append(value.encode() if isinstance(value, str) else value)
        return b"".join(len(part).to_bytes(8, "little") + part for part in parts)

    def _values(self) -> Iterator[tuple[str, Any]]:
        for field in fields(cast(Any, self)):
            yield field.name, getattr(self, field.name)

    def settings(self) -> dict[str, Any]:
        """The fields by name, commitments left out."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._values()
            if name != "commitment"
        }

    def digest(self) -> bytes:
        """SHA-256 of `canonical_bytes`."""
        return hashlib.sha256(self.canonical_bytes()).digest()

    def to_json(self) -> str:
        """Text that `zkdl.protocol.table_kinds.parse_table` reads back to an equal table."""
        return table_json.dump(self.kind, dict(self._values()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, whole or not at all."""
        write_whole(path, self.to_json().encode())
