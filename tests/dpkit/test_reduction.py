"""Dimension reduction in front of kernels of the l2 distance, and the public ball: per record."""

import math

import numpy as np
import pytest

import dpkit
from dpkit.audit import audit, brute_force_sensitivity, kde_mechanism
from dpkit.audit.kde import exact_vector, neighbour_pairs
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.reduction import Front, pair_error
from dpkit.similarity.settings import KDESettings


def slow_transform(front, x):
    """Signs, a Hadamard matrix by its definition, the kept coordinates."""
    signs, kept = front.choice
    padded = np.zeros(len(signs))
    padded[: front.columns] = x - front.center
    rows = np.array([[(-1.0) ** (int(a) & c).bit_count() for c in range(len(signs))] for a in kept])
    return rows @ (padded * signs) / math.sqrt(len(kept))


@pytest.mark.parametrize("d", [1, 5, 64, 100])
def test_the_transform_is_its_definition_row_by_row(d):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(9, d))
    front = Front(d, 1.0, None, None, max(1, d // 2), 3)
    whole = front.apply(X, clip=True)
    np.testing.assert_allclose(whole, [slow_transform(front, x) for x in X], atol=1e-12)
    assert all((front.apply(X[i : i + 1], clip=True) == whole[i]).all() for i in range(9))


def test_all_coordinates_keep_distances_exactly_and_some_keep_them_in_the_mean():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 128))
    full = Front(128, 1.0, None, None, 128, 0).apply(z, clip=False)
    assert math.isclose((full**2).sum(), (z**2).sum(), rel_tol=1e-12)
    ratios = np.array(
        [(Front(128, 1.0, None, None, 32, s).apply(z, clip=False) ** 2).sum() for s in range(300)]
    )
    ratios /= (z**2).sum()
    assert abs(ratios.mean() - 1.0) < 5 * ratios.std() / math.sqrt(300)
    assert ratios.std() < 1.3 * math.sqrt(2 / 32 * (1 - 32 / 128))


def test_record_content_never_raises_and_goes_where_the_text_says():
    odd = np.array([[np.nan, 9.0, 0.5], [np.inf, -np.inf, np.nan], [1e308, -1e308, 1e308]])
    for arguments in ({}, {"bounds": (0.0, 1.0)}, {"radius": 2.0}):
        for reduce in (None, 2):
            kde = dpkit.KDE(odd, reduce=reduce, features=16, **arguments)
            assert np.isfinite(kde.query(np.zeros((1, 3)))).all()
    front = Front(3, 1.0, None, 2.0, None, 0)
    moved = front.apply(np.array([[np.nan, 8.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, np.inf]]), clip=True)
    np.testing.assert_allclose(moved, [[0, 2, 0], [0, 1, 1], [0, 0, 2]], atol=1e-12)
    same = Front(2, 1.0, ((0.0, 2.0), (1.0, 4.0)), None, 2, 0)
    np.testing.assert_array_equal(same.apply(np.array([[np.nan, 3.0]]), clip=True), [[0.0, 0.0]])


@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_a_reduction_changes_no_sensitivity(relation):
    """Brute force through the front: neighbours before it are neighbours behind it."""
    settings = KDESettings.check(
        5, epsilon=1.0, neighbours=relation, features=3, structure="fourier", reduce=3
    )
    plain = KDESettings.check(3, epsilon=1.0, neighbours=relation, features=3, structure="fourier")
    assert settings.calibration == plain.calibration

    def exact(records):
        sums = settings.blank()
        settings.add(sums, records)
        return sums.reshape(-1).view(np.int64)

    pairs = neighbour_pairs(FourierMap("gaussian", 1.0, 5, 6), relation)
    seen = brute_force_sensitivity(exact, pairs)
    features = settings.features
    limits = (features.sensitivity_l1, features.sensitivity_l2_squared)
    if relation == "replace":
        limits = (features.replaced_l1, features.replaced_l2_squared)
    assert seen.l1 <= limits[0]
    assert seen.l2_squared <= limits[1]


def test_audit_through_the_reduction_and_a_planted_one_that_looks_at_the_data():
    settings = KDESettings.check(4, epsilon=1.0, features=2, structure="fourier", reduce=2)
    inner = kde_mechanism(settings)

    def through(fitted):
        def run(records, runs):
            behind = settings.front.apply(records, clip=True)
            if fitted and len(records):  # centred on the data's own mean: every record moves with each one
                behind = behind - np.clip(behind, -50, 50).mean(axis=0)
            return inner.run(behind, runs)

        def centre(records):
            behind = settings.front.apply(records, clip=True)
            if fitted and len(records):
                behind = behind - np.clip(behind, -50, 50).mean(axis=0)
            return exact_vector(settings.features, behind)

        return type(inner)("through", settings.guarantee, run, centre)

    shared = np.repeat(np.full((1, 4), 0.1), 30, axis=0)
    pairs = [("one more", shared, np.concatenate([shared, np.array([[45.0, -20.0, 10.0, 30.0]])]))]
    assert not audit(through(False), pairs, runs=20_000).violated
    assert audit(through(True), pairs, runs=20_000).violated


def mixture(n, d, queries):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(20, d)) / math.sqrt(d)
    points = centres[rng.integers(20, size=n + queries)]
    points = points + rng.normal(size=(n + queries, d)) / math.sqrt(2 * d)
    return points[:n], points[n:]


@pytest.mark.parametrize("kernel", [name for name, k in KERNELS.items() if k.distance != "l1"])
def test_reduced_sums_are_near_the_exact_ones(kernel):
    X, Y = mixture(300, 300, 20)
    exact = dpkit.exact.kernel_sum(X, Y, kernel) / 300
    for domain in ({}, {"radius": 4.0}):
        settings = {"kernel": kernel, "features": 1500, "structure": "fourier", "epsilon": 1e6}
        builder = dpkit.KDE.builder(d=300, reduce=128, delta=1e-6, **settings, **domain)
        kde = builder.update(X).release(unsafe_noise=UnsafeSeededNoise(0))
        error = np.sqrt(((kde.query(Y) / 300 - exact) ** 2).mean())
        predicted = dpkit.KDE.predict(d=300, reduce=128, kernel=kernel, features=1500, structure="fourier")[0]
        assert predicted.kept == 128
        assert predicted.reduction == pair_error(kernel, 300, 128)
        assert error < 1.2 * predicted.error
        assert (dpkit.KDE.from_bytes(kde.to_bytes()).query(Y) == kde.query(Y)).all()
        assert (kde.d, kde.public["reduce"]) == (300, 128)


def test_choices_of_the_reduction():
    def kept(d, reduce="auto", kernel="gaussian"):
        front = KDESettings.check(d, kernel, features=8, reduce=reduce).front
        return None if front is None else front.kept

    assert [kept(d) for d in (100, 4095, 4096, 20_000, 300_000)] == [None, None, 1024, 2048, 4096]
    assert kept(5000, None) is None
    assert kept(5000, "auto", "laplacian") is None
    assert kept(10, 3) == 3
    for bad, message in ((0, "reduce"), (10, "reduce"), ("half", "reduce must be None"), (1.5, "integer")):
        with pytest.raises(dpkit.ArgumentError, match=message):
            kept(10, bad)
    with pytest.raises(dpkit.ArgumentError, match="kernel of the l1 distance"):
        kept(10, 3, "inverse_l1")


def test_queries_outside_the_domain_are_not_clipped_by_features():
    X = np.full((2000, 2), 0.9)
    builder = dpkit.KDE.builder(d=2, radius=0.5, features=2000, epsilon=100.0)
    kde = builder.update(X).release(unsafe_noise=UnsafeSeededNoise(1))
    inside = np.full(2, 0.5 / math.sqrt(2))
    exact = dpkit.exact.kernel_sum(np.repeat(inside[None], 2000, 0), [[3.0, 3.0], inside])
    np.testing.assert_allclose(kde.query([[3.0, 3.0], inside]), exact, atol=60.0)
