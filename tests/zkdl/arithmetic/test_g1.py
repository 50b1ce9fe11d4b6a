"""The group, its encoding and the checks on decoding, against the textbook group law and py-ecc."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.bls.point_compression import compress_G1
from py_ecc.optimized_bls12_381 import G1, Z1, multiply

from tests.zkdl.arithmetic import twins
from zkdl.arithmetic import (
    DecodeError,
    FixedBase,
    Fr,
    NotCanonical,
    NotInSubgroup,
    NotOnCurve,
    PointAtInfinity,
    g1,
    set_threads,
)

pytestmark = pytest.mark.usefixtures("cpu_path")

Q, R = twins.Q, twins.R
# The cofactor is EXPONENT^2 / 3, and the group has no element of order above EXPONENT R.
EXPONENT = 0xD201000000010001
INFINITY = b"\xc0" + bytes(47)
# Small multiples collide all the time: equal points, opposite points, infinity.
small = st.integers(-3, 3)


def multiples(ks):
    return twins.to_array([twins.mul(twins.G, k) for k in ks])


def encode(x, flags):
    raw = bytearray(x.to_bytes(48, "big"))
    raw[0] |= flags
    return bytes(raw)


def test_generator():
    assert twins.from_array(g1.generator()) == [twins.G]
    assert g1.on_curve(g1.generator()).all()
    assert g1.is_infinity(g1.mul(g1.generator(), Fr.from_ints([R]))).all()


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(small, small), min_size=1, max_size=12))
def test_addition_with_every_special_case(pairs):
    left, right = zip(*pairs, strict=True)
    p, q = multiples(left), multiples(right)
    assert g1.equal(g1.add(p, q), multiples([a + b for a, b in pairs]))
    assert g1.equal(g1.double(p), multiples([2 * a for a in left]))
    assert g1.equal(g1.neg(p), multiples([-a for a in left]))
    assert g1.equal(g1.sum(p), multiples([sum(left)]))


def test_addition_broadcasts():
    p = multiples([-1, 0, 1, 2])
    assert g1.equal(g1.add(p, g1.generator()), multiples([0, 1, 2, 3]))
    assert g1.equal(g1.add(g1.generator()[0], p), multiples([0, 1, 2, 3]))
    assert g1.add(np.zeros((0, 12), np.uint64), p[:1]).shape == (0, 12)
    with pytest.raises(ValueError, match="expected 4 points"):
        g1.add(p, p[:2])
    with pytest.raises(ValueError, match=r"\(n, 12\)"):
        g1.add(p, np.zeros((4, 11), np.uint64))


def test_sum_of_many():
    points = np.tile(multiples([1, -2, 3, 0, 5]), (700, 1))
    assert g1.equal(g1.sum(points), multiples([7 * 700]))
    assert g1.is_infinity(g1.sum(points[:0])).all()


def test_multiplication_edge_scalars():
    ks = [0, 1, 2, 3, 15, 16, 17, R - 1, R - 2, (R - 1) // 2, 1 << 254, (1 << 128) - 1, 0xD201000000010000]
    scalars = Fr.from_ints(ks)
    expected = multiples(ks)
    assert g1.equal(g1.mul(g1.generator(), scalars), expected)
    assert g1.equal(g1.mul(np.repeat(g1.generator(), len(ks), axis=0), scalars), expected)
    assert g1.is_infinity(g1.mul(np.zeros((1, 12), np.uint64), scalars)).all()
    assert g1.equal(g1.mul(multiples([1, 2]), Fr.from_ints([5])), multiples([5, 10]))


@settings(max_examples=8, deadline=None)
@given(k=st.integers(0, R - 1), m=st.integers(0, R - 1))
def test_multiplication(k, m):
    base = multiples([m])
    assert g1.equal(g1.mul(base, Fr.from_ints([k])), multiples([k * m % R]))


def test_fixed_base():
    patterns = [int(pattern * 31, 16) for pattern in ("80", "7f", "81", "ff")]
    digits = [0, 1, 127, 128, 129, 255, 256, (1 << 255) % R, 0x80 << 240, *patterns]
    ks = [*digits, R - 1, R - 2, *Fr.to_ints(Fr.random(20))]
    for base in (g1.generator(), multiples([R - 7])[0]):
        assert g1.equal(FixedBase(base).mul(Fr.from_ints(ks)), g1.mul(base, Fr.from_ints(ks)))
    assert g1.is_infinity(FixedBase(np.zeros(12, np.uint64)).mul(Fr.from_ints(ks))).all()
    assert FixedBase(g1.generator()).mul(Fr.zeros(0)).shape == (0, 12)
    with pytest.raises(ValueError, match="one point"):
        FixedBase(multiples([1, 2]))


def test_encoding_matches_py_ecc():
    ks = [1, 2, 3, R - 1, 12345678901234567890, (R - 1) // 2]
    ours = g1.to_bytes(multiples(ks))
    theirs = [compress_G1(multiply(G1, k)).to_bytes(48, "big") for k in ks]
    assert list(ours) == theirs
    assert g1.to_bytes(np.zeros((1, 12), np.uint64)) == [INFINITY]
    assert compress_G1(Z1).to_bytes(48, "big") == INFINITY


def test_decoding_inverts_encoding():
    points = multiples([1, -1, 2, -2, 77, R - 5])
    encoded = g1.to_bytes(points)
    assert g1.equal(g1.from_bytes(encoded), points)
    assert g1.equal(g1.from_bytes(b"".join(encoded)), points)
    assert g1.from_bytes([]).shape == g1.from_bytes(b"").shape == (0, 12)


GOOD = g1.to_bytes(g1.generator())[0]


def _small_x():
    """The x of a member so small that x + Q still fits into 381 bits."""
    point = twins.G
    while point[0] + Q >= 1 << 381:
        point = twins.add(point, twins.G)
    return point[0]


def _not_on_curve():
    x = 2
    while pow(x**3 + 4, (Q - 1) // 2, Q) == 1:
        x += 1
    return x


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        pytest.param(encode(Q, 0x80), NotCanonical, id="x is the modulus"),
        pytest.param(encode(Q + _small_x(), 0x80), NotCanonical, id="x is a valid x plus the modulus"),
        pytest.param(encode((1 << 381) - 1, 0x80), NotCanonical, id="x is all ones"),
        pytest.param(encode(twins.G[0], 0x00), NotCanonical, id="no compression flag"),
        pytest.param(encode(twins.G[0], 0x20), NotCanonical, id="sign without compression"),
        pytest.param(encode(twins.G[0], 0x40), NotCanonical, id="infinity without compression"),
        pytest.param(encode(twins.G[0], 0xC0), NotCanonical, id="infinity with an x"),
        pytest.param(encode(1, 0xC0), NotCanonical, id="infinity with a low bit"),
        pytest.param(encode(0, 0xE0), NotCanonical, id="infinity with a sign"),
        pytest.param(encode(_not_on_curve(), 0x80), NotOnCurve, id="no point"),
        pytest.param(encode(_not_on_curve(), 0xA0), NotOnCurve, id="no point, larger root"),
        pytest.param(INFINITY, PointAtInfinity, id="infinity"),
    ],
)
def test_decoding_refuses(bad, error):
    for data in ([bad], bad, [GOOD, bad, GOOD]):
        with pytest.raises(error, match=r"point [01]"):
            g1.from_bytes(data)
    assert issubclass(error, DecodeError)


def test_malformed_infinity_is_refused_even_where_infinity_is_allowed():
    assert g1.is_infinity(g1.from_bytes([GOOD, INFINITY], allow_infinity=True)).tolist() == [False, True]
    for bad in (encode(1, 0xC0), encode(0, 0xE0), encode(0, 0x40)):
        with pytest.raises(NotCanonical):
            g1.from_bytes(bad, allow_infinity=True)


@pytest.mark.parametrize("data", [b"\x97", bytes(47), bytes(49), [GOOD, GOOD[:-1]], [GOOD + b"\0"]])
def test_decoding_refuses_wrong_lengths(data):
    with pytest.raises(DecodeError, match="48 bytes"):
        g1.from_bytes(data)


def _outside():
    """Points of the curve outside the subgroup: large order, small orders, and a member plus either."""
    big = twins.off_subgroup_point()
    points = [big, twins.add(big, twins.G), (0, 2), (0, Q - 2), twins.add((0, 2), twins.mul(twins.G, 99))]
    for order in (11, 10177):
        low = twins.mul(big, EXPONENT * R // order)
        if low is not None:
            points += [low, twins.add(low, twins.G)]
    points.append(twins.mul(big, R))
    return points


def test_points_outside_the_subgroup():
    outside = _outside()
    assert len(outside) >= 8
    assert twins.mul((0, 2), 3) is None
    assert twins.mul(outside[0], twins.COFACTOR * R) is None
    array = twins.to_array(outside)
    assert g1.on_curve(array).all()
    assert not g1.in_subgroup(array).any()
    for encoded in g1.to_bytes(array):
        with pytest.raises(NotInSubgroup, match="point 1"):
            g1.from_bytes([GOOD, encoded])
    cleared = g1.mul(array[:1], Fr.from_ints([twins.COFACTOR]))
    assert g1.in_subgroup(cleared).all()
    assert not g1.is_infinity(cleared).any()


def test_membership():
    inside = multiples([0, 1, 2, R - 1, 5**100])
    assert g1.in_subgroup(inside).all()
    assert g1.on_curve(inside).all()
    assert g1.is_infinity(inside).tolist() == [True, False, False, False, False]
    wrong = inside.copy()
    wrong[1, 0] ^= np.uint64(1)
    assert g1.on_curve(wrong).tolist() == [True, False, True, True, True]
    # Limbs at or above the modulus are not a point, whatever they are modulo it.
    lifted = twins.to_array([(0, 2)])
    lifted[0, :6] = [(Q >> (64 * k)) & (2**64 - 1) for k in range(6)]
    assert not g1.on_curve(lifted).any()


def test_a_random_walk_against_the_textbook():
    ks = Fr.to_ints(Fr.random(6))
    points = g1.mul(g1.generator(), Fr.from_ints(ks))
    assert twins.from_array(points) == [twins.mul(twins.G, k) for k in ks]
    assert g1.equal(g1.from_bytes(g1.to_bytes(points)), points)


def test_threads_do_not_change_results():
    points = g1.mul(g1.generator(), Fr.random(40))
    encoded = g1.to_bytes(points)
    try:
        for count in (1, 3):
            set_threads(count)
            assert g1.equal(g1.from_bytes(encoded), points)
            assert g1.in_subgroup(points).all()
            with pytest.raises(NotOnCurve, match="point 39"):
                g1.from_bytes([*encoded[:-1], encode(_not_on_curve(), 0x80)])
    finally:
        set_threads()
