"""`python -m benchmarks run`: all parts, one after the other, and one report; goes on where it stopped.

    python -m benchmarks run [--quick] [--only NAME,...] [--out REPORT] [--again]

Every part is a module of this folder and runs in a process of its own. Its figures land in
REPORT/raw/NAME.json with the machine, versions, commit and options they come from; what it said in
REPORT/logs/NAME.txt; what else it wrote in REPORT/files/NAME/. A part that is done, with the same options at
the same commit, is not run again; one that fails or is cut off loses nothing of the others. The report,
REPORT/index.html, is written anew after every part. In full it takes less than an hour: parts that by
themselves take longer are given fewer seeds or rounds here (`FULL`), which is kept with their figures.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._machine import ROOT, commit, machine, versions

# Not figures of a run: what a compiler says of the CUDA sources.
APART = {"cuda_resources"}
# Shown, and run, in this order; others follow in alphabetical order.
FIRST = (
    "tradeoff", "continual", "proving", "similarity", "accuracy", "classification", "audit", "training",
    "arithmetic", "noise",
)  # fmt: skip
# What parts are asked for in full: less than they do by themselves where that takes too long.
FULL = {
    "continual": ("--runs", "3"),
    "accuracy": ("--seeds", "3"),
    "classification": ("--seeds", "5"),
    "audit": ("--repeats", "5", "--runs", "400,1600"),
    "arithmetic": ("--rounds", "3"),
    "similarity": ("--draws", "8", "--skip-classes"),
}
# Seconds on two processors (AMD EPYC, Zen 3): in full, estimated from pieces; --quick, about as measured.
EXPECTED = {
    "tradeoff": (260, 50), "continual": (220, 30), "proving": (500, 94), "similarity": (300, 85),
    "accuracy": (150, 10), "classification": (200, 22), "audit": (150, 24), "training": (30, 4),
    "arithmetic": (100, 39), "noise": (24, 9),
}  # fmt: skip
DONE, MISSED, FAILED = "done", "missed", "failed"


def ordered(names):
    """Return the parts of a run, the ones that matter most first."""
    rank = {name: k for k, name in enumerate(FIRST)}
    return sorted((n for n in names if n not in APART), key=lambda n: (rank.get(n, len(rank)), n))


def main(arguments, names) -> int:
    """Run what is not done yet and write the report; 1 if a part failed, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: everything in under 10 minutes, not 45"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="these parts alone")
    parser.add_argument("--out", type=Path, default=Path("bench-out"), metavar="REPORT", help="folder")
    parser.add_argument("--again", action="store_true", help="run parts that are done, too")
    options = parser.parse_args(arguments)
    only = {name for group in options.only for name in group.split(",") if name}
    if unknown := only - set(names):
        known = ", ".join(ordered(names))
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {known}")
    chosen = ordered(only or names)
    out = options.out.resolve()
    for folder in ("raw", "logs"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    states, code, pace, took, meant = [], 0, 1.0, 0.0, 0.0
    try:
        for number, name in enumerate(chosen, 1):
            ahead = sum(_expected(other, options.quick) for other in chosen[number - 1 :])
            shown = f"[{number}/{len(chosen)}, {_minutes(pace * ahead)} left] {name}"
            start = time.perf_counter()
            states.append(_part(name, out, options, shown))
            _report(out)
            spent, known = time.perf_counter() - start, _expected(name, options.quick)
            if spent > 1.0 and known:  # other machines, or other load: what is left goes at the same pace
                took, meant = took + spent, meant + known
                pace = took / meant
    except KeyboardInterrupt:
        print("\ninterrupted: run the same command to go on", file=sys.stderr)
        code = 130
    page = _report(out)
    print(f"{page}: {page.stat().st_size} bytes", file=sys.stderr)
    print(page)
    return code or int(FAILED in states)


def _expected(name, quick):
    return EXPECTED.get(name, (60, 10))[int(quick)]


def _minutes(seconds):
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"


def _part(name, out, options, shown):
    """Run a part unless it is done; return how it ended."""
    raw = out / "raw" / f"{name}.json"
    asked = ["--quick"] if options.quick else list(FULL.get(name, ()))
    identity = {"part": name, "quick": options.quick, "options": asked, **commit()}
    known = read(raw)
    same = known is not None and all(known.get(key) == value for key, value in identity.items())
    if same and known["state"] != FAILED and not options.again:
        print(f"{shown}: {known['state']} already, {known['seconds']:.0f} s", file=sys.stderr)
        return known["state"]
    # What a part wrote before it was cut off is its own to go on from, as long as it is about the same code.
    folder = out / "files" / name
    work, about = folder / f"{name}.json", folder / "about.json"
    if options.again or read(about) != identity:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write(about, identity)
    entry = {**identity, "machine": machine(), "versions": versions(), "started": _now()}
    command = [*_program(name), "--out", str(work), *asked]
    start = time.perf_counter()
    code = _watch(command, out / "logs" / f"{name}.txt", shown)
    entry |= {"seconds": time.perf_counter() - start, "exit_code": code, "result": read(work)}
    # A part that measured everything but missed a limit of its own says so with exit code 1.
    entry["state"] = FAILED if entry["result"] is None or code not in (0, 1) else MISSED if code else DONE
    if entry["state"] == FAILED:
        entry["tail"] = tail(out / "logs" / f"{name}.txt")
    else:
        work.unlink()  # the same figures are in raw/
    write(raw, entry)
    print(f"{shown}: {entry['state']}, {entry['seconds']:.0f} s", file=sys.stderr)
    return entry["state"]


def _program(name):
    return [sys.executable, "-m", f"benchmarks.{name}"]


def _watch(command, log, shown):
    """Run a command with its output in a file and, on a terminal, its seconds and last line on the screen."""
    live = sys.stderr.isatty()
    if not live:
        print(f"{shown} ...", file=sys.stderr, flush=True)
    start = time.perf_counter()
    with open(log, "w", encoding="utf-8") as file:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # so that the log is as far as the part is
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return child.wait(1.0 if live else None)
                if live:
                    last = (tail(log, 1) or [""])[0][: max(0, os.get_terminal_size(2).columns - 40)]
                    print(
                        f"\r\x1b[K{shown}  {time.perf_counter() - start:.0f} s  {last}",
                        end="",
                        file=sys.stderr,
                        flush=True,
                    )
        finally:
            if live:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            if child.poll() is None:
                _end(child)


def _end(child):
    """End a part with all the processes that it started: asked first, then not."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10.0)


def tail(log, lines=12):
    """Return the last lines of a log."""
    with open(log, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]


def read(path):
    """Return what a JSON file holds, or None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write(path, value):
    """Write a JSON file whole or not at all."""
    whole(path, json.dumps(value, indent=1).encode())


def whole(path, data):
    """Write a file by a temporary one beside it and a rename."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _report(out):
    from benchmarks._report import report_page

    entries = [read(path) for path in sorted((out / "raw").glob("*.json"))]
    entries = {entry["part"]: entry for entry in entries if entry is not None and "part" in entry}
    page = out / "index.html"
    whole(page, report_page({name: entries[name] for name in ordered(entries)}).data())
    return page


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
