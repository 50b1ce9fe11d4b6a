"""Points of cuda/curve.cuh and the arrays of cuda/points.cu against zkdl.arithmetic, bit for bit."""

import random

import numpy as np
import pytest

from tests.zkdl.cuda.host_build import MODULI, to_montgomery
from tests.zkdl.cuda.msm_driver import XYZZ, normalised, u32
from zkdl import arithmetic as za
from zkdl.arithmetic import g1

Q_MODULUS = MODULI["Fq"][0]
R_MODULUS = MODULI["Fr"][0]


@pytest.fixture(scope="module")
def some():
    """Infinity, Q, -Q, 2 Q, Q again, and others: every special case of an addition among the pairs."""
    rng = random.Random(7)
    scalars = [rng.randrange(R_MODULUS) for _ in range(4)]
    scalars = [0, scalars[0], R_MODULUS - scalars[0], 2 * scalars[0] % R_MODULUS, scalars[0], *scalars[1:], 1]
    return g1.mul(g1.generator(), za.Fr.from_ints(scalars))


def all_pairs(points):
    n = len(points)
    left, right = np.divmod(np.arange(n * n, dtype=np.uint32), np.uint32(n))
    return left.astype(np.uint32), right.astype(np.uint32)


def lifted(points, seed):
    """Affine points as XYZZ with random denominators; infinity as zeros in ZZ, ZZZ and rubbish elsewhere."""
    rng = random.Random(seed)
    n = len(points)
    scale = za.Fq.from_ints([rng.randrange(1, Q_MODULUS) for _ in range(n)])
    zz = za.Fq.mul(scale, scale)
    zzz = za.Fq.mul(zz, scale)
    out = np.concatenate([za.Fq.mul(points[:, :6], zz), za.Fq.mul(points[:, 6:], zzz), zz, zzz], axis=1)
    empty = g1.is_infinity(points)
    out[empty, 12:] = 0
    out[empty, :12] = za.Fq.from_ints([5, 6]).reshape(12)
    return np.ascontiguousarray(out)


def test_layout_is_that_of_the_package(host, some):
    assert (normalised(host, lifted(some, 1)) == some).all()


@pytest.mark.parametrize("grid", [1, 2])
def test_batch_affine_sums_of_every_kind_of_pair(host, some, grid):
    left, right = all_pairs(some)
    n = left.size
    target = np.arange(n, dtype=np.uint32)[::-1].copy()
    products, out = np.zeros((n, 6), np.uint64), np.zeros((n, 12), np.uint64)
    host.run("add_points", grid, some, left, right, target, n, products, out)
    assert (out[::-1] == g1.add(some[left], some[right])).all()


def test_full_sums_of_every_kind_of_pair(host, some):
    """The bucket merge with lists of two: XYZZ plus XYZZ, both with denominators of their own."""
    left, right = all_pairs(some)
    n = left.size
    first, second = lifted(some[left], 2), lifted(some[right], 3)
    parts = np.stack([first, second], axis=1).reshape(-1, XYZZ).copy()
    keys = np.repeat(np.arange(n, dtype=np.uint32), 2)
    sums = np.zeros((n, XYZZ), np.uint64)
    host.run(
        "msm_merge", 1, keys, parts, 2 * n, np.uint32(2 * n), sums, u32(2), np.zeros((2, XYZZ), np.uint64)
    )
    assert (normalised(host, sums) == g1.add(some[left], some[right])).all()


def test_mixed_sums_of_every_kind_of_pair(host, some):
    """Two signed entries a bucket: XYZZ plus affine, the second one negated."""
    left, right = all_pairs(some)
    n = left.size
    entries = np.stack([2 * left, 2 * right + 1], axis=1).reshape(-1).astype(np.uint32)
    offsets = np.arange(0, 2 * n + 1, 2, dtype=np.uint32)
    sums = np.zeros((n, XYZZ), np.uint64)
    shape = (np.uint32(n), entries.size, np.uint32(entries.size))
    host.run(
        "msm_accumulate", 1, some, entries, offsets, *shape, sums, u32(2), np.zeros((2, XYZZ), np.uint64)
    )
    assert (normalised(host, sums) == g1.add(some[left], g1.neg(some[right]))).all()


@pytest.mark.parametrize("n", [1, 129])
def test_normalise_with_infinity_among_them(host, some, n):
    points = some[np.arange(n) % len(some)]
    assert (normalised(host, lifted(points, n)) == points).all()


def naf(k):
    """Digits -1, 0, 1, lowest first, no two neighbours both nonzero."""
    digits = []
    while k:
        digit = 2 - k % 4 if k % 2 else 0
        digits.append(digit)
        k = (k - digit) // 2
    return np.array(digits or [0], np.int8)


@pytest.mark.parametrize("k", [0, 1, 2, 3, R_MODULUS - 1, 0x1234567890ABCDEF1234567890ABCDEF])
def test_one_scalar_for_many_points(host, some, k):
    digits = naf(k)
    out = np.zeros((len(some), XYZZ), np.uint64)
    other = some[::-1].copy()
    host.run("multiply_shared", 1, some, len(some), digits, np.uint32(digits.size), other, out)
    product = g1.mul(some, np.repeat(za.Fr.from_ints([k]), len(some), axis=0))
    assert (normalised(host, out) == g1.add(product, other)).all()
    host.run("multiply_shared", 1, some, len(some), digits, np.uint32(digits.size), None, out)
    assert (normalised(host, out) == product).all()


@pytest.mark.parametrize("field", sorted(MODULI))
@pytest.mark.parametrize(("n", "grid"), [(1, 1), (300, 1), (300, 2)])
def test_shared_inversions(host, field, n, grid):
    p, _ = MODULI[field]
    rng = random.Random(n)
    special = [1, p - 1, 0, 2, (p + 1) // 2, 0, 1 << 200]
    values = [special[i] if i < len(special) and n > 1 else rng.randrange(1, p) for i in range(n)]
    a = to_montgomery(values, field)
    out = np.full_like(a, 7)
    host.run(f"invert_{field}", grid, a, out, n)
    assert (out == to_montgomery([pow(v, -1, p) if v else 0 for v in values], field)).all()


@pytest.mark.parametrize("field", sorted(MODULI))
def test_inversion_of_many_single_values(host, field):
    """One element a thread: each of them goes through the divsteps."""
    p, limbs = MODULI[field]
    rng = random.Random(3)
    values = [1 << k for k in range(0, 64 * limbs - 10, 11)] + [
        p - (1 << k) for k in range(0, 60 * limbs, 11)
    ]
    values += [pow(2, k, p) for k in (-1, -31, -62, -300)] + [rng.randrange(p) for _ in range(300)]
    values = [v % p for v in values]
    a = to_montgomery(values, field)
    out = np.zeros_like(a)
    host.run(f"invert_{field}", -(-len(values) // 128), a, out, len(values))
    assert (out == to_montgomery([pow(v, -1, p) if v else 0 for v in values], field)).all()
