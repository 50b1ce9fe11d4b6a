"""Continuing a run: what the next one takes over from it, and what it may not change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.statement import Statement
from zkdl.training.finished import Run
from zkdl.training.fit import Plan
from zkdl.training.relation import check_shapes
from zkdl.training.witness import Witness

__all__ = ["Handover", "continued"]

Ints = NDArray[np.int64]
State = tuple[list[Ints], list[Ints]]


@dataclass(frozen=True)
class Handover:
    """What a run starts from besides a plan.

    Attributes:
        added: W and b after the run before, minus the public base; or committed weights.
        blinds: Blinding factors of the commitment to those.
        commitment: That commitment: the sum of the two of the run before.
        limit: Bound on the magnitude of every entry of it.
        row_bits: Of the rows that are committed; commitments of other rows could not be added.
    """

    added: State
    blinds: NDArray[np.uint64]
    commitment: bytes
    limit: int
    row_bits: int

    def start(self, statement: Statement) -> Statement:
        """``statement`` with the initial weights that are handed over."""
        return replace(
            statement,
            row_bits=self.row_bits,
            initial_commitment=self.commitment,
            initial_limit=self.limit,
        )

    def give(self, witness: Witness) -> None:
        """Put the opening of the initial weights into ``witness``."""
        witness.initial_difference, witness.initial_bias_difference = self.added
        witness.initial_blinds = self.blinds


def continued(run: Run, X: object, y: object, arguments: dict[str, Any]) -> tuple[Plan, Handover]:
    """The plan of a run that starts where ``run`` ended, and what it takes over.

    Args:
        run: The run before, with its witness.
        X, y: Other records, or None for the same.
        arguments: Of `zkdl.train`; None stands for what the run before has.

    Raises:
        InputError: An argument contradicts the run before.
        WitnessError: Statement and witness of the run before do not belong together.
    """
    from zkdl.training.commitments import check_commitments

    before, witness = run.statement, run.witness
    before.validate()
    check_shapes(before, witness)
    check_commitments(before, witness)
    _check_same(before, arguments)
    kept: dict[str, Any] = {
        "batch_size": before.batch_size,
        "learning_rate": Fraction(before.learning_rate),
        "seed": before.seed,
    }
    given = {name: kept[name] if arguments[name] is None else arguments[name] for name in kept}
    classes = arguments["classes"]
    if X is None and y is None:
        X, y, classes = _records(run, classes)
    plan = Plan.make(
        X,
        y,
        hidden=before.widths[1:-1],
        bias=before.bias,
        settings=before.settings,
        initial_seed=None,
        classes=before.widths[-1] if classes is None and np.ndim(y) == 1 else classes,  # type: ignore[arg-type]
        steps=arguments["steps"],
        test=arguments["test"],
        **given,
    )
    if plan.widths != before.widths:
        raise InputError(
            f"X and y have {plan.widths[0]} features and {plan.widths[-1]} outputs, the run that is resumed "
            f"has {before.widths[0]} and {before.widths[-1]}"
        )
    handover = _handover(before, witness)
    # The sequence of batches goes on where it is the same one, and starts where it is another.
    same = (plan.seed, len(plan.data), plan.batch_size) == (before.seed, before.records, before.batch_size)
    first_step = before.first_step + before.steps if same else 0
    plan = replace(plan, initial_seed=before.initial_seed, first_step=first_step, added=handover.added)
    return plan, handover


def _check_same(before: Statement, arguments: dict[str, Any]) -> None:
    """Refuse what a run cannot change of the one before, where it is given and differs."""
    fixed = {
        "hidden": before.widths[1:-1],
        "bias": before.bias,
        "settings": before.settings,
        "initial_seed": before.initial_seed,
    }
    for name, value in fixed.items():
        given = arguments[name]
        if given is None:
            continue
        if (tuple(given) if name == "hidden" else given) != value:
            raise InputError(
                f"{name} must be that of the run that is resumed, {value!r}, got {given!r}; leave it out"
            )


def _records(run: Run, classes: int | None) -> tuple[object, object, int | None]:
    """The committed records as arguments of `zkdl.train`; exact, since they are multiples of 2^-f."""
    statement = run.statement
    scale = 2.0**statement.settings.activation_scale
    features = run.witness.data[:, : statement.widths[0]] / scale
    targets = run.witness.data[:, statement.widths[0] :] / scale
    if run.history.accuracy:
        return features, np.argmax(targets, axis=1), targets.shape[1]
    return features, targets, classes


def _handover(before: Statement, witness: Witness) -> Handover:
    from zkdl import arithmetic as za
    from zkdl.protocol.chain import hand_on

    evidence = hand_on(before)
    weights, biases = witness.final_difference, witness.bias_difference
    blinds = witness.final_blinds
    if witness.added is not None:
        weights = [a + b for a, b in zip(weights, witness.added[0], strict=True)]
        biases = [a + b for a, b in zip(biases, witness.added[1], strict=True)]
        blinds = za.Fr.add(blinds, witness.initial_blinds)
    return Handover(
        (weights, biases),
        np.ascontiguousarray(blinds),
        evidence.commitment,
        evidence.limit,
        before.row_bits,
    )
