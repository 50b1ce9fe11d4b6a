"""What an exact integer step costs beside a step in float64, from the digits to ten million parameters.

    python -m benchmarks.training [--out FILE] [--quick]

Three trainers take the same steps in turn: the fast one, the plain one (integers of any magnitude, every
product bounded and converted anew) and float64 NumPy. Processor time and the clock are both kept, medians and
best. Waiting threads of BLAS count as processor time: on a busy machine, compare with
OPENBLAS_NUM_THREADS=1. Nothing is committed to and no witness is kept; benchmarks.accuracy has the accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks._machine import machine, versions
from zkdl import Settings
from zkdl.console import peak_rss_bytes
from zkdl.protocol.initial import initial_weights
from zkdl.training.fast import FastTrainer
from zkdl.training.trainer import Trainer
from zkdl.training.twin import FloatTwin

BATCH, RATE = 64, "1/64"
SIZES = [((64, 64, 64, 10), 200), ((784, 256, 256, 10), 50), ((3072, *[1024] * 8, 10), 5)]
LIMIT = 3.0


def clocked(call: Callable[[], object]) -> tuple[float, float]:
    """(processor seconds, seconds) of one call."""
    cpu, start = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - start


def measure(widths: tuple[int, ...], steps: int) -> dict:
    """One row: seconds a step of every trainer."""
    settings = Settings.choose(BATCH, RATE)
    mu = settings.multiplier(BATCH, RATE)
    scale = 2.0**settings.activation_scale
    kept = []
    drawing = clocked(lambda: kept.append(initial_weights(1, widths, True, settings)))
    weights, biases = kept.pop()
    twin = FloatTwin([w / 2.0**settings.weight_scale for w in weights], biases, 1 / 64 / BATCH)
    del weights, biases
    fast, plain = (kind(widths, True, settings, mu, 1) for kind in (FastTrainer, Trainer))
    rng = np.random.default_rng(0)
    # Dim images: with random labels, larger ones drive ten layers out of range within a few steps.
    x = rng.integers(0, int(scale) // 8 + 1, (BATCH, widths[0]))
    y = int(scale) * np.eye(widths[-1], dtype=np.int64)[rng.integers(0, widths[-1], BATCH)]
    calls = {
        "fast": lambda: fast.step(x, y),
        "plain": lambda: plain.step(x, y),
        "twin": lambda: twin.step(x / scale, y / scale),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for step in range(steps + 1):
        for name, call in calls.items():
            taken = clocked(call)
            if step:
                times[name].append(taken)
    if any(not np.array_equal(a, b) for a, b in zip(fast.weights, plain.weights, strict=True)):
        raise SystemExit("the two integer trainers differ")
    row: dict = {
        "widths": list(widths),
        "parameters": sum((a + 1) * b for a, b in pairwise(widths)),
        "steps": steps,
        "general_steps": fast.general_steps,
        "initial_weights": {"processor": drawing[0], "clock": drawing[1]},
    }
    for name, taken in times.items():
        for k, what in enumerate(("processor", "clock")):
            row.setdefault(name, {})[what] = median(t[k] for t in taken)
            row[name][f"best_{what}"] = min(t[k] for t in taken)
    for name in ("fast", "plain"):
        row[f"{name}_over_twin"] = row[name]["processor"] / row["twin"]["processor"]
        row[f"{name}_over_twin_best"] = row[name]["best_processor"] / row["twin"]["best_processor"]
    return row


def main() -> None:
    """Measure, print a table, and optionally write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", help="write the figures to this JSON file")
    parser.add_argument("--quick", action="store_true", help="leave the largest network out")
    options = parser.parse_args()
    print(
        f"{'network':22} {'fast':>9} {'plain':>9} {'float64':>9}  processor ms a step; fast, plain / float64"
    )
    rows = []
    for widths, steps in SIZES[:-1] if options.quick else SIZES:
        row = measure(widths, steps)
        rows.append(row)
        label = f"{row['parameters']:,} parameters"
        cells = "".join(f"{1e3 * row[name]['processor']:10.2f}" for name in ("fast", "plain", "twin"))
        print(f"{label:22}{cells}  {row['fast_over_twin']:.2f}, {row['plain_over_twin']:.2f}", flush=True)
    report = {
        "benchmark": "training",
        "machine": machine(),
        "versions": versions(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
        "batch_size": BATCH,
        "peak_rss_bytes": peak_rss_bytes(),
        "within": all(row["fast_over_twin"] <= LIMIT for row in rows),
        "rows": rows,
    }
    if options.out:
        Path(options.out).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
