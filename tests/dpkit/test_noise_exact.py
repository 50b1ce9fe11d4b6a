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


# --- words next to a decision boundary: the kernels must decline there, never guess ---


def _no_more_bits():
    raise AssertionError("the kernel decided although the drawn bits leave the answer open")


def _laplace_boundary_words(scale, rng, count):
    """Words whose U is within a few steps of exp(-k/scale), where floor(-scale log U) jumps."""
    words = []
    while len(words) < count:
        k = int(rng.integers(1, max(2, int(scale * 20)) + 1))
        with mpmath.workprec(200):
            u = int(mpmath.exp(-mpmath.mpf(k) * scale.denominator / scale.numerator) * 2**63)
        words += [w for w in range(u - 3, u + 4) if 0 < w < 2**63]
    return np.array(words, dtype=np.uint64)


def _laplace_faults(scale, words, slack):
    """Draws of the kernel that the exact interval contradicts, and the number decided."""
    table = scales.laplace_table([scale])
    out, missed = np.empty(words.size, dtype=np.int64), np.empty((words.size, 2), dtype=np.uint64)
    used, done, misses = kernels.laplace_fill(
        words, out, 0, table.mantissa, table.shift, 0, slack, log_tables(), missed
    )
    assert used == done == words.size  # all words have a plus sign
    declined = set(missed[:misses, 0].tolist())
    faults = 0
    for i, word in enumerate(words.tolist()):
        if i not in declined:
            try:
                faults += exact.floor_neg_log(scale, exact.LazyUniform(word, 63, _no_more_bits)) != out[i]
            except AssertionError:
                faults += 1
    return faults, words.size - len(declined)


@pytest.mark.parametrize(
    "scale", [Fraction(1, 3), Fraction(5), Fraction(2**20, 3), Fraction(2**33), Fraction(2**42)], ids=str
)
def test_laplace_kernel_is_sound_at_its_boundaries(scale):
    words = _laplace_boundary_words(scale, np.random.default_rng(1), 700)
    faults, decided = _laplace_faults(scale, words, kernels.SLACK)
    assert faults == 0
    assert decided < words.size  # the words do sit where the kernel must decline


def test_laplace_kernel_without_allowance_is_caught():
    """Slack -4 takes the allowance for the width of the word back as well."""
    words = _laplace_boundary_words(Fraction(5), np.random.default_rng(1), 700)
    faults, _ = _laplace_faults(Fraction(5), words, -4)
    assert faults > 4


def _accept_decisions(variance, slack, rng, count):
    """(faults, decided, tried) of the acceptance at words within a few steps of exp(-gamma)."""
    table = scales.gaussian_table([variance])
    t = table.proposals[0]
    faults = decided = tried = 0
    for _ in range(count):
        y = int(rng.exponential(t))
        gamma = (y - variance / t) ** 2 / (2 * variance)
        with mpmath.workprec(200):
            edge = int(mpmath.exp(-mpmath.mpf(gamma.numerator) / gamma.denominator) * 2**64)
        for word in (edge - 2, edge - 1, edge, edge + 1, edge + 2):
            if not 0 < word < TOP:
                continue
            keep, certain = _accept_one(
                np.int64(y),
                np.uint64(word),
                table.slope[0],
                table.slope_shift[0],
                table.offset[0],
                slack,
                log_tables(),
            )
            tried += 1
            decided += certain
            if certain:
                try:
                    faults += exact.below_exp(gamma, exact.LazyUniform(word, 64, _no_more_bits)) != bool(keep)
                except AssertionError:
                    faults += 1
    return faults, decided, tried


@njit
def _accept_one(y, word, slope, slope_shift, offset, slack, tables):
    return kernels._accept(y, word, slope, slope_shift, offset, slack, tables)


VARIANCES = [Fraction(1, 10**9), Fraction(1, 7), Fraction(5), Fraction(10**13, 3), Fraction(2**88)]


@pytest.mark.parametrize("variance", VARIANCES, ids=str)
def test_acceptance_is_sound_at_its_boundaries(variance):
    faults, decided, tried = _accept_decisions(variance, kernels.GAMMA_SLACK, np.random.default_rng(2), 200)
    assert faults == 0
    assert decided < tried


def test_acceptance_without_slack_is_caught():
    faults, _, _ = _accept_decisions(Fraction(10**13, 3), 0, np.random.default_rng(2), 200)
    assert faults > 20
