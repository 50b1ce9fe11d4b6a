"""Detection power of `dpkit.audit`: how often planted bugs are caught, and honest mechanisms flagged.

    python -m benchmarks.audit [--repeats 10] [--runs 400,1600,6400] [--quick] [--json] [--out FILE]

Every figure is a share of independent audits with the standard adversaries. Then the two tracing attacks,
and the index trap with fixed and with adaptive adversaries.
"""

import argparse
import json
import sys
import time

import dpkit
from dpkit.audit import (
    BUGS,
    audit_stream,
    index_trap,
    planted,
    standard_adversaries,
    trace_maxsum,
    trace_sumselect,
    uncomposed_maxsum,
    uncomposed_sumselect,
)

CONFIDENCE = 1 - 1e-7
RHO = 0.5


def power(bug, runs, repeats):
    """Share of audits that refute the promise, median of the certified epsilon, seconds an audit."""
    mechanism = planted(bug)
    start = time.perf_counter()
    reports = [audit_stream(mechanism, runs=runs, confidence=CONFIDENCE) for _ in range(repeats)]
    seconds = (time.perf_counter() - start) / repeats
    epsilons = sorted(r.epsilon for r in reports)
    return sum(r.violated for r in reports) / repeats, epsilons[repeats // 2], seconds


def planted_bugs(runs, repeats):
    rows = []
    for bug, about in BUGS.items():
        caught = [power(bug, n, repeats) for n in runs]
        rows.append({"bug": bug, "about": about, "steps": planted(bug).steps})
        rows[-1] |= {"power": [c[0] for c in caught], "epsilon": [c[1] for c in caught]}
        rows[-1] |= {"seconds": [c[2] for c in caught]}
        shares = "  ".join(f"{c[0]:4.0%} eps>={c[1]:.2f} {c[2]:4.1f}s" for c in caught)
        print(f"{bug:28} T={rows[-1]['steps']}  {shares}", flush=True)
    return rows


# Runs a side with which a bug is missed about as rarely as a false alarm is raised.
ENOUGH = {"noise halved, pure": 12_000, "variance for deviation": 16_000, "none": 6000, "none, pure": 6000}


def caught(runs=3000):
    """One audit of each bug, with enough runs for certainty: whether the promise was refuted."""
    rows = []
    for bug in BUGS:
        start = time.perf_counter()
        report = audit_stream(planted(bug), runs=ENOUGH.get(bug, runs), confidence=CONFIDENCE)
        rows.append({"bug": bug, "caught": report.violated, "epsilon": report.epsilon})
        rows[-1]["seconds"] = time.perf_counter() - start
        print(
            f"{bug:28} {'caught' if report.violated else 'not flagged'}, eps >= {report.epsilon:.2f}",
            flush=True,
        )
    return rows


def tracing(trials):
    trees = {"rho": RHO, "mechanism": "counters", "counter": "binary"}
    cases = [
        ("MaxSum, uncomposed", trace_maxsum, uncomposed_maxsum(RHO)),
        ("MaxSum, dpkit", trace_maxsum, lambda d, T: dpkit.MaxSum(d, horizon=T, rho=RHO)),
        ("MaxSum, dpkit, trees", trace_maxsum, lambda d, T: dpkit.MaxSum(d, horizon=T, **trees)),
        ("SumSelect, uncomposed", trace_sumselect, uncomposed_sumselect(RHO)),
        ("SumSelect, dpkit", trace_sumselect, lambda d, T: dpkit.SumSelect(d, horizon=T, rho=RHO)),
        ("SumSelect, dpkit, trees", trace_sumselect, lambda d, T: dpkit.SumSelect(d, horizon=T, **trees)),
    ]
    rows = []
    for name, attack, make in cases:
        sizes = {}
        if "trees" in name:  # a numba call a column and piece: shorter streams, as many of them
            sizes = {"d": 32} if attack is trace_maxsum else {"blocks": 16}
        report = attack(make, trials=trials, **sizes)
        rows.append({"name": name, **report.to_dict()})
        print(
            f"{name:24} AUC {report.auc:.3f} +- {report.standard_error:.3f}, accuracy {report.accuracy:.3f}"
        )
    return rows


def trap(runs):
    mechanism = index_trap()
    everyone = standard_adversaries(mechanism)
    rows = []
    for name, players in (
        ("fixed", [a for a in everyone if a.oblivious and a.fork is None]),
        ("adaptive", everyone),
    ):
        report = audit_stream(mechanism, players, runs=runs, confidence=CONFIDENCE)
        rows.append({"adversaries": name, "epsilon": report.epsilon, "delta": report.delta})
        print(f"index trap, {name:9} epsilon >= {report.epsilon:.2f} at delta {report.delta:.2g}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--runs", default="400,1600,6400")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", help="also write the JSON object to this file")
    parser.add_argument("--quick", action="store_true", help="two audits of each, of 400 runs a side")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.runs, arguments.trials = 2, "400", 20
    runs = [int(n) for n in arguments.runs.split(",")]
    print(f"runs a side: {runs}; share of {arguments.repeats} audits that refute the promise, median epsilon")
    found = {
        "runs": runs,
        "repeats": arguments.repeats,
        "confidence": CONFIDENCE,
        "planted": planted_bugs(runs, arguments.repeats),
        "tracing": tracing(arguments.trials),
        "trap": trap(4_000 if arguments.quick else 20_000),
    }
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    if arguments.json:
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
