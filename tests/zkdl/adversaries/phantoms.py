"""Cells in the padding: a step, a sample and a neuron that do not exist and yet move the final weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from zkdl.protocol.instance import Instance
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.witness import Witness

from .cases import SMALL, Run
from .forgeries import Forgery
from .provers import stated_as, trained_in
from .splices import BATCH, CELLS, STEPS, WIDTHS, honest, named_order, of_layers, settled, train


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
