"""Discrete Gaussian noise by the Gaussian curve: exact deltas, summed over outputs, beside the promise."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import dpkit
from dpkit._curves import gdp_delta, rho_for
from dpkit._lattice import SPARE, epsilon_of, ways
from dpkit.errors import ArgumentError
from dpkit.similarity.calibration import calibrate
from dpkit.similarity.hat import HatMap
from dpkit.similarity.moments import Ball, MomentMap
from dpkit.similarity.plan import Budget, least_noise
from dpkit.similarity.trees import TreeMap

LOSS = 2.0**-28
EPSILONS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)


def exact_delta(variances, change, epsilon):
    """Return the sum of max(0, P - e^epsilon Q) over outputs, Q being P moved by the change."""
    p, q = np.zeros(1), np.zeros(1)
    for variance, move in zip(variances, change, strict=True):
        reach = math.ceil(12 * math.sqrt(variance)) + abs(move)
        y = np.arange(-reach, reach + 1, dtype=float)
        norm = math.log(np.exp(-y * y / (2 * variance)).sum())
        p = np.add.outer(p, -y * y / (2 * variance) - norm).ravel()
        q = np.add.outer(q, -((y - move) ** 2) / (2 * variance) - norm).ravel()
    gap = np.exp(p) * -np.expm1(np.minimum(epsilon + q - p, 0.0))
    return math.fsum(gap.tolist())


def promised(variances, change, epsilon, spare):
    mu = math.sqrt(sum(c * c / (v - spare) for c, v in zip(change, variances, strict=True)))
    return gdp_delta(mu, max(0.0, epsilon - LOSS)) * (1 + LOSS)


CASES = [
    ((v + 2.5,), (move,)) for v, move in itertools.product((0.05, 0.5, 2.0, 10.0, 60.0), (1, 2, 3, 5, 12))
]
CASES += [((4.5, 3.0), (1, 1)), ((3.5, 20.0), (1, -6)), ((2.75, 8.0), (-1, 3)), ((9.0, 9.0), (0, 4))]


@pytest.mark.parametrize(("variances", "change"), CASES)
def test_exact_delta_is_below_the_curve_of_the_variance_less_its_spare(variances, change):
    for epsilon in EPSILONS:
        exact = exact_delta(variances, change, epsilon)
        assert exact <= promised(variances, change, epsilon, float(SPARE)) * (1 + 1e-12) + 1e-15


def test_the_curve_of_the_whole_variance_would_be_a_false_promise():
    """Nothing to spare, the continuous formula as it is: refuted at small deviations."""
    over = [
        exact_delta(variances, change, epsilon) / promised(variances, change, epsilon, 0.0)
        for variances, change in [((2.25,), (1,)), ((1.0,), (1,)), ((0.5, 0.5), (1, 1))]
        for epsilon in (0.5, 1.0, 2.0)
    ]
    assert max(over) > 1.04
    low = [promised((0.3,), (1,), e, 0.0) - exact_delta((0.3,), (1,), e) for e in EPSILONS]
    assert min(low) < -0.01


@pytest.mark.parametrize("delta", [1e-2, 1e-5])
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("changes", [(1,), (9,), (1, 25)])
def test_both_ways_keep_the_promise(epsilon, delta, changes):
    for way in ways(epsilon, delta):
        share = way.amount / len(changes)
        variances = [float(Fraction(c) / (2 * share) + way.spare) for c in changes]
        moves = [math.isqrt(c) for c in changes]
        assert exact_delta(variances, moves, epsilon) <= delta
        # Also amount-zCDP: the Renyi divergence of integer moves is at most a sum of change / (2 variance).
        assert sum(c / v for c, v in zip(changes, variances, strict=True)) / 2 <= way.rho * (1 + 1e-12)


def test_the_factor_of_the_proof():
    """A Gaussian of variance SPARE sums over integers, wherever its centre, to its integral but for eta."""
    with mpmath.workdps(50):
        s2 = mpmath.mpf(SPARE.numerator) / SPARE.denominator
        whole = mpmath.sqrt(2 * mpmath.pi * s2)
        centres = [mpmath.mpf(c) / 8 for c in range(5)]
        sums = [mpmath.fsum(mpmath.exp(-((z - c) ** 2) / (2 * s2)) for z in range(-40, 41)) for c in centres]
        far = [abs(total / whole - 1) for total in sums]
        eta = mpmath.mpf("7.5e-22")
        assert max(far) < eta < max(far) * mpmath.mpf("1.02")
        d = 2**40
        assert d * mpmath.log((1 + eta) ** 2 / (1 - eta)) < LOSS
        assert (1 + eta) ** d * (1 - LOSS) < 1


@pytest.mark.parametrize(
    ("epsilon", "delta", "sigma"),
    [(0.1, 1e-5, 30.75), (0.5, 1e-5, 7.032), (1.0, 1e-5, 3.731), (2.0, 1e-5, 1.994), (1.0, 1e-6, 4.225)],
)
def test_noise_is_that_of_the_analytic_row(epsilon, delta, sigma):
    curve, zcdp = ways(epsilon, delta)
    assert math.isclose(1 / math.sqrt(2 * curve.amount), sigma, rel_tol=2e-4)
    assert float(zcdp.amount) == rho_for(epsilon, delta) < curve.rho
    assert epsilon <= epsilon_of(curve.amount, delta) < epsilon + 1e-7


def test_no_part_gets_more_noise_than_through_zcdp():
    maps = [
        HatMap((0.0,), (1.0,), 6),
        MomentMap(Ball((0.0,) * 3, 1.0)),
        TreeMap((0.0,), (1.0,), 4, False, 0.3),
    ]
    curves = 0
    for shape, epsilon in itertools.product(maps, (0.01, 1.0, 3.0, 30.0)):
        options = Budget.options(epsilon, 1e-6, "add-remove")
        plan, budget = least_noise(shape.calibrate, options)
        assert (plan.variances() <= shape.calibrate(options[-1]).variances()).all()
        assert budget.guarantee.rho == float(max(budget.amount, Fraction(budget.guarantee.rho)))
        curves += budget.spare > 0
        noise, promise = calibrate(1 << 20, 1 << 40, epsilon, 1e-6, "add-remove")
        assert noise.count <= Fraction(25) / Fraction(rho_for(epsilon, 1e-6)) * (1 + Fraction(1, 2**28))
        assert promise.rho >= rho_for(epsilon, 1e-6)
    assert 6 <= curves < 12


def test_two_releases_add_up_by_the_noise_they_got():
    X = np.zeros((4, 1))
    one = dpkit.KDE(X, epsilon=1.0, delta=1e-6, features=4).guarantee
    two = one + one
    assert two.rho >= 2 * one.rho
    assert float(two.epsilon) <= 2.0


def test_too_small_a_budget_is_refused():
    with pytest.raises(ArgumentError, match="no budget"):
        ways(1e-300, 1e-300)
