"""The kernel of hashing to G1: field elements to points, by the simplified SWU map and its isogeny."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.curve import add_jacobian, add_unequal, double
from .device.elements import (
    FQ_TAG,
    add,
    equal,
    is_zero,
    lanes,
    load,
    low_word,
    mul,
    neg,
    one,
    select,
    spread,
    square,
    store,
    unit,
)
from .device.power import power

# The bits after the first of h = 1 + |z|, which clears the cofactor (RFC 9380, section 8.8.1).
_COFACTOR = np.array([int(bit) for bit in f"{0xD201000000010001:b}"[1:]], np.uint8)


@device
def _odd(a: Any) -> Any:
    """sgn0 of RFC 9380, section 4.1: the parity of the plain integer."""
    return (low_word(mul(a, unit(FQ_TAG))) & np.uint64(1)) == np.uint64(1)


@device
def _polynomial(tag: Any, coefficients: Any, first: int, count: int, x: Any, powers: Any) -> Any:
    """sum over i of coefficients[first + i] x^i d^(count - 1 - i), with d^k in powers[k]."""
    total = spread(tag, coefficients, first + count - 1)
    for k in range(1, count):
        term = mul(spread(tag, coefficients, first + count - 1 - k), load(tag, powers, k * lanes(tag)))
        total = add(mul(total, x), term)
    return total


@device
def _map_to_curve(tag: Any, us: Any, constants: Any, exponent: Any, powers: Any) -> Any:
    """A Jacobian point of y^2 = x^3 + 4 from each u: simplified SWU without a division, then the isogeny.

    constants: A, B, Z, sqrt(-Z), then the coefficients of `isogeny` (12, 11, 16, 16). exponent: (q - 3) / 4.
    us: `lanes` elements; powers: room for 16 times as many.
    """
    u = load(tag, us, 0)
    a = spread(tag, constants, 0)
    b = spread(tag, constants, 1)
    z = spread(tag, constants, 2)
    zu2 = mul(z, square(u))
    t = add(square(zu2), zu2)
    xn = mul(b, add(t, one(tag)))
    xd = mul(a, select(is_zero(t), z, neg(t)))
    xd2 = square(xd)
    xd3 = mul(xd2, xd)
    # g(x) = gn / xd^3 for the first candidate.
    gn = add(mul(add(square(xn), mul(a, xd2)), xn), mul(b, xd3))
    # y = gn d (gn d^3)^((q - 3) / 4), d = xd^3, is the root of gn / d if that is a square.
    gd = mul(gn, xd3)
    y = mul(gd, power(tag, mul(gd, square(xd3)), exponent))
    # The second candidate x2 = Z u^2 x1 has g(x2) = (Z u^2)^3 g(x1): a square where g(x1) is none.
    found = equal(mul(square(y), xd3), gn)
    xn = select(found, xn, mul(zu2, xn))
    y = select(found, y, mul(mul(mul(y, spread(tag, constants, 3)), zu2), u))
    store(powers, 0, y)
    for k in range(lanes(tag)):
        root = load(FQ_TAG, powers, k)
        if _odd(load(FQ_TAG, us, k)) != _odd(root):
            store(powers, k, neg(root))
    y = load(tag, powers, 0)
    d = one(tag)
    for k in range(16):
        store(powers, k * lanes(tag), d)
        d = mul(d, xd)
    nx = _polynomial(tag, constants, 4, 12, xn, powers)
    dx = mul(_polynomial(tag, constants, 16, 11, xn, powers), xd)
    ny = _polynomial(tag, constants, 27, 16, xn, powers)
    dy = _polynomial(tag, constants, 43, 16, xn, powers)
    dy2 = square(dy)
    dxdy2 = mul(dx, dy2)
    return mul(nx, dxdy2), mul(mul(y, ny), mul(dxdy2, square(dx))), mul(dx, dy)


@device
def _cleared(x1: Any, y1: Any, z1: Any, x2: Any, y2: Any, z2: Any) -> Any:
    """h (P + Q), one pair, whatever the points."""
    sx, sy, sz = add_jacobian(x1, y1, z1, x2, y2, z2)
    x, y, z = sx, sy, sz
    for k in range(_COFACTOR.shape[0]):
        x, y, z = double(x, y, z)
        if _COFACTOR[k]:
            x, y, z = add_jacobian(x, y, z, sx, sy, sz)
    return x, y, z


@kernel
def map_pairs(
    tag: Any, out: Any, elements: Any, constants: Any, exponent: Any, start: int, stop: int
) -> None:
    """Jacobian out[i] = h (map(elements[2 i]) + map(elements[2 i + 1])), the end of hash_to_curve."""
    width = lanes(tag)
    powers = np.empty(16 * 6 * width, np.uint64)
    us = np.empty(6 * width, np.uint64)
    # Coordinates of the two mapped points and of the result, `width` elements each.
    work = np.empty(9 * 6 * width, np.uint64)
    for first in range(start, stop, width):
        for half in range(2):
            for k in range(width):
                i = min(first + k, stop - 1)
                store(us, k, load(FQ_TAG, elements, 2 * i + half))
            x, y, z = _map_to_curve(tag, us, constants, exponent, powers)
            store(work, 3 * half * width, x)
            store(work, (3 * half + 1) * width, y)
            store(work, (3 * half + 2) * width, z)
        x, y, z = load(tag, work, 0), load(tag, work, width), load(tag, work, 2 * width)
        sx, sy, sz = add_unequal(
            x, y, z, load(tag, work, 3 * width), load(tag, work, 4 * width), load(tag, work, 5 * width)
        )
        x, y, z = sx, sy, sz
        for k in range(_COFACTOR.shape[0]):
            x, y, z = double(x, y, z)
            if _COFACTOR[k]:
                x, y, z = add_unequal(x, y, z, sx, sy, sz)
        store(work, 6 * width, x)
        store(work, 7 * width, y)
        store(work, 8 * width, z)
        for k in range(min(width, stop - first)):
            px, py, pz = (
                load(FQ_TAG, work, 6 * width + k),
                load(FQ_TAG, work, 7 * width + k),
                load(FQ_TAG, work, 8 * width + k),
            )
            if is_zero(pz):
                # Points met that nobody can aim at: done again with complete additions.
                px, py, pz = _cleared(
                    load(FQ_TAG, work, k),
                    load(FQ_TAG, work, width + k),
                    load(FQ_TAG, work, 2 * width + k),
                    load(FQ_TAG, work, 3 * width + k),
                    load(FQ_TAG, work, 4 * width + k),
                    load(FQ_TAG, work, 5 * width + k),
                )
            store(out, 3 * (first + k), px)
            store(out, 3 * (first + k) + 1, py)
            store(out, 3 * (first + k) + 2, pz)
