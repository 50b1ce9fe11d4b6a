"""What a proof will cost, before proving: seconds, memory, bytes.

Bytes and soundness are exact: the schedule is walked and counted (`zkdl.protocol.report`). Seconds and
memory are extrapolated from three small proofs made on this machine, now, with the same code: proving time
is close to a + b * N + c * R with N the entries of all committed polynomials and R the length of a committed
row, memory to a + b * N. The recomputation that checks the witness is timed on one real step.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np

from zkdl.console import peak_rss_bytes
from zkdl.protocol.instance import Instance, RangeArgument
from zkdl.protocol.report import report
from zkdl.protocol.statement import Statement
from zkdl.training.fast import FastTrainer
from zkdl.training.fit import Progress
from zkdl.training.run import train

__all__ = ["Estimate", "estimate"]

# (features, hidden, steps, batch): few entries; many entries; few entries in long rows.
_SMALL = (16, (8,), 2, 4)
_LARGE = {"lookup": (64, (64, 64), 4, 32), "bits": (32, (32, 32), 2, 16)}
_LONG = (1500, (8,), 1, 2)
_CLASSES = 10


@dataclass(frozen=True)
class Estimate:
    """Cost of one proof.

    Attributes:
        seconds: Expected proving time on this machine, the check of the witness included.
        peak_rss_bytes: Expected peak memory of the proving process.
        proof_bytes: Exact size of the proof file.
        statistical_bits: -log2 of the soundness error of the interactive protocol.
    """

    seconds: float
    peak_rss_bytes: int
    proof_bytes: int
    statistical_bits: float

    def as_dict(self) -> dict[str, float | int]:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True)
class _Sample:
    entries: int
    row: int
    seconds: float
    peak: int


def estimate(
    statement: Statement, ranges: RangeArgument = "lookup", *, progress: Progress | None = None
) -> Estimate:
    """Estimate what proving a statement takes here; takes some seconds itself.

    Args:
        statement: A valid statement; its commitments may be zeros.
        ranges: Range argument.
        progress: Called with a phase name and a fraction.

    Returns:
        The estimate.

    Raises:
        InputError: The statement is not valid.
    """
    statement.validate()
    instance = Instance(statement, ranges)
    exact = report(instance)
    shapes = (_SMALL, _SMALL, _LARGE[ranges], _LONG)
    samples = []
    for index, shape in enumerate(shapes):
        if progress is not None:
            progress("calibrate", index / len(shapes))
        samples.append(_measure(shape, ranges))
    first, small, large, long = samples
    loading = max(0.0, first.seconds - small.seconds)  # kernels, tables: once in a process
    entries, row = _entries(instance), 1 << statement.row_bits
    fixed, per_entry, per_row = _solve(small, large, long)
    seconds = loading + fixed + per_entry * entries + per_row * row + _check_seconds(statement)
    bytes_per_entry = max(0.0, (large.peak - small.peak) / (large.entries - small.entries))
    peak = small.peak + bytes_per_entry * max(0, entries - small.entries)
    return Estimate(seconds, int(peak), exact.proof_bytes, round(exact.statistical_bits, 1))


def _entries(instance: Instance) -> int:
    """Entries of all committed polynomials, padding included."""
    stacks = ("cells", instance.range_poly, "final")
    return sum(1 << instance.stack(name).num_vars for name in stacks) + (1 << instance.data_vars)


def _measure(shape: tuple[int, tuple[int, ...], int, int], ranges: RangeArgument) -> _Sample:
    from zkdl.prover import prove

    features, hidden, steps, batch = shape
    rng = np.random.default_rng(0)
    run = train(
        rng.uniform(0.0, 1.0, (2 * batch, features)),
        rng.integers(0, _CLASSES, 2 * batch),
        hidden=hidden,
        steps=steps,
        batch_size=batch,
        learning_rate=batch / 4096,
        classes=_CLASSES,
    )
    start = time.perf_counter()
    prove(run.statement, run.witness, ranges=ranges, check_witness=False)
    seconds = time.perf_counter() - start
    entries = _entries(Instance(run.statement, ranges))
    return _Sample(entries, 1 << run.statement.row_bits, seconds, peak_rss_bytes())


def _solve(small: _Sample, large: _Sample, long: _Sample) -> tuple[float, float, float]:
    """(a, b, c) of seconds = a + b * entries + c * row through three samples, none below zero."""
    matrix = [[1.0, sample.entries, sample.row] for sample in (small, large, long)]
    found = np.linalg.solve(np.array(matrix), np.array([s.seconds for s in (small, large, long)]))
    fixed, per_entry, per_row = np.maximum(found, 0.0).tolist()
    return fixed, per_entry, per_row


def _check_seconds(statement: Statement) -> float:
    """The witness check: initial weights twice, then every step again."""
    rng = np.random.default_rng(0)
    shape = (statement.batch_size, statement.widths[0])
    x = rng.integers(0, 1 << statement.settings.activation_scale, shape)
    y = np.zeros((statement.batch_size, statement.widths[-1]), dtype=np.int64)
    start = time.perf_counter()
    trainer = FastTrainer(
        statement.widths, statement.bias, statement.settings, statement.mu, statement.initial_seed
    )
    ready = time.perf_counter()
    trainer.step(x, y)
    end = time.perf_counter()
    return 2 * (ready - start) + statement.steps * (end - ready)
