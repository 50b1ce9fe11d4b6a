"""Verifying runs that continue one another: every proof, and every hand-over between them."""

from __future__ import annotations

from collections.abc import Sequence

from zkdl.errors import InputError, ProofRejected, Reason
from zkdl.protocol.chain import InitialEvidence, Link, check_link, link
from zkdl.protocol.model_file import Model
from zkdl.protocol.proof import Proof
from zkdl.protocol.statement import Statement
from zkdl.verifier.model import check_model
from zkdl.verifier.table import CheckedTable, TableEvidence, checked
from zkdl.verifier.verify import verify

__all__ = ["verify_chain"]

Runs = Sequence[tuple[Statement, Proof | bytes]]


def verify_chain(
    runs: Runs,
    weights: Model | None = None,
    *,
    initial: InitialEvidence | TableEvidence | None = None,
    data: Sequence[TableEvidence] = (),
) -> list[Link]:
    """Check that each run was computed exactly, and starts from the weights that the one before ended at.

    Together the runs then are one run from the first initial weights to the last final ones, in the order
    given. Settings, widths and the seed of the initial weights are common to all; steps, batch size, learning
    rate, seed of the batches and data may change from run to run: read them in the statements, and see the
    links that are returned.

    Args:
        runs: (statement, proof) pairs, first run first; at least one.
        weights: if given, a model that must be the one after the last run.
        initial: what was checked, elsewhere, of an ``initial_commitment`` of the *first* statement; or the
            committed weights that it starts from, (table, proof).
        data: committed records, a (table, proof) for each data set whose range proof is separate; each is
            verified once.

    Returns:
        One `Link` per hand-over: whether data and sequence of batches stay the same.

    Raises:
        ProofRejected: as `verify`, or with reason ``chain``; ``position`` counts the run from 0.
        InputError: there is no run.

    Example:
        >>> import zkdl
        >>> first = zkdl.train([[0.0, 1.0], [1.0, 0.0]], [0, 1], hidden=(2,), steps=1, batch_size=2,
        ...                    learning_rate="1/4")
        >>> second = zkdl.train(resume=first, steps=2)
        >>> pairs = [(run.statement, zkdl.prove(run.statement, run.witness)) for run in (first, second)]
        >>> zkdl.verify_chain(pairs)
        [Link(data='same', batches='continue')]
    """
    if not runs:
        raise InputError("runs must hold at least one (statement, proof) pair")
    links: list[Link] = []
    tables = [checked(table) for table in data]
    evidence: InitialEvidence | TableEvidence | None = initial
    for position, (statement, proof) in enumerate(runs):
        try:
            if position:
                before = runs[position - 1][0]
                evidence = check_link(before, statement)
                links.append(link(before, statement))
            verify(statement, proof, initial=evidence, data=_table(runs, position, tables))
        except ProofRejected as error:
            error.position = position
            raise
    _check_all_used(runs, tables)
    if weights is not None:
        check_model(runs[-1][0], weights)
    return links


def _table(runs: Runs, position: int, tables: Sequence[CheckedTable]) -> CheckedTable | None:
    """The table of the records of one run; where a table is needed and none fits, one that does not."""
    statement = runs[position][0]
    mine = [known for known in tables if known.table.commitment == statement.data_commitment]
    needed = statement.data_ranges == "separate" or len(runs) == 1
    return next(iter(mine or (tables if needed else ())), None)


def _check_all_used(runs: Runs, tables: Sequence[CheckedTable]) -> None:
    used = {statement.data_commitment for statement, _ in runs}
    for known in tables:
        if known.table.commitment not in used:
            raise ProofRejected(
                Reason.DATA, f"no run was trained on the committed data with {known.table.rows} records"
            )
