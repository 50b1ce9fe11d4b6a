"""Small committed tables for attacks, and the one way to prove them with cheating parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected
from zkdl.protocol import table_argument
from zkdl.protocol.commitment import blind_base, commit_rows, row_bases
from zkdl.protocol.layout import weight_rows
from zkdl.protocol.proof import TABLE_FORM, encode
from zkdl.protocol.table import Table
from zkdl.protocol.table_argument import PROTOCOL, chunk_name, run
from zkdl.protocol.table_kinds import DataTable, WeightTable
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.prover.channel import ProverChannel, SecretRows
from zkdl.prover.randomness import OSRandomness, Randomness
from zkdl.prover.table import TableProver
from zkdl.verifier.table import verify_table

from .files import TracedChannel


@dataclass
class Committed:
    """A table with what opens it."""

    table: Table
    entries: np.ndarray
    blinds: np.ndarray

    def with_entry(self, row: int, column: int, value: Any) -> Committed:
        """The same table, committed anew with one entry changed."""
        entries = self.entries.astype(object if abs(int(value)) >> 62 else np.int64)
        entries[row, column] = value
        commitment = commit(entries, self.blinds)
        return Committed(replace(self.table, commitment=commitment), entries, self.blinds)  # type: ignore[type-var]


def commit(entries: np.ndarray, blinds: np.ndarray) -> bytes:
    """Row commitments of integers of any size."""
    if entries.dtype != object:
        return b"".join(za.g1.to_bytes(commit_rows(entries, blinds)))
    bases = np.concatenate([row_bases(entries.shape[1]), blind_base()])
    points = []
    for row, blind in zip(entries, blinds, strict=True):
        points.append(
            za.msm(bases, np.concatenate([za.Fr.from_ints([int(v) % R for v in row]), blind[None]]))
        )
    return b"".join(za.g1.to_bytes(np.concatenate(points)))


def data(rows: int = 3, features: int = 2, outputs: int = 1, bits: int = 5, seed: int = 0) -> Committed:
    """Random records over the whole range, both ends included."""
    rng = np.random.default_rng(seed)
    limit = 1 << (bits - 1)
    entries = rng.integers(-limit, limit, (rows, features + outputs))
    entries[0, 0], entries[-1, -1] = -limit, limit - 1
    blinds = za.Fr.random(rows)
    return Committed(DataTable(bits, 1, commit(entries, blinds), features, outputs), entries, blinds)


def weights(
    widths: Sequence[int] = (3, 3, 2), *, bias: bool = True, bits: int = 18, row_bits: int = 4, seed: int = 0
) -> Committed:
    """Random weights over the whole range."""
    rng = np.random.default_rng(seed)
    limit = 1 << (bits - 1)
    shapes = list(pairwise(widths))
    parts = [rng.integers(-limit, limit, shape) for shape in shapes]
    parts[0][0, 0], parts[-1][-1, -1] = -limit, limit - 1
    biases = [rng.integers(-limit, limit, n) for _, n in shapes] if bias else []
    entries = weight_rows(widths, bias, row_bits, parts, biases)
    blinds = za.Fr.random(len(entries))
    table = WeightTable(bits, 1, commit(entries, blinds), tuple(widths), bias, row_bits)
    return Committed(table, entries, blinds)


def forge(
    committed: Committed,
    *,
    table: Table | None = None,
    work: Callable[[Table, np.ndarray], TableProver] = TableProver,
    channel: Callable[..., ProverChannel] = TracedChannel,
    randomness: Randomness | None = None,
) -> bytes:
    """Prove without looking, with parts that may cheat; ``table`` is claimed where it is another."""
    public = committed.table if table is None else table
    prover = work(public, committed.entries)
    known = {
        chunk_name(k): SecretRows(prover.rows(chunk), np.ascontiguousarray(committed.blinds[chunk.slice]))
        for k, chunk in enumerate(public.chunks)
    }
    ch = channel(Transcript(PROTOCOL), known, randomness or OSRandomness())
    run(ch, public, prover)
    return encode("lookup", public.digest(), ch.finished(), TABLE_FORM)


def reason(table: Table, proof: bytes) -> str | None:
    """Why the verifier rejects, or None when it accepts."""
    try:
        verify_table(table, proof)
    except ProofRejected as error:
        return str(error.reason)
    return None


@contextmanager
def chunks_of(variables: int) -> Iterator[None]:
    """Chunks of at most 2^variables leaves, however small, for prover and verifier."""
    with (
        patch("zkdl.protocol.table.CHUNK_VARS", variables),
        patch("zkdl.protocol.table._SMALL_VARS", 0),
    ):
        yield


class FieldEntries(TableProver):
    """Entries are Python integers modulo r; those that are no small integers are not counted."""

    def rows(self, chunk: Any) -> np.ndarray:
        part = self._entries[chunk.slice]
        out = np.zeros((chunk.rows, 1 << self._table.row_vars), dtype=object)
        out[:, : part.shape[1]] = part
        return out

    def limbs(self, chunk: Any) -> list[np.ndarray]:
        assert len(self._table.limb_widths) == 1
        out = (self._table.offset * self._table.mask(chunk)).astype(object)
        out[: chunk.rows] += self.rows(chunk)
        return [out]

    def _multiplicities(self) -> np.ndarray:
        limit = self._table.offset
        inside = (self._entries >= -limit) & (self._entries < limit)
        return TableProver(self._table, np.where(inside, self._entries, limit).astype(np.int64))._counts


class CarriedLimbs(TableProver):
    """Takes one unit from the second limb of the first entry and gives it to the first, which overflows."""

    def limbs(self, chunk: Any) -> list[np.ndarray]:
        out = super().limbs(chunk)
        out[0][0, 0] += 1 << self._table.limb_widths[0]
        out[1][0, 0] -= 1
        return out


class ClippedLimbs(TableProver):
    """Looks up the entries that should have been committed, all in range."""

    def limbs(self, chunk: Any) -> list[np.ndarray]:
        limit = self._table.offset
        clipped = TableProver.__new__(TableProver)
        clipped._table, clipped._entries = self._table, np.clip(self._entries, -limit, limit - 1)
        return clipped.limbs(chunk)


@contextmanager
def opening_what_was_committed() -> Iterator[None]:
    """A prover whose inner products are about the committed rows, whatever the trees left to be opened."""
    honest = table_argument._open

    def lying(ch: Any, openings: Any, work: Any) -> None:
        true = []
        for opening in openings:
            weights = za.multilinear.eq_table(opening.point)[: len(opening.vector.entries)]
            true.append(za.Fr.to_ints(za.Fr.inner(opening.vector.entries, weights))[0])
        send = ch.channel.scalars
        with patch.object(
            ch.channel,
            "scalars",
            lambda label, count, values=None: send(
                label, count, (lambda: true) if label == "opening/values" else values
            ),
        ):
            honest(ch, openings, work)

    with patch.object(table_argument, "_open", lying):
        yield


class OtherChunk(TableProver):
    """Looks up the first chunk again where another one is due."""

    def lookup_chunk(self, chunk: int, challenges: Any) -> None:
        super().lookup_chunk(0, challenges)

    def _multiplicities(self) -> np.ndarray:
        whole = self._table.chunks
        self._table.__dict__["chunks"] = (whole[0],) * len(whole)
        try:
            return super()._multiplicities()
        finally:
            self._table.__dict__["chunks"] = whole


class PaddingIgnored(TableProver):
    """Tells nobody what stands at padding."""

    def limbs(self, chunk: Any) -> list[np.ndarray]:
        mask = self._table.mask(chunk)
        return [limb * mask for limb in super().limbs(chunk)]
