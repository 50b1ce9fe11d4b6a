"""Kernels on single points: encoding, decoding with all checks, and membership."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.curve import add_unequal, double
from .device.elements import (
    FQ_TAG,
    add,
    equal,
    exceeds_half,
    is_canonical,
    is_zero,
    lanes,
    load,
    mul,
    neg,
    one,
    r_squared,
    spread,
    square,
    store,
    sub,
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
def _subgroup_test(tag: Any, xs: Any, ys: Any, beta: Any, defects: Any) -> None:
    """Test `lanes` points for the subgroup of prime order; `_passed` reads the answers from `defects`.

    The endomorphism (beta x, y) acts as multiplication by -z^2 on the subgroup and nowhere else (Scott 2021,
    section 6). The three elements are the differences of the two sides' coordinates and the Z of z^2 P.

    Additions without a branch suffice: points of order r never meet in a ladder whose multiples are between 2
    and 2^64, and whatever else meets ends with Z = 0.
    """
    width = lanes(tag)
    x, y = load(tag, xs, 0), load(tag, ys, 0)
    jx, jy, jz = x, y, one(tag)
    # Twice times |z|; z^2 P has the sign of z squared away.
    for _ in range(2):
        sx, sy, sz = jx, jy, jz
        for k in range(_PARAMETER.shape[0]):
            jx, jy, jz = double(jx, jy, jz)
            if _PARAMETER[k]:
                jx, jy, jz = add_unequal(jx, jy, jz, sx, sy, sz)
    zz = square(jz)
    store(defects, 0, sub(jx, mul(mul(beta, x), zz)))
    store(defects, width, add(jy, mul(y, mul(zz, jz))))
    store(defects, 2 * width, jz)


@device
def _passed(defects: Any, width: int, k: int) -> bool:
    return (
        is_zero(load(FQ_TAG, defects, k))
        and is_zero(load(FQ_TAG, defects, width + k))
        and not is_zero(load(FQ_TAG, defects, 2 * width + k))
    )


@kernel
def in_subgroup_many(tag: Any, status: Any, points: Any, beta: Any, start: int, stop: int) -> None:
    """status[i] = 1 where a point of the curve lies in the subgroup of prime order; infinity does."""
    width = lanes(tag)
    factor = spread(tag, beta, 0)
    xs, ys, defects = (
        np.empty(6 * width, np.uint64),
        np.empty(6 * width, np.uint64),
        np.empty(18 * width, np.uint64),
    )
    for first in range(start, stop, width):
        # The last point again fills up the last group.
        for k in range(width):
            i = min(first + k, stop - 1)
            store(xs, k, load(FQ_TAG, points, 2 * i))
            store(ys, k, load(FQ_TAG, points, 2 * i + 1))
        _subgroup_test(tag, xs, ys, factor, defects)
        for k in range(min(width, stop - first)):
            status[first + k] = 1 if is_zero(load(FQ_TAG, ys, k)) or _passed(defects, width, k) else 0


@kernel
def decode(
    tag: Any,
    out: Any,
    status: Any,
    plain: Any,
    signs: Any,
    four: Any,
    beta: Any,
    root: Any,
    start: int,
    stop: int,
) -> None:
    """Points from plain x coordinates and signs, each checked; status[i] is one of the codes above.

    signs: 0 or 1 chooses the smaller or larger root y; 2 means that the flags said infinity, which leaves the
    point alone. Points that are not accepted come out as infinity.
    """
    width = lanes(tag)
    b = load(FQ_TAG, four, 0)
    factor = spread(tag, beta, 0)
    xs, ys, right, defects = (
        np.empty(6 * width, np.uint64),
        np.empty(6 * width, np.uint64),
        np.empty(6 * width, np.uint64),
        np.empty(18 * width, np.uint64),
    )
    for first in range(start, stop, width):
        used = min(width, stop - first)
        for k in range(width):
            # Lanes without work go through the motions on the last point.
            i = first + min(k, used - 1)
            raw = load(FQ_TAG, plain, i)
            if signs[i] == 2:
                status[i] = INFINITY
            else:
                status[i] = OK if is_canonical(raw) else NOT_CANONICAL
            x = mul(r_squared(FQ_TAG), raw)
            store(xs, k, x)
            store(right, k, add(mul(square(x), x), b))
        store(ys, 0, power(tag, load(tag, right, 0), root))
        for k in range(width):
            i = first + min(k, used - 1)
            y = load(FQ_TAG, ys, k)
            if status[i] == OK and not equal(square(y), load(FQ_TAG, right, k)):
                status[i] = NOT_ON_CURVE
            if exceeds_half(mul(y, unit(FQ_TAG))) != (signs[i] == 1):
                store(ys, k, neg(y))
        _subgroup_test(tag, xs, ys, factor, defects)
        for k in range(used):
            i = first + k
            if status[i] == OK and not _passed(defects, width, k):
                status[i] = NOT_IN_SUBGROUP
            if status[i] == OK:
                store(out, 2 * i, load(FQ_TAG, xs, k))
                store(out, 2 * i + 1, load(FQ_TAG, ys, k))
            else:
                store(out, 2 * i, zero(FQ_TAG))
                store(out, 2 * i + 1, zero(FQ_TAG))
