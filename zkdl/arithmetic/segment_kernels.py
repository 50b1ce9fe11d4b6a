"""Kernels of sums of many small groups of points.

Nearly all group work of this package is one shape: sums of segments (lists of point indices with signs).
Buckets of an MSM, rows of a bit matrix and windows of a fixed base are all such lists. Each lane of the
vector registers adds up a segment of its own, in affine coordinates; one inversion serves a whole round.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.affine import SCRATCH, invert_lanes
from .device.compile import device, kernel
from .device.curve import add_affine, chord_denominator, chord_sum, load_signed
from .device.elements import (
    FQ_TAG,
    gather,
    is_zero,
    lanes,
    load,
    load_words,
    mul,
    neg,
    nonzero,
    one,
    scatter,
    select,
    somewhere,
    square,
    store,
    sub,
    zero,
)
from .device.inverse import invert
from .device.packed import load_slot, prefetch_point, slot_words, store_slot

# Slots between asking for a point and using it.
_AHEAD = 4


@device
def _sort_by_length(order: Any, length: Any, tally: Any, count: int) -> None:
    """Numbers 0 ... count - 1 into `order`, longest first; `tally` has an entry for every length."""
    tally[:] = 0
    for j in range(count):
        tally[length[j]] += 1
    place = 0
    for back in range(tally.shape[0]):
        size = tally.shape[0] - 1 - back
        place += tally[size]
        tally[size] = place - tally[size]
    for j in range(count):
        order[tally[length[j]]] = j
        tally[length[j]] += 1


@device
def _sum_any(out: Any, points: Any, entries: Any, begin: Any, end: Any, first: int, count: int) -> None:
    """The sums of `count` segments from `first` on, one point after the other, whatever the points."""
    work, products = np.empty(18 * count, np.uint64), np.empty(6 * count, np.uint64)
    running = one(FQ_TAG)
    for j in range(count):
        x, y, z = one(FQ_TAG), one(FQ_TAG), zero(FQ_TAG)
        for k in range(begin[first + j], end[first + j]):
            px, py = load_signed(points, entries[k])
            x, y, z = add_affine(x, y, z, px, py)
        store(work, 3 * j, x)
        store(work, 3 * j + 1, y)
        store(work, 3 * j + 2, z)
        store(products, j, running)
        if not is_zero(z):
            running = mul(running, z)
    inverse = invert(FQ_TAG, running)
    for back in range(count):
        j = count - 1 - back
        x, y = zero(FQ_TAG), zero(FQ_TAG)
        z = load(FQ_TAG, work, 3 * j + 2)
        if not is_zero(z):
            own = mul(inverse, load(FQ_TAG, products, j))
            inverse = mul(inverse, z)
            own2 = square(own)
            x = mul(load(FQ_TAG, work, 3 * j), own2)
            y = mul(load(FQ_TAG, work, 3 * j + 1), mul(own2, own))
        store(out, 2 * (first + j), x)
        store(out, 2 * (first + j) + 1, y)


@kernel
def segment_sums(
    tag: Any,
    out: Any,
    points: Any,
    entries: Any,
    begin: Any,
    end: Any,
    longest: int,
    start: int,
    stop: int,
    chunk: int,
) -> None:
    """out[s] = sum of the signed points entries[begin[s]..end[s]) for segments s in [start, stop).

    An entry is 2 index + sign. About `chunk` points are taken at a time, their segments sorted by length
    (none above `longest`) and dealt out to groups of lanes. A group's points lie in slots, point k of every
    lane in slot k, and are halved round by round: slots 2 t and 2 t + 1 become slot t. Where a lane has no
    point in slot 2 t + 1, slot 2 t stays. A chunk with equal or opposite points or infinity in the way is
    done again by `_sum_any`.
    """
    width = lanes(tag)
    most = min(stop - start, chunk)
    # A group has as many slots as its longest segment, which the group before it does not fall below.
    slots = chunk // width + 2 * longest + 2
    xs, ys, products = (
        np.empty(slots * slot_words(tag), np.uint64),
        np.empty(slots * slot_words(tag), np.uint64),
        np.empty((slots // 2 + 1) * slot_words(tag), np.uint64),
    )
    scratch = np.empty(6 * SCRATCH, np.uint64)
    left_x, left_y = np.empty(6 * width, np.uint64), np.empty(6 * width, np.uint64)
    length, order = np.empty(most, np.int64), np.empty(most + width, np.int64)
    tally = np.empty(longest + 1, np.int64)
    # By group: first slot, slots in use, slots in use by every lane. By group and lane: points.
    groups = most // width + 1
    place, high, low = np.empty(groups, np.int64), np.empty(groups, np.int64), np.empty(groups, np.int64)
    sizes = np.empty(groups * width, np.int64)
    where_x, where_y, minus, there = (
        np.empty(width, np.int64),
        np.empty(width, np.int64),
        np.empty(width, np.int64),
        np.empty(width, np.int64),
    )
    first = start
    while first < stop:
        used, count = 0, 0
        while first + count < stop and count < most:
            size = end[first + count] - begin[first + count]
            if count > 0 and used + size > chunk:
                break
            length[count] = size
            used += size
            count += 1
        _sort_by_length(order, length, tally, count)
        groups = (count + width - 1) // width
        slot, regular, most_slots = 0, True, 0
        for g in range(groups):
            place[g] = slot
            high[g] = length[order[g * width]]
            low[g] = high[g]
            for lane in range(width):
                j = g * width + lane
                sizes[j] = length[order[j]] if j < count else 0
                low[g] = min(low[g], sizes[j])
            most_slots = max(most_slots, high[g])
            for k in range(high[g]):
                for lane in range(width):
                    # A lane without a point takes part with the group's first: its sums are not used.
                    segment = first + order[g * width + (lane if k < sizes[g * width + lane] else 0)]
                    code = np.int64(entries[begin[segment] + k])
                    if k + _AHEAD < high[g]:
                        # Past the segment's end this is a point of the next one.
                        ahead = min(begin[segment] + k + _AHEAD, entries.shape[0] - 1)
                        prefetch_point(points, np.int64(entries[ahead]) >> 1)
                    where_x[lane] = code & -2
                    where_y[lane] = code | 1
                    minus[lane] = code & 1
                x, y = gather(tag, points, where_x, 0), gather(tag, points, where_y, 0)
                if somewhere(is_zero(y)):
                    regular = False
                store_slot(xs, slot, x)
                store_slot(ys, slot, select(nonzero(tag, load_words(tag, minus, 0)), neg(y), y))
                slot += 1
        while regular and most_slots > 1:
            # Products from the last pair to the first, so that the additions can run forwards: their results
            # overwrite only what is already used.
            running = one(tag)
            pair = 0
            for back in range(groups):
                g = groups - 1 - back
                for b in range(high[g] >> 1):
                    t = (high[g] >> 1) - 1 - b
                    i = place[g] + 2 * t
                    store_slot(products, pair, running)
                    pair += 1
                    denominator = sub(load_slot(tag, xs, i + 1), load_slot(tag, xs, i))
                    if 2 * t + 1 >= low[g]:
                        for lane in range(width):
                            there[lane] = 1 if 2 * t + 1 < sizes[g * width + lane] else 0
                        denominator = select(nonzero(tag, load_words(tag, there, 0)), denominator, one(tag))
                    running = mul(running, denominator)
            regular, inverse = invert_lanes(tag, running, scratch)
            if not regular:
                break
            most_slots = 0
            for g in range(groups):
                for t in range(high[g] >> 1):
                    i = place[g] + 2 * t
                    x1, y1 = load_slot(tag, xs, i), load_slot(tag, ys, i)
                    x2, y2 = load_slot(tag, xs, i + 1), load_slot(tag, ys, i + 1)
                    pair -= 1
                    own = mul(inverse, load_slot(tag, products, pair))
                    slope = mul(own, sub(y2, y1))
                    x3 = sub(sub(square(slope), x1), x2)
                    y3 = sub(mul(slope, sub(x1, x3)), y1)
                    denominator = sub(x2, x1)
                    if 2 * t + 1 >= low[g]:
                        for lane in range(width):
                            there[lane] = 1 if 2 * t + 1 < sizes[g * width + lane] else 0
                        mask = nonzero(tag, load_words(tag, there, 0))
                        denominator = select(mask, denominator, one(tag))
                        x3, y3 = select(mask, x3, x1), select(mask, y3, y1)
                    inverse = mul(inverse, denominator)
                    store_slot(xs, place[g] + t, x3)
                    store_slot(ys, place[g] + t, y3)
                half = high[g] >> 1
                if high[g] & 1 and half > 0:
                    store_slot(xs, place[g] + half, load_slot(tag, xs, place[g] + 2 * half))
                    store_slot(ys, place[g] + half, load_slot(tag, ys, place[g] + 2 * half))
                high[g] -= half
                low[g] -= low[g] >> 1
                for j in range(g * width, g * width + width):
                    sizes[j] -= sizes[j] >> 1
                most_slots = max(most_slots, high[g])
        if regular:
            for g in range(groups):
                if high[g] > 0:
                    store(left_x, 0, load_slot(tag, xs, place[g]))
                    store(left_y, 0, load_slot(tag, ys, place[g]))
                for lane in range(min(width, count - g * width)):
                    s = first + order[g * width + lane]
                    if sizes[g * width + lane] > 0:
                        store(out, 2 * s, load(FQ_TAG, left_x, lane))
                        store(out, 2 * s + 1, load(FQ_TAG, left_y, lane))
                    else:
                        store(out, 2 * s, zero(FQ_TAG))
                        store(out, 2 * s + 1, zero(FQ_TAG))
        else:
            _sum_any(out, points, entries, begin, end, first, count)
        first += count


@device
def _add_indexed_any(
    out: Any, target: Any, points: Any, left: Any, right: Any, products: Any, start: int, stop: int
) -> None:
    """`add_indexed` point by point, whatever the points."""
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
    for back in range(stop - start):
        i = stop - 1 - back
        x1, y1 = load(FQ_TAG, points, 2 * left[i]), load(FQ_TAG, points, 2 * left[i] + 1)
        x2, y2 = load(FQ_TAG, points, 2 * right[i]), load(FQ_TAG, points, 2 * right[i] + 1)
        own = mul(inverse, load(FQ_TAG, products, i - start))
        inverse = mul(inverse, chord_denominator(x1, y1, x2, y2))
        x3, y3 = chord_sum(x1, y1, x2, y2, own)
        store(out, 2 * target[i], x3)
        store(out, 2 * target[i] + 1, y3)


@kernel
def add_indexed(
    tag: Any, out: Any, target: Any, points: Any, left: Any, right: Any, start: int, stop: int
) -> None:
    """out[target[i]] = points[left[i]] + points[right[i]] with one inversion.

    No target is an operand, and no two are the same.
    """
    width = lanes(tag)
    count = stop - start
    whole = count // width * width
    # Coordinates' numbers: x of the left operands, then their y, then those of the right ones, targets last.
    where = np.empty(6 * width, np.int64)
    words = slot_words(tag)
    held = np.empty(4 * (count // width + 1) * words, np.uint64)
    products = np.empty(max((count // width + 1) * words, 6 * count), np.uint64)
    scratch = np.empty(6 * SCRATCH, np.uint64)
    running = one(tag)
    regular = True
    for i in range(start, start + whole, width):
        for lane in range(width):
            where[lane], where[width + lane] = 2 * left[i + lane], 2 * left[i + lane] + 1
            where[2 * width + lane], where[3 * width + lane] = 2 * right[i + lane], 2 * right[i + lane] + 1
        x1, y1 = gather(tag, points, where, 0), gather(tag, points, where, width)
        x2, y2 = gather(tag, points, where, 2 * width), gather(tag, points, where, 3 * width)
        if somewhere(is_zero(y1)) or somewhere(is_zero(y2)):
            regular = False
        k = (i - start) // width
        store_slot(held, 4 * k, x1)
        store_slot(held, 4 * k + 1, y1)
        store_slot(held, 4 * k + 2, x2)
        store_slot(held, 4 * k + 3, y2)
        store_slot(products, k, running)
        running = mul(running, sub(x2, x1))
    inverse = running
    if regular and whole > 0:
        regular, inverse = invert_lanes(tag, running, scratch)
    if not regular:
        _add_indexed_any(out, target, points, left, right, products, start, stop)
        return
    k = whole // width - 1
    while k >= 0:
        x1, y1 = load_slot(tag, held, 4 * k), load_slot(tag, held, 4 * k + 1)
        x2, y2 = load_slot(tag, held, 4 * k + 2), load_slot(tag, held, 4 * k + 3)
        own = mul(inverse, load_slot(tag, products, k))
        inverse = mul(inverse, sub(x2, x1))
        slope = mul(own, sub(y2, y1))
        x3 = sub(sub(square(slope), x1), x2)
        for lane in range(width):
            where[lane] = 2 * target[start + k * width + lane]
            where[width + lane] = where[lane] + 1
        scatter(out, where, 0, x3)
        scatter(out, where, width, sub(mul(slope, sub(x1, x3)), y1))
        k -= 1
    if whole < count:
        _add_indexed_any(out, target, points, left, right, products, start + whole, stop)
