"""Kernels of elementwise.cu, multilinear.cu and logup.cu, host against zkdl.arithmetic, bit for bit."""

import random

import numpy as np
import pytest

from tests.zkdl.cuda.host_build import MODULI, decode, encode, from_montgomery, to_montgomery
from tests.zkdl.cuda.test_field import edge_values
from zkdl import arithmetic as za

P = MODULI["Fr"][0]
EDGES = edge_values("Fr")
DTYPES = {"i32": np.int32, "i64": np.int64}


def elements(n, seed=0):
    rng = random.Random(seed)
    return to_montgomery([rng.choice(EDGES) if i % 3 == 0 else rng.randrange(P) for i in range(n)])


def signed(kind, shape, seed=0):
    info = np.iinfo(DTYPES[kind])
    values = np.random.default_rng(seed).integers(
        info.min, info.max, shape, dtype=DTYPES[kind], endpoint=True
    )
    flat = values.reshape(-1)
    edges = [info.min, info.max, 0, 1, -1][: flat.size]
    flat[: len(edges)] = edges
    return values


def empty(n):
    return np.full((n, 4), 7, np.uint64)


@pytest.mark.parametrize("field", sorted(MODULI))
def test_montgomery_form_and_back(host, field):
    _, limbs = MODULI[field]
    values = edge_values(field)
    plain = encode(values, limbs)
    inside, outside = np.zeros_like(plain), np.zeros_like(plain)
    host.run(f"to_montgomery_{field}", 1, plain, plain, inside, len(values))
    assert (inside == to_montgomery(values, field)).all()
    host.run(f"from_montgomery_{field}", 1, inside, inside, outside, len(values))
    assert decode(outside) == values


@pytest.mark.parametrize("kind", sorted(DTYPES))
def test_integers_to_elements(host, kind):
    values, out = signed(kind, 200), empty(200)
    host.run(f"from_{kind}_Fr", 1, values, out, 200)
    assert (out == za.Fr.from_int64(values.astype(np.int64))).all()


def test_one_factor_for_all(host):
    a, s, n = elements(150), elements(2, 1)[1:], 150
    product = za.Fr.mul(a, np.repeat(s, n, axis=0))
    out = empty(n)
    host.run("scale_Fr", 1, a, s, out, n)
    assert (out == product).all()
    more = elements(n, 2)
    wanted = za.Fr.add(more, product)
    host.run("add_scaled_Fr", 2, more, a, s, n)
    assert (more == wanted).all()
    host.run("fill_Fr", 1, s, out, n)
    assert (out == s).all()


@pytest.mark.parametrize("variables", [0, 1, 5, 8])
def test_eq_table_by_steps_by_halves_and_by_products(host, variables):
    rng = random.Random(variables)
    point = [rng.choice([0, 1, P - 1, rng.randrange(P)]) for _ in range(variables)]
    table = empty(1 << variables)
    table[0] = to_montgomery([1])[0]
    for k, r in enumerate(point):
        host.run("eq_step", 1, table, to_montgomery([r]), 1 << k)
    assert (table == za.multilinear.eq_table(point)).all()
    split = variables // 2
    low, high = za.multilinear.eq_table(point[:split]), za.multilinear.eq_table(point[split:])
    out = empty(1 << variables)
    host.run("outer_Fr", 2, low, high, out, 1 << split, 1 << variables)
    assert (out == table).all()
    if variables:
        half = 1 << (variables - 1)
        host.run("eq_halve", 1, table, half)
        assert (table[:half] == za.multilinear.eq_table(point[:-1])).all()


def total(host, kernel, blocks, *arguments):
    partials, out = empty(blocks), empty(1)
    host.run(kernel, blocks, *arguments, partials)
    host.run("finish_sum", 1, partials, np.uint32(blocks), out)
    return out


@pytest.mark.parametrize(("n", "blocks"), [(1, 1), (127, 1), (300, 2), (50, 200)])
def test_inner_products(host, n, blocks):
    a, b = elements(n), elements(n, 1)
    assert (total(host, "inner_Fr", blocks, a, b, n) == za.Fr.inner(a, b)).all()
    assert (total(host, "sum_Fr", blocks, a, n) == za.Fr.sum(a)).all()
    for kind in DTYPES:
        values = signed(kind, n)
        got = from_montgomery(total(host, f"inner_{kind}", blocks, values, b, n))
        assert got == [za.multilinear.inner_int(values.astype(np.int64), b)]


def test_long_sums_of_extreme_products_do_not_overflow(host):
    n = 3000
    values, top = np.full(n, -(2**63), np.int64), np.repeat(to_montgomery([P - 1]), n, axis=0)
    stored = encode([P - 1], 4).repeat(n, axis=0)
    for b in (top, stored):
        got = from_montgomery(total(host, "inner_i64", 1, values, b, n))
        assert got == [-(2**63) * sum(from_montgomery(b)) % P]


@pytest.mark.parametrize("kind", sorted(DTYPES))
@pytest.mark.parametrize(("rows", "columns", "lanes"), [(1, 1, 1), (5, 300, 128), (70, 9, 4), (3, 17, 32)])
def test_matrix_times_vector(host, kind, rows, columns, lanes):
    matrix, vector, out = signed(kind, (rows, columns)), elements(columns), empty(rows)
    blocks = -(-rows * lanes // 128)
    host.run(f"matvec_{kind}", blocks, matrix, vector, rows, columns, np.uint32(lanes), out)
    assert (out == za.multilinear.matvec(matrix.astype(np.int64), vector)).all()


@pytest.mark.parametrize("kind", sorted(DTYPES))
@pytest.mark.parametrize(("rows", "columns", "chunk"), [(1, 1, 1), (50, 13, 7), (9, 200, 9), (9, 20, 100)])
def test_vector_times_matrix(host, kind, rows, columns, chunk):
    matrix, vector, out = signed(kind, (rows, columns)), elements(rows), empty(columns)
    chunks = -(-rows // chunk)
    partials = empty(chunks * columns)
    host.run(f"vecmat_{kind}", 2, vector, matrix, rows, columns, chunk, partials)
    host.run("sum_rows", 1, partials, chunks, columns, out)
    assert (out == za.multilinear.vecmat(vector, matrix.astype(np.int64))).all()


@pytest.mark.parametrize("kind", sorted(DTYPES))
def test_leaf_denominators(host, kind):
    values, constant, out = signed(kind, 140), elements(2, 5)[1:], empty(140)
    host.run(f"leaves_{kind}", 1, values, constant, out, 140)
    wanted = za.Fr.sub(np.repeat(constant, 140, axis=0), za.Fr.from_int64(values.astype(np.int64)))
    assert (out == wanted).all()


@pytest.mark.parametrize("half", [1, 64, 200])
def test_layer_of_a_fraction_tree(host, half):
    p, q, p_out, q_out = elements(2 * half), elements(2 * half, 1), empty(half + 1), empty(half + 1)
    host.run("tree_layer", 1, p, q, half, p_out, q_out)
    cross = za.Fr.mul(p[:half], q[half:]), za.Fr.mul(p[half:], q[:half])
    assert (p_out[:half] == za.Fr.add(*cross)).all()
    assert (q_out[:half] == za.Fr.mul(q[:half], q[half:])).all()
    assert (p_out[half] == 7).all()
    assert (q_out[half] == 7).all()


@pytest.mark.parametrize("kind", sorted(DTYPES))
def test_multiplicities(host, kind):
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.integers(-3, 20, 500), np.full(300, 4), signed(kind, 5)]).astype(
        DTYPES[kind]
    )
    counts, outside = np.zeros(17, np.uint32), np.zeros(1, np.uint32)
    host.run(f"count_{kind}", 2, values, values.size, np.uint32(16), counts, outside)
    inside = values[(values >= 0) & (values < 16)]
    assert (counts[:16] == np.bincount(inside, minlength=16)).all()
    assert counts[16] == 0
    assert outside[0] == values.size - inside.size
