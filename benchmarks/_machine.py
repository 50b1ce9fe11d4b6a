"""What figures come from: the machine, the versions, the commit and what was changed since."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "numpy", "numba", "scipy", "scikit-learn", "opendp", "galois", "py-ecc", "py-arkworks-bls12381",
    "mlxtend",
)  # fmt: skip


def machine():
    """Return the processor, the memory and the load, as JSON-ready values."""
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": os.getloadavg()[0],
    }


def processor():
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def versions():
    """Return the versions of Python and of every package that figures depend on; None where it is missing."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def commit():
    """Return {"commit", "changed"}: the commit, and a digest of tracked changes since (None where clean)."""
    head = _git("rev-parse", "HEAD")
    changes = _git("diff", "HEAD", "--", "dpkit", "zkdl", "benchmarks", "pyproject.toml")
    return {
        "commit": head.strip() or None,
        "changed": hashlib.sha256(changes.encode()).hexdigest()[:16] if changes else None,
    }


def _git(*arguments):
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, errors="replace"
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
