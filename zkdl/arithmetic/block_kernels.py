"""The kernel of `blocks`: a program of doublings and additions, run over many points side by side.

A register holds the same intermediate point of every output, coordinates in separate arrays; an instruction
works on whole registers, in affine coordinates, with one inversion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.affine import SCRATCH, add_any, add_distinct, double_finite
from .device.compile import kernel
from .device.elements import FQ_TAG, is_zero, lanes, load, mul, neg, spread, store

# Instructions: (kind, target register, left register, x register, y register, minus).
DOUBLE, ADD, TWIST, COPY = 0, 1, 2, 3


@kernel
def run_program(
    tag: Any,
    out: Any,
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

    Register b starts with block b, `chunk` points at a time, a multiple of the lanes. Additions that find
    equal or opposite points or infinity are done again point by point, and so is what follows in that chunk:
    an infinity would pass unnoticed.
    """
    xs = np.empty(6 * chunk * x_registers, np.uint64)
    ys = np.empty(6 * chunk * y_registers, np.uint64)
    products, scratch = np.empty(6 * chunk, np.uint64), np.empty(6 * SCRATCH, np.uint64)
    factor = spread(tag, beta, 0)
    width = lanes(tag)
    for first in range(start, stop, chunk):
        used = min(chunk, stop - first)
        # The last point again fills up the last group of lanes.
        count = (used + width - 1) // width * width
        regular = True
        for b in range(blocks):
            for i in range(count):
                k = b * size + first + min(i, used - 1)
                y = load(FQ_TAG, points, 2 * k + 1)
                regular = regular and not is_zero(y)
                store(xs, b * chunk + i, load(FQ_TAG, points, 2 * k))
                store(ys, b * chunk + i, y)
        for k in range(program.shape[0]):
            kind = program[k, 0]
            target, left = program[k, 1] * chunk, program[k, 2] * chunk
            right, y_right, minus = program[k, 3] * chunk, program[k, 4] * chunk, program[k, 5]
            if kind == TWIST:
                for i in range(0, count, width):
                    store(xs, target + i, mul(load(tag, xs, left + i), factor))
                continue
            if kind == COPY:
                for i in range(count):
                    y = load(FQ_TAG, ys, y_right + i)
                    if minus != 0:
                        y = neg(y)
                    store(xs, target + i, load(FQ_TAG, xs, right + i))
                    store(ys, target + i, y)
                continue
            if regular:
                if kind == DOUBLE:
                    regular = double_finite(tag, xs, ys, target, left, products, scratch, count)
                else:
                    regular = add_distinct(
                        tag, xs, ys, target, left, xs, ys, right, y_right, minus, products, scratch, count
                    )
            if not regular:
                add_any(xs, ys, target, left, xs, ys, right, y_right, minus, products, count)
        for i in range(used):
            store(out, 2 * (first + i), load(FQ_TAG, xs, result * chunk + i))
            store(out, 2 * (first + i) + 1, load(FQ_TAG, ys, result * chunk + i))
