"""Baselines answer the questions they stand for: without noise they are right, with less epsilon worse."""

import numpy as np
import pytest

import dpkit
from benchmarks import _baselines as baselines
from benchmarks._distances import ball_law, box_law


@pytest.mark.parametrize(
    ("kernel", "bandwidth"), [("gaussian", 1.0), ("exponential", 1.0), ("laplacian", 3.0)]
)
def test_single_cosines_estimate_the_kernel(kernel, bandwidth):
    X, Y = ball_law(500, 4, 0, 20)
    rng = np.random.default_rng(0)
    exact = dpkit.exact.kernel_sum(X, Y, kernel, bandwidth)
    sums = baselines.Cosines(kernel, X, bandwidth, 4000, rng)
    assert np.abs(sums.answers(Y, 1e9) - exact).max() < 0.08 * len(X)
    noise = [sums.answers(Y, 1.0) - sums.answers(Y, 1e9) for _ in range(20)]
    # Noise of the sum: 2 sqrt(I) / epsilon.
    assert np.std(noise) == pytest.approx(2 * np.sqrt(4000), rel=0.2)


def test_hash_counters_estimate_collisions():
    X, Y = ball_law(2000, 4, 0, 20)
    rng = np.random.default_rng(0)
    exact = baselines.collision_sum(X, Y)
    assert baselines.collision_sum(X[:1], X[:1])[0] == pytest.approx(1.0)
    assert np.abs(baselines.hash_counters(X, Y, 1e9, rng) / exact - 1).mean() < 0.15
    calm = baselines.hash_counters(X, Y, 1e9, np.random.default_rng(1))
    noise = [baselines.hash_counters(X, Y, 0.01, np.random.default_rng(k)) - calm for k in range(12)]
    # A mean of R rows whose cells have Laplace noise of scale R / epsilon.
    assert np.std(noise) == pytest.approx(np.sqrt(2 * baselines.ROWS) / 0.01, rel=0.35)


def test_opendp_sums_answer_for_squares():
    X, Y = box_law(300, 3, 0, 20)
    exact = dpkit.exact.distance_sum(X, Y, "sqeuclidean")
    assert np.abs(baselines.opendp_squares(X, Y, 1e6) / exact - 1).max() < 1e-3
    assert np.abs(baselines.opendp_squares(X, Y, 0.1) / exact - 1).max() > 1e-2
