"""The kernel of hashing to G1: field elements to points, by the simplified SWU map and its isogeny."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.curve import add_jacobian, double
from .device.elements import (
    FQ_TAG,
    add,
    equal,
    is_zero,
    load,
    low_word,
    mul,
    neg,
    one,
    select,
    square,
    store,
    unit,
    zero,
)
from .device.power import power

# The bits after the first of h = 1 + |z|, which clears the cofactor (RFC 9380, section 8.8.1).
_COFACTOR = np.array([int(bit) for bit in f"{0xD201000000010001:b}"[1:]], np.uint8)


@device
def _odd(a: Any) -> Any:
    """sgn0 of RFC 9380, section 4.1: the parity of the plain integer."""
    return (low_word(mul(a, unit(FQ_TAG))) & np.uint64(1)) == np.uint64(1)


@device
def _polynomial(coefficients: Any, first: int, count: int, x: Any, powers: Any) -> Any:
    """sum over i of coefficients[first + i] x^i d^(count - 1 - i), with d^k in powers[k]."""
    total = load(FQ_TAG, coefficients, first + count - 1)
    for k in range(1, count):
        term = mul(load(FQ_TAG, coefficients, first + count - 1 - k), load(FQ_TAG, powers, k))
        total = add(mul(total, x), term)
    return total


@device
def _map_to_curve(u: Any, constants: Any, exponent: Any, powers: Any) -> Any:
    """A Jacobian point of y^2 = x^3 + 4 from u: simplified SWU without a division, then the isogeny.

    constants: A, B, Z, sqrt(-Z), then the coefficients of `isogeny` (12, 11, 16, 16). exponent: (q - 3) / 4.
    """
    a = load(FQ_TAG, constants, 0)
    b = load(FQ_TAG, constants, 1)
    z = load(FQ_TAG, constants, 2)
    zu2 = mul(z, square(u))
    t = add(square(zu2), zu2)
    xn = mul(b, add(t, one(FQ_TAG)))
    xd = mul(a, select(is_zero(t), z, neg(t)))
    xd2 = square(xd)
    xd3 = mul(xd2, xd)
    # g(x) = gn / xd^3 for the first candidate.
    gn = add(mul(add(square(xn), mul(a, xd2)), xn), mul(b, xd3))
    # y = gn d (gn d^3)^((q - 3) / 4), d = xd^3, is the root of gn / d if that is a square.
    gd = mul(gn, xd3)
    y = mul(gd, power(FQ_TAG, mul(gd, square(xd3)), exponent))
    if not equal(mul(square(y), xd3), gn):
        # The second candidate x2 = Z u^2 x1 has g(x2) = (Z u^2)^3 g(x1), a square.
        xn = mul(zu2, xn)
        y = mul(mul(mul(y, load(FQ_TAG, constants, 3)), zu2), u)
    if _odd(u) != _odd(y):
        y = neg(y)
    d = one(FQ_TAG)
    for k in range(16):
        store(powers, k, d)
        d = mul(d, xd)
    nx = _polynomial(constants, 4, 12, xn, powers)
    dx = mul(_polynomial(constants, 16, 11, xn, powers), xd)
    ny = _polynomial(constants, 27, 16, xn, powers)
    dy = _polynomial(constants, 43, 16, xn, powers)
    dy2 = square(dy)
    dxdy2 = mul(dx, dy2)
    return mul(nx, dxdy2), mul(mul(y, ny), mul(dxdy2, square(dx))), mul(dx, dy)


@kernel
def map_pairs(out: Any, elements: Any, constants: Any, exponent: Any, start: int, stop: int) -> None:
    """Jacobian out[i] = h (map(elements[2 i]) + map(elements[2 i + 1])), the end of hash_to_curve."""
    powers = np.empty(16 * 6, np.uint64)
    for i in range(start, stop):
        sx, sy, sz = one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
        for half in range(2):
            x, y, z = _map_to_curve(load(FQ_TAG, elements, 2 * i + half), constants, exponent, powers)
            sx, sy, sz = add_jacobian(sx, sy, sz, x, y, z)
        x, y, z = sx, sy, sz
        for k in range(_COFACTOR.shape[0]):
            x, y, z = double(x, y, z)
            if _COFACTOR[k]:
                x, y, z = add_jacobian(x, y, z, sx, sy, sz)
        store(out, 3 * i, x)
        store(out, 3 * i + 1, y)
        store(out, 3 * i + 2, z)
