"""Radial noise: its law against exact probabilities, the kernel against its twin, and planted faults."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from dpkit.errors import ArgumentError
from dpkit.noise import MAX_SCALE, OSNoise, UnsafeSeededNoise, discrete_radial, radial, radial_kernel
from dpkit.noise.keystream import Keystream
from dpkit.noise.radial import MAX_DIMENSION, RadialTrial, radial_table

N = 60_000


def _twin(seed, table, count, trial=RadialTrial):
    """The sampler in Python integers, on the kernel's words."""
    main = Keystream.unsafe_from_seed(seed, b"main").word
    spare = Keystream.unsafe_from_seed(seed, b"spare").word
    out = []
    for _ in range(count):
        one = trial(table)
        while not one.finished:
            one.advance(main(), spare)
        out.append(one.values)
    return out


TWINS = [
    (Fraction(7, 3), 1, 60),
    (Fraction(7, 3), 2, 60),
    (Fraction(1, 3), 5, 40),
    (Fraction(1, 1000), 4, 10),
    (Fraction(2**20 * 7, 3), 8, 30),
    (Fraction(2**33), 17, 8),
    (Fraction(2**41), 64, 1),
]


@pytest.mark.parametrize(("scale", "k", "count"), TWINS, ids=str)
def test_kernel_equals_twin(scale, k, count):
    table = radial_table(scale, k)
    assert UnsafeSeededNoise(5).discrete_radial(scale, k, count).tolist() == _twin(5, table, count)


@pytest.mark.parametrize(("laplace_slack", "slack"), [(2**52, 1 << 10), (16, 2**42), (2**50, 2**41)])
def test_declined_steps_leave_values_unchanged(laplace_slack, slack):
    """Wide allowances make the kernel stop often; the exact steps give the same vectors."""
    table = radial_table(Fraction(2**30), 6)
    out = np.empty((60, 6), dtype=np.int64)
    UnsafeSeededNoise(8)._radial(table, out, laplace_slack, slack)
    assert out.tolist() == UnsafeSeededNoise(8).discrete_radial(2**30, 6, 60).tolist()


def test_oversized_blocks_are_finished_in_python(monkeypatch):
    monkeypatch.setattr(radial, "_LARGEST", 3 << radial.UNIT_BITS)  # every vector gets there
    table, out = radial_table(Fraction(5), 4), np.empty((40, 4), dtype=np.int64)
    UnsafeSeededNoise(9)._radial(table, out, 2**54)
    assert out.tolist() == _twin(9, table, 40)


def test_rates_satisfy_cauchy_schwarz_in_integers():
    for k in (*range(1, 70), 255, 256, 1000, MAX_DIMENSION):
        table = radial_table(Fraction(3), k)
        waiting = []
        for size, back, rate in zip(table.sizes, table.back, table.rates, strict=True):
            if back >= 0:
                (left, left_rate), (right, right_rate) = waiting[-2:]
                del waiting[-2:]
                assert left + right == size
                assert left_rate**2 + right_rate**2 <= rate**2
            waiting.append((size, rate))
        assert [size for size, _ in waiting] == [k]
        assert 1 <= table.leaf / (3 * Fraction(math.isqrt(k << 80), 1 << 40)) < 1 + Fraction(1, 2**25)


@njit
def _roots(highs, lows, mantissa, exponent, guesses, out):
    for i in range(highs.size):
        out[i] = radial_kernel._root_length(highs[i], lows[i], mantissa, exponent, guesses)


@pytest.mark.parametrize("rate", [Fraction(1, 7), Fraction(1, 2**31), Fraction(3, 2**40)], ids=str)
def test_lengths_are_within_the_proved_error(rate):
    rng = np.random.default_rng(6)
    squares = [0, 1, 2, 3, 2**64 - 1, 2**64, 2**64 + 1]
    squares += [
        int(rng.integers(2**62)) * int(rng.integers(2**61)) >> int(s) for s in rng.integers(0, 120, 4000)
    ]
    squares = [s for s in squares if rate * rate * s < (46 * 1024) ** 2]
    mantissa, exponent = radial._fixed(rate)
    out = np.empty(len(squares), dtype=np.int64)
    highs = np.array([s >> 64 for s in squares], dtype=np.uint64)
    lows = np.array([s & (1 << 64) - 1 for s in squares], dtype=np.uint64)
    _roots(highs, lows, np.uint64(mantissa), exponent, radial_kernel.root_table(), out)
    for square, found in zip(squares, out.tolist(), strict=True):
        want = math.isqrt((rate.numerator**2 * square << 88) // rate.denominator**2)
        assert abs(found - want) < 1 << 8  # and in particular never -1
    assert radial_kernel.LENGTH_SLACK >= 4 * (1 << 8)


def test_lengths_out_of_range_are_handed_on():
    mantissa, exponent = radial._fixed(Fraction(1))
    out = np.empty(1, dtype=np.int64)
    huge = np.array([1 << 61], dtype=np.uint64)
    _roots(huge, huge, np.uint64(mantissa), exponent, radial_kernel.root_table(), out)
    assert out[0] == -1


# --- the law ---


def _cells(scale, k):
    """Return exact probabilities of the points near zero and of every norm, by enumeration."""
    reach = int(26 * scale) + 2
    weights = {}
    if k <= 2:
        grid = itertools.product(range(-reach, reach + 1), repeat=k)
    else:
        grid = itertools.product(range(-(reach // 2), reach // 2 + 1), repeat=k)
    total = 0.0
    for z in grid:
        square = sum(x * x for x in z)
        weight = math.exp(-math.sqrt(square) / scale)
        total += weight
        key = z if square <= 2 else square
        weights[key] = weights.get(key, 0.0) + weight
    return {key: weight / total for key, weight in weights.items()}


def _p_value(draws, scale, k):
    """Return the chi-square p-value of vectors against the exact law."""
    cells = _cells(float(scale), k)
    seen = dict.fromkeys(cells, 0)
    for z in map(tuple, draws.tolist()):
        square = sum(x * x for x in z)
        key = z if square <= 2 else square
        seen[key] = seen.get(key, 0) + 1
    pairs = [(seen[key], cells.get(key, 0.0) * len(draws)) for key in seen]
    common = [pair for pair in pairs if pair[1] >= 8]
    rest = [pair for pair in pairs if pair[1] < 8]
    common.append((sum(a for a, _ in rest), sum(b for _, b in rest) + 1e-9))
    statistic = sum((a - b) ** 2 / b for a, b in common if b > 1e-6)
    return stats.chi2.sf(statistic, len(common) - 1)


LAWS = [(Fraction(7, 3), 1), (Fraction(3, 5), 2), (Fraction(2), 2), (Fraction(1, 2), 3), (Fraction(1), 3)]


@pytest.mark.parametrize(("scale", "k"), LAWS, ids=str)
def test_law_by_chi_square(scale, k):
    assert _p_value(UnsafeSeededNoise(31).discrete_radial(scale, k, N), scale, k) > 1e-3


class _NeverRefused(RadialTrial):
    """Independent Laplace coordinates at the proposal's scale."""

    __slots__ = ()

    def _kept(self, whole, left, right, uniform):
        return True


class _OnlyLastAgain(RadialTrial):
    """A refused merge draws its second half again, not both."""

    __slots__ = ()

    def advance(self, first, word):
        before = list(self.blocks)
        step = self.step
        super().advance(first, word)
        if self.step < step:
            self.blocks = before[:-1]
            self.step = step - 1


class _NormRoundedUp(RadialTrial):
    """The norm rounded up in the exponent: another law, whose cost for real sensitivities is larger."""

    __slots__ = ()

    def _kept(self, whole, left, right, uniform):
        return super()._kept((math.ceil(math.sqrt(whole[0])) ** 2, whole[1]), left, right, uniform)


@pytest.mark.parametrize("fault", [_NeverRefused, _OnlyLastAgain, _NormRoundedUp], ids=lambda f: f.__name__)
def test_planted_faults_of_the_sampler_are_caught(fault):
    draws = np.array(_twin(1, radial_table(Fraction(1, 2), 2), 6000, fault))
    assert _p_value(draws, Fraction(1, 2), 2) < 1e-9


def test_half_scale_and_the_norms_of_others_are_caught():
    noise = UnsafeSeededNoise(32)
    assert _p_value(noise.discrete_radial(1, 2, N), Fraction(2), 2) < 1e-12
    assert _p_value(noise.discrete_laplace(2, (N, 2)), Fraction(2), 2) < 1e-12


@pytest.mark.parametrize("k", [1, 2, 8, 37, 256])
def test_moments_at_large_scales(k):
    """The radius is Gamma(k) times b, directions are uniform: moments of both, and every residue."""
    count, b = max(400, 40_000 // k), 2**30
    draws = UnsafeSeededNoise(33).discrete_radial(b, k, count)
    radius = np.sqrt((draws.astype(float) ** 2).sum(axis=1)) / b
    assert stats.kstest(radius, stats.gamma(k).cdf).pvalue > 1e-3
    z = draws / b
    spread = (k + 1) * math.sqrt(2 / (count * k) + 4 / (count * k) + 8 / (count * k))
    assert abs((z**2).mean() - (k + 1)) < 5 * spread
    assert abs(z.mean()) < 5 * math.sqrt((k + 1) / (count * k))
    if k > 1:
        share = z[:, 0] ** 2 / (z**2).sum(axis=1)
        assert stats.kstest(share, stats.beta(0.5, (k - 1) / 2).cdf).pvalue > 1e-3
        signs = np.sign(draws)
        assert abs((signs[:, 0] * signs[:, -1]).mean()) < 5 / math.sqrt(count)
    assert stats.chisquare(np.bincount(draws.reshape(-1) & 63, minlength=64)).pvalue > 1e-3


def test_neighbouring_vectors_are_independent():
    radius = (UnsafeSeededNoise(34).discrete_radial(2**20, 4, 20_000).astype(float) ** 2).sum(axis=1)
    ranks = stats.rankdata(radius)
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 4 / math.sqrt(20_000)


def test_one_dimension_is_discrete_laplace():
    """The same law, and with the same words the same numbers."""
    fast = UnsafeSeededNoise(3).discrete_radial(Fraction(9, 2), 1, 500)[:, 0]
    assert fast.tolist() == UnsafeSeededNoise(3).discrete_laplace(Fraction(9, 2), 500).tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 6),
    st.fractions(Fraction(1, 50), Fraction(2**40)),
    st.integers(0, 2**32),
    st.integers(0, 5),
)
def test_kernel_equals_twin_anywhere(k, scale, seed, count):
    fast = UnsafeSeededNoise(seed).discrete_radial(scale, k, count).tolist()
    assert fast == _twin(seed, radial_table(scale, k), count)


def test_privacy_ratio_on_the_lattice():
    """log P(z) - log P(z + v) <= |v| / b for every small z and v: the law itself, at high precision."""
    with mpmath.workdps(40):
        for v in [(1, 0), (1, 1), (2, -1), (3, 4)]:
            worst = max(
                mpmath.sqrt((x + v[0]) ** 2 + (y + v[1]) ** 2) - mpmath.sqrt(x * x + y * y)
                for x in range(-9, 10)
                for y in range(-9, 10)
            )
            assert worst <= mpmath.sqrt(v[0] ** 2 + v[1] ** 2) + mpmath.mpf(10) ** -30


# --- arguments ---


def test_shapes_and_limits():
    assert discrete_radial(5, 3).shape == (1, 3)
    assert discrete_radial(5, 3, 0).shape == (0, 3)
    assert discrete_radial((5, 2), np.int64(3), (2, 4)).shape == (2, 4, 3)
    assert OSNoise().discrete_radial(MAX_SCALE, 1, 2).dtype == np.int64
    assert discrete_radial(Fraction(1, 10**400), 9, 2).tolist() == [[0] * 9] * 2
    assert discrete_radial(MAX_SCALE >> 5, MAX_DIMENSION).shape == (1, MAX_DIMENSION)
    with pytest.raises(ArgumentError, match="sqrt"):
        discrete_radial(MAX_SCALE >> 4, MAX_DIMENSION)
    with pytest.raises(ArgumentError, match="rational_up"):
        discrete_radial(1.5, 2)
    for bad in (0, -1, MAX_DIMENSION + 1, 2.0, True, None):
        with pytest.raises(ArgumentError, match="dimension must"):
            discrete_radial(5, bad)
    for bad in (-1, 1.5, None, (2, -1)):
        with pytest.raises(ArgumentError, match="size must"):
            discrete_radial(5, 2, bad)


def test_seeded_streams_repeat_and_system_streams_do_not():
    one, two = UnsafeSeededNoise(9), UnsafeSeededNoise(9)
    first = one.discrete_radial(2**30, 5, 3).tolist()
    assert two.discrete_radial(2**30, 5, 3).tolist() == first
    assert one.discrete_radial(2**30, 5, 3).tolist() != first
    flat = [z for _ in range(20) for z in OSNoise().discrete_radial(2**40, 5)[0].tolist()]
    assert len(set(flat)) == len(flat)
