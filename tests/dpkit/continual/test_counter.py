"""The streaming protocol: law, errors, bounds, bulk against single steps."""

import copy
import math
import os
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.continual import Counter
from dpkit.continual.settings import Domain
from tests.dpkit.continual.twins import seeded

CASES = [
    ("binary", {"rho": 0.5}),
    ("honaker", {"rho": 0.5}),
    ("smooth", {"rho": 0.5}),
    ("blt", {"rho": 0.5}),
    ("sqrt", {"rho": 0.5}),
    ("hybrid", {"rho": 0.5}),
    ("binary", {"epsilon": 1.0}),
    ("honaker", {"epsilon": 1.0}),
    ("smooth", {"epsilon": 1.0}),
    ("k-ary", {"epsilon": 1.0}),
    ("hybrid", {"epsilon": 1.0}),
]


def _needs_no_horizon(mechanism, horizon):
    if mechanism == "sqrt" and horizon is None:
        pytest.skip("sqrt needs a horizon")


@pytest.mark.parametrize(("mechanism", "budget"), CASES)
@pytest.mark.parametrize("horizon", [300, None])
def test_bulk_equals_step_by_step_on_the_same_noise(mechanism, budget, horizon):
    _needs_no_horizon(mechanism, horizon)
    xs = np.random.default_rng(1).uniform(-0.5, 1.5, 300)
    make = lambda: seeded(Counter(mechanism=mechanism, horizon=horizon, expected=256, **budget), 9)
    single = make()
    one = np.array([single.step(x).value for x in xs])
    for cuts in ([300], [1, 299], [7, 0, 120, 173]):
        counter, parts, at = make(), [], 0
        for n in cuts:
            parts.append(counter.steps(xs[at : at + n]))
            at += n
        if "hybrid" in (mechanism, counter.mechanism):  # epochs open queues of their own: the order differs
            np.testing.assert_allclose(np.concatenate(parts)[:1], one[:1])
        else:
            np.testing.assert_array_equal(np.concatenate(parts), one)
        assert counter.t == 300


@pytest.mark.parametrize(("mechanism", "budget"), CASES)
@pytest.mark.parametrize("horizon", [60, None])
def test_noise_has_the_predicted_variance_at_every_step(mechanism, budget, horizon):
    _needs_no_horizon(mechanism, horizon)
    runs, steps = 800, 60
    counter = Counter(mechanism=mechanism, horizon=horizon, expected=60, **budget)
    xs = np.random.default_rng(2).random(steps)
    truth = np.cumsum(np.rint(xs * 2**20) / 2**20)
    from dpkit.noise import UnsafeSeededNoise

    source, errors = UnsafeSeededNoise(4), np.empty((runs, steps))
    for row in errors:
        counter._open(source)
        row[:] = counter.steps(xs) - truth
    predicted = np.array([counter.std(t) ** 2 for t in range(1, steps + 1)])
    kurtosis = 3.0 if "rho" in budget else 6.0
    spread = math.sqrt((kurtosis - 1.0) / runs)  # relative standard error of a variance
    ratio = errors.var(0) / predicted
    assert np.abs(ratio - 1.0).max() < 5.0 * spread
    assert np.abs(errors.mean(0) / np.sqrt(predicted)).max() < 5.0 / math.sqrt(runs)
    figures = counter.prediction(steps)
    assert figures.rmse**2 == pytest.approx(predicted.mean(), rel=1e-9)
    assert figures.worst_std**2 == pytest.approx(predicted.max(), rel=1e-9)


def test_releases_are_immutable_and_say_what_they_are():
    release = Counter(rho=0.5, horizon=4, mechanism="binary").step(1)
    assert release.t == 1
    assert release.std == pytest.approx(math.sqrt(3))
    with pytest.raises(AttributeError):
        release.value = 0.0
    assert "std=1.73205" in repr(release)


def test_guarantees():
    assert Counter(rho=0.25).guarantee == dpkit.ZCDP(0.25, "zero-out")
    assert Counter(epsilon=1.0, neighbours="replace").guarantee == dpkit.PureDP(1.0, "replace")
    approximate = Counter(epsilon=1.0, delta=1e-6).guarantee
    assert approximate == dpkit.ApproxDP(1.0, 1e-6, "zero-out", dpkit.rho_for(1.0, 1e-6))


@pytest.mark.parametrize("mechanism", ["auto", "binary", "honaker", "smooth", "blt", "hybrid"])
def test_nothing_passes_the_horizon(mechanism):
    counter = Counter(rho=0.5, horizon=5, mechanism=mechanism)
    counter.steps(np.ones(4))
    with pytest.raises(dpkit.HorizonError, match="horizon 5 would be passed"):
        counter.steps(np.ones(2))
    assert counter.step(1.0).t == 5
    with pytest.raises(dpkit.HorizonError):
        counter.step(1.0)
    assert counter.steps([]).shape == (0,)


def test_a_horizon_of_one():
    for mechanism, budget in CASES:
        assert Counter(mechanism=mechanism, horizon=1, **budget).step(1).t == 1


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([(0, 1), (-3.5, 2.25), (1, 7)]))
@settings(max_examples=200, deadline=None)
def test_every_float_lands_on_a_legal_grid_point(x, bounds):
    domain = Domain.read(bounds, None)
    got = domain.units(x)
    assert got == domain.array_units([x])[0]
    low, high = (round(b * 2.0**domain.bits) for b in bounds)
    assert low <= got <= high
    if math.isnan(x):
        assert got == min(max(0, low), high)
    assert abs(got) <= domain.magnitude <= 2**20


def test_bounds_and_sensitivity():
    assert Domain.read((0, 1), None).sensitivity("zero-out") == 2**20
    assert Domain.read((-1, 1), None).sensitivity("replace") == 2**21
    assert Domain.read((-1, 1), 1).sensitivity("replace") == 2
    assert Domain.read((1, 3), 1).sensitivity("zero-out") == 3  # an element zeroed out counts as 0
    wide = Counter(rho=0.5, horizon=16, bounds=(-10, 30), mechanism="binary")
    unit = Counter(rho=0.5, horizon=16, mechanism="binary")
    assert wide.std(7) == pytest.approx(30 * unit.std(7), rel=1e-5)
    replaced = Counter(rho=0.5, horizon=16, bounds=(-10, 30), neighbours="replace", mechanism="binary")
    assert replaced.std(7) == pytest.approx(40 * unit.std(7), rel=1e-5)


def test_integer_counts_stay_integers():
    for mechanism in ("binary", "smooth", "hybrid"):
        inner = "binary" if mechanism == "hybrid" else mechanism
        counter = Counter(
            rho=0.5, horizon=None if mechanism == "hybrid" else 99, mechanism=inner, resolution=1
        )
        values = counter.steps(np.ones(99))
        assert (values == np.rint(values)).all()


def test_odd_elements_are_taken_in_their_stride():
    counter = Counter(rho=0.5, horizon=100)
    for x in (
        True,
        np.float32(0.5),
        np.int64(1),
        10**400,
        -(10**400),
        Fraction(1, 3),
        math.nan,
        math.inf,
        -1e308,
    ):
        counter.step(x)
    counter.steps(np.array([True, False]))
    counter.steps(np.array([math.nan, math.inf]))
    assert counter.t == 13


@pytest.mark.parametrize("x", ["1", b"1", 1j, None, [1.0, 2.0], np.ones(3)])
def test_what_is_no_number_is_refused_before_noise_is_drawn(x):
    counter = Counter(rho=0.5, horizon=3)
    with pytest.raises(dpkit.ArgumentError, match="x must be a real number"):
        counter.step(x)
    assert counter.t == 0


@pytest.mark.parametrize("xs", [np.ones((2, 2)), ["a"], [[1], [2, 3]], np.array([1j])])
def test_arrays_that_are_none(xs):
    with pytest.raises(dpkit.ArgumentError, match="array must be one-dimensional"):
        Counter(rho=0.5, horizon=3).steps(xs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of rho and epsilon"),
        ({"rho": 1, "epsilon": 1}, "exactly one of rho and epsilon"),
        ({"rho": 1, "delta": 1e-6}, "delta belongs to epsilon"),
        ({"rho": 0}, "rho must be positive"),
        ({"rho": math.nan}, "rho must be positive"),
        ({"rho": "1"}, "rho must be a positive number"),
        ({"epsilon": -1}, "epsilon must be positive"),
        ({"epsilon": 1, "delta": 2}, "delta"),
        ({"rho": 1, "horizon": 0}, "horizon must be an integer"),
        ({"rho": 1, "horizon": 2.0}, "horizon must be an integer"),
        ({"rho": 1, "horizon": 2**50}, "horizon must be an integer"),
        ({"rho": 1, "mechanism": "tree"}, "mechanism must be one of"),
        ({"rho": 1, "mechanism": None}, "mechanism must be one of"),
        ({"rho": 1, "mechanism": "k-ary"}, "pure budget"),
        ({"epsilon": 1, "mechanism": "blt"}, "needs rho"),
        ({"rho": 1, "neighbours": "add-remove"}, "neighbours must be"),
        ({"rho": 1, "bounds": (1, 0)}, "bounds must satisfy"),
        ({"rho": 1, "bounds": (0, math.inf)}, "bounds must satisfy"),
        ({"rho": 1, "bounds": (0, math.nan)}, "bounds must satisfy"),
        ({"rho": 1, "bounds": 3}, "bounds must be a pair"),
        ({"rho": 1, "bounds": (0, "a")}, "bounds must be a pair"),
        ({"rho": 1, "resolution": 3}, "power of two"),
        ({"rho": 1, "resolution": "x"}, "power of two"),
        ({"rho": 1, "resolution": 2}, "does not suit"),
        ({"rho": 1, "resolution": 2.0**-40}, "does not suit"),
        ({"rho": 1e-300}, "rho = 1e-300"),
        ({"rho": 1, "expected": 0}, "expected must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(dpkit.ArgumentError, match=message):
        Counter(**arguments)


def test_counters_are_never_copied_or_pickled():
    counter = Counter(rho=0.5)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(dpkit.BudgetSpentError, match="copied or pickled"):
            attempt(counter)


def test_a_forked_counter_refuses_to_go_on():
    counter = Counter(rho=0.5, horizon=10, mechanism="binary")
    counter.step(1)
    child = os.fork()
    if child == 0:
        try:
            counter.step(1)
            os._exit(1)
        except dpkit.BudgetSpentError:
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert counter.step(1).t == 2


def test_an_interrupted_step_ends_the_stream():
    counter = Counter(rho=0.5, horizon=10, mechanism="binary")

    def interrupt(_):
        raise KeyboardInterrupt

    counter._engine.step = interrupt
    with pytest.raises(KeyboardInterrupt):
        counter.step(1)
    del counter._engine.step
    with pytest.raises(dpkit.BudgetSpentError, match="interrupted"):
        counter.step(1)


def test_fresh_counters_have_fresh_noise():
    values = {Counter(rho=0.5, horizon=4).step(1).value for _ in range(20)}
    assert len(values) == 20


def test_auto_takes_the_least_predicted_error():
    for request in (
        {"rho": 0.5, "horizon": 1000},
        {"rho": 0.5},
        {"epsilon": 1.0, "horizon": 5000},
        {"epsilon": 0.1},
    ):
        found = Counter.predict(**request)
        paid = [p.rmse * (2**0.5 * 0.51**0.5 if p.mechanism == "sqrt" else 1) for p in found]
        assert paid == sorted(paid)
        assert Counter(**request).prediction().rmse == found[0].rmse
    best = Counter.predict(rho=0.5, horizon=1000)[0]
    assert best.max_error(0.1) > best.worst_std
    assert best.state_size <= 10


@pytest.mark.parametrize("horizon", [2**20, 2**30, 2**40, None])
@pytest.mark.parametrize("rho", [1e-4, 0.5, 100.0])
def test_long_horizons_and_small_budgets_still_calibrate(horizon, rho):
    counter = Counter(rho=rho, horizon=horizon, mechanism="blt", expected=2**24)
    assert counter.steps(np.ones(50)).shape == (50,)
    figures = counter.prediction(2**20)
    assert figures.rmse >= figures.floor
