"""Guarantees, conversions and the ledger, against mpmath and dp-accounting."""

import copy
import doctest
import importlib
import json
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpkit.errors import ArgumentError, BudgetSpentError, DpkitError
from dpkit.guarantee import (
    GDP,
    ZCDP,
    ApproxDP,
    NeighbourRelation,
    PureDP,
    compose,
    guarantee_from_dict,
    mu_for,
    rho_for,
)
from dpkit.ledger import Ledger

TABLE = [  # eps, delta, analytic Gaussian sigma, sigma through zCDP
    (0.1, 1e-5, 30.75, 33.98),
    (0.5, 1e-5, 7.032, 7.667),
    (1.0, 1e-5, 3.731, 4.045),
    (2.0, 1e-5, 1.994, 2.149),
    (5.0, 1e-5, 0.892, 0.953),
    (1.0, 1e-6, 4.225, 4.531),
]
ALL = [PureDP(1.0), ApproxDP(1.0, 1e-6), ApproxDP(1.0, 1e-6, rho=0.02), ZCDP(0.5), GDP(0.7)]


@pytest.mark.parametrize(("epsilon", "delta", "analytic", "through_zcdp"), TABLE)
def test_sigma_table(epsilon, delta, analytic, through_zcdp):
    assert 1 / mu_for(epsilon, delta) == pytest.approx(analytic, rel=2e-4 if epsilon < 5 else 6e-4)
    assert 1 / math.sqrt(2 * rho_for(epsilon, delta)) == pytest.approx(
        through_zcdp, rel=2e-4 if epsilon < 5 else 6e-4
    )


def _zcdp_delta_mp(rho, epsilon):
    """min over a of exp((a-1)(a rho - eps))/(a-1) (1-1/a)^a in 60 digits, by bisection of the derivative."""
    rho, epsilon = mpmath.mpf(rho), mpmath.mpf(epsilon)
    slope = lambda w: (2 * w + 1) * rho - epsilon - mpmath.log1p(1 / w)  # derivative of the log in a = 1 + w
    low, high = mpmath.mpf(10) ** -20, mpmath.mpf(10) ** 20
    for _ in range(170):
        middle = mpmath.sqrt(low * high)
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    a = 1 + low
    return mpmath.exp((a - 1) * (a * rho - epsilon)) / (a - 1) * (1 - 1 / a) ** a


RHOS = st.floats(1e-8, 50)
DELTAS = st.floats(1e-15, 0.3)
EPSILONS = st.floats(1e-4, 30)


@settings(max_examples=40, deadline=None)
@given(RHOS, EPSILONS)
def test_zcdp_delta_is_the_minimum_rounded_up(rho, epsilon):
    with mpmath.workdps(40):
        true = _zcdp_delta_mp(rho, epsilon)
        got = ZCDP(rho).delta_at(epsilon)
        if true > 1:
            assert got == 1
        elif true > 1e-300:
            assert true <= mpmath.mpf(got)
            assert mpmath.mpf(got) <= min(1, true * (1 + mpmath.mpf(10) ** -9))


@settings(max_examples=40, deadline=None)
@given(RHOS, DELTAS)
def test_zcdp_epsilon_is_never_optimistic_and_tight(rho, delta):
    epsilon = ZCDP(rho).epsilon(delta)
    with mpmath.workdps(40):
        assert _zcdp_delta_mp(rho, epsilon) <= mpmath.mpf(delta)
        if epsilon > 1e-6:
            assert _zcdp_delta_mp(rho, epsilon * (1 - 1e-9)) > mpmath.mpf(delta) * (1 - mpmath.mpf(10) ** -12)


@settings(max_examples=40, deadline=None)
@given(EPSILONS, DELTAS)
def test_rho_for_is_never_optimistic_and_tight(epsilon, delta):
    rho = rho_for(epsilon, delta)
    assert rho > 0
    with mpmath.workdps(40):
        assert _zcdp_delta_mp(rho, epsilon) <= mpmath.mpf(delta)
        assert _zcdp_delta_mp(rho * (1 + 1e-9), epsilon) > mpmath.mpf(delta) * (1 - mpmath.mpf(10) ** -12)


def _gdp_delta_mp(mu, epsilon):
    mu, epsilon = mpmath.mpf(mu), mpmath.mpf(epsilon)
    cdf = lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2
    return cdf(mu / 2 - epsilon / mu) - mpmath.exp(epsilon) * cdf(-mu / 2 - epsilon / mu)


@settings(max_examples=80, deadline=None)
@given(st.floats(1e-2, 20), EPSILONS, DELTAS)
def test_gdp_curve_is_never_optimistic_and_tight(mu, epsilon, delta):
    with mpmath.workdps(40):
        true, got = _gdp_delta_mp(mu, epsilon), GDP(mu).delta_at(epsilon)
        assert true <= mpmath.mpf(got)
        assert mpmath.mpf(got) <= true * (1 + mpmath.mpf(10) ** -6) + mpmath.mpf(10) ** -10
        assert _gdp_delta_mp(mu, GDP(mu).epsilon(delta)) <= mpmath.mpf(delta)
        fitted = mu_for(epsilon, delta)
        assert _gdp_delta_mp(fitted, epsilon) <= mpmath.mpf(delta)
        assert fitted < 1e-3 or _gdp_delta_mp(fitted * (1 + 1e-5), epsilon) > mpmath.mpf(delta)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 20), DELTAS, st.floats(0, 20))
@example(0.0078125, 1.192092896e-07, 0.0)  # 1 - delta (1 + e^-e0) rounds away what log1p keeps
def test_pure_curve_is_that_of_randomised_response(epsilon0, delta, epsilon):
    with mpmath.workdps(40):
        e0, d = mpmath.exp(mpmath.mpf(epsilon0)), mpmath.mpf(delta)
        true = e0 - d * (1 + e0)
        true = mpmath.log(true) if true > 1 else mpmath.mpf(0)
        got = PureDP(epsilon0).epsilon(delta)
        assert true <= got
        assert got <= true + mpmath.mpf(10) ** -8
        hockey = max(0, (e0 - mpmath.exp(mpmath.mpf(epsilon))) / (1 + e0))
        got = PureDP(epsilon0).delta_at(epsilon)
        assert hockey <= got
        assert got <= hockey + mpmath.mpf(10) ** -12


def test_gaussian_curve_agrees_with_dp_accounting():
    accounting = pytest.importorskip("dp_accounting")
    for epsilon, delta, *_ in TABLE:
        assert 1 / mu_for(epsilon, delta) == pytest.approx(
            accounting.get_sigma_gaussian(epsilon, delta), rel=1e-6
        )


def test_zcdp_curve_agrees_with_dp_accounting():
    accounting = pytest.importorskip("dp_accounting")
    rdp = pytest.importorskip("dp_accounting.rdp")
    orders = 1 + np.logspace(-2, 3, 800)
    for rho in (1e-3, 0.05, 0.5, 4.0):
        theirs = rdp.RdpAccountant(orders, accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
        theirs.compose(accounting.ZCDpEvent(rho=rho))
        want = theirs.get_epsilon(1e-5)  # a minimum over finitely many orders: never below ours
        assert ZCDP(rho).epsilon(1e-5) <= want <= ZCDP(rho).epsilon(1e-5) * (1 + 1e-4)


def test_zcdp_covers_the_discrete_gaussian_and_gdp_does_not():
    """The exact privacy profile of discrete Gaussian noise on integers, as dp-accounting computes it."""
    mechanisms = pytest.importorskip("dp_accounting.pld.privacy_loss_mechanism")
    for sigma in (0.7, 1.5, 4.0):
        exact = mechanisms.DiscreteGaussianPrivacyLoss(sigma=sigma)
        for epsilon in (0.1, 0.5, 1.0, 2.0):
            assert exact.get_delta_for_epsilon(epsilon) <= ZCDP(1 / (2 * sigma**2)).delta_at(epsilon)
    exact = mechanisms.DiscreteGaussianPrivacyLoss(sigma=1.5)
    assert exact.get_delta_for_epsilon(0.5) > GDP(1 / 1.5).delta_at(0.5) * 1.03  # why the noise promises ZCDP


@pytest.mark.parametrize("g", ALL, ids=repr)
def test_delta_and_epsilon_are_inverse_and_monotone(g):
    deltas = [1e-9, 1e-6, 1e-4, 1e-2]
    epsilons = [g.epsilon(d) for d in deltas]
    assert epsilons == sorted(epsilons, reverse=True)
    for delta, epsilon in zip(deltas, epsilons, strict=True):
        if math.isfinite(epsilon) and epsilon > 0:
            assert g.delta_at(epsilon) <= delta * (1 + 1e-6) or g.delta_at(epsilon) <= 1e-6


def test_ends_of_the_curves():
    assert PureDP(1.0).epsilon(0.0) == 1.0
    assert ZCDP(0.5).epsilon(0.0) == math.inf
    assert ZCDP(0.0).epsilon(0.0) == 0.0
    assert GDP(1.0).epsilon(0.0) == math.inf
    assert ApproxDP(1.0, 1e-6).epsilon(1e-7) == math.inf
    assert ApproxDP(1.0, 1e-6).epsilon(1e-5) == 1.0
    assert ApproxDP(1.0, 1e-6).delta_at(0.5) == 1.0
    assert ZCDP(0.5).epsilon(0.999) == 0.0
    assert ZCDP(1e-3).delta_at(math.inf) == 0.0
    for g in ALL:
        for bad in (-0.1, 1.0, math.nan):
            with pytest.raises(ArgumentError, match="delta"):
                g.epsilon(bad)


# --- the objects ---


def test_printing_and_callable_epsilon():
    g = PureDP(epsilon=1.0, neighbours="add-remove")
    assert repr(g) == "PureDP(epsilon=1.0, neighbours='add-remove')"
    assert repr(ZCDP(0.5, "replace")) == "ZCDP(rho=0.5, neighbours='replace')"
    assert repr(ApproxDP(1, 1e-5)) == "ApproxDP(epsilon=1.0, delta=1e-05, neighbours='add-remove', rho=None)"
    assert g.neighbours == "add-remove"
    assert g.neighbours is NeighbourRelation.ADD_REMOVE
    assert isinstance(g.epsilon, float)
    assert g.epsilon == 1.0
    assert g.epsilon + 1 == 2.0
    assert f"{g.epsilon:.3f} {g.epsilon}" == "1.000 1.0"
    assert g.epsilon(1e-5) < 1.0
    assert np.float64(g.epsilon) == 1.0
    assert json.dumps({"epsilon": g.epsilon}) == '{"epsilon": 1.0}'
    assert {g.epsilon: 1}[1.0] == 1
    assert pickle.loads(pickle.dumps(g.epsilon)) == 1.0
    assert g.rho == 0.5


@pytest.mark.parametrize("g", [*ALL, PureDP(0.25, "replace"), ZCDP(1e-3, "zero-out")], ids=repr)
def test_round_trips(g):
    assert pickle.loads(pickle.dumps(g)) == g
    assert copy.deepcopy(g) == g
    assert hash(copy.copy(g)) == hash(g)
    assert guarantee_from_dict(json.loads(json.dumps(g.to_dict()))) == g
    assert pickle.loads(pickle.dumps(g)).epsilon(1e-5) == g.epsilon(1e-5)
    with pytest.raises(AttributeError):
        g.neighbours = "replace"


BAD_NUMBERS = [-1.0, math.nan, math.inf, "1", None, True, 1j, [1.0]]


@pytest.mark.parametrize("bad", BAD_NUMBERS, ids=repr)
@pytest.mark.parametrize("kind", [PureDP, ZCDP, GDP, lambda x: ApproxDP(x, 1e-5), lambda x: ApproxDP(1.0, x)])
def test_bad_numbers_are_refused(kind, bad):
    with pytest.raises(ArgumentError):
        kind(bad)


def test_other_bad_arguments():
    with pytest.raises(ArgumentError, match="'add-remove', 'replace', 'zero-out'"):
        PureDP(1.0, "swap")
    with pytest.raises(ArgumentError, match="delta"):
        ApproxDP(1.0, 1.0)
    with pytest.raises(ArgumentError, match="kind"):
        guarantee_from_dict({"kind": "Magic"})
    with pytest.raises(ArgumentError, match="PureDP"):
        guarantee_from_dict({"kind": "PureDP", "rho": 1})
    for epsilon, delta in [
        (0, 1e-5),
        (-1, 1e-5),
        (math.inf, 1e-5),
        (1, 0),
        (1, 1),
        (1, math.nan),
        (math.nan, 0.1),
    ]:
        with pytest.raises(ArgumentError):
            rho_for(epsilon, delta)
        with pytest.raises(ArgumentError):
            mu_for(epsilon, delta)
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(BudgetSpentError, DpkitError)


def test_numbers_round_up():
    assert Fraction(float(PureDP(Fraction(1, 3)).epsilon)) >= Fraction(1, 3)
    assert Fraction(PureDP(0.1).rho) >= Fraction(0.1) ** 2 / 2
    assert Fraction(GDP(0.1).rho) >= Fraction(0.1) ** 2 / 2


# --- composition ---


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-6, 10), min_size=2, max_size=6))
def test_composition_adds_and_rounds_up(numbers):
    exact = sum(map(Fraction, numbers))
    pure, zcdp = compose(*map(PureDP, numbers)), compose(*map(ZCDP, numbers))
    for got in (float(pure.epsilon), zcdp.rho):
        assert exact <= Fraction(got) <= exact * (1 + Fraction(1, 2**51))
    squares = sum(Fraction(x) ** 2 for x in numbers)
    gdp = compose(*map(GDP, numbers))
    assert squares <= Fraction(gdp.mu) ** 2 <= squares * (1 + Fraction(1, 2**49))


def test_mixed_composition():
    assert PureDP(1.0) + ZCDP(0.25) == ZCDP(0.75)
    assert GDP(1.0) + ZCDP(0.25) == ZCDP(0.75)
    assert PureDP(0.5) + PureDP(0.25) == PureDP(0.75)
    basic = ApproxDP(1.0, 1e-6) + PureDP(0.5)
    assert basic == ApproxDP(1.5, 1e-6)
    rho = rho_for(1.0, 1e-6)
    both = compose(*[ApproxDP(1.0, 1e-6, rho=rho)] * 16)
    assert both.delta == pytest.approx(1.6e-5)
    assert both.rho == pytest.approx(16 * rho)
    assert both.epsilon < 5 < 16  # the square root of the number, not the number
    assert both.epsilon >= ZCDP(both.rho).epsilon(both.delta) * (1 - 1e-12)
    assert isinstance(ApproxDP(1.0, 1e-6, rho=rho) + ZCDP(0.1), ZCDP)
    with pytest.raises(ArgumentError, match="to_approx"):
        compose(ApproxDP(1.0, 1e-6), ZCDP(0.5))
    with pytest.raises(ArgumentError, match="neighbour relation"):
        compose(PureDP(1.0), PureDP(1.0, "replace"))
    with pytest.raises(ArgumentError, match="at least one"):
        compose()
    with pytest.raises(ArgumentError, match="less than 1"):
        compose(ApproxDP(1.0, 0.6), ApproxDP(1.0, 0.6))
    with pytest.raises(TypeError):
        PureDP(1.0) + 1.0


def test_to_approx():
    g = ZCDP(0.5, "replace").to_approx(1e-5)
    assert g.epsilon == ZCDP(0.5).epsilon(1e-5)
    assert (g.delta, g.rho, g.neighbours) == (1e-5, 0.5, "replace")
    with pytest.raises(ArgumentError, match="larger delta"):
        ZCDP(0.5).to_approx(0.0)


# --- ledger ---


def test_ledger_refuses_and_records_nothing():
    ledger = Ledger(PureDP(1.0))
    for i in range(10):
        assert ledger.can_spend(PureDP(0.1))
        ledger.spend(PureDP(0.1), f"part {i}")  # ten spends of 0.1 fit in 1.0
    assert not ledger.can_spend(PureDP(1e-12))
    with pytest.raises(BudgetSpentError, match="does not fit"):
        ledger.spend(PureDP(1e-12))
    assert len(ledger.entries) == 10
    assert ledger.entries[3].note == "part 3"
    assert ledger.remaining == PureDP(0.0)
    assert ledger.spent.epsilon == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("total", "part", "count"),
    [
        (ZCDP(0.5), ZCDP(0.125), 4),
        (ZCDP(0.5), PureDP(0.5), 4),
        (ZCDP(0.5), GDP(0.5), 4),
        (GDP(1.0), GDP(0.5), 4),
        (ApproxDP(1.0, 1e-5), ApproxDP(0.25, 1e-6), 4),
        (ApproxDP(1.0, 3e-6), ApproxDP(0.25, 1e-6), 3),
        (ApproxDP(1.0, 1e-5, rho=0.02), ZCDP(0.005), 4),
        (
            ApproxDP(4.0, 1e-5),
            ApproxDP(1.0, 1e-6, rho=rho_for(1.0, 1e-6)),
            15,
        ),  # through rho: more than basic's 4
    ],
    ids=repr,
)
def test_ledger_counts(total, part, count):
    ledger = Ledger(total)
    for _ in range(count):
        ledger.spend(part)
    with pytest.raises(BudgetSpentError):
        ledger.spend(part)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-3, 0.4), max_size=8))
def test_remaining_fits(parts):
    for kind in (PureDP, ZCDP, GDP):
        ledger = Ledger(kind(1.0))
        for x in parts:
            if ledger.can_spend(kind(x)):
                ledger.spend(kind(x))
        assert ledger.can_spend(ledger.remaining)
        ledger.spend(ledger.remaining)


def test_ledger_arguments():
    with pytest.raises(ArgumentError, match="total"):
        Ledger(1.0)
    ledger = Ledger(PureDP(1.0))
    assert ledger.spent is None
    with pytest.raises(ArgumentError, match="relation"):
        ledger.spend(PureDP(0.1, "replace"))
    with pytest.raises(ArgumentError, match="cannot count"):
        ledger.spend(ZCDP(0.1))
    with pytest.raises(ArgumentError, match="guarantee"):
        ledger.spend(0.1)
    with pytest.raises(ArgumentError, match="cannot count"):
        Ledger(ZCDP(1.0)).spend(ApproxDP(0.1, 1e-6))


def test_ledger_is_safe_across_threads():
    ledger = Ledger(PureDP(1.0))

    def spend(_):
        try:
            ledger.spend(PureDP(0.01))
        except BudgetSpentError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(300))) == 100


@pytest.mark.parametrize(
    "name",
    ["guarantee", "ledger", "_curves", "noise.scales", "noise.sources", "noise.exact", "noise.keystream"],
)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(f"dpkit.{name}"), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0 or name in ("noise.exact", "noise.keystream")
