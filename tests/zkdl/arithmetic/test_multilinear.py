"""Multilinear tables and sumcheck rounds against sums over Python integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.arithmetic import twins
from zkdl.arithmetic import Fr, multilinear, set_threads

R = Fr.modulus
INT64 = np.iinfo(np.int64)
scalars = st.one_of(st.sampled_from([0, 1, R - 1, 2, R // 2]), st.integers(0, R - 1))
words = st.one_of(st.sampled_from([0, 1, -1, INT64.min, INT64.max]), st.integers(INT64.min, INT64.max))


def tables(k):
    return st.lists(scalars, min_size=1 << k, max_size=1 << k)


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def threads(request):
    set_threads(request.param)
    yield request.param
    set_threads()


@settings(max_examples=30, deadline=None)
@given(point=st.lists(scalars, max_size=6))
def test_eq_table(point):
    assert Fr.to_ints(multilinear.eq_table(point)) == twins.eq_table(point)


@pytest.mark.parametrize("k", [12, 13, 14])
def test_large_eq_table(k, threads):
    point = Fr.to_ints(Fr.random(k))
    assert Fr.to_ints(multilinear.eq_table(point)) == twins.eq_table(point)


def test_bit_order_is_little_endian():
    """Entry 2^i is the value at the i-th unit vector, and point[i] belongs to bit i."""
    table = Fr.from_ints(range(8))
    for i in range(3):
        point = [0, 0, 0]
        point[i] = 1
        assert multilinear.evaluate(table, point) == 1 << i


@settings(max_examples=30, deadline=None)
@given(data=st.data(), k=st.integers(0, 5))
def test_evaluate_and_fold(data, k):
    values = data.draw(tables(k))
    point = data.draw(st.lists(scalars, min_size=k, max_size=k))
    expected = sum(a * b for a, b in zip(values, twins.eq_table(point), strict=True)) % R
    assert multilinear.evaluate(Fr.from_ints(values), point) == expected
    assert multilinear.evaluate(Fr.from_ints(values), Fr.from_ints(point)) == expected
    table = Fr.from_ints(values)
    for r in reversed(point):
        table = multilinear.fold_high(table, r)
    assert Fr.to_ints(table) == [expected]


def test_fold_works_in_place():
    table = Fr.from_ints(range(8))
    folded = multilinear.fold_high(table, 3)
    assert np.shares_memory(table, folded)
    assert Fr.to_ints(folded) == [i + 3 * 4 for i in range(4)]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.integers(0, 5))
def test_integer_tables(data, k):
    values = data.draw(st.lists(words, min_size=1 << k, max_size=1 << k))
    point = data.draw(st.lists(scalars, min_size=k, max_size=k))
    eq = twins.eq_table(point)
    expected = sum(a * b for a, b in zip(values, eq, strict=True)) % R
    table = np.array(values, np.int64)
    assert multilinear.eval_int(table, point) == expected
    assert multilinear.inner_int(table, Fr.from_ints(eq)) == expected


@settings(max_examples=25, deadline=None)
@given(data=st.data(), m=st.integers(1, 5), n=st.integers(1, 5))
def test_matrix_products(data, m, n):
    rows = data.draw(st.lists(st.lists(words, min_size=n, max_size=n), min_size=m, max_size=m))
    right = data.draw(st.lists(scalars, min_size=n, max_size=n))
    left = data.draw(st.lists(scalars, min_size=m, max_size=m))
    matrix = np.array(rows, np.int64)
    assert Fr.to_ints(multilinear.matvec(matrix, Fr.from_ints(right))) == [
        sum(w * v for w, v in zip(row, right, strict=True)) % R for row in rows
    ]
    assert Fr.to_ints(multilinear.vecmat(Fr.from_ints(left), matrix)) == [
        sum(left[i] * rows[i][j] for i in range(m)) % R for j in range(n)
    ]


def test_large_products_agree_across_threads(threads):
    rng = np.random.default_rng(1)
    matrix = rng.integers(INT64.min, INT64.max, (40, 300))
    left, right = Fr.random(40), Fr.random(300)
    u, v = Fr.to_ints(left), Fr.to_ints(right)
    assert Fr.to_ints(multilinear.matvec(matrix, right)) == [
        sum(int(w) * x for w, x in zip(row, v, strict=True)) % R for row in matrix
    ]
    assert Fr.to_ints(multilinear.vecmat(left, matrix)) == [
        sum(int(w) * x for w, x in zip(column, u, strict=True)) % R for column in matrix.T
    ]
    long = rng.integers(INT64.min, INT64.max, 20_000)
    vector = Fr.random(20_000)
    expected = sum(int(w) * x for w, x in zip(long, Fr.to_ints(vector), strict=True)) % R
    assert multilinear.inner_int(long, vector) == expected
    assert Fr.to_ints(multilinear.matvec(long[None], vector)) == [expected]


def test_extreme_sums_do_not_overflow():
    """Every term as large as it can be, both signs: the unreduced sums must hold them."""
    n = 5000
    top = Fr.from_ints([R - 1] * n)
    # The largest Montgomery limbs: the element whose internal integer is p - 1.
    widest = Fr.from_ints([(R - 1) * pow(1 << 256, -1, R)] * n)
    for table, value in ((top, R - 1), (widest, Fr.to_ints(widest[:1])[0])):
        for word in (INT64.min, INT64.max):
            assert multilinear.inner_int(np.full(n, word), table) == int(word) * value * n % R
        assert multilinear.evaluate(table[:4096], [5] * 12) == value


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="power of two"):
        multilinear.evaluate(Fr.zeros(3), [1, 2])
    with pytest.raises(ValueError, match="expected 2 coordinates"):
        multilinear.evaluate(Fr.zeros(4), [1])
    with pytest.raises(ValueError, match="even"):
        multilinear.fold_high(Fr.zeros(1), 2)
    with pytest.raises(ValueError, match="vector"):
        multilinear.matvec(np.zeros((2, 3), np.int64), Fr.zeros(2))
    with pytest.raises(ValueError, match="matrix"):
        multilinear.matvec(np.zeros(3, np.int64), Fr.zeros(3))
    with pytest.raises(TypeError, match="float"):
        multilinear.inner_int(np.zeros(3), Fr.zeros(3))
