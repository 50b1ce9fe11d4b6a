"""Committed tables: every honest one verifies, and every attack is stopped by the guard that is meant to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.adversaries import fieldwise, guards, tables
from tests.zkdl.adversaries.tables import Committed, forge, reason
from zkdl import arithmetic as za
from zkdl.errors import InputError, Reason, WitnessError
from zkdl.protocol.table import Chunk, Table, limb_widths
from zkdl.protocol.table_kinds import DataTable, WeightTable
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover import prove_table
from zkdl.verifier import verify_table


@pytest.fixture(scope="module")
def data() -> Committed:
    return tables.data()


@pytest.fixture(scope="module")
def weights() -> Committed:
    return tables.weights()


# --- completeness ---------------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_every_honest_table_verifies(draw: st.DataObject) -> None:
    seed = draw.draw(st.integers(0, 1 << 30))
    with tables.chunks_of(draw.draw(st.integers(4, 9))):
        if draw.draw(st.booleans()):
            rows, features, outputs = (draw.draw(st.integers(1, most)) for most in (9, 5, 3))
            committed = tables.data(rows, features, outputs, draw.draw(st.integers(2, 20)), seed)
        else:
            widths = draw.draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
            bits = draw.draw(st.sampled_from([2, 9, 17, 33]))
            bias = draw.draw(st.booleans())
            committed = tables.weights(widths, bias=bias, bits=bits, row_bits=4, seed=seed)
        proof = prove_table(committed.table, committed.entries, committed.blinds)
        verify_table(committed.table, proof)


def test_chunks_cover_every_row_once_and_are_bounded() -> None:
    for rows, columns, bits in ((1, 2, 2), (5000, 794, 16), (1797, 74, 16), (133, 2048, 36), (70_000, 3, 20)):
        table = DataTable(bits, 1, bytes(48 * rows), columns - 1, 1)
        covered = [row for chunk in table.chunks for row in range(chunk.first, chunk.first + chunk.rows)]
        assert covered == list(range(rows))
        limbs = len(table.limb_widths)
        assert all(limbs << chunk.num_vars <= 1 << 21 for chunk in table.chunks)
        padded = sum(1 << chunk.num_vars for chunk in table.chunks)
        assert padded <= max(1.6 * rows * (1 << table.row_vars), 1 << 16)


@pytest.mark.parametrize("bits", range(2, 62))
def test_limbs_are_few_and_even(bits: int) -> None:
    widths = limb_widths(bits)
    assert sum(widths) == bits
    assert max(widths) <= 16
    assert max(widths) - min(widths) <= 1
    assert len(widths) == -(-bits // 16)


@pytest.mark.parametrize("make", [tables.data, tables.weights])
def test_the_mask_is_what_both_sides_think(make: Callable[[], Committed]) -> None:
    with tables.chunks_of(7):
        table = make().table
        rng = np.random.default_rng(0)
        for chunk in table.chunks:
            mask = table.mask(chunk)
            assert mask.shape == (1 << (chunk.num_vars - chunk.row_vars), 1 << chunk.row_vars)
            assert table.entries(chunk) == table.covered(chunk).sum()
            point = [int(v) for v in rng.integers(0, 1 << 60, chunk.num_vars)]
            for array, at in ((mask, table.mask_at), (table.covered(chunk), table.covered_at)):
                assert at(chunk, point) == za.multilinear.eval_int(table.flat(array), point) % R
            assert np.array_equal(table.covered(chunk)[: chunk.rows], mask[: chunk.rows])


def test_the_mask_of_weights_is_where_ones_would_lie() -> None:
    from zkdl.protocol.layout import weight_rows

    for widths, bias, row_bits in (((3, 5, 2), True, 4), ((17, 40, 3), False, 4), ((6, 1, 9), True, 5)):
        shapes = list(pairwise(widths))
        ones = [np.ones(shape, dtype=np.int64) for shape in shapes]
        rows = weight_rows(
            widths, bias, row_bits, ones, [np.ones(n, dtype=np.int64) for n in widths[1:]] if bias else []
        )
        table = WeightTable(8, 1, bytes(48 * len(rows)), widths, bias, row_bits)
        assert np.array_equal(table.mask(Chunk(0, len(rows), row_bits))[: len(rows)], rows)
        assert table.parameters == rows.sum()


# --- the prover refuses what cannot be proved -------------------------------------------------------------


def test_the_prover_refuses_wrong_integers(data: Committed, weights: Committed) -> None:
    limit = data.table.offset
    for value in (limit, -limit - 1):
        bad = data.with_entry(1, 2, value)
        with pytest.raises(WitnessError, match="row 1, column 2 is not in"):
            prove_table(bad.table, bad.entries, bad.blinds)
    with pytest.raises(WitnessError, match="another table"):
        prove_table(data.table, data.entries // 2, data.blinds)
    padding = np.argwhere(weights.table.mask(weights.table.chunks[0])[: len(weights.entries)] == 0)[0]
    bad = weights.with_entry(*padding, 1)
    with pytest.raises(WitnessError, match="padding must be zero"):
        prove_table(bad.table, bad.entries, bad.blinds)
    with pytest.raises(InputError, match="entries must have shape"):
        prove_table(data.table, data.entries[:2], data.blinds)
    with pytest.raises(InputError, match="blinds must have shape"):
        prove_table(data.table, data.entries, data.blinds[:2])


# --- attacks: each is stopped, and succeeds once its guard is gone ---------------------------------------


Attack = Callable[[], tuple[Table, bytes]]


def _entry(committed: Committed, value: int, work: Any = tables.TableProver) -> tuple[Table, bytes]:
    bad = committed.with_entry(1, 0, value)
    return bad.table, forge(bad, work=work)


def _padding(work: Any = tables.TableProver) -> tuple[Table, bytes]:
    good = tables.weights(bits=12)
    row, column = np.argwhere(good.table.mask(good.table.chunks[0])[: len(good.entries)] == 0)[0]
    bad = good.with_entry(row, column, 1)
    return bad.table, forge(bad, work=work)


def _chunk() -> tuple[Table, bytes]:
    good = tables.data(rows=8, features=3)
    bad = good.with_entry(6, 1, good.table.offset)
    return bad.table, forge(bad, work=tables.OtherChunk)


def _clipped_and_opened() -> tuple[Table, bytes]:
    with tables.opening_what_was_committed():
        return _entry(tables.data(), LIMIT, tables.ClippedLimbs)


LIMIT = 1 << 4
ATTACKS: dict[str, tuple[Attack, Reason, tuple[str, ...]]] = {
    "one above the range": (lambda: _entry(tables.data(), LIMIT), Reason.MULTIPLICITY, ("lookup/sum",)),
    "one below the range": (lambda: _entry(tables.data(), -LIMIT - 1), Reason.MULTIPLICITY, ("lookup/sum",)),
    "no small integer": (
        lambda: _entry(tables.data(), pow(7, -1, R), tables.FieldEntries),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
    ),
    "weight one above the range": (
        lambda: _entry(tables.weights(), 1 << 17),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
    ),
    "weight one below the range": (
        lambda: _entry(tables.weights(), -(1 << 17) - 1),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
    ),
    "limb too large, the next one smaller": (
        lambda: (w := tables.weights()) and (w.table, forge(w, work=tables.CarriedLimbs)),
        Reason.MULTIPLICITY,
        ("lookup/sum",),
    ),
    "a neuron in the padding": (_padding, Reason.MULTIPLICITY, ("lookup/sum",)),
    "a neuron in the padding, kept quiet": (
        lambda: _padding(tables.PaddingIgnored),
        Reason.WEIGHTS,
        ("opening/rows",),
    ),
    "other entries looked up than committed": (
        lambda: _entry(tables.data(), LIMIT, tables.ClippedLimbs),
        Reason.DATA,
        ("opening/rows",),
    ),
    "other entries looked up, the committed ones opened": (
        _clipped_and_opened,
        Reason.OPENING,
        ("opening/final",),
    ),
    "another chunk in its place": (_chunk, Reason.DATA, ("opening/rows",)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name: str) -> None:
    attack, expected, labels = ATTACKS[name]
    with ExitStack() as stack:
        if "chunk" in name:
            stack.enter_context(tables.chunks_of(4))
        if "integer" in name:
            stack.enter_context(fieldwise.any_integers())
        table, proof = attack()
        assert reason(table, proof) == expected
        # Without the guard it goes through: the attack is a real one, and nothing else stops it.
        with guards.without(*labels) as forgotten:
            assert reason(table, proof) is None
        assert set(forgotten) == set(labels) or any(label.startswith(labels) for label in forgotten)


def test_without_tags_padding_hides_a_neuron() -> None:
    """The mask is what keeps padding out: with the tag of entries everywhere the same weight is accepted."""

    def everywhere(self: Any, chunk: Any) -> np.ndarray:
        return np.ones((1 << (chunk.num_vars - chunk.row_vars), 1 << chunk.row_vars), dtype=np.int64)

    with guards.planted(
        ("zkdl.protocol.table_kinds.WeightTable.mask", everywhere),
        ("zkdl.protocol.table_kinds.WeightTable.entries", lambda self, chunk: 1 << chunk.num_vars),
    ):
        good = tables.weights(bits=12)
        bad = good.with_entry(0, -1, 7)
        assert reason(bad.table, forge(bad)) is None
    assert reason(bad.table, forge(bad)) == Reason.MULTIPLICITY


def test_known_challenges_would_let_anything_through(data: Committed) -> None:
    """With beta known to be zero a value of another width passes: the widths are told apart by it alone."""
    wide = tables.data(bits=17)
    assert wide.table.limb_widths == (9, 8)
    with guards.known_challenge(lambda label: label == b"lookup/beta", 0):
        # The upper limb has 8 bits; 300 is in the table of the 9-bit limbs.
        bad = wide.with_entry(1, 0, (300 << 9) - wide.table.offset)

        class Counted(tables.TableProver):
            def _multiplicities(self) -> np.ndarray:
                out = super()._multiplicities()
                block = self._table.lookup.block(("range", 9))
                out[block.offset + 300] += 1
                return out

        assert reason(bad.table, forge(bad, work=Counted)) is None
    assert reason(bad.table, forge(bad, work=Counted)) == Reason.MULTIPLICITY
