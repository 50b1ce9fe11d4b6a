"""Radial noise on kernel sums and moments: what a record costs, group by group, and planted bugs."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.audit import Mechanism, audit, kde_mechanism, neighbour_pairs, tight_records
from dpkit.audit.kde import exact_vector
from dpkit.errors import ArgumentError, FormatError
from dpkit.noise import MAX_SCALE, OSNoise, UnsafeSeededNoise, sqrt_up
from dpkit.similarity.calibration import Calibration, calibrate
from dpkit.similarity.exponentials import ExponentialsMap
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.moments import Ball, MomentMap
from dpkit.similarity.plan import Budget, NoisePlan
from dpkit.similarity.radial import (
    GROUP,
    draw_pairs,
    draw_vector,
    group_sizes,
    grouped_change,
    pair_noise,
    pair_variance,
    shared_change,
)
from dpkit.similarity.settings import KDESettings

RELATIONS = ("add-remove", "replace")


def loss(plan, change, pairs):
    """Privacy loss of a change of (2, m) sums and the count: sum of group norms / b, and |count| / b_n."""
    sums = change[:-1].reshape(2, pairs)
    total, start = Fraction(0), 0
    for size in group_sizes(pairs, plan.group // 2):
        square = sum(int(c) ** 2 for c in sums[:, start : start + size].reshape(-1))
        total += sqrt_up(square, 90) / plan.sums if square else 0
        start += size
    return total + (abs(int(change[-1])) / plan.count if plan.count is not None else 0)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 300))
def test_groups_cover_everything_evenly(count, most):
    sizes = group_sizes(count, most)
    assert sum(sizes) == count
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == -(-count // most)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**21), 2**21), min_size=1, max_size=40), st.integers(1, 8))
def test_the_sum_of_group_norms_is_bounded(values, group):
    """What Cauchy and Schwarz promise, on integers: sum |v_g| <= shared_change(|v|^2)."""
    square, start, norms = sum(v * v for v in values), 0, Fraction(0)
    for size in group_sizes(len(values), group):
        part = sum(v * v for v in values[start : start + size])
        norms += Fraction(math.isqrt(part << 120), 1 << 60)  # rounded down
        start += size
    if square:
        assert norms <= shared_change(len(values), square, group)


@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("m", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_records_on_rounded_integers_keep_the_budget(kernel, m, neighbours):
    features = FourierMap(kernel, 1.0, 3, m)
    plan = KDESettings.of(features, 0.7, 0.0, neighbours).calibration
    assert plan.mechanism == "discrete-radial"
    losses = [
        loss(plan, exact_vector(features, a) - exact_vector(features, b), m)
        for _, a, b in neighbour_pairs(features, neighbours)
    ]
    assert max(losses) <= Fraction(0.7)
    if neighbours == "add-remove":
        assert max(losses) > Fraction(0.7) * Fraction(9999, 10000)  # every record has nearly norm one


def test_opposite_records_use_the_budget_up_under_replace():
    features = FourierMap("gaussian", 1.0, 4, 4)
    plan = KDESettings.of(features, 0.7, 0.0, "replace").calibration
    rows = tight_records(features)
    change = exact_vector(features, rows[:1]) - exact_vector(features, rows[2:3])
    assert Fraction(0.7) * Fraction(999, 1000) < loss(plan, change, 4) <= Fraction(0.7)


def test_scales_by_hand():
    """300 pairs are three groups of 100: 3 sqrt(100) 2^20 / (0.98 epsilon), and twice that, exactly."""
    for neighbours, factor, share in (("add-remove", 1, Fraction(49, 50)), ("replace", 2, Fraction(1))):
        plan = KDESettings.of(FourierMap("gaussian", 1.0, 3, 300), 1.0, 0.0, neighbours).calibration
        exact = 30 * 2**20 * factor / share
        assert exact <= plan.sums <= exact * (1 + Fraction(1, 2**28))
        assert plan.group == GROUP == 256
        assert plan.count == (None if neighbours == "replace" else 50)
    assert grouped_change(129, 4) == sqrt_up(65 * 4) + sqrt_up(64 * 4)
    assert KDESettings.of(ExponentialsMap("cauchy", 1.0, 2, 300), 1.0, 0.0, "replace").calibration == plan


def test_noise_is_placed_pair_by_pair():
    """A group's vector covers the cosines and the sines of the same pairs: squares vary together there."""
    drawn = draw_pairs(UnsafeSeededNoise(1), Fraction(2**20), 5, 4, 20_000)  # groups of 2, 2 and 1 pairs
    assert drawn.shape == (20_000, 2, 5)
    ranks = np.abs(drawn).reshape(20_000, 10).argsort(axis=0).argsort(axis=0).astype(float)
    together = np.corrcoef(ranks.T) > 0.05
    groups = np.tile([0, 0, 1, 1, 2], 2)
    np.testing.assert_array_equal(together, groups[:, None] == groups[None, :])
    sizes = np.array([2, 2, 2, 2, 1])
    spread = (drawn.astype(float) ** 2).mean(axis=(0, 1)) / 4**20
    np.testing.assert_allclose(spread, 2 * sizes + 1, rtol=0.08)
    assert math.isclose(pair_variance(Fraction(1), 5, 4), (2 * sizes + 1).mean())
    assert draw_vector(UnsafeSeededNoise(1), Fraction(5), 7, 3).shape == (7,)


def test_predicted_noise_is_close_to_the_best_radial_law():
    for m in (1, 16, 128, 1280, 4000, 12_288):
        assert 1 <= pair_noise(m) / math.sqrt(2 * m + 1) < 1.006
        assert m < 8 or pair_noise(m) < 0.75 * 2 * math.sqrt(m)  # of independent Laplace noise


def test_noise_beyond_the_range_is_refused():
    with pytest.raises(ArgumentError, match="beyond the sampler"):
        calibrate(1, 4 * 4**40, 2.0**-9, 0.0, "replace", pairs=4)
    with pytest.raises(ArgumentError, match="beyond the sampler"):
        NoisePlan.of(Budget.of(1.0, 0.0, "replace"), [(Fraction(MAX_SCALE >> 4), 400)], 256)


# ---- moments --------------------------------------------------------------------------------------


def test_moments_in_several_groups():
    """Above 256 coordinates the sum of group norms is bounded through the whole norm."""
    d = 600
    shape = MomentMap(Ball((0.0,) * d, 1.0, None, True), 12)
    plan = shape.calibrate(Budget.of(1.0, 0.0, "replace"))
    assert group_sizes(d, plan.group) == [200, 200, 200]
    assert plan.runs[0][0] >= 2 * math.sqrt(3) * 2**12
    for row in (np.ones(d), np.eye(d)[0], np.repeat([1.0, 0.0], d // 2)):
        sums = shape.blank()
        shape.add(sums, np.array([row]))
        v = [int(x) for x in sums.view(np.int64)[:d]]
        norms = sum(sqrt_up(max(1, sum(x * x for x in v[s : s + 200])), 90) for s in (0, 200, 400))
        assert 2 * norms / plan.runs[0][0] <= 1
    np.testing.assert_allclose(plan.variances()[:d], 201 * float(plan.runs[0][0]) ** 2)


def test_moment_noise_is_below_that_of_independent_laplace():
    """At |y| = B, by the old formula: sqrt(2) (sqrt(d) + 2) / eps, less after sharing the budget."""
    X = np.zeros((5, 64))
    pure = dpkit.DistanceSum(X, metric="sqeuclidean", radius=1.0, epsilon=1.0)
    shares = [(4 * 2 * 64) ** (1 / 3), 2 ** (1 / 3), 2 ** (1 / 3)]
    independent = sum(shares) ** 1.5
    assert pure.noise_std() < 0.8 * independent


def test_sealed_plans_keep_their_group():
    plan = MomentMap(Ball((0.0,) * 300, 1.0), 8).calibrate(Budget.of(1.0, 0.0, "add-remove"))
    public = plan.to_public()
    assert (public["mechanism"], public["group"]) == ("discrete-radial", 256)
    assert NoisePlan.from_public(public) == plan
    for bad in (0, -1, 2000, 1.5, True, None):
        with pytest.raises(ValueError, match="group"):
            NoisePlan.from_public({**public, "group": bad})
    with pytest.raises(KeyError):
        NoisePlan.from_public({k: v for k, v in public.items() if k != "group"})


def test_files_keep_mechanism_and_group():
    kde = dpkit.KDE(np.zeros((4, 2)), features=200, epsilon=1.0)
    public = kde.public
    assert (public["mechanism"], public["group"]) == ("discrete-radial", 256)
    assert KDESettings.from_public(public).calibration == kde._settings.calibration
    for bad in (1, 0, "256", 4096):
        with pytest.raises(FormatError):
            KDESettings.from_public({**public, "group": bad})
    with pytest.raises(FormatError, match="disagree"):
        KDESettings.from_public({k: v for k, v in public.items() if k != "group"})
    # independent Laplace noise, as earlier releases have it, is read as what it is
    old = {k: v for k, v in public.items() if k != "group"}
    old["mechanism"] = "discrete-laplace"
    assert (
        KDESettings.from_public(old).calibration.sums_variance(200)
        == 2 * float(Fraction(old["scale_sums"])) ** 2
    )
    approximate = dpkit.KDE(np.zeros((4, 2)), features=20, epsilon=1.0, delta=1e-6)
    with pytest.raises(FormatError, match="disagree"):
        KDESettings.from_public({**approximate.public, "mechanism": "discrete-radial", "group": 256})


# ---- the game, and planted bugs -------------------------------------------------------------------


def small(neighbours="add-remove"):
    return KDESettings.of(FourierMap("gaussian", 1.0, 2, 2), 1.0, 0.0, neighbours)


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_the_mechanism_keeps_its_promise(neighbours):
    settings_ = small(neighbours)
    pairs = neighbour_pairs(settings_.features, neighbours)[-2:]
    assert not audit(kde_mechanism(settings_), pairs, runs=20_000).violated


def opposite(settings_):
    rows = tight_records(settings_.features)
    return [("opposite", rows[:1], rows[2:3])]


@pytest.mark.parametrize("bug", ["half scale", "l2 of one pair", "replace factor forgotten"])
def test_planted_scales_are_caught(bug):
    settings_ = small("replace")
    plan = settings_.calibration
    factor = {
        "half scale": Fraction(1, 2),
        "l2 of one pair": Fraction(1, 1) / sqrt_up(2),  # one group of the two forgotten
        "replace factor forgotten": Fraction(1, 2),
    }[bug]
    wrong = dataclasses.replace(settings_, calibration=dataclasses.replace(plan, sums=plan.sums * factor))
    change = exact_vector(settings_.features, opposite(settings_)[0][1])
    change = change - exact_vector(settings_.features, opposite(settings_)[0][2])
    assert loss(wrong.calibration, change, 2) > 1
    if bug == "half scale":
        assert audit(kde_mechanism(wrong), opposite(settings_), runs=60_000).violated


def test_one_group_of_several_forgotten_is_refuted_by_the_exact_loss():
    features = FourierMap("gaussian", 1.0, 3, 300)
    plan = KDESettings.of(features, 1.0, 0.0, "add-remove").calibration
    forgotten = dataclasses.replace(plan, sums=plan.sums * Fraction(2, 3))
    change = exact_vector(features, np.zeros((1, 3)))
    assert loss(plan, change, 300) <= 1 < loss(forgotten, change, 300)


def test_laplace_noise_of_the_radial_scale_is_caught():
    """Independent Laplace noise pays for the l1 norm, twice the l2 norm of four equal coordinates."""
    settings_ = small("replace")
    plan = settings_.calibration
    wrong = dataclasses.replace(settings_, calibration=Calibration("discrete-laplace", plan.sums, None))
    assert audit(kde_mechanism(wrong), opposite(settings_), runs=60_000).violated


def test_noise_in_a_ball_of_fixed_radius_is_caught():
    """Uniform in a ball, its radius not drawn afresh: some outputs are impossible for the neighbour."""
    settings_ = small("replace")
    rng = np.random.default_rng(0)

    def centre(rows):
        return exact_vector(settings_.features, rows)

    def run(rows, runs):
        direction = rng.normal(size=(runs, 4))
        direction *= (rng.random(runs) ** 0.25 / np.sqrt((direction**2).sum(axis=1)))[:, None]
        noise = np.rint(direction * 4 * float(settings_.calibration.sums)).astype(np.int64)
        return centre(rows) + np.append(noise, np.zeros((runs, 1), np.int64), axis=1)

    wrong = Mechanism("fixed ball", settings_.guarantee, run, centre)
    assert audit(wrong, opposite(settings_), runs=60_000).violated


@pytest.mark.parametrize("v", [(3, 0), (2, 2), (-1, 3)])
def test_likelihood_ratios_of_the_released_law(v):
    """P(z in S) <= exp(|v| / b) P(z + v in S), on half planes and rings, within counting error."""
    n, b = 200_000, Fraction(2)
    z = OSNoise().discrete_radial(b, 2, n)
    moved = OSNoise().discrete_radial(b, 2, n) + np.array(v)
    bound = math.exp(math.hypot(*v) / float(b))
    along = np.array(v) / math.hypot(*v)
    for cut in (-4, -1, 0, 1, 3):
        first, second = (moved @ along > cut).sum(), (z @ along > cut).sum()
        assert first <= bound * second + 6 * math.sqrt(first + bound**2 * second + 1)
    far = (moved @ along > 8).sum() / max(1, (z @ along > 8).sum())
    assert far > 0.6 * bound  # and the bound is nearly reached where it should be
