"""Sums of distances: what one record changes, on the integers that are summed, and what noise pays for."""

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.audit import Mechanism, audit, find_leaks
from dpkit.noise import OSNoise, UnsafeSeededNoise, sqrt_up
from dpkit.similarity.centred import CentredHatMap
from dpkit.similarity.embedding import EmbeddingMap
from dpkit.similarity.hat import HatMap
from dpkit.similarity.moments import Ball, MomentMap, ball_integers
from dpkit.similarity.plan import Budget, NoisePlan
from dpkit.similarity.powers import PowerMap
from dpkit.similarity.radial import group_sizes
from dpkit.similarity.trees import TreeMap

RELATIONS = ("add-remove", "replace")
DELTAS = (0.0, 1e-6)


def maps(d=2):
    """Small maps of every kind, on coarse grids where rounding matters."""
    low, high = (0.0, -1.0)[:d], (1.0, 2.0)[:d]
    return {
        "hat": HatMap(low, high, 3, 6),
        "hat, deep": HatMap(low, high, 6, 6),
        "centred": CentredHatMap(low, high, 3, 6),
        "centred, deep": CentredHatMap(low, high, 6, 6),
        "power 0.5": PowerMap(low, high, 4, 0.5, 8),
        "power 1.5": PowerMap(low, high, 4, 1.5, 8),
        "power 3": PowerMap(low, high, 4, 3.0, 8),
        "tree": TreeMap(low, high, 4, False, 0.3, 6),
        "two-tree": TreeMap(low, high, 4, True, 0.3, 6),
        "moments": MomentMap(Ball((0.5,) * d, 2.0), 4),
        "moments in a box": MomentMap(Ball((0.5,) * d, math.sqrt(d) / 2, ((0.0,) * d, (1.0,) * d)), 4),
        "moments, sphere": MomentMap(Ball((0.0,) * d, 1.0, None, True), 4),
        "projections": EmbeddingMap(Ball((0.5,) * d, 2.0), 3, 3, 1, 6),
        "projections, centred": EmbeddingMap(Ball((0.5,) * d, 2.0), 3, 3, 1, 6, True),
    }


def contribution(shape, record):
    sums = shape.blank()
    shape.add(sums, np.array([record]))
    return shape.vector(sums).view(np.int64)


def loss(plan, change, pure, spare=0):
    """The privacy loss of a change: sum |c|/b, norms |c_g|/b, or sum c^2/(2 v), over what the plan covers.

    Gaussian noise by the curve: variances less what they have to spare.
    """
    total, start = Fraction(0), 0
    for scale, length in plan.runs:
        part = [int(c) for c in change[start : start + length]]
        if plan.mechanism == "discrete-radial" and start == 0:
            for size in group_sizes(length, plan.group):
                square = sum(c * c for c in part[start : start + size])
                total += sqrt_up(square, 90) / scale if square else 0
                start += size
            continue
        size = sum(map(abs, part)) if pure else Fraction(sum(c * c for c in part), 2)
        total += Fraction(size) / (scale - spare)
        start += length
    return total


def records(d=2):
    """Corners, odd values and every place of a grid along some lines."""
    odd = [0.0, 1.0, 0.5, 1 / 3, -5.0, 7.0, np.nan, np.inf, -np.inf, 1e300, -1e-320, 2.0, -1.0]
    rng = np.random.default_rng(0)
    found = list(itertools.product(odd, repeat=d))
    found += [tuple(np.full(d, t)) for t in np.linspace(-1.2, 2.2, 60)]
    found += [tuple(row) for row in rng.uniform(-1.5, 2.5, size=(40, d))]
    return found


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("name", maps())
def test_one_record_never_costs_more_than_the_budget(name, delta):
    shape = maps()[name]
    budget = Budget.of(0.7, delta, "add-remove")
    plan = shape.calibrate(budget)
    assert plan.size == shape.size
    losses = [loss(plan, contribution(shape, x), budget.pure, budget.spare) for x in records()]
    assert max(losses) <= budget.amount
    assert max(losses) > budget.amount * Fraction(6, 10)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("name", maps())
def test_replacing_a_record_never_costs_more_than_the_budget(name, delta):
    shape = maps()[name]
    budget = Budget.of(0.7, delta, "replace")
    plan = shape.calibrate(budget)
    rng = np.random.default_rng(1)
    rows = records()
    vectors = [contribution(shape, x) for x in rows]
    pairs = [tuple(rng.integers(len(rows), size=2)) for _ in range(500)]
    far = np.argsort([float(np.abs(v[: plan.size]).sum()) for v in vectors])
    pairs += list(itertools.product(far[-12:], far[-12:])) + list(itertools.product(far[:6], far[-6:]))
    corners = [i for i, row in enumerate(rows) if set(row) <= {0.0, 1.0, 2.0, -1.0, np.inf, -np.inf}]
    pairs += list(itertools.product(corners, corners))
    losses = [loss(plan, vectors[a] - vectors[b], budget.pure, budget.spare) for a, b in pairs]
    assert max(losses) <= budget.amount
    assert max(losses) > budget.amount * Fraction(3, 10)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("depth", "bits"), [(1, 1), (3, 3), (3, 7), (5, 8)])
@pytest.mark.parametrize("kind", [HatMap, CentredHatMap])
def test_the_hat_basis_over_every_record_and_every_pair(kind, relation, delta, depth, bits):
    """One coordinate, all 2^P + 1 grid places, all pairs: the budget is kept, and nearly used up."""
    shape = kind((0.0,), (1.0,), depth, bits)
    budget = Budget.of(1.0, delta, relation)
    plan = shape.calibrate(budget)
    vectors = [contribution(shape, [x / 2**bits]) for x in range(2**bits + 1)]
    if relation == "add-remove":
        losses = [loss(plan, v, budget.pure, budget.spare) for v in vectors]
    else:
        rates = np.repeat([1 / float(s - budget.spare) for s, _ in plan.runs], [n for _, n in plan.runs])
        table = np.array(vectors, dtype=float)[:, : len(rates)]
        gaps = table[:, None, :] - table[None, :, :]
        found = (np.abs(gaps) if budget.pure else gaps**2 / 2) @ rates
        a, b = np.unravel_index(found.argmax(), found.shape)
        losses = [loss(plan, vectors[a] - vectors[b], budget.pure, budget.spare)]
    assert max(losses) <= budget.amount
    tight = Fraction(95, 100) if relation == "replace" and budget.pure else Fraction(99999, 100000)
    assert max(losses) >= budget.amount * tight


@given(st.lists(st.floats(-0.2, 1.2), max_size=20), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_centred_coefficients_are_those_of_the_hat_basis(values, depth):
    plain, centred = (kind((0.0, -1.0), (1.0, 2.0), depth, 10) for kind in (HatMap, CentredHatMap))
    records = np.stack([values, values[::-1]], axis=1) if values else np.empty((0, 2))
    sums = plain.blank()
    plain.add(sums, records)
    ends, ours = plain.vector(sums).view(np.int64), centred.vector(sums).view(np.int64)
    assert ours.size == centred.size
    assert ours[:2].tolist() == [ends[0] - ends[1], ends[2] - ends[3]]
    assert ours[2:-1].tolist() == ends[4:].tolist()
    assert ours[-1] == len(records)


@given(st.integers(0, 2**9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_identity_behind_the_gaussian_weights(x, depth):
    """x^2 + (N-x)^2 + sum_l 2^(l+1) c_l^2 <= N^2, with equality at full depth up to the last level's term."""
    shape = HatMap((0.0,), (1.0,), depth, 9)
    vector = [int(v) for v in contribution(shape, [x / 512])]
    total = vector[0] ** 2 + vector[1] ** 2
    for level in range(depth):
        part = vector[1 + (1 << level) : 1 + (2 << level)]
        total += (2 << level) * sum(c * c for c in part)
    assert total <= 512**2
    if depth == 9:
        assert total == 512**2


@given(st.lists(st.floats(-0.2, 1.2), min_size=1, max_size=30), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_hat_coefficients_equal_their_definition(values, depth):
    shape = HatMap((0.0,), (1.0,), depth, 10)
    sums = shape.blank()
    shape.add(sums, np.array(values)[:, None])
    places = [int(x) for x in np.clip(np.rint(np.clip(values, 0, 1) * np.float64(1024)), 0, 1024)]
    wanted = [sum(places), sum(1024 - x for x in places)]
    for level in range(depth):
        width = 1024 >> level
        for k in range(1 << level):
            inside = [x for x in places if min(x // width, 2**level - 1) == k]
            wanted.append(-sum(min(x - k * width, (k + 1) * width - x) for x in inside))
    assert shape.vector(sums).view(np.int64).tolist() == wanted


@pytest.mark.parametrize("power", [0.5, 1.5, 2.5, 3.0])
def test_power_coefficients_equal_their_definition(power):
    shape = PowerMap((0.0,), (2.0,), 3, power, 12)
    rng = np.random.default_rng(2)
    X = rng.uniform(-0.2, 2.2, size=(50, 1))
    sums = shape.blank()
    shape.add(sums, X)
    places = np.rint(np.clip(X[:, 0] / 2, 0, 1) * 8).astype(int)

    def phi(t):
        return abs(t / 8) ** power

    wanted = [
        sum(math.trunc(4096 * phi(x)) for x in places),
        sum(math.trunc(4096 * phi(8 - x)) for x in places),
    ]
    for level in range(3):
        half = 4 >> level
        for k in range(1 << level):
            m = (2 * k + 1) * half
            bends = [phi(m - x) - (phi(m - half - x) + phi(m + half - x)) / 2 for x in places]
            wanted.append(sum(math.trunc(4096 * b) for b in bends))
    wanted.append(50)
    assert shape.vector(sums).view(np.int64).tolist() == wanted
    squares = shape.profile(squared=True)
    for x in range(9):
        one = contribution(shape, [x / 4])
        assert one[0] ** 2 + one[1] ** 2 == squares[0][x]
        assert (one[2:3] ** 2).sum() == squares[1][x]
        assert (one[5:9] ** 2).sum() == squares[3][x]


def test_projections_equal_integer_arithmetic_whatever_the_batch():
    shape = EmbeddingMap(Ball((0.5, 0.0, -1.0), 2.0), 7, 4, 3)
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 3)) * 2
    v = ball_integers(X, shape.ball, 20)
    whole = [[sum(int(a) * int(b) for a, b in zip(row, w, strict=True)) for w in shape.words] for row in v]
    assert max(abs(t) for row in whole for t in row) < 2**53
    sums = shape.blank()
    for row in X:
        shape.add(sums, row[None, :])
    batch = shape.blank()
    shape.add(batch, X)
    assert (sums == batch).all()
    places = np.array(whole) / 2.0**52 / shape.reach
    expected = np.clip(np.rint((places + 1) * 2**19), 0, 2**20).astype(int)
    assert batch[1].sum(axis=1).tolist() == expected.sum(axis=0).tolist()


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=5), st.booleans())
@settings(max_examples=150, deadline=None)
def test_records_enter_the_ball_as_integers(row, normalize):
    ball = Ball((0.25,) * len(row), 3.0, None, normalize)
    for bits in (0, 3, 20):
        v = ball_integers(np.array([row, row]), ball, bits)
        assert (v[0] == v[1]).all()
        assert sum(int(c) ** 2 for c in v[0]) <= 4**bits


# ---- the game, and planted bugs -------------------------------------------------------------------


def mechanism(shape, budget, plan, name="DistanceSum", noise=None):
    def exact(rows):
        sums = shape.blank()
        shape.add(sums, rows)
        return shape.vector(sums)[: plan.size]

    def run(rows, runs):
        vector = np.tile(exact(rows), runs)
        if noise is not None:
            return noise(exact(rows).view(np.int64), runs)
        order = np.argsort(
            np.tile(np.repeat(np.arange(len(plan.runs)), [n for _, n in plan.runs]), runs), kind="stable"
        )
        group = min(plan.group, plan.runs[0][1])
        grouped = NoisePlan(plan.mechanism, tuple((s, n * runs) for s, n in plan.runs), group)
        out = np.empty(len(vector), dtype=np.int64)
        out[order] = grouped.add(vector[order], OSNoise())
        return out.reshape(runs, -1)

    return Mechanism(name, budget.guarantee, run, lambda rows: exact(rows).view(np.int64))


def worst_pair(shape, relation, d=1):
    """Neighbours on which the loss is largest among grid records."""
    budget = Budget.of(1.0, 0.0, relation)
    plan = shape.calibrate(budget)
    places = [np.full((1, d), t) for t in np.linspace(0, 1, 33)]
    if relation == "add-remove":
        best = max(places, key=lambda x: loss(plan, contribution(shape, x[0]), True))
        return [("one more", np.empty((0, d)), best)]
    pairs = itertools.combinations(places, 2)
    a, b = max(
        pairs, key=lambda p: loss(plan, contribution(shape, p[0][0]) - contribution(shape, p[1][0]), True)
    )
    return [("replaced", a, b)]


SMALL = {
    "hat": HatMap((0.0,), (1.0,), 2, 8),
    "centred": CentredHatMap((0.0,), (1.0,), 2, 8),
    "power": PowerMap((0.0,), (1.0,), 2, 1.5, 10),
    "tree": TreeMap((0.0,), (1.0,), 2, False, 0.3, 8),
    "two-tree": TreeMap((0.0,), (1.0,), 1, True, 0.3, 8),
    "moments": MomentMap(Ball((0.0,), 1.0), 8),
    "projections": EmbeddingMap(Ball((0.0,), 1.0), 1, 2, 0, 8),
}


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("name", SMALL)
def test_the_mechanisms_keep_their_promise(name, relation, delta):
    shape, budget = SMALL[name], Budget.of(1.0, delta, relation)
    report = audit(mechanism(shape, budget, shape.calibrate(budget)), worst_pair(shape, relation), runs=6000)
    assert not report.violated, report


def half(plan):
    factor = Fraction(1, 4) if plan.mechanism == "discrete-gaussian" else Fraction(1, 2)
    return dataclasses.replace(plan, runs=tuple((s * factor, n) for s, n in plan.runs))


@pytest.mark.parametrize(
    ("name", "relation", "delta"),
    [(name, "add-remove", 0.0) for name in SMALL]
    + [(name, "replace", 0.0) for name in ("hat", "centred", "power", "tree", "projections")]
    + [(name, "add-remove", 1e-6) for name in ("hat", "power", "moments", "projections")]
    + [("hat", "replace", 1e-6)],
)
def test_half_the_noise_is_caught(name, relation, delta):
    shape, budget = SMALL[name], Budget.of(1.0, delta, relation)
    wrong = mechanism(shape, budget, half(shape.calibrate(budget)), "half noise")
    assert audit(wrong, worst_pair(shape, relation), runs=200_000).violated


@pytest.mark.parametrize("name", ["hat", "tree", "power"])
def test_noise_on_non_empty_cells_only_is_caught(name):
    shape, budget = SMALL[name], Budget.of(1.0, 0.0, "add-remove")
    plan = shape.calibrate(budget)
    honest = mechanism(shape, budget, plan)

    def run(rows, runs):
        exact = honest.centre(rows)
        return np.where(exact == 0, 0, honest.run(rows, runs))

    wrong = Mechanism("noise on non-empty cells", budget.guarantee, run, honest.centre)
    report = audit(wrong, worst_pair(shape, "add-remove"), runs=2000)
    assert report.violated
    assert report.epsilon > 3.0


def test_float_noise_of_scale_over_n_then_floored_is_caught():
    """The published fault: Laplace noise divided by n before it is added, then the floor of the result."""
    shape, budget = SMALL["tree"], Budget.of(1.0, 0.0, "add-remove")
    plan, rng = shape.calibrate(budget), np.random.default_rng(0)
    scale = float(plan.runs[0][0]) / 50_000

    def noise(exact, runs):
        return np.floor(exact + rng.laplace(scale=scale, size=(runs, len(exact)))).astype(np.int64)

    wrong = mechanism(shape, budget, plan, "scale over n", noise)
    assert audit(wrong, worst_pair(shape, "add-remove"), runs=2000).violated


@pytest.mark.parametrize("name", ["hat", "power", "tree"])
def test_the_noise_of_add_remove_does_not_pay_for_replace(name):
    shape = SMALL[name]
    wrong = shape.calibrate(Budget.of(1.0, 0.0, "add-remove"))
    a, b = worst_pair(shape, "replace")[0][1:]
    assert loss(wrong, contribution(shape, a[0]) - contribution(shape, b[0]), True) > 1


def test_a_sensitivity_from_sampled_records_is_caught():
    """Scales that fit records seen in the data, as a fitted sensitivity would, fail on the worst record."""
    shape, budget = HatMap((0.0,), (1.0,), 4, 10), Budget.of(1.0, 0.0, "add-remove")
    plan = shape.calibrate(budget)
    sampled = max(loss(plan, contribution(shape, [x]), True) for x in (0.0, 0.02, 0.95, 1.0))
    fitted = dataclasses.replace(plan, runs=tuple((s * sampled, n) for s, n in plan.runs))
    worst = max(loss(fitted, contribution(shape, [x / 64]), True) for x in range(65))
    assert sampled < budget.amount
    assert worst > budget.amount


def test_rounding_the_sum_is_caught():
    """Float coefficients added up and rounded once: two records can change the sum by more than one does."""
    shape, budget = HatMap((0.0,), (1.0,), 2, 2), Budget.of(1.0, 0.0, "add-remove")
    plan = shape.calibrate(budget)

    def rounded(values):
        x = np.array(values) * 4.0
        ends = [x.sum(), (4 - x).sum()]
        top = -np.minimum(x, 4 - x).sum()
        halves = [-np.minimum(x, 2 - x)[x < 2].sum(), -np.minimum(x - 2, 4 - x)[x >= 2].sum()]
        return np.rint([*ends, top, *halves]).astype(int)

    base = [0.09, 0.34, 0.59]
    changes = [rounded([*base, t]) - rounded(base) for t in np.linspace(0, 1, 101)]
    assert max(loss(plan, c, True) for c in changes) > 1


def test_nothing_exact_survives_a_release():
    X = np.random.default_rng(4).uniform(size=(200, 2))
    for metric, extra in (
        ("l1", {"bounds": (0.0, 1.0)}),
        ("lp", {"bounds": (0.0, 1.0), "p": 1.5}),
        ("l2", {"radius": 2.0}),
        ("sqeuclidean", {"radius": 2.0}),
        ("l1", {"bounds": (0.0, 1.0), "structure": "two-tree"}),
    ):
        builder = dpkit.DistanceSum.builder(d=2, metric=metric, **extra).update(X)
        sums = builder._sums
        exact = builder._settings.map.vector(sums).view(np.int64).copy()
        leaves = sums.copy()
        release = builder.release()
        assert not sums.any()
        files = {"file": release.to_bytes()}
        assert find_leaks(release, {"sums": exact, "leaves": leaves, "records": X}, files) == []
        assert find_leaks(builder, {"sums": exact, "leaves": leaves, "records": X}) == []


def test_every_coordinate_gets_the_drawn_noise():
    X = np.random.default_rng(5).uniform(size=(30, 2))
    for metric, extra in (("l1", {"bounds": (0.0, 1.0)}), ("sqeuclidean", {"radius": 1.0})):
        for relation in RELATIONS:
            builder = dpkit.DistanceSum.builder(d=2, metric=metric, neighbours=relation, **extra).update(X)
            plan, exact = builder._settings.plan, builder._settings.map.vector(builder._sums)
            release = builder.release(unsafe_noise=UnsafeSeededNoise(8))
            noise = plan.add(np.zeros(plan.size, dtype=np.uint64), UnsafeSeededNoise(8))
            assert (release._arrays["vector"] == exact.view(np.int64)[: plan.size] + noise).all()
            assert (noise != 0).mean() > 0.9
            assert "UNSAFE" in repr(release)
