"""Forgeries at aggregated scale: a window of five steps, four layers of unequal widths, no powers of two.

Two of the widths agree, so that tensors of one layer fit into another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol.commitment import commit_rows
from zkdl.protocol.instance import Instance
from zkdl.protocol.sampling import batches
from zkdl.prover.tensors import Tensors
from zkdl.training.commitments import commit_data

from . import cases, deviants, trainers
from .cases import SMALL, Run, random_data
from .forgeries import Forgery
from .hooks import Hook, replaced_at_the_start
from .provers import as_computed, tensors_with, trained_in, trajectory

WIDTHS = (12, 9, 7, 7, 3)
STEPS, BATCH, RECORDS = 5, 3, 7
CELLS = ("positive", "sign", "remainder", "gradient", "gradient_remainder")

Change = Callable[[Run], None]


def train(**options: Any) -> Run:
    """A run of this module's shape."""
    shape: dict[str, Any] = {"batch_size": BATCH, "steps": STEPS, "records": RECORDS}
    return cases.train(WIDTHS, **{**shape, **options})


@functools.cache
def _shared(initial_seed: int) -> Run:
    return train(initial_seed=initial_seed)


def honest() -> Run:
    """An honest run, to be changed at will."""
    return _shared(1).copy()


def other() -> Run:
    """A run of the same shape and data from other initial weights."""
    return _shared(2)


def named_order(records: int = RECORDS) -> np.ndarray:
    """What the seed names."""
    return batches(1, records, BATCH, STEPS)


def settled(run: Run, tensors: Tensors | None = None) -> Run:
    """Make the final difference what the cells (or the tensors) give, and commit to it."""
    t = tensors or Tensors(Instance(run.statement, "lookup"), run.witness)
    mu, one = run.statement.mu, 1 << run.statement.settings.activation_scale
    layers = range(1, len(run.statement.widths))
    w = run.witness
    w.final_difference = [
        -mu * np.einsum("tbi,tbj->ij", t.activations[k - 1], t.gradients[k]) for k in layers
    ]
    w.bias_difference = [-mu * one * t.gradients[k].sum(axis=(0, 1)) for k in layers]
    blocks = {("weight", k): w.final_difference[k - 1] for k in layers}
    blocks.update({("bias", k): w.bias_difference[k - 1] for k in layers})
    stack = t.instance.final
    rows = commit_rows(stack.rows(stack.table(blocks)), w.final_blinds)
    run.statement = replace(run.statement, final_commitment=b"".join(za.g1.to_bytes(rows)))
    return run


# Weights that are not those of the updates.


def weights(hook: Callable[[], Hook]) -> Callable[[], Forgery]:
    """All steps computed with weights that ``hook`` changed on the way."""

    def make() -> Forgery:
        run = train(after_step=hook())
        return Forgery(run, {"work": trajectory(run)})

    return make


def start_of_another_run(layers: tuple[int, ...]) -> Callable[[], Forgery]:
    """Some layers start from the initial weights of another seed."""

    def make() -> Forgery:
        run = train(trainer=replaced_at_the_start(trainers.Trainer, other(), layers))
        return Forgery(run, {"work": trajectory(run)})

    return make


def final(change: Callable[[Run], None]) -> Callable[[], Forgery]:
    """An honest run whose committed final difference is changed."""

    def make() -> Forgery:
        run = honest()
        change(run)
        run.recommit()
        return Forgery(run)

    return make


def exchange_rows(run: Run) -> None:
    """Rows of layers 2 and 3."""
    second, third = run.witness.final_difference[1:3]
    second[2:5], third[2:5] = third[2:5].copy(), second[2:5].copy()


def exchange_biases(run: Run) -> None:
    biases = run.witness.bias_difference
    biases[1], biases[2] = biases[2], biases[1]


def as_after(steps: int) -> Change:
    """The final state is that after ``steps`` steps."""

    def change(run: Run) -> None:
        w = run.witness
        w.final_difference = [b - a for a, b in zip(run.weights[0], run.weights[steps], strict=True)]
        w.bias_difference = [b - a for a, b in zip(run.biases[0], run.biases[steps], strict=True)]

    return change


def last_step_twice(run: Run) -> None:
    w, steps = run.witness, run.statement.steps
    for k, (a, b) in enumerate(zip(run.weights[steps - 1], run.weights[steps], strict=True)):
        w.final_difference[k] = w.final_difference[k] + (b - a)


def of_another_run(*layers: int) -> Change:
    def change(run: Run) -> None:
        for k in layers:
            run.witness.final_difference[k - 1] = other().witness.final_difference[k - 1].copy()
            run.witness.bias_difference[k - 1] = other().witness.bias_difference[k - 1].copy()

    return change


def opposite_rows(run: Run) -> None:
    """Errors in two rows of one layer."""
    run.witness.final_difference[1][2, 4] += 1
    run.witness.final_difference[1][5, 4] -= 1


def opposite_columns(run: Run) -> None:
    """Errors in two columns of one layer."""
    run.witness.final_difference[1][5, 1] += 1
    run.witness.final_difference[1][5, 4] -= 1


def opposite_biases(run: Run) -> None:
    """Errors of two layers that cancel if claims are added up without random coefficients."""
    run.witness.bias_difference[1][4] += 1
    run.witness.bias_difference[2][4] -= 1


# Cells that are not those of the products; everything after them is made to fit.


def cells(change: Callable[[Run], None]) -> Callable[[], Forgery]:
    """An honest run whose cells are changed; the final state is that of the changed cells."""

    def make() -> Forgery:
        run = honest()
        change(run)
        return Forgery(settled(run))

    return make


def of_layers(name: str, layers: tuple[int, ...] | None) -> list[int]:
    """The layers, of those given, that have cells of this name."""
    last = len(WIDTHS) - (1 if name.startswith("gradient") else 0)
    return [k for k in layers or range(1, len(WIDTHS)) if k < last]


def exchange_steps(first: int, second: int, layers: tuple[int, ...] | None = None) -> Change:
    def change(run: Run) -> None:
        for name in CELLS:
            for k in of_layers(name, layers):
                tensor = getattr(run.witness, name)[k - 1]
                tensor[[first, second]] = tensor[[second, first]]

    return change


def exchange_samples(step: int, layers: tuple[int, ...] | None = None) -> Change:
    """Two samples of one batch."""

    def change(run: Run) -> None:
        for name in CELLS:
            for k in of_layers(name, layers):
                tensor = getattr(run.witness, name)[k - 1]
                tensor[step, [0, 2]] = tensor[step, [2, 0]]

    return change


def exchange_layers(*names: str) -> Change:
    """Tensors of layers 2 and 3."""

    def change(run: Run) -> None:
        for name in names or CELLS:
            tensors = getattr(run.witness, name)
            tensors[1], tensors[2] = tensors[2], tensors[1]

    return change


def cells_of_another_run(step: int | slice = slice(None), layers: tuple[int, ...] | None = None) -> Change:
    def change(run: Run) -> None:
        for name in CELLS:
            for k in of_layers(name, layers):
                getattr(run.witness, name)[k - 1][step] = getattr(other().witness, name)[k - 1][step]

    return change


def deviant(
    trainer: type[trainers.Tampered], *, own_tensors: bool = True, **options: Any
) -> Callable[[], Forgery]:
    """A trainer that breaks a rule, and a prover that computes as it did."""

    def make() -> Forgery:
        made: list[trainers.Tampered] = []

        def start(*args: object) -> trainers.Tampered:
            made.append(trainer(*args))
            return made[0]

        run = train(trainer=start, **{name: option() for name, option in options.items()})
        return Forgery(run, {"tensors": as_computed(made[0])} if own_tensors else {})

    return make


# Records and order.


def order(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Forgery]:
    """Trained on other batches than the seed's."""

    def make() -> Forgery:
        own = change(named_order())
        return Forgery(train(order=own), {"believed": trained_in(own)})

    return make


def unused_record() -> Forgery:
    """A record that the seed never names stands in for one that it names."""
    records = 20
    named = named_order(records)
    (unused,) = np.setdiff1d(np.arange(records), named)[:1]
    data = random_data(WIDTHS, records, SMALL)
    swapped = data.copy()
    swapped[named[2, 1]] = data[unused]
    made: list[trainers.Tampered] = []

    def start(*args: object) -> trainers.Tampered:
        made.append(trainers.Tampered(*args))
        return made[0]

    run = train(trainer=start, records=records, data=swapped)
    run.witness.data = data
    commitment = commit_data(data, run.witness.data_blinds)
    run.statement = replace(run.statement, data_commitment=commitment)
    return Forgery(run, {"tensors": as_computed(made[0])})


# Ranges.


def zero_features() -> np.ndarray:
    """A record whose pre-activations are small, and zero here and there."""
    data = random_data(WIDTHS, RECORDS, SMALL)
    data[2, : WIDTHS[0]] = 0
    return data


def large(columns: slice, factor: int, step: int) -> Callable[[], np.ndarray]:
    """Scaled features or labels in the records that only ``step`` uses, of `SPREAD` records."""

    def make() -> np.ndarray:
        data = random_data(WIDTHS, SPREAD, SMALL)
        data[named_order(SPREAD)[step], columns] *= factor
        return data

    return make


SPREAD = 16
"""So many records that none is used twice."""


def on_the_edge(trainer: type[deviants.RemainderOnTheEdge]) -> Callable[[], Forgery]:
    """The trainer finds the features that it needs; the second run has them in its data."""

    def make() -> Forgery:
        data = random_data(WIDTHS, SPREAD, SMALL)
        found: list[deviants.RemainderOnTheEdge] = []

        def start(*args: object) -> deviants.RemainderOnTheEdge:
            found.append(trainer(*args))
            return found[-1]

        train(trainer=start, records=SPREAD, data=data)
        data[named_order(SPREAD)[deviants.STEP, 0], : WIDTHS[0]] = found[0].features
        return Forgery(train(trainer=start, records=SPREAD, data=data))

    return make


def compensated_bits(same_block: bool) -> Callable[[], Forgery]:
    """P_2 = 128 is given bits of 127; other bits, at the same place of another block or the other way round,
    say one more than their cell.

    Without random coefficients between blocks, or a random point, the two errors cancel.
    """

    def make() -> Forgery:
        forgery = deviant(deviants.ZeroesOfLayerTwoAreNegative, own_tensors=False, data=zero_features)()
        witness, limit = forgery.run.witness, SMALL.activation_limit
        bits = SMALL.activation_bits - 1

        def change(tensors: Tensors) -> None:
            def put(name: tuple[str | int, ...], width: int, place: tuple[int, ...], value: int) -> None:
                assert value < 1 << width
                t, b, j = place
                for i in range(width):
                    block = tensors.instance.bits.block((*name, "bit", i))
                    table = tensors.tables["bits"][block.offset : block.offset + block.size]
                    table.reshape([1 << n for n in block.axis_vars])[j, t, b] = (value >> i) & 1

            positive, limbs = witness.positive[1], witness.remainder[2] % (1 << SMALL.limb_bits)
            wrong = np.argwhere(positive == limit)
            free = np.argwhere(positive < limit - 1)
            for place, elsewhere in zip(map(tuple, wrong), map(tuple, free[: len(wrong)]), strict=True):
                put(("positive", 2), bits, place, limit - 1)
                if same_block:
                    put(("positive", 2), bits, elsewhere, int(positive[elsewhere]) + 1)
                else:
                    put(("remainder", 3, 0), SMALL.limb_bits, place, int(limbs[place]) + 1)

        forgery.parts["tensors"] = tensors_with(change)
        return forgery

    return make


def bit_of_two() -> Forgery:
    """P_2 = 128 as twice its top bit."""

    def change(tensors: Tensors) -> None:
        block = tensors.instance.cells.block(("positive", 2))
        cells = tensors.tables["cells"][block.offset : block.offset + block.size]
        top = tensors.instance.bits.block(("positive", 2, "bit", SMALL.activation_bits - 2))
        tensors.tables["bits"][top.offset : top.offset + top.size][cells == SMALL.activation_limit] = 2

    forgery = deviant(deviants.ZeroesOfLayerTwoAreNegative, own_tensors=False, data=zero_features)()
    forgery.parts["tensors"] = tensors_with(change)
    return forgery


def lying(work: type) -> Callable[[], Forgery]:
    """Negative zeroes, and a prover who lies about the sums of the lookup."""

    def make() -> Forgery:
        forgery = deviant(deviants.ZeroesAreNegative, own_tensors=False, data=zero_features)()
        forgery.parts["work"] = work
        return forgery

    return make


KNOWN_BETA = 1000
KNOWN_ALPHA = KNOWN_BETA * (SMALL.activation_bits - 1) + SMALL.activation_limit + 1
"""With these, a P of 128 is the fraction 1/1."""


def multiplicity_for_known_challenges() -> Forgery:
    """Every P_2 = 128 is counted by an entry of another width, as often as makes it the same fraction."""

    def change(tensors: Tensors) -> None:
        block = tensors.instance.multiplicities.block(("range", SMALL.activation_bits))
        outside = np.count_nonzero(forgery.run.witness.positive[1] == SMALL.activation_limit)
        denominator = KNOWN_ALPHA - KNOWN_BETA * SMALL.activation_bits
        tensors.tables["multiplicities"][block.offset] += outside * denominator

    forgery = deviant(deviants.ZeroesOfLayerTwoAreNegative, own_tensors=False, data=zero_features)()
    forgery.parts["tensors"] = tensors_with(change)
    return forgery
