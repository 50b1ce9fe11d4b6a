"""Rates of the exact noise samplers, beside OpenDP's in the same run, on one thread.

    python benchmarks/noise.py [--json] [--out FILE] [--rounds 5] [--quick]

Each scale is one that a structure uses: counters (10), hat basis on a 2^20 grid (2^22), Fourier features with
thousands of frequencies (2^27, 2^33). The two libraries alternate, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from dpkit.noise import discrete_gaussian, discrete_gaussian_vector, discrete_laplace, discrete_laplace_vector

SCALES = {"counters": 10, "hat basis": 2**22, "Fourier, pure": 2**27, "Fourier, large": 2**33}
OURS, THEIRS = 2_000_000, 20_000


def _opendp(kind: str, scale: int, count: int) -> Callable[[], object]:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T=int))
    zeros = [0] * count
    if kind == "laplace":
        measurement = dp.m.make_laplace(domain, dp.l1_distance(T=int), scale=float(scale))
    else:
        measurement = dp.m.make_gaussian(domain, dp.l2_distance(T=float), scale=float(scale))
    return lambda: measurement(zeros)


def _dpkit(kind: str, scale: int, count: int, vector: bool) -> Callable[[], object]:
    parameter = scale if kind == "laplace" else scale * scale
    if not vector:
        one = discrete_laplace if kind == "laplace" else discrete_gaussian
        return lambda: one(parameter, count)
    # sixteen scales in turn, as the levels of a basis have; a variance of 2^66 does not fit int64
    distinct = [parameter + i for i in range(16)]
    whole = np.array(distinct * (count // 16)) if max(distinct) < 2**62 else distinct * (count // 16)
    many = discrete_laplace_vector if kind == "laplace" else discrete_gaussian_vector
    return lambda: many(whole)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(rounds: int) -> list[dict[str, object]]:
    """Return one row per sampler and scale: draws a second of each library and their ratio."""
    rows: list[dict[str, object]] = []
    for kind in ("laplace", "gaussian"):
        for use, scale in SCALES.items():
            calls = {
                "dpkit": (_dpkit(kind, scale, OURS, False), OURS),
                "dpkit vector": (_dpkit(kind, scale, OURS // 4, True), OURS // 4),
                "opendp": (_opendp(kind, scale, THEIRS), THEIRS),
            }
            for call, _ in calls.values():
                call()  # compilation and caches
            best = dict.fromkeys(calls, float("inf"))
            for _ in range(rounds):
                for name, (call, _count) in calls.items():
                    best[name] = min(best[name], _seconds(call))
            rate = {name: count / best[name] for name, (_, count) in calls.items()}
            rows.append(
                {
                    "sampler": kind,
                    "use": use,
                    "scale": scale,
                    "dpkit_per_second": round(rate["dpkit"]),
                    "dpkit_vector_per_second": round(rate["dpkit vector"]),
                    "opendp_per_second": round(rate["opendp"]),
                    "ratio": round(rate["dpkit"] / rate["opendp"], 1),
                    "vector_ratio": round(rate["dpkit vector"] / rate["opendp"], 1),
                }
            )
    return rows


def main() -> None:
    """Measure, print a table or JSON, and optionally write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", help="also write the JSON object to this file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    args = parser.parse_args()
    args.rounds = 1 if args.quick else args.rounds
    report = {
        "benchmark": "noise",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "opendp": version("opendp"),
        "threads": 1,
        "rounds": args.rounds,
        "rows": measure(args.rounds),
    }
    report["smallest_ratio"] = min(row["ratio"] for row in report["rows"])
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    if args.json:
        print(json.dumps(report))
        return
    print(f"smallest ratio {report['smallest_ratio']}; draws a second:")
    for row in report["rows"]:
        print(
            f"  {row['sampler']:8} {row['use']:15} scale {row['scale']:<11} "
            f"dpkit {row['dpkit_per_second']:>11,}  vector {row['dpkit_vector_per_second']:>11,}  "
            f"OpenDP {row['opendp_per_second']:>7,}  ratio {row['ratio']}, vector {row['vector_ratio']}"
        )


if __name__ == "__main__":
    main()
