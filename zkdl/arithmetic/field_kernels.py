"""Kernels over flat arrays of field elements; `tag` names the field by its type alone.

`sa`, `sb` are 0 or 1: the step with which an operand is read, so that one element broadcasts over many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import kernel
from .device.elements import (
    add,
    from_word,
    is_canonical,
    is_zero,
    load,
    mul,
    neg,
    one,
    r_squared,
    square,
    store,
    sub,
    unit,
    zero,
)
from .device.inverse import invert


@kernel
def add_many(tag: Any, out: Any, a: Any, sa: int, b: Any, sb: int, start: int, stop: int) -> None:
    """out[i] = a[i] + b[i]."""
    for i in range(start, stop):
        store(out, i, add(load(tag, a, i * sa), load(tag, b, i * sb)))


@kernel
def sub_many(tag: Any, out: Any, a: Any, sa: int, b: Any, sb: int, start: int, stop: int) -> None:
    """out[i] = a[i] - b[i]."""
    for i in range(start, stop):
        store(out, i, sub(load(tag, a, i * sa), load(tag, b, i * sb)))


@kernel
def mul_many(tag: Any, out: Any, a: Any, sa: int, b: Any, sb: int, start: int, stop: int) -> None:
    """out[i] = a[i] b[i]."""
    for i in range(start, stop):
        store(out, i, mul(load(tag, a, i * sa), load(tag, b, i * sb)))


@kernel
def square_many(tag: Any, out: Any, a: Any, start: int, stop: int) -> None:
    """out[i] = a[i]^2."""
    for i in range(start, stop):
        store(out, i, square(load(tag, a, i)))


@kernel
def neg_many(tag: Any, out: Any, a: Any, n: int) -> None:
    """out[i] = -a[i]."""
    for i in range(n):
        store(out, i, neg(load(tag, a, i)))


@kernel
def sum_many(tag: Any, out: Any, a: Any, n: int) -> None:
    """out[0] = sum of a[i]."""
    total = zero(tag)
    for i in range(n):
        total = add(total, load(tag, a, i))
    store(out, 0, total)


@kernel
def inner_many(tag: Any, out: Any, a: Any, b: Any, start: int, stop: int) -> None:
    """out[0] = sum of a[i] b[i] over [start, stop)."""
    total = zero(tag)
    for i in range(start, stop):
        total = add(total, mul(load(tag, a, i), load(tag, b, i)))
    store(out, 0, total)


@kernel
def invert_many(tag: Any, out: Any, a: Any, n: int) -> int:
    """out[i] = 1 / a[i] with one inversion; returns the first i with a[i] = 0, or -1."""
    running = one(tag)
    for i in range(n):
        value = load(tag, a, i)
        if is_zero(value):
            return i
        store(out, i, running)
        running = mul(running, value)
    inverse = invert(tag, running)
    for k in range(n):
        i = n - 1 - k
        value = load(tag, a, i)
        store(out, i, mul(inverse, load(tag, out, i)))
        inverse = mul(inverse, value)
    return -1


@kernel
def to_montgomery(tag: Any, out: Any, plain: Any, n: int) -> int:
    """Plain integers to Montgomery form; returns the first i with plain[i] >= p, or -1."""
    for i in range(n):
        value = load(tag, plain, i)
        if not is_canonical(value):
            return i
        store(out, i, mul(value, r_squared(tag)))
    return -1


@kernel
def from_montgomery(tag: Any, out: Any, a: Any, n: int) -> None:
    """Montgomery form to plain integers in [0, p)."""
    for i in range(n):
        store(out, i, mul(load(tag, a, i), unit(tag)))


@kernel
def from_signed(tag: Any, out: Any, values: Any, start: int, stop: int) -> None:
    """Signed 64-bit integers to elements."""
    for i in range(start, stop):
        value = values[i]
        if value == 0:
            store(out, i, zero(tag))
            continue
        # The two's complement magnitude: right for the least int64 too, whose negative does not fit.
        word = np.uint64(value)
        if value < 0:
            word = np.uint64(0) - word
        element = mul(r_squared(tag), from_word(tag, word))
        store(out, i, neg(element) if value < 0 else element)


@kernel
def wide_to_montgomery(tag: Any, out: Any, low: Any, high: Any, n: int) -> None:
    """out[i] = low[i] + high[i] R mod p for any limbs whatever: twice as wide as p, hence all but uniform."""
    for i in range(n):
        a = mul(r_squared(tag), load(tag, low, i))
        b = mul(r_squared(tag), load(tag, high, i))
        store(out, i, add(a, mul(b, r_squared(tag))))
