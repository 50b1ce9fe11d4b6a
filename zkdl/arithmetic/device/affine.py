"""Affine additions side by side, one inversion for all of them, on one element or several at a time.

Coordinates come in separate packed arrays (see `packed`), and places are slots. These additions know ordinary
points only: the product of all denominators is zero exactly when two operands share their x (or a doubled
point is infinity), and then they do nothing and say so. Infinity, (0, 0), as an operand goes unnoticed:
whoever calls them has looked for it.
"""

from __future__ import annotations

from typing import Any

from .compile import device
from .elements import FQ_TAG, add, is_zero, lanes, load, mul, neg, one, square, store, sub
from .inverse import invert
from .packed import load_slot, store_slot

# Elements that the scratch array of `invert_lanes` must hold: inverses, and products, of all lanes.
SCRATCH = 32


@device
def invert_lanes(tag: Any, value: Any, scratch: Any) -> Any:
    """(whether no lane is zero, 1 / value lane by lane): three products a lane and one inversion."""
    width = lanes(tag)
    store(scratch, 0, value)
    running = one(FQ_TAG)
    for k in range(width):
        store(scratch, width + k, running)
        running = mul(running, load(FQ_TAG, scratch, k))
    if is_zero(running):
        return False, value
    inverse = invert(FQ_TAG, running)
    for back in range(width):
        k = width - 1 - back
        own = mul(inverse, load(FQ_TAG, scratch, width + k))
        inverse = mul(inverse, load(FQ_TAG, scratch, k))
        store(scratch, k, own)
    return True, load(tag, scratch, 0)


@device
def add_distinct(
    tag: Any,
    xs: Any,
    ys: Any,
    target: int,
    left: int,
    x_right: int,
    y_right: int,
    minus: int,
    products: Any,
    scratch: Any,
    count: int,
) -> bool:
    """(xs, ys)[target + i] = (xs, ys)[left + i] +- (xs[x_right + i], ys[y_right + i]) for i < count.

    False, and nothing done, where two x are equal. `products` has room for `count` slots.
    """
    running = one(tag)
    for i in range(count):
        store_slot(products, i, running)
        running = mul(running, sub(load_slot(tag, xs, x_right + i), load_slot(tag, xs, left + i)))
    good, inverse = invert_lanes(tag, running, scratch)
    if not good:
        return False
    i = count - 1
    while i >= 0:
        x1, y1 = load_slot(tag, xs, left + i), load_slot(tag, ys, left + i)
        x2, y2 = load_slot(tag, xs, x_right + i), load_slot(tag, ys, y_right + i)
        own = mul(inverse, load_slot(tag, products, i))
        inverse = mul(inverse, sub(x2, x1))
        if minus != 0:
            y2 = neg(y2)
        slope = mul(own, sub(y2, y1))
        x3 = sub(sub(square(slope), x1), x2)
        store_slot(xs, target + i, x3)
        store_slot(ys, target + i, sub(mul(slope, sub(x1, x3)), y1))
        i -= 1
    return True


@device
def double_finite(
    tag: Any, xs: Any, ys: Any, target: int, left: int, products: Any, scratch: Any, count: int
) -> bool:
    """(xs, ys)[target + i] = 2 (xs, ys)[left + i]; False, and nothing done, where a point is infinity."""
    running = one(tag)
    for i in range(count):
        y = load_slot(tag, ys, left + i)
        store_slot(products, i, running)
        running = mul(running, add(y, y))
    good, inverse = invert_lanes(tag, running, scratch)
    if not good:
        return False
    i = count - 1
    while i >= 0:
        x, y = load_slot(tag, xs, left + i), load_slot(tag, ys, left + i)
        x2 = square(x)
        own = mul(inverse, load_slot(tag, products, i))
        inverse = mul(inverse, add(y, y))
        slope = mul(own, add(add(x2, x2), x2))
        x3 = sub(square(slope), add(x, x))
        store_slot(xs, target + i, x3)
        store_slot(ys, target + i, sub(mul(slope, sub(x, x3)), y))
        i -= 1
    return True
