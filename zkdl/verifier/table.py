"""The verifier of committed tables, and whether a table is the one that a statement speaks of."""

from __future__ import annotations

from dataclasses import dataclass

from zkdl.errors import InputError, ProofRejected, Reason
from zkdl.protocol.chain import InitialEvidence
from zkdl.protocol.channel import MESSAGE_WIDTH, POINT_BYTES, Section
from zkdl.protocol.commitment import blind_base, row_bases, value_base
from zkdl.protocol.proof import MAX_PROOF_BYTES, TABLE_FORM, Proof, decode
from zkdl.protocol.statement import Statement
from zkdl.protocol.table import Table
from zkdl.protocol.table_argument import PROTOCOL, chunk_name, run
from zkdl.protocol.table_kinds import DataTable, WeightTable
from zkdl.protocol.transcript import Transcript
from zkdl.verifier.channel import RowsForm, VerifierChannel
from zkdl.verifier.decode import read_points
from zkdl.verifier.equations import Equations

__all__ = ["CheckedTable", "TableEvidence", "check_data", "checked", "initial_evidence", "verify_table"]


def verify_table(table: Table, proof: Proof | bytes) -> None:
    """Check a proof that the integers behind a committed table are in range, and its padding zero.

    The stages are those of `zkdl.verify`: the table is acceptable; the file is well formed and names it; the
    points decode; the schedule is walked; all equations are checked at once.

    Args:
        table: the public side, a `DataTable` or `WeightTable`.
        proof: a `Proof` or its bytes.

    Raises:
        ProofRejected: with a `Reason`, for everything that is wrong with either input.

    Example:
        >>> import zkdl
        >>> data = zkdl.commit_data([[0.0, 1.0], [1.0, 0.0]], [0, 1], activation_scale=4, activation_bits=8)
        >>> zkdl.verify_table(data.table, data.proof)
    """
    data = bytes(proof)
    if len(data) > MAX_PROOF_BYTES:
        raise ProofRejected(Reason.LENGTH, f"{len(data)} bytes, a proof has at most {MAX_PROOF_BYTES}")
    try:
        table.validate()
    except InputError as error:
        raise ProofRejected(Reason.BAD_STATEMENT, f"{table.kind}: {error}") from None
    envelope = decode(data, TABLE_FORM)
    if envelope.statement_digest != table.digest():
        raise ProofRejected(
            Reason.STATEMENT_MISMATCH,
            f"the proof is about table {envelope.statement_digest.hex()[:16]}..., "
            f"this one is {table.digest().hex()[:16]}...",
        )
    _check_size(table, envelope.sections)
    points = read_points(table.commitment, f"{table.kind} commitment")
    width = max(1 << table.row_vars, 1 << table.lookup.row_bits, MESSAGE_WIDTH)
    equations = Equations(value_base(), blind_base(), row_bases(width))
    first = equations.add_points(points)
    known = {chunk_name(k): RowsForm(first + chunk.first, chunk.rows) for k, chunk in enumerate(table.chunks)}
    channel = VerifierChannel(Transcript(PROTOCOL), envelope.sections, equations, known)
    run(channel, table, None)
    channel.end_section()
    equations.check(channel.challenge("equations"))


def _check_size(table: Table, sections: dict[Section, bytes]) -> None:
    """Refuse a short file for a huge table before anything is decoded."""
    limbs = (len(table.limb_widths) - 1) * table.rows + len(table.lookup.live_rows)
    found = len(sections[Section.COMMITMENTS])
    if found != limbs * POINT_BYTES:
        raise ProofRejected(
            Reason.LENGTH,
            f"section {Section.COMMITMENTS} has {found} bytes, the table implies {limbs * POINT_BYTES}",
        )


@dataclass(frozen=True)
class CheckedTable:
    """A table whose proof was accepted; make one with `checked` only."""

    table: Table


TableEvidence = tuple[Table, Proof | bytes] | CheckedTable
"""A table with its proof, or one whose proof was accepted before."""


def checked(evidence: TableEvidence) -> CheckedTable:
    """Verify a table once, for many statements.

    Raises:
        ProofRejected: as `verify_table`.
    """
    if isinstance(evidence, CheckedTable):
        return evidence
    table = _table(evidence)
    verify_table(table, evidence[1])
    return CheckedTable(table)


def _table(evidence: TableEvidence) -> Table:
    if isinstance(evidence, CheckedTable):
        return evidence.table
    if not isinstance(evidence, tuple) or len(evidence) != 2 or not isinstance(evidence[0], Table):
        raise InputError(f"data and initial must be (table, proof), got {type(evidence).__name__}")
    return evidence[0]


def check_data(statement: Statement, evidence: TableEvidence | None) -> None:
    """Check that the records of ``statement`` are shown to be in range, here or in its own proof.

    Args:
        statement: Acceptable (see `Statement.validate`).
        evidence: The committed records and their proof.

    Raises:
        ProofRejected: Reason ``data``: there is no evidence and the statement needs some, or it is about
            other records; or as `verify_table`.
    """
    if evidence is None:
        if statement.data_ranges == "separate":
            raise ProofRejected(
                Reason.DATA,
                "the statement leaves it to another proof that its records are in range: verify it together "
                "with the committed data (data.json and data.zkdl) that it was trained on",
            )
        return
    table, settings = _table(evidence), statement.settings
    if not isinstance(table, DataTable):
        raise ProofRejected(Reason.DATA, f"expected a table of data, got one of {table.kind}")
    for name, expected, found in (
        ("features", statement.widths[0], table.features),
        ("outputs", statement.widths[-1], table.outputs),
        ("activation_bits", settings.activation_bits, table.bits),
        ("activation_scale", settings.activation_scale, table.scale),
        ("records", statement.records, table.rows),
    ):
        if expected != found:
            raise _differ(Reason.DATA, name, expected, found)
    if statement.data_commitment != table.commitment:
        raise ProofRejected(Reason.DATA, "the table commits to other records than the statement")
    checked(evidence)


def initial_evidence(
    statement: Statement, evidence: InitialEvidence | TableEvidence | None
) -> InitialEvidence | None:
    """What a table says of the weights that ``statement`` starts from; other evidence as it is.

    Raises:
        ProofRejected: Reason ``initial``: it is no table of weights, the statement adds a seed's weights to
            them, or their scales differ; or as `verify_table`.
    """
    if evidence is None or isinstance(evidence, InitialEvidence):
        return evidence
    table = _table(evidence)
    if not isinstance(table, WeightTable):
        raise ProofRejected(Reason.INITIAL, f"expected a table of weights, got one of {table.kind}")
    if statement.initial_seed is not None:
        raise _differ(Reason.INITIAL, "initial_seed", statement.initial_seed, None)
    if statement.settings.weight_scale != table.scale:
        raise _differ(Reason.INITIAL, "weight_scale", statement.settings.weight_scale, table.scale)
    checked(evidence)
    return InitialEvidence(table.commitment, table.offset, table.widths, table.bias, table.row_bits)


def _differ(reason: Reason, name: str, expected: object, found: object) -> ProofRejected:
    return ProofRejected(reason, f"the statement has {name} {expected}, the committed table {found}")
