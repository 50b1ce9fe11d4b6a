"""Completeness: every honest run is proved and verified, whatever its shape and settings."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import zkdl
from tests.zkdl.adversaries.cases import Run, after, random_data, reason, train
from zkdl.errors import RangeOverflowError
from zkdl.protocol.chain import hand_on
from zkdl.protocol.layout import MIN_ROW_BITS, log2_ceil
from zkdl.protocol.settings import Settings
from zkdl.prover import prove
from zkdl.verifier import verify


@st.composite
def fixed_point(draw: st.DrawFn) -> tuple[Settings, int]:
    """Settings with tables of at most 2^10 entries, and the exponent k of a mu of 2^k."""
    limb_bits = draw(st.integers(8, 10))
    activation_bits = draw(st.integers(8, limb_bits))
    f = draw(st.integers(1, activation_bits - 6))
    g = draw(st.integers(f, f + 2))
    k = draw(st.integers(0, 2))
    # Small steps (w well above f + g) keep values in range.
    w = f + g + k + draw(st.integers(4, 9))
    return Settings(f, g, w, activation_bits, limb_bits, limb_bits), k


@st.composite
def runs(draw: st.DrawFn, min_layers: int = 1) -> Run:
    """An honest run of a small network."""
    chosen, k = draw(fixed_point())
    widths = tuple(draw(st.lists(st.integers(1, 6), min_size=min_layers + 1, max_size=4)))
    records = draw(st.integers(1, 7))
    batch = draw(st.integers(1, min(records, 5)))
    record_bits = max(MIN_ROW_BITS, log2_ceil(widths[0] + widths[-1]))
    shift = chosen.weight_scale - chosen.activation_scale - chosen.gradient_scale
    try:
        return train(
            widths,
            batch_size=batch,
            steps=draw(st.integers(1, 5)),
            records=records,
            bias=draw(st.booleans()),
            settings=chosen,
            learning_rate=Fraction(batch, 1 << shift) * (1 << k),
            seed=draw(st.integers(0, (1 << 63) - 1)),
            initial_seed=draw(st.integers(0, (1 << 63) - 1)),
            row_bits=draw(st.integers(record_bits, record_bits + 3)),
            data=random_data(widths, records, chosen, draw(st.integers(0, 99))),
        )
    except RangeOverflowError:
        assume(False)
        raise


QUICK = settings(
    max_examples=14, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@pytest.mark.parametrize("ranges", ["bits", "lookup"])
def test_every_honest_run_verifies(ranges: str) -> None:
    @QUICK
    @given(runs())
    def check(run: Run) -> None:
        proof = prove(run.statement, run.witness, ranges=ranges)
        verify(run.statement, proof)
        verify(run.statement, bytes(proof))

    check()


@settings(QUICK, max_examples=4)
@given(runs(), st.integers(1, 3), st.data())
def test_every_honest_continuation_verifies(run: Run, steps: int, data: st.DataObject) -> None:
    """From whatever a run ended at, on other steps of another size, with or without its seed's base."""
    s = run.statement
    seed = data.draw(st.sampled_from([s.initial_seed, None]))
    try:
        more = train(
            s.widths,
            batch_size=s.batch_size,
            steps=steps,
            records=s.records,
            bias=s.bias,
            settings=s.settings,
            learning_rate=s.learning_rate,
            seed=s.seed,
            initial_seed=seed,
            row_bits=s.row_bits,
            data=run.witness.data,
            start=after(run),
            first_step=data.draw(st.integers(0, 9)),
        )
    except RangeOverflowError:
        assume(False)
        raise
    proof = prove(more.statement, more.witness)
    verify(more.statement, proof, initial=hand_on(s))


@pytest.mark.slow
@pytest.mark.parametrize("ranges", ["bits", "lookup"])
def test_many_honest_runs_verify(ranges: str) -> None:
    @settings(QUICK, max_examples=150)
    @given(runs())
    def check(run: Run) -> None:
        verify(run.statement, prove(run.statement, run.witness, ranges=ranges))

    check()


@pytest.mark.parametrize("ranges", ["bits", "lookup"])
@pytest.mark.parametrize(
    ("widths", "batch_size", "steps", "records", "bias"),
    [
        ((1, 1), 1, 1, 1, False),
        ((1, 1), 1, 1, 1, True),
        ((5, 3), 3, 4, 7, True),
        ((1, 1, 1), 1, 3, 2, True),
        ((2, 1, 4, 1, 3), 2, 2, 5, False),
        ((4, 4, 4), 4, 1, 4, True),
    ],
)
def test_corner_shapes(
    widths: tuple[int, ...], batch_size: int, steps: int, records: int, bias: bool, ranges: str
) -> None:
    # Half a unit at most, so that layers of width one stay in range.
    data = random_data(widths, records, Settings(2, 4, 12, 8, 8, 8))
    run = train(widths, batch_size=batch_size, steps=steps, records=records, bias=bias, data=data)
    verify(run.statement, prove(run.statement, run.witness, ranges=ranges))


def test_all_zero_data_verifies() -> None:
    run = train(data=np.zeros((4, 5), dtype=np.int64))
    for ranges in ("bits", "lookup"):
        assert reason(run.statement, prove(run.statement, run.witness, ranges=ranges)) is None


def test_extreme_values_in_range_verify() -> None:
    """Records at both ends of their range, where offsets and signs meet the table's last entries."""
    low, high = -(1 << 7), (1 << 7) - 1
    data = np.array([[low, high], [high, low], [0, low], [low, 0]], dtype=np.int64)
    # A layer of weight almost zero is not to be had from a seed: a wide weight range takes its place.
    chosen = Settings(3, 3, 12, 8, 8, 8)
    for seed in range(1, 200):
        try:
            run = train((1, 1), data=data, settings=chosen, bias=False, initial_seed=seed, steps=1)
        except RangeOverflowError:
            continue
        for ranges in ("bits", "lookup"):
            verify(run.statement, prove(run.statement, run.witness, ranges=ranges))
        return
    pytest.fail("no initial weight keeps the outputs in range")


def test_the_public_interface_at_default_settings() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((12, 5)), rng.integers(0, 3, 12)
    run = zkdl.train(x, y, hidden=(4,), steps=3, batch_size=4, learning_rate="1/16")
    assert run.statement.settings.limb_bits == 16
    zkdl.verify(run.statement, zkdl.prove(run.statement, run.witness))
