"""Multi-scalar multiplication against sums of discrete logarithms, with collisions of every kind."""

import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.arithmetic import twins
from zkdl.arithmetic import Fr, g1, msm, msm_rows, set_threads
from zkdl.arithmetic.segments import add_indexed, flat_points, segment_sums

pytestmark = pytest.mark.usefixtures("any_path")

# The package hands on the function under the module's name.
module = importlib.import_module("zkdl.arithmetic.msm")

R = Fr.modulus
INT64 = np.iinfo(np.int64)
RNG = np.random.default_rng(7)
DTYPES = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64]

logs = st.one_of(st.integers(-3, 3), st.integers(0, R - 1))
scalars = st.one_of(
    st.sampled_from([0, 1, R - 1, R // 2, R // 2 + 1, 2**128, 2**64 - 1, R - 2**64]), st.integers(0, R - 1)
)
words = st.one_of(st.sampled_from([0, 1, -1, INT64.min, INT64.max]), st.integers(INT64.min, INT64.max))


def multiples(ks):
    return g1.mul(g1.generator(), Fr.from_ints(ks))


def expected(ks, values):
    return multiples([sum(a * b for a, b in zip(ks, values, strict=True))])


@pytest.fixture(scope="module")
def base():
    """300 points with known discrete logarithms, many of them equal, opposite or infinity."""
    ks = [*Fr.to_ints(Fr.random(200)), *([1, -1, 0, 2, -2] * 20)]
    return ks, multiples(ks)


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(logs, scalars), max_size=12))
def test_field_scalars(pairs):
    ks, values = [k for k, _ in pairs], [v for _, v in pairs]
    assert g1.equal(msm(multiples(ks), Fr.from_ints(values)), expected(ks, values))


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(logs, words), max_size=12))
def test_integer_scalars(pairs):
    ks, values = [k for k, _ in pairs], [v for _, v in pairs]
    assert g1.equal(msm(multiples(ks), np.array(values, np.int64)), expected(ks, values))


@pytest.mark.parametrize("count", [1, 2])
def test_larger_sums(base, count):
    ks, points = base
    ks, points = ks * count, np.tile(points, (count, 1))
    values = Fr.random(len(ks))
    set_threads(2)
    try:
        assert g1.equal(msm(points, values), expected(ks, Fr.to_ints(values)))
    finally:
        set_threads()


def test_degenerate_sums(base):
    """All points equal, all opposite, all infinity, all scalars zero or equal."""
    one, n = g1.generator(), 257
    same = np.repeat(one, n, axis=0)
    mixed = np.concatenate([same, g1.neg(same)])
    for value in (0, 1, 5, R - 1, R // 2):
        full = Fr.from_ints([value])
        assert g1.equal(msm(same, np.repeat(full, n, axis=0)), multiples([value * n]))
        assert g1.is_infinity(msm(mixed, np.repeat(full, 2 * n, axis=0))).all()
        assert g1.is_infinity(msm(np.zeros((n, 12), np.uint64), np.repeat(full, n, axis=0))).all()
    assert g1.is_infinity(msm(same[:0], Fr.zeros(0))).all()
    assert g1.is_infinity(msm(same[:0], np.zeros(0, np.int8))).all()
    assert g1.equal(msm(one, np.array([-1])), g1.neg(one))


def test_partial_sums_that_meet():
    """Points a + i b whose pairwise sums coincide: rounds of doublings and of cancellations."""
    ks = [3 + 2 * i for i in range(16)] + [-(3 + 2 * i) for i in reversed(range(16))]
    points = multiples(ks)
    for order in (np.arange(32), RNG.permutation(32)):
        chosen = [ks[i] for i in order]
        assert g1.is_infinity(msm(points[order], np.ones(32, np.int8))).all()
        values = RNG.integers(-4, 4, 32)
        assert g1.equal(msm(points[order], values), expected(chosen, values.tolist()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5, 70])
def test_rows_of_every_dtype(base, dtype, rows):
    ks, points = base
    info = np.iinfo(dtype)
    matrix = RNG.integers(info.min, info.max, (rows, 40), dtype=dtype, endpoint=True)
    matrix[0, :2] = [info.min, info.max]
    out = msm_rows(points[180:220], matrix)
    assert out.shape == (rows, 12)
    want = [sum(k * int(v) for k, v in zip(ks[180:220], row, strict=True)) for row in matrix]
    assert g1.equal(out, multiples(want))


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 300])
@pytest.mark.parametrize("low", [0, -1])
def test_bits_and_signs(base, columns, low):
    ks, points = base
    for rows in (1, 3, 40, 300):
        matrix = RNG.integers(low, 2, (rows, columns)).astype(np.int8)
        matrix[0], matrix[-1] = 0, 1
        want = [sum(k * int(v) for k, v in zip(ks, row, strict=False)) for row in matrix]
        assert g1.equal(msm_rows(points[:columns], matrix), multiples(want))
        if low == 0:
            assert g1.equal(msm_rows(points[:columns], matrix.astype(bool)), multiples(want))


@settings(max_examples=20, deadline=None)
@given(data=st.data(), rows=st.integers(0, 4), columns=st.integers(0, 5))
def test_small_matrices(data, rows, columns):
    ks = data.draw(st.lists(logs, min_size=columns, max_size=columns))
    cells = data.draw(st.lists(words, min_size=rows * columns, max_size=rows * columns))
    matrix = np.array(cells, np.int64).reshape(rows, columns)
    out = msm_rows(multiples(ks), matrix)
    assert out.shape == (rows, 12)
    for row, point in zip(matrix, out, strict=True):
        assert g1.equal(point, expected(ks, row.tolist()))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-1, 1), (-(2**15), 2**15 - 1), (-(2**16), 2**16), (0, 2**40)]
)
def test_both_ways_agree(base, low, high, monkeypatch):
    """Force buckets of every width, and subsets of every size, on one matrix."""
    ks, points = base
    matrix = RNG.integers(low, high, (6, 60), endpoint=True)
    matrix[0, :2] = [low, high]
    want = multiples([sum(k * int(v) for k, v in zip(ks, row, strict=False)) for row in matrix])
    for bits in (2, 3, 5, 8, 9, 13):
        plan = module._Plan(0.0, bits=bits, windows=module._windows(max(high, -low), bits))
        monkeypatch.setattr(module, "_plan", lambda *_, plan=plan: plan)
        monkeypatch.setattr(module, "_bucket_plan", lambda *_, plan=plan: plan)
        assert g1.equal(msm_rows(points[:60], matrix), want)
    planes = max(1, high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + (low < 0)
    for subset in (1, 2, 4, 8):
        plan = module._Plan(0.0, subset=subset, planes=planes, signed=low < 0)
        monkeypatch.setattr(module, "_plan", lambda *_, plan=plan: plan)
        assert g1.equal(msm_rows(points[:60], matrix), want)


@pytest.mark.parametrize("bits", [2, 4, 8, 11])
def test_windows_hold_exactly_what_they_say(bits):
    """The largest magnitude for each number of windows, and one more: no carry is lost."""
    for windows in (1, 2, 3):
        reach = sum(1 << (bits - 1 + bits * w) for w in range(windows))
        assert module._windows(reach, bits) == windows
        assert module._windows(reach + 1, bits) == windows + 1
        values = np.array([reach, -reach, reach - 1, 1 - reach])
        plan = module._Plan(0.0, bits=bits, windows=windows)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_plan", lambda *_, plan=plan: plan)
            patch.setattr(module, "_bucket_plan", lambda *_, plan=plan: plan)
            got = msm(multiples([1, 10, 100, 1000]), values)
        assert g1.equal(got, expected([1, 10, 100, 1000], values.tolist()))


def test_plans_stay_within_memory():
    """However many rows would pay for it, the table of subset sums stays below its limit."""
    for columns in (2048, 1 << 16, 1 << 20, 1 << 24):
        plan = module._plan(100_000, columns, 0, 1)
        groups = -(-columns // plan.subset) if plan.subset else 0
        assert (groups << plan.subset) * 96 <= module._LARGEST_TABLE
    assert module._plan(1000, 2048, 0, 1).subset == 8
    assert module._plan(1, 2048, 0, 1).subset < 8
    assert module._plan(1, 2048, 0, 1, ready=[8]).subset == 8
    assert module._plan(1, 4096, -(2**62), 2**62).subset == 0


def test_tables_are_kept_and_make_room(base, monkeypatch):
    ks, points = base
    tables = module._Tables()
    monkeypatch.setattr(module, "_TABLES", tables)
    monkeypatch.setattr(module, "_HASHED", 0)
    matrix = RNG.integers(0, 2, (300, 64)).astype(np.int8)
    for start in (0, 64, 0, 128):
        want = [sum(k * int(v) for k, v in zip(ks[start:], row, strict=False)) for row in matrix]
        assert g1.equal(msm_rows(points[start : start + 64], matrix), multiples(want))
    assert len(tables._tables) == 3
    monkeypatch.setattr(module, "_TABLE_BYTES", 3 * next(iter(tables._tables.values())).nbytes)
    msm_rows(points[100:164], matrix)
    assert len(tables._tables) == 3


@pytest.mark.parametrize("value", [INT64.min, INT64.min + 1, -(2**62), INT64.max])
def test_one_extreme_cell(value):
    """The only value of a matrix is its least and its largest, which sets the number of planes."""
    out = msm_rows(multiples([1]), np.array([[value]]))
    assert g1.equal(out, multiples([int(value)]))


def test_blocks_of_rows(base, monkeypatch):
    """Matrices too large for one pass are done in blocks."""
    ks, points = base
    monkeypatch.setattr(module, "_ENTRIES", 500)
    for low, high in ((0, 2), (-(2**40), 2**40)):
        matrix = RNG.integers(low, high, (23, 50))
        want = multiples([sum(k * int(v) for k, v in zip(ks, row, strict=False)) for row in matrix])
        assert g1.equal(msm_rows(points[:50], matrix), want)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_segment_sums(data):
    ks = data.draw(st.lists(st.integers(-3, 3), min_size=1, max_size=6))
    code = st.tuples(st.integers(0, len(ks) - 1), st.booleans())
    lists = data.draw(st.lists(st.lists(code, max_size=9), min_size=1, max_size=6))
    codes = np.array([2 * i + s for part in lists for i, s in part], np.int32)
    bounds = np.cumsum([0] + [len(part) for part in lists])
    out = segment_sums(flat_points(multiples(ks)), codes, bounds[:-1].copy(), bounds[1:].copy())
    want = [sum(-ks[i] if s else ks[i] for i, s in part) for part in lists]
    assert g1.equal(out, multiples(want))


def test_segments_longer_than_a_chunk_and_threads(base):
    ks, points = base
    picks = RNG.integers(0, 300, 20_000)
    bounds = np.array([0, 3, 3, 12_000, 12_001, 20_000])
    want = multiples([sum(ks[i] for i in picks[a:b]) for a, b in itertools.pairwise(bounds)])
    try:
        for count in (1, 2, 7):
            set_threads(count)
            out = segment_sums(
                flat_points(points), (2 * picks).astype(np.int32), bounds[:-1].copy(), bounds[1:].copy()
            )
            assert g1.equal(out, want)
    finally:
        set_threads()


def test_ragged_segments_of_ordinary_points():
    """Lengths of every kind side by side, over several chunks, none of whose additions is special."""
    ks = Fr.to_ints(Fr.random(400))
    lengths = RNG.permutation([0, 0, 1, 2, 3, 400, 5, 64, 65, 66, 127, 131, *RNG.integers(0, 40, 150)])
    # Points without repetition within a segment; signs as they come.
    codes = [2 * RNG.permutation(400)[:length] + RNG.integers(0, 2, length) for length in lengths]
    bounds = np.cumsum([0, *lengths])
    flat = np.concatenate(codes).astype(np.int32)
    out = segment_sums(flat_points(multiples(ks)), flat, bounds[:-1].copy(), bounds[1:].copy())
    want = [sum(-ks[c >> 1] if c & 1 else ks[c >> 1] for c in part.tolist()) for part in codes]
    assert g1.equal(out, multiples(want))


@pytest.mark.parametrize("size", [40, 700])
def test_points_in_arithmetic_progression(size):
    """Q + i H: partial sums of different buckets and rows meet all the time."""
    q = Fr.to_ints(Fr.random(1))[0]
    ks = [(q + i) % R for i in range(size)]
    values = [pow(3, i, 1 << 20) for i in range(size)]
    points = multiples(ks)
    assert g1.equal(msm(points, Fr.from_ints(values)), expected(ks, values))
    assert g1.equal(msm(points, np.array(values)), expected(ks, values))
    wide = Fr.random(size)
    assert g1.equal(msm(points, wide), expected(ks, Fr.to_ints(wide)))


def test_indexed_additions_in_lanes():
    """Groups of lanes with and without a special pair, and what is left over."""
    for count in (3, 8, 29):
        for special in (False, True):
            ks = Fr.to_ints(Fr.random(2 * count))
            if special:
                ks[1], ks[count] = ks[count + 1], 0
            table = multiples(ks + [0] * count)
            flat, index = table.reshape(-1), np.arange(count)
            add_indexed(flat, 2 * count + index[::-1], flat, index, count + index)
            want = [(ks[i] + ks[count + i]) % R for i in range(count)][::-1]
            assert g1.equal(table[2 * count :], multiples(want))


def test_indexed_additions():
    table = multiples([1, 2, -2, 0, 0, 0, 0])
    flat = table.reshape(-1)
    add_indexed(flat, np.array([4, 5, 6]), flat, np.array([0, 1, 1]), np.array([3, 2, 1]))
    assert g1.equal(table, multiples([1, 2, -2, 0, 1, 0, 4]))


def test_against_arkworks():
    arkworks = pytest.importorskip("py_arkworks_bls12381", reason="arkworks comes with the bench extra")
    points, values = multiples(Fr.to_ints(Fr.random(64))), Fr.random(64)
    theirs = arkworks.G1Point.multiexp_unchecked(
        [arkworks.G1Point.from_compressed_bytes(raw) for raw in g1.to_bytes(points)],
        [arkworks.Scalar(value) for value in Fr.to_ints(values)],
    )
    assert g1.to_bytes(msm(points, values))[0] == bytes(theirs.to_compressed_bytes())


def test_arguments_are_checked():
    points = multiples([1, 2])
    with pytest.raises(ValueError, match="expected 2"):
        msm(points, Fr.zeros(3))
    with pytest.raises(ValueError, match=r"\(2,\)"):
        msm(points, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="column for each point"):
        msm_rows(points, np.zeros((2, 3), np.int8))
    with pytest.raises(TypeError, match="float64"):
        msm(points, np.zeros(2))
    with pytest.raises(OverflowError, match="2\\^63"):
        msm(points, np.array([0, 2**63], np.uint64))
    with pytest.raises(ValueError, match="last axis"):
        msm(points, np.zeros((2, 5), np.uint64))


def test_twins_agree_with_each_other():
    assert twins.from_array(multiples([12345])) == [twins.mul(twins.G, 12345)]
