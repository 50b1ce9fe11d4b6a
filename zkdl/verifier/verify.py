"""The verifier: statement and proof bytes in, nothing or a typed rejection out."""

from __future__ import annotations

import numpy as np

from zkdl.errors import InputError, ProofRejected, Reason
from zkdl.protocol.chain import InitialEvidence, check_initial
from zkdl.protocol.channel import MESSAGE_WIDTH, Section
from zkdl.protocol.commitment import blind_base, row_bases, value_base
from zkdl.protocol.instance import Instance
from zkdl.protocol.model_file import Model
from zkdl.protocol.proof import MAX_PROOF_BYTES, Proof, decode
from zkdl.protocol.schedule import PROTOCOL, run
from zkdl.protocol.statement import POINT_BYTES, Statement
from zkdl.protocol.transcript import Transcript
from zkdl.verifier.channel import RowsForm, VerifierChannel
from zkdl.verifier.decode import read_points
from zkdl.verifier.equations import Equations
from zkdl.verifier.model import check_model
from zkdl.verifier.table import TableEvidence, check_data, initial_evidence


def verify(
    statement: Statement,
    proof: Proof | bytes,
    weights: Model | None = None,
    *,
    initial: InitialEvidence | TableEvidence | None = None,
    data: TableEvidence | None = None,
) -> None:
    """Check a proof that the training run described by ``statement`` was computed exactly.

    1. The statement is acceptable: fields in range, no integer of the relation can wrap modulo r.
    2. The file is well formed and names this statement.
    3. Points of the statement decode: the records that some batch uses, the final difference, what is
       committed of the initial weights.
    4. The schedule is walked: messages decoded canonically, challenges drawn again, equations
       collected.
    5. All equations are checked with one multi-scalar multiplication.
    6. Weights, if given, are checked against the commitments to them.

    A statement that starts from committed weights is only as good as what shows what those are: without
    ``initial`` it is refused before anything else is looked at. See `verify_chain` for runs in a row. The
    same holds for records whose range proof is separate, without ``data``.

    Args:
        statement: the public statement.
        proof: a `Proof` or its bytes.
        weights: if given, a model that must be the one that was proved, see `zkdl.export`.
        initial: what was checked of the statement's ``initial_commitment``, from elsewhere; or the committed
            weights that the run starts from, (table, proof).
        data: the committed records that the run trains on, (table, proof); it is verified too.

    Raises:
        ProofRejected: with a `Reason`, for everything that is wrong with either input.
    """
    sent = bytes(proof)
    if len(sent) > MAX_PROOF_BYTES:
        raise ProofRejected(Reason.LENGTH, f"{len(sent)} bytes, a proof has at most {MAX_PROOF_BYTES}")
    try:
        statement.validate()
    except InputError as error:
        raise ProofRejected(Reason.BAD_STATEMENT, str(error)) from None
    check_initial(statement, initial_evidence(statement, initial))
    check_data(statement, data)

    envelope = decode(sent)
    if envelope.statement_digest != statement.digest():
        raise ProofRejected(
            Reason.STATEMENT_MISMATCH,
            f"the proof is about statement {envelope.statement_digest.hex()[:16]}..., "
            f"this one is {statement.digest().hex()[:16]}...",
        )

    instance = Instance(statement, envelope.ranges)  # type: ignore[arg-type]
    _check_size(instance, len(envelope.sections[Section.COMMITMENTS]))
    equations = Equations(value_base(), blind_base(), row_bases(max(1 << statement.row_bits, MESSAGE_WIDTH)))
    encoded = np.frombuffer(statement.data_commitment, dtype=np.uint8).reshape(-1, POINT_BYTES)
    used = encoded[instance.used_records].tobytes()
    known = {}
    encodings = {
        "data": used,
        "final": statement.final_commitment,
        "initial": statement.initial_commitment,
    }
    for name in instance.known:
        points = read_points(encodings[name], f"statement {name} commitment")
        known[name] = RowsForm(equations.add_points(points), len(points))

    channel = VerifierChannel(Transcript(PROTOCOL), envelope.sections, equations, known)
    run(channel, instance, None)
    channel.end_section()
    equations.check(channel.challenge("equations"))
    if weights is not None:
        check_model(statement, weights)


def _check_size(instance: Instance, length: int) -> None:
    """Refuse a short file for a huge statement before anything is laid out in memory."""
    row_bits = instance.statement.row_bits
    live = sum(block.live for block in instance.cells.blocks)
    if (live >> row_bits) * POINT_BYTES > length:
        raise ProofRejected(
            Reason.LENGTH,
            f"section {Section.COMMITMENTS} has {length} bytes, "
            f"the statement implies at least {(live >> row_bits) * POINT_BYTES}",
        )
