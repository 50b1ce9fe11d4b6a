"""Counters: measured error beside the formulas, and time a step and an element; one process, one thread.

    python benchmarks/continual.py [--runs 5] [--peers]

Error is measured on all-zero streams at rho = 1/2; a run is one stream. `--peers` adds OpenDP's Gaussian
measurement of one number, its price of an answer (it has no streaming counter).
"""

import argparse
import math
import time

import numpy as np

from dpkit.continual import Counter, MaxSum, SumSelect

MECHANISMS = ("binary", "honaker", "smooth", "blt")


def errors(mechanism, horizon, runs, budget):
    """Return (measured rmse, mean max error) of full streams."""
    squares, worst = [], []
    for _ in range(runs):
        noise = Counter(mechanism=mechanism, horizon=horizon, **budget).steps(np.zeros(horizon))
        squares.append(float((noise**2).mean()))
        worst.append(float(np.abs(noise).max()))
    return math.sqrt(float(np.mean(squares))), float(np.mean(worst))


def best_of(repeats, f):
    """Return the least of several timings, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def speed(mechanism, horizon, budget, steps=20_000):
    """Return (microseconds a step, nanoseconds a bulk element, microseconds of construction)."""
    make = lambda: Counter(mechanism=mechanism, horizon=horizon, **budget)
    counter = make()
    counter.steps(np.ones(100))
    counter.step(1.0)
    bulk = np.ones(1 << 16)

    def singly():
        for _ in range(steps // 10):
            counter.step(1.0)

    one = best_of(10, singly) / (steps // 10)
    many = best_of(8, lambda: counter.steps(bulk)) / bulk.size
    return one * 1e6, many * 1e9, best_of(5, make) * 1e6


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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()

    print("mechanism  T      rmse measured / predicted   worst    mean max   us/step  ns/bulk  us/new  state")
    for power in (10, 14, 20):
        horizon = 2**power
        runs = arguments.runs * (40 if power == 10 else 8 if power == 14 else 1)
        cases = [(m, {"rho": 0.5}) for m in MECHANISMS] + [("k-ary", {"epsilon": 1.0})]
        for mechanism, budget in cases:
            figures = Counter(mechanism=mechanism, horizon=horizon, **budget).prediction()
            rmse, largest = errors(mechanism, horizon, runs, budget)
            one, many, new = speed(mechanism, 2**20, budget)
            print(
                f"{mechanism:9} 2^{power:<3} {rmse:9.3f} / {figures.rmse:9.3f}     {figures.worst_std:8.3f} "
                f"{largest:9.2f}   {one:6.2f}  {many:7.1f}  {new:6.0f}  {figures.state_size:4}"
            )
        print(f"floor of any factorisation: {figures_floor(horizon):.3f}")
    for guess in (2**14, 2**20):
        counter, tuned = Counter(rho=0.5, expected=guess), Counter(rho=0.5, horizon=4 * guess)
        ratio = counter.prediction(4 * guess).rmse / tuned.prediction().rmse
        print(f"unknown horizon, guess {guess}, run for 4 times it: {ratio:.3f} of the tuned design's rmse")

    print("MaxSum and SumSelect on the hard stream, d = T^(2/3): mean largest error")
    rng, table = np.random.default_rng(0), []
    for power in (9, 11, 13, 15):
        horizon = 2**power
        d = round(horizon ** (2 / 3))
        found = []
        for _ in range(arguments.runs):
            rows = hard_rows(horizon, d, rng)
            sums = rows.cumsum(0, dtype=np.int64)
            top = sums.max(1)
            values = MaxSum(d, horizon=horizon, rho=0.5).steps(rows)
            picks = SumSelect(d, horizon=horizon, rho=0.5).steps(rows).astype(int)
            found.append((np.abs(values - top).max(), (top - sums[np.arange(horizon), picks]).max()))
        mean = np.mean(found, axis=0)
        table.append(mean)
        print(f"T = 2^{power}, d = {d}: MaxSum {mean[0]:.1f}, SumSelect {mean[1]:.1f}")
    slopes = np.polyfit([9, 11, 13, 15], np.log2(np.array(table)), 1)[0]
    print(f"log-log slopes: MaxSum {slopes[0]:.3f}, SumSelect {slopes[1]:.3f}")

    if arguments.peers:
        import opendp.prelude as dp

        dp.enable_features("contrib")
        measure = dp.m.make_gaussian(dp.atom_domain(T=float, nan=False), dp.absolute_distance(T=float), 5.0)
        calls = best_of(5, lambda: [measure(0.0) for _ in range(2000)]) / 2000
        print(f"OpenDP, one Gaussian measurement of a number: {calls * 1e6:.1f} us")


def figures_floor(horizon):
    """Return the floor at rho = 1/2."""
    return Counter.predict(rho=0.5, horizon=horizon)[0].floor


if __name__ == "__main__":
    main()
