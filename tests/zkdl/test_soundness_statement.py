"""A statement changed after proving, or exchanged: refused, and by more than its digest."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fractions import Fraction

import pytest

from tests.zkdl.adversaries import chains, guards
from tests.zkdl.adversaries.cases import SMALL, Run, forge, reason, train
from zkdl.errors import Reason
from zkdl.protocol.chain import InitialEvidence
from zkdl.protocol.statement import Statement


@dataclass(frozen=True)
class Case:
    """A statement and the bytes of an honest proof."""

    statement: Statement
    proof: bytes


@pytest.fixture(scope="module")
def small() -> Case:
    run = train()
    return Case(run.statement, bytes(forge(run.statement, run.witness)))


UNBOUND = {
    Reason.SUMCHECK,
    # Of a statement of another shape the messages do not even decode, or do not fit.
    Reason.LENGTH,
    Reason.SCALAR_NOT_CANONICAL,
    Reason.POINT_NOT_CANONICAL,
    Reason.POINT_NOT_ON_CURVE,
}

CHANGES = {
    "widths": ((3, 4, 3, 2), None),
    "bias": (False, None),
    "settings": (replace(SMALL, gradient_scale=3, weight_scale=11), None),
    "batch_size": (1, None),
    "steps": (3, None),
    "learning_rate": (Fraction(4, 32), None),
    "seed": (2, None),
    "initial_seed": (2, None),
    "records": (5, Reason.BAD_STATEMENT),
    "row_bits": (6, Reason.BAD_STATEMENT),
    "data_commitment": ("other", None),
    "final_commitment": ("other", None),
    "loss": ("cross_entropy", Reason.BAD_STATEMENT),
    "backend": ("bls12-381/kzg", Reason.BAD_STATEMENT),
    "first_step": (1, None),
    "initial_commitment": (bytes(48), Reason.BAD_STATEMENT),
    "initial_limit": (1, Reason.BAD_STATEMENT),
    "data_ranges": ("separate", Reason.DATA),
    "version": (3, Reason.BAD_STATEMENT),
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_public_field_changed_after_proving(small: Case, field: str) -> None:
    assert set(CHANGES) == {f.name for f in fields(small.statement)}
    value, expected = CHANGES[field]
    if value == "other":
        old = getattr(small.statement, field)
        value = old[48:96] + old[:48] + old[96:]
    changed = replace(small.statement, **{field: value})
    if changed != small.statement and expected is None:
        changed.validate()
        assert reason(changed, small.proof) == Reason.STATEMENT_MISMATCH
        # The digest is not the only guard: the transcript binds every field as well.
        pasted = small.proof[:11] + changed.digest() + small.proof[43:]
        assert reason(changed, pasted) in UNBOUND
        with guards.without_digest_check():
            assert reason(changed, small.proof) in UNBOUND
    else:
        assert reason(changed, small.proof) == expected


@pytest.mark.parametrize(
    "field", ["initial_seed", "first_step", "initial_commitment", "initial_limit", "none"]
)
def test_every_field_of_a_start_changed_after_proving(field: str) -> None:
    """With evidence about what the changed statement says, so that only the proof can be wrong."""
    statement, proof = chains.pairs()[1]
    values = {
        "initial_seed": 2,
        "first_step": 0,
        "initial_commitment": statement.final_commitment,
        "initial_limit": statement.initial_limit + 1,
        "none": None,
    }
    changed = replace(statement, **{field.replace("none", "initial_seed"): values[field]})
    changed.validate()
    evidence = InitialEvidence(
        changed.initial_commitment, changed.initial_limit, changed.widths, changed.bias, changed.row_bits
    )
    assert reason(changed, proof, evidence) == Reason.STATEMENT_MISMATCH
    with guards.without_digest_check():
        assert reason(changed, proof, evidence) == Reason.SUMCHECK


@pytest.mark.parametrize(
    "name",
    ["activation_scale", "gradient_scale", "weight_scale", "activation_bits", "gradient_bits", "limb_bits"],
)
def test_every_setting_changed_after_proving(small: Case, name: str) -> None:
    changed_settings = replace(
        SMALL, **{name: getattr(SMALL, name) + (-1 if name in ("activation_bits", "gradient_bits") else 1)}
    )
    changed = replace(small.statement, settings=changed_settings)
    assert reason(changed, small.proof) in {Reason.STATEMENT_MISMATCH, Reason.BAD_STATEMENT}


def test_batch_size_that_would_be_valid(small: Case) -> None:
    changed = replace(small.statement, batch_size=1, learning_rate=Fraction(1, 32))
    changed.validate()
    assert reason(changed, small.proof) == Reason.STATEMENT_MISMATCH


def test_proof_of_one_statement_presented_for_another(small: Case) -> None:
    other = train(initial_seed=2)
    theirs = bytes(forge(other.statement, other.witness))
    assert reason(other.statement, theirs) is None
    assert reason(small.statement, theirs) == Reason.STATEMENT_MISMATCH
    renamed = theirs[:11] + small.statement.digest() + theirs[43:]
    assert reason(small.statement, renamed) == Reason.SUMCHECK


def _finer_statement() -> tuple[Run, object]:
    """Two statements with one integer relation: both scales one bit finer, the learning rate four times."""
    run = train(bias=False)
    finer = replace(SMALL, activation_scale=4, gradient_scale=5)
    changed = replace(run.statement, settings=finer, learning_rate=run.statement.learning_rate * 4)
    changed.validate()
    assert changed.mu == run.statement.mu
    return run, changed


def test_an_unbound_statement_could_be_exchanged() -> None:
    """Planted: the transcript forgets the statement and the digest is not compared."""
    run, changed = _finer_statement()
    proof = forge(run.statement, run.witness)
    assert reason(changed, proof) == Reason.STATEMENT_MISMATCH
    with guards.without_digest_check():
        assert reason(changed, proof) == Reason.SUMCHECK
    with guards.without_absorbing(lambda label: label == b"statement"):
        proof = forge(run.statement, run.witness)
        assert reason(run.statement, proof) is None
        assert reason(changed, proof) == Reason.STATEMENT_MISMATCH
        with guards.without_digest_check():
            assert reason(changed, proof) is None
