import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkdl.training.exact import exact_matmul, rescale


def _python_product(a, b):
    return [[sum(int(x) * int(y) for x, y in zip(row, col, strict=True)) for col in b.T] for row in a]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_product_is_exact_at_every_magnitude(data):
    m, k, n = (data.draw(st.integers(1, 5)) for _ in range(3))
    bits_a, bits_b = (data.draw(st.integers(1, 62)) for _ in range(2))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    a = rng.integers(-(2**bits_a) + 1, 2**bits_a, (m, k))
    b = rng.integers(-(2**bits_b) + 1, 2**bits_b, (k, n))
    if data.draw(st.booleans()):
        a.flat[0], b.flat[0] = 2**bits_a - 1, -(2**bits_b) + 1
    assert exact_matmul(a, b).tolist() == _python_product(a, b)


@pytest.mark.parametrize(("bits_a", "bits_b"), [(1, 51), (15, 40), (40, 15), (30, 29), (15, 45), (20, 60)])
def test_product_is_exact_with_many_terms(bits_a, bits_b):
    rng = np.random.default_rng(bits_a * 100 + bits_b)
    a = rng.choice([-1, 1], (3, 300)) * ((1 << bits_a) - rng.integers(1, 1 << min(bits_a, 4), (3, 300)))
    b = (1 << bits_b) - rng.integers(1, 1 << min(bits_b, 4), (300, 2))
    assert exact_matmul(a, b).tolist() == _python_product(a, b)


def test_extreme_int64_values():
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    a, b = np.array([[low, high]]), np.array([[high], [low]])
    assert exact_matmul(a, b)[0, 0] == 2 * low * high


def test_common_sizes_avoid_python_integers():
    a = np.full((4, 785), 2**15)
    b = np.full((785, 3), 2**33)
    assert exact_matmul(a, b).dtype == np.int64


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=8), st.integers(1, 48))
def test_rescale_rounds_half_up(values, bits):
    quotient, remainder = rescale(np.array(values), bits)
    for v, q, r in zip(values, quotient.tolist(), remainder.tolist(), strict=True):
        assert v + 2 ** (bits - 1) == 2**bits * q + r
        assert 0 <= r < 2**bits


def test_rescale_of_python_integers():
    value = 2**90 + 2**9 + 1
    quotient, remainder = rescale(np.array([value], dtype=object), 10)
    assert value + 2**9 == 2**10 * quotient[0] + int(remainder[0])
    assert remainder.dtype == np.int64
