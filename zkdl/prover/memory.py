"""Refusing a proof that memory will not hold, before anything large is allocated."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zkdl.arithmetic import get_backend
from zkdl.errors import InputError, ResourceError
from zkdl.protocol.statement import Statement
from zkdl.prover.footprint import peak_bytes

__all__ = ["VARIABLE", "available_bytes", "check_memory", "parse_limit", "shown"]

VARIABLE = "ZKDL_MEMORY_LIMIT"
"""Environment variable with a limit such as 12G, or none."""

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TEXT = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(?:I?B)?\s*", re.IGNORECASE)
_CGROUPS = Path("/sys/fs/cgroup")


def shown(size: int) -> str:
    """A size for people.

    >>> shown(3 << 29), shown(5 << 20)
    ('1.5 GiB', '5 MiB')
    """
    return f"{size / 2**30:.1f} GiB" if size >= 1 << 30 else f"{size / 2**20:.0f} MiB"


def parse_limit(text: str) -> int:
    """Read a limit: bytes, or a number with K, M, G or T (powers of 1024); ``none`` is 0, no limit.

    Raises:
        InputError: anything else.

    >>> parse_limit("1.5G"), parse_limit("none")
    (1610612736, 0)
    """
    if text.strip().lower() in ("none", "0"):
        return 0
    match = _TEXT.fullmatch(text)
    limit = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if limit < 1:
        raise InputError(f"memory limit must be a size such as 12G, or 'none', got {text!r}")
    return limit


def available_bytes() -> int:
    """Memory that this process can still take: what the machine has left, or its control group if less."""
    found = [_machine()]
    for limit, usage, stat in _groups():
        top, used = _number(limit), _number(usage)
        if top is not None and used is not None:
            found.append(top - used + _reclaimable(stat))
    return max(0, min(found))


def _machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.endswith("kB")}
    return values.get("MemAvailable", values.get("MemFree", 0))


def _groups() -> list[tuple[Path, Path, Path]]:
    """(limit, usage, statistics) of the control groups above this process, both versions."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    out = []
    for line in lines:
        _, kinds, place = line.split(":", 2)
        second = kinds == ""
        if not second and "memory" not in kinds.split(","):
            continue
        root = _CGROUPS if second else _CGROUPS / "memory"
        names = ("memory.max", "memory.current") if second else (
            "memory.limit_in_bytes", "memory.usage_in_bytes",
        )  # fmt: skip
        # Inside a container the path may be the host's: the root is then the group itself.
        here = Path(place.lstrip("/"))
        for folder in (here, *here.parents):
            group = root / folder
            out.append((group / names[0], group / names[1], group / "memory.stat"))
    return out


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _reclaimable(stat: Path) -> int:
    """File pages that the kernel drops when a group needs memory."""
    try:
        pairs = [line.split() for line in stat.read_text().splitlines()]
    except OSError:
        return 0
    values = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
    return values.get("total_inactive_file", values.get("inactive_file", 0))


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def check_memory(statement: Statement, ranges: str, limit: int | None = None) -> int:
    """Refuse to prove what memory will not hold.

    Takes about a millisecond and allocates nothing of note, whatever the statement asks for.

    Args:
        statement: acceptable (see `Statement.validate`).
        ranges: the range argument.
        limit: bytes that the process may reach at its peak; 0 for no limit. By default that of the
            environment variable ``ZKDL_MEMORY_LIMIT``, else what this process holds and what is available.

    Returns:
        The estimate of the peak, in bytes.

    Raises:
        InputError: a limit below 0, or a bad environment variable.
        ResourceError: the estimate exceeds the limit; the message has both.
    """
    if limit is not None and limit < 0:
        raise InputError(f"memory_limit must be a number of bytes, 0 for no limit, got {limit}")
    by_phase = peak_bytes(statement, ranges)
    if get_backend() != "cpu":
        # Tables of field elements live on the device, which refuses by itself.
        by_phase = {name: by_phase[name] for name in ("witness", "tensors")}
    phase = max(by_phase, key=lambda name: by_phase[name])
    peak = by_phase[phase]
    what = "the limit is"
    if limit is None and (text := os.environ.get(VARIABLE)):
        limit, what = parse_limit(text), f"{VARIABLE} is"
    if limit is None:
        limit, what = available_bytes() + _resident(), "this machine has"
    if limit and peak > limit:
        raise ResourceError(
            f"proving needs about {shown(peak)} of memory at its peak ({phase}), {what} {shown(limit)}; "
            "prove fewer steps at a time, or set the limit yourself (memory_limit=, --memory-limit or "
            f"{VARIABLE}; 0 or 'none' to try anyway)"
        )
    return peak
