"""Kernels over flat arrays of field elements.

`tag` names the field and the path by its type alone, `one` the same field one element at a time: what does
not fill the lanes is done with it. `sa`, `sb` are 0 or 1: the step with which an operand is read, so that one
element broadcasts over many.

Element-wise kernels do at least `lanes(tag)` elements; the last lanes overlap those before them where the
number is no multiple. So the result must not overwrite an operand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.elements import (
    add,
    from_words,
    is_canonical,
    is_zero,
    lanes,
    load,
    load_words,
    mul,
    neg,
    one,
    r_squared,
    somewhere,
    spread,
    square,
    store,
    store_sum,
    sub,
    unit,
    zero,
)
from .device.inverse import invert


@kernel
def add_many(tag: Any, out: Any, a: Any, sa: int, b: Any, sb: int, start: int, stop: int) -> None:
    """out[i] = a[i] + b[i]."""
    left = spread(tag, a, 0)
    right = spread(tag, b, 0)
    for k in range(start, stop, lanes(tag)):
        i = min(k, stop - lanes(tag))
        if sa:
            left = load(tag, a, i)
        if sb:
            right = load(tag, b, i)
        store(out, i, add(left, right))


@kernel
def sub_many(tag: Any, out: Any, a: Any, sa: int, b: Any, sb: int, start: int, stop: int) -> None:
    """out[i] = a[i] - b[i]."""
    left = spread(tag, a, 0)
    right = spread(tag, b, 0)
    for k in range(start, stop, lanes(tag)):
        i = min(k, stop - lanes(tag))
        if sa:
            left = load(tag, a, i)
        if sb:
            right = load(tag, b, i)
        store(out, i, sub(left, right))


@kernel
def mul_many(tag: Any, out: Any, a: Any, sa: int, b: Any, sb: int, start: int, stop: int) -> None:
    """out[i] = a[i] b[i]."""
    left = spread(tag, a, 0)
    right = spread(tag, b, 0)
    for k in range(start, stop, lanes(tag)):
        i = min(k, stop - lanes(tag))
        if sa:
            left = load(tag, a, i)
        if sb:
            right = load(tag, b, i)
        store(out, i, mul(left, right))


@kernel
def square_many(tag: Any, out: Any, a: Any, start: int, stop: int) -> None:
    """out[i] = a[i]^2."""
    for k in range(start, stop, lanes(tag)):
        i = min(k, stop - lanes(tag))
        store(out, i, square(load(tag, a, i)))


@kernel
def neg_many(tag: Any, out: Any, a: Any, n: int) -> None:
    """out[i] = -a[i]."""
    for k in range(0, n, lanes(tag)):
        i = min(k, n - lanes(tag))
        store(out, i, neg(load(tag, a, i)))


@kernel
def sum_many(tag: Any, one_tag: Any, out: Any, a: Any, n: int) -> None:
    """out[0] = sum of a[i]."""
    whole = n - n % lanes(tag)
    total = zero(tag)
    for i in range(0, whole, lanes(tag)):
        total = add(total, load(tag, a, i))
    store_sum(out, 0, total)
    for i in range(whole, n):
        store(out, 0, add(load(one_tag, out, 0), load(one_tag, a, i)))


@kernel
def inner_many(tag: Any, one_tag: Any, out: Any, a: Any, b: Any, start: int, stop: int) -> None:
    """out[0] = sum of a[i] b[i] over [start, stop)."""
    whole = stop - (stop - start) % lanes(tag)
    total = zero(tag)
    for i in range(start, whole, lanes(tag)):
        total = add(total, mul(load(tag, a, i), load(tag, b, i)))
    store_sum(out, 0, total)
    for i in range(whole, stop):
        term = mul(load(one_tag, a, i), load(one_tag, b, i))
        store(out, 0, add(load(one_tag, out, 0), term))


@device
def _invert_few(one_tag: Any, out: Any, a: Any, n: int) -> None:
    """out[i] = 1 / a[i] for elements that are not zero, with one inversion."""
    running = one(one_tag)
    for i in range(n):
        store(out, i, running)
        running = mul(running, load(one_tag, a, i))
    inverse = invert(one_tag, running)
    for k in range(n):
        i = n - 1 - k
        store(out, i, mul(inverse, load(one_tag, out, i)))
        inverse = mul(inverse, load(one_tag, a, i))


@kernel
def invert_many(tag: Any, one_tag: Any, out: Any, a: Any, n: int) -> int:
    """out[i] = 1 / a[i] with one inversion; returns the first i with a[i] = 0, or -1.

    Every lane has its own running product; those and the elements that fill no lanes are inverted together.
    """
    width = lanes(tag)
    limbs = a.shape[0] // n
    whole = n - n % width
    running = one(tag)
    for i in range(0, whole, width):
        value = load(tag, a, i)
        if somewhere(is_zero(value)):
            for k in range(i, i + width):
                if is_zero(load(one_tag, a, k)):
                    return k
        store(out, i, running)
        running = mul(running, value)
    few = width + n - whole
    products = np.empty(limbs * few, np.uint64)
    inverses = np.empty(limbs * few, np.uint64)
    store(products, 0, running)
    for i in range(whole, n):
        value_of_one = load(one_tag, a, i)
        if is_zero(value_of_one):
            return i
        store(products, width + i - whole, value_of_one)
    _invert_few(one_tag, inverses, products, few)
    for i in range(whole, n):
        store(out, i, load(one_tag, inverses, width + i - whole))
    inverse = load(tag, inverses, 0)
    for k in range(0, whole, width):
        i = whole - width - k
        value = load(tag, a, i)
        store(out, i, mul(inverse, load(tag, out, i)))
        inverse = mul(inverse, value)
    return -1


@kernel
def to_montgomery(tag: Any, one_tag: Any, out: Any, plain: Any, n: int) -> int:
    """Plain integers to Montgomery form; returns the first i with plain[i] >= p, or -1."""
    for i in range(n):
        if not is_canonical(load(one_tag, plain, i)):
            return i
    for k in range(0, n, lanes(tag)):
        i = min(k, n - lanes(tag))
        store(out, i, mul(load(tag, plain, i), r_squared(tag)))
    return -1


@kernel
def from_montgomery(tag: Any, out: Any, a: Any, n: int) -> None:
    """Montgomery form to plain integers in [0, p)."""
    for k in range(0, n, lanes(tag)):
        i = min(k, n - lanes(tag))
        store(out, i, mul(load(tag, a, i), unit(tag)))


@kernel
def from_signed(tag: Any, out: Any, values: Any, start: int, stop: int) -> None:
    """Signed 64-bit integers to elements."""
    for k in range(start, stop, lanes(tag)):
        i = min(k, stop - lanes(tag))
        store(out, i, from_words(tag, load_words(tag, values, i)))


@kernel
def wide_to_montgomery(tag: Any, out: Any, low: Any, high: Any, n: int) -> None:
    """out[i] = low[i] + high[i] R mod p for any limbs whatever: twice as wide as p, hence all but uniform."""
    for i in range(n):
        a = mul(r_squared(tag), load(tag, low, i))
        b = mul(r_squared(tag), load(tag, high, i))
        store(out, i, add(a, mul(b, r_squared(tag))))
