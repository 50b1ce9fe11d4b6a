"""Chunks, shards and the single release: nothing counted twice, nothing spent twice, nothing left behind."""

import copy
import gc
import os
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit
from dpkit.audit import find_leaks
from dpkit.audit.kde import exact_vector
from dpkit.noise import UnsafeSeededNoise
from dpkit.similarity.calibration import add_noise

SETTINGS = {"d": 3, "epsilon": 1.0, "features": 70}


def records(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


def release(builder, seed=1):
    return builder.release(unsafe_noise=UnsafeSeededNoise(seed))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=4), st.lists(st.integers(0, 200), max_size=4))
def test_chunks_and_merged_shards_equal_one_pass(left, right):
    X = records(sum(left) + sum(right))
    whole = dpkit.KDE.builder(**SETTINGS).update(X)
    first, second = dpkit.KDE.builder(**SETTINGS), dpkit.KDE.builder(**SETTINGS)
    start = 0
    for builder, sizes in ((first, left), (second, right)):
        for size in sizes:
            builder.update(X[start : start + size])
            start += size
    assert release(first.merge(second)).to_bytes() == release(whole).to_bytes()


def test_every_coordinate_gets_exactly_the_drawn_noise():
    X = records(40)
    for delta in (0.0, 1e-6):
        builder = dpkit.KDE.builder(**SETTINGS, delta=delta).update(X)
        plan, features = builder._settings.calibration, builder._settings.features
        kde = release(builder, seed=9)
        source = UnsafeSeededNoise(9)
        sums = plan.draw_sums(source, (2, 70), 1).reshape(-1)
        noise = np.append(sums, plan.draw(source, plan.count, 1))
        noisy = np.append(kde._sums.reshape(-1), kde.count)
        assert (noisy - noise == exact_vector(features, X)).all()
        assert (noise != 0).sum() >= 140


def test_a_builder_releases_once():
    builder = dpkit.KDE.builder(**SETTINGS).update(records(5))
    builder.release()
    for action in (
        builder.release,
        lambda: builder.update(records(1)),
        lambda: builder.merge(dpkit.KDE.builder(**SETTINGS)),
        lambda: dpkit.KDE.builder(**SETTINGS).merge(builder),
    ):
        with pytest.raises(dpkit.BudgetSpentError, match="released"):
            action()


def test_a_merged_builder_is_spent():
    first, second = (dpkit.KDE.builder(**SETTINGS).update(records(5)) for _ in range(2))
    first.merge(second)
    for action in (second.release, lambda: first.merge(second), lambda: second.update(records(1))):
        with pytest.raises(dpkit.BudgetSpentError, match="merged"):
            action()
    assert release(first).count != 0


def test_a_builder_cannot_be_merged_with_itself():
    builder = dpkit.KDE.builder(**SETTINGS).update(records(5))
    with pytest.raises(dpkit.MergeError, match="itself"):
        builder.merge(builder)
    builder.release()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kernel": "cauchy"}, "kernel"),
        ({"bandwidth": 2.0}, "bandwidth"),
        ({"features": 71}, "features"),
        ({"public_seed": 1}, "public_seed"),
        ({"epsilon": 2.0}, "epsilon"),
        ({"delta": 1e-6}, "delta"),
        ({"neighbours": "replace"}, "neighbours"),
        ({"bounds": (0.0, 1.0)}, "bounds"),
        ({"d": 2}, "columns"),
    ],
)
def test_unequal_parameters_do_not_merge(change, named):
    first, second = dpkit.KDE.builder(**SETTINGS), dpkit.KDE.builder(**{**SETTINGS, **change})
    with pytest.raises(dpkit.MergeError, match=named):
        first.merge(second)
    first.release()
    second.release()


def test_merging_something_else():
    with pytest.raises(dpkit.ArgumentError, match="KDE builder"):
        dpkit.KDE.builder(**SETTINGS).merge(3)


def test_a_refused_chunk_changes_nothing():
    builder = dpkit.KDE.builder(**SETTINGS).update(records(5))
    with pytest.raises(dpkit.ArgumentError, match="d = 3 columns"):
        builder.update(np.zeros((4, 2)))
    expected = dpkit.KDE.builder(**SETTINGS).update(records(5))
    assert release(builder).to_bytes() == release(expected).to_bytes()


def test_an_interrupted_update_leaves_nothing_to_release(monkeypatch):
    """Half a chunk may be in: a second try could count a record twice, beyond the sensitivity."""
    builder = dpkit.KDE.builder(**SETTINGS).update(records(5))
    sums = builder._sums

    def interrupt(total, *_):
        total += np.uint64(1)
        raise KeyboardInterrupt

    monkeypatch.setattr("dpkit.similarity.fourier.add_contributions", interrupt)
    with pytest.raises(KeyboardInterrupt):
        builder.update(records(5))
    monkeypatch.undo()
    assert not sums.any()
    for action in (lambda: builder.update(records(5)), builder.release):
        with pytest.raises(dpkit.BudgetSpentError, match="interrupted"):
            action()


def test_a_builder_is_neither_copied_nor_pickled_nor_printed():
    builder = dpkit.KDE.builder(**SETTINGS).update(records(7))
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps, lambda b: pickle.dumps([b])):
        with pytest.raises(dpkit.DpkitError, match="exact private sums"):
            attempt(builder)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(dpkit.DpkitError):
            pickle.dumps(builder, protocol)
    shown = f"{builder!r} {builder}"
    assert "7" not in shown.replace("70", "")
    assert not hasattr(builder, "__dict__")


def test_a_fork_cannot_spend_the_budget_again(monkeypatch):
    builder = dpkit.KDE.builder(**SETTINGS).update(records(5))
    here = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    with pytest.raises(dpkit.BudgetSpentError, match="process"):
        builder.release()


def test_a_failed_release_is_spent_and_keeps_nothing():
    class Broken(UnsafeSeededNoise):
        def discrete_laplace(self, *_):
            raise OSError("no entropy")

    builder = dpkit.KDE.builder(**SETTINGS).update(records(5))
    sums = builder._sums
    with pytest.raises(OSError, match="no entropy"):
        builder.release(unsafe_noise=Broken(0))
    with pytest.raises(dpkit.BudgetSpentError):
        builder.release()
    assert not sums.any()


def test_no_exact_number_survives_the_release():
    X = records(50)
    builder = dpkit.KDE.builder(**SETTINGS).update(X)
    exact = exact_vector(builder._settings.features, X)
    secrets = {"sums": exact[:-1], "cosines": exact[:70], "sines": exact[70:140], "records": X}
    assert find_leaks(builder, {"sums": exact[:-1]}) != []
    kde = builder.release()
    files = {"file": kde.to_bytes(), "pickle": pickle.dumps(kde)}
    assert find_leaks(kde, secrets, files) == []
    assert find_leaks(builder, secrets) == []


def test_updates_from_threads_are_all_counted():
    builder = dpkit.KDE.builder(**SETTINGS, neighbours="replace")
    X = records(4000)
    threads = [threading.Thread(target=builder.update, args=(part,)) for part in np.array_split(X, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = dpkit.KDE.builder(**SETTINGS, neighbours="replace").update(X)
    assert release(builder).to_bytes() == release(expected).to_bytes()


def test_memory_is_bounded_whatever_the_number_of_records():
    peaks = []
    for rows in (60_000, 480_000):
        X = np.zeros((rows, 2), dtype=np.float32)
        dpkit.KDE(X[:100], features=512)
        gc.collect()
        tracemalloc.start()
        dpkit.KDE(X, features=512)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 4 << 20
    assert peaks[1] < 1.2 * peaks[0] + (1 << 18)


def test_noisy_sums_wrap_and_decode():
    settings_ = dpkit.KDE.builder(d=1, features=2)._settings
    near = np.array([[2**63 - 1, 2**63], [2**64 - 1, 0]], dtype=np.uint64)
    noisy = add_noise(near, 2**63, settings_.calibration, UnsafeSeededNoise(3))
    small = add_noise(np.zeros((2, 2), np.uint64), 0, settings_.calibration, UnsafeSeededNoise(3))
    expected = [
        [(int(s) + int(z) + 2**63) % 2**64 - 2**63 for s, z in zip(rs, rz, strict=True)]
        for rs, rz in zip(near, small["sums"][0], strict=True)
    ]
    assert noisy["sums"][0].tolist() == expected
