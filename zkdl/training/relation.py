"""The relation, checked: a witness is right exactly when recomputing it from the data gives it again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import RangeOverflowError, WitnessError
from zkdl.protocol.instance import Instance
from zkdl.protocol.statement import POINT_BYTES, Statement
from zkdl.training.fast import FastTrainer
from zkdl.training.trainer import StepTensors, Trainer
from zkdl.training.witness import Witness

__all__ = ["check_relation", "check_shapes"]

State = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]


def check_relation(instance: Instance, witness: Witness) -> None:
    """Check every equation and range of the integer relation, in the order of computation.

    Rescaling rounds in one way only and two's complement has one form per value, so the data, the seeds
    and the settings fix every cell: comparing with a fresh run is checking the equations, and the first
    difference is the first violation.

    Args:
        instance: Of a valid statement.
        witness: Its arrays may hold anything.

    Raises:
        WitnessError: The first violated rule, with its step and layer.
    """
    statement = instance.statement
    check_shapes(statement, witness)
    settings = statement.settings
    limit = settings.activation_limit
    bad = (witness.data < -limit) | (witness.data >= limit)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise WitnessError(
            f"data range: record {row}, column {column} holds {int(witness.data[row, column])}, expected "
            f"[-{limit}, {limit})",
            relation="data range",
        )
    _check_initial(statement, witness)
    initial = instance.base
    if witness.added is not None:
        weights, biases = witness.added
        initial = (
            [base + more for base, more in zip(initial[0], weights, strict=True)],
            [base + more for base, more in zip(initial[1], biases, strict=True)],
        )
    trainer = FastTrainer(
        statement.widths, statement.bias, settings, statement.mu, initial_seed=None, added=initial
    )
    features = statement.widths[0]
    for step, batch in enumerate(instance.batch_records):
        rows = witness.data[batch]
        try:
            honest = trainer.step(rows[:, :features], rows[:, features:])
        except RangeOverflowError as error:
            raise WitnessError(
                f"no witness exists for these records: {error}",
                relation="F2" if error.tensor == "pre-activation" else "B2",
                step=step,
                layer=error.layer,
            ) from None
        _check_step(statement, witness, step, honest)
    _check_final(witness, trainer, initial)


def check_shapes(statement: Statement, witness: Witness) -> None:
    """Check that every array of a witness has the type and shape that a valid statement implies.

    Raises:
        WitnessError: Relation ``"shape"``.
    """
    widths = statement.widths
    cells = (statement.steps, statement.batch_size)
    every: list[tuple[int, ...]] = [(*cells, width) for width in widths[1:]]
    expected: dict[str, list[tuple[int, ...]]] = {
        "positive": every,
        "sign": every,
        "remainder": every,
        "gradient": every[:-1],
        "gradient_remainder": every[:-1],
        "final_difference": list(pairwise(widths)),
        "bias_difference": [(width,) for width in widths[1:]] if statement.bias else [],
    }
    committed = bool(statement.initial_commitment)
    expected["initial_difference"] = expected["final_difference"] if committed else []
    expected["initial_bias_difference"] = expected["bias_difference"] if committed else []
    singles: dict[str, tuple[int, ...]] = {
        "data": (statement.records, widths[0] + widths[-1]),
        "data_blinds": (statement.records, 4),
        "final_blinds": (len(statement.final_commitment) // POINT_BYTES, 4),
        "initial_blinds": (len(statement.initial_commitment) // POINT_BYTES, 4),
    }
    for name, single in singles.items():
        array = getattr(witness, name)
        _check_array(name, array, single, np.dtype(np.int64 if name == "data" else np.uint64))
    for name, shapes in expected.items():
        arrays = getattr(witness, name)
        if not isinstance(arrays, (list, tuple)) or len(arrays) != len(shapes):
            found = len(arrays) if isinstance(arrays, (list, tuple)) else type(arrays).__name__
            raise WitnessError(
                f"shape: {name} must be a list of {len(shapes)} arrays, got {found}", relation="shape"
            )
        for layer, (array, shape) in enumerate(zip(arrays, shapes, strict=True), start=1):
            _check_array(f"{name} of layer {layer}", array, shape, np.dtype(np.int64), layer)


def _check_array(
    what: str, array: object, shape: tuple[int, ...], dtype: np.dtype, layer: int | None = None
) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise WitnessError(
            f"shape: {what} must be {dtype} of shape {shape}, got {found}", relation="shape", layer=layer
        )


def _check_step(statement: Statement, witness: Witness, step: int, honest: StepTensors) -> None:
    s = statement.settings
    top = 1 << s.weight_scale
    for index in range(statement.num_layers):
        positive, sign = witness.positive[index][step], witness.sign[index][step]
        remainder = witness.remainder[index][step]
        at = {"step": step, "layer": index + 1}
        _check_range("range of P", positive, 0, s.activation_limit, **at)
        _check_range("range of S", sign, 0, 2, **at)
        _check_range("range of R", remainder, 0, top, **at)
        value = positive - s.activation_limit * sign
        _check_equal(
            "F2", "Z'", value, honest.positive[index] - s.activation_limit * honest.sign[index], **at
        )
        _check_equal("F2", "R", remainder, honest.remainder[index], **at)
    for index in range(statement.num_layers - 2, -1, -1):
        gradient = witness.gradient[index][step]
        remainder = witness.gradient_remainder[index][step]
        at = {"step": step, "layer": index + 1}
        _check_range("range of H'", gradient, -s.gradient_limit, s.gradient_limit, **at)
        _check_range("range of R'", remainder, 0, top, **at)
        _check_equal("B2", "H'", gradient, honest.gradient[index], **at)
        _check_equal("B2", "R'", remainder, honest.gradient_remainder[index], **at)


def _check_range(
    relation: str, values: NDArray[np.int64], low: int, high: int, *, step: int, layer: int
) -> None:
    bad = (values < low) | (values >= high)
    if bad.any():
        value = int(values[tuple(np.argwhere(bad)[0])])
        raise WitnessError(
            f"{relation}: step {step}, layer {layer}: {value} is outside [{low}, {high})",
            relation=relation,
            step=step,
            layer=layer,
        )


def _check_equal(
    relation: str, tensor: str, values: NDArray, expected: NDArray, *, step: int, layer: int
) -> None:
    bad = values != expected
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise WitnessError(
            f"{relation}: step {step}, layer {layer}: {tensor} of record {row} of the batch, neuron "
            f"{column} is {int(values[row, column])}, the relation gives {int(expected[row, column])}",
            relation=relation,
            step=step,
            layer=layer,
        )


def _check_initial(statement: Statement, witness: Witness) -> None:
    """What is committed of the initial weights keeps the stated limit."""
    for name in ("initial_difference", "initial_bias_difference"):
        for layer, values in enumerate(getattr(witness, name), start=1):
            largest = max(abs(int(values.max())), abs(int(values.min())))
            if largest > statement.initial_limit:
                raise WitnessError(
                    f"initial limit: {name} of layer {layer} reaches {largest}, the statement says "
                    f"{statement.initial_limit}",
                    relation="initial limit",
                    layer=layer,
                )


def _check_final(witness: Witness, trainer: Trainer, initial: State) -> None:
    """What is committed of the final weights is their difference to the initial ones."""
    for number in range(1, len(trainer.widths)):
        weights, biases = trainer.layer(number)
        pairs = [("weight", weights, initial[0], witness.final_difference)]
        if biases is not None:
            pairs.append(("bias", biases, initial[1], witness.bias_difference))
        for name, end, starts, claimed in pairs:
            difference, start = claimed[number - 1], starts[number - 1]
            bad = difference != end - start
            if bad.any():
                where = tuple(int(i) for i in np.argwhere(bad)[0])
                raise WitnessError(
                    f"U: layer {number}: {name} {where} changes by {int((end - start)[where])}, "
                    f"the witness says {int(difference[where])}",
                    relation="U",
                    layer=number,
                )
