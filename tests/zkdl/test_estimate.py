"""Estimates: bytes exact, memory right, and refusals that come before anything large is allocated."""

import json
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zkdl
from zkdl.arithmetic.msm import additions
from zkdl.errors import InputError, ResourceError
from zkdl.estimate import estimate
from zkdl.estimate.calibration import Calibration, _Sample, _solve
from zkdl.estimate.counts import PHASES, Work, phase_work
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import choose_row_bits, weight_stack
from zkdl.protocol.report import report
from zkdl.protocol.settings import Settings
from zkdl.protocol.statement import Statement
from zkdl.prover import memory
from zkdl.prover.footprint import PHASES as MEMORY_PHASES
from zkdl.prover.footprint import Sizes, holdings, peak_bytes
from zkdl.prover.memory import available_bytes, check_memory, parse_limit
from zkdl.training import Witness


def statement(widths, steps, batch, records, rate="1/64", bias=True):
    """A valid statement whose commitments are zeros."""
    chosen = Settings.choose(batch, rate)
    row_bits = choose_row_bits(widths, bias, batch, steps, chosen.limb_widths)
    rows = len(weight_stack(widths, bias, row_bits).live_rows)
    out = Statement(
        widths=widths,
        bias=bias,
        settings=chosen,
        batch_size=batch,
        steps=steps,
        learning_rate=Fraction(rate),
        seed=1,
        initial_seed=1,
        records=records,
        row_bits=row_bits,
        data_commitment=bytes(48 * records),
        final_commitment=bytes(48 * rows),
    )
    out.validate()
    return out


@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=5).map(tuple),
    steps=st.integers(1, 9),
    batch=st.sampled_from((1, 2, 4, 8)),
    records=st.integers(8, 30),
    ranges=st.sampled_from(("lookup", "bits")),
)
@settings(max_examples=40, deadline=None)
def test_sizes_are_those_of_the_instance(widths, steps, batch, records, ranges):
    claim = statement(widths, steps, batch, records)
    sizes, instance = Sizes(claim, ranges), Instance(claim, ranges)
    assert sizes.cell_entries == 1 << instance.cells.num_vars
    assert sizes.final_entries == 1 << instance.final.num_vars
    used = len(instance.used_records)
    assert used <= sizes.used <= used + (batch - 1 if steps * batch > records else 0)
    if sizes.used == used:
        assert sizes.range_entries == 1 << instance.stack(instance.range_poly).num_vars
        assert sizes.data_entries == 1 << instance.data_vars
        assert sizes.data_leaves == instance.data_block.size
    live = sum(block.live for block in instance.cells.blocks)
    assert sizes.cells <= live <= sizes.cell_entries


@pytest.mark.parametrize(
    ("widths", "steps", "batch", "ranges"),
    [((5, 4, 3), 2, 4, "lookup"), ((9, 3), 3, 2, "lookup"), ((6, 4, 4, 2), 1, 4, "bits")],
)
def test_bytes_are_exact(widths, steps, batch, ranges):
    rng = np.random.default_rng(1)
    run = zkdl.train(
        rng.uniform(0, 1, (12, widths[0])),
        rng.integers(0, widths[-1], 12),
        hidden=widths[1:-1],
        steps=steps,
        batch_size=batch,
        learning_rate="1/16",
        classes=widths[-1],
    )
    proof = zkdl.prove(run.statement, run.witness, ranges=ranges)
    assert report(Instance(run.statement, ranges)).proof_bytes == len(proof)


MEASURE = """
import json, sys
import zkdl
from zkdl.console import peak_rss_bytes
from zkdl.prover.footprint import peak_bytes
from zkdl.training import datasets
hidden, steps, batch, ranges = json.loads(sys.argv[1])
data = datasets.load("digits")
run = zkdl.train(data.X, data.y, hidden=hidden, steps=steps, batch_size=batch, learning_rate="1/64")
zkdl.prove(run.statement, run.witness, ranges=ranges)
print(json.dumps([max(peak_bytes(run.statement, ranges).values()), peak_rss_bytes()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "steps", "batch", "ranges"),
    [
        ((32, 32), 8, 32, "lookup"),
        ((64, 64), 16, 64, "lookup"),
        ((128,) * 4, 8, 64, "lookup"),
        ((32, 32), 8, 32, "bits"),
    ],
)
def test_memory_is_right_within_30_per_cent(hidden, steps, batch, ranges):
    """A process of its own trains and proves; what it took at most is compared with the estimate."""
    arguments = json.dumps([hidden, steps, batch, ranges])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, arguments], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    estimated, peak = json.loads(done.stdout)
    assert 0.7 * peak < estimated < 1.3 * peak


def test_the_largest_holding_decides():
    claim = statement((64, 512, 512, 10), 16, 64, 2000)
    by_phase = peak_bytes(claim, "lookup")
    assert set(by_phase) == set(MEMORY_PHASES)
    trees = next(h for h in holdings(Sizes(claim, "lookup")) if h.name == "fraction trees")
    assert by_phase["ranges"] > trees.size > by_phase["commitments"]
    assert max(peak_bytes(claim, "bits").values()) > 3 * max(by_phase.values())


def huge():
    """The largest proof that a statement of a few kilobytes can ask for."""
    return statement((1, 4096, 1), 1 << 22, 1, 1)


def test_a_huge_proof_is_refused_at_once():
    claim = huge()
    zkdl.prove  # noqa: B018 - loads the prover before the clock starts
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ResourceError, match=r"needs about \d{2,}[\d.]* GiB of memory at its peak \(ranges\)"):
        zkdl.prove(claim, Witness(np.zeros((1, 2), dtype=np.int64)), memory_limit=64 << 30)
    seconds = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 0.5  # a few milliseconds without tracing
    assert peak < 4 << 20


def test_limits(monkeypatch):
    claim = statement((8, 4, 2), 2, 4, 8)
    needed = max(peak_bytes(claim, "lookup").values())
    assert check_memory(claim, "lookup", needed) == needed
    with pytest.raises(ResourceError, match="the limit is"):
        check_memory(claim, "lookup", needed - 1)
    monkeypatch.setenv(memory.VARIABLE, str(needed - 1))
    with pytest.raises(ResourceError, match=f"{memory.VARIABLE} is"):
        check_memory(claim, "lookup")
    assert check_memory(claim, "lookup", 0) == needed, "0 is no limit, and beats the environment"
    monkeypatch.setenv(memory.VARIABLE, "none")
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)
    monkeypatch.setattr(memory, "_resident", lambda: 1 << 20)
    assert check_memory(claim, "lookup") == needed
    monkeypatch.delenv(memory.VARIABLE)
    with pytest.raises(ResourceError, match="this machine has 1 MiB"):
        check_memory(claim, "lookup")
    with pytest.raises(InputError, match="memory_limit"):
        check_memory(claim, "lookup", -1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("123", 123), ("2K", 2048), ("1.5GiB", 3 << 29), (" 7 mb ", 7 << 20), ("none", 0), ("0", 0)],
)
def test_limits_are_read(text, expected):
    assert parse_limit(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "12X", "G", "1e9", "0.0", "nan", "9" * 40])
def test_bad_limits_are_refused(text):
    with pytest.raises(InputError, match="memory limit"):
        parse_limit(text)


def test_available_memory_respects_control_groups(monkeypatch, tmp_path):
    limit, usage, stat = (tmp_path / name for name in ("max", "current", "stat"))
    for path, text in ((limit, "1000000\n"), (usage, "900000\n"), (stat, "anon 1\ninactive_file 50000\n")):
        path.write_text(text)
    monkeypatch.setattr(memory, "_groups", lambda: [(limit, usage, stat)])
    assert available_bytes() == 150_000
    limit.write_text("max\n")
    assert available_bytes() > 1_000_000
    monkeypatch.undo()
    assert available_bytes() > 0


@pytest.mark.parametrize(
    ("limit", "code", "said"), [("8G", 3, "needs about"), ("soon", 2, "memory limit must be")]
)
def test_command_line_refuses_before_it_reads_the_witness(tmp_path, capsys, limit, code, said):
    from zkdl.cli.proving import prove

    huge().save(tmp_path / "statement.json")
    with pytest.raises(SystemExit) as caught:
        prove(tmp_path, memory_limit=limit)
    assert caught.value.code == code
    assert said in capsys.readouterr().err


def test_work_grows_with_what_it_counts():
    small, large = (
        phase_work(instance := Instance(statement((64, 64, 64, 10), steps, 32, 1000)), report(instance))
        for steps in (4, 16)
    )
    assert set(small) == set(PHASES)
    for phase in ("matmul", "update", "zkrelu"):
        assert large[phase].scale == 4 * small[phase].scale
    assert 3 < large["commitments"].extras["addition"] / additions(64, 1024, 0, 65535) < 30
    assert large["opening"].messages > small["opening"].messages


def test_units_fit_both_proofs():
    def sample(scale, messages, seconds):
        return _Sample({"ranges": Work(scale, messages, {"mac": 10.0})}, {"ranges": seconds}, {})

    kernels = {"mac": 0.01}
    scale, message = _solve(
        "ranges", sample(100, 20, 0.1 + 2.0 + 1.0), sample(1000, 30, 0.1 + 20.0 + 1.5), kernels
    )
    assert (scale, message) == pytest.approx((0.02, 0.05))
    scale, message = _solve("ranges", sample(100, 20, 0.1), sample(1000, 30, 20.1), kernels)
    assert (scale, message) == pytest.approx((0.02, 0.0)), "no unit below zero"
    found = Calibration(kernels, dict.fromkeys(PHASES, 0.02), dict.fromkeys(PHASES, 0.05), 0.0)
    work = dict.fromkeys(PHASES, Work(100, 2, {"mac": 3, "step": 2}))
    assert found.seconds(work, {"step": 7.0})["update"] == pytest.approx(2.0 + 0.1 + 0.03 + 14.0)


def test_a_machine_is_measured_once(monkeypatch):
    made = []
    found = Calibration({}, dict.fromkeys(PHASES, 1e-9), dict.fromkeys(PHASES, 1e-3), 0.5)
    kernels = dict.fromkeys(("fresh", "mac", "eq", "fold", "decode"), 1e-9)
    module = sys.modules[estimate.__module__]
    monkeypatch.setattr(module, "_known", {})
    monkeypatch.setattr(module, "calibrate", lambda *a: made.append(a[0]) or replace(found, kernels=kernels))
    small, large = (
        estimate(statement((8, 6, 3), steps, 4, 20), clock=time.process_time) for steps in (2, 16)
    )
    assert made == ["lookup"]
    assert small.seconds > 0.5
    assert small.seconds_by_phase["ranges"] < large.seconds_by_phase["ranges"]
    assert small.seconds == pytest.approx(sum(small.seconds_by_phase.values()) + 0.5)
    assert small.peak_rss_bytes == max(small.bytes_by_phase.values()) <= large.peak_rss_bytes
    estimate(statement((8, 6, 3), 2, 4, 20), "bits", clock=time.process_time)
    assert made == ["lookup", "bits"]
    assert json.loads(json.dumps(small.as_dict()))["proof_bytes"] == small.proof_bytes
