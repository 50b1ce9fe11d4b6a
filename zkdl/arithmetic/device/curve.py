"""Points of y^2 = x^3 + 4 over Fq inside kernels: Jacobian formulas, batch-affine additions.

A Jacobian point (X, Y, Z) stands for (X / Z^2, Y / Z^3), and Z = 0 for infinity. An affine point is (x, y),
and (0, 0), which is not on the curve, for infinity. No point of the curve has y = 0 (its order is odd), so y
= 0 alone tells infinity. Formulas: the Explicit-Formulas Database, "dbl-2009-l", "add-2007-bl" and "madd" in
their plain forms. Every function handles equal points, opposite points and infinity.
"""

from __future__ import annotations

from typing import Any

from .compile import device
from .elements import FQ_TAG, add, is_zero, load, mul, neg, one, select, square, sub, zero


@device
def double(x: Any, y: Any, z: Any) -> Any:
    """2 P; infinity stays infinity because Z stays 0."""
    a = square(x)
    b = square(y)
    c = square(b)
    t = mul(x, b)
    d = add(t, t)
    d = add(d, d)
    e = add(add(a, a), a)
    x3 = sub(square(e), add(d, d))
    c8 = add(c, c)
    c8 = add(c8, c8)
    c8 = add(c8, c8)
    y3 = sub(mul(e, sub(d, x3)), c8)
    z3 = mul(y, z)
    return x3, y3, add(z3, z3)


@device
def add_jacobian(x1: Any, y1: Any, z1: Any, x2: Any, y2: Any, z2: Any) -> Any:
    """P + Q, both Jacobian."""
    if is_zero(z1):
        return x2, y2, z2
    if is_zero(z2):
        return x1, y1, z1
    z1z1 = square(z1)
    z2z2 = square(z2)
    u1 = mul(x1, z2z2)
    s1 = mul(y1, mul(z2, z2z2))
    h = sub(mul(x2, z1z1), u1)
    r = sub(mul(y2, mul(z1, z1z1)), s1)
    if is_zero(h):
        if is_zero(r):
            return double(x1, y1, z1)
        return one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
    hh = square(h)
    hhh = mul(h, hh)
    v = mul(u1, hh)
    x3 = sub(sub(square(r), hhh), add(v, v))
    y3 = sub(mul(r, sub(v, x3)), mul(s1, hhh))
    return x3, y3, mul(mul(z1, z2), h)


@device
def add_unequal(x1: Any, y1: Any, z1: Any, x2: Any, y2: Any, z2: Any) -> Any:
    """P + Q, Jacobian, without a branch, so that lanes can do it.

    Where P = +-Q, or one of them is infinity, Z comes out 0, and further doublings and additions keep it so.
    """
    z1z1 = square(z1)
    z2z2 = square(z2)
    u1 = mul(x1, z2z2)
    s1 = mul(y1, mul(z2, z2z2))
    h = sub(mul(x2, z1z1), u1)
    r = sub(mul(y2, mul(z1, z1z1)), s1)
    hh = square(h)
    hhh = mul(h, hh)
    v = mul(u1, hh)
    x3 = sub(sub(square(r), hhh), add(v, v))
    y3 = sub(mul(r, sub(v, x3)), mul(s1, hhh))
    return x3, y3, mul(mul(z1, z2), h)


@device
def add_affine(x1: Any, y1: Any, z1: Any, x2: Any, y2: Any) -> Any:
    """P + Q for Jacobian P and affine Q."""
    if is_zero(y2):
        return x1, y1, z1
    if is_zero(z1):
        return x2, y2, one(FQ_TAG)
    z1z1 = square(z1)
    h = sub(mul(x2, z1z1), x1)
    r = sub(mul(y2, mul(z1, z1z1)), y1)
    if is_zero(h):
        if is_zero(r):
            return double(x1, y1, z1)
        return one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
    hh = square(h)
    hhh = mul(h, hh)
    v = mul(x1, hh)
    x3 = sub(sub(square(r), hhh), add(v, v))
    y3 = sub(mul(r, sub(v, x3)), mul(y1, hhh))
    return x3, y3, mul(z1, h)


@device
def chord_denominator(x1: Any, y1: Any, x2: Any, y2: Any) -> Any:
    """What P + Q divides by: x2 - x1, or 2 y for equal points, or 1 where nothing is divided."""
    if is_zero(y1) or is_zero(y2):
        return one(FQ_TAG)
    d = sub(x2, x1)
    if is_zero(d):
        # Opposite points give y1 + y2 = 0: no division either.
        d = add(y1, y2)
        return select(is_zero(d), one(FQ_TAG), d)
    return d


@device
def chord_sum(x1: Any, y1: Any, x2: Any, y2: Any, inverse: Any) -> Any:
    """P + Q, affine, from the inverse of `chord_denominator`."""
    if is_zero(y1):
        return x2, y2
    if is_zero(y2):
        return x1, y1
    rise = sub(y2, y1)
    if is_zero(sub(x2, x1)):
        if is_zero(add(y1, y2)):
            return zero(FQ_TAG), zero(FQ_TAG)
        # The tangent: 3 x^2 / 2 y.
        x1x1 = square(x1)
        rise = add(add(x1x1, x1x1), x1x1)
    slope = mul(rise, inverse)
    x3 = sub(sub(square(slope), x1), x2)
    return x3, sub(mul(slope, sub(x1, x3)), y1)


@device
def load_signed(points: Any, code: int) -> Any:
    """The point number code >> 1, negated where code is odd."""
    index = code >> 1
    x = load(FQ_TAG, points, 2 * index)
    y = load(FQ_TAG, points, 2 * index + 1)
    # Signs are as good as random: a select is cheaper than a mispredicted branch.
    return x, select((code & 1) != 0, neg(y), y)
