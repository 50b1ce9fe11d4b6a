"""Forgeries that live inside single arguments, and the planted bugs that let them through."""

from __future__ import annotations

import numpy as np
import pytest

from tests.zkdl.adversaries import arguments, fieldwise, guards
from tests.zkdl.adversaries.cases import SMALL, forge, random_data, reason, train
from tests.zkdl.adversaries.forgeries import WIDTHS, foreign_row, relu
from tests.zkdl.adversaries.provers import tensors_with
from tests.zkdl.adversaries.semantic import RANGE_GUARD
from zkdl.errors import Reason, WitnessError
from zkdl.protocol import opening as honest_opening
from zkdl.protocol.claims import BlockPart
from zkdl.prover.channel import ProverChannel, SecretRows
from zkdl.training.check import check_witness


@pytest.mark.parametrize("ranges", ["bits", "lookup"])
def test_records_of_field_elements_that_are_no_small_integers(ranges: str) -> None:
    run = fieldwise.field_run()
    assert max(int(v) for v in run.witness.data.reshape(-1)) > 1 << 200
    with fieldwise.any_integers():
        parts = {"tensors": fieldwise.FieldTensors, "work": fieldwise.FieldWork}
        proof = forge(run.statement, run.witness, ranges=ranges, **parts)
    expected = Reason.RANGE if ranges == "bits" else Reason.MULTIPLICITY
    assert reason(run.statement, proof) == expected
    with guards.without(*RANGE_GUARD[ranges]) as forgotten:
        assert reason(run.statement, proof) is None
    assert forgotten
    with pytest.raises(WitnessError):
        check_witness(run.statement, run.witness)


def _forging_channel() -> tuple[object, type[arguments.ForgingChannel]]:
    """The prover knows the committed record but computes with another one."""
    run = foreign_row().run
    committed = random_data(WIDTHS, 4, SMALL)
    committed[1, 0] += 3
    rows = SecretRows(committed, run.witness.data_blinds)
    return run, type("_Channel", (arguments.ForgingChannel,), {"committed": rows})


def test_folding_with_the_evaluation_point_opens_anything() -> None:
    run, channel = _forging_channel()
    proof = forge(run.statement, run.witness, channel=channel)
    assert reason(run.statement, proof) == Reason.DATA
    with guards.planted(("zkdl.protocol.opening.inner_product", arguments.inner_product_folded_by_the_point)):
        # The bug is invisible to honest provers, and forgeable at will.
        honest = train()
        assert reason(honest.statement, forge(honest.statement, honest.witness)) is None
        proof = forge(run.statement, run.witness, channel=channel)
        assert reason(run.statement, proof) is None


def test_a_challenge_that_ignores_the_cross_terms_proves_anything() -> None:
    """Fiat-Shamir with one absorb dropped: y of the product at the end of the ledger."""
    forgery = relu()
    run = forgery.run

    def attempt() -> object:
        return forge(run.statement, run.witness, ledger=arguments.LookingAhead, **forgery.parts)

    assert reason(run.statement, attempt()) == Reason.SUMCHECK
    with guards.without_absorbing(lambda label: label == b"ledger/y"):
        assert reason(run.statement, attempt()) is None


@pytest.mark.parametrize(
    ("label", "value"),
    [
        # Of the two linear relations the one that ties the product to its factors drops out.
        (b"ledger/linear", 0),
        # e = 0 asks for y = x B and nothing else.
        (b"ledger/e", 0),
    ],
)
def test_the_ledger_needs_its_challenges(label: bytes, value: int) -> None:
    forgery = relu()
    run = forgery.run

    def attempt() -> object:
        return forge(run.statement, run.witness, ledger=arguments.LyingLedger, **forgery.parts)

    assert reason(run.statement, attempt()) == Reason.SUMCHECK
    with guards.known_challenge(lambda name: name == label, value):
        assert reason(run.statement, attempt()) is None


@pytest.mark.parametrize("lie", [(0, 0), (1, 0), (1, -1)])
def test_two_values_claimed_for_one_evaluation(lie: tuple[int, int]) -> None:
    run = train()
    parts = [BlockPart("cells", ("positive", 1), 1, (3, 5, 7, 11))]

    def with_duplicates(ch, instance, claims, rows, work) -> None:
        values = ch.scalars("duplicates", 2, lambda: [work.evaluate(parts) + d for d in lie])
        for value in values:
            claims.add(value, parts)
        honest_opening.opening(ch, instance, claims, rows, work)

    with guards.planted(("zkdl.protocol.schedule.opening", with_duplicates)):
        expected = Reason.OPENING if any(lie) else None
        assert reason(run.statement, forge(run.statement, run.witness)) == expected
        # Planted: claims are added up without random coefficients, so opposite lies cancel.
        with guards.known_challenge(lambda label: label == b"opening/combine", 1):
            proof = forge(run.statement, run.witness)
            assert reason(run.statement, proof) == (None if sum(lie) == 0 else Reason.OPENING)
        with guards.without("opening/final"):
            assert reason(run.statement, forge(run.statement, run.witness)) is None


class _OppositeErrors(ProverChannel):
    """The last answers of two openings are off by one, in opposite directions."""

    def clear(self, label, count, values=None):
        off = {"opening/data/answer": 1, "opening/weights/answer": -1}.get(label, 0)
        return super().clear(label, count, lambda: [*values()[:-1], values()[-1] + off])


def test_equations_are_combined_with_a_challenge_nobody_knows() -> None:
    """Planted: the weights of the one final equation are known, so two false equations cancel."""
    run = train()
    assert reason(run.statement, forge(run.statement, run.witness, channel=_OppositeErrors)) == Reason.DATA
    with guards.known_challenge(lambda label: label == b"equations", 1):
        proof = forge(run.statement, run.witness, channel=_OppositeErrors)
        assert reason(run.statement, proof) is None


def test_prover_parts_that_only_replace_honest_ones_change_nothing() -> None:
    """Control: the attack machinery itself does not make honest proofs fail."""
    run = train()
    parts = {"tensors": tensors_with(lambda tensors: None), "channel": arguments.ForgingChannel}
    assert reason(run.statement, forge(run.statement, run.witness, **parts)) is None
    for ledger in (arguments.LyingLedger, arguments.LookingAhead):
        assert reason(run.statement, forge(run.statement, run.witness, ledger=ledger)) is None
    assert np.array_equal(run.witness.data, train().witness.data)
