"""The kernels of cuda/msm.cu and cuda/buckets.cu, launched as the contract says, against zkdl.arithmetic."""

import random
import shutil
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.cuda.host_build import MODULI, HostKernels
from tests.zkdl.cuda.msm_driver import bucket_lists, msm, msm_rows, scan, u32
from zkdl import arithmetic as za
from zkdl.arithmetic import g1
from zkdl.arithmetic.msm import _windows
from zkdl.cuda_sources import cuda_folder

R = MODULI["Fr"][0]


@pytest.fixture(scope="module")
def bases():
    """Q + i H for i = 0, 1, ...: neighbouring sums often meet a point with the same x."""
    q, h = g1.mul(g1.generator(), za.Fr.from_ints([7919, 104729]))[:, None]
    points = [q.reshape(1, 12)]
    while len(points) < 200:
        points.append(g1.add(points[-1], h.reshape(1, 12)))
    points = np.concatenate(points)
    # Infinity, a repeated point and an opposite pair among them.
    points[3] = 0
    points[10] = points[11]
    points[20] = g1.neg(points[21:22])[0]
    return points


def elements(values):
    return za.Fr.from_ints([v % R for v in values])


HALF = (R - 1) // 2
SCALARS = {
    "zeros": lambda rng, n: [0] * n,
    "all equal": lambda rng, n: [rng.randrange(R)] * n,
    "ones": lambda rng, n: [1] * n,
    "around the middle": lambda rng, n: [HALF + i % 5 - 2 for i in range(n)],
    "edges": lambda rng, n: [[0, 1, R - 1, 2**128, R - 2**64, HALF, HALF + 1, 32][i % 8] for i in range(n)],
    "skewed": lambda rng, n: [rng.randrange(R) if i % 50 == 0 else 32 for i in range(n)],
    "random": lambda rng, n: [rng.randrange(R) for _ in range(n)],
}


@pytest.mark.parametrize("kind", sorted(SCALARS))
def test_msm_over_elements(host, bases, kind):
    scalars = elements(SCALARS[kind](random.Random(kind), len(bases)))
    assert (msm(host, bases, scalars[None], 6) == za.msm(bases, scalars)).all()


@pytest.mark.parametrize(("n", "bits"), [(1, 1), (1, 16), (2, 3), (33, 7), (129, 4)])
def test_msm_of_any_length_and_width(host, bases, n, bits):
    scalars = elements([random.Random(n).randrange(R) for _ in range(n)])
    # 16 bits mean half a million buckets: too many for a modelled multiplier, so shorter scalars there.
    if bits == 16:
        matrix = np.array([[-54321]], np.int64)
        assert (msm_rows(host, bases[:1], matrix, bits) == za.msm_rows(bases[:1], matrix)).all()
        return
    assert (msm(host, bases[:n], scalars[None], bits) == za.msm(bases[:n], scalars)).all()


def test_a_sum_with_cancelling_buckets(host, bases):
    """Each bucket gets P and -P, or P twice and -2 P: infinity in the middle of a run."""
    p = bases[:1]
    points = np.concatenate([p, p, g1.neg(g1.double(p)), p, g1.neg(p)] * 7)
    scalars = np.full((1, 35), 3, np.int32)
    assert g1.is_infinity(msm_rows(host, points, scalars, 3)).all()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(("rows", "columns", "bits"), [(1, 1, 4), (3, 200, 5), (17, 19, 8), (40, 1, 3)])
def test_rows_of_sixteen_bit_cells(host, bases, dtype, rows, columns, bits):
    rng = np.random.default_rng(rows)
    matrix = rng.integers(-(2**15), 2**15, (rows, columns)).astype(dtype)
    matrix[0, 0] = -(2**15)
    assert (msm_rows(host, bases[:columns], matrix, bits) == za.msm_rows(bases[:columns], matrix)).all()


def test_extreme_integers(host, bases):
    matrix = np.array([[-(2**63), 2**63 - 1, 0, 1, -1], [5, -(2**62), 2**40, 0, 0]], np.int64)
    assert (msm_rows(host, bases[:5], matrix, 8) == za.msm_rows(bases[:5], matrix)).all()
    small = np.array([[-(2**31), 2**31 - 1, 0]], np.int32)
    assert (msm_rows(host, bases[:3], small, 7) == za.msm_rows(bases[:3], small)).all()


@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 40),
    bits=st.integers(1, 7),
    slice_=st.integers(1, 300),
    merge=st.integers(3, 9),
    top=st.sampled_from([1, 2, 127, 2**15]),
    seed=st.integers(0, 2**32),
)
def test_any_cut_of_the_work_gives_the_same_sums(host, bases, rows, columns, bits, slice_, merge, top, seed):
    matrix = np.random.default_rng(seed).integers(-top, top + 1, (rows, columns)).astype(np.int32)
    got = msm_rows(host, bases[:columns], matrix, bits, slice_=slice_, merge=merge)
    assert (got == za.msm_rows(bases[:columns], matrix)).all()


@pytest.mark.parametrize("n", [1, 2047, 2048, 2049, 5000])
def test_exclusive_sums(host, n):
    values = np.random.default_rng(n).integers(0, 1000, n).astype(np.uint32)
    got = values.copy()
    scan(host, got)
    assert (got == np.concatenate([[0], np.cumsum(values)[:-1]])).all()


def test_exclusive_sums_of_more_than_one_level(host):
    values = np.ones(2048 * 2048 + 5, np.uint32)
    scan(host, values)
    assert (values == np.arange(values.size)).all()


def test_every_digit_lands_in_its_bucket(host):
    """The lists themselves: column and sign of every entry, digits that add up to the scalar."""
    rng = random.Random(11)
    values = [rng.randrange(R) for _ in range(40)] + [0, 1, R - 1, HALF, HALF + 1]
    bits = 5
    windows = _windows(HALF, bits)
    offsets, entries = bucket_lists(host, elements(values)[None], 1, len(values), bits, windows)
    total = [0] * len(values)
    for bucket, (begin, end) in enumerate(pairwise(offsets)):
        window, weight = bucket >> (bits - 1), (bucket & ((1 << (bits - 1)) - 1)) + 1
        for code in entries[begin:end].tolist():
            total[code >> 1] += (-weight if code & 1 else weight) << (bits * window)
    assert total == [v if v <= HALF else v - R for v in values]


# Each line breaks one step; the tests above must notice.
PLANTED = {
    "a doubling forgotten": (
        "curve.cuh",
        "acc = is_zero(c.r) ? twice_called(acc) : infinity();",
        "acc = infinity();",
    ),
    "opposites not seen": (
        "curve.cuh",
        "twice_called(acc) : infinity();",
        "twice_called(acc) : twice_called(acc);",
    ),
    "infinity added": (
        "curve.cuh",
        "if (is_infinity(q)) return;\n    if (is_infinity(acc)) {\n        acc = lift(q);",
        "if (is_infinity(acc)) {\n        acc = lift(q);",
    ),
    "sign of a digit lost": ("msm.cu", "m.negative ^ carry", "m.negative"),
    "carry lost": ("msm.cu", "(m.w[0] & mask) + carry", "(m.w[0] & mask)"),
    "a cut run taken for whole": ("buckets.cu", "if (begun || whole)", "if (true)"),
    "empty buckets not skipped": ("buckets.cu", "while (limit <= k)", "if (limit <= k)"),
    "upper half not split off": (
        "buckets.cu",
        "const bool split = array == arrays;",
        "const bool split = false;",
    ),
}


@pytest.mark.parametrize("bug", sorted(PLANTED))
def test_planted_bug_is_caught(tmp_path, bases, bug):
    name, before, after = PLANTED[bug]
    text = (cuda_folder() / name).read_text()
    assert before in text, f"the planted bug {bug!r} no longer matches {name}"
    for path in [
        *cuda_folder().glob("*.cuh"),
        *(cuda_folder() / f"{n}.cu" for n in ("msm", "buckets", "points")),
    ]:
        shutil.copy(path, tmp_path)
    (tmp_path / name).write_text(text.replace(before, after))
    broken = HostKernels(tmp_path, tmp_path, "-O0")
    p = bases[:1]
    same = np.concatenate([p, p, g1.neg(g1.double(p)), p, g1.neg(p), 0 * p, p])
    trials = [
        (same, np.full((2, 7), 3, np.int32)),
        (bases[:90], np.arange(-90, 90).reshape(2, 90).astype(np.int32)),
    ]
    assert any((msm_rows(broken, b, m, 3) != za.msm_rows(b, m)).any() for b, m in trials)


def test_counts_reach_only_their_own_places(host):
    counts = u32(9)
    host.run(
        "msm_count_i32", 1, np.array([1, -4, 3], np.int32), 1, 3, np.uint32(4), np.uint32(1), counts, u32(3)
    )
    assert counts.tolist() == [1, 0, 1, 1, 0, 0, 0, 0, 0]
