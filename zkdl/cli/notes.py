"""The prover's own note beside a proof: seconds by phase, memory, machine. No part of the proof, not proved.

The note is the prover's to keep or to hand over with the proof; the verifier never reads it. ``zkdl inspect``
shows it where it lies beside the proof that it names, as reported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zkdl.protocol.files import write_whole
from zkdl.protocol.json_text import loads

__all__ = ["SUFFIX", "note_path", "read_note", "write_note"]

SUFFIX = ".times.json"
_MAX_BYTES = 1 << 16
_MAX_PHASES = 16
_MAX_TEXT = 200
_TEXTS = ("backend", "processor")
_NUMBERS = ("seconds", "peak_rss_bytes", "processors")


def note_path(proof: Path) -> Path:
    """Where the note of a proof lies: ``proof.zkdl`` has ``proof.times.json`` beside it."""
    return proof.with_suffix(SUFFIX)


def write_note(proof: Path, data: bytes, figures: Mapping[str, Any]) -> None:
    """Write the note of a proof beside it; where that cannot be done, do without.

    Args:
        proof: the file that was written; a device or pipe gets no note.
        data: what it holds.
        figures: what the command printed, of which seconds, phases, memory and backend are kept.
    """
    kept = {
        key: figures[key]
        for key in ("seconds", "seconds_by_phase", "peak_rss_bytes", "backend")
        if key in figures
    }
    note = {
        "about": "reported by the prover, not proved",
        "proof_sha256": hashlib.sha256(data).hexdigest(),
        **kept,
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    if proof.is_file():
        with contextlib.suppress(OSError):
            write_whole(note_path(proof), (json.dumps(note, indent=1) + "\n").encode())


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def read_note(proof: Path, data: bytes) -> dict[str, Any] | None:
    """Read the note beside a proof.

    Args:
        proof: its file.
        data: what it holds.

    Returns:
        ``seconds_by_phase`` and whatever else is known, every value of the type it should have; None where
        there is no note, or none of this very proof.
    """
    try:
        with open(note_path(proof), "rb") as file:
            found = loads(file.read(_MAX_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("proof_sha256") != hashlib.sha256(data).hexdigest():
        return None
    phases = found.get("seconds_by_phase")
    if not isinstance(phases, dict) or not 0 < len(phases) <= _MAX_PHASES:
        return None
    if not all(len(name) <= _MAX_TEXT and _number(value) for name, value in phases.items()):
        return None
    out: dict[str, Any] = {"seconds_by_phase": {name: float(value) for name, value in phases.items()}}
    out |= {key: found[key] for key in _NUMBERS if _number(found.get(key))}
    out |= {key: found[key][:_MAX_TEXT] for key in _TEXTS if isinstance(found.get(key), str)}
    return out


def _number(value: object) -> bool:
    # Comparing first: no NaN or infinity passes, and no integer is too large to be compared.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15
