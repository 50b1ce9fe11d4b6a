"""First rounds over integers and rounds over fraction trees, on the host, against Python integers."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.cuda.host_build import from_montgomery, to_montgomery
from tests.zkdl.cuda.test_sumcheck import P, finished, fold_by_hand, room, round_by_hand, table
from zkdl import arithmetic as za

DTYPES = {"i32": np.int32, "i64": np.int64}
# What the contract allows in each kind of table, in size.
LIMITS = {"i32": 2**31, "i64": 2**62, "cubic": 2**29}


def integers(rng, n, limit, dtype):
    edges = (0, 1, -1, limit - 1, 1 - limit)
    values = [rng.choice(edges) if rng.random() < 0.4 else rng.randrange(1 - limit, limit) for _ in range(n)]
    return np.array(values, dtype)


@pytest.mark.parametrize("kind", sorted(DTYPES))
@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (130, 1), (200, 2)])
def test_quadratic_round_over_integers(host, kind, half, blocks):
    rng = random.Random(f"{kind} {half}")
    f, g = integers(rng, 2 * half, LIMITS[kind], DTYPES[kind]), table(rng, 2 * half)
    partials = room("quadratic", blocks)
    host.run(f"round_quadratic_{kind}", blocks, f, to_montgomery(g), half, partials)
    assert finished(host, "quadratic", partials, blocks) == round_by_hand([f.tolist(), g])
    assert finished(host, "quadratic", partials, blocks)[::2] == za.sumcheck.round_quadratic(
        za.Fr.from_int64(f.astype(np.int64)), za.Fr.from_ints(g)
    )


@pytest.mark.parametrize("kind", sorted(DTYPES))
@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (130, 1), (150, 2)])
def test_first_fold_with_quadratic_round(host, kind, half, blocks):
    rng = random.Random(f"fold {kind} {half}")
    f, g, r = integers(rng, 4 * half, LIMITS[kind], DTYPES[kind]), table(rng, 4 * half), rng.randrange(P)
    f_out, g_array, partials = np.zeros((2 * half, 4), np.uint64), to_montgomery(g), room("quadratic", blocks)
    host.run(f"fold_round_quadratic_{kind}", blocks, f, g_array, to_montgomery([r]), half, f_out, partials)
    folded = [fold_by_hand(f.tolist(), r), fold_by_hand(g, r)]
    assert [from_montgomery(f_out), from_montgomery(g_array[: 2 * half])] == folded
    assert finished(host, "quadratic", partials, blocks) == round_by_hand(folded)


@pytest.mark.parametrize("kind", sorted(DTYPES))
def test_first_fold_alone(host, kind):
    rng = random.Random(kind)
    t, r, out = integers(rng, 90, LIMITS[kind], DTYPES[kind]), rng.randrange(P), np.zeros((45, 4), np.uint64)
    host.run(f"fold_high_{kind}", 1, t, to_montgomery([r]), 45, out)
    assert from_montgomery(out) == fold_by_hand(t.tolist(), r)


@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (140, 1), (150, 2)])
def test_cubic_round_over_integers_and_its_fold(host, half, blocks):
    rng = random.Random(f"cubic {half}")
    e = table(rng, 4 * half)
    f, g = (integers(rng, 4 * half, LIMITS["cubic"], np.int32) for _ in range(2))
    partials = room("cubic", blocks)
    host.run("round_cubic_i32", blocks, to_montgomery(e), f, g, 2 * half, partials)
    assert finished(host, "cubic", partials, blocks) == round_by_hand([e, f.tolist(), g.tolist()])
    r = rng.randrange(P)
    e_array, f_out, g_out = to_montgomery(e), *(np.zeros((2 * half, 4), np.uint64) for _ in range(2))
    partials = room("cubic", blocks)
    outputs = (f_out, g_out, partials)
    host.run("fold_round_cubic_i32", blocks, e_array, f, g, to_montgomery([r]), half, *outputs)
    folded = [fold_by_hand(t, r) for t in (e, f.tolist(), g.tolist())]
    assert [from_montgomery(a) for a in (e_array[: 2 * half], f_out, g_out)] == folded
    assert finished(host, "cubic", partials, blocks) == round_by_hand(folded)


def fraction_by_hand(eq, tables, lam):
    """t(0) and t(infinity) from the definition."""
    half = len(eq)
    at_0 = at_inf = 0
    for i in range(half):
        low = [t[i] for t in tables]
        slope = [t[i + half] - t[i] for t in tables]
        values = [(p0 + lam * q0) * q1 + p1 * q0 for p0, p1, q0, q1 in (low, slope)]
        at_0, at_inf = at_0 + eq[i] * values[0], at_inf + eq[i] * values[1]
    return [at_0 % P, at_inf % P]


@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (127, 1), (200, 2)])
def test_fraction_round_and_its_fold(host, half, blocks):
    rng = random.Random(f"fraction {half}")
    eq, lam, r = table(rng, 2 * half), rng.randrange(P), rng.randrange(P)
    tables = [table(rng, 4 * half) for _ in range(4)]
    arrays, eq_array = [to_montgomery(t) for t in tables], to_montgomery(eq)
    partials = room("fraction", blocks)
    host.run("round_fraction", blocks, eq_array, *arrays, to_montgomery([lam]), 2 * half, partials)
    assert finished(host, "fraction", partials, blocks) == fraction_by_hand(eq, tables, lam)
    partials = room("fraction", blocks)
    challenges = (to_montgomery([lam]), to_montgomery([r]))
    host.run("fold_round_fraction", blocks, eq_array, *arrays, *challenges, half, partials)
    folded = [fold_by_hand(t, r) for t in tables]
    halved = [(eq[i] + eq[i + half]) % P for i in range(half)]
    assert [from_montgomery(a[: 2 * half]) for a in arrays] == folded
    assert from_montgomery(eq_array[:half]) == halved
    assert finished(host, "fraction", partials, blocks) == fraction_by_hand(halved, folded, lam)


def ends_by_hand(eq, half, product, *tables):
    """Value at 0 and leading coefficient of the sum of eq[i] product(lines), a product of degree 2."""
    low = sum(eq[i] * product(*(t[i] for t in tables)) for i in range(half))
    one = sum(eq[i] * product(*(t[i + half] for t in tables)) for i in range(half))
    minus = sum(eq[i] * product(*(2 * t[i] - t[i + half] for t in tables)) for i in range(half))
    return [low % P, (one + minus - 2 * low) * pow(2, -1, P) % P]


@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (130, 1), (150, 2)])
def test_layer_rounds(host, half, blocks):
    rng = random.Random(f"layer {half}")
    eq, r, tables = table(rng, 2 * half), rng.randrange(P), [table(rng, 4 * half) for _ in range(4)]
    arrays, weights, partials = (
        [to_montgomery(t) for t in tables],
        to_montgomery(eq),
        room("fraction", blocks),
    )

    def layer(u, p1, q0, q1):
        return u * q1 + p1 * q0

    host.run("round_layer", blocks, weights, *arrays, 2 * half, partials)
    assert finished(host, "fraction", partials, blocks) == ends_by_hand(eq, 2 * half, layer, *tables)
    partials = room("fraction", blocks)
    host.run("fold_round_layer", blocks, weights, *arrays, to_montgomery([r]), half, partials)
    folded = [fold_by_hand(t, r) for t in tables]
    assert [from_montgomery(a[: 2 * half]) for a in arrays] == folded
    assert from_montgomery(weights) == eq
    assert finished(host, "fraction", partials, blocks) == ends_by_hand(eq, half, layer, *folded)


@pytest.mark.parametrize("kind", sorted(DTYPES))
@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (150, 2)])
def test_layer_with_integer_numerators(host, kind, half, blocks):
    rng = random.Random(f"numerators {kind} {half}")
    eq, q0, q1 = table(rng, half), table(rng, 2 * half), table(rng, 2 * half)
    p0, p1 = (integers(rng, 2 * half, LIMITS[kind], DTYPES[kind]) for _ in range(2))
    partials, out = np.zeros((4 * blocks, 4), np.uint64), np.zeros((4, 4), np.uint64)
    sources = (to_montgomery(eq), p0, p1, to_montgomery(q0), to_montgomery(q1))
    host.run(f"round_integer_layer_{kind}", blocks, *sources, half, partials)
    host.run("finish_integer_layer", 1, partials, np.uint32(blocks), out)
    wanted = ends_by_hand(
        eq, half, lambda a, b, c, d: a * d + b * c, p0.tolist(), p1.tolist(), q0, q1
    ) + ends_by_hand(eq, half, lambda c, d: c * d, q0, q1)
    assert from_montgomery(out) == wanted


@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (150, 2)])
def test_boolean_and_weighted_rounds(host, half, blocks):
    rng = random.Random(f"boolean {half}")
    eq, f, g = table(rng, half), table(rng, 2 * half), table(rng, 2 * half)
    small = integers(rng, 2 * half, 2**30, np.int32)

    def ends(kernel, *sources):
        partials = room("fraction", blocks)
        host.run(kernel, blocks, to_montgomery(eq), *sources, half, partials)
        return finished(host, "fraction", partials, blocks)

    def boolean(x):
        return x * (x - 1)

    assert ends("round_boolean", to_montgomery(f)) == ends_by_hand(eq, half, boolean, f)
    assert ends("round_boolean_i32", small) == ends_by_hand(eq, half, boolean, small.tolist())
    width = 1 if half == 1 else 8
    repeated = [eq[i % width] for i in range(half)]
    wanted = ends_by_hand(repeated, half, lambda x, y: x * y, f, g)
    assert ends("round_weighted", width - 1, to_montgomery(f), to_montgomery(g)) == wanted


@settings(max_examples=10, deadline=None)
@given(variables=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_a_whole_layer_ends_in_its_leaves(host, variables, seed):
    """eq(point, x) ((p0 + lambda q0) q1 + p1 q0)(x), summed over the cube, round by round."""
    rng = random.Random(seed)
    point = [rng.randrange(P) for _ in range(variables)]
    lam, tables = rng.randrange(P), [table(rng, 2**variables) for _ in range(4)]
    full = za.Fr.to_ints(za.multilinear.eq_table(point))
    claim = sum(e * ((a + lam * c) * d + b * c) for e, a, b, c, d in zip(full, *tables, strict=True)) % P
    eq = za.multilinear.eq_table(point[:-1])
    arrays = [to_montgomery(t) for t in tables]
    half, prefix = 2 ** (variables - 1), 1
    partials = room("fraction", 1)
    host.run("round_fraction", 1, eq, *arrays, to_montgomery([lam]), half, partials)
    for k in reversed(range(variables)):
        at_0, at_inf = finished(host, "fraction", partials, 1)
        # The round polynomial is prefix x eq_k(X) x t(X), its values at 0 and 1 add up to the claim.
        scale_0, scale_1 = prefix * (1 - point[k]) % P, prefix * point[k] % P
        at_1 = (claim - scale_0 * at_0) * pow(scale_1, -1, P) % P
        r = rng.randrange(P)
        t_r = (at_0 + r * (at_1 - at_0 - at_inf) + r * r * at_inf) % P
        prefix = prefix * (point[k] * r + (1 - point[k]) * (1 - r)) % P
        claim = prefix * t_r % P
        half //= 2
        if half:
            partials = room("fraction", 1)
            host.run(
                "fold_round_fraction",
                1,
                eq,
                *arrays,
                to_montgomery([lam]),
                to_montgomery([r]),
                half,
                partials,
            )
    a, b, c, d = (fold_by_hand(from_montgomery(t[:2]), r)[0] for t in arrays)
    assert claim == prefix * ((a + lam * c) * d + b * c) % P
