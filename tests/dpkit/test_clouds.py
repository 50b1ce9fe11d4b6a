"""Public clouds that correct hash counters: exact means, a slow twin, unbiased answers, smaller errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity import clouds, hashing
from dpkit.similarity.clouds import CLOUDS, clouds_helpful, draw
from dpkit.similarity.hashing import HASHED, HashMap
from dpkit.similarity.moments import Ball
from dpkit.similarity.sums import block_variance

ON_A_BALL = {"exponential", "inverse_l2"}
ROWS = 128


def hash_map(kernel, d=3, rows=ROWS, seed=1, bounds=None):
    ball = Ball((0.1,) * d, 1.5, bounds) if kernel in ON_A_BALL else None
    return HashMap(kernel, 0.8, d, rows, seed, bounds, ball, 256)


def table(shape, records):
    sums = np.zeros(shape.shape, dtype=np.uint64)
    shape.add(sums, records)
    return sums.view(np.int64)


def decoded(shape, integers):
    """Points, in the units of the records, from a map's integers."""
    if shape.ball is None:
        return np.asarray(integers) * 2.0**-16 * shape.bandwidth
    return np.array(shape.ball.center) + np.asarray(integers) * 2.0**-20 * shape.ball.radius


def without(monkeypatch):
    monkeypatch.setattr(hashing, "clouds_helpful", lambda *_: False)


@pytest.mark.parametrize("kernel", HASHED)
def test_clouds_are_counted_as_records_and_their_sums_are_exact(kernel):
    shape = hash_map(kernel, bounds=((-1.0,) * 3, (1.5,) * 3))
    found = shape.clouds
    points = decoded(shape, found.integers.T).reshape(CLOUDS, found.points, 3)
    assert points.min() >= -1.00001
    assert points.max() <= 1.50001
    for k in range(CLOUDS):
        nudged = points[k] + np.sign(points[k] - 0.1) * 2.0**-24 * (shape.ball is not None)  # truncation
        assert (found.table[:, :, k] == table(shape, nudged)).mean() > 0.999
    queries = np.array([[0.2, 0.0, -0.4], [1.0, 0.9, 0.9]])
    integers = shape.integers(queries, clip=False)
    sums = found.kernel_sums(integers)
    for k in range(CLOUDS):
        exact = dpkit.exact.kernel_sum(points[k], decoded(shape, integers), kernel, 0.8)
        np.testing.assert_allclose(sums[:, k], exact, rtol=1e-9)


@pytest.mark.parametrize("kernel", ["laplacian", "inverse_l2"])
def test_what_a_row_counts_of_the_clouds_has_the_mean_that_is_taken_off(kernel):
    query, found = np.array([[0.3, -0.2, 0.4]]), []
    for seed in range(24):
        shape = hash_map(kernel, seed=seed)
        public, integers = shape.clouds, shape.integers(query, clip=False)
        counted = [
            public.table[rows][np.arange(rows.stop - rows.start), shape.buckets_of(integers, tile)[0]]
            for tile, (rows, _) in enumerate(shape._tiles)
        ]
        mean = public.points / 256 + (255 / 256) * public.kernel_sums(integers)[0]
        found.append((np.concatenate(counted).mean(axis=0) - mean) / public.points)
    found = np.array(found)
    assert (np.abs(found.mean(axis=0)) < 4.5 * found.std(axis=0) / np.sqrt(24) + 1e-12).all()


def slow_moments(shape, noisy, query, count):
    """The estimate and its variance by the definition: one query, halves, least squares by NumPy."""
    public, integers = shape.clouds, shape.integers(query[None], clip=False)
    lift, R, block = 256 / 255, shape.features, shape.block
    buckets = np.concatenate([shape.buckets_of(integers, t)[0] for t in range(len(shape._tiles))])
    f = (noisy[np.arange(R), buckets] - count / 256) * lift
    g = (public.table[np.arange(R), buckets] - public.points / 256) * lift - public.kernel_sums(integers)[0]
    even = (np.arange(R) // block) % 2 == 0
    corrected = np.empty(R)
    for mine in (even, ~even):
        G, F = g[~mine] / lift, f[~mine] / lift
        G, F = G - G.mean(axis=0), F - F.mean()
        gram = G.T @ G
        slopes = np.linalg.solve(gram + np.diag(64.0 + 1e-6 * np.diag(gram)), G.T @ F)
        corrected[mine] = f[mine] - g[mine] @ slopes
    parts = [corrected[i : i + block] for i in range(0, R, block)]
    sums, sizes = np.array([p.sum() for p in parts]), np.array([len(p) for p in parts])
    found = np.array([[sums.sum(), (sums**2).sum(), (sums * sizes).sum()]])
    return corrected.mean(), block_variance(found, R, block)[0]


@pytest.mark.parametrize("kernel", HASHED)
@pytest.mark.parametrize("rows", [128, 203])
def test_compiled_correction_equals_the_slow_twin(kernel, rows):
    rng = np.random.default_rng(rows)
    shape = hash_map(kernel, rows=rows)
    noisy = table(shape, rng.normal(size=(300, 3)) * 0.4) + rng.integers(-90, 90, size=(rows, 256))
    queries = np.concatenate([rng.normal(size=(70, 3)) * 0.4, [[50.0, 0.0, 0.0], [np.nan] * 3]])
    values, variances = shape.moments(noisy, queries, 300)
    for i in (0, 40, 69, 70, 71):
        value, variance = slow_moments(shape, noisy, queries[i], 300)
        np.testing.assert_allclose([values[i], variances[i]], [value, variance], rtol=1e-6)
    assert (shape.moments(noisy, queries[40:41], 300)[0] == values[40]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2**40, 2**61]))
def test_any_counters_give_finite_answers(seed, size):
    """Post-processing never fails: constant, empty and overflowing counters included."""
    shape = SHAPES["laplacian"]
    noisy = np.random.default_rng(seed).integers(-size - 1, size + 1, size=shape.shape)
    values, variances = shape.moments(noisy, np.array([[0.0, 1e300, -1e300], [0.0, 0.0, 0.0]]), 7)
    assert np.isfinite(values).all()
    assert (variances >= 0.0).all()


SHAPES = {"laplacian": hash_map("laplacian")}


@pytest.mark.parametrize("kernel", ["laplacian", "exponential"])
def test_answers_stay_unbiased_over_maps_and_noises(kernel):
    """Few rows, little data, much noise: what a slope that knew its own rows would bend most."""
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(200, 2)) * 0.5, np.array([[0.1, 0.0], [-0.7, 0.6]])
    X *= np.minimum(1.0, 1.4 / np.linalg.norm(X, axis=1))[:, None]
    exact = dpkit.exact.kernel_sum(X, Y, kernel, 0.8)
    found, scores = [], []
    for seed in range(60):
        builder = dpkit.KDE.builder(
            d=2, kernel=kernel, bandwidth=0.8, epsilon=4.0, structure="hash", features=ROWS,
            public_seed=seed, radius=1.5,
        )  # fmt: skip
        kde = builder.update(X).release(unsafe_noise=UnsafeSeededNoise(seed))
        values, errors = kde.query(Y, return_std=True)
        found.append(values - exact)
        scores.append((values - exact) / errors)
    found = np.array(found)
    assert (np.abs(found.mean(axis=0)) < 4.5 * found.std(axis=0) / np.sqrt(60)).all()
    assert 0.75 < np.sqrt((np.array(scores) ** 2).mean()) < 1.3


def sampling_errors(kernel, X, Y, seeds, rows):
    exact = dpkit.exact.kernel_sum(X, Y, kernel, 0.8)
    found = []
    for seed in range(seeds):
        shape = hash_map(kernel, X.shape[1], rows, seed)
        found.append(shape.moments(table(shape, X), Y, len(X))[0] / exact - 1.0)
    return np.sqrt((np.array(found) ** 2).mean())


@pytest.mark.parametrize(("kernel", "factor"), [(k, 0.6) for k in HASHED])
def test_clouds_take_off_sampling_error(kernel, factor, monkeypatch):
    rng = np.random.default_rng(6)
    centres = rng.normal(size=(5, 8)) * 0.2
    X = centres[rng.integers(5, size=800)] + 0.15 * rng.normal(size=(800, 8))
    ours = sampling_errors(kernel, X, X[:20], 3, 256)
    without(monkeypatch)
    assert ours < factor * sampling_errors(kernel, X, X[:20], 3, 256)


def test_clouds_cost_little_where_they_do_not_resemble_the_data(monkeypatch):
    rng = np.random.default_rng(7)
    X = 5.0 + 0.1 * rng.normal(size=(500, 8))  # laplacian, no bounds: six bandwidths off on each coordinate
    ours = sampling_errors("laplacian", X, X[:20], 6, 256)
    without(monkeypatch)
    assert ours < 1.15 * sampling_errors("laplacian", X, X[:20], 6, 256)


def test_clouds_only_where_they_help():
    assert hash_map("laplacian", rows=ROWS - 1).clouds is None
    assert not clouds_helpful(1 << 15, 4, 256)
    assert not clouds_helpful(1024, 1 << 14, 256)
    assert draw(0, 1 << 11, True).shape == (CLOUDS * 256, 1 << 11)
    norms = np.linalg.norm(draw(0, 32, True).reshape(CLOUDS, -1, 32), axis=2).mean(axis=1)
    np.testing.assert_allclose(norms, clouds._BALL_SCALES, rtol=0.03)
    sums = np.abs(draw(0, 32, False)).reshape(CLOUDS, -1, 32).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(sums, clouds._GRID_SCALES, rtol=0.03)


def test_a_map_that_has_answered_is_still_the_same_map():
    """Clouds are no part of the release: the digest and the file do not know them."""
    kde = dpkit.KDE(np.zeros((5, 2)), "laplacian", structure="hash", features=ROWS)
    before, digest = kde.to_bytes(), kde.public["map_sha256"]
    first = kde.query([[0.0, 0.0]])
    assert (kde.to_bytes(), kde.public["map_sha256"]) == (before, digest)
    assert (dpkit.KDE.from_bytes(before).query([[0.0, 0.0]]) == first).all()
