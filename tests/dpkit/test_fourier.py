"""The public map: frequencies of the right law, integer contributions equal to a slow twin, exact bounds."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpkit.grid import to_grid
from dpkit.similarity.fourier import (
    FAR,
    ROTATION_INVARIANT,
    FourierMap,
    block_size,
    frequencies,
    frequency_words,
    pair_table,
)
from dpkit.similarity.kernels import KERNELS, kernel_sum
from dpkit.similarity.phases import tiles
from dpkit.similarity.sums import add_contributions, answer, run_rows


def slow_sums(features, records):
    """The contributions of records, by Python integers and the definition alone."""
    table = pair_table(features.grid_bits).tolist()
    sums = [[0] * features.features for _ in range(2)]
    for record in records:
        x_int = []
        for value in record.tolist():
            value = 0.0 if math.isnan(value) else value / features.bandwidth
            scaled = value * 2.0**16
            x_int.append(int(math.copysign(FAR, scaled)) if abs(scaled) >= FAR else round(scaled))
        for j, row in enumerate(features.words.tolist()):
            phase = sum(x * w for x, w in zip(x_int, row, strict=True)) % 2**32
            place = (phase + 2**19) // 2**20 % 2**12
            sums[0][j] += table[place][0]
            sums[1][j] += table[place][1]
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


@pytest.mark.parametrize("grid_bits", [0, 20, 22, 27, 28, 29, 30])
@pytest.mark.parametrize("rows", [1, 3, 4, 37])
def test_sums_of_a_run_do_not_spill(grid_bits, rows):
    """Records at one place: every addition has the same sign, the worst case of sums in 32 bits."""
    features = FourierMap("gaussian", 1.0, 2, 20, grid_bits=grid_bits)
    for record in ([0.0, 0.0], [2.0**-16, 1.0], [-1e9, 1e-3]):
        records = np.tile(record, (rows, 1))
        assert fast_sums(features, records).tolist() == slow_sums(features, records)
    assert run_rows(2, grid_bits) * 2**grid_bits < 2**31


def test_runs_are_short_where_coordinates_are_many():
    for d in (1, 128, 5000, 2**20):
        assert 4 <= run_rows(d, 20) <= 256
        assert run_rows(d, 20) % 4 == 0
    assert run_rows(2**20, 20) == 4
    assert [run_rows(1, bits) for bits in (28, 29, 30)] == [7, 3, 1]


@pytest.mark.parametrize("grid_bits", [0, 1, 3, 10, 20, 30])
def test_every_table_entry_is_inside_the_disc_and_truncated_toward_zero(grid_bits):
    pairs = pair_table(grid_bits).astype(object)
    cosine, sine = pairs.T
    assert pairs.shape == (2**12, 2)
    assert (cosine * cosine + sine * sine).max() <= 4**grid_bits
    angles = 2 * np.pi * np.arange(2**12) / 2**12
    for ours, exact in ((cosine, np.cos(angles)), (sine, np.sin(angles))):
        approximate, exact = ours.astype(np.float64), exact * 2.0**grid_bits
        assert (np.abs(approximate) <= np.abs(exact) + 1e-6).all()
        assert np.abs(approximate - exact).max() < 1.0 + 1e-6
    assert (cosine == np.roll(cosine[::-1], 1)).all()
    assert (cosine == -np.roll(cosine, 2**11)).all()
    packed = FourierMap("gaussian", 1.0, 1, 1, grid_bits=grid_bits).packed.tolist()
    assert packed == [2**32 * c + s for c, s in pairs.tolist()]


def test_the_table_is_pinned():
    """Contributions must be the same integers on every machine, whatever its mathematical library."""
    assert hashlib.sha256(pair_table(20).astype("<i4").tobytes()).hexdigest()[:16] == "d4ee486a8b934c47"


@pytest.mark.parametrize("rows", [1, 4, 5, 11])
@pytest.mark.parametrize("d", [1, 2, 7, 33])
def test_places_of_every_loop_are_those_of_whole_numbers(rows, d):
    """Full 32-bit words on both sides, and phases that round across the end of a turn."""
    rng = np.random.default_rng(rows * d)
    features = FourierMap("gaussian", 1.0, d, 19)
    words = rng.integers(0, 2**32, size=(19, d), dtype=np.uint64)
    points = rng.integers(0, 2**32, size=(rows, d), dtype=np.uint64)
    if d == 1:
        words[0], points[0] = 1, 2**32 - 2**19  # half a step short of a turn: place 0, not 4096
    vars(features)["words"] = words.astype(np.uint32)
    vars(features)["integers"] = lambda values, clip: points[values[:, 0].astype(int)].astype(np.uint32)
    places = [
        [(sum(a * b for a, b in zip(x, w, strict=True)) + 2**19) // 2**20 % 2**12 for w in words.tolist()]
        for x in points.tolist()
    ]
    total = pair_table(20)[np.array(places)].astype(np.int64).sum(axis=0).T
    numbered = np.tile(np.arange(rows)[:, None], (1, d))
    assert (fast_sums(features, numbered) == total).all()


def test_integers_are_the_clipped_rounded_residues():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 3)) * 10.0 ** rng.uniform(-6, 12, size=(500, 3))
    values[:6, 0] = np.nan, np.inf, -np.inf, 1e308, -1e308, 2.0**30
    bounds = ((-1.0, 0.0, -np.inf), (2.0, 5.0, 1e300))
    for box, clip in ((None, True), (bounds, True), (bounds, False)):
        features = FourierMap("gaussian", 0.37, 3, 1, bounds=box)
        low, high = np.array(bounds[0]), np.array(bounds[1])
        clipped = np.clip(values, low, high) if box and clip else values
        nan = (low / 2 + high / 2) / 0.37 if box and clip else 0.0
        with np.errstate(over="ignore"):
            expected = to_grid(clipped / 0.37, 16, FAR, nan) % 2**32
        assert (features.integers(values, clip) == expected).all()
    assert FAR % 2**32 == 2**31


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

    steps = value * (2.0**16 / (2.0 * math.pi))
    expected = round(Fraction(steps)) % 2**32
    assert frequency_words(np.array([value]))[0] == expected


@pytest.mark.parametrize(
    ("arguments", "digest"),
    [
        (("gaussian", 1.0, 3, 7, 0), "eae997e389aa687a"),
        (("inverse_l1", 2.0, 2, 5, 123456789), "ce478225a7e77e70"),
        (("inverse_l2", 1.0, 4, 9, 1), "f90494b7eff60b07"),
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


@pytest.mark.parametrize("shift", [0.0, 2e4, -1.5e8])
def test_integer_phases_move_answers_by_a_thousandth_of_the_sampling_error(shift):
    """Also far from the origin: only x - y matters, since both sides have the same rounded frequencies."""
    rng = np.random.default_rng(12)
    X, Y = rng.normal(size=(300, 8)), rng.normal(size=(30, 8))
    features = FourierMap("gaussian", 2.0, 8, 512)
    w = frequencies("gaussian", 512, 8, 0) / 2.0
    float_answer = np.array([np.cos((X - y) @ w.T).mean() for y in Y])
    moments = answer(fast_sums(features, X + shift), Y + shift, features, tiles(features.words), 1)
    moved = np.abs(moments[:, 0] / 512 / 300 - float_answer).max()
    assert moved < (1e-5 if shift == 0.0 else 4e-5)  # elsewhere x is rounded differently, too


@pytest.mark.parametrize("kernel", ["gaussian", "cauchy", "inverse_l1"])
def test_rounded_frequencies_scale_the_kernel_by_their_characteristic_function(kernel):
    """E exp(i <v, z>) over v = 2 pi 2^-16 w_int is K(z) prod_c sinc(z_c / 2^16) at least near the origin."""
    d, m = 2, 40_000
    w = frequencies(kernel, m, d, 3)
    words = frequency_words(w).astype(np.float64)
    wrapped = np.where(words >= 2.0**31, words - 2.0**32, words)
    rounded = wrapped * (2.0 * math.pi / 2.0**16)
    offset = w - rounded - 2.0**17 * math.pi * np.rint((w - rounded) / (2.0**17 * math.pi))
    assert np.abs(offset).max() <= 2.0 * math.pi * 2.0**-17 * (1 + 1e-6)
    for size in (1.0, 300.0, 1e4, 2.0**15):
        z = np.array([size, -size / 3])
        factor = np.prod(np.sinc(z * 2.0**-16))
        seen = np.exp(1j * (offset @ z)).mean()
        assert abs(seen - factor) < 5.0 / math.sqrt(m)
        assert factor >= 1 - (z @ z) * math.pi**2 / 6 * 2.0**-32


@pytest.mark.parametrize("kernel", KERNELS)
def test_similarities_repeat_with_the_period_and_not_within_it(kernel):
    features = FourierMap(kernel, 0.5, 2, 4000)
    period = 2.0**16 * 0.5
    sums = fast_sums(features, np.array([[3.0, 4.0]]))
    near = [[3.0, 4.0], [3.0 + period, 4.0], [3.0, 4.0 - 2 * period]]
    far = [[3.0 + period / 2, 4.0], [3.0, 4.0 - period / 4], [np.inf, -np.inf], [np.inf, 4.0]]
    found = answer(sums, np.array(near + far), features, tiles(features.words), 1)[:, 0] / 4000
    assert np.abs(found[:3] - 1.0).max() < 1e-5
    assert np.abs(found[3:]).max() < 5.0 / math.sqrt(2 * 4000)


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
