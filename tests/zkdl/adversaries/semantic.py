"""The attacks on the relation: each breaks one rule, names its reason and the guard that stops it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from zkdl.errors import Reason, WitnessError
from zkdl.prover import prove
from zkdl.training.check import check_witness

from . import forgeries as make
from . import guards, orders, trainers
from .arguments import LyingLedger
from .bugs import diagonal_identity_test, own_order, padding_continues_the_narrowest_table
from .cases import forge, reason, train
from .forgeries import Forgery
from .guards import known_challenge
from .provers import FreeLeaves, LyingInverse, LyingRoots, OtherCells


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


def check_attack(attack: Attack, ranges: str) -> None:
    """The forgery is refused for its own reason, and verifies once its guard is gone."""
    forgery = attack.make()
    statement, witness = forgery.run.statement, forgery.run.witness
    statement.validate()
    if forgery.parts:
        proof = forge(statement, witness, ranges=ranges, **forgery.parts)
    else:
        # A wrong witness alone: the prover as published, told not to look.
        proof = prove(statement, witness, ranges=ranges, check_witness=False)
    assert reason(statement, proof) == attack.expected(ranges)

    if attack.plant is not None:
        with attack.plant():
            planted = forge(statement, witness, ranges=ranges, **forgery.parts)
            assert reason(statement, planted) is None
    else:
        with guards.without(*attack.guard_labels(ranges)) as forgotten:
            assert reason(statement, proof) is None
        assert forgotten

    if attack.witness:
        with pytest.raises(WitnessError):
            check_witness(statement, witness)


OUT_OF_RANGE = (Reason.RANGE, Reason.MULTIPLICITY)
RANGE_GUARD = {"bits": ("ranges/recompose",), "lookup": ("lookup/sum",)}


ATTACKS = [
    Attack("wrong ReLU output", make.relu, Reason.ACTIVATION, ("zkrelu/final",)),
    Attack("wrong ReLU output, cells misreported", make.relu_adaptive, Reason.OPENING, ("opening/final",)),
    Attack("gradient through an inactive neuron", make.gate, Reason.ACTIVATION, ("zkrelu/final",)),
    Attack("sign of zero", make.sign_of_zero, OUT_OF_RANGE, RANGE_GUARD),
    Attack("remainder 2^w", make.remainder(True), OUT_OF_RANGE, RANGE_GUARD),
    Attack("remainder -1", make.remainder(False), OUT_OF_RANGE, RANGE_GUARD),
    Attack("H' out of range", make.gradient_out_of_range, OUT_OF_RANGE, RANGE_GUARD),
    Attack("Z' out of range", make.activation_out_of_range, OUT_OF_RANGE, RANGE_GUARD),
    Attack("label out of range", make.data_out_of_range, OUT_OF_RANGE, RANGE_GUARD),
    Attack("wrong Z'", make.product, Reason.MATMUL, ("matmul/final",)),
    Attack("wrong H'", make.gradient_product, Reason.MATMUL, ("matmul/final",)),
    Attack("wrong mu", make.learning_rate, Reason.WEIGHTS, ("update/final",)),
    Attack(
        "one weight nudged",
        make.weights_of_its_own(after_step=lambda: trainers.nudging(0, 2)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack(
        "one layer not updated",
        make.weights_of_its_own(after_step=lambda: trainers.skipping(lambda k: k == 2, 1)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack(
        "step dropped",
        make.weights_of_its_own(after_step=lambda: trainers.skipping(lambda k: True, 1)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack(
        "gradient of another batch",
        make.weights_of_its_own(after_step=lambda: trainers.learning_from(make.other_batch_rows(), 1)),
        Reason.WEIGHTS,
        ("update/final",),
    ),
    Attack("other labels", make.labels, Reason.OPENING, ("opening/final",)),
    Attack("steps reordered", make.order(orders.reverse), Reason.OPENING, ("opening/final",)),
    Attack("steps reordered", make.order(orders.reverse), Reason.OPENING, plant=own_order(orders.reverse)),
    Attack("step repeated", make.order(orders.repeat), Reason.OPENING, ("opening/final",)),
    Attack("batches of another seed", make.order(orders.other_seed), Reason.OPENING, ("opening/final",)),
    Attack(
        "batches of another seed",
        make.order(orders.other_seed),
        Reason.OPENING,
        plant=own_order(orders.other_seed),
    ),
    Attack(
        "one record twice in a batch",
        make.order(orders.within_batch),
        Reason.OPENING,
        ("opening/final",),
    ),
    Attack("row not committed", make.foreign_row, Reason.DATA, ("opening/data",)),
    Attack("other initial weights", make.initial_weights, Reason.WEIGHTS, ("update/final",)),
    Attack("other final weight", make.final_weight, Reason.WEIGHTS, ("update/final",)),
    Attack("other final bias", make.final_bias, Reason.WEIGHTS, ("update/final",)),
    Attack("other final commitment", make.final_commitment, Reason.WEIGHTS, ("opening/weights",)),
    Attack("antisymmetric difference", make.antisymmetric, Reason.WEIGHTS, ("update/final",)),
    Attack("antisymmetric difference", make.antisymmetric, Reason.WEIGHTS, plant=diagonal_identity_test),
    Attack("sample in the padding of a batch", make.phantom_sample, Reason.MATMUL, ("matmul/final",)),
    Attack(
        "cells other than committed",
        lambda: Forgery(train(), {"work": OtherCells}),
        Reason.OPENING,
        ("opening/opening",),
        witness=False,
    ),
    Attack(
        "wrong ReLU output, relations said to hold",
        lambda: make.with_ledger(make.relu(), LyingLedger),
        Reason.SUMCHECK,
        ("ledger/opening",),
    ),
    Attack("bit of two", make.bit_of_two, Reason.RANGE, ("ranges/final",), ranges=("bits",)),
    Attack(
        "one multiplicity too high",
        make.multiplicity(make.one_more),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
        witness=False,
        ranges=("lookup",),
    ),
    Attack(
        "one multiplicity moved",
        make.multiplicity(make.moved),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
        witness=False,
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero as an entry of another width",
        make.sign_of_zero_other_width,
        Reason.MULTIPLICITY,
        plant=lambda: known_challenge(lambda label: label == b"lookup/beta", 0),
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero on table padding",
        make.table_padding,
        Reason.MULTIPLICITY,
        plant=padding_continues_the_narrowest_table,
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero, root misreported",
        make.lying(LyingRoots),
        Reason.RANGE,
        ("lookup/layers",),
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero, inverse misreported",
        make.lying(LyingInverse),
        Reason.RANGE,
        ("lookup/inverse",),
        ranges=("lookup",),
    ),
    Attack(
        "sign of zero, numerator zero",
        make.lying(FreeLeaves),
        Reason.RANGE,
        ("lookup/leaves",),
        ranges=("lookup",),
    ),
]
