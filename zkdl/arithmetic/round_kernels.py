"""Kernels of sumcheck rounds and fraction trees (flat arrays of Fr elements).

A table of 2 h entries stands for t[i] + X (t[i + h] - t[i]), i < h. The sums over i of a polynomial of
degree two in such lines are given by their value at X = 0 and by their leading coefficient: the claim of
the round gives the rest. The `fold_` kernels do two rounds' work in one pass over memory: they bind the
highest variable of tables of 4 h entries in place and sum over what comes out.

`tag` chooses the path; ranges are whole multiples of its lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.elements import add, lanes, load, load_words, mul, spread, store, store_sum, sub
from .device.sums import (
    products_add,
    products_reduce,
    products_zero,
    signed_add,
    signed_reduce,
    signed_zero,
)


@kernel
def quadratic_sums(tag: Any, out: Any, f: Any, g: Any, half: int, start: int, stop: int) -> None:
    """out = sums over i of f g at X = 0, and of the product of the slopes."""
    at_0 = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        f0 = load(tag, f, i)
        g0 = load(tag, g, i)
        at_0 = products_add(at_0, f0, g0)
        top = products_add(top, sub(load(tag, f, i + half), f0), sub(load(tag, g, i + half), g0))
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(top))


@device
def _bound(tag: Any, table: Any, i: int, step: int, factor: Any) -> Any:
    """Entry i of the table with its partner `step` further on bound to `factor`; also left in its place."""
    low = load(tag, table, i)
    value = add(low, mul(sub(load(tag, table, i + step), low), factor))
    store(table, i, value)
    return value


@kernel
def fold_quadratic_sums(tag: Any, out: Any, r: Any, f: Any, g: Any, half: int, start: int, stop: int) -> None:
    """Bind to r, then as `quadratic_sums`."""
    factor = spread(tag, r, 0)
    at_0 = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        f0 = _bound(tag, f, i, 2 * half, factor)
        f1 = _bound(tag, f, i + half, 2 * half, factor)
        g0 = _bound(tag, g, i, 2 * half, factor)
        g1 = _bound(tag, g, i + half, 2 * half, factor)
        at_0 = products_add(at_0, f0, g0)
        top = products_add(top, sub(f1, f0), sub(g1, g0))
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(top))


@kernel
def weighted_sums(
    tag: Any, out: Any, eq: Any, mask: int, f: Any, g: Any, half: int, start: int, stop: int
) -> None:
    """As `quadratic_sums` with the weight eq[i & mask], mask + 1 a multiple of the lanes."""
    at_0 = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        weight = load(tag, eq, i & mask)
        f0 = load(tag, f, i)
        g0 = load(tag, g, i)
        at_0 = products_add(at_0, weight, mul(f0, g0))
        slopes = mul(sub(load(tag, f, i + half), f0), sub(load(tag, g, i + half), g0))
        top = products_add(top, weight, slopes)
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(top))


@kernel
def cubic_sums(tag: Any, out: Any, e: Any, f: Any, g: Any, half: int, start: int, stop: int) -> None:
    """out = sums over i of the coefficients of X^0, X^2 and X^3 of e f g."""
    at_0 = products_zero(tag)
    middle = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        e0 = load(tag, e, i)
        e1 = load(tag, e, i + half)
        f0 = load(tag, f, i)
        f1 = load(tag, f, i + half)
        g0 = load(tag, g, i)
        dg = sub(load(tag, g, i + half), g0)
        low = mul(e0, f0)
        slopes = mul(sub(e1, e0), sub(f1, f0))
        # e f = low + mixed X + slopes X^2, and mixed from its value at 1.
        mixed = sub(sub(mul(e1, f1), low), slopes)
        at_0 = products_add(at_0, low, g0)
        middle = products_add(products_add(middle, slopes, g0), mixed, dg)
        top = products_add(top, slopes, dg)
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(middle))
    store_sum(out, 2, products_reduce(top))


@kernel
def layer_sums(
    tag: Any, out: Any, eq: Any, u: Any, p1: Any, q0: Any, q1: Any, half: int, start: int, stop: int
) -> None:
    """out = sums over i of eq[i] (u q1 + p1 q0) at X = 0, and of its leading coefficient."""
    at_0 = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        weight = load(tag, eq, i)
        u_0 = load(tag, u, i)
        p_0 = load(tag, p1, i)
        a_0 = load(tag, q0, i)
        b_0 = load(tag, q1, i)
        at_0 = products_add(at_0, weight, add(mul(u_0, b_0), mul(p_0, a_0)))
        u_0 = sub(load(tag, u, i + half), u_0)
        p_0 = sub(load(tag, p1, i + half), p_0)
        a_0 = sub(load(tag, q0, i + half), a_0)
        b_0 = sub(load(tag, q1, i + half), b_0)
        top = products_add(top, weight, add(mul(u_0, b_0), mul(p_0, a_0)))
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(top))


@kernel
def fold_layer_sums(
    tag: Any,
    out: Any,
    r: Any,
    eq: Any,
    u: Any,
    p1: Any,
    q0: Any,
    q1: Any,
    half: int,
    start: int,
    stop: int,
) -> None:
    """Bind to r, then as `layer_sums`."""
    factor = spread(tag, r, 0)
    at_0 = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        weight = load(tag, eq, i)
        u_0 = _bound(tag, u, i, 2 * half, factor)
        u_1 = _bound(tag, u, i + half, 2 * half, factor)
        b_0 = _bound(tag, q1, i, 2 * half, factor)
        b_1 = _bound(tag, q1, i + half, 2 * half, factor)
        low = mul(u_0, b_0)
        high = mul(sub(u_1, u_0), sub(b_1, b_0))
        p_0 = _bound(tag, p1, i, 2 * half, factor)
        p_1 = _bound(tag, p1, i + half, 2 * half, factor)
        a_0 = _bound(tag, q0, i, 2 * half, factor)
        a_1 = _bound(tag, q0, i + half, 2 * half, factor)
        at_0 = products_add(at_0, weight, add(low, mul(p_0, a_0)))
        top = products_add(top, weight, add(high, mul(sub(p_1, p_0), sub(a_1, a_0))))
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(top))


@kernel
def add_multiple(tag: Any, out: Any, a: Any, factor: Any, start: int, stop: int) -> None:
    """out[i] += factor a[i]."""
    scale = spread(tag, factor, 0)
    for i in range(start, stop, lanes(tag)):
        store(out, i, add(load(tag, out, i), mul(load(tag, a, i), scale)))


@kernel
def add_outer(
    tag: Any,
    one_tag: Any,
    out: Any,
    pitch: int,
    first: int,
    a: Any,
    count: int,
    b: Any,
    start: int,
    stop: int,
) -> None:
    """out[u pitch + first + c] += a[c] b[u] for c < count and u in [start, stop); any range."""
    whole = count - count % lanes(tag)
    for u in range(start, stop):
        base = u * pitch + first
        factor = spread(tag, b, u)
        for c in range(0, whole, lanes(tag)):
            store(out, base + c, add(load(tag, out, base + c), mul(load(tag, a, c), factor)))
        factor_of_one = load(one_tag, b, u)
        for c in range(whole, count):
            term = mul(load(one_tag, a, c), factor_of_one)
            store(out, base + c, add(load(one_tag, out, base + c), term))


@kernel
def add_halves(tag: Any, out: Any, table: Any, half: int, start: int, stop: int) -> None:
    """out[i] = table[i] + table[i + half]; out may be table."""
    for i in range(start, stop, lanes(tag)):
        store(out, i, add(load(tag, table, i), load(tag, table, i + half)))


@kernel
def fraction_sums(tag: Any, p_out: Any, q_out: Any, p: Any, q: Any, half: int, start: int, stop: int) -> None:
    """p_out / q_out = p[i] / q[i] + p[i + half] / q[i + half], not brought to lowest terms."""
    for i in range(start, stop, lanes(tag)):
        a = load(tag, q, i)
        b = load(tag, q, i + half)
        store(p_out, i, add(mul(load(tag, p, i), b), mul(load(tag, p, i + half), a)))
        store(q_out, i, mul(a, b))


@kernel
def integer_fraction_sums(
    tag: Any, p_out: Any, q_out: Any, p: Any, q: Any, half: int, start: int, stop: int
) -> None:
    """`fraction_sums` of integer numerators."""
    for i in range(start, stop, lanes(tag)):
        a = load(tag, q, i)
        b = load(tag, q, i + half)
        store(q_out, i, mul(a, b))
        total = signed_add(signed_zero(tag), load_words(tag, p, i), b)
        store(p_out, i, signed_reduce(signed_add(total, load_words(tag, p, i + half), a)))


@kernel
def integer_layer_sums(
    tag: Any, out: Any, eq: Any, p0: Any, p1: Any, q0: Any, q1: Any, half: int, start: int, stop: int
) -> None:
    """For integer numerators: out = sums of eq (p0 q1 + p1 q0) and of eq q0 q1, each at X = 0 and at 1 with
    the other factor's slope: see `zkdl.arithmetic.sumcheck.round_integer_layer`."""
    at_0 = products_zero(tag)
    low_top = products_zero(tag)
    high_top = products_zero(tag)
    q_at_0 = products_zero(tag)
    q_top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        weight = load(tag, eq, i)
        a = load(tag, q0, i)
        b = load(tag, q1, i)
        da = sub(load(tag, q0, i + half), a)
        db = sub(load(tag, q1, i + half), b)
        q_at_0 = products_add(q_at_0, weight, mul(a, b))
        q_top = products_add(q_top, weight, mul(da, db))
        # The slope of an integer is a difference of two: their products with da and db are summed apart.
        first = load_words(tag, p0, i)
        second = load_words(tag, p1, i)
        term = signed_add(signed_add(signed_zero(tag), first, b), second, a)
        at_0 = products_add(at_0, weight, signed_reduce(term))
        term = signed_add(signed_add(signed_zero(tag), first, db), second, da)
        low_top = products_add(low_top, weight, signed_reduce(term))
        first = load_words(tag, p0, i + half)
        second = load_words(tag, p1, i + half)
        term = signed_add(signed_add(signed_zero(tag), first, db), second, da)
        high_top = products_add(high_top, weight, signed_reduce(term))
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(q_at_0))
    store_sum(out, 2, products_reduce(low_top))
    store_sum(out, 3, products_reduce(high_top))
    store_sum(out, 4, products_reduce(q_top))


@kernel
def fold_integers(tag: Any, out: Any, table: Any, ends: Any, half: int, start: int, stop: int) -> None:
    """out[i] = ends[0] table[i] + ends[1] table[i + half] for a table of integers."""
    low = spread(tag, ends, 0)
    high = spread(tag, ends, 1)
    for i in range(start, stop, lanes(tag)):
        total = signed_add(signed_zero(tag), load_words(tag, table, i), low)
        store(out, i, signed_reduce(signed_add(total, load_words(tag, table, i + half), high)))


@kernel
def integer_quadratic_sums(tag: Any, out: Any, f: Any, g: Any, half: int, start: int, stop: int) -> None:
    """For a table f of integers: out = sums over i of f[i] g[i], f[i] dg and f[i + half] dg, dg the slope."""
    at_0 = signed_zero(tag)
    low = signed_zero(tag)
    high = signed_zero(tag)
    for i in range(start, stop, lanes(tag)):
        words = load_words(tag, f, i)
        g0 = load(tag, g, i)
        slope = sub(load(tag, g, i + half), g0)
        at_0 = signed_add(at_0, words, g0)
        low = signed_add(low, words, slope)
        high = signed_add(high, load_words(tag, f, i + half), slope)
    store_sum(out, 0, signed_reduce(at_0))
    store_sum(out, 1, signed_reduce(low))
    store_sum(out, 2, signed_reduce(high))


@kernel
def integer_boolean_sums(one_tag: Any, out: Any, eq: Any, f: Any, half: int, start: int, stop: int) -> None:
    """out = sums over i of eq[i] f (f - 1) at X = 0 and of its leading coefficient, f integers."""
    at_0 = signed_zero(one_tag)
    top = signed_zero(one_tag)
    for i in range(start, stop):
        low = np.int64(f[i])
        step = np.int64(f[i + half]) - low
        miss = low * (low - 1)
        # Bits that are right and alike, most of them, cost nothing.
        if miss != 0:
            at_0 = signed_add(at_0, miss, load(one_tag, eq, i))
        if step != 0:
            top = signed_add(top, step * step, load(one_tag, eq, i))
    store(out, 0, signed_reduce(at_0))
    store(out, 1, signed_reduce(top))


@kernel
def boolean_sums(tag: Any, out: Any, eq: Any, f: Any, half: int, start: int, stop: int) -> None:
    """out = sums over i of eq[i] f (f - 1) at X = 0, and of its leading coefficient."""
    at_0 = products_zero(tag)
    top = products_zero(tag)
    for i in range(start, stop, lanes(tag)):
        weight = load(tag, eq, i)
        low = load(tag, f, i)
        step = sub(load(tag, f, i + half), low)
        at_0 = products_add(at_0, weight, sub(mul(low, low), low))
        top = products_add(top, weight, mul(step, step))
    store_sum(out, 0, products_reduce(at_0))
    store_sum(out, 1, products_reduce(top))
