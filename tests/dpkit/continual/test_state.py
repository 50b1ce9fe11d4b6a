"""Suspending and resuming a stream: same law, once only, nothing foreign."""

import json
import os

import numpy as np
import pytest

import dpkit
from dpkit.continual import ClaimFolder, Counter
from dpkit.continual import state as states
from dpkit.release import Sealed, seal, unseal
from tests.dpkit.continual.test_counter import CASES
from tests.dpkit.continual.twins import ChosenNoise


@pytest.mark.parametrize(("mechanism", "budget"), CASES)
@pytest.mark.parametrize("horizon", [200, None])
def test_a_resumed_stream_goes_on_where_it_stopped(mechanism, budget, horizon):
    """With all later noise zero, a resumed stream gives the answers of one that never stopped."""
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
    assert len(unread) > 50
    assert sum(str(z).encode() in data for z in unread) == 0


def test_tokens_do_not_repeat():
    tokens = {states.open_state("counter", Counter(rho=0.5).state())[3] for _ in range(10)}
    assert len(tokens) == 10
