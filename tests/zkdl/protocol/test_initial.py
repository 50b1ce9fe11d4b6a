from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.protocol.test_sampling import _slow_words
from zkdl.errors import InputError
from zkdl.protocol.initial import initial_bound, initial_weights
from zkdl.protocol.settings import Settings


def _slow_layer(seed, layer, fan_in, fan_out, w):
    bound = isqrt(6 * 4**w // fan_in)
    span = 2 * bound + 1
    stream = _slow_words(b"dpkit-zkdl/initial-weights/v1", (seed, layer, fan_in, fan_out))
    out = []
    while len(out) < fan_in * fan_out:
        word = next(stream)
        if word < 2**64 - 2**64 % span:
            out.append(word % span - bound)
    return [out[i * fan_out : (i + 1) * fan_out] for i in range(fan_in)]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    w=st.integers(1, 48),
    bias=st.booleans(),
)
def test_agrees_with_python_integers(seed, widths, w, bias):
    weights, biases = initial_weights(seed, widths, bias, Settings(weight_scale=w))
    for layer, weight in enumerate(weights, start=1):
        assert weight.dtype == np.int64
        assert weight.tolist() == _slow_layer(seed, layer, widths[layer - 1], widths[layer], w)
    assert [b.tolist() for b in biases] == ([[0] * d for d in widths[1:]] if bias else [])


def test_distribution_is_that_of_he():
    s = Settings()
    (weights,), _ = initial_weights(1, (100, 2000), False, s)
    scaled = weights / 2**s.weight_scale
    bound = (6 / 100) ** 0.5
    assert abs(initial_bound(100, s) / 2**s.weight_scale - bound) < 1e-9
    assert np.abs(scaled).max() <= bound
    assert abs(scaled.var() / (2 / 100) - 1) < 0.02
    # The mean of 200,000 uniform numbers: standard deviation bound / sqrt(3 * 200000).
    assert abs(scaled.mean()) < 5 * bound / (3 * 200_000) ** 0.5


def test_layers_and_seeds_are_independent_streams():
    weights, _ = initial_weights(1, (4, 4, 4), False, Settings())
    other, _ = initial_weights(2, (4, 4, 4), False, Settings())
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], other[0])


def test_values_are_pinned():
    weights, _ = initial_weights(1, (2, 2), False, Settings())
    assert weights[0].tolist() == [[6118057545, -4867704058], [6643884108, -1794809012]]


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_bad_seed(seed):
    with pytest.raises(InputError, match="initial_seed"):
        initial_weights(seed, (1, 1), True, Settings())
