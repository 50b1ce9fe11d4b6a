"""Streams: measured error beside the formulas, times, a peer, attacks; one process, one thread.

    python -m benchmarks.continual [--runs 5] [--out FILE] [--quick] [--no-peer] [--no-audit]

Error is measured on all-zero streams at rho = 1/2 (k-ary: epsilon = 1): once exactly, read off the running
code without sampling (`_continual_exact`), and once by sampling, where a run is one stream. Times are of the
processor, so that other programs hardly count. Last come the limits that streams are held to, met or missed;
the exit code is 1 if one was missed. The floor is the least RMSE of any factorisation. The peer, OpenDP, has
no streaming counter; two stand-ins: its Gaussian measurement of each prefix, the budget split over the steps,
called once a step; and its binary tree with consistency, a batch over the whole stream.
"""

import argparse
import json
import math
import platform
import sys
import time

import numpy as np

from benchmarks import audit
from benchmarks._continual_exact import exact_errors
from benchmarks._continual_limits import measures
from dpkit.continual import Counter, DistinctCount, Histogram, MaxSum, SumSelect, TopK, VectorCounter

MECHANISMS = ("binary", "honaker", "smooth", "hybrid", "sqrt", "blt")


# RMSE and worst step of the published designs, exactly, at T = 2^10, 2^14, 2^20 (rho = 1/2; k-ary: epsilon =
# 1, best arity). The rational counter's worst step is beside the square root's, which it approaches.
FORMULAS = {
    "binary": ((7.42, 10.49), (10.25, 14.49), (14.49, 20.49)),
    "honaker": ((5.65, 7.99), (7.65, 10.82), (10.65, 15.06)),
    "smooth": ((7.00, 7.00), (9.00, 9.00), (12.00, 12.00)),
    "sqrt": ((3.110, 3.273), (3.993, 4.155), (5.317, 5.479)),
    "blt": ((3.110, 3.273), (3.993, 4.155), (5.317, 5.479)),
    "k-ary": ((13.1, None), (20.8, None), (33.9, None)),
}


def beside_formulas(mechanism, power, counter):
    """Return the code's own errors, exactly, and over the published ones where there are any."""
    rmse, worst = dict(zip((10, 14, 20), FORMULAS.get(mechanism, ()), strict=False)).get(power, (None, None))
    exact, largest = exact_errors(counter, 2**power)
    return {
        "exact_rmse": exact,
        "exact_worst_std": largest,
        "rmse_over_formula": exact / rmse if rmse else None,
        "worst_over_formula": largest / worst if worst else None,
    }


def errors(make, horizon, runs):
    """Return (measured rmse, its standard error in relative terms, mean largest error) of full streams."""
    squares, worst = [], []
    for _ in range(runs):
        noise = make().steps(np.zeros(horizon))
        squares.append(float((noise**2).mean()))
        worst.append(float(np.abs(noise).max()))
    spread = float(np.std(squares)) / math.sqrt(runs) / float(np.mean(squares)) / 2
    return math.sqrt(float(np.mean(squares))), spread, float(np.mean(worst))


def best_of(repeats, f):
    """Return the least of several timings, in seconds of this thread's processor time."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        f()
        times.append(time.thread_time() - start)
    return min(times)


def speed(make, one, many, steps=1000):
    """Return (microseconds a step, nanoseconds a bulk element, microseconds to make one more)."""
    stream = make()
    stream.steps(many[:100])
    stream.step(one)

    def singly():
        for _ in range(steps):
            stream.step(one)

    single = best_of(12, singly) / steps
    bulk = best_of(12, lambda: stream.steps(many)) / len(many)
    return single * 1e6, bulk * 1e9, best_of(5, make) * 1e6


def counters(runs, powers=(10, 14, 20)):
    """Return one row for each counter and horizon."""
    rows = []
    for power in powers:
        horizon = 2**power
        repeats = runs * (200 if power == 10 else 40 if power == 14 else 8)
        cases = [(m, {"rho": 0.5}) for m in MECHANISMS] + [("k-ary", {"epsilon": 1.0})]
        for mechanism, budget in cases:
            make = lambda m=mechanism, h=horizon, b=budget: Counter(mechanism=m, horizon=h, **b)
            start = time.perf_counter()
            counter = make()
            figures = counter.prediction()
            design = time.perf_counter() - start
            rmse, spread, largest = errors(
                make, horizon, max(2, repeats // (8 if mechanism == "sqrt" else 1))
            )
            row = {
                "mechanism": mechanism,
                "horizon": horizon,
                "rmse": rmse,
                "rmse_standard_error": spread * rmse,
                "predicted_rmse": figures.rmse,
                "predicted_worst_std": figures.worst_std,
                **beside_formulas(mechanism, power, counter),
                "floor": figures.floor,
                "mean_max_error": largest,
                "state_numbers": figures.state_size,
                "first_design_s": design,
            }
            if power == powers[-1]:
                big = lambda m=mechanism, b=budget: Counter(mechanism=m, horizon=2**22, **b)
                row["us_step"], row["ns_bulk"], row["us_new"] = speed(big, 1.0, np.ones(1 << 16))
            rows.append(row)
            show(row)
    return rows


def rational_speeds(powers=(10, 14, 20, 30, 40, None)):
    """Return times of the rational counter over all horizons; short streams are taken whole, again and again.

    Bulk times below 2^14 steps are left out: a call costs as much as a thousand elements.
    """
    rows = []
    for power in powers:
        make = lambda p=power: Counter(rho=0.5, mechanism="blt", horizon=None if p is None else 2**p)
        counter = make()
        length = min(2 ** (power or 40) - 1, 1 << 16)
        many, steps, bulk = np.ones(length), [], []

        def singly(counter, n):
            for _ in range(n):
                counter.step(1.0)

        for _ in range(24):
            if power is not None and power < 20:
                counter = make()
            counter.step(1.0)
            steps.append(best_of(1, lambda c=counter: singly(c, 800)) / 800)
            if power is not None and power < 20:
                counter = make()
                counter.step(1.0)
            if power is None or power >= 14:
                bulk.append(best_of(1, lambda c=counter, x=many: c.steps(x)) / length)
            if power == 20 and counter.t > 2**19:
                counter = make()
        rows.append(
            {
                "horizon": None if power is None else 2**power,
                "us_step": min(steps) * 1e6,
                "ns_bulk": min(bulk) * 1e9 if bulk else None,
                "state_numbers": counter.prediction().state_size,
            }
        )
        show(rows[-1])
    return rows


def unknown_horizons(powers=(4, 6, 8, 10, 14, 20, 26)):
    """Return the error at four times the guessed length over that of the design for that length."""
    rows = []
    for power in powers:
        guess = 2**power
        ratio = (
            Counter(rho=0.5, expected=guess).prediction(4 * guess).rmse
            / Counter(rho=0.5, horizon=4 * guess, mechanism="blt").prediction().rmse
        )
        worst = (
            Counter(rho=0.5, expected=guess).prediction(4 * guess).worst_std
            / Counter(rho=0.5, horizon=4 * guess, mechanism="blt").prediction().worst_std
        )
        rows.append({"guess": guess, "rmse_ratio_at_4x": ratio, "worst_ratio_at_4x": worst})
        show(rows[-1])
    return rows


def others():
    """Return times of the other streams, and the predicted errors of windows, decay and participations."""
    rows, horizon = [], 2**22
    bits = np.eye(8)[np.arange(1 << 14) % 8]
    cases = {
        "histogram, 16 categories": (
            lambda: Histogram(16, rho=0.5, horizon=horizon),
            3,
            np.arange(1 << 14) % 16,
        ),
        "top-k, 16 categories": (lambda: TopK(16, 3, rho=0.5, horizon=horizon), 3, np.arange(1 << 14) % 16),
        "distinct": (lambda: DistinctCount(rho=0.5, horizon=horizon), 3, [int(x) for x in range(1 << 14)]),
        "vector, 16 coordinates": (
            lambda: VectorCounter(16, rho=0.5, horizon=horizon),
            np.ones(16),
            np.ones((4096, 16)),
        ),
        "max-sum, 8 columns": (lambda: MaxSum(8, rho=0.5, horizon=horizon), bits[0], bits),
        "sum-select, 8 columns": (lambda: SumSelect(8, rho=0.5, horizon=horizon), bits[0], bits),
        "window of 1000": (lambda: Counter(rho=0.5, window=1000), 1.0, np.ones(1 << 16)),
        "decay 0.999": (lambda: Counter(rho=0.5, decay=0.999), 1.0, np.ones(1 << 16)),
    }
    for name, (make, one, many) in cases.items():
        single, bulk, new = speed(make, one, many, steps=200)
        rows.append({"stream": name, "us_step": single, "ns_bulk": bulk, "us_new": new})
        if isinstance(make(), Counter):
            figures = make().prediction(1 << 16)
            rows[-1] |= {"predicted_rmse": figures.rmse, "floor": figures.floor}
        show(rows[-1])
    for parts, gap in ((1, 1), (4, 2**14), (16, 2**12)):
        options = {"participations": parts, "separation": gap} if parts > 1 else {}
        figures = Counter.predict(rho=0.5, horizon=2**16, **options)[0]
        rows.append({"participations": parts, "separation": gap, "predicted_rmse": figures.rmse})
        show(rows[-1])
    return rows


def hard_rows(horizon, d, rng):
    """Return the stream of the marginals attack: private rows, then each column raised and levelled."""
    n = max(1, horizon // (2 * d))
    rows = np.zeros((horizon, d), dtype=np.int8)
    private = (rng.random((n, d)) < 0.5).astype(np.int8)
    rows[:n] = private
    for j in range(d):
        start = n + j * 2 * n
        rows[start : start + n, j] = 1
        rows[start + n : start + 2 * n] = 1
        rows[start + n : start + 2 * n, j] = 0
    return rows


def maxima(runs, powers=range(9, 16)):
    """Return mean largest errors of MaxSum and SumSelect on the hard stream, d = T^(2/3), and slopes."""
    rng, rows = np.random.default_rng(0), []
    for power in powers:
        horizon = 2**power
        d = round(horizon ** (2 / 3))
        found = []
        for _ in range(4 * runs):
            stream = hard_rows(horizon, d, rng)
            sums = stream.cumsum(0, dtype=np.int32)
            top = sums.max(1)
            values = MaxSum(d, horizon=horizon, rho=0.5).steps(stream)
            picks = SumSelect(d, horizon=horizon, rho=0.5).steps(stream).astype(int)
            found.append((np.abs(values - top).max(), (top - sums[np.arange(horizon), picks]).max()))
        mean = np.mean(found, axis=0)
        error = np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
        rows.append({"horizon": horizon, "d": d, "max_sum": float(mean[0]), "sum_select": float(mean[1])})
        rows[-1] |= {"max_sum_error": float(error[0]), "sum_select_error": float(error[1])}
        show(rows[-1])
    table = np.array([[row["max_sum"], row["sum_select"]] for row in rows])
    slopes = np.polyfit(list(powers), np.log2(table), 1)[0]
    show({"log_log_slope_max_sum": float(slopes[0]), "log_log_slope_sum_select": float(slopes[1])})
    return {"rows": rows, "slope_max_sum": float(slopes[0]), "slope_sum_select": float(slopes[1])}


def peer(powers=(10, 14)):
    """Return OpenDP's two stand-ins at rho = 1/2, measured in this process, beside dpkit's default."""
    import opendp.prelude as dp

    dp.enable_features("contrib", "idealized-numerics")
    rows = [beside(dp, 2**power) for power in powers]
    for row in rows:
        show(row)
    return rows


def beside(dp, horizon):
    """Return one row of `peer`."""
    each = math.sqrt(horizon)  # sigma of one prefix where rho/T pays for it
    measure = dp.m.make_gaussian(dp.atom_domain(T=float, nan=False), dp.absolute_distance(T=float), each)
    count = min(horizon, 2000)
    seconds = best_of(3, lambda: [measure(0.0) for _ in range(count)]) / count
    noise = np.array([measure(0.0) for _ in range(count)])
    ours = Counter(rho=0.5, horizon=horizon)
    step = best_of(10, lambda: [ours.step(0.0) for _ in range(100)]) / 100
    return {
        "horizon": horizon,
        "opendp_prefix_us_step": seconds * 1e6,
        "opendp_prefix_rmse": float(np.sqrt((noise**2).mean())),
        **tree_peer(dp, horizon),
        "dpkit_us_step": step * 1e6,
        "dpkit_rmse": errors(lambda: Counter(rho=0.5, horizon=horizon), horizon, 50)[0],
        "times_faster_a_step": seconds / step,
    }


def tree_peer(dp, horizon):
    """OpenDP's binary tree over the whole stream as a batch, sensitivity sqrt(levels), with consistency."""
    levels = int(math.log2(horizon)) + 1
    tree = dp.t.make_b_ary_tree(
        dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int), leaf_count=horizon, branching_factor=2
    )
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    noisy = dp.m.make_gaussian(*space, math.sqrt(levels))
    consistent = dp.t.make_consistent_b_ary_tree(branching_factor=2)
    squares, times = [], []
    for _ in range(20 if horizon <= 1024 else 4):
        start = time.perf_counter()
        leaves = consistent(noisy(tree([0] * horizon)))
        answers = np.cumsum(leaves)
        times.append(time.perf_counter() - start)
        squares.append(float((answers**2).mean()))
    return {
        "opendp_tree_batch_us_element": min(times) / horizon * 1e6,
        "opendp_tree_batch_rmse": math.sqrt(float(np.mean(squares))),
    }


def show(row):
    """Print one row."""
    cells = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
    print("  ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", "--json", dest="out", help="write everything to this file, as JSON")
    parser.add_argument("--quick", action="store_true", help="one run of shorter streams")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-audit", action="store_true")
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else arguments.runs
    peers, lengths, guesses, hard = (10, 14), (10, 14, 20), (4, 6, 8, 10, 14, 20, 26), range(9, 16)
    if arguments.quick:
        peers, lengths, guesses, hard = (10,), (10, 12, 14), (8, 10, 14), range(9, 13)
    report = {"machine": platform.processor() or platform.machine(), "python": sys.version.split()[0]}
    if not arguments.no_peer:
        print("beside OpenDP")
        report["peer"] = peer(peers)
    print("counters")
    report["counters"] = counters(runs, lengths)
    print("the rational counter over all horizons")
    report["speed"] = rational_speeds()
    print("unknown horizon, run for four times the guess")
    report["unknown_horizon"] = unknown_horizons(guesses)
    print("other streams")
    report["others"] = others()
    print("MaxSum and SumSelect on the hard stream")
    report["maxima"] = maxima(runs, hard)
    if not arguments.no_audit:
        print("attacks and planted bugs")
        report["audit"] = {
            "tracing": audit.tracing(20 if arguments.quick else 60),
            "trap": audit.trap(20_000),
            "planted": audit.caught(),
        }
    print("limits")
    report["measures"] = measures(report)
    for row in report["measures"]:
        print(
            f"{'met   ' if row['met'] else 'MISSED'}  {row['measure']}: {row['value']:.4g} ({row['limit']})"
        )
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump(report, file, indent=1)
    return 0 if all(row["met"] for row in report["measures"]) else 1


if __name__ == "__main__":
    sys.exit(main())
