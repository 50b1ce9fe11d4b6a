"""Speed of the arithmetic, each kernel beside what Python offers for the same work, in the same run.

    python -m benchmarks.arithmetic [--json] [--out FILE] [--rounds 5] [--threads N] [--quick] [--backend gpu]

Peers: py-arkworks-bls12381 (compiled Rust) for the group, galois and Python integers for fields, py-ecc for
coordinates and hashing. Slow peers do a part of the work and are scaled up; `part` says how much. The best
round of each side counts, and results of both are compared before anything is timed. Peers run on one thread,
so ratios are of one thread each; `x1.9` under "threads" is how much faster our kernel gets on N of them (all
by default). Every kernel is timed on every path of the processor. Other load on the machine shows in the
figures: `load` in the JSON says how much there was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version

import zkdl.arithmetic as za
from zkdl.arithmetic.paths import get_cpu_path

PEERS = ("py-arkworks-bls12381", "galois", "py-ecc", "numba", "numpy")


def main() -> None:
    """Run everything and print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--out", help="also write the JSON to this file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=za.get_threads(), help="the larger number of threads")
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--backend", choices=("cpu", "gpu"), default="cpu", help="gpu: the kernels of cuda/")
    options = parser.parse_args()
    if options.backend == "gpu":
        from benchmarks import _arithmetic_gpu

        raise SystemExit(_arithmetic_gpu.main())
    # Imported here: the peers come with the `bench` extra, which a machine with a GPU may do without.
    from benchmarks import _arithmetic_fields as fields
    from benchmarks import _arithmetic_group as group
    from benchmarks._arithmetic_start import starts
    from benchmarks._arithmetic_table import Table

    quick, quiet, load = options.quick, options.json, os.getloadavg()
    table = Table(options.rounds, options.threads, quiet)
    fields.products(table, 14 if quick else 18)
    fields.passes(table, 14 if quick else 18)
    group.sums(table, (8, 11, 12) if quick else (8, 11, 14, 16, 18))
    group.rows(table, 1024 if quick else 4096, quick)
    group.folds(table, 512 if quick else 2048)
    group.single_points(table, 200 if quick else 2000)
    result = {
        "benchmark": "arithmetic",
        "path": get_cpu_path(),
        "paths": table.paths,
        "threads": options.threads,
        "processors": os.cpu_count(),
        "load": load,
        "machine": platform.machine(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PEERS},
        "sumcheck": fields.sumcheck_floor(16 if quick else 22, options.rounds, options.threads, quiet),
        "start": starts(quiet),
        "rows": [asdict(row) for row in table.rows],
    }
    if options.json:
        print(json.dumps(result))
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
