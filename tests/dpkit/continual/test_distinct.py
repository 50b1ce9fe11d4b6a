"""TopK and DistinctCount: what they count, what their noise is, brute-force sensitivity."""

import itertools
import math

import numpy as np
import pytest

import dpkit
from dpkit.continual import Counter, DistinctCount, TopK


def first_occurrences(items):
    seen, out = set(), []
    for item in items:
        out.append(int(item is not None and item not in seen))
        seen.add(item)
    return np.array(out)


@pytest.mark.parametrize("unit", ["item", "event"])
def test_brute_force_change_of_first_occurrences(unit):
    """All streams of five elements over two items and nothing: the squared change is at most 1, or 2."""
    worst_l1 = worst_l2 = 0
    for stream in itertools.product((None, "a", "b"), repeat=5):
        if unit == "item":
            others = [[None if x == gone else x for x in stream] for gone in "ab"]
        else:
            others = [[None if i == j else x for i, x in enumerate(stream)] for j in range(5)]
        for other in others:
            change = first_occurrences(stream) - first_occurrences(other)
            worst_l1 = max(worst_l1, int(np.abs(change).sum()))
            worst_l2 = max(worst_l2, int((change**2).sum()))
            assert abs(change.sum()) <= 1
    assert worst_l1 == worst_l2 == (1 if unit == "item" else 2)


def test_budget_of_each_unit():
    item, event = DistinctCount(rho=0.5, horizon=50), DistinctCount(rho=0.5, horizon=50, unit="event")
    assert item.guarantee == event.guarantee == dpkit.ZCDP(0.5, "zero-out")
    assert item.std(9) < event.std(9) < math.sqrt(2) * item.std(9)  # two changes of opposite signs
    tree = {"rho": 0.5, "horizon": 50, "mechanism": "honaker"}
    ratio = DistinctCount(unit="event", **tree).std(9) / DistinctCount(**tree).std(9)
    assert ratio == pytest.approx(math.sqrt(2), rel=1e-6)
    pure = DistinctCount(epsilon=1.0, horizon=50, unit="event", mechanism="binary")
    assert pure.guarantee == dpkit.PureDP(1.0, "zero-out")
    assert pure.std(9) == pytest.approx(
        2 * Counter(epsilon=1.0, horizon=50, mechanism="binary").std(9), rel=1e-6
    )


@pytest.mark.parametrize("bulk", [False, True])
def test_distinct_items_are_counted(bulk):
    items = ["a", "b", None, "a", 1, 1.0, np.int64(1), math.nan, float("nan"), b"a", "c", None]
    truth = [1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 6]
    distinct = DistinctCount(rho=1e6, horizon=12)
    got = distinct.steps(items) if bulk else [distinct.step(x).value for x in items]
    np.testing.assert_allclose(got, truth, atol=0.05)
    with pytest.raises(dpkit.HorizonError):
        distinct.step("z")
    assert "z" not in distinct._items
    for bad in ([1], object(), 1j):
        with pytest.raises(dpkit.ArgumentError, match="item must be"):
            distinct.step(bad)
    with pytest.raises(dpkit.ArgumentError, match="unit must be"):
        DistinctCount(rho=1, unit="user")


def test_top_categories():
    top = TopK(5, 2, rho=1e6, horizon=100)
    chosen = top.steps([3] * 20 + [1] * 10 + [99])
    assert chosen.shape == (31, 2)
    assert chosen[-1].tolist() == [3, 1]
    last = top.step(1)
    assert last.value.tolist() == [3, 1]
    np.testing.assert_allclose(last.counts, [20, 11], atol=0.1)
    assert last.t == top.t == 32
    assert top.guarantee == dpkit.ZCDP(1e6, "zero-out")
    with pytest.raises(dpkit.ArgumentError, match="k must be"):
        TopK(5, 6, rho=1)
    with pytest.raises(AttributeError):
        last.t = 3
