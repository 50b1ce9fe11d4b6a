import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkdl.errors import InputError
from zkdl.protocol.sampling import batches


def _slow_words(domain, key):
    index = 0
    while True:
        message = len(domain).to_bytes(8, "little") + domain
        for value in (*key, index):
            message += (8).to_bytes(8, "little") + value.to_bytes(8, "little")
        block = hashlib.shake_256(message).digest(8 * 8192)
        for at in range(0, len(block), 8):
            yield int.from_bytes(block[at : at + 8], "little")
        index += 1


def _slow_batches(seed, n, b, t):
    """Whole shuffles of a list, one after the other, each from a stream of its own."""
    out, order, at, used, epoch = [], list(range(n)), 0, n, 0
    while len(out) < t:
        if n - used < b:
            order, used, at = list(range(n)), 0, 0
            stream = _slow_words(b"dpkit-zkdl/batches/v1", (seed, n, b, *([epoch] if epoch else [])))
            epoch += 1
        for _ in range(b):
            span = n - at
            word = next(stream)
            while word >= 2**64 - 2**64 % span:
                word = next(stream)
            j = at + word % span
            order[at], order[j] = order[j], order[at]
            at += 1
        out.append(order[used : used + b])
        used += b
    return out


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    n=st.integers(1, 40),
    share=st.floats(0, 1),
    steps=st.integers(1, 12),
)
def test_agrees_with_shuffling_a_list(seed, n, share, steps):
    size = max(1, round(n * share))
    assert batches(seed, n, size, steps).tolist() == _slow_batches(seed, n, size, steps)


def test_epochs_visit_every_record_once():
    drawn = batches(3, 12, 4, 6)
    assert sorted(drawn[:3].ravel()) == list(range(12))
    assert sorted(drawn[3:].ravel()) == list(range(12))
    assert drawn[:3].tolist() != drawn[3:].tolist()


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 20), share=st.floats(0, 1), first=st.integers(0, 40), steps=st.integers(1, 12))
def test_a_later_start_continues_the_same_sequence(n, share, first, steps):
    size = max(1, round(n * share))
    whole = batches(5, n, size, first + steps)
    assert np.array_equal(batches(5, n, size, steps, first), whole[first:])


def test_a_start_far_out_costs_one_epoch():
    drawn = batches(5, 10, 3, 2, (1 << 63) - 3)
    assert drawn.shape == (2, 3)
    assert len(set(drawn[0].tolist())) == 3


def test_leftover_records_of_an_epoch_are_skipped():
    drawn = batches(1, 7, 3, 4)
    for epoch in (drawn[:2], drawn[2:]):
        assert len(set(epoch.ravel().tolist())) == 6


def test_more_steps_extend_the_same_batches():
    assert np.array_equal(batches(9, 20, 6, 30)[:7], batches(9, 20, 6, 7))


def test_seeds_differ_and_the_values_are_pinned():
    assert batches(1, 1000, 4, 2).tolist() != batches(2, 1000, 4, 2).tolist()
    assert batches(1, 1000, 4, 2).tolist() == [[947, 892, 688, 953], [287, 499, 230, 73]]


def test_positions_are_uniform():
    counts = np.zeros((5, 5))
    for seed in range(2000):
        counts[np.arange(5), batches(seed, 5, 5, 1)[0]] += 1
    # Each count is binomial(2000, 1/5): mean 400, standard deviation 18; five of them are 90.
    assert np.abs(counts - 400).max() < 90


def test_cost_does_not_depend_on_the_number_of_records():
    assert batches(1, 2**40, 4, 2).max() < 2**40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 3, 4, 1), "batch_size"),
        ((1, 3, 0, 1), "batch_size"),
        ((1, 3, 2, 0), "steps"),
        ((-1, 3, 2, 1), "seed"),
        ((2**63, 3, 2, 1), "seed"),
        ((1, 3, 2, 1, -1), "first_step"),
        ((1, 3, 2, 1, 2**63), "first_step"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        batches(*arguments)
