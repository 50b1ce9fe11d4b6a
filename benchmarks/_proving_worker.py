"""One measurement in a process of its own: train, prove, verify, or a chain of proofs of single steps.

    python -m benchmarks._proving_worker train|prove|verify|steps|estimate POINT.json FOLDER

Prints one JSON object. Kernels are warmed up by a tiny proof before anything is timed; what that took is
reported as ``loading_seconds``. Peak memory is that of the whole process.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zkdl
from benchmarks import _proving_data
from benchmarks._proving_points import Point

_PHASES = {"witness": "witness", "commitments": "commit", "ranges": "ranges", "opening": "opening"}


def peak() -> int:
    """Largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds on the clock, seconds of all processors, and the result."""
    start, cpu = time.perf_counter(), time.process_time()
    value = call()
    return time.perf_counter() - start, time.process_time() - cpu, value


def grouped(phases: dict[str, float]) -> dict[str, float]:
    """Phases of a proof as the benchmark reports them: three of them are sumchecks."""
    out = dict.fromkeys(("witness", "commit", "sumchecks", "ranges", "opening"), 0.0)
    for name, seconds in phases.items():
        out[_PHASES.get(name, "sumchecks")] += seconds
    return out


def warm_up(ranges: str) -> dict[str, float]:
    """A tiny proof and its verification, so that kernels are loaded."""
    start = time.perf_counter()
    X, y = _proving_data.load("digits")
    run = zkdl.train(X[:8], y[:8], hidden=(4,), steps=2, batch_size=4, learning_rate="1/64", classes=10)
    zkdl.verify(run.statement, zkdl.prove(run.statement, run.witness, ranges=ranges))
    return {"loading_seconds": time.perf_counter() - start}


def train(point: Point, folder: Path) -> dict[str, Any]:
    """Train with commitments and save the run."""
    warm_up("lookup")
    X, y = _proving_data.load(point.data)
    seconds, cpu, run = timed(lambda: zkdl.train(X, y, steps=point.steps, **_arguments(point)))
    run.save(folder)
    statement = run.statement
    return {
        "train_seconds": seconds,
        "train_cpu_seconds": cpu,
        "train_peak_bytes": peak(),
        "widths": list(statement.widths),
        "parameters": sum(w.size for w in run.witness.final_difference + run.witness.bias_difference),
        "records": statement.records,
        "settings": statement.settings.as_dict(),
        "row_bits": statement.row_bits,
        "loss": run.history.loss,
        "commitment_bytes": len(statement.final_commitment),
        "data_commitment_bytes": len(statement.data_commitment),
    }


def prove(point: Point, folder: Path) -> dict[str, Any]:
    """Prove a saved run, as `zkdl prove` does."""
    out: dict[str, Any] = warm_up(point.ranges)
    statement = zkdl.Statement.load(folder / "statement.json")
    witness = zkdl.Witness.load(folder / "witness.npz")
    marks: list[tuple[str, float]] = []

    def mark(name: str, _done: float) -> None:
        marks.append((name, time.process_time()))

    seconds, cpu, proof = timed(lambda: zkdl.prove(statement, witness, ranges=point.ranges, progress=mark))
    marks.append(("end", time.process_time()))
    cpu_phases = {name: later - at for (name, at), (_, later) in itertools.pairwise(marks)}
    proof.save(folder / "proof.zkdl")
    return {
        **out,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "phases": grouped(proof.phases),
        "cpu_phases": grouped(cpu_phases),
        "cpu_phases_in_full": cpu_phases,
        "peak_bytes": peak(),
        "proof_bytes": (folder / "proof.zkdl").stat().st_size,
        "load": os.getloadavg()[0],
    }


def verify(point: Point, folder: Path) -> dict[str, Any]:
    """Verify files; twice where that is quick, so that the second time is without loading kernels."""
    statement = zkdl.Statement.load(folder / "statement.json")
    data = (folder / "proof.zkdl").read_bytes()
    first, first_cpu, _ = timed(lambda: zkdl.verify(statement, data))
    out = {"verify_first_seconds": first, "verify_seconds": first, "verify_cpu_seconds": first_cpu}
    if first < 60:
        out["verify_seconds"], out["verify_cpu_seconds"], _ = timed(lambda: zkdl.verify(statement, data))
    return {**out, "verify_peak_bytes": peak()}


def steps(point: Point, folder: Path) -> dict[str, Any]:
    """A proof a step, each with its own commitment to the weights, chained. Sums, scaled up to T."""
    out: dict[str, Any] = warm_up(point.ranges)
    count = point.measured or point.steps
    names = ("train_seconds", "seconds", "cpu_seconds", "verify_seconds", "proof_bytes", "commitment_bytes")
    sums = dict.fromkeys(names, 0.0)
    phases: dict[str, float] = {}
    pairs: list[tuple[Any, Any]] = []
    X, y = _proving_data.load(point.data)
    run = None
    for _ in range(count):
        first = {"X": X, "y": y, **_arguments(point)} if run is None else {"resume": run}
        training, _, run = timed(lambda: zkdl.train(steps=1, **first))  # noqa: B023
        proving, cpu, proof = timed(
            lambda: zkdl.prove(run.statement, run.witness, ranges=point.ranges)  # noqa: B023
        )
        pairs.append((run.statement, proof))
        added = (training, proving, cpu, 0.0, len(proof), len(run.statement.final_commitment))
        for name, value in zip(names, added, strict=True):
            sums[name] += value * point.steps / count
        for name, value in grouped(proof.phases).items():
            phases[name] = phases.get(name, 0.0) + value * point.steps / count
    assert run is not None
    checking, _, _ = timed(lambda: zkdl.verify_chain(pairs))
    sums["verify_seconds"] = checking * point.steps / count
    return {
        **out,
        **sums,
        "proof_bytes": int(sums["proof_bytes"]),
        "commitment_bytes": int(sums["commitment_bytes"]),
        "phases": phases,
        "peak_bytes": peak(),
        "steps_measured": count,
        "parameters": sum(w.size for w in run.witness.final_difference + run.witness.bias_difference),
        "widths": list(run.statement.widths),
        "load": os.getloadavg()[0],
    }


def estimate(point: Point, folder: Path) -> dict[str, Any]:
    """What `zkdl estimate` says, without loading the witness."""
    from zkdl.estimate import estimate as measure

    statement = zkdl.Statement.load(folder / "statement.json")
    seconds, _, found = timed(lambda: measure(statement, point.ranges))
    return {"estimate": found.as_dict(), "estimate_takes_seconds": seconds}


def _arguments(point: Point) -> dict[str, Any]:
    return {
        "hidden": point.hidden,
        "batch_size": point.batch,
        "learning_rate": point.rate,
        "classes": 10,
    }


def main() -> None:
    """Run one job."""
    job, path, folder = sys.argv[1:4]
    fields = json.loads(Path(path).read_text())
    del fields["name"]
    point = Point(**{**fields, "hidden": tuple(fields["hidden"])})
    if threads := os.environ.get("ZKDL_BENCH_THREADS"):
        zkdl.arithmetic.set_threads(int(threads))
    jobs = {"train": train, "prove": prove, "verify": verify, "steps": steps, "estimate": estimate}
    print(json.dumps(jobs[job](point, Path(folder))))


if __name__ == "__main__":
    main()
