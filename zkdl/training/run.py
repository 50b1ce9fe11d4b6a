"""`zkdl.train`: from arrays to a statement, a witness and a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.layout import choose_row_bits
from zkdl.protocol.settings import Settings
from zkdl.protocol.statement import POINT_BYTES, Statement
from zkdl.training.committed import CommittedData, CommittedWeights
from zkdl.training.finished import Run
from zkdl.training.fit import Plan, Progress, run_plan
from zkdl.training.resume import Handover, continued
from zkdl.training.starting import Records, from_committed, on_committed, records_of, settings_for
from zkdl.training.witness import Witness

__all__ = ["Run", "draft", "train"]

_DEFAULTS: dict[str, object] = {
    "hidden": (64, 64), "batch_size": 64, "learning_rate": "1/64", "seed": 1, "bias": True,
}  # fmt: skip


def train(
    X: object = None,
    y: object = None,
    *,
    hidden: Sequence[int] | None = None,
    steps: int = 8,
    batch_size: int | None = None,
    learning_rate: Fraction | str | int | float | None = None,
    seed: int | None = None,
    initial_seed: int | None = None,
    settings: Settings | None = None,
    bias: bool | None = None,
    classes: int | None = None,
    test: tuple[object, object] | None = None,
    resume: Run | None = None,
    data: CommittedData | None = None,
    initial: CommittedWeights | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a ReLU network exactly in fixed point, and commit to its data and final weights.

    With ``resume`` the run starts from the weights that another one ended at, and what is not given is as
    there: then ``hidden``, ``bias``, ``settings`` and ``initial_seed`` cannot be others. Its batches continue
    the sequence of that run, unless ``seed``, ``batch_size`` or the number of records name another one. The
    same records keep their commitment; `zkdl.verify_chain` verifies both proofs as one training.

    Args:
        X: (n, d) features; rounded to the nearest multiple of 2^-f, halves to even. With ``resume``, None for
            the same records.
        y: (n,) integer labels, trained as one-hot targets, or (n, k) real regression targets.
        hidden: Widths of the hidden layers, (64, 64) by default; ``()`` for a linear model.
        steps: T, mini-batch steps.
        batch_size: B <= n, 64 by default.
        learning_rate: eta, 1/64 by default; eta / B must be an integer over a power of two.
        seed: Names the batches; 1 by default.
        initial_seed: Names the initial weights; ``seed`` by default.
        settings: Fixed-point settings; `Settings.choose` (batch_size, learning_rate) by default.
        bias: Whether every layer has a bias; True by default.
        classes: Number of classes; one more than the largest label by default.
        test: Held-out ``(X, y)`` that is only looked at after the last step.
        resume: The run to continue, with its witness: what `train` returned or `Run.load` read.
        data: Records that were committed before (`zkdl.commit_data`), in place of X and y. Nothing is
            committed anew, and the proof of the run leaves their range proof to that of the records.
        initial: Weights that were committed before (`zkdl.commit_weights`), to start from; widths, biases and
            weight scale are theirs.
        progress: Called with a phase name and a fraction.

    Returns:
        The run: ``run.statement``, ``run.witness``, ``run.history``, ``run.save(directory)``.

    Raises:
        InputError: An argument is not acceptable; NaN, infinities and values out of range included.
        RangeOverflowError: A value leaves its fixed-point range; names step, layer and setting.
        WitnessError: Statement and witness of the run to resume do not belong together.

    *Privacy*: the statement hides data and weights (Pedersen commitments, blinded by the operating system's
    generator) but shows n, widths, seeds and settings. The witness and the history are private.

    Example:
        >>> import zkdl
        >>> run = zkdl.train([[0.0, 1.0], [1.0, 0.0]], [0, 1], hidden=(2,), steps=1, batch_size=2,
        ...                  learning_rate="1/4")
        >>> run.statement.widths, run.witness.positive[0].shape
        ((2, 2, 2), (1, 2, 2))
    """
    arguments: dict[str, Any] = {
        "hidden": hidden, "steps": steps, "batch_size": batch_size, "learning_rate": learning_rate,
        "seed": seed, "initial_seed": initial_seed, "settings": settings, "bias": bias, "classes": classes,
        "test": test,
    }  # fmt: skip
    handover = records = None
    if data is not None:
        X, y = on_committed(data, X, y, arguments)
    if resume is not None:
        if not isinstance(resume, Run):
            raise InputError(f"resume must be a zkdl.Run (see Run.load), got {type(resume).__name__}")
        if initial is not None:
            raise InputError("initial and resume both say where to start: give one of the two")
        plan, handover = continued(resume, X, y, arguments)
        if np.array_equal(plan.data, resume.witness.data):
            before = resume.statement
            records = Records(before.data_commitment, resume.witness.data_blinds, before.data_ranges)
    else:
        if X is None or y is None:
            raise InputError("X and y must be given, unless a run is resumed or records are committed (data)")
        plan, handover = _fresh(X, y, data, initial, arguments)
    if data is not None:
        records = records_of(data, plan)
    empty = draft(plan, handover, records)
    witness = Witness.empty(plan.data, plan.widths, plan.steps, plan.batch_size)
    if handover is not None:
        handover.give(witness)
    result = run_plan(plan, on_step=witness.record, progress=progress)
    witness.final_difference = _differences(result.weights, result.initial[0])
    witness.bias_difference = _differences(result.biases, result.initial[1])
    history = result.history
    # The float64 network and both states of the weights are not needed while committing.
    del result
    statement = _commit(empty, witness, records, progress)
    statement.validate()
    return Run(statement, witness, history)


def _fresh(
    X: object,
    y: object,
    data: CommittedData | None,
    initial: CommittedWeights | None,
    arguments: dict[str, Any],
) -> tuple[Plan, Handover | None]:
    """The plan of a run that continues no other."""
    if initial is not None and not isinstance(initial, CommittedWeights):
        raise InputError(
            f"initial must be zkdl.CommittedWeights (zkdl.commit_weights), got {type(initial).__name__}"
        )
    fixed = () if initial is None else ("hidden", "bias")
    for name, value in _DEFAULTS.items():
        if arguments[name] is None and name not in fixed:
            arguments[name] = value
    arguments["settings"] = settings_for(data, initial, arguments)
    if initial is not None:
        return from_committed(initial, X, y, arguments)
    return Plan.make(X, y, **arguments), None


def _differences(
    ends: Sequence[NDArray[np.int64]], starts: Sequence[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """ends - starts, in the memory of ``ends``."""
    return [np.subtract(end, start, out=end) for end, start in zip(ends, starts, strict=True)]


def draft(plan: Plan, handover: Handover | None = None, records: Records | None = None) -> Statement:
    """The statement that a plan leads to, its commitments still zeros; finds before training what is wrong.

    Raises:
        InputError: The statement would not be valid.
    """
    probe = _statement(plan, _row_bits(plan), b"", b"")
    if handover is not None:
        probe = handover.start(probe)
    if records is not None:
        probe = replace(probe, data_ranges=records.ranges)
    out = replace(
        probe,
        data_commitment=bytes(POINT_BYTES * len(plan.data)),
        final_commitment=bytes(POINT_BYTES * probe.weight_rows),
    )
    out.validate()
    return out


def _row_bits(plan: Plan) -> int:
    return choose_row_bits(plan.widths, plan.bias, plan.batch_size, plan.steps, plan.settings.limb_widths)


def _statement(plan: Plan, row_bits: int, data_commitment: bytes, final_commitment: bytes) -> Statement:
    return Statement(
        widths=plan.widths,
        bias=plan.bias,
        settings=plan.settings,
        batch_size=plan.batch_size,
        steps=plan.steps,
        learning_rate=plan.learning_rate,
        seed=plan.seed,
        initial_seed=plan.initial_seed,
        records=len(plan.data),
        row_bits=row_bits,
        data_commitment=data_commitment,
        final_commitment=final_commitment,
        first_step=plan.first_step,
    )


def _commit(
    empty: Statement, witness: Witness, records: Records | None, progress: Progress | None
) -> Statement:
    from zkdl import arithmetic as za
    from zkdl.training.commitments import commit_data, commit_final

    if progress is not None:
        progress("commit", 0.0)
    witness.final_blinds = np.ascontiguousarray(za.Fr.random(empty.weight_rows))
    if records is not None:
        data, witness.data_blinds = records.commitment, records.blinds
    else:
        witness.data_blinds = np.ascontiguousarray(za.Fr.random(empty.records))
        data = commit_data(witness.data, witness.data_blinds)
    if progress is not None:
        progress("commit", 0.5)
    final = commit_final(empty, witness)
    if progress is not None:
        progress("commit", 1.0)
    return replace(empty, data_commitment=data, final_commitment=final)
