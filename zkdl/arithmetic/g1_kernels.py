"""Kernels on single points: encoding, decoding with all checks, and membership."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.curve import add_jacobian, double
from .device.elements import (
    FQ_TAG,
    add,
    equal,
    exceeds_half,
    is_canonical,
    is_zero,
    load,
    mul,
    neg,
    one,
    r_squared,
    square,
    store,
    unit,
    zero,
)
from .device.power import power

OK, INFINITY, NOT_CANONICAL, NOT_ON_CURVE, NOT_IN_SUBGROUP = 0, 1, 2, 3, 4

# The bits of the curve parameter's absolute value |z| after the first, highest first.
_PARAMETER = np.array([int(bit) for bit in f"{0xD201000000010000:b}"[1:]], np.uint8)


@kernel
def negate(out: Any, points: Any, n: int) -> None:
    """out[i] = -points[i]."""
    for i in range(n):
        store(out, 2 * i, load(FQ_TAG, points, 2 * i))
        store(out, 2 * i + 1, neg(load(FQ_TAG, points, 2 * i + 1)))


@kernel
def encode(out: Any, signs: Any, points: Any, n: int) -> None:
    """Plain x of each point into out; signs: 1 where y is the larger root, 2 for infinity."""
    for i in range(n):
        y = load(FQ_TAG, points, 2 * i + 1)
        store(out, i, mul(load(FQ_TAG, points, 2 * i), unit(FQ_TAG)))
        signs[i] = 1 if exceeds_half(mul(y, unit(FQ_TAG))) else 0
        if is_zero(y):
            signs[i] = 2


@kernel
def on_curve_many(status: Any, points: Any, four: Any, n: int) -> None:
    """status[i] = 1 where canonical coordinates satisfy the curve's equation or are all zero."""
    b = load(FQ_TAG, four, 0)
    for i in range(n):
        x = load(FQ_TAG, points, 2 * i)
        y = load(FQ_TAG, points, 2 * i + 1)
        right = add(mul(square(x), x), b)
        good = equal(square(y), right) or (is_zero(x) and is_zero(y))
        status[i] = 1 if good and is_canonical(x) and is_canonical(y) else 0


@device
def _in_subgroup(x: Any, y: Any, beta: Any) -> Any:
    """Whether the endomorphism (beta x, y) acts as multiplication by -z^2 (Scott 2021, section 6)."""
    jx, jy, jz = x, y, one(FQ_TAG)
    # Twice times |z|; z^2 P has the sign of z squared away.
    for _ in range(2):
        sx, sy, sz = jx, jy, jz
        for k in range(_PARAMETER.shape[0]):
            jx, jy, jz = double(jx, jy, jz)
            if _PARAMETER[k]:
                jx, jy, jz = add_jacobian(jx, jy, jz, sx, sy, sz)
    if is_zero(jz):
        return False
    zz = square(jz)
    return equal(jx, mul(mul(beta, x), zz)) and equal(jy, mul(neg(y), mul(zz, jz)))


@kernel
def in_subgroup_many(status: Any, points: Any, beta: Any, start: int, stop: int) -> None:
    """status[i] = 1 where a point of the curve lies in the subgroup of prime order; infinity does."""
    b = load(FQ_TAG, beta, 0)
    for i in range(start, stop):
        x = load(FQ_TAG, points, 2 * i)
        y = load(FQ_TAG, points, 2 * i + 1)
        status[i] = 1 if is_zero(y) or _in_subgroup(x, y, b) else 0


@kernel
def decode(
    out: Any, status: Any, plain: Any, signs: Any, four: Any, beta: Any, root: Any, start: int, stop: int
) -> None:
    """Points from plain x coordinates and signs, each checked; status[i] is one of the codes above.

    signs: 0 or 1 chooses the smaller or larger root y; 2 means that the flags said infinity, which leaves the
    point alone.
    """
    b = load(FQ_TAG, four, 0)
    factor = load(FQ_TAG, beta, 0)
    for i in range(start, stop):
        store(out, 2 * i, zero(FQ_TAG))
        store(out, 2 * i + 1, zero(FQ_TAG))
        if signs[i] == 2:
            status[i] = INFINITY
            continue
        raw = load(FQ_TAG, plain, i)
        if not is_canonical(raw):
            status[i] = NOT_CANONICAL
            continue
        x = mul(r_squared(FQ_TAG), raw)
        right = add(mul(square(x), x), b)
        y = power(FQ_TAG, right, root)
        if not equal(square(y), right):
            status[i] = NOT_ON_CURVE
            continue
        if exceeds_half(mul(y, unit(FQ_TAG))) != (signs[i] == 1):
            y = neg(y)
        if not _in_subgroup(x, y, factor):
            status[i] = NOT_IN_SUBGROUP
            continue
        store(out, 2 * i, x)
        store(out, 2 * i + 1, y)
        status[i] = OK
