"""Runs in a row: what a chain of proofs shows, and what does not pass for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import zkdl
from tests.zkdl.adversaries import chains
from tests.zkdl.adversaries.cases import SMALL, after, forge, random_data, reason, train
from tests.zkdl.adversaries.chains import ATTACKS, WIDTHS, Attack, extend, pair, verdict
from zkdl import arithmetic as za
from zkdl.errors import InputError, ProofRejected, Reason, WitnessError
from zkdl.protocol import bounds, update
from zkdl.protocol.chain import InitialEvidence, Link, check_initial, final_state, hand_on
from zkdl.protocol.commitment import blind_base, row_bases
from zkdl.protocol.instance import Instance
from zkdl.protocol.report import report
from zkdl.prover import prove
from zkdl.prover.tensors import Tensors
from zkdl.training.check import check_witness
from zkdl.verifier import verify_chain


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_refused_and_succeeds_without_its_guard(attack: Attack) -> None:
    runs = attack.make()
    assert verdict(runs) == (attack.reason, attack.position)
    with attack.plant():
        assert verdict(runs) is None


def test_the_honest_chain_verifies() -> None:
    runs = list(chains.pairs())
    assert verify_chain(runs) == [Link("same", "continue")] * 2
    assert verify_chain(runs[:1]) == []
    # The same with the published prover and the other range argument.
    proved = [(run.statement, prove(run.statement, run.witness, ranges="lookup")) for run in chains.honest()]
    assert verdict(proved) is None
    assert verdict([runs[0], proved[1], runs[2]]) is None


def test_what_is_left_open_is_reported() -> None:
    """Batches that come again, another sequence, other data: allowed, and visible."""
    first = chains.honest()[0]
    again = pair(extend(first, first_step=0))
    assert verify_chain([chains.pairs()[0], again]) == [Link("same", "jump")]
    data = random_data(WIDTHS, chains.RECORDS, SMALL, seed=5)
    assert verify_chain([chains.pairs()[0], pair(extend(first, data=data))]) == [Link("other", "continue")]
    for change in ({"seed": 9}, {"batch_size": 4}, {"data": data[:5], "records": 5}):
        (found,) = verify_chain([chains.pairs()[0], pair(extend(first, **change))])
        assert found.batches == "other"


def test_an_empty_chain_is_no_chain() -> None:
    with pytest.raises(InputError, match="at least one"):
        verify_chain([])


def test_evidence_from_elsewhere() -> None:
    """A run may start from committed weights that something other than a run vouches for."""
    second, proof = chains.pairs()[1]
    evidence = hand_on(chains.honest()[0].statement)
    assert reason(second, proof, evidence) is None
    assert verdict(list(chains.pairs()[1:]), initial=evidence) is None
    assert reason(second, proof, replace(evidence, limit=evidence.limit - 1)) is None
    for change in (
        {"limit": evidence.limit + 1},
        {"commitment": chains.honest()[1].statement.final_commitment},
        {"commitment": b""},
        {"row_bits": 6},
        {"bias": False},
        {"widths": (3, 2, 3)},
    ):
        assert reason(second, proof, replace(evidence, **change)) == Reason.INITIAL, change
    first, first_proof = chains.pairs()[0]
    assert reason(first, first_proof, evidence) == Reason.INITIAL


def test_what_is_handed_on_is_the_state_and_its_bound() -> None:
    first, second, third = chains.honest()
    change = max(bounds.change_bounds(WIDTHS, SMALL, 2, 2, first.statement.mu))
    for run, count in ((first, 1), (second, 2), (third, 3)):
        evidence = hand_on(run.statement)
        assert evidence.limit == count * change
        start = after(run)
        assert max(int(np.abs(part).max()) for part in start.weights) <= evidence.limit
        # The sum of the commitments opens to the sum of the differences.
        base = Instance(run.statement).base[0]
        assert all(
            np.array_equal(b + d, w) for b, d, w in zip(base, start.weights, run.weights[-1], strict=True)
        )
    assert second.statement.initial_commitment == first.statement.final_commitment
    assert third.statement.initial_commitment == final_state(second.statement)


def test_the_witness_keeps_the_stated_limit() -> None:
    run = extend(chains.honest()[0])
    largest = max(int(np.abs(p).max()) for p in run.witness.initial_difference)
    check_witness(run.statement, run.witness)
    tight = replace(run.statement, initial_limit=largest - 1)
    with pytest.raises(WitnessError, match="initial limit") as error:
        check_witness(tight, run.witness)
    assert error.value.relation == "initial limit"
    other = extend(chains.honest()[1])
    mixed = replace(run.statement, initial_commitment=other.statement.initial_commitment)
    with pytest.raises(WitnessError, match="initial commitment"):
        check_witness(mixed, run.witness)
    run.witness.initial_difference = []
    with pytest.raises(WitnessError, match="initial_difference must be a list of 2"):
        check_witness(run.statement, run.witness)


def test_committed_initial_weights_cost_two_points_and_nothing_without() -> None:
    first, second, _ = chains.honest()
    sizes = [report(Instance(run.statement, "bits")).proof_bytes for run in (first, second)]
    assert sizes[1] - sizes[0] == 96
    assert sizes == [len(proof) for _, proof in chains.pairs()[:2]]


def _noisy_padding(run: chains.Run) -> tuple[zkdl.Statement, type[Tensors]]:
    """``run`` with something committed where the layout of its initial weights has no weights."""
    stack, s = Instance(run.statement).initial, run.statement
    noise = np.zeros(1 << stack.num_vars, dtype=np.int64)
    block = stack.block(("weight", 1))
    assert block.axis_vars == (2, 2)
    assert block.shape == (3, 3)
    noise[block.offset + 3] = noise[block.offset + 12] = 5
    bases = np.concatenate([row_bases(1 << s.row_bits), blind_base()])
    blinds = np.zeros((len(stack.live_rows), 1), dtype=np.int64)
    extra = za.msm_rows(bases, np.hstack([stack.rows(noise), blinds]))
    points = za.g1.add(za.g1.from_bytes(s.initial_commitment), extra)
    noisy = replace(s, initial_commitment=b"".join(za.g1.to_bytes(points)))

    class Noisy(Tensors):
        def __init__(self, instance: Instance, witness: object) -> None:
            super().__init__(instance, witness)
            self.tables["initial"] = self.tables["initial"] + noise

    return noisy, Noisy


def test_padding_of_committed_initial_weights_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a fourth neuron stays empty, whatever is committed there: nobody stated such a neuron."""
    run = chains.honest()[1]
    noisy, tensors = _noisy_padding(run)
    evidence = replace(hand_on(chains.honest()[0].statement), commitment=noisy.initial_commitment)
    assert reason(noisy, forge(noisy, run.witness, tensors=tensors), evidence) is None

    # Planted: padding counts. Then what the prover computes without it no longer fits.
    honest = update._initial_functional

    def everything(*arguments: object) -> object:
        parts, constant = honest(*arguments)
        return [replace(part, real=None) for part in parts], constant

    monkeypatch.setattr(update, "_initial_functional", everything)
    assert reason(noisy, forge(noisy, run.witness, tensors=tensors), evidence) == Reason.WEIGHTS


def test_without_a_seed_all_of_the_initial_weights_are_committed() -> None:
    """Secret initial weights: the evidence about them has to come from elsewhere."""
    first = train(WIDTHS, records=chains.RECORDS)
    start = after(first)
    weights, _ = Instance(first.statement).base
    start.weights = [base + more for base, more in zip(weights, start.weights, strict=True)]
    stack = Instance(first.statement).initial
    values = {("weight", k + 1): w for k, w in enumerate(start.weights)}
    values.update({("bias", k + 1): b for k, b in enumerate(start.biases)})
    bases = np.concatenate([row_bases(1 << first.statement.row_bits), blind_base()])
    scalars = [
        np.concatenate([za.Fr.from_int64(row), blind.reshape(1, 4)])
        for row, blind in zip(stack.rows(stack.table(values)), start.blinds, strict=True)
    ]
    start.commitment = b"".join(za.g1.to_bytes(np.concatenate([za.msm(bases, row) for row in scalars])))
    start.limit = 1 << 20
    run = extend(first, start=start, initial_seed=None)
    check_witness(run.statement, run.witness)
    s = run.statement
    evidence = InitialEvidence(s.initial_commitment, s.initial_limit, s.widths, s.bias, s.row_bits)
    assert reason(*pair(run), evidence) is None
    # The same training as from the seed and the difference.
    assert all(np.array_equal(a, b) for a, b in zip(run.weights[-1], extend(first).weights[-1], strict=True))


def test_check_initial_names_what_is_missing() -> None:
    with pytest.raises(ProofRejected, match="together with the statement and proof of the run"):
        check_initial(chains.honest()[1].statement, None)
    check_initial(chains.honest()[0].statement, None)
