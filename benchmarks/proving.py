"""Proofs of training, measured: depth, width, batch, steps, both range arguments, and the paper's way.

    python -m benchmarks.proving [--quick] [--only GROUP,...] [--out FILE] [--threads N] [--fit] [--again]

Groups: depth, width, batch, steps, middle, parameters, baseline, headline (10.5 million parameters, eight
hidden layers of 1,024, batch 64, T = 8); by name only: smaller, and T = 32 of the headline. Every point is a
real training run, trained, proved and verified in processes of its own, and lands in FILE at once: a run that
is cut off goes on where it stopped, one point that fails does not lose the others, and a point that memory
will not hold is left out with the figure. Beside FILE: a CSV, plots (SVG), and tables in Markdown. ``--fit``
adds what `zkdl estimate` says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import zkdl.arithmetic as za
from benchmarks import _proving_output as output
from benchmarks._proving_points import GROUPS, Point, select
from zkdl.arithmetic.paths import cpu_paths, get_cpu_path
from zkdl.prover.memory import available_bytes, shown

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("numpy", "numba", "llvmlite", "matplotlib", "mlxtend", "scikit-learn")
# Part of the memory at hand that a point may be expected to need: estimates are right within 30 %.
_SHARE = 0.9
_PATIENCE = 4 * 3600


def main() -> int:
    """Measure what is missing, then write tables and plots; 1 if a point failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.proving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: under 2 minutes on 2 processors")
    parser.add_argument("--only", default="", help=f"groups, separated by commas: {', '.join(GROUPS)}")
    parser.add_argument("--out", type=Path, default=Path("bench-out/proving.json"), help="figures, JSON")
    parser.add_argument("--threads", type=int, default=za.get_threads())
    parser.add_argument("--fit", action="store_true", help="also run zkdl estimate, and compare")
    parser.add_argument("--again", action="store_true", help="measure points that are in FILE already too")
    parser.add_argument("--report", action="store_true", help="measure nothing: write tables and plots again")
    parser.add_argument("--json", action="store_true", help="print the JSON object and nothing else")
    options = parser.parse_args()
    only = tuple(name for name in options.only.split(",") if name)
    if unknown := set(only) - set(GROUPS):
        parser.error(f"no group called {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    points = select("quick" if options.quick else "full", only)
    if options.report:
        print(output.write(options.out, json.loads(options.out.read_text())))
        return 0
    result = _open(options.out, options.threads, again=options.again)
    quiet = options.json
    failed = 0
    for number, point in enumerate(points, 1):
        row = _known(result["points"], point, options.fit)
        if row is None:
            start = time.perf_counter()
            row = _measure(point, options)
            row["code"], row["commit"] = result["code"], result["commit"]
            rows = [old for old in result["points"] if not _same(old, point)]
            result["points"] = [*rows, row]
            _save(options.out, result)
            if not quiet:
                took = time.perf_counter() - start
                print(f"[{number}/{len(points)}] {point.group}: {_line(row)}  [{took:.0f} s]", flush=True)
        elif not quiet:
            print(f"[{number}/{len(points)}] {point.group}: {_line(row)}  [known]", flush=True)
        failed += row["status"] == "failed"
    result["finished"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    _save(options.out, result)
    text = output.write(options.out, result)
    print(json.dumps(result) if quiet else text)
    return 1 if failed else 0


def _open(path: Path, threads: int, *, again: bool) -> dict[str, Any]:
    """The header of this run, with the points of an earlier one of the same code, threads and machine."""
    header = {
        "benchmark": "proving",
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "code": _code(),
        "threads": threads,
        "processors": os.cpu_count(),
        "processor": _processor(),
        "machine": platform.machine(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
        "path": get_cpu_path(),
        "paths": list(cpu_paths()),
        "load": os.getloadavg(),
        "published": output.PUBLISHED,
        "points": [],
    }
    if path.exists() and not again:
        old = json.loads(path.read_text())
        same = all(old.get(key) == header[key] for key in ("code", "threads", "processor", "path"))
        if same:
            header["points"] = [row for row in old["points"] if row["status"] != "failed"]
    return header


def _code() -> str:
    """Digest of the package's sources: figures of other code are measured again."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "zkdl").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    return (
        f"{head} with changes" if head and git("status", "--porcelain", "--", "zkdl") else head or "unknown"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "missing"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def _same(row: dict[str, Any], point: Point) -> bool:
    return row["group"] == point.group and row["name"] == point.name


def _known(rows: list[dict[str, Any]], point: Point, fit: bool) -> dict[str, Any] | None:
    found = [row for row in rows if _same(row, point) and row["status"] == "measured"]
    return found[0] if found and (not fit or point.per_step or "estimate" in found[0]) else None


def _save(path: Path, result: dict[str, Any]) -> None:
    """Replace the file whole: a run that is cut off leaves the last state."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(path)


def _measure(point: Point, options: argparse.Namespace) -> dict[str, Any]:
    """All jobs of one point; what fails is said in the row."""
    row: dict[str, Any] = {**point.as_dict(), "status": "measured", "at": time.time()}
    with tempfile.TemporaryDirectory(prefix="zkdl-bench-", dir=options.out.parent) as place:
        folder = Path(place)
        description = folder / "point.json"
        description.write_text(json.dumps(point.as_dict()))
        run = folder / "run"
        jobs = ["steps"] if point.per_step else ["train", "prove", "verify"]
        if options.fit and not point.per_step:
            jobs.append("estimate")
        for job in jobs:
            if job == "prove" and (reason := _too_large(point, run)):
                return {**row, "status": "left out", "error": reason}
            found = _job(job, description, run, options.threads)
            row.update(found)
            if "error" in found:
                row["status"] = "failed"
                break
    return row


def _too_large(point: Point, run: Path) -> str:
    """Why this point is not even tried, or nothing."""
    from zkdl.protocol.statement import Statement
    from zkdl.prover.footprint import peak_bytes

    by_phase = peak_bytes(Statement.load(run / "statement.json"), point.ranges)
    peak, room = max(by_phase.values()), available_bytes()
    if peak <= _SHARE * room:
        return ""
    return f"needs about {shown(peak)} of memory, {shown(room)} are available"


def _job(job: str, description: Path, run: Path, threads: int) -> dict[str, Any]:
    """One process of `_proving_worker`, on as many threads as asked for."""
    command = [sys.executable, "-m", "benchmarks._proving_worker", job, str(description), str(run)]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "ZKDL_BENCH_THREADS": str(threads)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"{job}: not done after {_PATIENCE} s"}
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        what = "killed, most likely for memory" if done.returncode == -9 else f"exit {done.returncode}"
        return {"error": f"{job}: {what}: {lines[-1] if lines else ''}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _line(row: dict[str, Any]) -> str:
    if row["status"] != "measured":
        return f"{row['name']}: {row['status']}: {row.get('error', '')}"
    return (
        f"{row['name']}: {row['seconds']:.2f} s ({row['seconds'] / row['steps']:.3f} a step), "
        f"{row['proof_bytes']:,} bytes, verify {row['verify_seconds']:.2f} s, {shown(row['peak_bytes'])}"
    )


if __name__ == "__main__":
    sys.exit(main())
