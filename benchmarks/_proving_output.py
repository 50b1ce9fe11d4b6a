"""What the measurements say: CSV, tables in Markdown, plots."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from benchmarks._proving_rows import PHASES, Row, slopes

_COLUMNS = (
    "group", "name", "data", "hidden", "batch", "steps", "ranges", "per_step", "parameters", "status",
    "train_seconds", "seconds", "cpu_seconds", *PHASES, "verify_seconds", "peak_bytes", "proof_bytes",
    "commitment_bytes", "load", "commit", "error",
)  # fmt: skip

PUBLISHED = [
    {
        "work": "zkDL, abstract of version 2 (arXiv 2307.16273)",
        "network": "8 layers, 10M parameters, batch 64",
        "prove": "under 1 s a step",
        "verify": "",
        "bytes": "",
        "hardware": "one data-centre GPU",
        "notes": "the public code has no verifier, no Fiat-Shamir, no blinding, no data",
    },
    {
        "work": "zkDL, journal version (by a secondary source), steps aggregated",
        "network": "10M parameters",
        "short": "zkDL, steps aggregated, 10M, a GPU",
        "seconds_a_step": 0.86,
        "prove": "0.86 s a step",
        "verify": "0.19 s a step",
        "bytes": "",
        "hardware": "one data-centre GPU",
        "notes": "",
    },
    {
        "work": "zkDL, journal version (by a secondary source), steps one by one",
        "network": "10M parameters",
        "short": "zkDL, steps one by one, 10M, a GPU",
        "seconds_a_step": 47.0,
        "bytes_a_step": 82_000,
        "prove": "47 s a step",
        "verify": "",
        "bytes": "82 kB a step (version 1: under 20 kB)",
        "hardware": "one data-centre GPU",
        "notes": "",
    },
    {
        "work": "Kaizen (CCS 2024)",
        "network": "VGG-11, 10M parameters, batch 16",
        "short": "Kaizen, VGG-11, 10M, batch 16, CPU",
        "seconds_a_step": 900.0,
        "prove": "15 min a step",
        "verify": "0.13 s",
        "bytes": "1.63 MB in all",
        "hardware": "CPU",
        "notes": "convolutions too",
    },
    {
        "work": "Confidential-DPproof (ICLR 2024)",
        "network": "CIFAR-10, DP-SGD",
        "prove": "about 100 h for a training run",
        "verify": "interactive",
        "bytes": "",
        "hardware": "",
        "notes": "proves the noise of DP-SGD too",
    },
]


def write(path: Path, result: dict[str, Any]) -> str:
    """Write CSV, Markdown and plots beside ``path``; returns the Markdown."""
    rows: list[Row] = list(result["points"])
    _write_csv(path.with_suffix(".csv"), rows)
    done = [row for row in rows if row["status"] == "measured"]
    text = "\n".join([*_header(result), *_tables(done), *_missing(rows)])
    path.with_suffix(".md").write_text(text + "\n")
    try:
        from benchmarks._proving_plots import plots
    except ModuleNotFoundError:
        text += "\n(no plots: matplotlib is missing)"
    else:
        plots(path, done)
    return text


def _write_csv(path: Path, rows: list[Row]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            phases = {name: f"{value:.4f}" for name, value in row.get("phases", {}).items()}
            writer.writerow({**row, **phases, "hidden": "-".join(map(str, row["hidden"]))})


def _header(result: dict[str, Any]) -> list[str]:
    return [
        f"Processor: {result['processor']} ({result['machine']}), {result['threads']} of "
        f"{result['processors']} processors, path {result['path']}, "
        f"{result['memory_bytes'] / 2**30:.0f} GiB. Python {result['python']}, "
        f"numpy {result['versions']['numpy']}, numba {result['versions']['numba']}. "
        f"Commit {result['commit']}. Load when started: {result['load'][0]:.2f}.",
        "",
    ]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, and an empty line."""
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)] + [""]


def _tables(rows: list[Row]) -> list[str]:
    out: list[str] = []
    for group in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == group]
        out += [f"### {group}", "", *table(_HEAD, [_cells(row) for row in members])]
    for section in (_ratios(rows), _per_step(rows), _marginal(rows), _estimates(rows), _beside(rows)):
        out += section
    return out


_HEAD = [
    "run",
    "parameters",
    "prove, s",
    "a step",
    *PHASES,
    "verify, s",
    "peak, MB",
    "proof, bytes",
    "train, s",
]


def _cells(row: Row) -> list[str]:
    return [
        row["name"],
        f"{row['parameters']:,}",
        f"{row['seconds']:.2f}",
        f"{row['seconds'] / row['steps']:.3f}",
        *(f"{row['phases'][name]:.2f}" for name in PHASES),
        f"{row['verify_seconds']:.2f}",
        f"{row['peak_bytes'] / 1e6:,.0f}",
        f"{row['proof_bytes']:,}",
        f"{row['train_seconds']:.2f}",
    ]


def _key(row: Row) -> tuple[Any, ...]:
    return row["data"], tuple(row["hidden"]), row["batch"], row["steps"]


def _ratios(rows: list[Row]) -> list[str]:
    """The two range arguments on the same network."""
    lookup = {_key(r): r for r in rows if r["ranges"] == "lookup" and not r["per_step"]}
    bits = {_key(r): r for r in rows if r["ranges"] == "bits" and not r["per_step"]}
    body = []
    for key in [k for k in lookup if k in bits]:
        ours, theirs = lookup[key], bits[key]
        without = [r["seconds"] - r["phases"]["witness"] for r in (ours, theirs)]
        body.append(
            [
                ours["name"].removesuffix("/lookup"),
                f"{ours['seconds']:.2f}",
                f"{theirs['seconds']:.2f}",
                f"{theirs['seconds'] / ours['seconds']:.1f}",
                f"{theirs['cpu_seconds'] / ours['cpu_seconds']:.1f}",
                f"{without[1] / without[0]:.1f}",
                f"{theirs['peak_bytes'] / ours['peak_bytes']:.1f}",
                f"{theirs['proof_bytes'] / ours['proof_bytes']:.2f}",
            ]
        )
    head = ["run", "lookup, s", "bits, s", "ratio", "processor time", "without witness", "memory", "bytes"]
    return ["### Bits beside lookup", "", *table(head, body)] if body else []


def _per_step(rows: list[Row]) -> list[str]:
    """The paper's way, a proof a step with bits, beside one proof of all steps."""
    whole = {_key(r): r for r in rows if r["ranges"] == "lookup" and not r["per_step"]}
    body = []
    for row in rows:
        ours = whole.get(_key(row))
        if not row["per_step"] or ours is None:
            continue
        both = [r["proof_bytes"] + r["commitment_bytes"] for r in (ours, row)]
        body.append(
            [
                row["name"],
                str(row["steps_measured"]),
                f"{row['seconds']:.2f}",
                f"{ours['seconds']:.2f}",
                f"{row['seconds'] / ours['seconds']:.1f}",
                f"{row['cpu_seconds'] / ours['cpu_seconds']:.1f}",
                f"{both[1]:,}",
                f"{both[0]:,}",
                f"{both[1] / both[0]:.1f}",
                f"{row['verify_seconds'] / ours['verify_seconds']:.1f}",
            ]
        )
    head = [
        "run", "proofs made", "sum, s", "one proof, s", "ratio", "processor time", "bytes, commitments too",
        "one proof, bytes", "ratio of bytes", "ratio of verifying",
    ]  # fmt: skip
    return (
        ["### A proof a step with bits, beside one proof with lookup", "", *table(head, body)] if body else []
    )


def _marginal(rows: list[Row]) -> list[str]:
    """One more step at a fixed sum of widths."""
    body = [
        [
            row["name"].rsplit("/", 2)[0],
            f"{row['parameters']:,}",
            f"{1000 * step['all']:.0f}",
            f"{1000 * (step['all'] - step['witness']):.0f}",
            f"{1000 * step['witness']:.1f}",
            f"{1000 * (step['cpu'] - step['cpu_witness']):.0f}",
        ]
        for row, step in slopes(rows)
    ]
    head = [
        "run",
        "parameters",
        "one more step, ms",
        "proving",
        "checking the witness",
        "proving, processor time",
    ]
    return ["### One more step, widths times batch fixed", "", *table(head, body)] if body else []


def _estimates(rows: list[Row]) -> list[str]:
    body = []
    for row in rows:
        if "estimate" not in row:
            continue
        found = row["estimate"]
        seconds = found["seconds"] - found.get("loading_seconds", 0.0)
        body.append(
            [
                row["name"],
                f"{row['seconds']:.2f}",
                f"{seconds:.2f}",
                f"{seconds / row['seconds']:.2f}",
                *(_phase_ratio(found, row, name) for name in PHASES),
                f"{row['peak_bytes'] / 1e6:,.0f}",
                f"{found['peak_rss_bytes'] / row['peak_bytes']:.2f}",
                "exact" if found["proof_bytes"] == row["proof_bytes"] else "WRONG",
            ]
        )
    head = ["run", "prove, s", "estimate, s", "ratio", *PHASES, "peak, MB", "ratio of memory", "bytes"]
    return ["### Estimates: predicted over measured", "", *table(head, body)] if body else []


def _phase_ratio(found: dict[str, Any], row: Row, name: str) -> str:
    predicted = found.get("seconds_by_phase", {}).get(name)
    return "" if predicted is None else f"{predicted / max(row['phases'][name], 1e-3):.2f}"


def _beside(rows: list[Row]) -> list[str]:
    body = []
    for row in rows:
        if row["group"] != "headline":
            continue
        layers = len(row["hidden"])
        body.append(
            [
                "this package",
                f"{layers} hidden layers, {row['parameters'] / 1e6:.1f}M parameters, batch {row['batch']}, "
                f"T = {row['steps']}",
                f"{row['seconds'] / row['steps']:.2f} s a step",
                f"{row['verify_seconds'] / row['steps']:.3f} s a step",
                f"{row['proof_bytes'] / row['steps'] / 1000:.1f} kB a step",
                "the processor named above",
                "statement to proof, verified; witness check included",
            ]
        )
    for entry in PUBLISHED:
        body.append([entry[k] for k in ("work", "network", "prove", "verify", "bytes", "hardware", "notes")])
    head = ["work", "network", "prove", "verify", "proof", "hardware", "notes"]
    return ["### Beside published figures", "", *table(head, body)]


def _missing(rows: list[Row]) -> list[str]:
    lines = [f"- {r['name']}: {r['status']}: {r.get('error', '')}" for r in rows if r["status"] != "measured"]
    return ["### Not measured", "", *lines, ""] if lines else []
