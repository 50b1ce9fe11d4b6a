"""Speed of the kernels on a CUDA device beside what its memory and its multipliers allow, and a whole proof.

    python -m benchmarks.arithmetic --backend gpu [--json] [--out FILE] [--rounds 5] [--quick]

Limits: bytes that must move over the measured rate of a copy; products of limbs over 64 multiply-adds a
    clock and
multiprocessor. `bound` is the larger of the two times, `share` how much of the measured time that is. Every
result is first compared with the processor's, at a smaller size.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import zkdl
import zkdl.arithmetic as za
from zkdl.arithmetic.backend import use_engine
from zkdl.arithmetic.gpu import DeviceArray, Engine, msm_ops, open_engine
from zkdl.console import peak_rss_bytes
from zkdl.errors import BackendError

# 32-bit multiply-adds of a Montgomery product of n limbs: low and high halves of n^2 products, twice, and n
# factors.
FR, FQ = 4 * 8**2 + 8, 4 * 12**2 + 12
MIXED_ADDITION = 10 * FQ
MULTIPLIERS = 64  # a clock and multiprocessor, on every architecture from 7.0 to 9.0


@dataclass
class Row:
    """One operation: seconds, and the seconds that memory and multipliers cannot be beaten to."""

    name: str
    units: int
    unit: str
    seconds: float
    per_second: float
    memory_bound: float
    multiply_bound: float | None
    share: float


class Table:
    """Times operations on an engine, against the limits of its device."""

    def __init__(self, engine: Engine, rounds: int, quiet: bool) -> None:
        self.engine, self.rounds, self.quiet = engine, rounds, quiet
        self.rows: list[Row] = []
        facts = getattr(engine.device, "facts", dict)()
        self.facts = {"name": engine.device.name, "processors": engine.device.processors, **facts}
        clock = facts.get("clock_khz")
        self.multiplies = 1e3 * clock * engine.device.processors * MULTIPLIERS if clock else None
        self.bandwidth = self._copy_rate()
        self.facts |= {"copy_bytes_per_second": self.bandwidth, "multiply_adds_per_second": self.multiplies}

    def _copy_rate(self) -> float:
        n = 1 << 26 if self.multiplies else 1 << 20
        a, b = self.engine.empty((n,)), self.engine.empty((n,))
        seconds = self.best(lambda: b.__setitem__(slice(None), a))
        return 2 * a.nbytes / seconds

    def best(self, call: Callable[[], Any]) -> float:
        """The least seconds of a call, waiting for the device at both ends; the first call does not count."""
        call()
        least = float("inf")
        for _ in range(self.rounds):
            self.engine.device.synchronise()
            start = time.perf_counter()
            call()
            self.engine.device.synchronise()
            least = min(least, time.perf_counter() - start)
        return least

    def time(
        self, name: str, units: int, unit: str, nbytes: int, products: int, call: Callable[[], Any]
    ) -> None:
        """Time a call that moves `nbytes` and does `products` 32-bit multiply-adds."""
        seconds = self.best(call)
        memory = nbytes / self.bandwidth
        multiply = products / self.multiplies if self.multiplies else None
        share = max(memory, multiply or 0.0) / seconds
        row = Row(name, units, unit, seconds, units / seconds, memory, multiply, share)
        self.rows.append(row)
        if not self.quiet:
            text = f"{name:34} {seconds * 1e3:10.3f} ms {units / seconds / 1e6:10.1f} M {unit}/s"
            print(f"{text} {100 * share:6.1f} % of the bound", flush=True)


def check(engine: Engine, n: int = 1 << 11) -> None:
    """Compare what is timed with the processor."""
    engine.line, line = 1, engine.line
    try:
        f, g, values, points = _inputs(n)

        def results() -> list[Any]:
            eq = za.multilinear.eq_table(list(range(3, 3 + n.bit_length() - 1)))
            return [
                za.Fr.mul(f, g),
                za.Fr.inverse(f),
                eq,
                za.sumcheck.round_cubic(eq, f, g),
                za.multilinear.matvec(values, za.Fr.mul(g, eq)),
                za.multilinear.vecmat(f[: len(values)], values),
                za.msm(points, f),
                za.msm_rows(points, values),
            ]

        found = results()
        use_engine(None)
        wanted = results()
    finally:
        use_engine(engine)
        engine.line = line
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if not np.array_equal(a.to_host() if isinstance(a, DeviceArray) else a, b):
            raise SystemExit(f"result {k} differs from the processor's: nothing timed")


def _inputs(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    values = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, (16, n), dtype=np.int64)
    points = np.tile(za.generators(256), (max(1, n // 256), 1))[:n]
    return za.Fr.random(n), za.Fr.random(n), values, points


def fields(table: Table, log: int) -> None:
    """Element by element, and sums."""
    engine, n = table.engine, 1 << log
    a, b = engine.put(za.Fr.random(n)), engine.put(za.Fr.random(n))
    size = a.nbytes
    table.time(f"Fr multiply, 2^{log}", n, "products", 3 * size, n * FR, lambda: za.Fr.mul(a, b))
    table.time(f"Fr add, 2^{log}", n, "sums", 3 * size, 0, lambda: za.Fr.add(a, b))
    table.time(f"Fr inner product, 2^{log}", n, "products", 2 * size, n * FR, lambda: za.Fr.inner(a, b))
    table.time(f"Fr invert, 2^{log}", n, "inverses", 4 * size, 4 * n * FR, lambda: za.Fr.inverse(a))
    q = engine.put(np.tile(za.Fq.random(1 << 10), (n >> 10, 1)))
    table.time(f"Fq multiply, 2^{log}", n, "products", 3 * q.nbytes, n * FQ, lambda: za.Fq.mul(q, q))
    cells = engine.put(np.random.default_rng(1).integers(-(1 << 15), 1 << 15, n).astype(np.int32))
    call = lambda: za.Fr.from_int64(cells)
    table.time(f"int32 to Fr, 2^{log}", n, "elements", cells.nbytes + size, n * FR, call)


def polynomials(table: Table, log: int) -> None:
    """Rounds, folds, eq tables, products with integer matrices."""
    engine, n = table.engine, 1 << log
    e, f, g = (engine.put(za.Fr.random(n)) for _ in range(3))
    size, half = e.nbytes, n // 2
    ml, sc = za.multilinear, za.sumcheck
    table.time(f"eq table, 2^{log}", n, "entries", 2 * size, n * FR, lambda: ml.eq_table(list(range(log))))
    call = lambda: sc.round_quadratic(f, g)
    table.time(f"round of f g, 2^{log}", n, "entries", 2 * size, 3 * half * FR, call)
    call = lambda: sc.round_cubic(e, f, g)
    table.time(f"round of e f g, 2^{log}", n, "entries", 3 * size, 8 * half * FR, call)
    table.time(f"fold, 2^{log}", n, "entries", 3 * size // 2, half * FR, lambda: ml.fold_high(f, 5))
    table.time(
        f"sumcheck of f g, 2^{log}", n, "entries", 7 * size, 5 * n * FR, lambda: _sumcheck(f.copy(), g.copy())
    )
    rows = columns = 1 << (log // 2)
    matrix = np.random.default_rng(1).integers(-(1 << 20), 1 << 20, (rows, columns), dtype=np.int32)
    there = engine.put(matrix)
    vector = engine.put(za.Fr.random(rows))
    # An integer of one limb: 8 multiply-adds a cell, reduced once a row.
    cells = rows * columns
    for name, call in (
        ("matrix vector", lambda: ml.matvec(there, vector)),
        ("vector matrix", lambda: ml.vecmat(vector, there)),
    ):
        table.time(f"{name} int32, {rows} x {columns}", cells, "cells", matrix.nbytes, 8 * cells, call)


def _sumcheck(f: Any, g: Any) -> None:
    while len(f) > 1:
        coefficients = za.sumcheck.round_quadratic(f, g)
        r = coefficients[0]
        f, g = za.multilinear.fold_high(f, r), za.multilinear.fold_high(g, r)


def groups(table: Table, logs: list[int], rows: int, columns: int) -> None:
    """Multi-scalar multiplication, one row and many."""
    for log in logs:
        n = 1 << log
        points, scalars = np.tile(za.generators(1 << 10), (n >> 10, 1)), table.engine.put(za.Fr.random(n))
        there = table.engine.put(points)
        plan = msm_ops._plan(1, n, msm_ops._LARGEST_FR)
        work = plan.windows * (n + 2 * plan.buckets) * MIXED_ADDITION
        table.time(f"MSM 255 bits, 2^{log}", n, "points", 0, work, lambda a=there, b=scalars: za.msm(a, b))
    points = za.generators(columns)
    cells = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, (rows, columns), dtype=np.int32)
    plan = msm_ops._plan(rows, columns, 1 << 15)
    work = rows * plan.windows * (columns + 2 * plan.buckets) * MIXED_ADDITION
    name = f"commit 16-bit cells, {rows} x {columns}"
    call = lambda: za.msm_rows(points, cells)
    table.time(name, rows * columns, "cells", 0, work, call)


def proof(engine: Engine, quick: bool) -> dict[str, Any]:
    """The same run proved on the processor and on the device; both proofs must be accepted."""
    records, features, hidden, steps, batch = (64, 16, (16,), 2, 8) if quick else (512, 128, (128, 64), 4, 64)
    rng = np.random.default_rng(1)
    x, y = rng.random((records, features)), rng.integers(0, 10, records)
    run = zkdl.train(x, y, hidden=hidden, steps=steps, batch_size=batch, learning_rate="1/64", seed=1)
    out: dict[str, Any] = {"features": features, "hidden": hidden, "steps": steps, "batch": batch}
    for name, used in (("cpu", None), ("gpu", engine)):
        use_engine(used)
        for attempt in ("first", "second"):
            engine.fallbacks.clear(), engine.launches.clear()
            engine.moved_bytes = 0
            start = time.perf_counter()
            made = zkdl.prove(run.statement, run.witness)
            out[f"{name}_seconds_{attempt}"] = time.perf_counter() - start
        out[f"{name}_seconds_by_phase"] = made.phases
        use_engine(None)
        zkdl.verify(run.statement, made)
    out |= {
        "launches": sum(engine.launches.values()),
        "fallbacks": dict(engine.fallbacks),
        "fallback_bytes": engine.moved_bytes,
    }
    use_engine(engine)
    return out


def run(engine: Engine, rounds: int, quick: bool, quiet: bool, log: int = 22) -> dict[str, Any]:
    """Everything, as one object."""
    before = use_engine(engine)
    try:
        check(engine)
        table = Table(engine, rounds, quiet)
        log = min(log, 18) if quick else log
        fields(table, log)
        polynomials(table, log)
        if log < 14:
            groups(table, [10], 4, 256)
        else:
            groups(table, [14, 16] if quick else [16, 18, 20], 256, 4096)
        made = proof(engine, quick)
    finally:
        use_engine(before)
    if not quiet:
        print(f"proof: cpu {made['cpu_seconds_second']:.2f} s, gpu {made['gpu_seconds_second']:.2f} s")
        print(f"left to the processor: {made['fallbacks'] or 'nothing'}, {made['fallback_bytes']} bytes")
    return {
        "device": table.facts,
        "rows": [asdict(row) for row in table.rows],
        "proof": made,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Parse options and run; 2 without a device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=["gpu"], default="gpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--out", type=Path, help="file for the figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--threads", type=int, help="for what the processor does")
    options = parser.parse_args(arguments)
    if options.threads:
        za.set_threads(options.threads)
    try:
        engine = open_engine()
    except BackendError as error:
        print(error, file=sys.stderr)
        return 2
    found = run(engine, options.rounds, options.quick, options.json)
    if options.json:
        print(json.dumps(found))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
