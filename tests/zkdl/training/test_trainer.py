import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from tests.zkdl.training import reference
from zkdl.errors import RangeOverflowError
from zkdl.protocol.initial import initial_weights
from zkdl.protocol.settings import Settings
from zkdl.training.trainer import Trainer


@st.composite
def small_settings(draw):
    activation_bits = draw(st.integers(8, 16))
    f = draw(st.integers(1, activation_bits - 4))
    return Settings(
        activation_scale=f,
        gradient_scale=draw(st.integers(f, f + 5)),
        weight_scale=draw(st.integers(2, 48)),
        activation_bits=activation_bits,
        gradient_bits=draw(st.integers(8, 16)),
    )


@settings(max_examples=80, deadline=None)
@given(
    s=small_settings(),
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    bias=st.booleans(),
    batch=st.integers(1, 4),
    mu=st.sampled_from([1, 2, 3, 1000]),
    seed=st.integers(0, 2**32),
)
def test_agrees_with_python_integers(s, widths, bias, batch, mu, seed):
    rng = np.random.default_rng(seed)
    trainer = Trainer(widths, bias, s, mu, initial_seed=seed)
    weights, biases = ([a.tolist() for a in part] for part in initial_weights(seed, widths, bias, s))
    top = 2**s.activation_scale
    steps = 0
    for _ in range(3):
        x = rng.integers(-top, top + 1, (batch, widths[0]))
        y = rng.integers(0, 2, (batch, widths[-1])) * top
        try:
            cells, weights, biases = reference.step(weights, biases, x.tolist(), y.tolist(), s, mu)
        except OverflowError:
            with pytest.raises(RangeOverflowError) as caught:
                trainer.step(x, y)
            assert caught.value.step == steps
            event("overflow")
            break
        tensors = trainer.step(x, y)
        for name, expected in cells.items():
            assert [part.tolist() for part in getattr(tensors, name)] == expected, name
        assert [w.tolist() for w in trainer.weights] == weights
        assert [b.tolist() for b in trainer.biases] == biases
        steps += 1
    assume(steps > 0)


def test_magnitudes_beyond_int64_are_exact():
    s = Settings(activation_scale=1, gradient_scale=17, weight_scale=48, activation_bits=16, gradient_bits=16)
    widths = (300, 2, 1)
    trainer = Trainer(widths, True, s, 1, initial_seed=3)
    weights, biases = ([a.tolist() for a in part] for part in initial_weights(3, widths, True, s))
    x = np.random.default_rng(0).integers(-(2**14), 2**14, (1, 300))
    y = np.zeros((1, 1), dtype=np.int64)
    try:
        cells, *_ = reference.step(weights, biases, x.tolist(), y.tolist(), s, 1)
    except OverflowError:
        with pytest.raises(RangeOverflowError):
            trainer.step(x, y)
    else:
        assert trainer.step(x, y).remainder[0].tolist() == cells["remainder"][0]


def test_overflow_names_step_layer_and_setting():
    s = Settings(8, 12, 32)
    trainer = Trainer((2, 1), False, s, 1, initial_seed=1)
    x = np.full((1, 2), 2**15 - 1)
    trainer._matrices = [np.full((2, 1), 2**33)]
    before = trainer.weights[0].copy()
    with pytest.raises(
        RangeOverflowError, match=r"step 0, layer 1: pre-activation 131068 .*activation_bits"
    ) as caught:
        trainer.step(x, np.zeros((1, 1), dtype=np.int64))
    error = caught.value
    assert (error.step, error.layer, error.value, error.setting) == (0, 1, 131068, "activation_bits")
    assert np.array_equal(trainer.weights[0], before)
    assert trainer.steps_done == 0


def test_gradient_overflow_names_the_layer_it_arrives_at():
    s = Settings(8, 12, 32, gradient_bits=4)
    trainer = Trainer((1, 1, 1), False, s, 1, initial_seed=1)
    trainer._matrices = [np.array([[2**32]]), np.array([[2**32]])]
    with pytest.raises(RangeOverflowError, match="gradient_bits") as caught:
        trainer.step(np.array([[256]]), np.array([[0]]))
    assert (caught.value.layer, caught.value.tensor) == (1, "gradient")


def test_weight_overflow_is_refused_and_a_near_miss_is_not():
    s = Settings(8, 12, 32)
    for mu, refused in ((2**62 // 2**12 // 256, True), (2**30, False)):
        trainer = Trainer((1, 1), False, s, mu, initial_seed=1)
        trainer._matrices = [np.array([[0]])]
        args = np.array([[256]]), np.array([[256]])
        if refused:
            with pytest.raises(RangeOverflowError, match=r"weight reaches"):
                trainer.step(*args)
        else:
            trainer.step(*args)
            assert trainer.weights[0][0, 0] == mu * 2**8 * 2**12


def test_negative_zero_cannot_choose_its_sign():
    """A pre-activation that rounds to zero from below counts as zero: the neuron is active."""
    s = Settings(8, 12, 32)
    trainer = Trainer((1, 1, 1), False, s, 1, initial_seed=1)
    trainer._matrices = [np.array([[-(2**23)]]), np.array([[2**32]])]
    tensors = trainer.step(np.array([[256]]), np.array([[0]]))
    assert tensors.positive[0][0, 0] == 0
    assert tensors.sign[0][0, 0] == 0
