"""Plots of the sweeps: small SVG files beside the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks._proving_rows import PHASES, Row, slopes

_AXES = {
    "depth": ("hidden layers", lambda row: len(row["hidden"])),
    "width": ("width", lambda row: row["hidden"][0]),
    "batch": ("batch", lambda row: row["batch"]),
    "steps": ("steps", lambda row: row["steps"]),
}


def plots(path: Path, rows: list[Row]) -> None:
    """Write ``NAME-*.svg`` for what has been measured."""
    matplotlib.use("Agg")
    # No dates and no random identifiers: equal figures give equal files.
    matplotlib.rcParams.update({"svg.hashsalt": "zkdl", "font.size": 8, "svg.fonttype": "none"})
    _sweeps(path, rows)
    _phases(path, rows)
    _marginal(path, rows)


def _finish(figure: Any, path: Path, name: str) -> None:
    figure.tight_layout()
    figure.savefig(path.with_name(f"{path.stem}-{name}.svg"), metadata={"Date": None})
    pyplot.close(figure)


def _sweeps(path: Path, rows: list[Row]) -> None:
    groups = [g for g in _AXES if len([r for r in rows if r["group"] == g]) > 1]
    if not groups:
        return
    figure, axes = pyplot.subplots(
        1, len(groups), figsize=(2.2 * len(groups), 2.4), squeeze=False, sharey=True
    )
    for axis, group in zip(axes[0], groups, strict=True):
        label, place = _AXES[group]
        for ranges in ("lookup", "bits"):
            members = [r for r in rows if r["group"] == group and r["ranges"] == ranges and not r["per_step"]]
            members.sort(key=place)
            if members:
                axis.plot(
                    [place(r) for r in members], [r["seconds"] for r in members], "o-", ms=3, label=ranges
                )
        axis.set(xlabel=label, xscale="log", yscale="log")
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("seconds to prove")
    axes[0][0].legend()
    _finish(figure, path, "sweeps")


def _phases(path: Path, rows: list[Row]) -> None:
    chosen = [r for r in rows if not r["per_step"] and r["ranges"] == "lookup"]
    chosen = sorted(chosen, key=lambda r: r["seconds"])[-8:]
    if not chosen:
        return
    figure, axis = pyplot.subplots(figsize=(5.2, 0.4 + 0.3 * len(chosen) + 0.6))
    left = [0.0] * len(chosen)
    for phase in PHASES:
        shares = [100 * r["cpu_phases"][phase] / sum(r["cpu_phases"].values()) for r in chosen]
        axis.barh([r["name"].removesuffix("/lookup") for r in chosen], shares, left=left, label=phase)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axis.set(xlabel="per cent of processor time", xlim=(0, 100))
    axis.legend(ncols=5, fontsize=6, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    _finish(figure, path, "phases")


def _marginal(path: Path, rows: list[Row]) -> None:
    found = slopes(rows)
    if not found:
        return
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(5.6, 2.4))
    for network, _ in found:
        runs = [r for r in rows if r["group"] == "parameters" and r["hidden"] == network["hidden"]]
        runs.sort(key=lambda r: r["steps"])
        label = f"{network['parameters'] / 1000:.0f}k parameters"
        left.plot([r["steps"] for r in runs], [r["seconds"] for r in runs], "o-", ms=3, label=label)
    left.set(xlabel="steps", ylabel="seconds to prove", ylim=(0, None))
    left.legend(fontsize=6)
    sizes = [network["parameters"] / 1000 for network, *_ in found]
    for name, label in (("all", "time"), ("cpu", "processor time")):
        right.plot(sizes, [1000 * step[name] for _, step in found], "o-", ms=3, label=label)
    right.legend(fontsize=6)
    right.set(xlabel="thousand parameters", ylabel="ms for one more step", ylim=(0, None), xlim=(0, None))
    for axis in (left, right):
        axis.grid(alpha=0.3)
    _finish(figure, path, "parameters")
