"""The fast trainer is the plain one, integer for integer, on every path through it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from zkdl.errors import RangeOverflowError
from zkdl.protocol.settings import Settings
from zkdl.training import check_witness, datasets, fit, train
from zkdl.training.fast import FastTrainer
from zkdl.training.trainer import Trainer

CELLS = ("positive", "sign", "remainder", "gradient", "gradient_remainder")


def pair(widths, bias, s, mu, seed=1, added=None):
    return [kind(widths, bias, s, mu, seed, added) for kind in (FastTrainer, Trainer)]


def outcome(trainer, x, y):
    """(cells, None) or (None, error)."""
    try:
        return trainer.step(x, y), None
    except RangeOverflowError as error:
        return None, error


def same_step(fast, plain, x, y):
    """One step of both: the same cells and weights, or the same refusal and untouched weights."""
    before = fast.weights, fast.biases
    expected, refusal = outcome(plain, x, y)
    cells, error = outcome(fast, x, y)
    assert str(error) == str(refusal)
    if refusal is not None:
        assert error.__dict__ == refusal.__dict__
        for found, kept in zip((fast.weights, fast.biases), before, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(found, kept, strict=True))
        return None
    for name in CELLS:
        for a, b in zip(getattr(cells, name), getattr(expected, name), strict=True):
            assert a.dtype == np.int64
            assert np.array_equal(a, b), name
    assert np.array_equal(cells.output, expected.output)
    same_weights(fast, plain)
    assert fast.steps_done == plain.steps_done
    return cells


def same_weights(fast, plain):
    for ours, theirs in ((fast.weights, plain.weights), (fast.biases, plain.biases)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == np.int64
            assert np.array_equal(a, b)


@st.composite
def any_settings(draw):
    activation_bits = draw(st.integers(4, 16))
    f = draw(st.integers(1, activation_bits - 2))
    return Settings(
        activation_scale=f,
        gradient_scale=draw(st.sampled_from([f, f + 3, 31])),
        weight_scale=draw(st.sampled_from([1, 12, 30, 32, 40, 48])),
        activation_bits=activation_bits,
        gradient_bits=draw(st.integers(4, 16)),
    )


@settings(max_examples=150, deadline=None)
@given(
    s=any_settings(),
    widths=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    bias=st.booleans(),
    batch=st.integers(1, 5),
    mu=st.sampled_from([1, 3, 1 << 20, 1 << 44]),
    extra=st.sampled_from([0, 20, 35, 44, 48, 51, 52, 53, 54, 60, 61]),
    data_bits=st.sampled_from([0, 4, 10, 14, 15, 31, 40]),
    seed=st.integers(0, 2**32),
)
def test_same_integers_as_the_plain_trainer(s, widths, bias, batch, mu, extra, data_bits, seed):
    """Weights from small to almost 2^62, data from nothing to far out of range."""
    rng = np.random.default_rng(seed)
    top = 1 << extra
    shapes = list(pairwise(widths))
    added = (
        [rng.choice([-top, -top + 1, 0, 1, top - 1], shape) for shape in shapes],
        [rng.integers(-top, top, width) for width in widths[1:]] if bias else [],
    )
    fast, plain = pair(widths, bias, s, mu, seed, added)
    same_weights(fast, plain)
    for _ in range(2):
        x = rng.choice([-(1 << data_bits), (1 << data_bits) - 1, 0, 1], (batch, widths[0]))
        y = rng.integers(-(1 << data_bits), 1 << data_bits, (batch, widths[-1]))
        assert np.array_equal(fast.outputs(x), plain.outputs(x))
        done = same_step(fast, plain, x, y)
        event(f"refused: {done is None}, general: {fast.general_steps > 0}")
        if done is None:
            break


@pytest.mark.parametrize(("w", "limbs"), [(32, 1), (40, 2), (43, 3)])
def test_products_beyond_53_bits_are_cut_into_limbs(w, limbs):
    """Sums of magnitudes far above 2^53, forward and backward, though the sums themselves are small."""
    s = Settings(10, 10, w)
    rng = np.random.default_rng(0)
    widths = (64, 64, 32)
    fast, plain = pair(widths, True, s, 1)
    matrices = [rng.integers(-(2 ** (w - 2)), 2 ** (w - 2), (64 + 1, width)) for width in widths[1:]]
    fast._matrices, plain._matrices = matrices, matrices
    for _ in range(2):
        x, y = (rng.integers(-(2**12), 2**12, (4, width)) for width in (64, 32))
        assert same_step(fast, plain, x, y) is not None
    assert fast.general_steps == 0
    forward = fast._times(fast._fed(x, 64), 1)
    assert len(forward.parts) == limbs
    assert np.array_equal(forward.whole(), np.hstack([x, np.full((4, 1), 2**10)]) @ plain._matrices[0])


def test_the_last_weight_that_is_a_double_and_the_first_that_is_not():
    s = Settings(2, 2, 40, activation_bits=16)
    x, y = np.array([[1]]), np.array([[4]])
    for start, general in ((2**53 - 2**20, 0), (2**53 - 5, 1), (2**53, 2)):
        fast, plain = pair((1, 1), False, s, 1)
        for model in (fast, plain):
            model._matrices = [np.array([[start]])]
        for _ in range(2):
            assert same_step(fast, plain, x, y) is not None
        assert fast.general_steps == general, start


def test_weights_may_grow_beyond_the_doubles_and_come_back():
    s = Settings(2, 2, 40)
    fast, plain = pair((1, 1), False, s, 2**50)
    for model in (fast, plain):
        model._matrices = [np.array([[0]])]
    general = []
    for target in (8, 2**13, 0, 0):
        same_step(fast, plain, np.array([[1]]), np.array([[target]]))
        general.append(fast.general_steps)
    assert general[0] > 0


def test_ordinary_training_and_its_check_never_leave_the_fast_path(monkeypatch):
    """At the settings that are chosen by default; a silent fall back would only show in the time."""

    def refuse(*_):
        raise AssertionError("the general path was taken")

    monkeypatch.setattr(Trainer, "step", refuse)
    monkeypatch.setattr(Trainer, "outputs", refuse)
    digits = datasets.load("digits")
    for rate in ("1/16", "1/1024"):
        result = fit(digits.X, digits.y, hidden=(64, 64), steps=30, learning_rate=rate, test=digits.test)
        assert len(result.history.loss) == 30
    run = train(digits.X[:64], digits.y[:64], hidden=(8,), steps=2, batch_size=16)
    check_witness(run.statement, run.witness)


def test_full_width_takes_the_fast_path_even_with_every_activation_at_its_limit(monkeypatch):
    """A layer of 1,024 inputs at their largest: cut into limbs, not left to the general path."""
    monkeypatch.setattr(Trainer, "step", None)
    s = Settings.choose(64, "1/64")
    fast = FastTrainer((1024, 16, 10), True, s, 1, 1)
    operand = fast._fed(np.full((2, 1024), s.activation_limit - 1), 1024)
    product = fast._times(operand, 1)
    assert len(product.parts) == 2
    exact = operand.values.astype(np.int64) @ fast._matrices[0]
    assert np.array_equal(product.whole(), exact)
