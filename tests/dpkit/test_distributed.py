"""Sums over a Dask cluster: the same integers as in one pass, whatever happens to the workers."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import dpkit
from dpkit.distributed import _merged
from dpkit.noise import UnsafeSeededNoise

dask = pytest.importorskip("dask")
array = pytest.importorskip("dask.array")

KINDS = {
    "kde": lambda: dpkit.KDE.builder(d=3, features=70, epsilon=1.0),
    "kde, replace": lambda: dpkit.KDE.builder(d=3, features=70, delta=1e-6, neighbours="replace"),
    "l1": lambda: dpkit.DistanceSum.builder(d=3, metric="l1", bounds=(-3.0, 3.0)),
    "lp": lambda: dpkit.DistanceSum.builder(d=3, metric="lp", p=1.5, bounds=(-3.0, 3.0), depth=6),
    "l2": lambda: dpkit.DistanceSum.builder(d=3, metric="l2", radius=4.0, features=6, depth=6),
    "sqeuclidean": lambda: dpkit.DistanceSum.builder(
        d=3, metric="sqeuclidean", radius=4.0, neighbours="replace"
    ),
}


def records(n):
    return np.random.default_rng(0).normal(size=(n, 3))


def sealed(builder):
    return builder.release(unsafe_noise=UnsafeSeededNoise(1)).to_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_one_pass(kind):
    X = records(1000)
    with dask.config.set(scheduler="synchronous"):
        split = array.from_array(X, chunks=(37, 2))
        assert sealed(dpkit.distributed.update(KINDS[kind](), split)) == sealed(KINDS[kind]().update(X))
        again = dpkit.distributed.update(
            KINDS[kind]().update(X[:10]), [X[10:400], X[400:400], dask.delayed(X[400:])]
        )
        assert sealed(again) == sealed(KINDS[kind]().update(X))
        assert sealed(dpkit.distributed.update(KINDS[kind](), [])) == sealed(KINDS[kind]())


def test_equal_chunks_all_count():
    X = np.zeros((10, 3))
    with dask.config.set(scheduler="synchronous"):
        many = dpkit.distributed.update(KINDS["kde, replace"](), [X] * 20)
    assert many.release().count == 200


def test_merging_leaves_its_parts_alone():
    parts = [(np.full(3, i, dtype=np.uint64), i) for i in range(4)]
    assert [a.tolist() for a in _merged(parts)[:1]] == [[6, 6, 6]]
    assert _merged(parts)[1] == 6
    assert parts[0][0].tolist() == [0, 0, 0]


def test_refusals():
    X = records(5)
    with dask.config.set(scheduler="synchronous"):
        for builder, chunks, message in (
            (3, [X], "builder"),
            (KINDS["l1"](), 3, "sequence"),
            (KINDS["l1"](), "abc", "sequence"),
            (KINDS["l1"](), [X[:, :2]], "d = 3 columns"),
            (KINDS["l1"](), array.zeros((4, 2)), "shape"),
        ):
            with pytest.raises(dpkit.ArgumentError, match=message):
                dpkit.distributed.update(builder, chunks)
        spent = KINDS["l1"]()
        spent.release()
        with pytest.raises(dpkit.BudgetSpentError):
            dpkit.distributed.update(spent, [X])


def _slowly(rows, seconds):
    time.sleep(seconds)
    return rows


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_killed_half_way_loses_nothing_and_counts_nothing_twice():
    distributed = pytest.importorskip("distributed")
    X = records(2000)
    settings = {"distributed.comm.timeouts.connect": "60s", "distributed.scheduler.allowed-failures": 20}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = [info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()]
        chunks = [dask.delayed(_slowly, pure=True)(part, 0.4) for part in np.array_split(X, 40)]
        killed = threading.Timer(6.0, os.kill, (pids[0], signal.SIGKILL))
        killed.start()
        builder = dpkit.distributed.update(KINDS["kde, replace"](), chunks, client)
        killed.join()
        alive = {info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()}
        assert pids[0] not in alive
    assert sealed(builder) == sealed(KINDS["kde, replace"]().update(X))
