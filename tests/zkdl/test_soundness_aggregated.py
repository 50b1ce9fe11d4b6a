"""The attacks at aggregated scale: five steps and four layers of unequal widths in one proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.zkdl.adversaries import cases, files, forgeries, guards, phantoms, splices, trainers
from tests.zkdl.adversaries.aggregated import ATTACKS, THOROUGH, knowing
from tests.zkdl.adversaries.arguments import LyingLedger
from tests.zkdl.adversaries.cases import SMALL, Run, forge, random_data, reason
from tests.zkdl.adversaries.forgeries import Forgery
from tests.zkdl.adversaries.provers import as_computed, stated_as, trajectory
from tests.zkdl.adversaries.semantic import Attack, check_attack
from zkdl.errors import InputError, Reason
from zkdl.protocol import update
from zkdl.protocol.chain import InitialEvidence
from zkdl.protocol.channel import Section
from zkdl.protocol.settings import Settings
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover import prove
from zkdl.training.commitments import commit_data

RANGES = ["bits", "lookup"]
SLOW = pytest.mark.slow


def _cases() -> Iterator[object]:
    """With ``lookup``; with ``bits`` too where the range argument has to stop it, else on demand.

    Of a forgery that has a planted bug of its own, that case is enough: it is refused first there, too.
    """
    planted = {attack.name for attack in ATTACKS if attack.plant}
    for attack in ATTACKS:
        for ranges in attack.ranges:
            name = f"{attack.name} / {ranges}{' / planted' if attack.plant else ''}".replace("'", "")
            default = ranges == "lookup" or isinstance(attack.reason, tuple) or len(attack.ranges) == 1
            twin = attack.plant is None and attack.name in planted
            slow = attack.name in THOROUGH or twin or not default
            yield pytest.param(attack, ranges, id=name, marks=SLOW if slow else ())


@pytest.mark.parametrize(("attack", "ranges"), list(_cases()))
def test_attack_is_refused_and_succeeds_without_its_guard(attack: Attack, ranges: str) -> None:
    check_attack(attack, ranges)


@pytest.mark.parametrize("ranges", RANGES)
def test_the_honest_run_of_the_attacks_verifies(ranges: str) -> None:
    for run in (splices.honest(), splices.other()):
        assert reason(run.statement, prove(run.statement, run.witness, ranges=ranges)) is None
    run = splices.settled(splices.honest())
    assert reason(run.statement, forge(run.statement, run.witness, ranges=ranges)) is None


def _extreme_run() -> Run:
    """At step 0 Z' takes both ends of its range and so does H'; later many Z' are zero.

    The seeds were searched for; the weights are those of initial seed 1.
    """
    data = random_data(splices.WIDTHS, splices.SPREAD, SMALL)
    features = splices.WIDTHS[0]
    data[:, :features] = 0
    for record, seed in zip(splices.named_order(splices.SPREAD)[0], (2136, 26560, 16893), strict=True):
        rng = np.random.default_rng(seed)
        data[record] = [*rng.integers(-60, 61, features), *rng.integers(-90, 91, splices.WIDTHS[-1])]
    return splices.train(records=splices.SPREAD, data=data)


@pytest.mark.parametrize("ranges", RANGES)
def test_values_at_both_ends_of_their_ranges_and_zeroes(ranges: str) -> None:
    run = _extreme_run()
    w, limit = run.witness, SMALL.activation_limit
    rescaled = [p - limit * s for p, s in zip(w.positive, w.sign, strict=True)]
    assert (max(z.max() for z in rescaled), min(z.min() for z in rescaled)) == (limit - 1, -limit)
    hidden = SMALL.gradient_limit
    assert (max(h.max() for h in w.gradient), min(h.min() for h in w.gradient)) == (hidden - 1, -hidden)
    assert sum(np.count_nonzero(z == 0) for z in rescaled[:-1]) > 20
    assert reason(run.statement, prove(run.statement, w, ranges=ranges)) is None


@pytest.mark.parametrize(
    ("ranges", "donor"),
    [
        ("lookup", splices.honest),
        *(pytest.param(*case, marks=SLOW) for case in (("lookup", splices.other), ("bits", splices.other))),
    ],
)
def test_sections_of_other_proofs_are_refused(ranges: str, donor: Callable[[], Run]) -> None:
    """Of another proof of the same run, or of another run of the same shape; each alone, and all but one."""
    run, other = splices.honest(), donor()
    proof, theirs = (bytes(forge(r.statement, r.witness, ranges=ranges)) for r in (run, other))
    assert reason(run.statement, proof) is None
    for section in Section:
        mixed = files.with_section(proof, section, files.section(theirs, section))
        assert len(mixed) == len(proof)
        assert reason(run.statement, mixed) is not None, section
        rest = files.with_section(theirs, section, files.section(proof, section))
        renamed = rest[: files.HEADER - 32] + run.statement.digest() + rest[files.HEADER :]
        assert reason(run.statement, renamed) is not None, section


def test_a_proof_of_another_run_is_refused_even_without_the_digest() -> None:
    run, other = splices.honest(), splices.other()
    proof = forge(other.statement, other.witness)
    assert reason(run.statement, proof) == Reason.STATEMENT_MISMATCH
    with guards.without_digest_check():
        assert reason(run.statement, proof) not in (None, Reason.STATEMENT_MISMATCH)
        # Two statements that differ in one commitment of the final state, nothing else.
        final = other.statement.final_commitment
        assert reason(replace(other.statement, final_commitment=final[48:] + final[:48]), proof) is not None


# Shapes at which arguments are empty: no step variables, no batch variables, no hidden layer, width one.

SHAPES = {
    "one of everything": {"widths": (1, 1), "batch_size": 1, "steps": 1, "records": 1},
    "batches of one": {"widths": (3, 4, 2), "batch_size": 1, "steps": 3, "records": 2},
    "one step": {"widths": (4, 3, 2), "batch_size": 3, "steps": 1, "records": 4},
    "one layer": {"widths": (5, 3), "batch_size": 3, "steps": 5, "records": 7},
    "width one": {"widths": (1, 1, 1), "batch_size": 2, "steps": 3, "records": 3},
}


def _train(shape: dict[str, object], **options: object) -> Run:
    data = random_data(shape["widths"], shape["records"], Settings(2, 4, 12, 8, 8, 8))
    return cases.train(**{**shape, "data": data, **options})


def _final_weight(shape: dict[str, object]) -> Forgery:
    run = _train(shape)
    run.witness.final_difference[-1][0, 0] += 1
    run.recommit()
    return Forgery(run)


def _final_bias(shape: dict[str, object]) -> Forgery:
    run = _train(shape)
    run.witness.bias_difference[0][-1] -= 1
    run.recommit()
    return Forgery(run)


def _output(shape: dict[str, object]) -> Forgery:
    run = _train(shape)
    run.witness.positive[-1][-1, -1, 0] ^= 1
    return Forgery(splices.settled(run))


def _other_start(shape: dict[str, object]) -> Forgery:
    run = _train(shape, initial_seed=2)
    run.statement = replace(run.statement, initial_seed=1)
    return Forgery(run, {"believed": stated_as(initial_seed=2)})


def _nudged(shape: dict[str, object]) -> Forgery:
    run = _train(shape, after_step=trainers.nudging(int(shape["steps"]) - 1, 1))
    return Forgery(run, {"work": trajectory(run)})


class _OtherLabel(trainers.Tampered):
    """One label of the first step is off by one."""

    def residual(self, output: np.ndarray, y: np.ndarray) -> np.ndarray:
        out = output - y
        out[0, 0] += self.steps_done == 0
        return out


def _label(shape: dict[str, object]) -> Forgery:
    made: list[trainers.Tampered] = []

    def start(*args: object) -> trainers.Tampered:
        made.append(_OtherLabel(*args))
        return made[0]

    run = _train(shape, trainer=start)
    return Forgery(run, {"tensors": as_computed(made[0])})


def _row(shape: dict[str, object]) -> Forgery:
    run = _train(shape)
    other = run.witness.data.copy()
    other[splices.Instance(run.statement).used_records[0], 0] += 1
    commitment = commit_data(other, run.witness.data_blinds)
    run.statement = replace(run.statement, data_commitment=commitment)
    return Forgery(run)


DEGENERATE: list[tuple[str, Callable[..., Forgery], Reason, str]] = [
    ("final weight", _final_weight, Reason.WEIGHTS, "update/final"),
    ("final bias", _final_bias, Reason.WEIGHTS, "update/final"),
    ("weight nudged", _nudged, Reason.WEIGHTS, "update/final"),
    ("other initial weights", _other_start, Reason.WEIGHTS, "update/final"),
    ("output", _output, Reason.MATMUL, "matmul/final"),
    ("label", _label, Reason.OPENING, "opening/final"),
    ("row", _row, Reason.DATA, "opening/data"),
]


@pytest.mark.parametrize("ranges", [pytest.param("bits", marks=SLOW), "lookup"])
@pytest.mark.parametrize(
    "shape", [pytest.param(name, marks=SLOW if k > 1 else ()) for k, name in enumerate(SHAPES)]
)
def test_attacks_at_shapes_that_leave_arguments_empty(shape: str, ranges: str) -> None:
    for name, forgery, expected, guard in DEGENERATE:
        attack = Attack(name, lambda make=forgery: make(SHAPES[shape]), expected, (guard,))
        check_attack(attack, ranges)


@pytest.mark.parametrize(
    ("sumcheck", "name", "ranges"),
    [
        ("matmul", "cells of two steps exchanged", "lookup"),
        ("update", "step dropped", "lookup"),
        ("zkrelu", "mask of another layer", "lookup"),
        ("ranges", "bit of two", "bits"),
        ("opening", "labels of another step", "lookup"),
        ("ledger/products", None, "lookup"),
    ],
)
def test_sumchecks_need_their_first_challenge(sumcheck: str, name: str | None, ranges: str) -> None:
    """A false claim ends up in c_1; a first challenge that is known to be zero leaves c_1 out."""
    if name is None:
        forgery = forgeries.with_ledger(forgeries.relu(), LyingLedger)
    else:
        forgery = next(attack for attack in ATTACKS if attack.name == name).make()
    statement, witness = forgery.run.statement, forgery.run.witness
    assert reason(statement, forge(statement, witness, ranges=ranges, **forgery.parts)) is not None
    with knowing(f"{sumcheck}/r0", value=0)():
        assert reason(statement, forge(statement, witness, ranges=ranges, **forgery.parts)) is None


@pytest.mark.parametrize("ranges", RANGES)
def test_a_learning_rate_that_is_another_one_modulo_the_group_order(ranges: str) -> None:
    """mu + r moves weights by the same field elements as mu: only bounds tell them apart.

    The forged statement says eta is astronomical; the run was an ordinary one. Two guards stand in its way.
    """
    run = splices.honest()
    shift = SMALL.weight_scale - SMALL.activation_scale - SMALL.gradient_scale
    rate = run.statement.learning_rate
    wrapped = rate + Fraction(R * splices.BATCH, 1 << shift)
    with pytest.raises(InputError, match="learning_rate"):
        replace(run.statement, learning_rate=wrapped)
    any_rate = [
        (f"zkdl.protocol.{module}.as_learning_rate", Fraction) for module in ("settings", "statement")
    ]
    with guards.planted(*any_rate):
        run.statement = replace(run.statement, learning_rate=wrapped)
        assert run.statement.mu == 1 + R
        with guards.planted(("zkdl.protocol.bounds.check", lambda *args, **options: None)):
            parts = {"believed": stated_as(learning_rate=rate)}
            proof = forge(run.statement, run.witness, ranges=ranges, **parts)
            assert reason(run.statement, proof) is None
        assert reason(run.statement, proof) == Reason.BAD_STATEMENT


@pytest.mark.parametrize("ranges", RANGES)
def test_a_neuron_in_the_padding_of_committed_initial_weights(ranges: str) -> None:
    """Nobody proves that padding of a handed-on commitment is zero; so it must not count."""
    forgery, limit = phantoms.hidden_neuron()
    s = forgery.run.statement
    evidence = InitialEvidence(s.initial_commitment, limit, s.widths, s.bias, s.row_bits)

    def attempt() -> str | None:
        return reason(s, forge(s, forgery.run.witness, ranges=ranges, **forgery.parts), evidence)

    assert attempt() == Reason.WEIGHTS
    with guards.without("update/final"):
        assert attempt() is None
    honest = update._initial_functional

    def everything(*arguments: object) -> object:
        parts, constant = honest(*arguments)
        return [replace(part, real=None) for part in parts], constant

    with guards.planted(("zkdl.protocol.update._initial_functional", everything)):
        assert attempt() is None
