"""The kernel of `blocks`: a program of doublings and additions, run over many points side by side.

A register holds the same intermediate point of every output, coordinates in separate arrays; an instruction
works on whole registers, in affine coordinates, with one inversion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.affine import SCRATCH, add_distinct, double_finite
from .device.compile import kernel
from .device.elements import FQ_TAG, gather, is_zero, lanes, load, mul, neg, somewhere, spread, store
from .device.packed import load_slot, slot_words, store_slot

# Instructions: (kind, target register, left register, x register, y register, minus).
DOUBLE, ADD, TWIST, COPY = 0, 1, 2, 3


@kernel
def run_program(
    tag: Any,
    out: Any,
    failed: Any,
    points: Any,
    beta: Any,
    program: Any,
    x_registers: int,
    y_registers: int,
    blocks: int,
    size: int,
    result: int,
    start: int,
    stop: int,
    chunk: int,
) -> None:
    """out[i] = what the program makes of points[b size + i], b < blocks, for i in [start, stop).

    Register b starts with block b, up to `chunk` points at a time. Where an addition finds equal or opposite
    points, or infinity, all of them have failed[i] = 1 and must be done in another way.
    """
    width = lanes(tag)
    room = (chunk + width - 1) // width
    words = slot_words(tag)
    xs = np.empty(words * room * x_registers, np.uint64)
    ys = np.empty(words * room * y_registers, np.uint64)
    products, scratch = np.empty(words * room, np.uint64), np.empty(6 * SCRATCH, np.uint64)
    where = np.empty(2 * width, np.int64)
    left_x, left_y = np.empty(6 * width, np.uint64), np.empty(6 * width, np.uint64)
    factor = spread(tag, beta, 0)
    for first in range(start, stop, chunk):
        used = min(chunk, stop - first)
        count = (used + width - 1) // width
        regular = True
        for b in range(blocks):
            for i in range(count):
                for lane in range(width):
                    # The last point again fills up the last group of lanes.
                    k = b * size + first + min(i * width + lane, used - 1)
                    where[lane], where[width + lane] = 2 * k, 2 * k + 1
                y = gather(tag, points, where, width)
                if somewhere(is_zero(y)):
                    regular = False
                store_slot(xs, b * room + i, gather(tag, points, where, 0))
                store_slot(ys, b * room + i, y)
        for k in range(program.shape[0]):
            if not regular:
                break
            kind = program[k, 0]
            target, left = program[k, 1] * room, program[k, 2] * room
            right, y_right, minus = program[k, 3] * room, program[k, 4] * room, program[k, 5]
            if kind == TWIST:
                for i in range(count):
                    store_slot(xs, target + i, mul(load_slot(tag, xs, left + i), factor))
            elif kind == COPY:
                for i in range(count):
                    y = load_slot(tag, ys, y_right + i)
                    if minus != 0:
                        y = neg(y)
                    store_slot(xs, target + i, load_slot(tag, xs, right + i))
                    store_slot(ys, target + i, y)
            elif kind == DOUBLE:
                regular = double_finite(tag, xs, ys, target, left, products, scratch, count)
            else:
                regular = add_distinct(
                    tag, xs, ys, target, left, right, y_right, minus, products, scratch, count
                )
        for i in range(count):
            if regular:
                store(left_x, 0, load_slot(tag, xs, result * room + i))
                store(left_y, 0, load_slot(tag, ys, result * room + i))
            for lane in range(min(width, used - i * width)):
                k = first + i * width + lane
                failed[k] = 0 if regular else 1
                store(out, 2 * k, load(FQ_TAG, left_x, lane))
                store(out, 2 * k + 1, load(FQ_TAG, left_y, lane))
