"""The law of the samplers: exact probabilities, moments, another library, and planted faults."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import stats

from dpkit.noise import (
    OSNoise,
    UnsafeSeededNoise,
    discrete_gaussian,
    discrete_gaussian_vector,
    discrete_laplace,
    discrete_laplace_vector,
)

N = 200_000
TINY = 1e-9  # failure probability of a check on fresh system entropy


def _laplace_pmf(scale, z):
    q = mpmath.exp(-1 / mpmath.mpf(scale.numerator) * scale.denominator)
    return float((1 - q) / (1 + q) * q ** abs(z))


def _gaussian_pmf(variance, z):
    weight = lambda k: mpmath.exp(-mpmath.mpf(k * k) * variance.denominator / (2 * variance.numerator))
    reach = 40 * (math.isqrt(int(variance)) + 1)
    total = 1 + 2 * mpmath.fsum(weight(k) for k in range(1, reach))
    return float(weight(z) / total)


def _p_value(draws, pmf):
    """Chi-square p-value of integer draws: one cell a value while 8 or more are expected, two tails."""
    reach = 0
    while draws.size * pmf(reach + 1) >= 8:
        reach += 1
    cells = [pmf(z) for z in range(-reach, reach + 1)]
    inside = draws[np.abs(draws) <= reach] + reach
    observed = list(np.bincount(inside, minlength=2 * reach + 1))
    tail = max(1 - sum(cells), 0.0)
    if draws.size * tail >= 2:
        observed += [np.count_nonzero(draws < -reach), np.count_nonzero(draws > reach)]
        cells += [tail / 2, tail / 2]
    elif np.count_nonzero(np.abs(draws) > reach) > 60:  # fewer than 2 were expected
        return 0.0
    expected = draws.size * np.array(cells)
    statistic = float(((np.array(observed) - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, len(cells) - (draws.size * tail >= 2)))


SMALL = [Fraction(1, 5), Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(0.3), Fraction(12)]


@pytest.mark.parametrize("scale", SMALL, ids=str)
def test_laplace_probabilities(scale):
    draws = UnsafeSeededNoise(11).discrete_laplace(scale, N)
    assert _p_value(draws, lambda z: _laplace_pmf(scale, z)) > 1e-3


VARIANCES = [Fraction(1, 9), Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(99)]


@pytest.mark.parametrize("variance", VARIANCES, ids=str)
def test_gaussian_probabilities(variance):
    draws = UnsafeSeededNoise(12).discrete_gaussian(variance, N)
    assert _p_value(draws, lambda z: _gaussian_pmf(variance, z)) > 1e-3


def test_system_noise_probabilities():
    assert _p_value(discrete_laplace(Fraction(5, 2), N), lambda z: _laplace_pmf(Fraction(5, 2), z)) > TINY
    assert _p_value(discrete_gaussian(Fraction(5, 2), N), lambda z: _gaussian_pmf(Fraction(5, 2), z)) > TINY


def test_vector_probabilities_by_coordinate():
    scales = [Fraction(1, 2), Fraction(3), Fraction(7, 5)]
    draws = UnsafeSeededNoise(13).discrete_laplace_vector(scales * 50_000).reshape(-1, 3)
    for i, scale in enumerate(scales):
        assert _p_value(draws[:, i], lambda z, scale=scale: _laplace_pmf(scale, z)) > 1e-3
    draws = UnsafeSeededNoise(14).discrete_gaussian_vector(scales * 50_000).reshape(-1, 3)
    for i, variance in enumerate(scales):
        assert _p_value(draws[:, i], lambda z, variance=variance: _gaussian_pmf(variance, z)) > 1e-3
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.02


# --- planted faults: the same check must reject each of them ---


def _half_scale(noise, scale, n):
    return noise.discrete_laplace(scale / 2, n)


def _double_zero(noise, scale, n):
    """Sign and magnitude without refusing minus zero."""
    rng = np.random.default_rng(1)
    magnitude = rng.geometric(1 - math.exp(-1 / scale), n) - 1
    return np.where(rng.integers(0, 2, n) == 1, magnitude, -magnitude)


def _no_sign(noise, scale, n):
    return np.abs(noise.discrete_laplace(scale, n))


def _off_by_one(noise, scale, n):
    draws = noise.discrete_laplace(scale, n)
    return draws + np.sign(draws)


def _floored_float(noise, scale, n):
    """Continuous Laplace noise rounded down: biased by half a unit."""
    return np.floor(np.random.default_rng(2).laplace(scale=float(scale), size=n)).astype(np.int64)


def _rounded_float(noise, scale, n):
    """Continuous Laplace noise rounded to nearest: another law near zero."""
    return np.rint(np.random.default_rng(3).laplace(scale=float(scale), size=n)).astype(np.int64)


FAULTS = [_half_scale, _double_zero, _no_sign, _off_by_one, _floored_float, _rounded_float]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__.strip("_"))
@pytest.mark.parametrize("scale", [Fraction(1), Fraction(7, 3)], ids=str)
def test_planted_fault_is_caught(fault, scale):
    draws = fault(UnsafeSeededNoise(15), scale, N)
    assert _p_value(draws, lambda z: _laplace_pmf(scale, z)) < 1e-12


@pytest.mark.parametrize(
    "fault",
    [
        lambda noise, v, n: noise.discrete_gaussian(v / 2, n),
        lambda noise, v, n: np.abs(noise.discrete_gaussian(v, n)),
        lambda noise, v, n: np.rint(np.random.default_rng(4).normal(0, float(v) ** 0.5, n)).astype(np.int64),
        lambda noise, v, n: noise.discrete_laplace(Fraction(math.isqrt(int(v)) + 1), n),
    ],
    ids=["half-variance", "no-sign", "rounded-float", "proposal-never-refused"],
)
def test_planted_gaussian_fault_is_caught(fault):
    variance = Fraction(3, 5)
    draws = fault(UnsafeSeededNoise(16), variance, N)
    assert _p_value(draws, lambda z: _gaussian_pmf(variance, z)) < 1e-12


# --- large scales ---


@pytest.mark.parametrize(
    "scale", [Fraction(2**20), Fraction(2**33, 3), Fraction(2**40), Fraction(2**44)], ids=str
)
def test_large_scales_by_kolmogorov_smirnov_and_moments(scale):
    s = float(scale)
    laplace = UnsafeSeededNoise(17).discrete_laplace(scale, N) / s
    assert stats.kstest(laplace, "laplace").pvalue > 1e-3  # the lattice is finer than the test can see
    assert abs(laplace.mean()) < 4 * math.sqrt(2 / N)
    assert abs((laplace**2).mean() / 2 - 1) < 4 * math.sqrt(5 / N)
    gaussian = UnsafeSeededNoise(18).discrete_gaussian(scale**2, N) / s
    assert stats.kstest(gaussian, "norm").pvalue > 1e-3
    assert abs((gaussian**2).mean() - 1) < 4 * math.sqrt(2 / N)
    assert abs((gaussian**4).mean() / 3 - 1) < 4 * math.sqrt(96 / 9 / N)


@pytest.mark.parametrize("bits", [20, 30, 40])
def test_low_bits_are_uniform(bits):
    """The law's residues modulo 256 are uniform to 1e-6 at such scales; a float sampler's would not be."""
    for draws in (
        UnsafeSeededNoise(19).discrete_laplace(2**bits, N),
        UnsafeSeededNoise(20).discrete_gaussian(4**bits, N),
    ):
        counts = np.bincount(draws & 255, minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_independence_of_neighbouring_draws():
    for draws in (
        UnsafeSeededNoise(21).discrete_laplace(2**30, N),
        UnsafeSeededNoise(22).discrete_gaussian(2**60, N),
    ):
        x = np.sign(draws) * np.log1p(np.abs(draws.astype(float)))
        for lag in (1, 2, 7):
            assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < 4 / math.sqrt(N)
            assert abs(np.corrcoef(np.abs(x[:-lag]), np.abs(x[lag:]))[0, 1]) < 4 / math.sqrt(N)


def test_same_law_as_opendp():
    opendp = pytest.importorskip("opendp.prelude")
    opendp.enable_features("contrib")
    space = opendp.vector_domain(opendp.atom_domain(T=int)), opendp.l1_distance(T=int)
    theirs = opendp.m.make_laplace(*space, scale=1000.0)([0] * 20_000)
    ours = OSNoise().discrete_laplace(1000, 20_000)
    assert stats.ks_2samp(ours, theirs).pvalue > TINY
    space = opendp.vector_domain(opendp.atom_domain(T=int)), opendp.l2_distance(T=float)
    theirs = opendp.m.make_gaussian(*space, scale=1000.0)([0] * 20_000)
    ours = OSNoise().discrete_gaussian(10**6, 20_000)
    assert stats.ks_2samp(ours, theirs).pvalue > TINY


def test_vectors_of_wide_range_have_their_own_scales():
    scales = np.array([1, 2**10, 2**20, 2**40] * 5_000)
    laplace = discrete_laplace_vector(scales).reshape(-1, 4) / scales[:4]
    assert np.abs((laplace[:, 1:] ** 2).mean(axis=0) / 2 - 1).max() < 6.2 * math.sqrt(5 / 5_000)
    gaussian = discrete_gaussian_vector(scales).reshape(-1, 4) / np.sqrt(scales[:4])
    assert np.abs((gaussian**2).mean(axis=0) - 1).max() < 6.2 * math.sqrt(2 / 5_000)
