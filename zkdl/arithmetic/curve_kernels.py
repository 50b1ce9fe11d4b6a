"""Kernels over flat arrays of points: sums of many small groups of points, and single-point operations.

Nearly all group work of this package is one shape: sums of segments (lists of point indices with signs).
Buckets of an MSM, rows of a bit matrix and windows of a fixed base are all such lists, and `segment_sums`
adds them in affine coordinates with one inversion shared by thousands of additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.affine import SCRATCH, add_any, add_distinct
from .device.compile import device, kernel
from .device.curve import add_affine, add_jacobian, double, load_signed
from .device.elements import FQ_TAG, is_zero, lanes, load, mul, one, square, store, zero
from .device.inverse import invert


@device
def _place(xs: Any, ys: Any, target: int, from_x: Any, from_y: Any, source: int) -> None:
    store(xs, target, load(FQ_TAG, from_x, source))
    store(ys, target, load(FQ_TAG, from_y, source))


@device
def _add_pairs(
    tag: Any, lx: Any, ly: Any, rx: Any, ry: Any, count: int, regular: bool, products: Any, scratch: Any
) -> bool:
    """Left += right for the first `count` pairs; whether all of them were ordinary points.

    There is room to fill up the last group of lanes.
    """
    if regular:
        padded = count
        while padded % lanes(tag) != 0:
            _place(lx, ly, padded, lx, ly, 0)
            _place(rx, ry, padded, rx, ry, 0)
            padded += 1
        regular = add_distinct(tag, lx, ly, 0, 0, rx, ry, 0, 0, 0, products, scratch, padded)
    if not regular:
        add_any(lx, ly, 0, 0, rx, ry, 0, 0, 0, products, count)
    return regular


@kernel
def segment_sums(
    tag: Any,
    out: Any,
    points: Any,
    entries: Any,
    begin: Any,
    end: Any,
    start: int,
    stop: int,
    chunk: int,
) -> None:
    """out[s] = sum of the signed points entries[begin[s]..end[s]) for segments s in [start, stop).

    An entry is 2 index + sign. Segments are taken in chunks of about `chunk` points and halved round by
    round: one round adds all neighbouring pairs of all segments with one inversion. The pairs of a round lie
    side by side, left and right operands apart; the sums are dealt out to the pairs of the next round, and
    the odd point at the end of a segment waits in `odd`.
    """
    capacity = chunk
    for s in range(start, stop):
        capacity = max(capacity, end[s] - begin[s])
    half_room = 6 * (capacity // 2 + 16)
    lx, ly, rx, ry = (
        np.empty(half_room, np.uint64),
        np.empty(half_room, np.uint64),
        np.empty(half_room, np.uint64),
        np.empty(half_room, np.uint64),
    )
    sx, sy, tx, ty = (
        np.empty(half_room, np.uint64),
        np.empty(half_room, np.uint64),
        np.empty(half_room, np.uint64),
        np.empty(half_room, np.uint64),
    )
    products = np.empty(half_room, np.uint64)
    scratch = np.empty(6 * SCRATCH, np.uint64)
    most = min(stop - start, chunk)
    odd_x, odd_y = np.empty(6 * most, np.uint64), np.empty(6 * most, np.uint64)
    length = np.empty(most, np.int64)
    s = start
    while s < stop:
        used = 0
        count = 0
        pairs = 0
        regular = True
        while s + count < stop and count < most:
            base = begin[s + count]
            size = end[s + count] - base
            if count > 0 and used + size > capacity:
                break
            length[count] = size
            for k in range(size):
                x, y = load_signed(points, entries[base + k])
                regular = regular and not is_zero(y)
                if k == size - 1 and (size & 1) != 0:
                    store(odd_x, count, x)
                    store(odd_y, count, y)
                elif (k & 1) == 0:
                    store(lx, pairs + (k >> 1), x)
                    store(ly, pairs + (k >> 1), y)
                else:
                    store(rx, pairs + (k >> 1), x)
                    store(ry, pairs + (k >> 1), y)
            pairs += size >> 1
            used += size
            count += 1
        while pairs > 0:
            regular = _add_pairs(tag, lx, ly, rx, ry, pairs, regular, products, scratch)
            source = 0
            pairs = 0
            for j in range(count):
                half = length[j] >> 1
                if half == 0:
                    continue
                size = half + (length[j] & 1)
                for k in range(half):
                    if k == size - 1 and (size & 1) != 0:
                        _place(odd_x, odd_y, j, lx, ly, source + k)
                    elif (k & 1) == 0:
                        _place(sx, sy, pairs + (k >> 1), lx, ly, source + k)
                    else:
                        _place(tx, ty, pairs + (k >> 1), lx, ly, source + k)
                if size > half and (size & 1) == 0:
                    # The point that waited has found its partner.
                    _place(tx, ty, pairs + (half >> 1), odd_x, odd_y, j)
                source += half
                pairs += size >> 1
                length[j] = size
            lx, ly, rx, ry, sx, sy, tx, ty = sx, sy, tx, ty, lx, ly, rx, ry
        for j in range(count):
            if length[j] == 0:
                store(out, 2 * (s + j), zero(FQ_TAG))
                store(out, 2 * (s + j) + 1, zero(FQ_TAG))
            else:
                store(out, 2 * (s + j), load(FQ_TAG, odd_x, j))
                store(out, 2 * (s + j) + 1, load(FQ_TAG, odd_y, j))
        s += count


@kernel
def add_indexed(
    tag: Any, out: Any, target: Any, points: Any, left: Any, right: Any, start: int, stop: int
) -> None:
    """out[target[i]] = points[left[i]] + points[right[i]] with one inversion.

    No target is an operand.
    """
    count = stop - start
    room = 6 * (count + 16)
    lx, ly, rx, ry = (
        np.empty(room, np.uint64),
        np.empty(room, np.uint64),
        np.empty(room, np.uint64),
        np.empty(room, np.uint64),
    )
    products, scratch = np.empty(room, np.uint64), np.empty(6 * SCRATCH, np.uint64)
    regular = True
    for i in range(count):
        y1, y2 = load(FQ_TAG, points, 2 * left[start + i] + 1), load(FQ_TAG, points, 2 * right[start + i] + 1)
        regular = regular and not is_zero(y1) and not is_zero(y2)
        store(lx, i, load(FQ_TAG, points, 2 * left[start + i]))
        store(ly, i, y1)
        store(rx, i, load(FQ_TAG, points, 2 * right[start + i]))
        store(ry, i, y2)
    _add_pairs(tag, lx, ly, rx, ry, count, regular, products, scratch)
    for i in range(count):
        store(out, 2 * target[start + i], load(FQ_TAG, lx, i))
        store(out, 2 * target[start + i] + 1, load(FQ_TAG, ly, i))


@kernel
def horner(out: Any, points: Any, terms: int, doublings: int, start: int, stop: int) -> None:
    """Jacobian out[r] = sum over j < terms of 2^(j doublings) points[r terms + j]."""
    for r in range(start, stop):
        x, y, z = one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
        for b in range(terms):
            i = r * terms + terms - 1 - b
            if b > 0:
                for _ in range(doublings):
                    x, y, z = double(x, y, z)
            x, y, z = add_affine(x, y, z, load(FQ_TAG, points, 2 * i), load(FQ_TAG, points, 2 * i + 1))
        store(out, 3 * r, x)
        store(out, 3 * r + 1, y)
        store(out, 3 * r + 2, z)


@kernel
def doubling_chain(out: Any, point: Any, steps: int, doublings: int) -> None:
    """Jacobian out[k] = 2^(k doublings) point for k < steps."""
    x, y, z = add_affine(
        one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG), load(FQ_TAG, point, 0), load(FQ_TAG, point, 1)
    )
    for k in range(steps):
        store(out, 3 * k, x)
        store(out, 3 * k + 1, y)
        store(out, 3 * k + 2, z)
        for _ in range(doublings):
            x, y, z = double(x, y, z)


@kernel
def multiply_each(out: Any, points: Any, sp: int, scalars: Any, ss: int, start: int, stop: int) -> None:
    """Jacobian out[i] = scalars[i sp] points[i ss] for plain 256-bit scalars, by windows of four bits."""
    table = np.empty(16 * 18, np.uint64)
    for i in range(start, stop):
        px = load(FQ_TAG, points, 2 * i * sp)
        py = load(FQ_TAG, points, 2 * i * sp + 1)
        x, y, z = one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
        for k in range(16):
            store(table, 3 * k, x)
            store(table, 3 * k + 1, y)
            store(table, 3 * k + 2, z)
            x, y, z = add_affine(x, y, z, px, py)
        x, y, z = one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
        for b in range(64):
            w = 63 - b
            if b > 0:
                for _ in range(4):
                    x, y, z = double(x, y, z)
            word = scalars[4 * i * ss + (w >> 4)]
            window = np.int64((word >> np.uint64(4 * (w & 15))) & np.uint64(15))
            if window != 0:
                x, y, z = add_jacobian(
                    x,
                    y,
                    z,
                    load(FQ_TAG, table, 3 * window),
                    load(FQ_TAG, table, 3 * window + 1),
                    load(FQ_TAG, table, 3 * window + 2),
                )
        store(out, 3 * i, x)
        store(out, 3 * i + 1, y)
        store(out, 3 * i + 2, z)


@kernel
def normalise(out: Any, work: Any, start: int, stop: int) -> None:
    """Jacobian points work[start..stop) to affine points out[start..stop) with one inversion."""
    products = np.empty(6 * (stop - start), np.uint64)
    running = one(FQ_TAG)
    for i in range(start, stop):
        store(products, i - start, running)
        z = load(FQ_TAG, work, 3 * i + 2)
        if not is_zero(z):
            running = mul(running, z)
    inverse = invert(FQ_TAG, running)
    for k in range(stop - start):
        i = stop - 1 - k
        z = load(FQ_TAG, work, 3 * i + 2)
        if is_zero(z):
            store(out, 2 * i, z)
            store(out, 2 * i + 1, z)
            continue
        own = mul(inverse, load(FQ_TAG, products, i - start))
        inverse = mul(inverse, z)
        own2 = square(own)
        store(out, 2 * i, mul(load(FQ_TAG, work, 3 * i), own2))
        store(out, 2 * i + 1, mul(load(FQ_TAG, work, 3 * i + 1), mul(own2, own)))
