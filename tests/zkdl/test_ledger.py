"""Sumchecks and the ledger, against honest and cheating provers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.adversaries import guards
from tests.zkdl.adversaries.arguments import LyingLedger, argue
from tests.zkdl.arithmetic import twins
from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.arguments import random_combination, sumcheck
from zkdl.protocol.channel import MESSAGE_WIDTH, Section
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.channel import ProverChannel
from zkdl.prover.rounds import ProductRounds, Term

ELEMENTS = st.integers(0, R - 1) | st.integers(0, 3)


# Sumcheck


class _Rounds(ProductRounds):
    """Product rounds of a claim that is off by ``wrong``; one coefficient of one round is off by ``lie``."""

    def __init__(
        self, tables: dict, variables: int, eq: list[int], wrong: int, lie: int, at: int, of: int
    ) -> None:
        super().__init__(tables, [Term(1, ("f", "g"))], variables, eq)
        self._wrong, self._lie, self._at, self._of, self._count = wrong, lie, at, of, 0

    def coefficients(self, claim: int) -> list[int]:
        out = super().coefficients(claim - (0 if self._count else self._wrong))
        assert len(out) == 3
        if self._count == self._at:
            out[self._of] = (out[self._of] + self._lie) % R
        self._count += 1
        return out


def _sumcheck(
    variables: int, wrong: int = 0, lie: int = 0, at: int = 0, of: int = 2, eq: list[int] | None = None
) -> str | None:
    """A sumcheck over f g, with an eq factor in its lowest variables, on plain and on ledger channels."""
    rng = np.random.default_rng(variables)
    coordinates = [] if eq is None else eq
    tables = {name: za.Fr.from_int64(rng.integers(-9, 9, 1 << variables)) for name in "fg"}
    weights = [*twins.eq_table(coordinates)] * (1 << (variables - len(coordinates)))
    f, g = (za.Fr.to_ints(tables[name]) for name in "fg")
    true = sum(w * a * b for w, a, b in zip(weights, f, g, strict=True))

    def schedule(book) -> None:
        book.section(Section.MATMUL)
        (claim,) = book.scalars("claim", 1, lambda: [true + wrong])
        rounds = lambda: _Rounds(
            {k: t.copy() for k, t in tables.items()}, variables, coordinates, wrong, lie, at, of
        )
        point, end = sumcheck(book, "s", claim, variables, 2, rounds, coordinates)
        ends = [za.multilinear.evaluate(tables[name], point) for name in "fg"]
        book.require("end", [], end - ends[0] * ends[1] % R)

    return argue(schedule, ledger=Ledger)


@pytest.mark.parametrize("variables", [0, 1, 2, 5])
def test_sumcheck_accepts_the_sum_and_nothing_else(variables: int) -> None:
    assert _sumcheck(variables) is None
    for wrong in (1, R - 1, 1 << 200):
        assert _sumcheck(variables, wrong=wrong) == Reason.MATMUL
    for at in range(variables):
        assert _sumcheck(variables, lie=1, at=at) == Reason.MATMUL


EQ = [5, 1 << 90, R - 3, 0, 1]


@pytest.mark.parametrize(("variables", "known"), [(1, 1), (2, 1), (3, 3), (5, 2), (5, 5)])
def test_sumcheck_with_an_eq_factor(variables: int, known: int) -> None:
    eq = EQ[-known:]
    assert _sumcheck(variables, eq=eq) is None
    for wrong in (1, R - 1):
        assert _sumcheck(variables, wrong=wrong, eq=eq) == Reason.MATMUL
    for at in range(variables):
        for of in (1, 2):
            assert _sumcheck(variables, lie=1, at=at, of=of, eq=eq) == Reason.MATMUL


@settings(max_examples=20, deadline=None)
@given(st.lists(ELEMENTS, min_size=3, max_size=3))
def test_sumcheck_with_any_eq_factor(eq: list[int]) -> None:
    """Coordinates zero and one too, where one end of the round polynomial does not count."""
    assert _sumcheck(3, eq=eq) is None
    assert _sumcheck(3, wrong=1, eq=eq) == Reason.MATMUL


@pytest.mark.parametrize("coordinate", [0, 1, 1 << 70])
def test_a_round_polynomial_right_at_one_end_only(coordinate: int) -> None:
    """The claim is off by one, and the prover's polynomial by e(X) with (1 - r) e(0) + r e(1) = 1.

    For r = 0 the relation of the round sees nothing of e(1), for r = 1 nothing of e(0); that freedom is of
    no use, since what counts is e at the challenge. It can be zero there only if the challenge is known.
    """
    known = 7
    # e = lie (X - known).
    lie = pow(coordinate - known, -1, R)
    assert _sumcheck(3, wrong=1, lie=lie, of=1, eq=[3, 4, coordinate]) == Reason.MATMUL
    with guards.known_challenge(lambda label: label == b"s/r0", known):
        assert _sumcheck(3, wrong=1, lie=lie, of=1, eq=[3, 4, coordinate]) is None
        assert _sumcheck(3, wrong=2, lie=lie, of=1, eq=[3, 4, coordinate]) == Reason.MATMUL


def test_sumcheck_with_a_known_challenge_proves_any_sum() -> None:
    r = 7
    # Off by lie (X - r), which is zero at r and whose ends add up to one.
    lie = pow(1 - 2 * r, -1, R)
    assert _sumcheck(3, wrong=1, lie=lie, of=1) == Reason.MATMUL
    with guards.known_challenge(lambda label: label == b"s/r0", r):
        assert _sumcheck(3, wrong=1, lie=lie, of=1) is None
        assert _sumcheck(3, wrong=2, lie=lie, of=1) == Reason.MATMUL


# Ledger


def _ledger(
    terms: list[tuple[int, int, int]],
    values: list[int],
    error: int,
    reason=None,
    ledger: type[Ledger] = Ledger,
) -> str | None:
    target = sum(k * values[a] * values[b] for k, a, b in terms) + error

    def schedule(book) -> None:
        book.section(Section.ZKRELU)
        handles = book.scalars("values", len(values), lambda: values)
        (right,) = book.scalars("target", 1, lambda: [target])
        book.require("q", [(k, handles[a], handles[b]) for k, a, b in terms], right, reason)

    return argue(schedule, ledger=ledger)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(ELEMENTS, st.integers(0, 3), st.integers(0, 3)), max_size=5),
    st.lists(ELEMENTS, min_size=4, max_size=40),
    st.integers(1, R - 1),
)
def test_relations_between_messages(terms: list[tuple[int, int, int]], values: list[int], error: int) -> None:
    assert _ledger(terms, values, 0) is None
    assert _ledger(terms, values, error) == Reason.ACTIVATION
    assert _ledger(terms, values, error, ledger=LyingLedger) == Reason.SUMCHECK


def test_reason_of_a_relation() -> None:
    assert _ledger([(1, 0, 0)], [3], 1, Reason.MULTIPLICITY) == Reason.MULTIPLICITY


def test_long_messages_take_several_rows() -> None:
    values = list(range(1, 3 * MESSAGE_WIDTH + 2))
    terms = [(5, k, len(values) - 1 - k) for k in range(len(values))]
    assert _ledger(terms, values, 0) is None
    assert _ledger(terms, values, 1) == Reason.ACTIVATION


def _two_relations(errors: tuple[int, int], ledger: type[Ledger]) -> str | None:
    def schedule(book) -> None:
        book.section(Section.OPENING)
        a, b = book.scalars("values", 2, lambda: [5 + errors[0], 25 + errors[1]])
        book.require("first", [], a - 5)
        book.require("second", [(1, a - errors[0], a - errors[0])], b)

    return argue(schedule, ledger=ledger)


def test_relations_are_combined_with_a_challenge_nobody_knows() -> None:
    assert _two_relations((0, 0), LyingLedger) is None
    for errors in ((1, 0), (0, 1), (1, -1), (1, 1)):
        assert _two_relations(errors, LyingLedger) == Reason.SUMCHECK
    with guards.known_challenge(lambda label: label == b"ledger/combine", 1):
        # First misses by one, second by minus one the other way round: what counts is target minus terms.
        assert _two_relations((1, -1), LyingLedger) is None
        assert _two_relations((1, 1), LyingLedger) == Reason.SUMCHECK


class _MixedRows(ProverChannel):
    """Commits to one message and computes with another: an entry of the first row is off by one."""

    def message(self, label, count, values=None):
        message, entries = super().message(label, count, values)
        if label == "values":
            entries[0] = (entries[0] + 1) % R
        return message, entries


def test_entries_other_than_committed_are_refused() -> None:
    def schedule(book) -> None:
        book.section(Section.MATMUL)
        a, b = book.scalars("values", 2, lambda: [5, 6])
        book.require("sum", [(1, a, b)], 0 * a + 36)

    assert argue(schedule, ledger=Ledger) == Reason.MATMUL
    assert argue(schedule, ledger=Ledger, channel=_MixedRows) == Reason.SUMCHECK


def test_combination_with_a_known_challenge_hides_opposite_errors() -> None:
    def schedule(errors):
        def walk(book) -> None:
            book.section(Section.OPENING)
            handles = book.scalars("values", 2, lambda: [5 + errors[0], 5 + errors[1]])
            powers, total = random_combination(book, "c", handles)
            book.require("zero", [], total - 5 * sum(powers) % R)

        return walk

    assert argue(schedule((0, 0)), ledger=Ledger) is None
    assert argue(schedule((1, -1)), ledger=Ledger) == Reason.OPENING
    with guards.known_challenge(lambda label: label == b"c", 1):
        assert argue(schedule((1, -1)), ledger=Ledger) is None
        assert argue(schedule((1, 0)), ledger=Ledger) == Reason.OPENING
