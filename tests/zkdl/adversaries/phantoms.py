"""Cells in the padding: a step, a sample and a neuron that do not exist and yet move the final weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol.commitment import commit_rows
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import weight_stack
from zkdl.protocol.sampling import batches
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.witness import Witness

from .cases import SMALL, Run, Start, random_data
from .cases import train as train_any
from .forgeries import Forgery
from .provers import as_computed, stated_as, trained_in
from .splices import BATCH, CELLS, STEPS, WIDTHS, honest, named_order, of_layers, settled, train
from .trainers import Ints, Tampered


def _padded(witness: Witness, axis: int, only: tuple[int, ...] | None = None) -> Witness:
    """One more entry along an axis of all cells (of the layers ``only``), whose cells hold zero."""
    out = Witness(**{f.name: getattr(witness, f.name) for f in fields(Witness)})
    for name in CELLS:
        # The cell of H' holds H' + 2^(q_g - 1).
        fill = -SMALL.gradient_limit if name == "gradient" else 0
        tensors = list(getattr(witness, name))
        for k in of_layers(name, only):
            widths = [(0, int(a == axis)) for a in range(3)]
            tensors[k - 1] = np.pad(tensors[k - 1], widths, constant_values=fill)
        setattr(out, name, tensors)
    return out


def _hidden_work(public: Instance) -> Callable[[Instance, Tensors], ProverWork]:
    """Computes with the padding as if it were real, but for what the verifier knows of it."""

    class Work(ProverWork):
        def relu_rounds(self, points: Any) -> Any:
            private, self._instance = self._instance, public
            try:
                return super().relu_rounds(points)
            finally:
                self._instance = private

    return Work


def _phantom(
    run: Run,
    witness: Witness,
    believed: Callable[[Instance], Instance],
    fix: Callable[[Tensors], None],
) -> Forgery:
    """A run that moves its final weights by what stands in the padding.

    Args:
        witness: the cells with the padding in use.
        believed: the instance in which that padding is no padding.
        fix: puts right what the cells alone do not say.
    """

    def make(instance: Instance, stated: Witness) -> Tensors:
        del stated
        out = Tensors(instance, witness)
        fix(out)
        return out

    private = believed(Instance(run.statement, "lookup"))
    witness.final_difference = [
        np.zeros(shape, dtype=np.int64) for shape in pairwise(private.statement.widths)
    ]
    witness.bias_difference = [np.zeros(width, dtype=np.int64) for width in private.statement.widths[1:]]
    final = Run(run.statement, witness, [], [])
    run.statement = settled(final, make(private, witness)).statement
    # What a reader of the witness sees of it, in the shapes of the statement.
    w = run.witness
    for k, (rows, columns) in enumerate(pairwise(run.statement.widths)):
        w.final_difference[k] = witness.final_difference[k][:rows, :columns]
        w.bias_difference[k] = witness.bias_difference[k][:columns]

    def work(instance: Instance, tensors: Tensors) -> ProverWork:
        return _hidden_work(Instance(run.statement, instance.ranges))(instance, tensors)

    return Forgery(run, {"believed": believed, "tensors": make, "work": work})


def step() -> Forgery:
    """Five steps are padded to eight: a sixth has activations and gradients of its own."""
    run = honest()
    witness = _padded(run.witness, 0)
    last = len(WIDTHS) - 1
    witness.positive[last - 2][STEPS, 0, 2] = 5
    witness.positive[last - 1][STEPS, 0, 1] = 9
    named = named_order()
    six = np.concatenate([named, named[:1]])

    def believed(instance: Instance) -> Instance:
        out = trained_in(six)(stated_as(steps=STEPS + 1)(instance))
        out.__dict__["used_records"] = instance.used_records
        return out

    def fix(tensors: Tensors) -> None:
        tensors.activations[0][STEPS] = 0
        for k in range(1, last):
            tensors.gradients[k][STEPS] = 0
        shift = SMALL.gradient_scale - SMALL.activation_scale
        tensors.gradients[last][STEPS] = witness.positive[last - 1][STEPS] << shift

    return _phantom(run, witness, believed, fix)


def sample() -> Forgery:
    """Batches of three are padded to four: at one step the fourth sample has values of its own."""
    run = honest()
    witness = _padded(run.witness, 1)
    last, at = len(WIDTHS) - 1, (2, BATCH)
    witness.positive[last - 2][(*at, 2)] = 5
    witness.positive[last - 1][(*at, 1)] = 9
    named = named_order()
    four = np.concatenate([named, named[:, :1]], axis=1)

    def believed(instance: Instance) -> Instance:
        rate = run.statement.learning_rate * Fraction(BATCH + 1, BATCH)
        out = trained_in(four)(stated_as(batch_size=BATCH + 1, learning_rate=rate)(instance))
        out.__dict__["used_records"] = instance.used_records
        return out

    def fix(tensors: Tensors) -> None:
        tensors.activations[0][:, BATCH] = 0
        for k in range(1, last):
            tensors.gradients[k][:, BATCH] = 0
        shift = SMALL.gradient_scale - SMALL.activation_scale
        tensors.gradients[last][:, BATCH] = witness.positive[last - 1][:, BATCH] << shift

    return _phantom(run, witness, believed, fix)


def neuron() -> Forgery:
    """Nine neurons are padded to sixteen: a tenth has activations, and weights into the next layer grow."""
    # In longer rows, two neurons share one: a row of nothing but padding is not committed at all.
    run = train(row_bits=6)
    wide = (WIDTHS[0], WIDTHS[1] + 1, *WIDTHS[2:])
    witness = _padded(run.witness, 2, (1,))
    witness.positive[0][1:, :, -1] = 5

    def believed(instance: Instance) -> Instance:
        out = stated_as(widths=wide)(instance)
        weights, biases = (list(part) for part in instance.base)
        weights[0] = np.pad(weights[0], ((0, 0), (0, 1)))
        weights[1] = np.pad(weights[1], ((0, 1), (0, 0)))
        biases[0] = np.pad(biases[0], (0, 1))
        out.__dict__["base"] = (weights, biases)
        return out

    def fix(tensors: Tensors) -> None:
        tensors.gradients[1][:, :, -1] = 0

    return _phantom(run, witness, believed, fix)


class _FourthNeuron(Tampered):
    """Its last neuron of layer 1 follows the rule of padding: floor instead of rounding, H' not negative."""

    def rescaled(self, tensor: str, layer: int, value: Ints, remainder: Ints) -> tuple[Ints, Ints]:
        if layer == 1:
            full = 1 << self.settings.weight_scale
            total = (value[:, -1] << self.settings.weight_scale) + remainder[:, -1] - full // 2
            value, remainder = value.copy(), remainder.copy()
            value[:, -1], remainder[:, -1] = total // full, total % full
            assert tensor == "Z" or value[:, -1].min() >= 0
        return value, remainder


def hidden_neuron() -> tuple[Forgery, int]:
    """Four neurons where three are stated: the fourth stands in the padding of committed initial weights.

    One step on one record; the fourth neuron is active, moves the output and learns.

    Returns:
        The forgery and the limit of its initial weights.
    """
    wide, stated, seed = (3, 4, 2), (3, 3, 2), 1
    rng = np.random.default_rng(4)
    weights = [rng.integers(-2000, 2001, shape) for shape in pairwise(wide)]
    biases = [np.zeros(width, dtype=np.int64) for width in wide[1:]]
    data = random_data(wide, 2, SMALL)
    record = data[_first_record(seed, 2)]
    # Active: its weights look like the features. H' >= 0: the output is on the right side of its label.
    weights[0][:, -1] = 1000 * np.sign(record[:3])
    weights[1][-1] = [6000, 0]
    record[3:] = [-SMALL.activation_limit // 2, 0]
    data[_first_record(seed, 2)] = record
    limit = max(int(np.abs(w).max()) for w in weights)

    layout = weight_stack(wide, True, 5)
    blocks = {("weight", k): w for k, w in enumerate(weights, start=1)}
    blocks.update({("bias", k): b for k, b in enumerate(biases, start=1)})
    blinds = za.Fr.random(len(layout.live_rows))
    rows = commit_rows(layout.rows(layout.table(blocks)), blinds)
    start = Start(weights, biases, blinds, b"".join(za.g1.to_bytes(rows)), limit)

    made: list[Tampered] = []

    def trainer(*args: object) -> Tampered:
        made.append(_FourthNeuron(*args))
        return made[0]

    run = train_any(
        wide,
        batch_size=1,
        steps=1,
        records=2,
        seed=seed,
        initial_seed=None,
        start=start,
        data=data,
        trainer=trainer,
    )
    assert run.witness.positive[0][0, 0, -1] > 0
    assert run.witness.sign[0][0, 0, -1] == 0
    assert made[0].seen_gradients[0][0][0, -1] > 0
    # The cell of a fourth H' is H' itself.
    run.witness.gradient[0][..., -1] -= SMALL.gradient_limit
    run.statement = replace(run.statement, widths=stated)

    def work(instance: Instance, tensors: Tensors) -> ProverWork:
        return _hidden_work(Instance(run.statement, instance.ranges))(instance, tensors)

    parts = {"believed": stated_as(widths=wide), "tensors": as_computed(made[0]), "work": work}
    return Forgery(run, parts), limit


def _first_record(seed: int, records: int) -> int:
    """The record of the first step, in batches of one."""
    return int(batches(seed, records, 1, 1)[0, 0])
