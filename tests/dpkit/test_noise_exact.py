"""The fixed-point logarithm and the compiled samplers against exact integer arithmetic and mpmath."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from dpkit.noise import UnsafeSeededNoise, exact, kernels, scales
from dpkit.noise.keystream import Keystream
from dpkit.noise.tables import log_tables

TOP = 2**64


@njit
def _logs(words, tables, out):
    for i in range(words.size):
        zeros = kernels._leading_zeros(words[i])
        out[i] = kernels._neg_log(words[i], zeros, tables[0], tables[1], tables[2])


def _log_errors(words):
    """Errors of the fixed-point -log(w / 2^64) in units of 2^-57."""
    words = np.asarray(words, dtype=np.uint64)
    out = np.empty(words.size, dtype=np.int64)
    _logs(words, log_tables(), out)
    true = [exact.neg_log(int(w), 64, 57 + 20) for w in words]
    return np.array([((int(a) << 20) - b) / 2**20 for a, b in zip(out, true, strict=True)])


def test_log_error_bound_at_every_cell_edge():
    edges = []
    for cell in range(1024):
        low = (1024 + cell) << 53
        edges += [low, low + 1, low + (1 << 53) - 1, low + (1 << 52), low + 0x123456789ABCD]
    edges += [1 << k for k in range(64)] + [(1 << k) - 1 for k in range(1, 65)]
    errors = _log_errors(edges)
    assert np.abs(errors).max() < 4.6  # the bound proved in docs/privacy.md
    assert kernels.LOG_ERROR > 4.6


def test_log_error_bound_on_random_words():
    rng = np.random.default_rng(5)
    words = rng.integers(1, TOP, 20_000, dtype=np.uint64) >> rng.integers(0, 60, 20_000).astype(np.uint64)
    assert np.abs(_log_errors(np.maximum(words, 1))).max() < 4.6


def test_log_tables_against_mpmath():
    reciprocal, log_reciprocal, log_two = log_tables()
    with mpmath.workdps(60):
        for i in range(0, 1024, 7):
            middle = mpmath.mpf(2 * (1024 + i) + 1) / 4096
            assert abs(int(reciprocal[i]) - 4096 / middle) <= 0.5 + 1e-9
            want = mpmath.log(mpmath.mpf(int(reciprocal[i])) / 4096) * 2**57
            assert abs(int(log_reciprocal[i]) - want) < 0.51
        for j in range(64):
            assert abs(int(log_two[j]) - j * mpmath.log(2) * 2**57) < 0.51


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.data(), st.integers(1, 400))
@example(1, None, 1)
def test_integer_logarithm_against_mpmath(n, data, precision):
    u = 1 if data is None else data.draw(st.integers(1, 2**n))
    with mpmath.workprec(n + precision + 200):
        want = -mpmath.log(mpmath.mpf(u) / mpmath.mpf(2) ** n) * mpmath.mpf(2) ** precision
        assert abs(exact.neg_log(u, n, precision) - want) < 2


SCALES = [
    Fraction(1, 1000),
    Fraction(1, 10),
    Fraction(1),
    Fraction(7, 3),
    Fraction(0.1),
    Fraction(2**20 * 724, 5),
    Fraction(2**33),
    Fraction(2**40 - 1, 3),
    Fraction(2**44),
]


def _twin_laplace(seed, scale, count):
    """The sampler in Python integers: every decision by the exact interval logarithm, none by the kernel."""
    main = Keystream.unsafe_from_seed(seed, b"main").word
    spare = Keystream.unsafe_from_seed(seed, b"spare").word
    out = []
    while len(out) < count:
        z = exact.laplace_trial(scale, main(), spare)
        if z is not None:
            out.append(z)
    return out


def _twin_gaussian(seed, variance, t, count):
    main = Keystream.unsafe_from_seed(seed, b"main").word
    spare = Keystream.unsafe_from_seed(seed, b"spare").word
    out = []
    while len(out) < count:
        z = exact.gaussian_trial(variance, t, main(), main(), spare)
        if z is not None:
            out.append(z)
    return out


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_laplace_kernel_equals_twin(scale):
    fast = UnsafeSeededNoise(7).discrete_laplace(scale, 400)
    assert fast.tolist() == _twin_laplace(7, scale, 400)


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_gaussian_kernel_equals_twin(scale):
    variance = scale * scale
    (t,) = scales.gaussian_table([variance]).proposals
    fast = UnsafeSeededNoise(8).discrete_gaussian(variance, 300)
    assert fast.tolist() == _twin_gaussian(8, variance, t, 300)


def test_long_run_crosses_chunks_and_equals_twin():
    scale = Fraction(2**30, 7)
    assert UnsafeSeededNoise(3).discrete_laplace(scale, 20_000).tolist() == _twin_laplace(3, scale, 20_000)


@pytest.mark.parametrize("slack", [2**30, 2**45, 2**50])
def test_declined_draws_leave_laplace_values_unchanged(slack):
    """A wide slack makes the kernel decline often; at a large scale the exact path gives the same values."""
    table = scales.laplace_table([Fraction(2**30)])
    plain, forced = np.empty(2000, dtype=np.int64), np.empty(2000, dtype=np.int64)
    UnsafeSeededNoise(1)._laplace(table, np.zeros(1, dtype=np.int64), 0, plain)
    UnsafeSeededNoise(1)._laplace(table, np.zeros(1, dtype=np.int64), 0, forced, slack=slack)
    assert plain.tolist() == forced.tolist()


def test_declined_draws_leave_gaussian_law_unchanged():
    """Declined trials that end in a refusal continue on the spare stream: same law, other words."""
    variance = Fraction(9, 4)
    table = scales.gaussian_table([variance])
    out = np.empty(20_000, dtype=np.int64)
    UnsafeSeededNoise(2)._gaussian(table, np.zeros(1, dtype=np.int64), 0, out, gamma_slack=2**55)
    weights = {z: float(mpmath.exp(-mpmath.mpf(z * z) / (2 * 2.25))) for z in range(-12, 13)}
    total = sum(weights.values())
    statistic = 0.0
    for z in range(-4, 5):
        expected = out.size * weights[z] / total
        statistic += (np.count_nonzero(out == z) - expected) ** 2 / expected
    assert statistic < 33  # chi-square, 9 degrees: 1e-4


def test_words_at_the_ends_are_handed_on():
    """A word of zeros says nothing about -log U from above; a word of ones is next to log 1 = 0."""
    out, missed = np.empty(4, dtype=np.int64), np.empty((4, 2), dtype=np.uint64)
    table = scales.laplace_table([Fraction(5)])
    words = np.array([0, TOP // 2 - 1, TOP - 2**20, TOP // 2], dtype=np.uint64)
    used, done, misses = kernels.laplace_fill(
        words, out, 0, table.mantissa, table.shift, 0, kernels.SLACK, log_tables(), missed
    )
    # the third word is minus zero and is refused; the first and the last leave U below 2^-63 and are declined
    assert (used, done, misses) == (4, 3, 2)
    assert missed[:2].tolist() == [[0, 0], [2, TOP // 2]]
    assert out[1] == 0


@settings(max_examples=40, deadline=None)
@given(st.fractions(Fraction(1, 10**6), Fraction(10**6)), st.integers(0, TOP - 1), st.integers(0, 2**32))
def test_lazy_floor_is_consistent_under_more_bits(scale, word, seed):
    """The answer given early is the answer that all the later bits give."""
    stream = Keystream.unsafe_from_seed(seed, b"bits").word
    early = exact.LazyUniform(word, 64, stream)
    answer = exact.floor_neg_log(scale, early)
    late = exact.LazyUniform(early.bits, early.count, stream)
    late.extend()
    late.extend()
    assert exact.floor_neg_log(scale, late) == answer


@pytest.mark.parametrize("z", [0, 5, -5, 2**63 - 1, -(2**63)])
def test_wrap_keeps_int64_values(z):
    assert exact.wrapped(z) == z
    assert exact.wrapped(z + 2**64) == z
    assert int(np.array([exact.wrapped(z + 2**64)], dtype=np.int64)[0]) == z


@settings(max_examples=100, deadline=None)
@given(st.fractions(Fraction(1, 2**30), Fraction(2**44)))
@example(Fraction(1))
@example(Fraction(2**44))
def test_scale_tables_floor_what_they_say(scale):
    table = scales.laplace_table([scale])
    shift, mantissa = int(table.shift[0]), int(table.mantissa[0])
    assert mantissa <= scale * 2 ** (shift + 7) < mantissa + 1
    assert mantissa < TOP
    assert 12 <= shift <= 63
    assert mantissa >= TOP // 2 or shift == 63
    g = scales.gaussian_table([scale * scale])
    t, slope, slope_shift, offset = g.proposals[0], int(g.slope[0]), int(g.slope_shift[0]), int(g.offset[0])
    assert t - 1 <= scale < t
    square = 4 ** (slope_shift + 56) / (2 * scale * scale)
    assert slope**2 <= square
    assert square < (slope + 1) ** 2 or (slope_shift == 1 and slope == 2**63)
    assert 1 <= slope_shift <= 63
    assert slope < TOP
    assert offset**2 <= scale**2 * 2**111 / t**2 < (offset + 1) ** 2
