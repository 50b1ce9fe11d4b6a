"""Run the benchmarks: `python -m benchmarks run`, with a report, or `python -m benchmarks [NAME ...]`, bare.

`python -m benchmarks run [--quick] [--only NAME] --out REPORT` (see its `--help`) goes on where it stopped
and puts everything into one page; `python -m benchmarks publish REPORT` takes its figures into docs/. Without
either, the named parts, or all, are measured and that is all.

Each part is a module of this folder with options of its own (`python -m benchmarks.NAME --help`) and writes
its figures, with the machine they come from, to FOLDER/NAME.json. Parts run in processes of their own, so
that none is measured with the memory or the threads of another.
"""

import argparse
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parts():
    """Names of the benchmark modules, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules([str(HERE)]) if not m.name.startswith("_"))


def main() -> int:
    """Run the chosen parts and hand back 1 if any of them failed."""
    if sys.argv[1:2] == ["run"]:
        from benchmarks._run import main as run

        return run(sys.argv[2:], parts())
    if sys.argv[1:2] == ["publish"]:
        from benchmarks._publish import main as publish

        return publish(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(parts())}")
    parser.add_argument("--out", type=Path, default=Path("bench-out"), help="folder for the figures")
    options = parser.parse_args()
    unknown = set(options.names) - set(parts())
    if unknown:
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(parts())}")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.names or parts():
        print(f"=== {name} ===", flush=True)
        start = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(out / f"{name}.json")]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode != 0:
            failed.append(name)
        print(f"[{name}: {time.perf_counter() - start:.0f} s]\n", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
