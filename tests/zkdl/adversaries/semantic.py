"""The attacks on the relation: each breaks one rule, names its reason and the guard that stops it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from zkdl.errors import Reason
from zkdl.protocol.instance import Instance
from zkdl.protocol.sampling import batches
from zkdl.prover.tensors import Tensors
from zkdl.training.commitments import commit_data
from zkdl.training.witness import Witness

from . import orders, trainers
from .bugs import diagonal_identity_test, own_order, padding_continues_the_narrowest_table
from .cases import SMALL, Run, random_data, train
from .guards import known_challenge
from .provers import (
    LyingAboutCells,
    LyingInverse,
    LyingRoots,
    as_computed,
    stated_as,
    tensors_with,
    trained_in,
    trajectory,
)

WIDTHS = (3, 4, 4, 2)


@dataclass
class Forgery:
    """A run and the cheating parts that prove it."""

    run: Run
    parts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Attack:
    """One dishonest prover.

    Args:
        make: builds the forgery.
        reason: expected reason; a pair is that of ``bits`` and that of ``lookup``.
        guards: labels of the equations to forget so that the attack succeeds; a pair as above.
        plant: instead of guards, a context under which prover and verifier share a bug.
        witness: whether the witness itself is wrong, so that `check_witness` has to refuse it.
        ranges: range arguments against which the attack makes sense.
    """

    name: str
    make: Callable[[], Forgery]
    reason: Reason | tuple[Reason, Reason]
    guards: tuple[str, ...] | dict[str, tuple[str, ...]] = ()
    plant: Callable[[], AbstractContextManager[Any]] | None = None
    witness: bool = True
    ranges: tuple[str, ...] = ("bits", "lookup")

    def expected(self, ranges: str) -> Reason:
        """The reason under one range argument."""
        if isinstance(self.reason, tuple):
            return self.reason[0 if ranges == "bits" else 1]
        return self.reason

    def guard_labels(self, ranges: str) -> tuple[str, ...]:
        """The labels to forget under one range argument."""
        return self.guards[ranges] if isinstance(self.guards, dict) else self.guards


OUT_OF_RANGE = (Reason.RANGE, Reason.MULTIPLICITY)
RANGE_GUARD = {"bits": ("ranges/recompose",), "lookup": ("lookup/sum",)}


def _tampered(trainer: type[trainers.Tampered], **options: Any) -> tuple[Run, trainers.Tampered]:
    made: list[trainers.Tampered] = []

    def make(*args: object) -> trainers.Tampered:
        made.append(trainer(*args))
        return made[0]

    run = train(WIDTHS, trainer=make, **options)
    return run, made[0]


def _relu() -> Forgery:
    run, model = _tampered(trainers.LeakyRelu)
    return Forgery(run, {"tensors": as_computed(model)})


def _relu_adaptive() -> Forgery:
    run, model = _tampered(trainers.LeakyRelu)
    return Forgery(run, {"tensors": as_computed(model), "work": LyingAboutCells})


def _gate() -> Forgery:
    run, model = _tampered(trainers.OpenGate)
    return Forgery(run, {"tensors": as_computed(model)})


def _zero_row_data() -> np.ndarray:
    data = random_data(WIDTHS, 4, SMALL)
    data[batches(1, 4, 2, 2)[0][0], :3] = 0
    return data


def _sign_of_zero() -> Forgery:
    return Forgery(_tampered(trainers.SignOfZero, data=_zero_row_data())[0])


def _sign_of_zero_other_width() -> Forgery:
    def count_elsewhere(tensors: Tensors) -> None:
        """P = 2^(q-1) counts as an entry of the table one bit wider."""
        stack = tensors.instance.multiplicities
        narrow, wide = stack.block(("range", 7)), stack.block(("range", 8))
        cells = tensors.tables["cells"]
        for block in tensors.instance.cells.blocks:
            if block.name[0] == "positive":
                values = cells[block.offset : block.offset + block.size]
                tensors.tables["multiplicities"][wide.offset + 128] += np.count_nonzero(values == 128)
        assert narrow.size == 128

    forgery = _sign_of_zero()
    forgery.parts["tensors"] = tensors_with(count_elsewhere)
    return forgery


def _bit_of_two() -> Forgery:
    def top_bit(tensors: Tensors) -> None:
        """P = 2^(q-1) as twice the top bit."""
        stack, cells = tensors.instance.bits, tensors.tables["cells"]
        for layer in (1, 2, 3):
            block = tensors.instance.cells.block(("positive", layer))
            bit = stack.block(("positive", layer, "bit", 6))
            values = cells[block.offset : block.offset + block.size]
            tensors.tables["bits"][bit.offset : bit.offset + bit.size][values == 128] = 2

    forgery = _sign_of_zero()
    forgery.parts["tensors"] = tensors_with(top_bit)
    return forgery


def _remainder(high: bool) -> Callable[[], Forgery]:
    def make() -> Forgery:
        data = random_data(WIDTHS, 4, SMALL)
        data[batches(1, 4, 2, 2)[0][0], :3] = trainers.edge_features(WIDTHS, SMALL, 1, high)
        trainer = trainers.ShiftedRemainder if high else trainers.LowRemainder
        return Forgery(_tampered(trainer, data=data)[0])

    return make


def _overflow_data(scale: int) -> np.ndarray:
    data = random_data(WIDTHS, 4, SMALL)
    data[:, 3:] *= scale
    return data


def _gradient_out_of_range() -> Forgery:
    run, _ = _tampered(trainers.Tampered, data=_overflow_data(-14))
    assert max(abs(h).max() for h in run.witness.gradient) >= SMALL.gradient_limit
    return Forgery(run)


def _activation_out_of_range() -> Forgery:
    data = random_data(WIDTHS, 4, SMALL)
    data[:, :3] *= 15
    run, _ = _tampered(trainers.Tampered, data=data)
    assert max(p.max() for p in run.witness.positive) >= SMALL.activation_limit
    return Forgery(run)


def _data_out_of_range() -> Forgery:
    data = random_data(WIDTHS, 4, SMALL)
    data[2, 3] = SMALL.activation_limit
    return Forgery(_tampered(trainers.Tampered, data=data)[0])


def _product() -> Forgery:
    return Forgery(_tampered(trainers.WrongProduct)[0])


def _gradient_product() -> Forgery:
    return Forgery(_tampered(trainers.WrongGradientProduct)[0])


def _learning_rate() -> Forgery:
    run = train(WIDTHS, learning_rate=Fraction(2, 16))
    run.statement = replace(run.statement, learning_rate=Fraction(2, 32))
    return Forgery(run, {"believed": stated_as(learning_rate=Fraction(2, 16))})


def _trajectory(**options: Any) -> Callable[[], Forgery]:
    def make() -> Forgery:
        run = train(WIDTHS, **{name: option() for name, option in options.items()})
        return Forgery(run, {"work": trajectory(run)})

    return make


def _other_batch_rows() -> np.ndarray:
    data, order = random_data(WIDTHS, 4, SMALL), batches(1, 4, 2, 2)
    return data[order[0]]


def _labels() -> Forgery:
    run, model = _tampered(trainers.OtherLabels)
    return Forgery(run, {"tensors": as_computed(model)})


def _order(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Forgery]:
    def make() -> Forgery:
        order = change(batches(1, 4, 2, 2))
        return Forgery(train(WIDTHS, order=order), {"believed": trained_in(order)})

    return make


def _foreign_row() -> Forgery:
    run = train(WIDTHS)
    honest = run.witness.data.copy()
    honest[1, 0] += 3
    commitment = commit_data(honest, run.witness.data_blinds)
    run.statement = replace(run.statement, data_commitment=commitment)
    return Forgery(run)


def _initial_weights() -> Forgery:
    run = train(WIDTHS, initial_seed=2)
    run.statement = replace(run.statement, initial_seed=1)
    return Forgery(run, {"believed": stated_as(initial_seed=2)})


def _final_weight() -> Forgery:
    run = train(WIDTHS)
    run.witness.final_difference[1][2, 1] += 1
    run.recommit()
    return Forgery(run)


def _final_bias() -> Forgery:
    run = train(WIDTHS)
    run.witness.bias_difference[2][0] -= 1
    run.recommit()
    return Forgery(run)


def _final_commitment() -> Forgery:
    run = train(WIDTHS)
    honest = run.witness.final_difference[0].copy()
    run.witness.final_difference[0][0, 0] += 1
    run.recommit()
    run.witness.final_difference[0] = honest
    return Forgery(run)


def _antisymmetric() -> Forgery:
    run = train(WIDTHS)
    change = np.triu(np.arange(16).reshape(4, 4), 1)
    run.witness.final_difference[1] += change - change.T
    run.recommit()
    return Forgery(run)


def _multiplicity(change: Callable[[np.ndarray], None]) -> Callable[[], Forgery]:
    def make() -> Forgery:
        return Forgery(train(WIDTHS), {"tensors": tensors_with(lambda t: change(t.tables["multiplicities"]))})

    return make


def _one_more(table: np.ndarray) -> None:
    table[3] += 1


def _moved(table: np.ndarray) -> None:
    table[3] += 1
    table[0] -= 1


def _lying(work: type) -> Callable[[], Forgery]:
    def make() -> Forgery:
        forgery = _sign_of_zero()
        forgery.parts["work"] = work
        return forgery

    return make


def _table_padding() -> Forgery:
    """Counts P = 2^(q-1) on an unused entry of the table."""

    def change(tensors: Tensors) -> None:
        stack = tensors.instance.multiplicities
        used = sum(block.size for block in stack.blocks)
        extra = np.count_nonzero(tensors.tables["cells"] == 128)
        tensors.tables["multiplicities"][used] += extra

    forgery = _sign_of_zero()
    forgery.parts["tensors"] = tensors_with(change)
    return forgery


def _phantom_sample() -> Forgery:
    """A batch of three is padded to four: the fourth place gets an output of 5 and moves the biases."""
    run = train((3, 2), batch_size=3, steps=1, records=4)
    order = batches(1, 4, 3, 1)
    full = np.concatenate([order, order[:, :1]], axis=1)
    witness = copy.copy(run.witness)
    for name, phantom in (("positive", 5), ("sign", 0), ("remainder", 0)):
        (cells,) = getattr(witness, name)
        setattr(witness, name, [np.concatenate([cells, np.full((1, 1, 2), phantom)], axis=1)])
    gradient = 5 << (SMALL.gradient_scale - SMALL.activation_scale)
    step = run.statement.mu * gradient << SMALL.activation_scale
    run.witness.bias_difference[0] = run.witness.bias_difference[0] - step
    run.recommit()

    def believed(instance: Instance) -> Instance:
        wide = stated_as(batch_size=4, learning_rate=run.statement.learning_rate * Fraction(4, 3))(instance)
        out = trained_in(full)(wide)
        out.__dict__["used_records"] = instance.used_records
        return out

    def make(instance: Instance, stated: Witness) -> Tensors:
        witness.bias_difference = stated.bias_difference
        out = Tensors(instance, witness)
        out.activations[0][0, 3] = 0
        out.gradients[1][0, 3] = gradient
        return out

    return Forgery(run, {"believed": believed, "tensors": make})


ATTACKS = [
    Attack("wrong ReLU output", _relu, Reason.ACTIVATION, ("zkrelu/final",)),
    Attack("wrong ReLU output, cells misreported", _relu_adaptive, Reason.OPENING, ("opening/final",)),
    Attack("gradient through an inactive neuron", _gate, Reason.ACTIVATION, ("zkrelu/final",)),
    Attack("sign of zero", _sign_of_zero, OUT_OF_RANGE, RANGE_GUARD),
    Attack("remainder 2^w", _remainder(True), OUT_OF_RANGE, RANGE_GUARD),
    Attack("remainder -1", _remainder(False), OUT_OF_RANGE, RANGE_GUARD),
    Attack("H' out of range", _gradient_out_of_range, OUT_OF_RANGE, RANGE_GUARD),
    Attack("Z' out of range", _activation_out_of_range, OUT_OF_RANGE, RANGE_GUARD),
    Attack("label out of range", _data_out_of_range, OUT_OF_RANGE, RANGE_GUARD),
    Attack("wrong Z'", _product, Reason.MATMUL, ("matmul/final",)),
    Attack("wrong H'", _gradient_product, Reason.MATMUL, ("matmul/final",)),
    Attack("wrong mu", _learning_rate, Reason.WEIGHTS, ("update/final",)),
    Attack(
        "one weight nudged",
        _trajectory(after_step=lambda: trainers.nudging(0, 2)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack(
        "one layer not updated",
        _trajectory(after_step=lambda: trainers.skipping(lambda k: k == 2, 1)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack(
        "step dropped",
        _trajectory(after_step=lambda: trainers.skipping(lambda k: True, 1)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack(
        "gradient of another batch",
        _trajectory(after_step=lambda: trainers.learning_from(_other_batch_rows(), 1)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack("other labels", _labels, Reason.OPENING, ("opening/final",)),
    Attack("steps reordered", _order(orders.reverse), Reason.OPENING, ("opening/final",)),
    Attack("steps reordered", _order(orders.reverse), Reason.OPENING, plant=own_order(orders.reverse)),
    Attack("step repeated", _order(orders.repeat), Reason.OPENING, ("opening/final",)),
    Attack("batches of another seed", _order(orders.other_seed), Reason.OPENING, ("opening/final",)),
    Attack(
        "batches of another seed",
        _order(orders.other_seed),
        Reason.OPENING,
        plant=own_order(orders.other_seed),
    ),
    Attack("one record twice in a batch", _order(orders.within_batch), Reason.OPENING, ("opening/final",)),
    Attack("row not committed", _foreign_row, Reason.DATA, ("opening/data",)),
    Attack("other initial weights", _initial_weights, Reason.WEIGHTS, ("update/final",)),
    Attack("other final weight", _final_weight, Reason.WEIGHTS, ("update/final",)),
    Attack("other final bias", _final_bias, Reason.WEIGHTS, ("update/final",)),
    Attack("other final commitment", _final_commitment, Reason.WEIGHTS, ("opening/weights",)),
    Attack("antisymmetric difference", _antisymmetric, Reason.WEIGHTS, ("update/final",)),
    Attack("antisymmetric difference", _antisymmetric, Reason.WEIGHTS, plant=diagonal_identity_test),
    Attack("sample in the padding of a batch", _phantom_sample, Reason.MATMUL, ("matmul/final",)),
    Attack("bit of two", _bit_of_two, Reason.RANGE, ("ranges/final",), ranges=("bits",)),
    Attack(
        "one multiplicity too high",
        _multiplicity(_one_more),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
        witness=False,
        ranges=("lookup",),
    ),
    Attack(
        "one multiplicity moved",
        _multiplicity(_moved),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
        witness=False,
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero as an entry of another width",
        _sign_of_zero_other_width,
        Reason.MULTIPLICITY,
        plant=lambda: known_challenge(lambda label: label == b"lookup/beta", 0),
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero on table padding",
        _table_padding,
        Reason.MULTIPLICITY,
        plant=padding_continues_the_narrowest_table,
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero, root misreported",
        _lying(LyingRoots),
        Reason.RANGE,
        ("lookup/0/final",),
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero, inverse misreported",
        _lying(LyingInverse),
        Reason.RANGE,
        ("lookup/inverse",),
        ranges=("lookup",),
    ),
]
