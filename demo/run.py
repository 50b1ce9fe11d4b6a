"""Run both demonstrations, one after the other: `make demo`."""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = (
    ("kde_demo.py", "dpkit: a private sketch that answers queries"),
    ("zkdl_demo.py", "zkdl: train, prove, verify, and try to cheat"),
)


def main() -> int:
    """Run each part in a process of its own and hand back the first failing exit code."""
    start = time.perf_counter()
    for number, (script, title) in enumerate(PARTS, 1):
        print(f"\n=== {number}/{len(PARTS)}  {title} ===\n", flush=True)
        code = subprocess.run([sys.executable, str(HERE / script)], check=False).returncode
        if code != 0:
            print(f"\n{script} failed with exit code {code}", file=sys.stderr)
            return code
    print(f"\nboth parts done in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
