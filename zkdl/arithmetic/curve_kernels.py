"""Kernels over flat arrays of points: sums of many small groups of points, and single-point operations.

Nearly all group work of this package is one shape: sums of segments (lists of point indices with signs).
Buckets of an MSM, rows of a bit matrix and windows of a fixed base are all such lists, and `segment_sums`
adds them in affine coordinates with one inversion shared by thousands of additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import kernel
from .device.curve import (
    add_affine,
    add_jacobian,
    chord_denominator,
    chord_sum,
    double,
    load_signed,
)
from .device.elements import FQ_TAG, is_zero, load, mul, one, square, store, zero
from .device.inverse import invert


@kernel
def segment_sums(
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

    An entry is 2 index + sign. Segments are taken in chunks of about `chunk` points, copied side by side, and
    halved round by round: one round adds all neighbouring pairs of all segments with one inversion.
    """
    capacity = chunk
    for s in range(start, stop):
        capacity = max(capacity, end[s] - begin[s])
    buffer = np.empty(12 * capacity, np.uint64)
    products = np.empty(6 * (capacity // 2 + 1), np.uint64)
    place = np.empty(stop - start + 1, np.int64)
    length = np.empty(stop - start + 1, np.int64)
    s = start
    while s < stop:
        used = 0
        count = 0
        longest = 0
        while s + count < stop:
            size = end[s + count] - begin[s + count]
            if count > 0 and used + size > capacity:
                break
            place[count] = used
            length[count] = size
            longest = max(longest, size)
            base = begin[s + count]
            for k in range(size):
                x, y = load_signed(points, entries[base + k])
                store(buffer, 2 * (used + k), x)
                store(buffer, 2 * (used + k) + 1, y)
            used += size
            count += 1
        while longest > 1:
            # Products of the denominators from the last pair to the first, so that the additions can run
            # forwards: their results overwrite only what is already used.
            running = one(FQ_TAG)
            pair = 0
            for back in range(count):
                j = count - 1 - back
                half = length[j] >> 1
                for b in range(half):
                    i = place[j] + 2 * (half - 1 - b)
                    store(products, pair, running)
                    pair += 1
                    running = mul(
                        running,
                        chord_denominator(
                            load(FQ_TAG, buffer, 2 * i),
                            load(FQ_TAG, buffer, 2 * i + 1),
                            load(FQ_TAG, buffer, 2 * i + 2),
                            load(FQ_TAG, buffer, 2 * i + 3),
                        ),
                    )
            inverse = invert(FQ_TAG, running)
            longest = 0
            for j in range(count):
                half = length[j] >> 1
                for b in range(half):
                    i = place[j] + 2 * b
                    x1 = load(FQ_TAG, buffer, 2 * i)
                    y1 = load(FQ_TAG, buffer, 2 * i + 1)
                    x2 = load(FQ_TAG, buffer, 2 * i + 2)
                    y2 = load(FQ_TAG, buffer, 2 * i + 3)
                    pair -= 1
                    own = mul(inverse, load(FQ_TAG, products, pair))
                    inverse = mul(inverse, chord_denominator(x1, y1, x2, y2))
                    x3, y3 = chord_sum(x1, y1, x2, y2, own)
                    store(buffer, 2 * (place[j] + b), x3)
                    store(buffer, 2 * (place[j] + b) + 1, y3)
                if length[j] & 1 and half > 0:
                    i = place[j] + 2 * half
                    store(buffer, 2 * (place[j] + half), load(FQ_TAG, buffer, 2 * i))
                    store(buffer, 2 * (place[j] + half) + 1, load(FQ_TAG, buffer, 2 * i + 1))
                length[j] -= half
                longest = max(longest, length[j])
        for j in range(count):
            if length[j] == 0:
                store(out, 2 * (s + j), zero(FQ_TAG))
                store(out, 2 * (s + j) + 1, zero(FQ_TAG))
            else:
                store(out, 2 * (s + j), load(FQ_TAG, buffer, 2 * place[j]))
                store(out, 2 * (s + j) + 1, load(FQ_TAG, buffer, 2 * place[j] + 1))
        s += count


@kernel
def add_indexed(out: Any, target: Any, points: Any, left: Any, right: Any, start: int, stop: int) -> None:
    """out[target[i]] = points[left[i]] + points[right[i]] with one inversion.

    No target is an operand.
    """
    products = np.empty(6 * (stop - start), np.uint64)
    running = one(FQ_TAG)
    for i in range(start, stop):
        store(products, i - start, running)
        running = mul(
            running,
            chord_denominator(
                load(FQ_TAG, points, 2 * left[i]),
                load(FQ_TAG, points, 2 * left[i] + 1),
                load(FQ_TAG, points, 2 * right[i]),
                load(FQ_TAG, points, 2 * right[i] + 1),
            ),
        )
    inverse = invert(FQ_TAG, running)
    for k in range(stop - start):
        i = stop - 1 - k
        x1 = load(FQ_TAG, points, 2 * left[i])
        y1 = load(FQ_TAG, points, 2 * left[i] + 1)
        x2 = load(FQ_TAG, points, 2 * right[i])
        y2 = load(FQ_TAG, points, 2 * right[i] + 1)
        own = mul(inverse, load(FQ_TAG, products, i - start))
        inverse = mul(inverse, chord_denominator(x1, y1, x2, y2))
        x3, y3 = chord_sum(x1, y1, x2, y2, own)
        store(out, 2 * target[i], x3)
        store(out, 2 * target[i] + 1, y3)


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
