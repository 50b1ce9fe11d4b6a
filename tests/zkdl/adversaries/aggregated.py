"""The attacks at aggregated scale: across steps, across layers, across runs, and in the padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np

from zkdl.errors import Reason
from zkdl.protocol.transcript import FR_MODULUS as R

from . import deviants, hooks, phantoms
from . import splices as make
from .forgeries import Forgery
from .guards import known_challenge
from .provers import LyingHalves, LyingPair
from .semantic import OUT_OF_RANGE, RANGE_GUARD, Attack
from .trainers import Tampered

DIGITS = b"0123456789"
HALF = pow(2, -1, R)
"""A coordinate at which eq does not tell 0 from 1."""


def knowing(*labels: str, value: int = 1) -> Callable[[], AbstractContextManager[Any]]:
    """The bug of a challenge that is no challenge; ``NAME/r`` stands for all rounds of a sumcheck."""
    wanted = {label.encode() for label in labels}
    return lambda: known_challenge(lambda label: label in wanted or label.rstrip(DIGITS) in wanted, value)


def _weights(name: str, forgery: Callable[[], Forgery], **options: Any) -> Attack:
    return Attack(name, forgery, Reason.WEIGHTS, ("update/final",), **options)


def _product(name: str, forgery: Callable[[], Forgery], **options: Any) -> Attack:
    return Attack(name, forgery, Reason.MATMUL, ("matmul/final",), **options)


def _relu(name: str, forgery: Callable[[], Forgery], **options: Any) -> Attack:
    return Attack(name, forgery, Reason.ACTIVATION, ("zkrelu/final",), **options)


def _records(name: str, forgery: Callable[[], Forgery], **options: Any) -> Attack:
    return Attack(name, forgery, Reason.OPENING, ("opening/final",), **options)


def _range(name: str, forgery: Callable[[], Forgery], **options: Any) -> Attack:
    return Attack(name, forgery, OUT_OF_RANGE, RANGE_GUARD, **options)


def _moved(*rows: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda order: order[list(rows)]


def _records_exchanged(order: np.ndarray) -> np.ndarray:
    out = order.copy()
    out[0, 0], out[2, 0] = order[2, 0], order[0, 0]
    assert (out != order).sum() == 2
    return out


def _record_twice(order: np.ndarray) -> np.ndarray:
    out = order.copy()
    out[2, 0] = out[2, 1]
    return out


WEIGHTS = [
    _weights("step dropped", make.weights(lambda: hooks.dropped(2))),
    _weights("step dropped for one layer", make.weights(lambda: hooks.dropped(2, (3,)))),
    _weights("last step dropped", make.weights(lambda: hooks.dropped(4))),
    _weights("update made twice", make.weights(lambda: hooks.doubled(2))),
    _weights("update made twice for one layer", make.weights(lambda: hooks.doubled(3, (2,)))),
    _weights("gradient of the step before", make.weights(lambda: hooks.stale_gradient(3))),
    _weights("updates of two layers exchanged", make.weights(lambda: hooks.exchanged_updates(2, 2, 3))),
    _weights("weights of the step before", make.weights(lambda: hooks.stale_weights(3))),
    _weights("layer from another run", make.weights(lambda: hooks.spliced(2, make.other(), (2,)))),
    _weights("state from another run", make.weights(lambda: hooks.spliced(2, make.other()))),
    _weights("initial layer from another run", make.start_of_another_run((3,))),
    _weights("rows of the final state moved between layers", make.final(make.exchange_rows)),
    _weights("final biases moved between layers", make.final(make.exchange_biases)),
    _weights("final state of the step before", make.final(make.as_after(4))),
    _weights("final state with the last step twice", make.final(make.last_step_twice)),
    _weights("final state of another run", make.final(make.of_another_run(1, 2, 3, 4))),
    _weights("final layer of another run", make.final(make.of_another_run(2))),
    *(
        _weights(f"opposite errors of the final state in two {name}", make.final(change), **options)
        for name, change, label, value in (
            ("layers", make.opposite_biases, "update/combine", 1),
            ("rows", make.opposite_rows, "matmul/r", HALF),
            ("columns", make.opposite_columns, "matmul/y", HALF),
        )
        for options in ({}, {"plant": knowing(label, value=value)})
    ),
]

CELLS = [
    _product("cells of two steps exchanged", make.cells(make.exchange_steps(1, 3))),
    _product("cells of two steps exchanged in one layer", make.cells(make.exchange_steps(1, 3, (2,)))),
    _product("cells of two samples exchanged", make.cells(make.exchange_samples(2))),
    _product("cells of two samples exchanged in one layer", make.cells(make.exchange_samples(2, (3,)))),
    _product("cells of two layers exchanged", make.cells(make.exchange_layers())),
    _product("signs of two layers exchanged", make.cells(make.exchange_layers("sign"))),
    _product("remainders of two layers exchanged", make.cells(make.exchange_layers("remainder"))),
    _product("H' of two layers exchanged", make.cells(make.exchange_layers("gradient"))),
    _product("cells of another run", make.cells(make.cells_of_another_run())),
    _product("cells of another run at one step", make.cells(make.cells_of_another_run(2))),
    _product("cells of another run in one layer", make.cells(make.cells_of_another_run(layers=(3,)))),
    _product("step in the padding of the window", phantoms.step),
    _product("sample in the padding of a batch", phantoms.sample),
    _product("neuron in the padding of a layer", phantoms.neuron),
]


def _off(*errors: tuple[int, int, int, int, int], tensor: str = "Z") -> Callable[[], Forgery]:
    return make.deviant(deviants.off_by(*errors, tensor=tensor), own_tensors=False)


PRODUCTS = [
    _product(name, forgery, **options)
    for name, forgery, plant in [
        ("opposite errors in two layers", _off((3, 2, 1, 4, 1), (3, 3, 1, 4, -1)), ("matmul/combine", 1)),
        ("opposite errors in two steps", _off((1, 2, 0, 4, 1), (3, 2, 0, 4, -1)), ("matmul/tau_t", HALF)),
        ("opposite errors in two samples", _off((3, 4, 0, 1, 1), (3, 4, 2, 1, -1)), ("matmul/tau_b", HALF)),
        ("opposite errors in two neurons", _off((3, 1, 1, 2, 1), (3, 1, 1, 8, -1)), ("matmul/y", HALF)),
        (
            "opposite errors of H' in two layers",
            _off((3, 2, 1, 4, 1), (3, 3, 1, 4, -1), tensor="H"),
            ("matmul/combine", 1),
        ),
    ]
    for options in ({}, {"plant": knowing(plant[0], value=plant[1])})
]

RELU = [
    _relu("activations of another layer", make.deviant(deviants.ActivationOfAnotherLayer)),
    _relu("activations of another step", make.deviant(deviants.ActivationOfAnotherStep)),
    _relu("mask of another layer", make.deviant(deviants.MaskOfAnotherLayer)),
    _relu("mask of another step", make.deviant(deviants.MaskOfAnotherStep)),
    _relu("gradient of another layer", make.deviant(deviants.GradientOfAnotherLayer)),
    _relu("gradient of another step", make.deviant(deviants.GradientOfAnotherStep)),
    *(
        _relu(name, make.deviant(trainer), **options)
        for name, trainer in (
            ("opposite errors of A in two layers", deviants.OppositeActivations),
            ("error of A against error of G", deviants.ActivationAgainstGradient),
        )
        for options in ({}, {"plant": knowing("zkrelu/combine")})
    ),
]

RECORDS = [
    _records("steps exchanged", make.order(_moved(0, 3, 2, 1, 4))),
    _records("steps rotated", make.order(_moved(4, 0, 1, 2, 3))),
    _records("batch of another step", make.order(_moved(0, 1, 1, 3, 4))),
    _records("records exchanged between steps", make.order(_records_exchanged)),
    _records("record twice in a batch", make.order(_record_twice)),
    _records("record that the seed does not name", make.unused_record),
    _records("record that changes between epochs", make.deviant(deviants.RecordThatChanges)),
    _records("labels of another step", make.deviant(deviants.LabelsOfAnotherStep)),
    _records("outputs of another step", make.deviant(deviants.OutputOfAnotherStep)),
]

KNOWN = {"combine": 1, "z": HALF, "r": 0}
"""Values of challenges of `bits` that hide something."""


@contextmanager
def _knowing_the_lookup() -> Iterator[None]:
    with knowing("lookup/alpha", value=make.KNOWN_ALPHA)(), knowing("lookup/beta", value=make.KNOWN_BETA)():
        yield


_features, _labels = slice(make.WIDTHS[0]), slice(make.WIDTHS[0], None)
_spread = partial(make.deviant, Tampered, own_tensors=False, records=lambda: make.SPREAD)
RANGES = [
    _range(
        "sign of zero",
        make.deviant(deviants.ZeroesAreNegative, own_tensors=False, data=make.zero_features),
    ),
    _range("remainder 2^w", make.on_the_edge(deviants.RemainderOnTheEdge)),
    _range("remainder -1", make.on_the_edge(deviants.RemainderBelowZero)),
    _range("Z' out of range at the last step", _spread(data=make.large(_features, 14, 4))),
    _range("H' out of range at the last step", _spread(data=make.large(_labels, 14, 4))),
    *(
        Attack(name, forgery, Reason.RANGE, (guard,), ranges=("bits",), **options)
        for name, forgery, guard, plant in (
            ("opposite errors in two blocks", make.compensated_bits(False), "ranges/recompose", "combine"),
            ("opposite errors in one block", make.compensated_bits(True), "ranges/recompose", "z"),
            ("bit of two", make.bit_of_two, "ranges/final", "r"),
        )
        for options in ({}, {"plant": knowing(f"ranges/{plant}", value=KNOWN[plant])})
    ),
    *(
        Attack(name, make.lying(work), Reason.RANGE, ("lookup/layers",), ranges=("lookup",), **options)
        for name, work, plant, value in (
            ("half of a sum misreported", LyingHalves, "join", 0),
            ("numerator against denominator", LyingPair, "combine", 1),
        )
        for options in ({}, {"plant": knowing(f"lookup/{plant}", value=value)})
    ),
    *(
        Attack(
            "multiplicity fitted to the challenges",
            make.multiplicity_for_known_challenges,
            Reason.MULTIPLICITY,
            ("lookup/sum",),
            ranges=("lookup",),
            **options,
        )
        for options in ({}, {"plant": _knowing_the_lookup})
    ),
]

ATTACKS = [*WEIGHTS, *CELLS, *PRODUCTS, *RELU, *RECORDS, *RANGES]

THOROUGH = frozenset(
    {
        "step dropped for one layer",
        "last step dropped",
        "update made twice for one layer",
        "state from another run",
        "final state of another run",
        "final state with the last step twice",
        "cells of two steps exchanged in one layer",
        "cells of two samples exchanged",
        "cells of another run",
        "cells of another run in one layer",
        "H' of two layers exchanged",
        "remainders of two layers exchanged",
        "update made twice",
        "final biases moved between layers",
        "mask of another step",
        "gradient of another layer",
        "outputs of another step",
        "remainder -1",
        "opposite errors of H' in two layers",
        "opposite errors in two samples",
        "opposite errors in one block",
        "opposite errors of the final state in two columns",
        "error of A against error of G",
        "signs of two layers exchanged",
        "cells of another run at one step",
        "mask of another layer",
        "initial layer from another run",
        "layer from another run",
        "final state of the step before",
        "steps rotated",
        "record twice in a batch",
        "Z' out of range at the last step",
    }
)
"""Attacks so close to others that the slow tests are early enough."""
