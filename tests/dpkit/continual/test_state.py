"""Suspending and resuming a stream: same law, once only, nothing foreign."""

import copy
import json
import os
import pickle

import numpy as np
import pytest

import dpkit
from dpkit.continual import (
    ClaimFolder,
    Counter,
    DistinctCount,
    Histogram,
    MaxSum,
    SumSelect,
    TopK,
    VectorCounter,
)
from dpkit.continual import state as states
from dpkit.release import Sealed, seal, unseal
from tests.dpkit.continual.test_counter import CASES, _needs_no_horizon
from tests.dpkit.continual.twins import ChosenNoise


@pytest.mark.parametrize(("mechanism", "budget"), CASES)
@pytest.mark.parametrize("horizon", [200, None])
def test_a_resumed_stream_goes_on_where_it_stopped(mechanism, budget, horizon):
    """With all later noise zero, a resumed stream gives the answers of one that never stopped."""
    _needs_no_horizon(mechanism, horizon)
    xs = np.random.default_rng(8).random(120)
    counter = Counter(mechanism=mechanism, horizon=horizon, **budget)
    counter.steps(xs[:70])
    twin_engine = counter._design.start(dpkit.noise.OSNoise())
    twin_engine.restore(json.loads(json.dumps(counter._engine.export())))
    resumed = Counter.from_state(counter.state())
    assert resumed.t == 70
    assert resumed.guarantee == counter.guarantee
    assert resumed.mechanism == counter.mechanism
    silence(resumed._engine)
    silence(twin_engine)
    units = resumed._domain.array_units(xs[70:])
    got = [resumed.step(x).value for x in xs[70:]]
    want = [twin_engine.step(int(u)) * resumed._unit for u in units]
    assert got == want


def silence(engine):
    if hasattr(engine, "_noise"):
        engine._noise._queue = ChosenNoise()
    for name in ("_queue", "_totals"):
        if hasattr(engine, name):
            setattr(engine, name, ChosenNoise())
    if hasattr(engine, "_open_epoch"):
        start = engine._open_epoch

        def quiet(i):
            inner = start(i)
            inner._queue = ChosenNoise()
            return inner

        engine._open_epoch = quiet
        if engine._inner is not None:
            engine._inner._queue = ChosenNoise()


def test_handing_over_ends_the_counter():
    counter = Counter(rho=0.5, horizon=9)
    counter.step(1)
    data = counter.state()
    for attempt in (lambda: counter.step(1), lambda: counter.steps([1]), counter.state):
        with pytest.raises(dpkit.BudgetSpentError, match="handed over"):
            attempt()
    assert Counter.from_state(data).step(1).t == 2


def test_a_state_is_continued_once():
    data = Counter(rho=0.5).state()
    Counter.from_state(data)
    with pytest.raises(dpkit.BudgetSpentError, match="continued before"):
        Counter.from_state(data)


def test_claims_in_a_folder_hold_across_processes(tmp_path):
    data = Counter(rho=0.5, horizon=20, mechanism="binary").state()
    child = os.fork()
    if child == 0:
        try:
            try:
                Counter.from_state(data)  # without a store, another process may not continue it
                os._exit(1)
            except dpkit.BudgetSpentError:
                pass
            ok = Counter.from_state(data, store=ClaimFolder(tmp_path / "claims")).step(1).t == 1
            os._exit(0 if ok else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(dpkit.BudgetSpentError):
        Counter.from_state(data, store=ClaimFolder(tmp_path / "claims"))


def test_a_claim_in_a_folder_also_uses_up_the_process_claim(tmp_path):
    data = Counter(rho=0.5).state()
    Counter.from_state(data, store=ClaimFolder(tmp_path))
    with pytest.raises(dpkit.BudgetSpentError):
        Counter.from_state(data)


def test_damaged_and_foreign_states_are_refused():
    data = Counter(rho=0.5, horizon=20, mechanism="honaker").state()
    for at in range(0, len(data), 7):
        with pytest.raises(dpkit.FormatError):
            Counter.from_state(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(dpkit.FormatError):
        Counter.from_state(b"")
    with pytest.raises(dpkit.ArgumentError, match="data must be the bytes"):
        Counter.from_state("state")
    with pytest.raises(dpkit.FormatError, match="not a counter's state"):
        Counter.from_state(seal(Sealed("kde", {}, {})))
    public = unseal(data).public
    for broken in (
        {"engine": {}},
        {"engine": {"t": 0, "sums": 3, "estimates": []}},
        {"settings": {}},
        {"settings": {**public["settings"], "rho": -1}},
        {"token": "../../x"},
        {"t": "x"},
        {"design": {**public["design"], "levels": 99}},
        {"settings": {**public["settings"], "mechanism": "binary"}},
        {"version": 99},
    ):
        with pytest.raises(dpkit.FormatError):
            Counter.from_state(seal(Sealed("counter-state", {**public, **broken}, {})))
    Counter.from_state(data)  # none of that used up the claim


def test_a_state_warns_that_it_is_secret_and_holds_no_unread_noise():
    counter = Counter(rho=0.5, horizon=2000, mechanism="binary")
    counter.step(1)
    unread = counter._engine._queue._block[counter._engine._queue._at :]
    data = counter.state()
    assert b"secret" in data
    long = [z for z in unread if abs(z) >= 10**5]  # few digits may be there by chance
    assert len(long) > 50
    assert sum(str(z).encode() in data for z in long) == 0


def test_tokens_do_not_repeat():
    tokens = {states.open_state("counter", Counter(rho=0.5).state())[3] for _ in range(10)}
    assert len(tokens) == 10


def _items(n):
    return [f"item {i % 7}" if i % 3 else i / 2 for i in range(n)]


STREAMS = [
    (
        Histogram,
        {"d": 3, "rho": 1e6, "horizon": 60, "mechanism": "honaker"},
        lambda n: [i % 3 for i in range(n)],
    ),
    (TopK, {"d": 4, "k": 2, "rho": 1e6, "horizon": 60}, lambda n: ([1, 3, 1] + [1] * n)[:n]),
    (DistinctCount, {"rho": 1e6}, _items),
    (DistinctCount, {"epsilon": 1e4, "unit": "event", "horizon": 60}, _items),
    (
        MaxSum,
        {"d": 3, "horizon": 60, "rho": 1e6, "mechanism": "blocks"},
        lambda n: np.eye(3)[np.arange(n) % 2],
    ),
    (
        MaxSum,
        {"d": 3, "horizon": 60, "rho": 1e7, "mechanism": "counters"},
        lambda n: np.eye(3)[np.arange(n) % 2],
    ),
    (SumSelect, {"d": 3, "horizon": 60, "rho": 1e6}, lambda n: np.eye(3)[[1] * n]),
    (VectorCounter, {"d": 2, "rho": 1e6, "horizon": 60}, lambda n: np.full((n, 2), 0.3)),
    (SumSelect, {"d": 3, "horizon": 60, "epsilon": 1e4}, lambda n: np.eye(3)[[1] * n]),
]


@pytest.mark.parametrize(("kind", "settings", "make"), STREAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_every_stream_is_handed_over_once(kind, settings, make, tmp_path):
    """With next to no noise a resumed stream answers as one that never stopped; the second time it fails."""
    elements = make(50)
    whole = kind(**settings).steps(elements)
    stream = kind(**settings)
    first = stream.steps(elements[:23])
    data = stream.state()
    for attempt in (lambda: stream.step(elements[0]), lambda: stream.steps(elements[:2]), stream.state):
        with pytest.raises(dpkit.BudgetSpentError, match="handed over"):
            attempt()
    again = kind.from_state(data, store=ClaimFolder(tmp_path))
    assert again.t == 23
    assert again.guarantee == stream.guarantee
    assert again.mechanism == stream.mechanism
    single = again.step(elements[23])
    rest = again.steps(elements[24:])
    np.testing.assert_allclose(np.concatenate([first, [single.value], rest])[3:], whole[3:], atol=0.1)
    assert again.t == 50
    for store in (None, ClaimFolder(tmp_path)):  # a second time, whatever would be fed
        with pytest.raises(dpkit.BudgetSpentError):
            kind.from_state(data, store)
    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(dpkit.BudgetSpentError):
            copier(again)
    public = unseal(data).public
    for broken in ({"engine": {}}, {"settings": {}}, {"t": 10**13}, {"t": -1}, {"design": {}}):
        with pytest.raises(dpkit.FormatError):
            kind.from_state(seal(Sealed(unseal(data).kind, {**public, **broken}, {})))
    with pytest.raises(dpkit.FormatError, match="not a counter's state"):
        Counter.from_state(data)


@pytest.mark.parametrize(("kind", "settings", "make"), STREAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_forked_stream_refuses_to_go_on(kind, settings, make):
    stream, elements = kind(**settings), make(3)
    stream.step(elements[0])
    child = os.fork()
    if child == 0:
        refused = 0
        for attempt in (lambda: stream.step(elements[1]), lambda: stream.steps(elements[1:]), stream.state):
            try:
                attempt()
            except dpkit.BudgetSpentError:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert stream.step(elements[1]).t == 2


def test_items_of_every_type_survive_a_state():
    items = ["ä", "", "\ud800", b"\x00\xff", 10**30, -3, 0.1, 2.0**-1074, float("inf"), float("nan"), None]
    distinct = DistinctCount(rho=1e6, horizon=60)
    distinct.steps(items)
    again = DistinctCount.from_state(distinct.state())
    assert np.abs(again.steps(items) - 10).max() < 0.1
    assert len(again._items) == 10


def test_predictions_of_every_stream():
    best = Histogram.predict(5, rho=0.5, horizon=1000)[0]
    one = Counter.predict(rho=0.5, horizon=1000)[0]
    assert (best.rmse, best.worst_std, best.floor, best.counts) == (one.rmse, one.worst_std, one.floor, 5)
    assert best.state_size == 5 * one.state_size
    assert best.max_error() > one.max_error()
    replace = Histogram.predict(5, rho=0.5, horizon=1000, neighbours="replace")[0]
    assert replace.rmse == pytest.approx(np.sqrt(2) * best.rmse, rel=1e-4)
    assert replace.floor == pytest.approx(np.sqrt(2) * best.floor)
    assert TopK.predict(5, 2, rho=0.5, horizon=1000)[0] == best
    assert DistinctCount.predict(rho=0.5, horizon=1000)[0] == one
    event = DistinctCount.predict(rho=0.5, horizon=1000, unit="event")[0]
    assert one.rmse < event.rmse < np.sqrt(2) * one.rmse
    stream = Histogram(5, rho=0.5, horizon=1000)
    assert stream.std(1000) == pytest.approx(best.worst_std)
    for kind in (MaxSum, SumSelect):
        assert kind.predict(3, horizon=50, rho=0.5)[0] == kind(3, horizon=50, rho=0.5).plan
