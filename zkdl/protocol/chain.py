"""Handing weights on: from the statement of one run to that of the run that continues it.

A statement with an ``initial_commitment`` takes two things for granted: that the commitment opens to integers
of at most ``initial_limit``, and that these are the weights that somebody meant. `InitialEvidence` is what
vouches for both. It comes from a verified proof of the run before (`hand_on`): commitments are homomorphic,
so the state after that run is committed to by the sum of its initial and its final commitment, and the
integers of the sum are bounded by its limit plus the static bound on what its steps can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected, Reason
from zkdl.protocol import bounds
from zkdl.protocol.statement import Statement

__all__ = ["InitialEvidence", "Link", "check_initial", "check_link", "final_state", "hand_on", "link"]

# What runs of one chain have in common; everything else may change from run to run.
_SAME = ("widths", "bias", "settings", "row_bits", "backend", "loss", "initial_seed")


@dataclass(frozen=True)
class InitialEvidence:
    """What is known of a commitment to (part of) a state of the weights, because it was checked.

    Make one only from something that was verified. It says: each of the points opens to a row of
    `zkdl.protocol.layout.weight_stack` (widths, bias, row_bits) whose entries at the places of real weights
    are integers of magnitude at most ``limit``. Padding may hold anything: proofs do not count it.

    Args:
        commitment: One 48-byte point per row.
        limit: Bound on the magnitude of every weight in it.
        widths, bias, row_bits: Of the layout.
    """

    commitment: bytes
    limit: int
    widths: tuple[int, ...]
    bias: bool
    row_bits: int


@dataclass(frozen=True)
class Link:
    """How a run relates to the one before, where the rules leave a choice.

    Attributes:
        data: ``"same"`` when both name the same committed records, else ``"other"``.
        batches: ``"continue"``: the same sequence of batches goes on where it stopped; ``"jump"``: the same
            sequence, from another place, so that batches are left out or come again; ``"other"``: another
            sequence (of another seed, number of records or batch size).
    """

    data: Literal["same", "other"]
    batches: Literal["continue", "jump", "other"]


def final_state(statement: Statement) -> bytes:
    """Commitments to the weights after the last step minus the public base: initial plus final, row by row.

    Raises:
        DecodeError: A commitment holds something else than points of the group.
    """
    if not statement.initial_commitment:
        return statement.final_commitment
    initial, final = (
        za.g1.from_bytes(part) for part in (statement.initial_commitment, statement.final_commitment)
    )
    return b"".join(za.g1.to_bytes(za.g1.add(initial, final)))


def change_bound(statement: Statement) -> int:
    """Static bound on the magnitude of every entry of W_T - W_0."""
    s = statement
    return max(bounds.change_bounds(s.widths, s.settings, s.batch_size, s.steps, s.mu))


def hand_on(statement: Statement) -> InitialEvidence:
    """The evidence that a verified proof of ``statement`` gives to the run that continues it.

    Args:
        statement: Of a proof that was accepted, its own initial commitment included.
    """
    limit = statement.initial_limit + change_bound(statement)
    return InitialEvidence(
        final_state(statement), limit, statement.widths, statement.bias, statement.row_bits
    )


def check_initial(statement: Statement, evidence: InitialEvidence | None) -> None:
    """Check that what a statement takes for granted of its initial weights is what the evidence says.

    Raises:
        ProofRejected: Reason ``initial``: there is no evidence, or it is of another commitment or layout, or
            vouches for a larger limit only.
    """
    if not statement.initial_commitment:
        if evidence is not None:
            raise _no("it starts from its seed alone, not from committed weights")
        return
    if evidence is None:
        raise _no(
            "the statement starts from committed weights, and nothing here shows what they are: verify it "
            "together with the statement and proof of the run that it continues, or with the committed "
            "weights (weights.json and weights.zkdl) that it starts from"
        )
    if (evidence.widths, evidence.bias, evidence.row_bits) != (
        statement.widths,
        statement.bias,
        statement.row_bits,
    ):
        raise _no("the weights that were handed on have another layout: widths, bias or row_bits differ")
    if statement.initial_commitment != evidence.commitment:
        raise _no("initial_commitment is not the one that was handed on")
    if statement.initial_limit < evidence.limit:
        raise _no(
            f"initial_limit must be at least {evidence.limit}, the limit that was handed on, "
            f"got {statement.initial_limit}"
        )


def check_link(before: Statement, statement: Statement) -> InitialEvidence:
    """Check that a statement continues the one before: same network, same settings, its last state.

    Args:
        before: Of a proof that was accepted.
        statement: Of the run that is said to continue it.

    Returns:
        What the run before hands on.

    Raises:
        ProofRejected: Reason ``chain``, naming the field that does not fit.
    """
    for name in _SAME:
        if getattr(before, name) != getattr(statement, name):
            raise ProofRejected(
                Reason.CHAIN,
                f"{name} must be that of the run before, {getattr(before, name)!r}, "
                f"got {getattr(statement, name)!r}",
            )
    evidence = hand_on(before)
    try:
        check_initial(statement, evidence)
    except ProofRejected as error:
        raise ProofRejected(
            Reason.CHAIN, f"does not start where the run before ended: {error.detail}"
        ) from None
    return evidence


def link(before: Statement, statement: Statement) -> Link:
    """What two statements in a row say of data and batches; nothing is judged."""
    data: Literal["same", "other"] = (
        "same" if before.data_commitment == statement.data_commitment else "other"
    )
    sequences = [(s.seed, s.records, s.batch_size) for s in (before, statement)]
    if sequences[0] != sequences[1]:
        return Link(data, "other")
    return Link(data, "continue" if statement.first_step == before.first_step + before.steps else "jump")


def _no(message: str) -> ProofRejected:
    return ProofRejected(Reason.INITIAL, message)
