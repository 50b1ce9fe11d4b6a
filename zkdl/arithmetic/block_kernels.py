"""The kernel of `blocks`: a program of doublings and additions, run over many points side by side.

A register holds the same intermediate point of every output, coordinates in separate arrays; an instruction
works on whole registers, in affine coordinates, with one inversion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import device, kernel
from .device.curve import chord_denominator, chord_sum
from .device.elements import FQ_TAG, add, is_zero, load, mul, neg, one, square, store, sub
from .device.inverse import invert

# Instructions: (kind, target register, left register, x register, y register, minus).
DOUBLE, ADD, TWIST, COPY = 0, 1, 2, 3


@device
def _double_fast(tag: Any, xs: Any, ys: Any, products: Any, target: int, left: int, count: int) -> bool:
    """Register `target` = 2 `left`; False, and nothing done, where one of the points is infinity."""
    running = one(tag)
    for i in range(count):
        y = load(tag, ys, left + i)
        store(products, i, running)
        running = mul(running, add(y, y))
    if is_zero(running):
        return False
    inverse = invert(FQ_TAG, running)
    for k in range(count):
        i = count - 1 - k
        x, y = load(tag, xs, left + i), load(tag, ys, left + i)
        x2 = square(x)
        slope = mul(mul(inverse, load(tag, products, i)), add(add(x2, x2), x2))
        inverse = mul(inverse, add(y, y))
        x3 = sub(square(slope), add(x, x))
        store(xs, target + i, x3)
        store(ys, target + i, sub(mul(slope, sub(x, x3)), y))
    return True


@device
def _add_fast(
    tag: Any,
    xs: Any,
    ys: Any,
    products: Any,
    target: int,
    left: int,
    x_right: int,
    y_right: int,
    minus: int,
    count: int,
) -> bool:
    """Register `target` = `left` +- right; False, and nothing done, where two points share their x."""
    running = one(tag)
    for i in range(count):
        store(products, i, running)
        running = mul(running, sub(load(tag, xs, x_right + i), load(tag, xs, left + i)))
    if is_zero(running):
        return False
    inverse = invert(FQ_TAG, running)
    for k in range(count):
        i = count - 1 - k
        x1, y1 = load(tag, xs, left + i), load(tag, ys, left + i)
        x2, y2 = load(tag, xs, x_right + i), load(tag, ys, y_right + i)
        own = mul(inverse, load(tag, products, i))
        inverse = mul(inverse, sub(x2, x1))
        if minus != 0:
            y2 = neg(y2)
        slope = mul(own, sub(y2, y1))
        x3 = sub(sub(square(slope), x1), x2)
        store(xs, target + i, x3)
        store(ys, target + i, sub(mul(slope, sub(x1, x3)), y1))
    return True


@device
def _add_any(
    xs: Any, ys: Any, target: int, left: int, x_right: int, y_right: int, minus: int, count: int
) -> None:
    """Register `target` = `left` +- right, for any points."""
    products = np.empty(6 * count, np.uint64)
    running = one(FQ_TAG)
    for i in range(count):
        x1, y1 = load(FQ_TAG, xs, left + i), load(FQ_TAG, ys, left + i)
        x2, y2 = load(FQ_TAG, xs, x_right + i), load(FQ_TAG, ys, y_right + i)
        if minus != 0:
            y2 = neg(y2)
        store(products, i, running)
        running = mul(running, chord_denominator(x1, y1, x2, y2))
    inverse = invert(FQ_TAG, running)
    for k in range(count):
        i = count - 1 - k
        x1, y1 = load(FQ_TAG, xs, left + i), load(FQ_TAG, ys, left + i)
        x2, y2 = load(FQ_TAG, xs, x_right + i), load(FQ_TAG, ys, y_right + i)
        if minus != 0:
            y2 = neg(y2)
        own = mul(inverse, load(FQ_TAG, products, i))
        inverse = mul(inverse, chord_denominator(x1, y1, x2, y2))
        x3, y3 = chord_sum(x1, y1, x2, y2, own)
        store(xs, target + i, x3)
        store(ys, target + i, y3)


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

    Register b starts with block b. Additions that find equal or opposite points or infinity are done again
    point by point, and so is what follows in that chunk: an infinity would pass unnoticed.
    """
    xs = np.empty(6 * chunk * x_registers, np.uint64)
    ys = np.empty(6 * chunk * y_registers, np.uint64)
    products = np.empty(6 * chunk, np.uint64)
    factor = load(tag, beta, 0)
    for first in range(start, stop, chunk):
        count = min(chunk, stop - first)
        regular = True
        for b in range(blocks):
            for i in range(count):
                k = b * size + first + i
                y = load(FQ_TAG, points, 2 * k + 1)
                regular = regular and not is_zero(y)
                store(xs, b * chunk + i, load(FQ_TAG, points, 2 * k))
                store(ys, b * chunk + i, y)
        for k in range(program.shape[0]):
            kind = program[k, 0]
            target, left = program[k, 1] * chunk, program[k, 2] * chunk
            if kind == TWIST:
                for i in range(count):
                    store(xs, target + i, mul(load(tag, xs, left + i), factor))
                continue
            x_right, y_right, minus = program[k, 3] * chunk, program[k, 4] * chunk, program[k, 5]
            if kind == COPY:
                for i in range(count):
                    y = load(tag, ys, y_right + i)
                    if minus != 0:
                        y = neg(y)
                    store(xs, target + i, load(tag, xs, x_right + i))
                    store(ys, target + i, y)
                continue
            if regular:
                if kind == DOUBLE:
                    regular = _double_fast(tag, xs, ys, products, target, left, count)
                else:
                    regular = _add_fast(tag, xs, ys, products, target, left, x_right, y_right, minus, count)
            if not regular:
                _add_any(xs, ys, target, left, x_right, y_right, minus, count)
        for i in range(count):
            store(out, 2 * (first + i), load(FQ_TAG, xs, result * chunk + i))
            store(out, 2 * (first + i) + 1, load(FQ_TAG, ys, result * chunk + i))
