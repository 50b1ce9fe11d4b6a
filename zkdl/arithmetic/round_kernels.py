"""Kernels of sumcheck rounds (flat arrays of Fr elements)."""

from __future__ import annotations

from typing import Any

from .device.compile import kernel
from .device.elements import FR_TAG, add, load, mul, store, sub
from .device.sums import products_add, products_reduce, products_zero


@kernel
def quadratic_sums(out: Any, f: Any, g: Any, half: int, start: int, stop: int) -> None:
    """out = sums over i of f g at X = 0 and 1, and of the product of the slopes."""
    at_0 = products_zero(FR_TAG)
    at_1 = products_zero(FR_TAG)
    top = products_zero(FR_TAG)
    for i in range(start, stop):
        f0 = load(FR_TAG, f, i)
        f1 = load(FR_TAG, f, i + half)
        g0 = load(FR_TAG, g, i)
        g1 = load(FR_TAG, g, i + half)
        at_0 = products_add(at_0, f0, g0)
        at_1 = products_add(at_1, f1, g1)
        top = products_add(top, sub(f1, f0), sub(g1, g0))
    store(out, 0, products_reduce(at_0))
    store(out, 1, products_reduce(at_1))
    store(out, 2, products_reduce(top))


@kernel
def cubic_sums(out: Any, e: Any, f: Any, g: Any, half: int, start: int, stop: int) -> None:
    """out = sums over i of e f g at X = 0, 1 and -1, and of the product of the slopes."""
    at_0 = products_zero(FR_TAG)
    at_1 = products_zero(FR_TAG)
    at_m = products_zero(FR_TAG)
    top = products_zero(FR_TAG)
    for i in range(start, stop):
        e0 = load(FR_TAG, e, i)
        e1 = load(FR_TAG, e, i + half)
        f0 = load(FR_TAG, f, i)
        f1 = load(FR_TAG, f, i + half)
        g0 = load(FR_TAG, g, i)
        g1 = load(FR_TAG, g, i + half)
        de = sub(e1, e0)
        df = sub(f1, f0)
        dg = sub(g1, g0)
        # e f is quadratic: three values give the one at -1, a + 2 c - (b - a) for the slopes' product c.
        a = mul(e0, f0)
        b = mul(e1, f1)
        c = mul(de, df)
        m = sub(add(a, c), sub(sub(b, a), c))
        at_0 = products_add(at_0, a, g0)
        at_1 = products_add(at_1, b, g1)
        at_m = products_add(at_m, m, sub(g0, dg))
        top = products_add(top, c, dg)
    store(out, 0, products_reduce(at_0))
    store(out, 1, products_reduce(at_1))
    store(out, 2, products_reduce(at_m))
    store(out, 3, products_reduce(top))
