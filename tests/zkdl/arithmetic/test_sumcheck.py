"""Sumcheck rounds and fraction layers against sums over Python integers."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.arithmetic import twins
from zkdl.arithmetic import Fr, multilinear, set_threads, sumcheck

pytestmark = pytest.mark.usefixtures("cpu_path")

R = Fr.modulus
scalars = st.one_of(st.sampled_from([0, 1, R - 1, 2, R // 2]), st.integers(0, R - 1))
small = st.integers(-(1 << 31), (1 << 31) - 1)
WIDEST = (R - 1) * pow(1 << 256, -1, R) % R
"""The element whose internal integer is r - 1."""


SIZES = (1, 2, 3, 4, 6)
"""Variables of the tables: with six, rounds fill the lanes of every path."""


def tables(k, elements=scalars):
    if k <= 4:
        return st.lists(elements, min_size=1 << k, max_size=1 << k)
    # A few drawn values in random order: long lists of their own take too long to draw.
    few = st.lists(elements, min_size=8, max_size=8)
    return st.builds(lambda v, s: random.Random(s).choices(v, k=1 << k), few, st.integers(0, 1 << 30))


def line(table, i):
    """Constant and slope of line i of a table."""
    half = len(table) // 2
    return table[i], table[i + half] - table[i]


def fold(table, r):
    half = len(table) // 2
    return [(table[i] + r * (table[i + half] - table[i])) % R for i in range(half)]


def ends(half, polynomial):
    """[c0, c2] of the sum of quadratic polynomials, each given by its values."""
    at_0, at_1, at_m = (sum(polynomial(i, x) for i in range(half)) for x in (0, 1, -1))
    return [at_0 % R, ((at_1 + at_m) * pow(2, -1, R) - at_0) % R]


def quadratic_twin(eq, f, g):
    half = len(f) // 2

    def value(i, x):
        (a, da), (b, db) = line(f, i), line(g, i)
        return eq[i % len(eq)] * (a + x * da) * (b + x * db)

    return ends(half, value)


def layer_twin(eq, u, p1, q0, q1):
    half = len(u) // 2

    def value(i, x):
        at = [low + x * slope for low, slope in (line(t, i) for t in (u, p1, q0, q1))]
        return eq[i] * (at[0] * at[3] + at[1] * at[2])

    return ends(half, value)


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def threads(request):
    set_threads(request.param)
    yield request.param
    set_threads()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES))
def test_quadratic_rounds(data, k):
    f, g = data.draw(tables(k)), data.draw(tables(k))
    a, b = Fr.from_ints(f), Fr.from_ints(g)
    full = twins.round_polynomial(f, g)
    assert sumcheck.round_quadratic(a, b) == [full[0], full[2]] == quadratic_twin([1], f, g)
    for m in range(k):
        eq = data.draw(tables(m))
        assert sumcheck.round_quadratic(a, b, Fr.from_ints(eq)) == quadratic_twin(eq, f, g)
    integers = data.draw(tables(k, small))
    expected = quadratic_twin([1], integers, g)
    for dtype in (np.int32, np.int64):
        assert sumcheck.round_quadratic(np.array(integers, dtype), b) == expected


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES[1:]), r=scalars)
def test_folding_and_summing_in_one_pass(data, k, r):
    lists = [data.draw(tables(k)) for _ in range(4)]
    eq = data.draw(tables(k - 2))
    folded = [fold(t, r) for t in lists]
    arrays = [Fr.from_ints(t) for t in lists]
    found, *bound = sumcheck.fold_round_quadratic(arrays[0], arrays[1], r)
    assert found == quadratic_twin([1], *folded[:2])
    assert [Fr.to_ints(array) for array in bound] == folded[:2]
    assert np.shares_memory(bound[0], arrays[0])
    arrays = [Fr.from_ints(t) for t in lists]
    found, bound = sumcheck.fold_round_layer(Fr.from_ints(eq), *arrays, r)
    assert found == layer_twin(eq, *folded)
    assert [Fr.to_ints(array) for array in bound] == folded


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES))
def test_cubic_rounds(data, k):
    e, f, g = (data.draw(tables(k)) for _ in range(3))
    c0, _, c2, c3 = twins.round_polynomial(e, f, g)
    assert sumcheck.round_cubic(*map(Fr.from_ints, (e, f, g))) == [c0, c2, c3]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES))
def test_layers(data, k):
    lists = [data.draw(tables(k)) for _ in range(4)]
    eq = data.draw(tables(k - 1))
    assert sumcheck.round_layer(Fr.from_ints(eq), *map(Fr.from_ints, lists)) == layer_twin(eq, *lists)
    numerators = [data.draw(tables(k, st.one_of(st.integers(0, 1), small))) for _ in range(2)]
    zero = [0] * len(lists[0])
    expected = (
        tuple(layer_twin(eq, *numerators, *lists[2:])),
        tuple(layer_twin(eq, lists[2], zero, zero, lists[3])),
    )
    for dtype in (np.int32, np.int64):
        p0, p1 = (np.array(n, dtype) for n in numerators)
        found = sumcheck.round_integer_layer(Fr.from_ints(eq), p0, p1, *map(Fr.from_ints, lists[2:]))
        assert found == expected


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES), r=scalars)
def test_integers_become_elements_when_they_are_bound(data, k, r):
    table = data.draw(tables(k, small))
    for dtype in (np.int32, np.int64):
        assert Fr.to_ints(sumcheck.fold_integers(np.array(table, dtype), r)) == fold(table, r)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES))
def test_boolean_rounds(data, k):
    eq = data.draw(tables(k - 1))
    for elements in (scalars, st.integers(0, 1), st.integers(-5, 5)):
        f = data.draw(tables(k, elements))
        less = [v - 1 for v in f]
        expected = quadratic_twin(eq, f, less)
        assert sumcheck.round_boolean(Fr.from_ints(eq), Fr.from_ints(f)) == expected
        if elements is not scalars:
            assert sumcheck.round_boolean(Fr.from_ints(eq), np.array(f, np.int32)) == expected


@settings(max_examples=25, deadline=None)
@given(data=st.data(), k=st.sampled_from(SIZES), factor=scalars)
def test_fractions(data, k, factor):
    p, q = data.draw(tables(k)), data.draw(tables(k))
    half = len(p) // 2

    def twin(numerators):
        pairs = [(i, i + half) for i in range(half)]
        return (
            [(numerators[i] * q[j] + numerators[j] * q[i]) % R for i, j in pairs],
            [q[i] * q[j] % R for i, j in pairs],
        )

    found = sumcheck.fraction_layer(Fr.from_ints(p), Fr.from_ints(q))
    assert tuple(map(Fr.to_ints, found)) == twin(p)
    integers = data.draw(tables(k, st.one_of(st.just(1), small)))
    for dtype in (np.int32, np.int64):
        found = sumcheck.fraction_layer(np.array(integers, dtype), Fr.from_ints(q))
        assert tuple(map(Fr.to_ints, found)) == twin(integers)
    out = Fr.from_ints(p)
    assert np.shares_memory(sumcheck.add_multiple(out, Fr.from_ints(q), factor), out)
    assert Fr.to_ints(out) == [(a + factor * b) % R for a, b in zip(p, q, strict=True)]
    shorter = sumcheck.add_halves(out)
    assert np.shares_memory(shorter, out)
    assert Fr.to_ints(shorter) == [
        (p[i] + p[i + half] + factor * (q[i] + q[i + half])) % R for i in range(half)
    ]


@pytest.mark.parametrize(
    ("rows", "columns", "first", "n", "m"), [(1, 1, 0, 1, 1), (5, 40, 3, 37, 4), (3, 8, 2, 0, 3)]
)
def test_outer_products(rows, columns, first, n, m):
    out, a, b = Fr.random(rows * columns).reshape(rows, columns, 4), Fr.random(n), Fr.random(m)
    expected, x, y = Fr.to_ints(out), Fr.to_ints(a), Fr.to_ints(b)
    for u in range(m):
        for c in range(n):
            place = u * columns + first + c
            expected[place] = (expected[place] + x[c] * y[u]) % R
    assert np.shares_memory(sumcheck.add_outer(out, first, a, b), out)
    assert Fr.to_ints(out) == expected
    with pytest.raises(ValueError, match="at most"):
        sumcheck.add_outer(out, columns, Fr.random(1), b)


def test_eq_tables_shrink_by_additions():
    point = Fr.to_ints(Fr.random(6))
    table = multilinear.eq_table(point)
    while point:
        point.pop()
        table = sumcheck.add_halves(table)
        assert Fr.to_ints(table) == twins.eq_table(point)


def test_large_rounds(threads):
    e, f, g, h = (Fr.random(8192) for _ in range(4))
    x, y, z, w = map(Fr.to_ints, (e, f, g, h))
    eq = Fr.random(4096)
    c0, _, c2, c3 = twins.round_polynomial(x, y, z)
    assert sumcheck.round_cubic(e, f, g) == [c0, c2, c3]
    assert sumcheck.round_quadratic(e, f) == quadratic_twin([1], x, y)
    assert sumcheck.round_layer(eq, e, f, g, h) == layer_twin(Fr.to_ints(eq), x, y, z, w)
    folded = [fold(t, 77) for t in (x, y, z, w)]
    assert sumcheck.fold_round_layer(eq, e, f, g, h, 77)[0] == layer_twin(Fr.to_ints(eq), *folded)


def test_sums_of_the_largest_elements_do_not_overflow():
    n = 4096
    table = Fr.from_ints([WIDEST] * n)
    ones = Fr.from_ints([WIDEST] * (n // 2))
    assert sumcheck.round_quadratic(table, table) == [n // 2 * WIDEST**2 % R, 0]
    assert sumcheck.round_layer(ones, table, table, table, table) == [n * WIDEST**3 % R, 0]
    least = np.full(n, -(1 << 31), np.int32)
    least[n // 2 :] = (1 << 31) - 1
    step = (1 << 32) - 1
    assert sumcheck.round_quadratic(least, table) == [n // 2 * -(1 << 31) * WIDEST % R, 0]
    assert Fr.to_ints(sumcheck.fold_integers(least, R - 1)) == [(-(1 << 31) - step) % R] * (n // 2)


def test_a_whole_layer_reduces_to_evaluations():
    """Gruen's trick end to end: the claim relation of every round, and the final claim."""
    k = 6
    point, c = Fr.to_ints(Fr.random(k)), 12345
    p, q = Fr.random(2 << k), Fr.random(2 << k)
    half = 1 << k
    p0, p1, q0, q1 = (t.copy() for t in (p[:half], p[half:], q[:half], q[half:]))
    u = p0.copy()
    sumcheck.add_multiple(u, q0, c)
    above, below = sumcheck.fraction_layer(p, q)
    claim = (multilinear.evaluate(above, point) + c * multilinear.evaluate(below, point)) % R
    challenges = Fr.to_ints(Fr.random(k))
    arrays = [u, p1.copy(), q0.copy(), q1.copy()]
    eq = multilinear.eq_table(point[:-1])
    for r, challenge in zip(reversed(point), reversed(challenges), strict=True):
        c0, c2 = sumcheck.round_layer(eq, *arrays)
        c1 = ((claim - c0) * pow(r, -1, R) - c2) % R
        # The coefficient that the claim gives is the one of the sum.
        swapped = [np.concatenate([t[len(t) // 2 :], t[: len(t) // 2]]) for t in arrays]
        assert sumcheck.round_layer(eq, *swapped)[0] == (c0 + c1 + c2) % R
        claim = (c0 + challenge * (c1 + challenge * c2)) % R
        arrays = [multilinear.fold_high(t, challenge) for t in arrays]
        if len(eq) > 1:
            eq = sumcheck.add_halves(eq)
    values = [multilinear.evaluate(t, challenges) for t in (p0, p1, q0, q1)]
    a, b, s, t = values
    assert claim == (a * t + b * s + c * s * t) % R


def test_shapes_are_checked():
    two, four = Fr.zeros(2), Fr.zeros(4)
    with pytest.raises(ValueError, match="lengths"):
        sumcheck.round_quadratic(four, two)
    with pytest.raises(ValueError, match="lengths"):
        sumcheck.round_cubic(Fr.zeros(1), Fr.zeros(1), Fr.zeros(1))
    with pytest.raises(ValueError, match="multiple of 4"):
        sumcheck.fold_round_quadratic(two, two, 1)
    with pytest.raises(ValueError, match="eq"):
        sumcheck.round_layer(Fr.zeros(1), four, four, four, four)
    with pytest.raises(ValueError, match="eq"):
        sumcheck.round_quadratic(four, four, four)
    with pytest.raises(ValueError, match="integers like"):
        sumcheck.round_quadratic(np.zeros(2, np.int32), four)
    with pytest.raises(ValueError, match="entries like"):
        sumcheck.fraction_layer(np.zeros(2, np.int32), four)
    with pytest.raises(ValueError, match="integers like"):
        sumcheck.round_integer_layer(two, np.zeros(2, np.int32), np.zeros(2, np.int32), four, four)
    with pytest.raises(TypeError, match="float"):
        sumcheck.fold_integers(np.zeros(4), 3)
    with pytest.raises(ValueError, match="flat"):
        sumcheck.fold_integers(np.zeros((4, 1), np.int64), 3)
