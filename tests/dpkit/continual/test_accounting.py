"""Events for dp-accounting, and the tight (epsilon, delta) of discrete noise."""

import math
import pickle

import numpy as np
import pytest

import dpkit
from dpkit.continual import Counter, DistinctCount, Histogram, MaxSum, TopK, VectorCounter
from dpkit.guarantee import NearGDP, compose, guarantee_from_dict

accounting = pytest.importorskip("dp_accounting")


def rdp_epsilon(event, delta):
    from dp_accounting.rdp import RdpAccountant

    return RdpAccountant().compose(event).get_epsilon(delta)


def pld_epsilon(event, delta, relation="ADD_OR_REMOVE_ONE"):
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import PLDAccountant

    return PLDAccountant(neighboring_relation=NeighboringRelation[relation]).compose(event).get_epsilon(delta)


def test_events_of_guarantees():
    assert rdp_epsilon(dpkit.ZCDP(0.5).dp_event(), 1e-5) == pytest.approx(
        dpkit.ZCDP(0.5).epsilon(1e-5), rel=1e-3
    )
    assert pld_epsilon(dpkit.GDP(1.0).dp_event(), 1e-5) == pytest.approx(
        dpkit.GDP(1.0).epsilon(1e-5), rel=1e-3
    )
    assert pld_epsilon(dpkit.PureDP(1.0).dp_event(), 1e-12, "REPLACE_ONE") == pytest.approx(1.0, rel=1e-3)
    assert pld_epsilon(dpkit.PureDP(1.0).dp_event(), 0.2, "REPLACE_ONE") == pytest.approx(
        dpkit.PureDP(1.0).epsilon(0.2), rel=1e-2
    )
    with_rho = dpkit.ApproxDP(1.0, 1e-6, rho=0.01)
    assert with_rho.dp_event() == dpkit.ZCDP(0.01).dp_event()
    for nothing in (dpkit.ZCDP(0.0), dpkit.GDP(0.0), dpkit.PureDP(0.0)):
        assert nothing.dp_event() == accounting.dp_event.NoOpDpEvent()
    with pytest.raises(dpkit.ArgumentError, match="carries no rho"):
        dpkit.ApproxDP(1.0, 1e-6).dp_event()
    counters = Counter(rho=0.25), Histogram(3, rho=0.25)
    both = accounting.dp_event.ComposedDpEvent([c.guarantee.dp_event() for c in counters])
    assert rdp_epsilon(both, 1e-6) == pytest.approx(
        compose(*[c.guarantee for c in counters]).epsilon(1e-6), rel=1e-3
    )


@pytest.mark.parametrize("variance", [100.0, 1000.0, 12345.6])
def test_total_variation_of_rounded_and_discrete_gaussians(variance):
    from scipy.stats import norm

    sigma = math.sqrt(variance)
    k = np.arange(-int(12 * sigma), int(12 * sigma) + 1)
    p = np.exp(-(k**2) / (2 * variance))
    q = norm.cdf(k + 0.5, scale=sigma) - norm.cdf(k - 0.5, scale=sigma)
    distance = 0.5 * np.abs(p / p.sum() - q).sum()
    assert 0.1 / (8 * variance) < distance < 1 / (8 * variance)


def test_near_gaussian_curves():
    near, exact, coarse = NearGDP(1.0, 0.0), dpkit.GDP(1.0), NearGDP(1.0, 1e-7)
    assert near.epsilon(1e-6) == pytest.approx(exact.epsilon(1e-6), rel=1e-6)
    assert near.delta_at(2.0) == pytest.approx(exact.delta_at(2.0), rel=1e-6)
    assert exact.epsilon(1e-4) < coarse.epsilon(1e-4) < dpkit.ZCDP(0.5).epsilon(1e-4)
    assert coarse.epsilon(1e-8) == dpkit.ZCDP(0.5).epsilon(1e-8)  # slack eats delta: zCDP it is
    for epsilon in (0.5, 3.0, 6.0):
        assert coarse.delta_at(epsilon) <= dpkit.ZCDP(0.5).delta_at(epsilon)
        found = coarse.delta_at(epsilon)
        assert coarse.delta_at(coarse.epsilon(found)) <= found * (1 + 1e-6)
    assert pickle.loads(pickle.dumps(coarse)) == coarse == guarantee_from_dict(coarse.to_dict())
    assert near.rho == 0.5
    assert compose(near, dpkit.ZCDP(0.5)) == dpkit.ZCDP(1.0)


def test_tight_guarantees_of_streams():
    for stream in (
        Counter(rho=0.5, horizon=1 << 20),
        Counter(rho=0.5),
        Counter(rho=0.5, horizon=1000, mechanism="sqrt"),
        VectorCounter(5, rho=0.5, horizon=1 << 20),
        Histogram(4, rho=0.5, horizon=1 << 20, neighbours="replace"),
        TopK(4, 2, rho=0.5, horizon=1 << 20),
        DistinctCount(rho=0.5, horizon=1 << 20, flips=3),
        MaxSum(3, rho=0.5, horizon=1000, mechanism="counters"),
    ):
        tight = stream.tight()
        assert tight.neighbours == stream.guarantee.neighbours
        assert tight.epsilon(1e-6) == pytest.approx(4.887, abs=0.004)
        assert tight.epsilon(1e-6) < stream.guarantee.epsilon(1e-6) == pytest.approx(5.222, abs=0.002)
    counter = Counter(epsilon=1.0, delta=1e-6, horizon=1000)
    assert counter.tight().epsilon(1e-6) < 0.95
    for stream in (
        Counter(epsilon=1.0),
        Counter(rho=0.5, mechanism="hybrid"),
        Counter(rho=0.5, mechanism="binary", resolution=1, horizon=9),
        Counter(rho=0.5, mechanism="smooth", horizon=9),
        MaxSum(3, rho=0.5, horizon=1000, mechanism="blocks"),
    ):
        assert stream.tight() == stream.guarantee
