"""Instructions on several elements at a time: every path against Python integers."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from zkdl.arithmetic import Fq, Fr
from zkdl.arithmetic.device import elements as e
from zkdl.arithmetic.device import sums as u
from zkdl.arithmetic.device.tags import TAGS
from zkdl.arithmetic.paths import cpu_paths

VECTORS = [path for path in cpu_paths() if path != "scalar"]
FIELDS = pytest.mark.parametrize("field", [Fr, Fq], ids=["Fr", "Fq"])
PATHS = pytest.mark.parametrize("path", VECTORS)
SUMS = pytest.mark.parametrize("path", [*VECTORS, "emulated"])
INT64 = np.iinfo(np.int64)


def raw_edges(field):
    """Representatives (not values): the ends, and words and limbs of 43, 48 and 52 bits that are all ones."""
    p = field.modulus
    out = {0, 1, 2, p - 1, p - 2, p // 2, p // 2 + 1, (1 << (64 * field.limbs)) % p}
    for width in (43, 48, 52, 64):
        for k in range(0, 64 * field.limbs, width):
            out |= {((1 << width) - 1) << k, 1 << k, (1 << (k + width - 1)) - 1, (1 << (k + width - 1)) + 1}
    return sorted(v for v in out if v < p)


def limbs_of(field, values):
    """The numbers themselves as limbs, not in Montgomery form."""
    return np.frombuffer(b"".join(v.to_bytes(8 * field.limbs, "little") for v in values), np.uint64).copy()


def values_of(field, array):
    raw, width = array.tobytes(), 8 * field.limbs
    return [int.from_bytes(raw[k : k + width], "little") for k in range(0, len(raw), width)]


@njit
def ring(tag, out, a, b, n):
    for i in range(0, n, e.lanes(tag)):
        x = e.load(tag, a, i)
        y = e.load(tag, b, i)
        product = e.mul(x, y)
        difference = e.sub(x, y)
        e.store(out, i, e.add(x, y))
        e.store(out, n + i, difference)
        e.store(out, 2 * n + i, product)
        e.store(out, 3 * n + i, e.square(difference))
        e.store(out, 4 * n + i, e.neg(x))
        # Chains: carried limbs, negative values and unreduced zeros as operands.
        nothing = e.sub(product, e.mul(y, x))
        e.store(out, 5 * n + i, e.select(e.is_zero(nothing), e.neg(product), x))
        e.store(out, 6 * n + i, e.select(e.equal(x, y), x, nothing))
        e.store(out, 7 * n + i, e.mul(e.add(e.neg(x), difference), e.sub(e.neg(product), y)))


def ring_twin(field, left, right):
    p = field.modulus
    down = pow(1 << (64 * field.limbs), -1, p)
    products = [x * y * down % p for x, y in zip(left, right, strict=True)]
    pairs = list(zip(left, right, products, strict=True))
    return (
        [(x + y) % p for x, y, _ in pairs]
        + [(x - y) % p for x, y, _ in pairs]
        + products
        + [(x - y) ** 2 * down % p for x, y, _ in pairs]
        + [-x % p for x, _, _ in pairs]
        + [-t % p for _, _, t in pairs]
        + [x if x == y else 0 for x, y, _ in pairs]
        + [(-x + x - y) * (-t - y) * down % p for x, y, t in pairs]
    )


def check_ring(field, path, left, right):
    out = np.empty(8 * len(left) * field.limbs, np.uint64)
    ring(TAGS[field.name, path], out, limbs_of(field, left), limbs_of(field, right), len(left))
    assert values_of(field, out) == ring_twin(field, left, right)


@FIELDS
@PATHS
def test_all_pairs_of_edge_values(field, path):
    values = raw_edges(field)
    pairs = [(x, y) for x in values for y in values]
    pairs += [(0, 0)] * (-len(pairs) % 8)
    check_ring(field, path, [x for x, _ in pairs], [y for _, y in pairs])


@FIELDS
@PATHS
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_values(field, path, data):
    value = st.one_of(st.sampled_from(raw_edges(field)), st.integers(0, field.modulus - 1))
    left, right = (data.draw(st.lists(value, min_size=8, max_size=8)) for _ in range(2))
    check_ring(field, path, left, right)


@FIELDS
@PATHS
def test_many_random_values(field, path):
    rng = random.Random(5)
    left, right = ([rng.randrange(field.modulus) for _ in range(4096)] for _ in range(2))
    check_ring(field, path, left, right)


def test_eight_lanes_on_ordinary_instructions():
    """The emitter of the IFMA path, with its two instructions emulated, on whatever processor this is."""
    rng = random.Random(6)
    values = raw_edges(Fr)
    left = [rng.choice(values) for _ in range(512)] + [rng.randrange(Fr.modulus) for _ in range(512)]
    right = [rng.choice(values) for _ in range(1000)] + left[1000:]
    check_ring(Fr, "emulated", left, right)


@njit
def two_products(tag, out, a, b, n):
    for i in range(0, n, e.lanes(tag)):
        x = e.load(tag, a, i)
        y = e.load(tag, b, i)
        e.store(out, i, e.mul(x, y))
        e.store(out, n + i, e.square(e.sub(x, y)))


def test_eight_lanes_of_fq_on_ordinary_instructions():
    rng = random.Random(7)
    values = raw_edges(Fq)
    left = [rng.choice(values) for _ in range(512)] + [rng.randrange(Fq.modulus) for _ in range(512)]
    right = [rng.choice(values) for _ in range(1000)] + left[1000:]
    a, b = limbs_of(Fq, left), limbs_of(Fq, right)
    out, expected = np.empty(2 * a.size, np.uint64), np.empty(2 * a.size, np.uint64)
    two_products(TAGS["Fq", "emulated"], out, a, b, 1024)
    two_products(TAGS["Fq", "scalar"], expected, a, b, 1024)
    assert (out == expected).all()


# Unreduced sums --------------------------------------------------------------------------------------------


@njit
def unreduced(tag, out, a, b, words, n):
    products = u.products_zero(tag)
    signed = u.signed_zero(tag)
    for i in range(0, n, e.lanes(tag)):
        x = e.load(tag, a, i)
        products = u.products_add(products, x, e.load(tag, b, i))
        signed = u.signed_add(signed, e.load_words(tag, words, i), x)
    e.store_sum(out, 0, u.products_reduce(products))
    e.store_sum(out, 1, u.signed_reduce(signed))


def check_sums(path, left, right, words):
    p, down = Fr.modulus, pow(1 << 256, -1, Fr.modulus)
    out = np.empty(8, np.uint64)
    a, b, n = limbs_of(Fr, left), limbs_of(Fr, right), len(left)
    unreduced(TAGS["Fr", path], out, a, b, np.array(words, np.int64), n)
    product = sum(x * y for x, y in zip(left, right, strict=True)) * down % p
    assert values_of(Fr, out) == [product, sum(w * x for w, x in zip(words, left, strict=True)) % p]


@SUMS
@pytest.mark.parametrize("n", [0, 8, 264, 9000])
def test_sums_of_the_largest_terms(path, n):
    top = Fr.modulus - 1
    check_sums(path, [top] * n, [top] * n, [INT64.min] * n)
    check_sums(path, [top] * n, [top] * n, [INT64.max] * n)
    ones = (1 << 254) - 1
    check_sums(path, [ones] * n, [ones] * n, [-1] * n)


@SUMS
def test_sums_of_all_lengths_of_words(path):
    rng = random.Random(8)
    near = [s * (1 << k) + d for k in range(63) for s in (1, -1) for d in (-1, 0, 1)]
    words = [rng.choice([*near, 0, INT64.min, INT64.max]) for _ in range(4000)]
    values = raw_edges(Fr)
    left = [rng.choice(values) for _ in range(2000)] + [rng.randrange(Fr.modulus) for _ in range(2000)]
    check_sums(path, left, left[::-1], words)


def test_unreduced_sums_are_for_fr_only():
    @njit
    def empty(tag):
        u.products_zero(tag)

    for path in ("scalar", "avx2"):
        with pytest.raises(Exception, match="Fr only"):
            empty(TAGS["Fq", path])


# Memory and conditions -------------------------------------------------------------------------------------


@njit
def moved(tag, out, a, indices, words, scratch):
    width = e.lanes(tag)
    for i in range(0, indices.shape[0], width):
        value = e.gather(tag, a, indices, i)
        e.keep(scratch, i // width, value)
    for i in range(0, indices.shape[0], width):
        value = e.kept(tag, scratch, i // width)
        flags = e.nonzero(tag, e.load_words(tag, words, i))
        other = e.opposite(flags)
        if e.somewhere(e.both(flags, other)) or not e.somewhere(e.either(flags, other)):
            value = e.neg(value)
        value = e.select(flags, e.add(value, e.spread(tag, a, 1)), value)
        e.scatter(out, indices, i, value)
    return e.kept_words(tag)


@FIELDS
@PATHS
def test_places_and_masks(field, path):
    n = 32
    a = field.from_ints(range(100, 100 + n)).reshape(-1)
    indices = np.random.default_rng(1).permutation(n)
    words = np.arange(n) % 3
    out, scratch = np.zeros(n * field.limbs, np.uint64), np.empty(64 * n, np.uint64)
    assert moved(TAGS[field.name, path], out, a, indices, words, scratch) <= 64
    expected = [100 + int(k) for k in range(n)]
    for position, k in enumerate(indices):
        expected[int(k)] += 101 if words[position] else 0
    assert field.to_ints(out.reshape(n, -1)) == expected


@njit
def integers(tag, out, words, n):
    for i in range(0, n, e.lanes(tag)):
        e.store(out, i, e.from_words(tag, e.load_words(tag, words, i)))
    e.store_sum(out, n, e.from_words(tag, e.spread_word(tag, words[3])))


@FIELDS
@SUMS
def test_machine_integers(field, path):
    values = [0, 1, -1, INT64.min, INT64.max, 5, -(2**43), 2**48, 2**52, -(2**52), 2**52 - 1, 7, 8, 9, 10, 11]
    tag = TAGS[field.name, path]
    out = np.zeros(17 * field.limbs, np.uint64)
    integers(tag, out, np.array(values), 16)
    lanes = 4 if path == "avx2" else 8
    assert field.to_ints(out.reshape(17, -1)) == [
        int(v) % field.modulus for v in [*values, lanes * int(INT64.min)]
    ]
