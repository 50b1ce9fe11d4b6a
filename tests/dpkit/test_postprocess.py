"""Options that come after a release: answers cut to what records can cause, answers made convex."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

import dpkit
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity.convex import convex_table

SUMS = {
    "l1": {"metric": "l1", "bounds": (0.0, 1.0)},
    "tree": {"metric": "l1", "bounds": (0.0, 1.0), "structure": "tree", "depth": 6},
    "l2": {"metric": "l2", "radius": 1.5, "center": 0.5, "features": 32},
    "sqeuclidean": {"metric": "sqeuclidean", "bounds": (0.0, 1.0)},
    "lp": {"metric": "lp", "p": 1.5, "bounds": (0.0, 1.0)},
    "replace": {"metric": "l1", "bounds": (0.0, 1.0), "neighbours": "replace", "expected_records": 500},
}
CURVED = ("l1", "l2", "lp", "replace")


def records(n, d, seed=0):
    return np.clip(np.random.default_rng(seed).normal(0.5, 0.15, size=(n, d)), 0.0, 1.0)


def release(X, seed, **arguments):
    builder = dpkit.DistanceSum.builder(d=X.shape[1], **arguments)
    return builder.update(X).release(unsafe_noise=UnsafeSeededNoise(seed))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=40), st.floats(0.5, 1e4))
def test_slopes_are_the_isotonic_regression_of_the_slopes(values, steepest):
    table = np.array([values])
    found = convex_table(table, np.array([steepest]))
    steps = table.shape[1] - 1
    bound = steepest / steps
    wanted = isotonic_regression(np.diff(table[0]), y_min=-bound, y_max=bound)
    np.testing.assert_allclose(np.diff(found[0]), wanted, atol=1e-9 * (1.0 + np.abs(table).max()))
    np.testing.assert_allclose(found.mean(), table.mean(), atol=1e-9 * (1.0 + np.abs(table).max()))
    np.testing.assert_allclose(convex_table(found, np.array([steepest])), found, atol=1e-7)


def test_exact_tables_stay_as_they_are():
    X, places = records(50, 1), np.linspace(0.0, 1.0, 65)
    table = np.abs(X - places).sum(axis=0)[None]
    np.testing.assert_allclose(convex_table(table, np.array([50.0])), table, atol=1e-9)


@pytest.mark.parametrize("name", CURVED)
def test_convex_answers_are_convex_and_not_steeper_than_the_records_allow(name):
    dist = release(records(500, 1), 3, epsilon=0.1, **SUMS[name])
    Y = np.linspace(0.0, 1.0, 129)[:, None]
    plain, found = dist.query(Y), dist.convex().query(Y)
    slack = 1e-7 * np.abs(found).max()
    assert (np.diff(plain, 2) < -slack).any()
    if name != "l2":  # along projections, so along a line of queries only where that is one of them: d = 1
        assert (np.diff(found, 2) >= -slack).all()
    power = SUMS[name].get("p", 1.0)
    assert np.abs(np.diff(found)).max() * 128 <= power * max(dist.count, 1.0) + slack
    assert repr(dist.convex()) == repr(dist)
    assert dist.convex().to_bytes() == dist.to_bytes()
    assert dist.convex().guarantee == dist.guarantee


@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_convex_answers_err_less(relation):
    X, Y = records(1000, 4), np.random.default_rng(1).uniform(size=(200, 4))
    wanted = dpkit.exact.distance_sum(X, Y)
    plain, found = [], []
    for seed in range(12):
        dist = release(X, seed, bounds=(0.0, 1.0), epsilon=0.5, neighbours=relation, expected_records=1000)
        plain.append(np.mean((dist.query(Y) - wanted) ** 2))
        found.append(np.mean((dist.convex().query(Y) - wanted) ** 2))
    assert np.mean(found) < 0.97 * np.mean(plain)


@pytest.mark.parametrize("name", SUMS)
def test_clamped_sums_stay_within_what_records_can_cause(name):
    X = records(500, 2)
    Y = np.concatenate([X[:50], [[0.0, 1.0], [0.5, 0.5], [np.nan, 0.5]]])
    metric, p = SUMS[name]["metric"], SUMS[name].get("p")
    dist = release(X, 5, epsilon=0.002, **SUMS[name])
    corners = np.array([[a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)])
    far = np.array(
        [max(dpkit.exact.distance_sum(c[None], y[None], metric, p)[0] for c in corners) for y in Y]
    )
    plain, errors = dist.query(Y, return_std=True)
    found, same = dist.query(Y, return_std=True, clamp=True)
    np.testing.assert_array_equal(errors, same)
    most = dist._largest(Y)
    assert (most[:-1] >= far[:-1] * (1 - 1e-9)).all()  # never below what a record of the box can add
    if metric in ("l1", "lp"):
        np.testing.assert_allclose(most[:-1], far[:-1])
    np.testing.assert_array_equal(found, np.clip(plain, 0.0, most * max(dist.count, 1.0)))
    assert (found[:-1] != plain[:-1]).any()
    assert np.isnan(found[-1])
    average = dist.query(Y[:-1], normalized=True, clamp=True)
    assert ((average >= 0.0) & (average <= most[:-1])).all()


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_clamped_kernel_sums(kernel):
    X = np.random.default_rng(0).normal(size=(100, 3))
    kde = dpkit.KDE.builder(d=3, kernel=kernel, epsilon=0.05, features=64).update(X)
    kde = kde.release(unsafe_noise=UnsafeSeededNoise(1))
    plain, found = kde.query(X), kde.query(X, clamp=True)
    np.testing.assert_array_equal(found, np.clip(plain, 0.0, max(kde.count, 1)))
    assert (found != plain).any()
    average = kde.query(X, normalized=True, clamp=True)
    assert ((average >= 0.0) & (average <= 1.0)).all()


@pytest.mark.parametrize("name", ["tree", "sqeuclidean"])
def test_sums_that_are_not_tables_are_refused(name):
    with pytest.raises(dpkit.ArgumentError, match=r"convex\(\) is for metrics"):
        release(records(20, 1), 0, epsilon=1.0, **SUMS[name]).convex()


def test_powers_below_one_are_refused():
    with pytest.raises(dpkit.ArgumentError, match=r"'lp' with p = 0.5"):
        release(records(20, 1), 0, epsilon=1.0, metric="lp", p=0.5, bounds=(0.0, 1.0)).convex()
