"""The audit bites on every planted bug, and finds nothing against the shipped mechanism."""

import math

import numpy as np
import pytest

import dpkit
from dpkit.audit import (
    audit,
    brute_force_sensitivity,
    find_leaks,
    kde_mechanism,
    neighbour_pairs,
    repeated_noise,
    tight_records,
)
from dpkit.audit.kde import exact_vector
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.kernels import KERNELS
from tests.dpkit.audit import mutants

RELATIONS = ("add-remove", "replace")


def worst_pairs(neighbours, m=2):
    features = mutants.small_settings(neighbours, 0.0, m=m).features
    chosen = {"add-remove": "empty + tight 0", "replace": "empty, opposite tight records"}[neighbours]
    return [pair for pair in neighbour_pairs(features, neighbours) if pair[0] == chosen]


# ---- the shipped mechanism ------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", RELATIONS)
def test_the_shipped_mechanism_keeps_its_promise(neighbours, delta):
    settings = mutants.small_settings(neighbours, delta)
    report = audit(kde_mechanism(settings), neighbour_pairs(settings.features, neighbours), runs=4000)
    assert not report.violated, report
    assert report.epsilon <= 1.0


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_the_audit_is_nearly_tight_on_the_worst_records(neighbours):
    settings = mutants.small_settings(neighbours, 0.0)
    report = audit(kde_mechanism(settings), worst_pairs(neighbours), runs=400_000)
    assert not report.violated
    assert report.epsilon > 0.7
    gaussian = mutants.small_settings(neighbours, 1e-6)
    report = audit(kde_mechanism(gaussian), worst_pairs(neighbours), runs=400_000)
    assert not report.violated
    assert report.rho > 0.2 * gaussian.guarantee.rho


def test_a_real_release_and_the_adapter_run_the_same_code():
    """The adapter's outputs, averaged, are the exact vector; a release differs from it by noise alone."""
    settings = mutants.small_settings("add-remove", 0.0, m=3)
    X = np.random.default_rng(0).normal(size=(50, 3))
    outputs = kde_mechanism(settings).run(X, 4000)
    exact = exact_vector(settings.features, X)
    spread = outputs.std(axis=0) / math.sqrt(4000)
    assert (np.abs(outputs.mean(axis=0) - exact) < 5 * spread).all()
    noise = settings.calibration.sums_variance(3) ** 0.5
    np.testing.assert_allclose(outputs[:, :-1].std(axis=0), noise, rtol=0.15)


# ---- sensitivity of the integers ------------------------------------------------------------------


def claimed(features, neighbours):
    """(L1, squared L2) of the whole vector: sums, and the count, which is public under replace."""
    if neighbours == "replace":
        return 2 * features.sensitivity_l1, 4 * features.sensitivity_l2_squared
    return features.sensitivity_l1 + 1, features.sensitivity_l2_squared + 1


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("grid_bits", [0, 2, 20])
@pytest.mark.parametrize(("d", "m"), [(3, 3), (2, 40)])
def test_brute_force_sensitivity_is_within_the_claim(kernel, neighbours, grid_bits, d, m):
    features = FourierMap(kernel, 0.5, d, m, grid_bits=grid_bits)
    found = brute_force_sensitivity(
        lambda records: exact_vector(features, records), neighbour_pairs(features, neighbours)
    )
    l1, l2_squared = claimed(features, neighbours)
    assert found.l1 <= l1
    assert found.l2_squared <= l2_squared
    assert found.l1 > 0


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_the_claim_is_tight(neighbours):
    features = FourierMap("gaussian", 1.0, 4, 4)
    found = brute_force_sensitivity(
        lambda records: exact_vector(features, records), neighbour_pairs(features, neighbours)
    )
    l1, l2_squared = claimed(features, neighbours)
    assert found.l1 > l1 * (1 - 1e-4)
    assert found.l2_squared > l2_squared * (1 - 1e-4)
    assert "tight" in found.l1_pair


def test_tight_records_sit_on_the_diagonals():
    features = FourierMap("gaussian", 3.0, 5, 5)
    rows = tight_records(features)
    for row in rows:
        cosines, sines = np.split(exact_vector(features, row.reshape(1, -1))[:-1] / 2**20, 2)
        np.testing.assert_allclose(np.abs([cosines, sines]), math.sqrt(0.5), atol=2e-3)


@pytest.mark.parametrize("fault", [mutants.rounded_sum, mutants.nearest_rounding])
@pytest.mark.parametrize("neighbours", RELATIONS)
def test_rounding_in_the_wrong_place_is_caught(fault, neighbours):
    features = FourierMap("gaussian", 1.0, 6, 6, grid_bits=2)
    pairs = neighbour_pairs(features, neighbours, base=5)
    l1, l2_squared = claimed(features, neighbours)
    wrong = brute_force_sensitivity(fault(features), pairs)
    assert wrong.l1 > l1 or wrong.l2_squared > l2_squared
    right = brute_force_sensitivity(lambda records: exact_vector(features, records), pairs)
    assert right.l1 <= l1
    assert right.l2_squared <= l2_squared


# ---- planted bugs in the noise --------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", RELATIONS)
def test_half_noise_is_caught(neighbours, delta):
    assert audit(mutants.half_noise(neighbours, delta), worst_pairs(neighbours), runs=60_000).violated


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_missing_sqrt2_is_caught(neighbours):
    report = audit(mutants.missing_sqrt2(neighbours), worst_pairs(neighbours), runs=100_000)
    assert report.violated
    assert report.epsilon > 1.0


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_missing_replace_factor_is_caught(delta):
    assert audit(mutants.missing_replace_factor(delta), worst_pairs("replace"), runs=60_000).violated


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_noise_on_non_empty_cells_only_is_caught(delta):
    report = audit(mutants.non_empty_only("add-remove", delta), worst_pairs("add-remove"), runs=2000)
    assert report.violated
    assert report.epsilon > 4.0


@pytest.mark.parametrize(
    "mutant",
    [
        lambda: mutants.scale_for_the_count_forgotten("add-remove"),
        lambda: mutants.floor_of_float_noise("add-remove"),
        lambda: mutants.delta_is_not_small(),
    ],
)
def test_other_published_faults_are_caught(mutant):
    assert audit(mutant(), worst_pairs("add-remove"), runs=20_000).violated


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_a_second_release_is_caught_and_refused(neighbours):
    assert audit(mutants.twice_released(neighbours), worst_pairs(neighbours), runs=200_000).violated
    builder = dpkit.KDE.builder(d=2, features=2, neighbours=neighbours)
    builder.release()
    with pytest.raises(dpkit.BudgetSpentError):
        builder.release()


def test_seed_reuse_is_caught():
    settings = mutants.small_settings("add-remove", 0.0)
    X = np.ones((5, 2))
    exact = exact_vector(settings.features, X)
    assert repeated_noise(mutants.seed_reuse(settings, X), exact) == exact.size
    honest = kde_mechanism(settings)
    assert repeated_noise(lambda: honest.run(X, 1)[0], exact) <= 1  # the small noise on the count may tie

    def shipped():
        kde = dpkit.KDE(X, features=2, public_seed=0)
        return np.append(kde._sums.reshape(-1), kde.count)

    assert repeated_noise(shipped, exact) <= 1


# ---- planted leaks --------------------------------------------------------------------------------


def test_kept_sums_are_found():
    X = np.random.default_rng(1).normal(size=(30, 2))
    kde = dpkit.KDE(X, features=20)
    exact = exact_vector(FourierMap("gaussian", 1.0, 2, 20), X)[:-1]
    assert find_leaks(kde, {"sums": exact, "records": X}) == []
    assert find_leaks(mutants.KeepsRawSums(kde, exact), {"sums": exact}) != []
    hidden = {
        "attribute": {"kept": exact},
        "list": [list(exact.tolist())],
        "bytes": [exact.tobytes()],
        "view": exact.reshape(2, -1)[::1],
        "larger array": np.concatenate([[7], exact, [9]]),
        "default argument": lambda kept=exact: None,
    }
    for where, release in hidden.items():
        assert find_leaks(release, {"sums": exact}) != [], where
    assert find_leaks(kde, {"sums": exact}, {"file": b"xx" + exact.tobytes()}) == ["sums: in file"]


# ---- the audit itself -----------------------------------------------------------------------------


def test_false_alarms_are_rare():
    """A mechanism that spends exactly its promise on its worst pair is refuted in at most one run of many."""
    settings = mutants.small_settings("add-remove", 0.0, m=1)
    pairs = worst_pairs("add-remove", m=1)
    reports = [audit(kde_mechanism(settings), pairs, runs=2000, confidence=0.9) for _ in range(30)]
    assert sum(report.violated for report in reports) <= 3


def test_audits_without_a_centre_estimate_it():
    from dataclasses import replace

    mutant = replace(mutants.half_noise("add-remove", 0.0), centre=None)
    assert audit(mutant, worst_pairs("add-remove"), runs=60_000).violated


def test_an_audit_needs_pairs_and_runs():
    mechanism = kde_mechanism(mutants.small_settings("add-remove", 0.0))
    with pytest.raises(dpkit.ArgumentError, match="at least one pair"):
        audit(mechanism, [])
    with pytest.raises(dpkit.ArgumentError, match="100 runs"):
        audit(mechanism, worst_pairs("add-remove"), runs=10)
