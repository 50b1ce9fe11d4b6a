"""Kernels over flat arrays of points, one point after the other, in Jacobian coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import kernel
from .device.curve import add_affine, add_jacobian, double
from .device.elements import FQ_TAG, is_zero, load, mul, one, square, store, zero
from .device.inverse import invert


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
