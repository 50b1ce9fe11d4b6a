"""The forgeries of the attacks: a run with one rule broken and the parts that prove it all the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from zkdl.protocol.instance import Instance
from zkdl.protocol.sampling import batches
from zkdl.prover.tensors import Tensors
from zkdl.training.commitments import commit_data
from zkdl.training.witness import Witness

from . import trainers
from .cases import SMALL, Run, random_data, train
from .provers import LyingAboutCells, as_computed, stated_as, tensors_with, trained_in, trajectory

WIDTHS = (3, 4, 4, 2)


@dataclass
class Forgery:
    """A run and the cheating parts that prove it."""

    run: Run
    parts: dict[str, Any] = field(default_factory=dict)


def tampered(trainer: type[trainers.Tampered], **options: Any) -> tuple[Run, trainers.Tampered]:
    made: list[trainers.Tampered] = []

    def make(*args: object) -> trainers.Tampered:
        made.append(trainer(*args))
        return made[0]

    run = train(WIDTHS, trainer=make, **options)
    return run, made[0]


def relu() -> Forgery:
    run, model = tampered(trainers.LeakyRelu)
    return Forgery(run, {"tensors": as_computed(model)})


def with_ledger(forgery: Forgery, ledger: type) -> Forgery:
    forgery.parts["ledger"] = ledger
    return forgery


def relu_adaptive() -> Forgery:
    run, model = tampered(trainers.LeakyRelu)
    return Forgery(run, {"tensors": as_computed(model), "work": LyingAboutCells})


def gate() -> Forgery:
    run, model = tampered(trainers.OpenGate)
    return Forgery(run, {"tensors": as_computed(model)})


def zero_row_data() -> np.ndarray:
    data = random_data(WIDTHS, 4, SMALL)
    data[batches(1, 4, 2, 2)[0][0], :3] = 0
    return data


def sign_of_zero() -> Forgery:
    return Forgery(tampered(trainers.SignOfZero, data=zero_row_data())[0])


def sign_of_zero_other_width() -> Forgery:
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

    forgery = sign_of_zero()
    forgery.parts["tensors"] = tensors_with(count_elsewhere)
    return forgery


def bit_of_two() -> Forgery:
    def top_bit(tensors: Tensors) -> None:
        """P = 2^(q-1) as twice the top bit."""
        stack, cells = tensors.instance.bits, tensors.tables["cells"]
        for layer in (1, 2, 3):
            block = tensors.instance.cells.block(("positive", layer))
            bit = stack.block(("positive", layer, "bit", 6))
            values = cells[block.offset : block.offset + block.size]
            tensors.tables["bits"][bit.offset : bit.offset + bit.size][values == 128] = 2

    forgery = sign_of_zero()
    forgery.parts["tensors"] = tensors_with(top_bit)
    return forgery


def remainder(high: bool) -> Callable[[], Forgery]:
    def make() -> Forgery:
        data = random_data(WIDTHS, 4, SMALL)
        data[batches(1, 4, 2, 2)[0][0], :3] = trainers.edge_features(WIDTHS, SMALL, 1, high)
        trainer = trainers.ShiftedRemainder if high else trainers.LowRemainder
        return Forgery(tampered(trainer, data=data)[0])

    return make


def overflow_data(scale: int) -> np.ndarray:
    data = random_data(WIDTHS, 4, SMALL)
    data[:, 3:] *= scale
    return data


def gradient_out_of_range() -> Forgery:
    run, _ = tampered(trainers.Tampered, data=overflow_data(-14))
    assert max(abs(h).max() for h in run.witness.gradient) >= SMALL.gradient_limit
    return Forgery(run)


def activation_out_of_range() -> Forgery:
    data = random_data(WIDTHS, 4, SMALL)
    data[:, :3] *= 15
    run, _ = tampered(trainers.Tampered, data=data)
    assert max(p.max() for p in run.witness.positive) >= SMALL.activation_limit
    return Forgery(run)


def data_out_of_range() -> Forgery:
    data = random_data(WIDTHS, 4, SMALL)
    data[2, 3] = SMALL.activation_limit
    return Forgery(tampered(trainers.Tampered, data=data)[0])


def product() -> Forgery:
    return Forgery(tampered(trainers.WrongProduct)[0])


def gradient_product() -> Forgery:
    return Forgery(tampered(trainers.WrongGradientProduct)[0])


def learning_rate() -> Forgery:
    run = train(WIDTHS, learning_rate=Fraction(2, 16))
    run.statement = replace(run.statement, learning_rate=Fraction(2, 32))
    return Forgery(run, {"believed": stated_as(learning_rate=Fraction(2, 16))})


def weights_of_its_own(**options: Any) -> Callable[[], Forgery]:
    def make() -> Forgery:
        run = train(WIDTHS, **{name: option() for name, option in options.items()})
        return Forgery(run, {"work": trajectory(run)})

    return make


def other_batch_rows() -> np.ndarray:
    data, order = random_data(WIDTHS, 4, SMALL), batches(1, 4, 2, 2)
    return data[order[0]]


def labels() -> Forgery:
    run, model = tampered(trainers.OtherLabels)
    return Forgery(run, {"tensors": as_computed(model)})


def order(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Forgery]:
    def make() -> Forgery:
        own = change(batches(1, 4, 2, 2))
        return Forgery(train(WIDTHS, order=own), {"believed": trained_in(own)})

    return make


def foreign_row() -> Forgery:
    run = train(WIDTHS)
    honest = run.witness.data.copy()
    honest[1, 0] += 3
    commitment = commit_data(honest, run.witness.data_blinds)
    run.statement = replace(run.statement, data_commitment=commitment)
    return Forgery(run)


def initial_weights() -> Forgery:
    run = train(WIDTHS, initial_seed=2)
    run.statement = replace(run.statement, initial_seed=1)
    return Forgery(run, {"believed": stated_as(initial_seed=2)})


def final_weight() -> Forgery:
    run = train(WIDTHS)
    run.witness.final_difference[1][2, 1] += 1
    run.recommit()
    return Forgery(run)


def final_bias() -> Forgery:
    run = train(WIDTHS)
    run.witness.bias_difference[2][0] -= 1
    run.recommit()
    return Forgery(run)


def final_commitment() -> Forgery:
    run = train(WIDTHS)
    honest = run.witness.final_difference[0].copy()
    run.witness.final_difference[0][0, 0] += 1
    run.recommit()
    run.witness.final_difference[0] = honest
    return Forgery(run)


def antisymmetric() -> Forgery:
    run = train(WIDTHS)
    change = np.triu(np.arange(16).reshape(4, 4), 1)
    run.witness.final_difference[1] += change - change.T
    run.recommit()
    return Forgery(run)


def multiplicity(change: Callable[[np.ndarray], None]) -> Callable[[], Forgery]:
    def make() -> Forgery:
        return Forgery(train(WIDTHS), {"tensors": tensors_with(lambda t: change(t.tables["multiplicities"]))})

    return make


def one_more(table: np.ndarray) -> None:
    table[3] += 1


def moved(table: np.ndarray) -> None:
    table[3] += 1
    table[0] -= 1


def lying(work: type) -> Callable[[], Forgery]:
    def make() -> Forgery:
        forgery = sign_of_zero()
        forgery.parts["work"] = work
        return forgery

    return make


def table_padding() -> Forgery:
    """Counts P = 2^(q-1) on an unused entry of the table."""

    def change(tensors: Tensors) -> None:
        stack = tensors.instance.multiplicities
        used = sum(block.size for block in stack.blocks)
        extra = np.count_nonzero(tensors.tables["cells"] == 128)
        tensors.tables["multiplicities"][used] += extra

    forgery = sign_of_zero()
    forgery.parts["tensors"] = tensors_with(change)
    return forgery


def phantom_sample() -> Forgery:
    """A batch of three is padded to four: the fourth place gets an output of 5 and moves the biases."""
    run = train((3, 2), batch_size=3, steps=1, records=4)
    named = batches(1, 4, 3, 1)
    full = np.concatenate([named, named[:, :1]], axis=1)
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
