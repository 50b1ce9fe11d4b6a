"""Audits of streams: every planted bug is caught, honest mechanisms and the shipped ones never flagged.

All reports hold with confidence 1 - 1e-7, so this whole file raises a false alarm less than once in 10^5
runs. Numbers of games are such that a planted bug is missed about as rarely; measured powers are in
docs/auditing.md.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import dpkit
from dpkit.audit import (
    BUGS,
    STATISTICS,
    Challenge,
    Regular,
    StreamMechanism,
    adapt,
    audit_stream,
    distinct_items,
    fixed,
    index_trap,
    item_adversaries,
    planted,
    restart,
    shipped,
    standard_adversaries,
)
from dpkit.audit.events import best_event, certify

CONFIDENCE = 1 - 1e-7
HONEST = [name for name in BUGS if name.startswith("none")]
FAULTS = [name for name in BUGS if not name.startswith("none")]
RUNS = {"noise halved, pure": 12_000, "variance for deviation": 16_000}
CERTAIN = {  # as good as no noise where it counts: few games are enough
    "levels share noise",
    "keys collide",
    "generator restarts",
    "one noise for all answers",
    "root without noise",
    "leaf without noise",
    "noise never negative",
    "empty nodes skipped",
    "seed constant",
    "state continued twice",
    "not clipped",
    "error tells",
}


@pytest.mark.parametrize("bug", FAULTS)
def test_planted_bugs_are_caught(bug):
    runs = RUNS.get(bug, 800 if bug in CERTAIN else 3000)
    report = audit_stream(planted(bug), runs=runs, confidence=CONFIDENCE)
    assert report.violated, report


@pytest.mark.parametrize("honest", HONEST)
def test_honest_trees_are_not_flagged_and_the_bounds_are_nearly_tight(honest):
    report = audit_stream(planted(honest), runs=6000, confidence=CONFIDENCE)
    assert not report.violated, report
    if honest == "none":
        low, estimate, high = report.mu_estimate
        assert 0.6 < low < 1.0 < high  # rho = 1/2 is mu = 1
        assert abs(estimate - 1.0) < 0.35
    else:
        assert 0.25 < report.epsilon <= 1.0


SHIPPED = [
    *(
        (dpkit.Counter, (), {"rho": 0.5, "horizon": 8, "mechanism": name})
        for name in ("binary", "honaker", "smooth", "blt", "hybrid")
    ),
    (dpkit.Counter, (), {"rho": 0.5}),
    (dpkit.Counter, (), {"rho": 0.5, "horizon": 8, "neighbours": "replace", "bounds": (-1.0, 1.0)}),
    (dpkit.Counter, (), {"epsilon": 1.0, "horizon": 4, "mechanism": "k-ary"}),
    (dpkit.Counter, (), {"epsilon": 1.0, "delta": 1e-5, "horizon": 4}),
    (dpkit.Histogram, (2,), {"rho": 0.5, "horizon": 4, "mechanism": "binary"}),
    (dpkit.Histogram, (2,), {"rho": 0.5, "horizon": 4, "mechanism": "binary", "neighbours": "replace"}),
    (dpkit.MaxSum, (2,), {"rho": 0.5, "horizon": 8}),
    (dpkit.MaxSum, (2,), {"epsilon": 1.0, "horizon": 8, "neighbours": "replace"}),
    (dpkit.SumSelect, (2,), {"rho": 0.5, "horizon": 8, "mechanism": "blocks"}),
    (dpkit.SumSelect, (2,), {"rho": 0.5, "horizon": 8, "mechanism": "blocks", "neighbours": "replace"}),
]


def _named(case):
    kind, _, settings = case
    return "-".join([kind.__name__, *(str(v) for v in settings.values())])


@pytest.mark.parametrize("case", SHIPPED, ids=_named)
def test_shipped_streams_are_not_flagged(case):
    kind, args, settings = case
    report = audit_stream(shipped(kind, *args, **settings), steps=4, runs=400, confidence=CONFIDENCE)
    assert not report.violated, report
    assert report.refusals, "a second continuation must be refused"


@pytest.mark.slow
@pytest.mark.parametrize("case", SHIPPED, ids=_named)
def test_shipped_streams_are_not_flagged_with_many_games(case):
    kind, args, settings = case
    report = audit_stream(shipped(kind, *args, **settings), runs=3000, confidence=CONFIDENCE)
    assert not report.violated, report


@pytest.mark.slow
@pytest.mark.parametrize("kind", [dpkit.MaxSum, dpkit.SumSelect])
def test_shipped_counters_of_rows_are_not_flagged(kind):
    for settings in ({"rho": 0.5}, {"rho": 0.5, "counter": "binary"}, {"epsilon": 1.0}):
        mechanism = shipped(kind, 3, horizon=8, mechanism="counters", **settings)
        assert not audit_stream(mechanism, runs=1000, confidence=CONFIDENCE).violated


def test_the_audit_of_the_shipped_tree_is_nearly_tight():
    """mu = 1 is promised; one adversary proves more than 0.65 of the real object's code."""
    counter = shipped(dpkit.Counter, rho=0.5, horizon=4, mechanism="binary")
    report = audit_stream(counter, [fixed([1, 0, 0, 0], [0, 0, 0, 0])], runs=12_000, confidence=CONFIDENCE)
    assert 0.65 < report.mu <= 1.0, report


def _distinct(unit, **settings):
    """Distinct items as floats; -1 is no item."""
    return adapt(
        lambda: dpkit.DistinctCount(unit=unit, rho=0.5, horizon=6, mechanism="binary", **settings),
        lambda m, x: m.step(None if x < 0 else x),
        promises=dpkit.ZCDP(0.5, "zero-out"),
        neutral=-1.0,
        changes=6 if unit == "item" else 1,
        truth=lambda streams: _distinct_truth(streams),
    )


def _distinct_truth(streams):
    fresh = np.zeros(streams.shape)
    for t in range(streams.shape[1]):
        seen = (streams[:, :t] == streams[:, t : t + 1]).any(axis=1)
        fresh[:, t] = (streams[:, t] >= 0) & ~seen
    return np.cumsum(fresh, axis=1)[:, :, None]


@pytest.mark.parametrize("unit", ["item", "event"])
def test_distinct_items_are_not_flagged(unit):
    one = fixed([3, -1, 3, 5, 3, -1], [-1, -1, -1, 5, -1, -1], "an item")
    event = fixed([3, -1, -1, 5, 3, -1], [-1, -1, -1, 5, 3, -1], "its first occurrence")
    report = audit_stream(_distinct(unit), [one if unit == "item" else event], runs=1000)
    assert not report.violated, report
    assert report.mu_estimate[1] > 0.3


ITEMS = [
    {"flips": 1},
    {"flips": 3},
    {"flips": 3, "unit": "event"},
    {"flips": None},
    {"flips": None, "unit": "event"},
    {"flips": 3, "mechanism": "blt"},
    {"flips": 2, "unit": "event", "mechanism": "blt"},
]


def _items(settings, paid=None, steps=8):
    """Distinct items under audit; `paid` plants the noise of other settings."""
    common = {"rho": 0.5, "horizon": steps, "mechanism": "binary"}

    def make():
        count = dpkit.DistinctCount(**{**common, **settings})
        if paid is not None:
            count._design = dpkit.DistinctCount(**{**common, **paid})._design
        return count

    mechanism = distinct_items(make, steps)
    return mechanism, item_adversaries(mechanism, settings["flips"])


@pytest.mark.parametrize("settings", ITEMS[1:3], ids=str)
def test_comings_and_goings_are_not_flagged(settings):
    mechanism, players = _items(settings)
    report = audit_stream(mechanism, players, runs=400, confidence=CONFIDENCE)
    assert not report.violated, report


@pytest.mark.slow
@pytest.mark.parametrize("settings", ITEMS, ids=str)
def test_comings_and_goings_are_not_flagged_with_many_games(settings):
    mechanism, players = _items(settings)
    report = audit_stream(mechanism, players, runs=6000, confidence=CONFIDENCE)
    assert not report.violated, report
    assert report.mu_estimate[1] > 0.3


@pytest.mark.parametrize("unit", ["item", "event"])
def test_flips_that_are_not_paid_for_are_caught(unit):
    """Planted bug: an item's later comings and goings cost nothing; they show where they are far apart."""
    for paid in ({"flips": 1}, None):
        mechanism, players = _items({"flips": 16, "unit": unit}, paid, steps=64)
        players = [p for p in players if "far apart" in p.name]
        report = audit_stream(mechanism, players, runs=3000, confidence=CONFIDENCE)
        assert report.violated == (paid is not None), report


def test_exact_numbers_of_items_are_the_mechanisms_own():
    codes = np.random.default_rng(0).integers(-1, 8, (20, 8)).astype(float)
    for flips in (1, 2, 5):
        mechanism = distinct_items(lambda f=flips: dpkit.DistinctCount(rho=1e8, flips=f, horizon=8))
        answers = mechanism.start(20).steps(codes)
        assert np.abs(answers - mechanism.truth(codes)).max() < 0.1


def test_a_user_needs_more_noise_than_an_event():
    """Two elements of one user: rho of the event level is not kept, four times as much is."""
    tree = replace(planted("none", 4), changes=2)
    streams = fixed([1, 1, 0, 0], [0, 0, 0, 0], "user of two")
    assert audit_stream(tree, [streams], runs=8000, confidence=CONFIDENCE).violated
    fair = replace(tree, guarantee=dpkit.ZCDP(2.0, "zero-out"))
    assert not audit_stream(fair, [streams], runs=8000, confidence=CONFIDENCE).violated
    assert any("user" in a.name for a in standard_adversaries(tree))


# ---- adaptivity ------------------------------------------------------------------------------------


def test_only_adaptive_adversaries_find_the_index_trap():
    """Fixed streams prove nothing; an adversary that saw the index proves epsilon >= 5."""
    trap = index_trap()
    everyone = standard_adversaries(trap)
    oblivious = [a for a in everyone if a.oblivious]
    blind = audit_stream(trap, oblivious, runs=20_000, confidence=CONFIDENCE)
    assert not blind.violated
    assert blind.epsilon == 0.0
    seeing = audit_stream(trap, everyone, runs=20_000, confidence=CONFIDENCE)
    assert seeing.violated
    assert seeing.epsilon >= 5.0
    assert all("follower" in e.adversary for e in seeing.violations)


def test_a_function_is_an_adversary():
    def echo(answers):
        return Challenge(answers[0], 0) if len(answers) == 1 else Regular(0)

    assert audit_stream(index_trap(), [echo], runs=2000).violated


def test_restarts_are_what_finds_a_state_that_can_be_continued_twice():
    mechanism = planted("state continued twice", 4)
    plain = [a for a in standard_adversaries(mechanism) if a.fork is None]
    assert not audit_stream(mechanism, plain, runs=2000, confidence=CONFIDENCE).violated
    assert audit_stream(mechanism, [restart(4, 1.0, 0.0)], runs=2000, confidence=CONFIDENCE).violated


# ---- honest numbers ----------------------------------------------------------------------------------


def test_certified_bounds_hold_as_often_as_promised():
    """Randomised response of epsilon 1: with confidence 0.8 bounds may fail in a fifth of the audits."""
    keep = math.e / (1 + math.e)
    mechanism = many(
        dpkit.PureDP(1.0, "zero-out"), lambda rng, x: np.where(rng.random(x.shape) < keep, x, 1 - x)
    )
    reports = [
        audit_stream(mechanism, [fixed([1], [0])], runs=400, confidence=0.8, statistics=_few())
        for _ in range(60)
    ]
    assert sum(r.violated for r in reports) <= 22  # binomial(60, 0.2) exceeds this with probability 1e-3.5
    assert sum(r.epsilon > 0.4 for r in reports) > 30


class Many:
    """A session in one line: all games at once, answer(generator, elements (runs,))."""

    def __init__(self, answer):
        self.answer, self.rng = answer, np.random.default_rng()

    def step(self, xs):
        return self.answer(self.rng, xs).reshape(xs.size, -1)

    def steps(self, xs):
        return None


def many(promises, answer):
    return StreamMechanism("one line", promises, lambda runs: Many(answer))


def _few():
    return {name: STATISTICS[name] for name in ("last answer", "learned: best feature")}


def test_noise_alone_proves_nothing():
    """Statistics that fit their training games perfectly must not profit: answers are coins."""
    coins = many(dpkit.PureDP(1e-3, "zero-out"), lambda rng, x: rng.normal(size=(x.size, 20)))
    for _ in range(5):
        report = audit_stream(coins, [fixed([1, 0, 0], [0, 0, 0])], runs=400, confidence=0.999)
        assert not report.violated, report


def test_an_event_is_certified_by_fresh_scores():
    rng = np.random.default_rng(5)
    left, right = rng.normal(1.0, size=4000), rng.normal(size=4000)
    event = best_event(left[:2000], right[:2000], "mu", 0.0)
    proof = certify(event, left[2000:], right[2000:], "mu", 0.0, 1e-6)
    assert 0.6 < proof.value < 1.0 < proof.upper
    assert abs(proof.estimate - 1.0) < 0.15
    for scores in ((right, left), (-left, -right)):
        mirrored = best_event(scores[0][:2000], scores[1][:2000], "mu", 0.0)
        assert mirrored.value == pytest.approx(event.value)
        assert certify(mirrored, scores[0][2000:], scores[1][2000:], "mu", 0.0, 1e-6).value > 0.6


def test_reports_read_well_and_travel_as_json():
    report = audit_stream(planted("seed constant"), runs=400, seed=1, progress=False)
    found = json.loads(report.to_json())
    assert found["violated"] is True
    assert found["promised"] == {"kind": "ZCDP", "rho": 0.5, "neighbours": "zero-out"}
    assert found["mu"][2] is None  # without bound: JSON knows no infinity
    assert "PROMISE BROKEN" in str(report)
    assert report.games == 2 * 200 * (report.adversaries + len({e["adversary"] for e in found["evidence"]}))
    clean = audit_stream(planted(), runs=400)
    assert "nothing found" in str(clean)


def test_every_promise_is_judged_by_its_own_measure():
    game = [fixed([1], [0])]
    for promises, broken in (
        (dpkit.GDP(1.0, "zero-out"), True),
        (dpkit.GDP(2.1, "zero-out"), False),
        (dpkit.ZCDP(0.5, "zero-out"), True),
        (dpkit.ZCDP(2.1, "zero-out"), False),
        (dpkit.ApproxDP(1.0, 1e-3, "zero-out"), True),
        (dpkit.ApproxDP(9.0, 1e-3, "zero-out"), False),
    ):
        mechanism = many(promises, lambda rng, x: x + rng.normal(scale=0.5, size=x.shape))
        report = audit_stream(mechanism, game, runs=4000, confidence=CONFIDENCE)
        assert report.violated is broken, report
