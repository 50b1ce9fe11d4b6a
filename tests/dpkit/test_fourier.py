"""The public map: frequencies of the right law, integer contributions equal to a slow twin, exact bounds."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpkit.similarity.fourier import (
    COORDINATE_LIMIT,
    ROTATION_INVARIANT,
    FourierMap,
    block_size,
    cosine_table,
    frequencies,
    frequency_words,
)
from dpkit.similarity.kernels import KERNELS, kernel_sum
from dpkit.similarity.sums import add_contributions, answer, tiles


def slow_sums(features, records):
    """The contributions of records, by Python integers and the definition alone."""
    table = cosine_table(features.grid_bits).tolist()
    sums = [[0] * features.features for _ in range(2)]
    for record in records:
        x_int = []
        for value in record.tolist():
            value = 0.0 if math.isnan(value) else value / features.bandwidth
            scaled = value * 2.0**16
            x_int.append(
                int(math.copysign(COORDINATE_LIMIT, scaled))
                if abs(scaled) >= COORDINATE_LIMIT
                else round(scaled)
            )
        for j, row in enumerate(features.words.tolist()):
            phase = sum(x * w for x, w in zip(x_int, row, strict=True)) % 2**62
            index = phase >> 46
            sums[0][j] += table[index]
            sums[1][j] += table[(index - 2**14) % 2**16]
    return sums


def fast_sums(features, records):
    sums = np.zeros((2, features.features), dtype=np.uint64)
    add_contributions(sums, records, features, tiles(features.words))
    return sums.view(np.int64)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("d", "m", "rows"), [(1, 3, 5), (3, 70, 9), (5, 64, 2), (2, 129, 13)])
def test_compiled_sums_equal_the_slow_twin(kernel, d, m, rows):
    rng = np.random.default_rng(d * m)
    records = rng.normal(scale=5.0, size=(rows, d))
    records[0, 0], records[-1, -1] = np.nan, -np.inf
    if rows > 4:
        records[1], records[2], records[3, 0] = 1e308, -3e9, 2.0**29 + 0.25
    features = FourierMap(kernel, 0.7, d, m, public_seed=rows)
    assert fast_sums(features, records).tolist() == slow_sums(features, records)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=64)] * 2), min_size=0, max_size=6
    ),
    st.floats(1e-3, 1e3),
)
def test_compiled_sums_equal_the_slow_twin_on_any_record(rows, bandwidth):
    records = np.array(rows, dtype=np.float64).reshape(-1, 2)
    features = FourierMap("gaussian", bandwidth, 2, 5)
    assert fast_sums(features, records).tolist() == slow_sums(features, records)


def test_chunks_and_threads_do_not_matter():
    rng = np.random.default_rng(4)
    records = rng.normal(size=(20_011, 3))
    features = FourierMap("gaussian", 1.0, 3, 65)
    whole = fast_sums(features, records)
    parts = sum(fast_sums(features, part) for part in np.array_split(records, 11))
    assert (whole == parts).all()


@pytest.mark.parametrize("grid_bits", [0, 1, 3, 10, 20, 30])
def test_every_table_entry_is_inside_the_disc_and_truncated_toward_zero(grid_bits):
    cosine = cosine_table(grid_bits).astype(object)
    sine = np.roll(cosine, 2**14)
    assert (cosine * cosine + sine * sine).max() <= 4**grid_bits
    angles = 2 * np.pi * np.arange(2**16) / 2**16
    exact = np.cos(angles) * 2.0**grid_bits
    approximate = cosine.astype(np.float64)
    assert (np.abs(approximate) <= np.abs(exact) + 1e-6).all()
    assert np.abs(approximate - exact).max() < 1.0 + 1e-6
    assert (cosine == np.roll(cosine[::-1], 1)).all()
    assert (cosine == -np.roll(cosine, 2**15)).all()


def test_the_table_is_pinned():
    """Contributions must be the same integers on every machine, whatever its mathematical library."""
    assert hashlib.sha256(cosine_table(20).astype("<i4").tobytes()).hexdigest()[:16] == "54f62d18ae62ac6f"


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [1, 2, 16])
def test_frequencies_have_the_kernel_as_their_characteristic_function(kernel, d):
    rng = np.random.default_rng(d)
    m = 20_000
    values = frequencies(kernel, m, d, 5)
    for scale in (0.1, 0.5, 2.0):
        z = rng.normal(size=d) * scale / math.sqrt(d)
        cosines = np.cos(values @ z)
        k = KERNELS[kernel]
        expected = kernel_sum([z], np.zeros((1, d)), k.name, 1.0)[0]
        error = cosines.std() / math.sqrt(m)
        assert abs(cosines.mean() - expected) < 5 * error


@pytest.mark.parametrize("kernel", sorted(ROTATION_INVARIANT))
def test_blocks_are_orthogonal_and_the_last_may_be_short(kernel):
    d, m = 12, 30
    values = frequencies(kernel, m, d, 9)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    for start in (0, 12, 24):
        block = unit[start : start + d]
        np.testing.assert_allclose(block @ block.T, np.eye(len(block)), atol=1e-12)
    assert abs(unit[0] @ unit[12]) > 1e-6


@pytest.mark.parametrize("d", [1, 3, 32])
def test_stratified_norms_keep_their_law_and_cover_it_evenly(d):
    values = frequencies("gaussian", 8000, d, 3)
    levels = stats.chi2(d).cdf((values**2).sum(axis=1) / 2.0)
    assert stats.kstest(levels, stats.uniform().cdf).pvalue > 1e-3
    assert stats.kstest(levels[::64], stats.uniform().cdf).pvalue > 1e-3  # one position of every block
    block = block_size("gaussian", 8000, d)
    counts = np.histogram(levels[:block], bins=4, range=(0.0, 1.0))[0]
    assert np.abs(counts - block / 4).max() <= block / 8
    whole = levels[: len(levels) // block * block]
    spread = whole.reshape(-1, block).mean(axis=1).std()
    assert spread < 0.5 * math.sqrt(1 / 12 / block)


def test_blocks_are_many_and_whole():
    for kernel in KERNELS:
        for d in (1, 5, 32, 200):
            for m in (1, 64, 300, 2624, 8192):
                block = block_size(kernel, m, d)
                if kernel in ROTATION_INVARIANT:
                    assert block % d == 0
                    assert block == d or m // block >= 32
                else:
                    assert block == 1


def test_stratified_norms_help_most_in_one_dimension():
    z = np.linspace(0.1, 2.0, 20)[:, None]
    expected = np.exp(-(z[:, 0] ** 2))
    rng = np.random.default_rng(0)
    ours, independent = [], []
    for seed in range(20):
        ours.append(np.abs(np.cos(z @ frequencies("gaussian", 2048, 1, seed).T).mean(axis=1) - expected))
        w = rng.normal(size=(2048, 1)) * math.sqrt(2)
        independent.append(np.abs(np.cos(z @ w.T).mean(axis=1) - expected))
    assert np.mean(ours) < 0.3 * np.mean(independent)


def test_directions_are_uniform_on_the_sphere():
    values = frequencies("gaussian", 30_000, 3, 1)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    np.testing.assert_allclose(unit.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(unit.T @ unit / len(unit), np.eye(3) / 3, atol=0.01)
    for column in unit.T:  # Archimedes: a coordinate of a uniform direction in three dimensions is uniform
        np.testing.assert_allclose(np.quantile(column, [0.25, 0.5, 0.75]), [-0.5, 0.0, 0.5], atol=0.03)


def test_orthogonal_frequencies_beat_independent_ones():
    rng = np.random.default_rng(0)
    d, m = 16, 64
    z = rng.normal(size=(50, d)) * 0.7 / math.sqrt(d)
    expected = np.exp(-(z**2).sum(axis=1))
    orthogonal, independent = [], []
    for seed in range(60):
        w = frequencies("gaussian", m, d, seed)
        orthogonal.append(((np.cos(z @ w.T).mean(axis=1) - expected) ** 2).mean())
        w = rng.normal(size=(m, d)) * math.sqrt(2)
        independent.append(((np.cos(z @ w.T).mean(axis=1) - expected) ** 2).mean())
    assert np.mean(orthogonal) < 0.6 * np.mean(independent)


@given(st.floats(-1e280, 1e280))
def test_frequency_words_are_the_remainder(value):
    from fractions import Fraction

    steps = value * (2.0**46 / (2.0 * math.pi))
    expected = round(Fraction(steps)) % 2**62
    assert frequency_words(np.array([value]))[0] == expected


@pytest.mark.parametrize(
    ("arguments", "digest"),
    [
        (("gaussian", 1.0, 3, 7, 0), "016305fc2a68511f"),
        (("inverse_l1", 2.0, 2, 5, 123456789), "0c2f0c5b37aacee6"),
        (("inverse_l2", 1.0, 4, 9, 1), "ddb9f6319c68d513"),
    ],
)
def test_maps_are_pinned(arguments, digest):
    """Exact bits, on every machine: a change makes saved releases unreadable and shards unmergeable."""
    assert FourierMap(*arguments).digest[:16] == digest


@pytest.mark.parametrize("kernel", KERNELS)
def test_answers_without_noise_converge_to_the_exact_sum(kernel):
    rng = np.random.default_rng(8)
    X, Y = rng.normal(size=(400, 3)), rng.normal(size=(20, 3))
    features = FourierMap(kernel, 1.3, 3, 6000, 2)
    moments = answer(fast_sums(features, X), Y, features, tiles(features.words), 1)
    estimate = moments[:, 0] / 6000
    expected = kernel_sum(X, Y, kernel, 1.3)
    error = np.sqrt(np.maximum(moments[:, 1] / 6000 - estimate**2, 0) / 6000)
    assert (np.abs(estimate - expected) < 5.0 * error).all()


def test_integer_phases_move_answers_by_less_than_1e_5():
    rng = np.random.default_rng(12)
    X, Y = rng.normal(size=(300, 8)), rng.normal(size=(30, 8))
    features = FourierMap("gaussian", 2.0, 8, 512)
    w = frequencies("gaussian", 512, 8, 0) / 2.0
    float_answer = np.array([np.cos((X - y) @ w.T).mean() for y in Y])
    moments = answer(fast_sums(features, X), Y, features, tiles(features.words), 1)
    assert np.abs(moments[:, 0] / 512 / 300 - float_answer).max() < 1e-5


def test_answers_do_not_depend_on_the_batch():
    rng = np.random.default_rng(6)
    features = FourierMap("gaussian", 1.0, 2, 100)
    sums = rng.integers(-(2**40), 2**40, size=(2, 100))
    Y, words = rng.normal(size=(603, 2)), tiles(features.words)
    whole = answer(sums, Y, features, words, 2)
    for i in (0, 1, 5, 255, 256, 602):
        assert (answer(sums, Y[i : i + 1], features, words, 2) == whole[i]).all()


def test_block_moments_are_what_they_say():
    rng = np.random.default_rng(7)
    features = FourierMap("gaussian", 1.0, 3, 70)
    sums = rng.integers(-(2**30), 2**30, size=(2, 70))
    Y, words = rng.normal(size=(5, 3)), tiles(features.words)
    terms = np.stack(
        [answer(np.where(np.arange(70) == j, sums, 0), Y, features, words, 1)[:, 0] for j in range(70)],
        axis=1,
    )
    for block in (1, 3, 64, 70):
        starts = range(0, 70, block)
        totals = np.stack([terms[:, s : s + block].sum(axis=1) for s in starts], axis=1)
        sizes = np.array([min(block, 70 - s) for s in starts])
        expected = np.stack([totals.sum(axis=1), (totals**2).sum(axis=1), totals @ sizes], axis=1)
        np.testing.assert_allclose(answer(sums, Y, features, words, block), expected, rtol=1e-9)
