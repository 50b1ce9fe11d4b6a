"""Attacks on chains of runs: each with the reason of its refusal and the guard that stands in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from zkdl.errors import ProofRejected, Reason
from zkdl.protocol import chain
from zkdl.protocol.chain import InitialEvidence
from zkdl.protocol.proof import Proof
from zkdl.protocol.statement import Statement
from zkdl.verifier import verify_chain

from . import guards
from .cases import SMALL, Run, Start, after, forge, random_data, train

Pair = tuple[Statement, Proof]
WIDTHS = (3, 3, 2)
# Two epochs of these records have other batches, and the batches inside one too.
RECORDS = 8


def extend(run: Run, **change: object) -> Run:
    """An honest run that continues ``run``; ``change`` may lie."""
    s = run.statement
    arguments: dict[str, object] = {
        "start": after(run),
        "first_step": s.first_step + s.steps,
        "data": run.witness.data,
        "records": len(run.witness.data),
    }
    out = train(WIDTHS, **{**arguments, **change})
    if out.witness.data is run.witness.data:
        out.witness.data_blinds = run.witness.data_blinds
        out.statement = replace(out.statement, data_commitment=s.data_commitment)
    return out


def pair(run: Run) -> Pair:
    """The statement, and a proof that was made without looking."""
    return run.statement, forge(run.statement, run.witness)


@cache
def honest() -> tuple[Run, Run, Run]:
    """Three runs in a row."""
    first = train(WIDTHS, records=RECORDS)
    second = extend(first)
    return first, second, extend(second)


@cache
def pairs() -> tuple[Pair, Pair, Pair]:
    """Their statements and proofs."""
    a, b, c = (pair(run) for run in honest())
    return a, b, c


def verdict(runs: list[Pair], **arguments: object) -> tuple[str, int | None] | None:
    """(reason, position) of the refusal, or None."""
    try:
        verify_chain(runs, **arguments)
    except ProofRejected as error:
        return str(error.reason), error.position
    return None


def _taken_for_granted(statement: Statement) -> InitialEvidence | None:
    s = statement
    if not s.initial_commitment:
        return None
    return InitialEvidence(s.initial_commitment, s.initial_limit, s.widths, s.bias, s.row_bits)


def no_hand_over() -> AbstractContextManager[object]:
    """The bug of a chain whose links are not compared at all."""
    return guards.planted(
        ("zkdl.verifier.chain.check_link", lambda before, statement: _taken_for_granted(statement))
    )


def no_evidence_needed() -> AbstractContextManager[object]:
    """The bug of taking an initial commitment on trust."""
    return guards.planted(("zkdl.verifier.verify.check_initial", lambda statement, evidence: None))


def limit_not_raised() -> AbstractContextManager[object]:
    """The bug of handing on the limit of the initial weights as if training changed nothing."""
    honest_hand_on = chain.hand_on

    def forgetful(statement: Statement) -> InitialEvidence:
        return replace(honest_hand_on(statement), limit=max(1, statement.initial_limit))

    return guards.planted(("zkdl.protocol.chain.hand_on", forgetful))


def not_compared(name: str) -> Callable[[], AbstractContextManager[object]]:
    """The bug of a field that two runs may differ in."""
    kept = tuple(field for field in chain._SAME if field != name)
    return lambda: guards.planted(("zkdl.protocol.chain._SAME", kept))


def unsettled(*labels: str) -> Callable[[], AbstractContextManager[object]]:
    """A verifier that forgets equations."""
    return lambda: guards.without(*labels)


@contextmanager
def both(*contexts: AbstractContextManager[object]) -> Iterator[None]:
    """Two bugs at once."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


@dataclass(frozen=True)
class Attack:
    """A chain that must not be accepted.

    Args:
        name: what the adversary does.
        make: the chain, all its proofs honest but for what the name says.
        reason, position: of the refusal.
        plant: the bug with which it is accepted.
    """

    name: str
    make: Callable[[], list[Pair]]
    reason: Reason
    position: int
    plant: Callable[[], AbstractContextManager[object]]


def _spliced() -> list[Pair]:
    """The second run goes on from the weights of another first one."""
    other = train(WIDTHS, data=random_data(WIDTHS, RECORDS, SMALL, seed=5), records=RECORDS)
    return [pairs()[0], pair(extend(other))]


def _understated() -> list[Pair]:
    first, _, _ = honest()
    start = after(first)
    largest = max(int(np.abs(part).max()) for part in (*start.weights, *start.biases))
    return [pairs()[0], pair(extend(first, start=replace(start, limit=largest)))]


def _another_base() -> list[Pair]:
    """The differences are added to other initial weights."""
    return [pairs()[0], pair(extend(honest()[0], initial_seed=2))]


def _no_base() -> list[Pair]:
    """The differences are taken for all of the weights."""
    return [pairs()[0], pair(extend(honest()[0], initial_seed=None))]


def _other_settings() -> list[Pair]:
    """The same integers at another scale."""
    return [pairs()[0], pair(extend(honest()[0], settings=replace(SMALL, weight_scale=13)))]


def _from_scratch() -> list[Pair]:
    """The second run begins anew."""
    return [pairs()[0], pairs()[0]]


def _off_by_one(start: Start) -> Start:
    weights = [np.array(part) for part in start.weights]
    weights[0][1, 2] += 1
    return replace(start, weights=weights)


def _lies_about_one_entry() -> list[Pair]:
    """Everything is computed, and opened, with a W_0 that is not the committed one."""
    first = honest()[0]
    return [pairs()[0], pair(extend(first, start=_off_by_one(after(first))))]


def _computes_with_another_entry() -> list[Pair]:
    """Everything is computed with another W_0, but the committed one is opened."""
    first = honest()[0]
    run = extend(first, start=_off_by_one(after(first)))
    computed = run.witness.initial_difference
    run.witness.initial_difference = after(first).weights

    from zkdl.prover.tensors import Tensors

    class Liar(Tensors):
        def __init__(self, instance: object, witness: object) -> None:
            super().__init__(instance, witness)
            base = instance.base[0]
            self.initial = ([a + b for a, b in zip(base, computed, strict=True)], self.initial[1])

    return [pairs()[0], (run.statement, forge(run.statement, run.witness, tensors=Liar))]


def _drop() -> list[Pair]:
    return [pairs()[0], pairs()[2]]


ATTACKS = [
    Attack("a run dropped", _drop, Reason.CHAIN, 1, no_hand_over),
    Attack("the first run dropped", lambda: list(pairs()[1:]), Reason.INITIAL, 0, no_evidence_needed),
    Attack("a run verified alone", lambda: [pairs()[1]], Reason.INITIAL, 0, no_evidence_needed),
    Attack(
        "runs reordered", lambda: [pairs()[0], pairs()[2], pairs()[1]], Reason.CHAIN, 1, no_hand_over
    ),
    Attack("a run repeated", lambda: [*pairs()[:2], pairs()[1]], Reason.CHAIN, 2, no_hand_over),
    Attack("a run from scratch", _from_scratch, Reason.CHAIN, 1, no_hand_over),
    Attack("weights of another run", _spliced, Reason.CHAIN, 1, no_hand_over),
    Attack("limit understated", _understated, Reason.CHAIN, 1, limit_not_raised),
    Attack("another initial seed", _another_base, Reason.CHAIN, 1, not_compared("initial_seed")),
    Attack("no initial seed", _no_base, Reason.CHAIN, 1, not_compared("initial_seed")),
    Attack("other settings", _other_settings, Reason.CHAIN, 1, not_compared("settings")),
    Attack(
        "another W_0 opened", _lies_about_one_entry, Reason.WEIGHTS, 1, unsettled("opening/weights")
    ),
    Attack(
        "another W_0 computed with", _computes_with_another_entry, Reason.WEIGHTS, 1,
        unsettled("update/final", "settle"),
    ),
]  # fmt: skip
