"""Seconds of every phase per count, from two proofs made on this machine, now, with the same code."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from zkdl.estimate.counts import PHASES, Work, phase_work
from zkdl.estimate.units import Clock, measure_kernels, measure_statement
from zkdl.protocol.instance import Instance, RangeArgument
from zkdl.protocol.report import report
from zkdl.protocol.settings import Settings
from zkdl.protocol.statement import Statement
from zkdl.training.fit import Progress
from zkdl.training.run import train

__all__ = ["Calibration", "calibrate"]

# (features, hidden, steps, batch): messages above all, then entries.
_SMALL = (16, (8,), 2, 4)
# Narrow limbs: with those of 16 bits the lookup table alone would be a hundred times the rest.
_NARROW = Settings(
    activation_scale=5, gradient_scale=5, weight_scale=24, activation_bits=10, gradient_bits=10, limb_bits=10
)
_LARGE = {"lookup": (64, (64, 64), 16, 32), "bits": (32, (32, 32), 8, 32)}
_CLASSES = 10


@dataclass(frozen=True)
class _Sample:
    work: dict[str, Work]
    seconds: dict[str, float]
    units: dict[str, float]


@dataclass(frozen=True)
class Calibration:
    """What phases and kernels cost here.

    Attributes:
        kernels: Seconds by unit.
        scale, message: Seconds by phase, for one of its scale and for one message.
        loading: What the first proof of a process takes more: loading kernels and tables.
    """

    kernels: dict[str, float]
    scale: dict[str, float]
    message: dict[str, float]
    loading: float

    def seconds(self, work: dict[str, Work], statement: dict[str, float]) -> dict[str, float]:
        """Seconds by phase."""
        units = {**self.kernels, **statement}
        return {
            phase: _extras(work[phase], units)
            + self.scale[phase] * work[phase].scale
            + self.message[phase] * work[phase].messages
            for phase in PHASES
        }


def calibrate(ranges: RangeArgument, clock: Clock, progress: Progress | None = None) -> Calibration:
    """Measure; takes some seconds.

    Args:
        ranges: The range argument.
        clock: Seconds; of the wall or of the processor.
        progress: Called with a phase name and a fraction.
    """

    def tell(done: float) -> None:
        if progress is not None:
            progress("calibrate", done)

    tell(0.0)
    first = _sample(_SMALL, ranges, clock)
    tell(0.3)
    kernels = measure_kernels(clock)
    tell(0.5)
    small = _least(_sample(_SMALL, ranges, clock), _sample(_SMALL, ranges, clock))
    large = _sample(_LARGE[ranges], ranges, clock)
    scale, message = {}, {}
    for phase in PHASES:
        scale[phase], message[phase] = _solve(phase, small, large, kernels)
    loading = max(0.0, sum(first.seconds.values()) - sum(small.seconds.values()))
    return Calibration(kernels, scale, message, loading)


def _extras(work: Work, units: dict[str, float]) -> float:
    return sum(count * units[unit] for unit, count in work.extras.items())


def _solve(phase: str, small: _Sample, large: _Sample, kernels: dict[str, float]) -> tuple[float, float]:
    """Units of scale and message that fit both proofs, none below zero."""
    works = [sample.work[phase] for sample in (small, large)]
    # These proofs live in memory that the process has already.
    kernels = {**kernels, "fresh": 0.0}
    rest = [
        max(0.0, sample.seconds[phase] - _extras(work, {**kernels, **sample.units}))
        for sample, work in zip((small, large), works, strict=True)
    ]
    if not any(work.messages for work in works):
        return rest[1] / max(works[1].scale, 1.0), 0.0
    matrix = np.array([[work.scale, work.messages] for work in works], dtype=float)
    scale, message = np.linalg.solve(matrix, np.array(rest)).tolist()
    if message < 0.0:
        return rest[1] / max(works[1].scale, 1.0), 0.0
    if scale < 0.0:
        return 0.0, rest[1] / max(works[1].messages, 1)
    return scale, message


def _least(first: _Sample, second: _Sample) -> _Sample:
    """The quicker of two proofs, phase by phase: a small one is easily disturbed."""
    seconds = {phase: min(first.seconds[phase], second.seconds[phase]) for phase in PHASES}
    return _Sample(first.work, seconds, first.units)


def _sample(shape: tuple[int, tuple[int, ...], int, int], ranges: RangeArgument, clock: Clock) -> _Sample:
    from zkdl.prover import prove

    features, hidden, steps, batch = shape
    rng = np.random.default_rng(0)
    run = train(
        rng.uniform(0.0, 1.0, (2 * batch * steps, features)),
        rng.integers(0, _CLASSES, 2 * batch * steps),
        hidden=hidden,
        steps=steps,
        batch_size=batch,
        learning_rate=batch / 4096,
        classes=_CLASSES,
        settings=_NARROW if shape == _SMALL else None,
    )
    statement: Statement = run.statement
    marks: list[tuple[str, float]] = []
    prove(
        statement,
        run.witness,
        ranges=ranges,
        progress=lambda name, _done: marks.append((name, clock())),
        memory_limit=0,
    )
    marks.append(("end", clock()))
    seconds = dict.fromkeys(PHASES, 0.0)
    for (name, at), (_, later) in itertools.pairwise(marks):
        seconds[name] += later - at
    instance = Instance(statement, ranges)
    return _Sample(phase_work(instance, report(instance)), seconds, measure_statement(statement, clock))
