"""What a proof will cost: work counted, units measured.

Bytes and soundness are exact: the schedule is walked and counted (`zkdl.protocol.report`). Memory is the sum
of the tables that live at the same time (`zkdl.prover.footprint`). Seconds are counted work
(`zkdl.estimate.counts`) times what it costs here (`zkdl.estimate.calibration`); the recomputation that checks
the witness is timed on one real step of the network in question.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from zkdl.arithmetic import get_backend, get_threads
from zkdl.estimate.calibration import Calibration, calibrate
from zkdl.estimate.counts import phase_work
from zkdl.estimate.units import Clock, measure_statement
from zkdl.protocol.instance import Instance, RangeArgument
from zkdl.protocol.report import report
from zkdl.protocol.statement import Statement
from zkdl.prover.footprint import peak_bytes
from zkdl.training.fit import Progress

__all__ = ["Estimate", "estimate"]


_known: dict[tuple[object, ...], Calibration] = {}


@dataclass(frozen=True)
class Estimate:
    """Cost of one proof.

    Attributes:
        seconds: Expected proving time on this machine, check of the witness and loading of kernels included.
        peak_rss_bytes: Expected peak memory of the proving process.
        proof_bytes: Exact size of the proof file.
        statistical_bits: -log2 of the soundness error of the interactive protocol.
        loading_seconds: The part of ``seconds`` that only the first proof of a process takes.
        seconds_by_phase: The rest, by phase.
        bytes_by_phase: Memory by phase; the largest is the peak.
    """

    seconds: float
    peak_rss_bytes: int
    proof_bytes: int
    statistical_bits: float
    loading_seconds: float = 0.0
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    bytes_by_phase: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def estimate(
    statement: Statement,
    ranges: RangeArgument = "lookup",
    *,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """Estimate what proving a statement takes here, on the threads in use.

    Takes some seconds; once a process has measured its machine, other statements take a fraction of one.

    Args:
        statement: A valid statement; its commitments may be zeros.
        ranges: Range argument.
        progress: Called with a phase name and a fraction.
        clock: What seconds are; `time.process_time` for processor time, whatever else the machine does.

    Returns:
        The estimate.

    Raises:
        InputError: The statement is not valid.
    """
    statement.validate()
    memory = peak_bytes(statement, ranges)
    instance = Instance(statement, ranges)
    exact = report(instance)
    units = _calibration(ranges, clock, progress)
    phases = units.seconds(phase_work(instance, exact), measure_statement(statement, clock))
    return Estimate(
        sum(phases.values()) + units.loading,
        max(memory.values()),
        exact.proof_bytes,
        round(exact.statistical_bits, 1),
        units.loading,
        phases,
        memory,
    )


def _calibration(ranges: RangeArgument, clock: Clock, progress: Progress | None) -> Calibration:
    """Measured once for each way to compute."""
    key = (ranges, clock, get_threads(), get_backend())
    if key not in _known:
        _known[key] = calibrate(ranges, clock, progress)
    return _known[key]
