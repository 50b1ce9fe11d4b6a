"""Rows of measurements: what tables and plots both read off them."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
PHASES = ("witness", "commit", "sumchecks", "ranges", "opening")


def slopes(rows: list[Row]) -> list[tuple[Row, dict[str, float]]]:
    """By network of the group ``parameters``: its longest run, and what one more step takes, in seconds."""
    out = []
    members = [row for row in rows if row["group"] == "parameters"]
    for hidden in dict.fromkeys(tuple(row["hidden"]) for row in members):
        runs = sorted((r for r in members if tuple(r["hidden"]) == hidden), key=lambda r: r["steps"])
        if len(runs) > 1:
            low, high = runs[0], runs[-1]
            more = high["steps"] - low["steps"]
            pairs = {
                "all": (high["seconds"], low["seconds"]),
                "witness": (high["phases"]["witness"], low["phases"]["witness"]),
                "cpu": (high["cpu_seconds"], low["cpu_seconds"]),
                "cpu_witness": (high["cpu_phases"]["witness"], low["cpu_phases"]["witness"]),
            }
            out.append((high, {name: (b - a) / more for name, (b, a) in pairs.items()}))
    return out
