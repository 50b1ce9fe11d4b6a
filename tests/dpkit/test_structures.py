"""Kernel sums by hash counters and by sums of exponentials; the choice by predicted error."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.audit import Mechanism, audit, brute_force_sensitivity, kde_mechanism
from dpkit.audit.kde import exact_vector, neighbour_pairs
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity.exponentials import BASES, ExponentialsMap, exponential_sum
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.hashing import HASHED, HashMap
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.moments import Ball
from dpkit.similarity.settings import KDESettings

ON_A_BALL = {"exponential", "inverse_l2"}


def hash_map(kernel, d=3, rows=24, seed=1, buckets=256, h=0.8):
    ball = Ball((0.0,) * d, 1.5) if kernel in ON_A_BALL else None
    return HashMap(kernel, h, d, rows, seed, None, ball, buckets)


def table(shape, records):
    sums = np.zeros(shape.shape, dtype=np.uint64)
    shape.add(sums, records)
    return sums.view(np.int64)


def slow_table(shape, records):
    """Counters by the definition alone, in Python integers."""
    found = np.zeros(shape.shape, dtype=np.int64)
    offset, weights = (part.tolist() for part in shape.hash_words)
    drop = 64 - int(math.log2(shape.buckets))
    for record in shape.integers(records, clip=True).tolist():
        for r in range(shape.features):
            key = offset[r]
            if shape.ball is None:
                rates, shifts = (part[r].tolist() for part in shape.grids)
                for x, rate, shift, a in zip(record, rates, shifts, weights[r], strict=True):
                    key += ((x * rate + shift) % 2**64 >> 46) * a
            else:
                directions, offsets, starts = shape.planes
                for p in range(starts[r], starts[r + 1]):
                    side = sum(x * w for x, w in zip(record, directions[p].tolist(), strict=True))
                    key += weights[p] * int(side > offsets[p])
            found[r, (key % 2**64) >> drop] += 1
    return found


@pytest.mark.parametrize("kernel", HASHED)
@pytest.mark.parametrize(("d", "rows"), [(1, 3), (3, 40)])
def test_compiled_counters_equal_the_slow_twin(kernel, d, rows):
    rng = np.random.default_rng(d)
    records = rng.normal(scale=2.0, size=(12, d))
    records[0, 0], records[1, -1], records[2] = np.nan, -np.inf, 1e308
    shape = hash_map(kernel, d, rows)
    assert table(shape, records).tolist() == slow_table(shape, records).tolist()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=64)] * 2), max_size=5))
def test_a_record_counts_once_in_each_row_whatever_it_is(rows):
    records = np.array(rows, dtype=np.float64).reshape(-1, 2)
    for kernel in ("laplacian", "exponential"):
        found = table(hash_map(kernel, 2, 5), records)
        assert (found.sum(axis=1) == len(records)).all()
        alone = [table(hash_map(kernel, 2, 5), records[i : i + 1]) for i in range(len(records))]
        assert (found == sum(alone, np.zeros_like(found))).all()


@pytest.mark.parametrize("kernel", HASHED)
def test_chunks_do_not_matter_and_neither_do_neighbours_in_memory(kernel):
    rng = np.random.default_rng(4)
    records = rng.normal(size=(5011, 3))
    shape = hash_map(kernel, 3, 20)
    whole = table(shape, records)
    assert (whole == sum(table(shape, part) for part in np.array_split(records[::-1], 7))).all()


@pytest.mark.parametrize("kernel", HASHED)
def test_the_chance_of_a_common_cell_is_the_kernel(kernel):
    """Over public seeds, for pairs at several distances; far from the middle of the domain as well."""
    rng = np.random.default_rng(7)
    x = np.array([0.3, -0.2, 0.4])
    for size in (0.05, 0.4, 1.0):
        y = x + size * rng.normal(size=3) / math.sqrt(3)
        expected = dpkit.exact.kernel_sum([x], [y], kernel, 0.8)[0]
        found = []
        for seed in range(12):
            shape = hash_map(kernel, 3, 512, seed)
            values, _ = shape.moments(table(shape, x[None]), y[None], 1)
            found.append(values[0])
        assert abs(np.mean(found) - expected) < 5 * math.sqrt(0.25 / (12 * 512))


def test_rows_are_strongly_universal_between_cells():
    """Two records in different cells of almost every row share a bucket in 1/W of the rows."""
    shape = hash_map("laplacian", 2, 8192, 3, 16, h=0.01)
    far = table(shape, np.array([[0.0, 0.0]])) * table(shape, np.array([[3.0, -2.0]]))
    share = far.sum() / 8192
    assert abs(share - 1 / 16) < 5 * math.sqrt(1 / 16 / 8192)


@pytest.mark.parametrize("relation", ["add-remove", "replace"])
@pytest.mark.parametrize("kernel", HASHED)
def test_sensitivity_of_counters_by_brute_force(kernel, relation):
    shape = hash_map(kernel, 2, 7)
    pairs = neighbour_pairs(FourierMap("gaussian", 0.8, 2, 3), relation)
    seen = brute_force_sensitivity(lambda records: exact_vector(shape, records)[:-1], pairs)
    if relation == "add-remove":
        assert (seen.l1, seen.l2_squared) == (7, 7) == (shape.sensitivity_l1, shape.sensitivity_l2_squared)
    else:
        assert seen.l1 == shape.replaced_l1 == 14
        assert seen.l2_squared == shape.replaced_l2_squared == 14


def one_cell(relation):
    """A record more, or one that changes its counter in both rows."""
    here, there = np.zeros((1, 2)), np.full((1, 2), 40.0)
    if relation == "add-remove":
        return [("one more", here[:0], here), ("a third", np.repeat(here, 2, 0), np.repeat(here, 3, 0))]
    return [("moved", np.repeat(here, 2, 0), np.concatenate([here, there]))]


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("relation", ["add-remove", "replace"])
def test_audit_of_counters_and_three_planted_bugs(relation, delta):
    settings_ = KDESettings.of(hash_map("laplacian", 2, 2, 1, 16), 1.0, delta, relation)
    shape, pairs = settings_.features, one_cell(relation)
    assert not audit(kde_mechanism(settings_), pairs, runs=60_000).violated
    plan, factor = settings_.calibration, Fraction(1, 3) if delta == 0.0 else Fraction(1, 9)
    count = None if plan.count is None else plan.count * factor
    third = dataclasses.replace(
        settings_, calibration=dataclasses.replace(plan, sums=plan.sums * factor, count=count)
    )
    assert audit(kde_mechanism(third), pairs, runs=60_000).violated

    def empty_cells_left_out(records, runs):
        exact = exact_vector(shape, records)
        return np.where(exact == 0, 0, kde_mechanism(settings_).run(records, runs))

    bug = Mechanism("non-empty", settings_.guarantee, empty_cells_left_out, lambda r: exact_vector(shape, r))
    assert audit(bug, pairs, runs=4000).violated
    if delta == 0.0 and relation == "replace":  # the scale of one row, as though rows shared a record
        one_row = dataclasses.replace(plan, sums=plan.sums / shape.features)
        assert audit(
            kde_mechanism(dataclasses.replace(settings_, calibration=one_row)), pairs, runs=60_000
        ).violated


@pytest.mark.parametrize("error", [1e-1, 1e-2, 1e-3, 1e-4])
def test_sums_of_exponentials_are_as_close_as_they_say(error):
    u = np.concatenate([[0.0], np.logspace(-8, 9, 20_001)])
    terms = exponential_sum(error)
    value = sum(w * np.exp(-r * u) for w, r in terms)
    assert error / 20 < np.abs(value - 1.0 / (1.0 + u)).max() <= error
    assert len(terms) == {1e-1: 4, 1e-2: 8, 1e-3: 13, 1e-4: 19}[error]


@pytest.mark.parametrize("kernel", BASES)
def test_exponentials_converge_to_the_kernel_and_have_the_bounds_of_one_map(kernel):
    rng = np.random.default_rng(8)
    X, Y = rng.normal(size=(300, 3)), rng.normal(size=(10, 3))
    shape = ExponentialsMap(kernel, 1.3, 3, 8000, 2)
    assert sum(part.features for _, part in shape.parts) == 8000
    assert len({part.public_seed for _, part in shape.parts}) == len(shape.parts)
    values, variances = shape.moments(table(shape, X), Y, 300)
    exact = dpkit.exact.kernel_sum(X, Y, kernel, 1.3)
    assert (np.abs(values - exact) < 5 * np.sqrt(variances) + 300 * shape.bias).all()
    small = ExponentialsMap(kernel, 1.0, 2, 8)
    for relation in ("add-remove", "replace"):
        pairs = neighbour_pairs(FourierMap("gaussian", 1.0, 2, 9), relation)
        seen = brute_force_sensitivity(lambda records: exact_vector(small, records)[:-1], pairs)
        limits = (small.sensitivity_l1, small.sensitivity_l2_squared)
        if relation == "replace":
            limits = (small.replaced_l1, small.replaced_l2_squared)
        assert seen.l1 <= limits[0]
        assert limits[1] * 0.3 < seen.l2_squared <= limits[1]


CASES = [("hash", kernel) for kernel in HASHED] + [("exponentials", kernel) for kernel in BASES]


@pytest.mark.parametrize(("structure", "kernel"), CASES)
def test_standard_errors_and_noise_are_right(structure, kernel):
    """z-scores over independent maps and noises; spread over noises alone equal to `noise_std`."""
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(2000, 2)) * 0.4, rng.normal(size=(3, 2)) * 0.4
    exact = dpkit.exact.kernel_sum(X, Y, kernel, 1.0)
    size = {"features": 96, "structure": structure, "kernel": kernel, "epsilon": 2.0}
    if structure == "hash":
        size["radius"] = 1.5
    scores, answers = [], []
    for seed in range(24):
        delta = 1e-6 if seed % 2 else 0.0
        builder = dpkit.KDE.builder(d=2, public_seed=seed, delta=delta, **size)
        kde = builder.update(X).release(unsafe_noise=UnsafeSeededNoise(seed))
        values, errors = kde.query(Y, return_std=True)
        slack = 2000 * kde._settings.features.bias if structure == "exponentials" else 0.0
        scores.append(np.maximum(np.abs(values - exact) - slack, 0.0) / errors)
        if seed < 20:
            builder = dpkit.KDE.builder(d=2, neighbours="replace", **size).update(X)
            again = builder.release(unsafe_noise=UnsafeSeededNoise(seed))
            answers.append(again.query(Y))
    assert np.sqrt((np.array(scores) ** 2).mean()) < 1.3
    if structure == "hash":
        assert np.sqrt((np.array(scores) ** 2).mean()) > 0.6
    np.testing.assert_allclose(np.array(answers).std(axis=0).mean(), again.noise_std(), rtol=0.3)


@pytest.mark.parametrize(("structure", "kernel"), CASES)
def test_files_merges_and_repr(structure, kernel):
    size = {"features": 24, "structure": structure, "kernel": kernel, "bounds": (-1.0, 2.0), "d": 2}
    first, second, other = (dpkit.KDE.builder(public_seed=s, **size) for s in (3, 3, 4))
    with pytest.raises(dpkit.MergeError, match="map_sha256"):
        first.merge(other)
    kde = first.update(np.ones((9, 2))).merge(second.update(np.zeros((9, 2)))).release()
    assert kde.structure == structure
    assert f"structure='{structure}'" in repr(kde)
    same = dpkit.KDE.from_bytes(kde.to_bytes())
    assert (same.query([[0.5, 1.0]]) == kde.query([[0.5, 1.0]])).all()
    assert same.public == kde.public
    for key, value in (("structure", "auto"), ("structure", "fourier"), ("features", 8), ("public_seed", 9)):
        with pytest.raises(dpkit.FormatError):
            KDESettings.from_public({**kde.public, key: value})


def test_counters_under_replace_need_less_noise_than_features():
    X = np.zeros((10, 2))
    ours = dpkit.KDE(X, "laplacian", delta=1e-6, structure="hash", neighbours="replace", features=64)
    theirs = dpkit.KDE(X, "laplacian", delta=1e-6, structure="fourier", neighbours="replace", features=64)
    assert math.isclose(ours.noise_std() * 255 / 256, theirs.noise_std() / math.sqrt(2), rel_tol=2e-3)
    pure = dpkit.KDE(X, "laplacian", structure="hash", epsilon=0.5, features=50)
    assert math.isclose(pure.noise_std(), math.sqrt(100) / (0.98 * 0.5) * 256 / 255, rel_tol=1e-5)


def test_automatic_choice_is_the_least_predicted_error():
    for kernel in KERNELS:
        for radius in (None, 2.0, 200.0):
            for delta in (0.0, 1e-6):
                found = dpkit.KDE.predict(d=16, kernel=kernel, radius=radius, delta=delta, epsilon=0.5)
                chosen = dpkit.KDE.builder(d=16, kernel=kernel, radius=radius, delta=delta, epsilon=0.5)
                shape = chosen._settings.features
                assert (shape.structure, shape.features) == (found[0].structure, found[0].features)
                bests = {p.structure: p for p in found[::-1]}
                assert set(bests) >= {"fourier"}
                assert ("exponentials" in bests) == (kernel in BASES)
                assert bests[found[0].structure].error < 1.06 * min(p.error for p in bests.values())
                if kernel in ("gaussian", "cauchy"):
                    assert "hash" not in bests
                if kernel in ("laplacian", "inverse_l1") and delta == 0.0:
                    assert found[0].structure == "hash"
                if kernel in ON_A_BALL and radius is None:
                    assert "hash" not in bests


def test_predicted_errors_hold_for_counters():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(4000, 8)) / 3, rng.normal(size=(30, 8)) / 3
    exact = dpkit.exact.kernel_sum(X, Y, "laplacian", 2.0) / 4000
    best = dpkit.KDE.predict(d=8, kernel="laplacian", expected_records=4000)[0]
    errors = []
    for seed in range(8):
        kde = dpkit.KDE(X, "laplacian", 2.0, public_seed=seed, expected_records=4000)
        assert (kde.structure, kde.features) == ("hash", best.features)
        assert math.isclose(kde.noise_std() / 4000, best.noise_std, rel_tol=1e-4)
        errors.append(kde.query(Y) / 4000 - exact)
    assert 0.4 < np.sqrt((np.array(errors) ** 2).mean()) / best.error < 1.6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"structure": "forest"}, dpkit.ArgumentError, "structure must be one of auto, fourier"),
        ({"structure": None}, dpkit.ArgumentError, "structure"),
        ({"structure": "hash"}, dpkit.ArgumentError, "'gaussian' has no such hash"),
        ({"structure": "exponentials"}, dpkit.ArgumentError, "'gaussian' needs no such sum"),
        ({"structure": "hash", "kernel": "exponential"}, dpkit.MissingBoundsError, "radius= or bounds="),
        (
            {"structure": "hash", "kernel": "inverse_l2", "radius": 1e9},
            dpkit.ArgumentError,
            "too many hyperplanes",
        ),
        ({"structure": "exponentials", "kernel": "cauchy", "features": 7}, dpkit.ArgumentError, "at least 8"),
        ({"radius": 0.0}, dpkit.ArgumentError, "radius"),
        ({"radius": 1.0, "bounds": (0.0, 1.0)}, dpkit.ArgumentError, "bounds exclude radius"),
    ],
)
def test_bad_choices(change, error, message):
    with pytest.raises(error, match=message):
        dpkit.KDE(np.zeros((4, 2)), **change)
