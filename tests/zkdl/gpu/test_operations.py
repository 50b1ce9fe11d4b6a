"""Every operation on the device gives the processor's result, bit for bit."""

import numpy as np
import pytest

import zkdl.arithmetic as za
from tests.zkdl.gpu.conftest import LINE
from zkdl.arithmetic import FixedBase, g1
from zkdl.arithmetic.backend import on_processor, use_engine
from zkdl.arithmetic.gpu import OPERATIONS, DeviceArray, msm_ops, self_test

Fr = za.Fr
P = Fr.modulus
EDGES = [0, 1, -1, 2, P - 2, (P + 1) // 2, (P - 1) // 2, 1 << 64, (1 << 32) - 1]


def elements(n, seed=0):
    rng = np.random.default_rng(seed)
    drawn = [int.from_bytes(rng.bytes(48), "little") for _ in range(n)]
    return Fr.from_ints((EDGES + drawn)[:n] if seed % 2 else drawn)


def host(value):
    return value.to_host() if isinstance(value, DeviceArray) else value


def same(function, *args, on_device=True):
    """The result with an engine in use, after comparing it with the processor's."""
    copies = [host(a).copy() if isinstance(a, DeviceArray | np.ndarray) else a for a in args]
    before = use_engine(None)
    wanted = on_processor(function)(*copies)
    use_engine(before)
    got = function(*args)
    compare(got, wanted)
    if isinstance(wanted, np.ndarray):
        assert isinstance(got, DeviceArray) == on_device
    return got


def compare(got, wanted):
    if isinstance(wanted, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            compare(one, other)
        return
    assert np.array_equal(host(got), wanted)
    assert np.shape(got) == np.shape(wanted)


# Methods of Field are switched functions, too; binding them by hand lets `same` reach the processor's
# version.
def method(name):
    return getattr(type(Fr), name)


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
@pytest.mark.parametrize("field", [za.Fr, za.Fq])
def test_binary(engine, name, field):
    a = field.from_ints([*EDGES, *range(40)])
    b = field.from_ints([pow(7, k, field.modulus) for k in range(len(a))])
    same(method(name), field, a, b)
    same(method(name), field, engine.put(a), b)
    same(method(name), field, a, engine.put(b))
    same(method(name), field, a.reshape(7, 7, -1), b.reshape(7, 7, -1))
    same(method(name), field, a[: LINE - 1], b[: LINE - 1], on_device=False)
    assert not engine.fallbacks


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_one_element_meets_many(engine, name):
    a, one = elements(30, 1), elements(1, 2)
    for single in (one, one[0]):
        same(method(name), Fr, a, single)
        same(method(name), Fr, single, a)
    same(method(name), Fr, engine.put(a), engine.put(one))
    assert not engine.fallbacks
    # Fq has no such kernel: the processor does it, and that is counted.
    q = za.Fq.from_ints(range(30))
    same(method(name), za.Fq, q, q[3:4], on_device=False)
    assert engine.fallbacks == {f"field.{name}": 1}


def test_unary(engine):
    a = elements(50, 3)
    for name in ("square", "neg"):
        same(method(name), Fr, a)
        same(method(name), za.Fq, za.Fq.from_ints([*EDGES, *range(9)]))
    same(method("scale"), Fr, a, -(3**200))
    same(method("inverse"), Fr, a[1:])
    with pytest.raises(ZeroDivisionError, match="element 0 is zero"):
        Fr.inverse(a)


def test_constants(engine):
    for n in (LINE, 130):
        assert isinstance(Fr.ones(n), DeviceArray)
        assert (host(Fr.ones(n)) == Fr.from_ints([1] * n)).all()
        assert not host(Fr.zeros(n)).any()
        assert host(za.Fq.zeros(n)).shape == (n, 6)
    assert isinstance(Fr.zeros(LINE - 1), np.ndarray)


@pytest.mark.parametrize("n", [LINE, 127, 129, 3000])
def test_sums(engine, n):
    a, b = elements(n, 1), elements(n, 2)
    same(method("sum"), Fr, a, on_device=False)
    same(method("inner"), Fr, a, b, on_device=False)
    same(method("inner"), Fr, engine.put(a), b, on_device=False)
    assert not engine.fallbacks


INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.bool_]


def integers(dtype, *shape, seed=1):
    if dtype is np.bool_:
        return np.random.default_rng(seed).random(shape) < 0.5
    limits = np.iinfo(dtype)
    out = np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype, endpoint=True)
    out.reshape(-1)[:2] = limits.min, limits.max
    return out


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(engine, dtype):
    values = integers(dtype, 12, 16)
    same(method("from_int64"), Fr, values)
    same(za.multilinear.matvec, values, elements(16, 4), on_device=True)
    same(za.multilinear.vecmat, elements(12, 5), values, on_device=True)
    same(za.multilinear.inner_int, values.reshape(-1), elements(192, 6))
    same(za.multilinear.eval_int, values.reshape(-1)[:128], [5, -1, 0, 1, P - 3, 7, 2**200])
    assert not engine.fallbacks


@pytest.mark.parametrize(("rows", "columns"), [(1, 700), (700, 1), (3, 5), (129, 33), (40, 260), (17, 1030)])
def test_matrices_of_all_shapes(engine, rows, columns):
    matrix = integers(np.int64, rows, columns)
    u, v = elements(rows, 1), elements(columns, 2)
    same(za.multilinear.matvec, matrix, v, on_device=rows >= LINE)
    same(za.multilinear.vecmat, u, matrix, on_device=columns >= LINE)
    same(za.multilinear.vecmat, engine.put(u), matrix, on_device=columns >= LINE)


@pytest.mark.parametrize("k", [3, 4, 9, 10])
def test_eq_tables(engine, k):
    point = [5, 0, 1, P - 1, 2**250, 77, 3**150, 1, 12345, 8][:k]
    table = same(za.multilinear.eq_table, point)
    same(za.multilinear.eq_table, Fr.from_ints(point))
    same(za.multilinear.eq_table, engine.put(Fr.from_ints(point)))
    same(za.multilinear.evaluate, elements(1 << k, k), point)
    assert Fr.to_ints(host(Fr.sum(table))) == [1]
    assert za.multilinear.eq_table(point[:2]).shape == (4, 4)


def test_folding_is_in_place_and_ends_on_the_host(engine):
    t = elements(64, 7)
    folded = same(za.multilinear.fold_high, engine.put(t), 3**140)
    table = engine.put(t)
    view = za.multilinear.fold_high(table, 3**140)
    assert view.address == table.address
    while len(folded) > 1:
        folded = same(za.multilinear.fold_high, folded, 11, on_device=len(folded) >= 2 * LINE)
    assert isinstance(folded, np.ndarray)
    assert not engine.fallbacks


LENGTHS = [LINE, 32, 260, 516, 4096]
sc = za.sumcheck


@pytest.mark.parametrize("n", LENGTHS)
def test_rounds(engine, n):
    e, f, g = (elements(n, k) for k in (1, 2, 3))
    same(sc.round_quadratic, f, g)
    same(sc.round_cubic, e, f, g)
    same(sc.round_cubic, engine.put(e), f, engine.put(g))
    for dtype in (np.int32, np.int64):
        small = integers(dtype, n) >> 3
        same(sc.round_quadratic, small, g)
        same(sc.fold_integers, small, 3**150, on_device=n >= 2 * LINE)
        same(sc.round_boolean, e, small >> (40 if dtype is np.int64 else 1))
    same(sc.round_boolean, e, f)
    same(sc.round_boolean, engine.put(e), engine.put(f))
    same(sc.add_multiple, f.copy(), g, -5)
    same(sc.add_halves, f.copy(), on_device=n >= 2 * LINE)
    assert not engine.fallbacks


def test_rounds_with_weights_of_the_lowest_bits(engine):
    f, g = elements(64, 1), elements(64, 2)
    for m in (1, 2, 8, 32):
        same(sc.round_quadratic, f, g, elements(m, 3))
        same(sc.round_quadratic, engine.put(f), g, engine.put(elements(m, 3)))
    assert not engine.fallbacks


@pytest.mark.parametrize("n", LENGTHS)
def test_rounds_that_fold_first(engine, n):
    f, g = elements(n, 1), elements(n, 2)
    same(sc.fold_round_quadratic, f.copy(), g.copy(), 3**155)
    a, b = engine.put(f), engine.put(g)
    _, c, d = same(sc.fold_round_quadratic, a, b, P - 1)
    if n >= 2 * LINE:
        assert (c.address, d.address) == (a.address, b.address)
    else:
        assert isinstance(c, np.ndarray)
    assert not engine.fallbacks


@pytest.mark.parametrize("n", LENGTHS)
def test_layers_of_fractions(engine, n):
    eq, u, p, q, t = (elements(n, k) for k in (1, 2, 3, 5, 7))
    same(sc.round_layer, eq, u, p, q, t)
    same(sc.fold_round_layer, eq[: n // 4], u.copy(), p.copy(), q.copy(), t.copy(), 3**155)
    same(sc.fold_round_layer, engine.put(eq), *(engine.put(x) for x in (u, p, q, t)), 5)
    same(sc.fraction_layer, u, q)
    for dtype in (np.int32, np.int64):
        a, b = integers(dtype, n, seed=3) >> 2, integers(dtype, n, seed=4) >> 2
        same(sc.fraction_layer, a, q)
        same(sc.round_integer_layer, eq[: n // 2], a, b, q, t)
    assert not engine.fallbacks


@pytest.mark.parametrize(("n", "m"), [(17, 14), (1, 15), (20, 3)])
def test_outer_products_are_added_to_a_box(engine, n, m):
    box = elements(15 * 20, 5).reshape(15, 20, 4)
    same(sc.add_outer, box.copy(), 20 - n, elements(n, 1), elements(m, 2))
    same(sc.add_outer, engine.put(box), 0, engine.put(elements(n, 1)), elements(m, 2))
    assert not engine.fallbacks


def test_integers_too_large_for_differences_go_to_the_processor(engine):
    large = np.array([-(1 << 63), (1 << 63) - 1] * LINE)
    same(sc.fold_integers, large, 7, on_device=False)
    same(sc.round_quadratic, large, elements(2 * LINE, 1))
    assert engine.fallbacks == {"sumcheck.fold_integers": 1, "sumcheck.round_quadratic": 1}


POINTS = FixedBase(g1.generator()).mul(Fr.from_ints([*range(60), 1, -1, 1, 1]))


@pytest.mark.parametrize("n", [LINE, 63, 64])
def test_msm(engine, n):
    scalars = elements(n, 1)
    same(za.msm, POINTS[:n], scalars, on_device=False)
    same(za.msm, engine.put(POINTS[:n]), engine.put(scalars), on_device=False)
    same(za.msm, POINTS[:n], Fr.zeros(n), on_device=False)
    same(za.msm, POINTS[:n], Fr.neg(Fr.ones(n)), on_device=False)
    same(za.msm, POINTS[:n], integers(np.int64, n), on_device=False)
    assert not engine.fallbacks


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_msm_rows(engine, dtype, rows):
    same(za.msm_rows, POINTS, integers(dtype, rows, 64), on_device=False)
    assert not engine.fallbacks


def test_msm_of_zeros_and_empty_rows(engine):
    same(za.msm_rows, POINTS, np.zeros((3, 64), np.int64), on_device=False)
    unsigned = np.full((2, 64), 1 << 62, np.uint64)
    same(za.msm_rows, POINTS, unsigned, on_device=False)
    assert engine.fallbacks == {"msm_rows": 1}, "64-bit unsigned numbers have no kernel"
    with pytest.raises(OverflowError):
        za.msm_rows(POINTS, unsigned * 2)
    assert za.msm_rows(POINTS, np.zeros((0, 64), np.int64)).shape == (0, 12)


def test_rows_beyond_the_limits_go_in_batches(engine, monkeypatch):
    monkeypatch.setattr(msm_ops, "_DIGITS", 1 << 9)
    before = engine.launches["buckets.msm_accumulate"]
    same(za.msm_rows, POINTS, integers(np.int16, 9, 64), on_device=False)
    assert engine.launches["buckets.msm_accumulate"] - before > 2


@pytest.mark.parametrize("bits", [2, 3, 5, 11, 16])
def test_every_width_of_digits(engine, monkeypatch, bits):
    plan = msm_ops._Plan(bits, msm_ops._windows(msm_ops._LARGEST_FR, bits))
    monkeypatch.setattr(msm_ops, "_plan", lambda *_: plan)
    same(za.msm, POINTS[:20], elements(20, 1), on_device=False)


def test_shared_points_travel_once(engine):
    sent = []
    upload = engine.device.upload
    engine.device.upload = lambda address, array: (sent.append(array.nbytes), upload(address, array))
    try:
        points = np.ascontiguousarray(POINTS[::-1])
        for _ in range(3):
            za.msm(points.copy(), elements(64, 1))
    finally:
        engine.device.upload = upload
    assert sent.count(points.nbytes) == 1
    assert sent.count(64 * 32) == 3


def test_mistakes_get_the_usual_words(engine):
    with pytest.raises(ValueError, match="expected 30 elements"):
        Fr.add(elements(30), elements(20))
    with pytest.raises(ValueError, match="uint64 array of Fr elements"):
        Fr.mul(np.zeros((30, 4)), np.zeros((30, 4)))
    with pytest.raises(ValueError, match="multiple of 2"):
        za.sumcheck.round_quadratic(elements(31), elements(31))
    with pytest.raises(ValueError, match="vector: expected"):
        za.multilinear.matvec(np.zeros((9, 30), np.int64), elements(29))
    with pytest.raises(TypeError, match="integer"):
        Fr.from_int64(np.zeros(50))
    with pytest.raises(ValueError, match="power of two"):
        za.multilinear.evaluate(elements(30), [1, 2, 3])
    with pytest.raises(ValueError, match="scalars: expected"):
        za.msm(POINTS, elements(63))


def test_all_operations_belong_to_switched_functions():
    """An operation that no public function reaches would never run, and nobody would notice."""
    reached = dict.fromkeys(OPERATIONS, False)

    class Listener:
        def call(self, name, cpu, args, kwargs):
            reached[name] = True
            return cpu(*args, **kwargs)

    before = use_engine(Listener())
    try:
        a, small = Fr.from_ints([1, 2]), np.array([3, 4])
        for name in ("add", "sub", "mul", "inner"):
            getattr(Fr, name)(a, a)
        for name in ("square", "neg", "inverse", "sum"):
            getattr(Fr, name)(a)
        Fr.scale(a, 3), Fr.from_int64(small), Fr.zeros(1), Fr.ones(1)
        ml = za.multilinear
        ml.eq_table([1]), ml.evaluate(a, [1]), ml.eval_int(small, [1]), ml.inner_int(small, a)
        ml.matvec(small[None], a), ml.vecmat(a[:1], small[None]), ml.fold_high(a.copy(), 1)
        four = Fr.from_ints([1, 2, 3, 4])
        sc.round_quadratic(a, a), sc.round_cubic(a, a, a), sc.round_boolean(a[:1], a)
        sc.fold_round_quadratic(four.copy(), four.copy(), 1), sc.round_layer(a, a, a, a, a)
        sc.fold_round_layer(a, *(four.copy() for _ in range(4)), 1), sc.fold_integers(small, 1)
        sc.round_integer_layer(a, small, small, a, a), sc.fraction_layer(a, a)
        sc.add_multiple(a.copy(), a, 1), sc.add_halves(a.copy())
        sc.add_outer(four.reshape(2, 2, 4).copy(), 1, a[:1], a)
        Fr.to_ints(a), Fr.to_bytes(a)
        za.msm(POINTS[:2], a), za.msm_rows(POINTS[:2], small[None])
    finally:
        use_engine(before)
    assert all(reached.values()), reached


def test_self_test(engine):
    self_test(engine)
