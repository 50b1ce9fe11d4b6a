"""What privacy costs: the error of private sums against epsilon, records, columns and size.

    python -m benchmarks.tradeoff [--quick] [--out FILE] [--json] [--seeds 2]

Mixture: 20 centres N(0, I/d), records N(centre, I/(2d)); bandwidth 1; 400 fresh queries of the same law.
Every error is the mean over queries and releases of |answer / exact - 1|, next to what the release itself
predicts (`return_std`, its mean over the exact answer, times sqrt(2/pi): the mean size of a normal error).
Baselines: the two trees of counts of the literature, for l1 distances; single cosines with Laplace noise at
the best of three sizes, hash counters with the right noise, and OpenDP's sums for squared distances (see
`benchmarks._baselines`). The exact sum has error 0 and no privacy. Real data (see `benchmarks._data`):
diamonds, shuttle, digits, flights, sentence embeddings; medians over queries in place of means, as some
queries are far from all records. Data seeds are 0, 1, ...; noise comes from the operating system.
"""

import argparse
import json
import math
import sys
from functools import lru_cache

import numpy as np

import dpkit
from benchmarks import _baselines as baselines
from benchmarks._data import COMPUTED, MissingPackageError, load
from benchmarks._distances import ball_law, box_law
from benchmarks._machine import commit, machine, versions

KERNELS = ("gaussian", "exponential", "laplacian", "cauchy", "inverse_l2", "inverse_l1")
DISTANCES = {
    "l1": {"metric": "l1", "bounds": (0.0, 1.0)},
    "l1, tree of counts": {"metric": "l1", "bounds": (0.0, 1.0), "structure": "tree"},
    "l1, two trees": {"metric": "l1", "bounds": (0.0, 1.0), "structure": "two-tree"},
    "l2": {"metric": "l2", "radius": 3.0},
    "squared l2": {"metric": "sqeuclidean", "bounds": (0.0, 1.0)},
    "lp, p = 0.5": {"metric": "lp", "p": 0.5, "bounds": (0.0, 1.0)},
}
EPSILONS = (0.1, 0.3, 1.0, 3.0, 10.0)
DELTA = 1e-6
REAL = ("diamonds", "shuttle", "digits", "flights", *COMPUTED)
COSINES = ("gaussian", "exponential", "laplacian")
NORMAL_MEDIAN = 0.6745  # the median size of a normal error, in standard deviations


def bandwidth(kernel, d):
    """Return a width that keeps averages comparable: l1 distances grow with the square root of d."""
    return math.sqrt(d) if kernel in ("laplacian", "inverse_l1") else 1.0


@lru_cache(maxsize=8)
def known_kernel(kernel, n, d, seed):
    """Return (records, queries, exact sums)."""
    X, Y = ball_law(n, d, seed, 400)
    return X, Y, dpkit.exact.kernel_sum(X, Y, kernel, bandwidth(kernel, d))


@lru_cache(maxsize=8)
def known_distance(metric, p, n, d, seed):
    """Return (records, queries, exact sums)."""
    X, Y = (ball_law if metric == "l2" else box_law)(n, d, seed, 400)
    return X, Y, dpkit.exact.distance_sum(X, Y, metric, p)


def kernel_sum(kernel, n, d, epsilon, delta, seeds, features=None):
    """Return one row: measured and predicted error of a kernel sum."""
    found, said, average = [], [], []
    for seed in range(seeds):
        X, Y, exact = known_kernel(kernel, n, d, seed)
        release = dpkit.KDE(
            X,
            kernel,
            bandwidth(kernel, d),
            epsilon=epsilon,
            delta=delta,
            features=features,
            public_seed=seed,
            expected_records=n,
        )
        values, std = release.query(Y, return_std=True)
        found.append(float(np.abs(values / exact - 1.0).mean()))
        said.append(float((std / exact).mean()) * math.sqrt(2 / math.pi))
        average.append(float(exact.mean()) / n)
    return _row(kernel, n, d, epsilon, delta, found, said) | {
        "features": release.features, "average": float(np.mean(average)),
    }  # fmt: skip


def distance_sum(name, n, d, epsilon, delta, seeds):
    """Return one row: measured and predicted error of a sum of distances."""
    arguments, found, said = DISTANCES[name], [], []
    for seed in range(seeds):
        X, Y, exact = known_distance(arguments["metric"], arguments.get("p"), n, d, seed)
        release = dpkit.DistanceSum(
            X, epsilon=epsilon, delta=delta, public_seed=seed, expected_records=n, **arguments
        )
        values, std = release.query(Y, return_std=True)
        found.append(float(np.abs(values / exact - 1.0).mean()))
        said.append(float((std / exact).mean()) * math.sqrt(2 / math.pi))
    return _row(name, n, d, epsilon, delta, found, said)


@lru_cache(maxsize=4)
def known_real(name, seed):
    """Return (records, 400 others as queries, exact sums, bandwidth)."""
    X = load(name).X
    h = 1.0 if name in COMPUTED else math.sqrt(2 * X.shape[1])
    if name not in COMPUTED:
        X = (X - X.mean(0)) / np.maximum(X.std(0), 1e-9)
    order = np.random.default_rng(seed).permutation(len(X))
    Y, Z = X[order[:400]], X[order[400:]]
    return Z, Y, dpkit.exact.kernel_sum(Z, Y, "gaussian", h), h


def real_sum(name, epsilon, seeds):
    """Return one row: a Gaussian kernel sum over real records; 400 of them are the queries instead.

    Columns are scaled to variance one beforehand, as who knows the units would; the bandwidth is sqrt(2 d).
    Embeddings are of length one already: as they are, with bandwidth 1.
    """
    found, said, average = [], [], []
    for seed in range(seeds):
        Z, Y, exact, h = known_real(name, seed)
        n, d = Z.shape
        release = dpkit.KDE(Z, "gaussian", h, epsilon=epsilon, public_seed=seed, expected_records=n)
        values, std = release.query(Y, return_std=True)
        found.append(float(np.median(np.abs(values / exact - 1.0))))
        said.append(float(np.median(std / exact)) * NORMAL_MEDIAN)
        average.append(float(exact.mean()) / n)
    row = _row(name, n, d, epsilon, 0.0, found, said)
    return row | {"features": release.features, "average": float(np.mean(average))}


def cosine_rows(kernel, n, d, seeds):
    """Yield rows of single cosines, at each epsilon with the number of features that turned out best."""
    errors = {}
    for seed in range(seeds):
        X, Y, exact = known_kernel(kernel, n, d, seed)
        rng = np.random.default_rng(1000 + seed)
        for m in baselines.SIZES:
            sums = baselines.Cosines(kernel, X, bandwidth(kernel, d), m, rng)
            for epsilon in EPSILONS:
                error = float(np.abs(sums.answers(Y, epsilon) / exact - 1.0).mean())
                errors.setdefault((epsilon, m), []).append(error)
    for epsilon in EPSILONS:
        m = min(baselines.SIZES, key=lambda m: np.mean(errors[epsilon, m]))
        row = _row(f"{kernel}, single cosines", n, d, epsilon, 0.0, errors[epsilon, m])
        yield row | {"features": m}


def counter_rows(n, d, seeds):
    """Yield rows of hash counters with noise of the right scale, for the kernel of their own collisions."""
    known = [ball_law(n, d, seed, 400) for seed in range(seeds)]
    exact = [baselines.collision_sum(X, Y) for X, Y in known]
    for epsilon in EPSILONS:
        found = []
        for seed, (X, Y) in enumerate(known):
            rng = np.random.default_rng(2000 + seed)
            found.append(
                float(np.abs(baselines.hash_counters(X, Y, epsilon, rng) / exact[seed] - 1.0).mean())
            )
        row = _row("collisions, hash counters", n, d, epsilon, 0.0, found)
        yield row | {"features": baselines.ROWS, "average": float(np.mean([e.mean() for e in exact])) / n}


def opendp_rows(n, d, seeds):
    """Yield rows of squared distances from OpenDP's sums."""
    for epsilon in EPSILONS:
        found = []
        for seed in range(seeds):
            X, Y, exact = known_distance("sqeuclidean", None, n, d, seed)
            found.append(float(np.abs(baselines.opendp_squares(X, Y, epsilon) / exact - 1.0).mean()))
        yield _row("squared l2, OpenDP sums", n, d, epsilon, 0.0, found)


def _row(name, n, d, epsilon, delta, found, said=None):
    return {
        "function": name,
        "records": n,
        "columns": d,
        "epsilon": epsilon,
        "delta": delta,
        "error": float(np.mean(found)),
        "least": min(found),
        "most": max(found),
        **({} if said is None else {"predicted": float(np.mean(said))}),
        "releases": len(found),
    }


def measure(quick, seeds, say):
    """Return all sweeps."""
    n, d = (10_000, 8) if quick else (50_000, 16)
    report = {"seeds": list(range(seeds)), "records": n, "columns": d, "delta": DELTA}

    def sweep(name, rows):
        report.setdefault(name, [])
        for row in rows:
            report[name].append(row)
            say(name, row)

    sweep("kernels", (kernel_sum(k, n, d, e, 0.0, seeds) for k in KERNELS for e in EPSILONS))
    few = KERNELS[:2] if quick else KERNELS
    sweep("kernels_delta", (kernel_sum(k, n, d, e, DELTA, seeds) for k in few for e in EPSILONS))
    sweep("distances", (distance_sum(k, n, d, e, 0.0, seeds) for k in DISTANCES for e in EPSILONS))
    report["left_out"] = ""
    for kernel in COSINES[:1] if quick else COSINES:
        sweep("baselines", cosine_rows(kernel, n, d, seeds))
    sweep("baselines", counter_rows(n, d, seeds))
    try:
        sweep("baselines", opendp_rows(n, d, seeds))
    except ImportError as error:
        report["left_out"] += f"OpenDP: {error} "
    many = (1000, 3000, 10_000, 30_000) if quick else (1000, 3000, 10_000, 30_000, 100_000)
    sweep("by_records", (kernel_sum("gaussian", m, d, 1.0, e, seeds) for e in (0.0, DELTA) for m in many))
    wide = (1, 2, 4, 8, 16, 32) if quick else (1, 2, 4, 8, 16, 32, 64)
    sweep("by_columns", (kernel_sum("gaussian", n, c, 1.0, e, seeds) for e in (0.0, DELTA) for c in wide))
    sizes = (256, 512, 1024, 2048, 4096) if quick else (256, 512, 1024, 2048, 4096, 8192, 16384)
    sweep(
        "by_features",
        (kernel_sum("gaussian", n, d, 1.0, e, seeds, m) for e in (0.0, DELTA) for m in sizes),
    )
    report["real"] = []
    for name in REAL[:3] if quick else REAL:
        try:
            sweep("real", (real_sum(name, e, seeds) for e in EPSILONS[:: 2 if quick else 1]))
        except MissingPackageError as error:
            report["left_out"] += f"{name}: {error} "
    return report


def main() -> int:
    """Measure, print rows as they come, and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer records, columns and releases")
    parser.add_argument("--seeds", type=int, help="releases behind each point [default: 2, quick: 1]")
    parser.add_argument("--out", help="write everything to this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()

    def say(sweep, row):
        if not options.json:
            print(
                f"{sweep:14} {row['function']:27} n = {row['records']:<7} d = {row['columns']:<4} "
                f"epsilon = {row['epsilon']:<5g} delta = {row['delta']:<6g} error {row['error']:8.3%}"
                + (f" (predicted {row['predicted']:.3%})" if "predicted" in row else ""),
                flush=True,
            )

    report = {"benchmark": "tradeoff", "machine": machine(), "versions": versions(), **commit()}
    report |= measure(options.quick, options.seeds or (1 if options.quick else 2), say)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    if options.json:
        print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
