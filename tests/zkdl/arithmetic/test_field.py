"""Fields against Python integers, with the values that break carries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkdl.arithmetic import DecodeError, Fq, Fr, NotCanonical, get_threads, set_threads

FIELDS = pytest.mark.parametrize("field", [Fr, Fq], ids=["Fr", "Fq"])
INT64 = np.iinfo(np.int64)


def edges(field):
    """Zero, one, both ends, the middle, and words that are all zeros or all ones."""
    p, bits = field.modulus, 64 * field.limbs
    words = [(2**64 - 1) << (64 * k) for k in range(field.limbs)]
    montgomery = [v * pow(1 << bits, -1, p) % p for v in (1, 2, p - 1, 2**64 - 1, (1 << (bits - 64)) - 1)]
    return sorted(
        {v % p for v in (0, 1, 2, p - 1, p - 2, p // 2, p // 2 + 1, 1 << bits, 2**64, *words, *montgomery)}
    )


def elements(field):
    return st.one_of(st.sampled_from(edges(field)), st.integers(0, field.modulus - 1))


@FIELDS
def test_all_pairs_of_edge_values(field):
    p, values = field.modulus, edges(field)
    left = [a for a in values for _ in values]
    right = [b for _ in values for b in values]
    a, b = field.from_ints(left), field.from_ints(right)
    assert field.to_ints(field.add(a, b)) == [(x + y) % p for x, y in zip(left, right, strict=True)]
    assert field.to_ints(field.sub(a, b)) == [(x - y) % p for x, y in zip(left, right, strict=True)]
    assert field.to_ints(field.mul(a, b)) == [x * y % p for x, y in zip(left, right, strict=True)]
    assert field.to_ints(field.neg(a)) == [-x % p for x in left]
    assert field.to_ints(field.square(a)) == [x * x % p for x in left]


@FIELDS
def test_results_are_canonical(field):
    """Equal elements have equal limbs: p - x + x is all zeros, and -0 is 0."""
    a = field.from_ints(edges(field))
    assert not field.add(a, field.neg(a)).any()
    assert not field.neg(field.zeros(3)).any()
    assert not field.sub(a, a).any()


@FIELDS
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_ring_laws_and_twins(field, data):
    p = field.modulus
    x, y, z = (data.draw(st.lists(elements(field), min_size=5, max_size=5)) for _ in range(3))
    a, b, c = field.from_ints(x), field.from_ints(y), field.from_ints(z)
    assert field.to_ints(field.mul(a, b)) == [u * v % p for u, v in zip(x, y, strict=True)]
    assert field.equal(field.mul(field.add(a, b), c), field.add(field.mul(a, c), field.mul(b, c)))
    assert field.equal(field.square(a), field.mul(a, a))
    assert field.to_ints(field.inner(a, b)) == [sum(u * v for u, v in zip(x, y, strict=True)) % p]
    assert field.to_ints(field.sum(a)) == [sum(x) % p]


@FIELDS
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_inverse(field, data):
    x = data.draw(st.lists(elements(field).filter(bool), min_size=1, max_size=6))
    inverse = field.inverse(field.from_ints(x))
    assert field.to_ints(inverse) == [pow(v, -1, field.modulus) for v in x]


@FIELDS
def test_inverse_of_zero_names_the_element(field):
    with pytest.raises(ZeroDivisionError, match="element 2"):
        field.inverse(field.from_ints([1, 2, 0, 0]))


@FIELDS
@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.integers(-(2**800), 2**800), max_size=8))
def test_from_ints_reduces_any_integer(field, values):
    assert field.to_ints(field.from_ints(values)) == [v % field.modulus for v in values]


@FIELDS
def test_from_int64(field):
    values = np.array([[0, 1, -1], [INT64.min, INT64.max, -12345]])
    out = field.from_int64(values)
    assert out.shape == (2, 3, field.limbs)
    assert field.to_ints(out) == [int(v) % field.modulus for v in values.reshape(-1)]
    for dtype in (np.int8, np.uint8, np.int16, np.uint32, bool):
        small = np.array([0, 1, 1]).astype(dtype)
        assert field.to_ints(field.from_int64(small)) == [0, 1, 1]


def test_from_int64_refuses_what_does_not_fit():
    with pytest.raises(TypeError, match="float64"):
        Fr.from_int64(np.array([1.0]))
    with pytest.raises(OverflowError, match="2\\^63"):
        Fr.from_int64(np.array([2**63], dtype=np.uint64))
    assert Fr.to_ints(Fr.from_int64(np.array([2**63 - 1], dtype=np.uint64))) == [2**63 - 1]


@FIELDS
def test_bytes_round_trip_and_rejections(field):
    p, size = field.modulus, field.nbytes
    values = edges(field)
    raw = field.to_bytes(field.from_ints(values))
    assert raw == b"".join(v.to_bytes(size, "little") for v in values)
    assert field.to_ints(field.from_bytes(raw)) == values
    assert field.from_bytes(b"").shape == (0, field.limbs)
    for bad in (p, p + 1, 2 ** (8 * size) - 1):
        with pytest.raises(NotCanonical, match="element 1"):
            field.from_bytes(bytes(size) + bad.to_bytes(size, "little"))
    for length in (1, size - 1, size + 1):
        with pytest.raises(DecodeError, match=f"{length}"):
            field.from_bytes(bytes(length))


@FIELDS
def test_broadcasting_and_shapes(field):
    a = field.from_ints(range(6)).reshape(2, 3, field.limbs)
    ten = field.from_ints([10])
    assert field.mul(a, ten).shape == a.shape
    assert field.to_ints(field.mul(ten[0], a)) == [10 * k for k in range(6)]
    assert field.to_ints(field.sub(ten, a)) == [10 - k for k in range(6)]
    assert field.to_ints(field.scale(a, -1)) == [-k % field.modulus for k in range(6)]
    assert field.add(field.zeros(0), field.zeros(0)).shape == (0, field.limbs)
    with pytest.raises(ValueError, match="expected 6 elements"):
        field.add(a, field.zeros(2))
    with pytest.raises(ValueError, match="int64"):
        field.add(np.zeros((2, field.limbs), np.int64), ten)
    with pytest.raises(ValueError, match="last axis"):
        field.add(np.zeros((2, field.limbs + 1), np.uint64), ten)


@FIELDS
def test_strided_and_read_only_operands(field):
    a = field.from_ints(range(10))
    view = a[::2]
    frozen = a.copy()
    frozen.flags.writeable = False
    assert field.to_ints(field.add(view, view)) == [2 * k for k in range(0, 10, 2)]
    assert field.equal(field.add(frozen, frozen), field.add(a, a))


@FIELDS
def test_random_is_canonical_and_spread(field):
    values = field.to_ints(field.random(2000))
    assert max(values) < field.modulus
    assert len(set(values)) == 2000
    # The mean of 2000 uniforms on [0, p) strays from p / 2 by more than 8 standard errors once in 10^15.
    assert abs(sum(values) / 2000 / field.modulus - 0.5) < 8 / (12 * 2000) ** 0.5


def test_constants():
    assert Fr.to_ints(Fr.ones(2)) == [1, 1]
    assert Fr.to_ints(Fr.zeros(2)) == [0, 0]
    assert (Fr.limbs, Fr.nbytes, Fq.limbs, Fq.nbytes) == (4, 32, 6, 48)


def test_against_galois():
    galois = pytest.importorskip("galois", reason="galois comes with the bench extra")
    field = galois.GF(Fr.modulus, primitive_element=7, verify=False)
    values = [int(v) for v in Fr.to_ints(Fr.random(20))]
    product = field(values[:10]) * field(values[10:])
    ours = Fr.mul(Fr.from_ints(values[:10]), Fr.from_ints(values[10:]))
    assert Fr.to_ints(ours) == [int(v) for v in product]


def test_threads_do_not_change_results():
    a, b = Fr.random(40_000), Fr.random(40_000)
    before = get_threads()
    try:
        set_threads(1)
        alone = Fr.mul(a, b)
        set_threads(3)
        assert (Fr.mul(a, b) == alone).all()
    finally:
        set_threads(before)
    with pytest.raises(ValueError, match="at least 1"):
        set_threads(0)
