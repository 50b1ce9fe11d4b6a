"""MaxSum and SumSelect on one counter a column, rational or binary tree: privacy, bounds, choice, states."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import dpkit
from dpkit.audit import audit_stream, fixed, shipped, trace_maxsum, trace_sumselect
from dpkit.continual import plans
from dpkit.continual.plans import _laplace_tail, counters_design
from dpkit.continual.settings import GAUSSIAN, LAPLACE, Budget
from dpkit.continual.tree import TreeDesign
from dpkit.noise import UnsafeSeededNoise
from tests.dpkit.continual.twins import ChosenNoise, noise_matrix

KINDS = [dpkit.MaxSum, dpkit.SumSelect]
CASES = [
    (kind, budget, neighbours, sparsity)
    for kind in KINDS
    for budget in ({"rho": 0.5}, {"epsilon": 1.0})
    for neighbours in ("zero-out", "replace")
    for sparsity in (None, 1)
]


class Silent:
    """A source without noise."""

    def discrete_gaussian(self, scale, size):
        return np.zeros(size, dtype=np.int64)

    discrete_laplace = discrete_gaussian


def node_changes(stream, rows, others):
    """Return by how much each node of each column differs, (nodes, d), read off the banks' own answers."""
    found = []
    for some in (rows, others):
        stream._open(Silent())
        found.append(stream._bank.steps(stream._bits(np.array(some), 2) * stream._one))
    matrix = noise_matrix(lambda q: _engine(stream, q), len(rows))
    moved = np.linalg.solve(matrix, found[1] - found[0])
    assert np.abs(moved - np.rint(moved)).max() < 1e-9
    return np.rint(moved).astype(int)


def _engine(stream, queue):
    engine = stream._design.start(UnsafeSeededNoise(0))
    engine._queue = queue
    return engine


def cost(moved, leads, square):
    """Return what a change of nodes costs; leads know a node of all columns up to a common integer."""
    power = np.square if square else np.abs
    if not leads:
        return int(power(moved).sum())
    reach = range(-int(np.abs(moved).max()) - 1, int(np.abs(moved).max()) + 2)
    return int(sum(min(int(power(node + w).sum()) for w in reach) for node in moved))


@pytest.mark.parametrize(("kind", "budget", "neighbours", "sparsity"), CASES)
def test_brute_force_sensitivity_of_trees(kind, budget, neighbours, sparsity):
    """All streams of three rows on two columns, all neighbours: what the noise pays for, to the last unit."""
    d, horizon, worst = 2, 3, 0
    made = {"horizon": horizon, **budget, "neighbours": neighbours, "sparsity": sparsity}
    stream = kind(d, mechanism="counters", counter="binary", **made)
    design, square = stream._design, "rho" in budget
    paid = 2 * Fraction(0.5) * design.scale if square else design.scale
    symbols = list(itertools.product((0, 1), repeat=d))
    for rows in itertools.product(symbols, repeat=horizon):
        for t, other in itertools.product(range(horizon), symbols if neighbours == "replace" else [(0, 0)]):
            changed = [other if i == t else row for i, row in enumerate(rows)]
            moved = node_changes(stream, rows, changed)
            worst = max(worst, cost(moved, kind is dpkit.SumSelect, square))
    assert worst <= paid
    if kind is dpkit.MaxSum:  # exactly what is charged; a selection may be charged for a little more
        assert worst == pytest.approx(float(paid), rel=1e-8)
    else:
        assert worst >= 0.24 * float(paid)


def test_halves_are_the_cheaper_way_only_where_they_should_be():
    rho, eps = Budget(GAUSSIAN, Fraction(1, 2)), Budget(LAPLACE, Fraction(1))
    for d, sparsity, budget, leads in (
        (6, 6, rho, True), (6, 2, rho, True), (8, 2, rho, False), (6, 6, eps, True), (6, 3, eps, False),
    ):  # fmt: skip
        for counter in ("blt", "binary") if budget is rho else ("binary",):
            columns = counters_design(True, counter, d, 100, budget, "zero-out", sparsity)
            assert columns.leads is leads
            assert columns.design.sensitivity * (2 if leads else 1) == columns.one
            assert not counters_design(False, counter, d, 100, budget, "zero-out", sparsity).leads
            assert not counters_design(True, counter, d, 100, budget, "replace", sparsity).leads


@pytest.mark.parametrize("budget", [{"rho": 0.5}, {"epsilon": 1.0}])
def test_what_is_added_to_all_columns_leaves_no_trace(budget):
    """One half less in every column of a row changes no answer of the selection, exactly."""
    rows = np.random.default_rng(5).integers(0, 2, (200, 5))
    stream = dpkit.SumSelect(5, horizon=200, mechanism="counters", counter="binary", **budget)
    found = []
    for shift in (0, 1):
        stream._open(UnsafeSeededNoise(3))
        units = rows * stream._one
        units[7] -= shift
        found.append(stream._bank.steps(units))
    assert stream._one == 2
    assert np.array_equal(*found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [{"rho": 0.5}, {"epsilon": 1.0}])
def test_rows_one_by_one_in_bulk_and_resumed(kind, budget):
    """Equal noise, equal answers: step by step, in bulk, and over a state; with huge budgets the truth."""
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 2, (90, 4))
    make = lambda **kw: kind(4, horizon=90, mechanism="counters", counter="binary", **kw)
    one, bulk = make(**budget), make(**budget)
    one._open(UnsafeSeededNoise(1))
    bulk._open(UnsafeSeededNoise(1))
    singly = [one.step(row).value for row in rows[:64]]
    assert singly == bulk.steps(rows[:64]).tolist()
    assert kind is dpkit.SumSelect or all(float(v).is_integer() for v in singly)
    sure = make(**dict.fromkeys(budget, 1000000.0))
    first = sure.steps(rows[:37])
    again = kind.from_state(sure.state())
    got = np.concatenate([first, again.steps(rows[37:])]).astype(int)
    sums = rows.cumsum(0)
    want = sums.max(1)
    np.testing.assert_array_equal(got if kind is dpkit.MaxSum else sums[np.arange(90), got], want)
    with pytest.raises(dpkit.HorizonError):
        again.step(rows[0])


def test_a_state_knows_its_counter():
    stream = dpkit.MaxSum(3, horizon=20, rho=0.5, mechanism="counters", counter="binary")
    stream.steps(np.ones((7, 3)))
    data = stream.state()
    assert dpkit.MaxSum.from_state(data).plan.counter == "binary"
    with pytest.raises(dpkit.BudgetSpentError):
        dpkit.MaxSum.from_state(data)
    assert b"binary" in data


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_show_every_way_and_the_choice_is_the_least(kind):
    for options in ({"rho": 0.5}, {"rho": 0.5, "neighbours": "replace"}):
        for d in (2, 8, 300):
            found = kind.predict(d, horizon=5000, **options)
            assert {p.counter for p in found} == {None, "blt", "binary"}
            assert [p.bound for p in found] == sorted(p.bound for p in found)
            stream = kind(d, horizon=5000, **options)
            assert stream.plan == found[0]
            assert f"counter={found[0].counter!r}" in repr(stream)
    named = kind(2, horizon=50, rho=0.5, mechanism="counters", counter="binary")
    assert (named.mechanism, named.plan.counter) == ("counters", "binary")
    pure = kind.predict(2, horizon=1 << 26, epsilon=1.0)
    assert [p.counter for p in pure] == ["binary", None]
    assert kind(2, horizon=1 << 26, epsilon=1.0).guarantee == dpkit.PureDP(1.0, "zero-out")
    for wrong, message in (
        ({"counter": "tree"}, "counter must be"),
        ({"counter": "binary", "mechanism": "blocks"}, "needs mechanism"),
    ):
        with pytest.raises(dpkit.ArgumentError, match=message):
            kind(3, horizon=9, rho=1, **wrong)
    with pytest.raises(dpkit.ArgumentError, match="counter='blt' needs rho"):
        kind(3, horizon=9, epsilon=1, counter="blt")


def test_standard_deviations_and_bounds_of_trees():
    """L levels, d columns: node variance d L/(2 rho), or scale d L/epsilon; std is that of a prefix."""
    stream = dpkit.MaxSum(5, horizon=100, rho=0.5, mechanism="counters", counter="binary")
    assert stream.std(64) == pytest.approx(math.sqrt(5 * 7), rel=1e-6)
    assert stream.step(np.ones(5)).std == stream.std(1)
    worst = math.sqrt(5 * 7 * 6)  # step 63 adds six nodes
    assert stream.plan.bound == pytest.approx(worst * math.sqrt(2 * math.log(2 * 5 * 100 * 3)), rel=1e-6)
    pure = dpkit.MaxSum(5, horizon=100, epsilon=2.0, mechanism="counters", counter="binary")
    assert pure.std(64) == pytest.approx(math.sqrt(2) * 5 * 7 / 2, rel=1e-6)
    select = dpkit.SumSelect(5, horizon=100, rho=0.5, mechanism="counters", counter="binary")
    assert select.plan.bound == pytest.approx(stream.plan.bound, rel=1e-6)  # twice the error, half the noise


def test_tail_of_laplace_sums():
    """The bound holds for the exact law of eight draws, and is not far above it."""
    scale, terms = 2.0, 8
    z = np.arange(-200, 201)
    one = np.exp(-np.abs(z) / scale)
    law = one / one.sum()
    for _ in range(3):  # 2, 4, 8 draws
        law = np.convolve(law, law)
    reach = np.abs(np.arange(law.size) - law.size // 2)
    for log_odds in (2.0, 5.0, 12.0):
        u = _laplace_tail(scale, terms, log_odds)
        promised = 2 * math.exp(-log_odds)
        assert promised / 60 < law[reach >= u].sum() <= promised


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [{"rho": 0.5}, {"epsilon": 2.0, "neighbours": "replace"}])
def test_bounds_of_trees_hold(kind, budget):
    horizon, d, failures = 300, 4, 0
    rng = np.random.default_rng(2)
    for _ in range(15):
        stream = kind(d, horizon=horizon, mechanism="counters", counter="binary", beta=0.1, **budget)
        rows = (rng.random((horizon, d)) < rng.random(d)).astype(int)
        sums, got = rows.cumsum(0), stream.steps(rows)
        if kind is dpkit.MaxSum:
            error = np.abs(got - sums.max(1))
        else:
            error = sums.max(1) - sums[np.arange(horizon), got.astype(int)]
        failures += error.max() > stream.plan.bound
    assert failures <= 6


def tree(kind, *args, **settings):
    return shipped(kind, *args, horizon=8, mechanism="counters", counter="binary", **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_trees_of_columns_are_not_flagged(kind):
    report = audit_stream(tree(kind, 2, rho=0.5), steps=4, runs=400, confidence=1 - 1e-7)
    assert not report.violated, report
    assert report.refusals


class OneLevel(TreeDesign):
    """Planted bug: noise for one node, though a row lies in one on every level."""

    @property
    def scale(self):
        return self.budget.scale(self.sensitivity**2)


@pytest.mark.parametrize("broken", [False, True])
def test_levels_that_are_not_paid_for_are_caught(broken, monkeypatch):
    design = OneLevel if broken else TreeDesign
    monkeypatch.setattr(plans, "TreeDesign", design)
    row = np.eye(8)[:, :1]
    players = [fixed(row, 0 * row), fixed(row[::-1], 0 * row)]
    report = audit_stream(tree(dpkit.MaxSum, 1, rho=0.5), players, runs=4000, confidence=1 - 1e-7)
    assert report.violated == broken, report


def test_nobody_is_traced_through_trees_of_columns():
    options = {"rho": 0.5, "mechanism": "counters", "counter": "binary"}
    most = trace_maxsum(lambda d, T: dpkit.MaxSum(d, horizon=T, **options), n=8, d=16, trials=40, seed=1)
    pick = trace_sumselect(
        lambda d, T: dpkit.SumSelect(d, horizon=T, **options), n=6, blocks=8, width=4, trials=40, seed=2
    )
    for report in (most, pick):
        assert 0.4 <= report.auc <= 0.6
        assert report.standard_error < 0.04


@pytest.mark.slow
def test_nobody_is_traced_through_many_trees():
    options = {"rho": 0.5, "mechanism": "counters", "counter": "binary"}
    report = trace_maxsum(lambda d, T: dpkit.MaxSum(d, horizon=T, **options), d=128, trials=20)
    assert 0.4 <= report.auc <= 0.6


def test_noise_comes_when_a_node_is_complete():
    """Adaptive streams: at step t the node that ends there is drawn, and no other."""
    stream = dpkit.MaxSum(1, horizon=64, rho=0.5, mechanism="counters", counter="binary")
    queue = ChosenNoise(range(1, 65))
    engine = _engine(stream, queue)
    for t in range(1, 65):
        engine.step(0)
        assert queue.taken == t
