"""The prover of committed tables: limbs, multiplicities, one chunk of trees at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import InputError, WitnessError
from zkdl.protocol.commitment import rows_open
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.proof import TABLE_FORM, Proof, encode
from zkdl.protocol.table import Chunk, Table
from zkdl.protocol.table_argument import PROTOCOL, TABLE, chunk_name, limb_name, run
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.prover.channel import SecretRows
from zkdl.prover.leaves import IntegerLeaves, Segment, denominators
from zkdl.prover.lookup import FractionTrees, Leaves, TreeWork, table_denominators
from zkdl.prover.prove import TimedChannel
from zkdl.prover.randomness import OSRandomness, Randomness
from zkdl.prover.rounds import ProductRounds, product_rounds
from zkdl.training.fit import Progress

__all__ = ["TableProver", "prove_table"]

Array = NDArray[np.uint64]
Integers = NDArray[np.int64]

# With shorter stretches of padding than 2^11 leaves on average, leaves are made field elements at once.
_STRETCH_VARS = 11


class TableProver(TreeWork):
    """Implements `zkdl.protocol.table_argument.TableWork` for integers in rows.

    Args:
        table: the public side.
        entries: (rows, at most 2^row_vars) integers; columns that are missing are zero.
    """

    def __init__(self, table: Table, entries: Integers) -> None:
        self._table = table
        self._entries = entries
        self._counts = self._multiplicities()

    def rows(self, chunk: Chunk) -> Integers:
        """The rows of a chunk, every column present."""
        part = self._entries[chunk.slice]
        out = np.zeros((chunk.rows, 1 << self._table.row_vars), dtype=np.int64)
        out[:, : part.shape[1]] = part
        return out

    def limbs(self, chunk: Chunk) -> list[Integers]:
        """Every limb of a padded chunk, (2^(variables of its rows), 2^row_vars) each."""
        table = self._table
        mask = table.mask(chunk)
        rest = table.offset * mask
        rest[: chunk.rows] += self.rows(chunk)
        out = []
        for width in table.limb_widths[:-1]:
            out.append(rest & ((1 << width) - 1))
            rest = rest >> width
        # The last limb takes whatever is left, so that an entry out of range shows.
        return [*out, rest]

    def limb_rows(self, chunk: int, limb: int) -> NDArray[np.integer]:
        piece = self._table.chunks[chunk]
        return np.ascontiguousarray(self.limbs(piece)[limb][: piece.rows])

    def multiplicity_rows(self) -> NDArray[np.integer]:
        return self._table.lookup.rows(self._counts)

    def _multiplicities(self) -> Integers:
        """How often every table entry occurs among covered limbs; values out of range do not count."""
        stack = self._table.lookup
        out = np.zeros(1 << stack.num_vars, dtype=np.int64)
        for chunk in self._table.chunks:
            real = self._table.covered(chunk) != 0
            for width, limb in zip(self._table.limb_widths, self.limbs(chunk), strict=True):
                block = stack.block(("range", width))
                values = limb[real]
                inside = values[(values >= 0) & (values < block.size)]
                out[block.offset : block.offset + block.size] += np.bincount(inside, minlength=block.size)
        return out

    def lookup_chunk(self, chunk: int, challenges: LookupChallenges) -> None:
        piece = self._table.chunks[chunk]
        self._trees = None  # the last chunk goes before the next one comes
        covered = self._table.flat(self._table.covered(piece))
        starts = [0, *(np.flatnonzero(np.diff(covered)) + 1).tolist()]
        leaves: dict[str, Leaves] = {}
        for k, limb in enumerate(self.limbs(piece)):
            values = self._table.flat(limb)
            tag = challenges.beta * self._table.limb_widths[k] % R
            if len(starts) <= max(2, len(values) >> _STRETCH_VARS):
                segments = [
                    Segment(start, (challenges.alpha - tag * int(covered[start])) % R, 1) for start in starts
                ]
                leaves[limb_name(k)] = IntegerLeaves(values, segments)
            else:
                q = denominators(values, challenges.alpha)
                q = za.sumcheck.add_multiple(q, za.Fr.from_int64(covered), -tag % R)
                leaves[limb_name(k)] = (np.ones_like(covered), q)
        self._trees = FractionTrees(leaves)

    def lookup_table(self, challenges: LookupChallenges) -> None:
        self._trees = FractionTrees(
            {TABLE: (self._counts, table_denominators(self._table.lookup, challenges))}
        )

    def product_rounds(self, left: Sequence[int], right: Sequence[int]) -> ProductRounds:
        return product_rounds(left, right)


def prove_table(
    table: Table,
    entries: Integers,
    blinds: Array,
    *,
    check: bool = True,
    progress: Progress | None = None,
    randomness: Randomness | None = None,
) -> Proof:
    """Prove that every entry of a committed table is in its range and its padding zero.

    Args:
        table: the public side.
        entries: (rows, at most 2^row_vars) integers.
        blinds: (rows, 4) field elements, the blinding of the row commitments.
        check: refuse integers that are out of range or do not open the commitment. Without it the prover
            goes through the motions: for tests of the verifier.
        progress: called with the name of the phase and the fraction done.
        randomness: source of blinding; the operating system's by default.

    Returns:
        The proof, with ``phases``: seconds by phase.

    Raises:
        InputError: a table that is not acceptable, or entries of another shape.
        WitnessError: the integers do not fit the table.

    *Transcript*: see `zkdl.protocol.table_argument.run`.
    """
    start = time.perf_counter()
    table.validate()
    if progress is not None:
        progress("check", 0.0)
    shape = (table.rows, 1 << table.row_vars)
    if entries.ndim != 2 or len(entries) != shape[0] or entries.shape[1] > shape[1]:
        raise InputError(f"entries must have shape {shape}, got {entries.shape}")
    if blinds.shape != (table.rows, 4):
        raise InputError(f"blinds must have shape ({table.rows}, 4), got {blinds.shape}")
    work = TableProver(table, entries)
    if check:
        _check(table, work, entries, blinds)
    known = {
        chunk_name(k): SecretRows(work.rows(chunk), np.ascontiguousarray(blinds[chunk.slice]))
        for k, chunk in enumerate(table.chunks)
    }
    channel = TimedChannel(Transcript(PROTOCOL), known, randomness or OSRandomness(), progress=progress)
    run(channel, table, work)
    marks = [("check", start), *channel.starts, ("end", time.perf_counter())]
    phases = {name: later - at for (name, at), (_, later) in itertools.pairwise(marks)}
    return Proof(encode("lookup", table.digest(), channel.finished(), TABLE_FORM), phases)


def _check(table: Table, work: TableProver, entries: Integers, blinds: Array) -> None:
    for chunk in table.chunks:
        rows = work.rows(chunk)
        if rows[table.mask(chunk)[: chunk.rows] == 0].any():
            raise WitnessError(f"{table.kind}: padding must be zero", relation=f"{table.kind} range")
        out = (rows < -table.offset) | (rows >= table.offset)
        if out.any():
            row, column = np.argwhere(out)[0].tolist()
            raise WitnessError(
                f"{table.kind}: entry {rows[row, column]} in row {chunk.first + row}, column {column} "
                f"is not in [-2^{table.bits - 1}, 2^{table.bits - 1})",
                relation=f"{table.kind} range",
            )
    try:
        opens = rows_open(table.commitment, entries, blinds)
    except za.DecodeError as error:
        raise WitnessError(
            f"{table.kind} commitment: cannot be decoded ({error})", relation=f"{table.kind} commitment"
        ) from None
    if not opens:
        raise WitnessError(
            f"{table.kind} commitment: these integers and blinds do not open it, another table's do",
            relation=f"{table.kind} commitment",
        )
