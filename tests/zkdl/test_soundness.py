"""Attacks on the relation: each is refused for its own reason and succeeds once its guard is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.zkdl.adversaries import guards
from tests.zkdl.adversaries.cases import Run, forge, reason, train
from tests.zkdl.adversaries.semantic import ATTACKS, Attack, check_attack
from zkdl.prover import prove


def _cases() -> Iterator[object]:
    """Attacks that a range argument has to stop run with both; the others with ``lookup`` only on demand."""
    for attack in ATTACKS:
        for ranges in attack.ranges:
            name = f"{attack.name} / {ranges}{' / planted' if attack.plant else ''}".replace("'", "")
            both = isinstance(attack.reason, tuple) or len(attack.ranges) == 1 or ranges == "bits"
            yield pytest.param(attack, ranges, id=name, marks=() if both else pytest.mark.slow)


@pytest.mark.parametrize(("attack", "ranges"), list(_cases()))
def test_attack_is_refused_and_succeeds_without_its_guard(attack: Attack, ranges: str) -> None:
    check_attack(attack, ranges)


@pytest.mark.parametrize("ranges", ["bits", "lookup"])
def test_the_honest_run_of_the_attacks_verifies(ranges: str) -> None:
    run: Run = train()
    assert reason(run.statement, prove(run.statement, run.witness, ranges=ranges)) is None
    assert reason(run.statement, forge(run.statement, run.witness, ranges=ranges)) is None


@pytest.mark.parametrize("ranges", ["bits", "lookup"])
def test_every_kind_of_equation_stops_some_attack(ranges: str) -> None:
    """No check of the verifier is there without an adversary that needs it."""
    run: Run = train()
    with guards.without("") as labels:
        assert reason(run.statement, prove(run.statement, run.witness, ranges=ranges)) is None
    attacked = {
        prefix for attack in ATTACKS if ranges in attack.ranges for prefix in attack.guard_labels(ranges)
    }
    unattacked = {label for label in labels if not label.startswith(tuple(attacked))}
    assert not unattacked
    for prefix in attacked:
        assert any(label.startswith(prefix) for label in labels), prefix
