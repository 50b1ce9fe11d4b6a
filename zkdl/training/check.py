"""Does a witness fulfil a statement? Recomputed from scratch, before anything is proved."""

from __future__ import annotations

from zkdl.errors import InputError
from zkdl.protocol.instance import Instance
from zkdl.protocol.statement import Statement
from zkdl.training.commitments import check_commitments
from zkdl.training.relation import check_relation
from zkdl.training.witness import Witness

__all__ = ["check_witness"]


def check_witness(
    statement: Statement, witness: Witness, *, commitments: bool = True, instance: Instance | None = None
) -> None:
    """Recompute the whole relation from the data and refuse a witness that differs anywhere.

    Args:
        statement: What is claimed.
        witness: What is said to fulfil it.
        commitments: Whether to open the commitments of the statement too.
        instance: Of this statement, where the caller goes on to use it: what is derived from the statement
            and large, the initial weights, is then drawn once.

    Raises:
        InputError: The statement is not valid, or the arguments are no statement and witness.
        WitnessError: The first violated rule, with its step and layer.
    """
    if not isinstance(statement, Statement):
        raise InputError(f"statement must be a zkdl.Statement, got {type(statement).__name__}")
    if not isinstance(witness, Witness):
        raise InputError(f"witness must be a Witness, got {type(witness).__name__}")
    statement.validate()
    if instance is None:
        instance = Instance(statement)
    elif instance.statement is not statement:
        raise InputError("instance must be of the statement that is checked, got another's")
    check_relation(instance, witness)
    if commitments:
        check_commitments(statement, witness)
