"""Confidence bounds and loss bounds against SciPy and against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

import dpkit
from dpkit.audit import clopper_pearson, epsilon_lower_bound, rho_lower_bound


@pytest.mark.parametrize("trials", [1, 7, 100, 5000, 200_000])
@pytest.mark.parametrize("error", [0.05, 1e-3, 1e-6])
def test_clopper_pearson_is_scipys(trials, error):
    for successes in {0, 1, trials // 7, trials // 2, trials - 1, trials}:
        low, high = clopper_pearson(successes, trials, error)
        if successes:
            expected = stats.beta.ppf(error, successes, trials - successes + 1)
            assert math.isclose(low, expected, rel_tol=1e-7, abs_tol=1e-12)
        else:
            assert low == 0.0
        if successes < trials:
            expected = stats.beta.ppf(1 - error, successes + 1, trials - successes)
            assert math.isclose(high, expected, rel_tol=1e-7, abs_tol=1e-12)
        else:
            assert high == 1.0


def test_clopper_pearson_covers():
    rng = np.random.default_rng(0)
    for p in (0.01, 0.3, 0.9):
        hits = rng.binomial(200, p, size=400)
        bounds = [clopper_pearson(int(k), 200, 0.05) for k in hits]
        assert np.mean([low > p for low, _ in bounds]) < 0.08
        assert np.mean([high < p for _, high in bounds]) < 0.08


@pytest.mark.parametrize("counts", [(-1, 5, 0.1), (6, 5, 0.1), (0, 0, 0.1), (1, 5, 0.0), (1, 5, 1.0)])
def test_bad_counts(counts):
    with pytest.raises(dpkit.ArgumentError):
        clopper_pearson(*counts)


def test_epsilon_bounds():
    assert epsilon_lower_bound(0.5, 0.5) == 0.0
    assert math.isclose(epsilon_lower_bound(0.6, 0.3), math.log(2))
    assert math.isclose(epsilon_lower_bound(0.6, 0.3, delta=0.1), math.log(5 / 3))
    assert epsilon_lower_bound(0.1, 0.0, delta=0.1) == 0.0
    assert epsilon_lower_bound(0.2, 0.0, delta=0.1) == math.inf


def test_rho_bounds_never_exceed_the_truth_for_gaussians():
    """Events of N(mu, 1) against N(0, 1), whose divergence of order a is a mu^2 / 2 exactly."""
    for mu in (0.05, 0.3, 1.0, 3.0):
        truth = mu * mu / 2
        found = [rho_lower_bound(stats.norm.sf(t - mu), stats.norm.sf(t)) for t in np.linspace(-4, 6, 101)]
        assert max(found) <= truth * (1 + 1e-9)
        assert max(found) > 0.6 * truth


def test_rho_bound_grows_with_p_and_falls_with_q():
    for q in (0.01, 0.2, 0.5):
        values = [rho_lower_bound(p, q) for p in np.linspace(q, 1.0, 30)]
        assert values == sorted(values)
    assert rho_lower_bound(0.3, 0.4) == 0.0
    assert rho_lower_bound(0.3, 0.0) == math.inf
    assert rho_lower_bound(1.0, 1.0) == 0.0
