"""Private kernel sums from end to end: accuracy, standard errors, arguments, odd data."""

import copy
import math
import pickle

import numpy as np
import pytest

import dpkit
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.sizing import choose_features


def mixture(n, d, seed, queries):
    """Twenty clusters: centres N(0, I/d), records N(centre, I/(2d)); fresh queries of the same law."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, d)) / math.sqrt(d)
    points = centres[rng.integers(20, size=n + queries)]
    points = points + rng.normal(size=(n + queries, d)) / math.sqrt(2 * d)
    return points[:n], points[n:]


def seeded(X, noise_seed, **settings):
    """A release whose noise repeats, for tests of answers."""
    builder = dpkit.KDE.builder(d=X.shape[1], **settings)
    return builder.update(X).release(unsafe_noise=UnsafeSeededNoise(noise_seed))


@pytest.fixture(scope="module")
def reference():
    X, Y = mixture(50_000, 32, seed=0, queries=150)
    return X, Y, dpkit.exact.kernel_sum(X, Y)


@pytest.mark.parametrize(("delta", "limit"), [(0.0, 0.037), (1e-6, 0.015)])
def test_error_on_the_reference_mixture(reference, delta, limit):
    # Seeded noise and a mean over releases: one release of 150 queries strays by 6 percent of its error.
    X, Y, exact = reference
    releases = [seeded(X, seed, epsilon=1.0, delta=delta) for seed in range(1 if delta else 4)]
    assert np.mean([np.abs(r.query(Y) / exact - 1.0) for r in releases]) < limit
    assert np.mean([np.abs(r.query(Y, normalized=True) * len(X) / exact - 1.0) for r in releases]) < limit


@pytest.mark.parametrize(
    ("kernel", "delta", "neighbours"),
    [
        *((kernel, 0.0, "add-remove") for kernel in KERNELS),
        *(
            pytest.param(kernel, 1e-6, "replace", marks=pytest.mark.slow if k else ())
            for k, kernel in enumerate(KERNELS)
        ),
    ],
)
def test_standard_errors_are_right(kernel, delta, neighbours):
    """z-scores over independent maps and noises are about N(0, 1), for sums and for averages."""
    X, Y = mixture(3000, 3, seed=1, queries=4)
    exact = dpkit.exact.kernel_sum(X, Y, kernel, 1.0)
    scores = {False: [], True: []}
    for seed in range(60):
        kde = seeded(
            X,
            seed,
            kernel=kernel,
            epsilon=2.0,
            delta=delta,
            neighbours=neighbours,
            features=258,
            public_seed=seed,
        )
        for normalized, found in scores.items():
            values, errors = kde.query(Y, normalized=normalized, return_std=True)
            found.append((values - exact / (len(X) if normalized else 1)) / errors)
    for found in scores.values():
        z = np.array(found)
        assert np.abs(z.mean(axis=0)).max() < 5 / math.sqrt(60)
        assert 0.75 < np.sqrt((z**2).mean()) < 1.25


def test_noise_std_is_the_spread_of_answers_over_noises():
    X, Y = mixture(500, 2, seed=2, queries=3)
    for delta, neighbours in ((0.0, "add-remove"), (0.0, "replace"), (1e-5, "add-remove"), (1e-5, "replace")):
        releases = [
            seeded(X, s, features=50, delta=delta, neighbours=neighbours, epsilon=0.7) for s in range(120)
        ]
        spread = np.array([kde.query(Y) for kde in releases]).std(axis=0)
        np.testing.assert_allclose(spread, releases[0].noise_std(), rtol=0.2)


def test_noise_std_closed_forms():
    X = np.zeros((5, 2))
    pure = dpkit.KDE(X, features=100, epsilon=0.5)
    assert math.isclose(pure.noise_std(), math.sqrt(2 * 100 + 1) / (0.98 * 0.5), rel_tol=1e-5)
    many = dpkit.KDE(X, features=1280, epsilon=0.5, neighbours="replace")  # ten groups of 128 pairs
    assert math.isclose(many.noise_std(), 2 * math.sqrt(1280 * 257 / 128) / 0.5, rel_tol=1e-5)
    sigma = 1 / dpkit.mu_for(1.0, 1e-6)
    for m in (10, 1000):
        approximate = dpkit.KDE(X, features=m, epsilon=1.0, delta=1e-6)
        assert math.isclose(approximate.noise_std(), sigma / math.sqrt(0.98), rel_tol=1e-5)
    doubled = dpkit.KDE(X, features=100, epsilon=1.0, delta=1e-6, neighbours="replace")
    assert math.isclose(doubled.noise_std(), 2 * sigma, rel_tol=1e-5)


def test_guarantees():
    X = np.zeros((3, 1))
    pure = dpkit.KDE(X, epsilon=0.25, features=4).guarantee
    assert pure == dpkit.PureDP(0.25)
    approximate = dpkit.KDE(X, epsilon=1.0, delta=1e-6, neighbours="replace", features=4).guarantee
    assert isinstance(approximate, dpkit.ApproxDP)
    assert (approximate.epsilon, approximate.delta, approximate.neighbours) == (1.0, 1e-6, "replace")
    # By the Gaussian curve: less noise than through zCDP, so a larger rho, which is what composition counts.
    assert math.isclose(approximate.rho, dpkit.mu_for(1.0, 1e-6) ** 2 / 2, rel_tol=1e-7)
    assert approximate.rho > 1.14 * dpkit.rho_for(1.0, 1e-6)
    assert approximate.epsilon(1e-6) == 1.0
    wide = dpkit.KDE(X, epsilon=20.0, delta=1e-6, features=4).guarantee
    assert wide.rho == dpkit.rho_for(20.0, 1e-6)  # the count's noise is too small for the curve


def test_count_is_noisy_under_add_remove_and_public_under_replace():
    X = np.zeros((1000, 1))
    counts = {dpkit.KDE(X, features=1).count for _ in range(8)}
    assert len(counts) > 1
    assert all(abs(count - 1000) < 50 * 40 for count in counts)
    assert {dpkit.KDE(X, features=1, neighbours="replace").count for _ in range(4)} == {1000}


def test_normalized_answers_floor_the_count_at_one():
    for seed in range(20):
        kde = seeded(np.empty((0, 1)), seed, features=64)
        values, errors = kde.query([[0.0]], normalized=True, return_std=True)
        assert np.isfinite(values).all()
        assert np.isfinite(errors).all()


def test_empty_and_single_records_are_legal():
    for rows in (0, 1):
        for neighbours in ("add-remove", "replace"):
            for delta in (0.0, 1e-6):
                kde = dpkit.KDE(np.zeros((rows, 2)), neighbours=neighbours, delta=delta, features=16)
                assert np.isfinite(kde.query([[0.0, 0.0]])).all()


def test_record_content_never_raises_and_is_mapped_as_documented():
    odd = np.array([[np.nan, 1.0], [np.inf, -np.inf], [1e308, -1e308], [5e-324, 0.0], [-0.0, 3e9]])
    far = 2.0**30 + 2.0**15  # half a period from the origin
    same = np.array([[0.0, 1.0], [far, far], [-far, far - 2.0**16], [0.0, 0.0], [0.0, far]])
    for bandwidth in (1.0, 1e-300, 1e300):
        dpkit.KDE(odd, bandwidth=bandwidth, features=8)
    a, b = (seeded(X, 3, features=64) for X in (odd, same))
    assert a.to_bytes() == b.to_bytes()


def test_bounds_clip_records_and_send_nan_to_the_middle():
    odd = np.array([[np.nan, 9.0], [-np.inf, 0.5], [7.0, np.nan]])
    same = np.array([[0.5, 4.0], [0.0, 0.5], [1.0, 3.0]])
    settings = {"features": 64, "bounds": ([0.0, 2.0], [1.0, 4.0])}
    same[1, 1] = 2.0
    a, b = (seeded(X, 4, **settings) for X in (odd, same))
    assert a.to_bytes() == b.to_bytes()
    scalar = seeded(odd, 4, features=64, bounds=(0.0, 4.0))
    assert scalar.public["bounds"] == [[0.0, 0.0], [4.0, 4.0]]


def test_integer_boolean_and_single_precision_records_equal_doubles():
    base = np.array([[0, 1], [1, 1], [3, 0]])
    expected = seeded(base.astype(float), 5, features=32).to_bytes()
    for dtype in (np.int8, np.uint64, np.float32, np.float16):
        assert seeded(base.astype(dtype), 5, features=32).to_bytes() == expected
    flags = seeded(base > 0, 5, features=32)
    assert flags.to_bytes() == seeded((base > 0).astype(float), 5, features=32).to_bytes()
    assert seeded(np.asfortranarray(base)[::1], 5, features=32).to_bytes() == expected


def test_queries_with_odd_content():
    kde = seeded(np.zeros((50, 2)), 6, features=128, epsilon=5.0)
    values, errors = kde.query([[np.nan, 0.0], [0.0, 0.0], [np.inf, 0.0]], return_std=True)
    assert np.isnan([values[0], errors[0]]).all()
    assert np.isfinite([values[1:], errors[1:]]).all()
    assert abs(values[2]) < 6 * errors[2]
    assert kde.query(np.empty((0, 2))).shape == (0,)


def test_one_frequency_has_an_unknown_error():
    values, errors = dpkit.KDE(np.zeros((5, 1)), features=1).query([[0.0]], return_std=True)
    assert np.isfinite(values).all()
    assert np.isinf(errors).all()


def test_bandwidth_is_a_unit():
    X, Y = mixture(200, 2, seed=3, queries=5)
    a = seeded(X, 7, features=64, bandwidth=0.5)
    b = seeded(X * 8, 7, features=64, bandwidth=4.0)
    assert (a.query(Y) == b.query(Y * 8)).all()


def test_noise_is_fresh_and_the_public_seed_does_not_fix_it():
    X = np.zeros((10, 2))
    first, second = (dpkit.KDE(X, features=64, public_seed=1) for _ in range(2))
    assert (first.query([[0.0, 0.0]]) != second.query([[0.0, 0.0]])).all()
    assert first.public["map_sha256"] == second.public["map_sha256"]
    assert dpkit.KDE(X, features=64, public_seed=2).public["map_sha256"] != first.public["map_sha256"]


def test_releases_can_be_copied_and_pickled():
    kde = dpkit.KDE(np.ones((10, 2)), features=32)
    for twin in (copy.copy(kde), copy.deepcopy(kde), pickle.loads(pickle.dumps(kde))):
        assert twin.to_bytes() == kde.to_bytes()
        assert (twin.query([[0.5, 1.0]]) == kde.query([[0.5, 1.0]])).all()


def test_unsafe_noise_is_said_to_be_unsafe():
    assert "UNSAFE" in repr(seeded(np.zeros((2, 1)), 0, features=4))
    assert "UNSAFE" not in repr(dpkit.KDE(np.zeros((2, 1)), features=4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0}, "epsilon must be a positive finite"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": math.inf}, "epsilon"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"epsilon": "1"}, "epsilon"),
        ({"epsilon": True}, "epsilon"),
        ({"epsilon": 1e-12}, "epsilon"),
        ({"delta": 1.0}, r"delta must lie in \[0, 1\)"),
        ({"delta": -1e-9}, "delta"),
        ({"delta": math.nan}, "delta"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"bandwidth": -2}, "bandwidth"),
        ({"bandwidth": math.inf}, "bandwidth"),
        ({"bandwidth": None}, "bandwidth"),
        ({"kernel": "triangle"}, "kernel must be one of gaussian"),
        ({"kernel": None}, "kernel"),
        ({"neighbours": "zero-out"}, "neighbours must be one of add-remove, replace"),
        ({"features": 0}, "features"),
        ({"features": 2**21}, "features"),
        ({"features": 1.5}, "features must be an integer"),
        ({"public_seed": -1}, "public_seed"),
        ({"public_seed": 2**64}, "public_seed"),
        ({"expected_records": -5}, "expected_records"),
        ({"bounds": (0.0,)}, "bounds"),
        ({"bounds": (1.0, 0.0)}, "low < high"),
        ({"bounds": (0.0, math.inf)}, "finite"),
        ({"bounds": ([0.0, 0.0, 0.0], 1.0)}, "length d = 2"),
        ({"bounds": 3}, "bounds"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(dpkit.ArgumentError, match=message):
        dpkit.KDE(np.zeros((4, 2)), **change)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(4), r"X must have two axes.*reshape"),
        (np.zeros((2, 2, 2)), "two axes"),
        (np.zeros((4, 0)), "at least one column"),
        (np.zeros((2, 2), dtype=complex), "dtype complex128"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([[{}, 1]], dtype=object), "dtype object"),
        (np.array([["2020-01-01"]], dtype="datetime64[D]"), "dtype datetime64"),
        ([[1.0], [1.0, 2.0]], "ragged"),
        (None, "real numbers"),
    ],
)
def test_bad_records_name_the_argument(X, message):
    with pytest.raises(dpkit.ArgumentError, match=message):
        dpkit.KDE(X)


def test_bad_queries():
    kde = dpkit.KDE(np.zeros((4, 2)), features=4)
    for Y, message in (
        (np.zeros((1, 3)), "Y must have d = 2 columns, got 3"),
        (np.zeros(2), "Y must have two axes"),
        (np.array([["a", "b"]]), "Y must hold real numbers"),
    ):
        with pytest.raises(dpkit.ArgumentError, match=message):
            kde.query(Y)


def test_errors_quote_no_records():
    with pytest.raises(dpkit.ArgumentError) as caught:
        dpkit.KDE(np.array([["secret-7391"]]))
    assert "7391" not in str(caught.value)


def test_sizing_looks_at_public_inputs_only():
    small, large = (dpkit.KDE(np.zeros((n, 3))) for n in (1, 5000))
    assert small.features == large.features == choose_features(1.0, 0.0, "add-remove", 3, None)
    assert dpkit.KDE(np.zeros((100, 3)), expected_records=10**6).features == 12_288
    assert dpkit.KDE(np.zeros((100, 3)), neighbours="replace").features == 258


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", ["add-remove", "replace"])
@pytest.mark.parametrize("d", [1, 7, 32, 784, 5000, 10**6])
@pytest.mark.parametrize("expected", [None, 0, 100, 10**9])
def test_sizes_stay_in_range(delta, neighbours, d, expected):
    for epsilon in (0.01, 1.0, 100.0):
        m = choose_features(epsilon, delta, neighbours, d, expected)
        assert 1 <= m <= 12_288
        assert m * d <= max(2**25, d)
        assert m <= max(4096, 2**20 // d)


def test_sizing_follows_its_rule():
    assert choose_features(1.0, 0.0, "add-remove", 1, 50_000) == 5000
    assert choose_features(1.0, 0.0, "replace", 1, 50_000) == 2500
    assert choose_features(0.5, 0.0, "add-remove", 1, 50_000) == 2500
    assert choose_features(1.0, 1e-6, "add-remove", 1, 50_000) == 12_288
    assert choose_features(1.0, 1e-6, "add-remove", 1, 500) < 8192
    assert choose_features(1.0, 1e-6, "add-remove", 32, None) == 12_288
    assert choose_features(1.0, 1e-6, "add-remove", 784, None) == 3920


def test_predictions_come_without_data_and_hold():
    X, Y = mixture(5000, 8, seed=3, queries=40)
    exact = dpkit.exact.kernel_sum(X, Y) / len(X)
    for delta, neighbours in ((0.0, "add-remove"), (1e-6, "replace")):
        found = dpkit.KDE.predict(d=8, epsilon=1.0, delta=delta, neighbours=neighbours, expected_records=5000)
        assert found[0].features == choose_features(1.0, delta, neighbours, 8, 5000)
        assert found[0].error < 1.6 * min(p.error for p in found)
        for prediction in found[:2]:
            size = {"features": prediction.features, "delta": delta, "neighbours": neighbours}
            releases = [seeded(X, s, public_seed=s, epsilon=1.0, **size) for s in range(6)]
            assert math.isclose(releases[0].noise_std() / 5000, prediction.noise_std, rel_tol=1e-4)
            errors = np.array([kde.query(Y) / 5000 - exact for kde in releases])
            assert 0.3 < np.sqrt((errors**2).mean()) / prediction.error < 1.2
    with pytest.raises(dpkit.ArgumentError, match="epsilon"):
        dpkit.KDE.predict(d=8, epsilon=0)
