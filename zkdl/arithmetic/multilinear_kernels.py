"""Kernels over tables of multilinear polynomials (flat arrays of Fr elements)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import kernel
from .device.elements import (
    FR_TAG,
    add,
    load,
    mul,
    one,
    store,
    sub,
)
from .device.sums import (
    products_add,
    products_reduce,
    products_zero,
    signed_add,
    signed_reduce,
    signed_zero,
)


@kernel
def eq_expand(out: Any, point: Any, variables: int) -> None:
    """out[b] = product over i of (point[i] if bit i of b else 1 - point[i])."""
    store(out, 0, one(FR_TAG))
    size = 1
    for i in range(variables):
        r = load(FR_TAG, point, i)
        for b in range(size):
            whole = load(FR_TAG, out, b)
            high = mul(whole, r)
            store(out, b + size, high)
            store(out, b, sub(whole, high))
        size *= 2


@kernel
def outer(out: Any, low: Any, size: int, high: Any, start: int, stop: int) -> None:
    """out[j size + i] = low[i] high[j] for j in [start, stop)."""
    for j in range(start, stop):
        factor = load(FR_TAG, high, j)
        for i in range(size):
            store(out, j * size + i, mul(load(FR_TAG, low, i), factor))


@kernel
def fold(out: Any, table: Any, half: int, r: Any, start: int, stop: int) -> None:
    """out[i] = table[i] + r (table[i + half] - table[i]); out may be table."""
    factor = load(FR_TAG, r, 0)
    for i in range(start, stop):
        low = load(FR_TAG, table, i)
        step = sub(load(FR_TAG, table, i + half), low)
        store(out, i, add(low, mul(step, factor)))


@kernel
def inner_products(out: Any, a: Any, b: Any, start: int, stop: int) -> None:
    """out[0] = sum of a[i] b[i] over [start, stop), reduced once."""
    total = products_zero(FR_TAG)
    for i in range(start, stop):
        total = products_add(total, load(FR_TAG, a, i), load(FR_TAG, b, i))
    store(out, 0, products_reduce(total))


@kernel
def matrix_vector(out: Any, matrix: Any, columns: int, vector: Any, start: int, stop: int) -> None:
    """out[i] = sum over j of matrix[i, j] vector[j] for rows [start, stop) of a flat int64 matrix."""
    for i in range(start, stop):
        total = signed_zero(FR_TAG)
        base = i * columns
        for j in range(columns):
            word = matrix[base + j]
            if word != 0:
                total = signed_add(total, word, load(FR_TAG, vector, j))
        store(out, i, signed_reduce(total))


@kernel
def vector_matrix(out: Any, vector: Any, matrix: Any, rows: int, columns: int, start: int, stop: int) -> None:
    """out[j] = sum over i of vector[i] matrix[i, j] for columns [start, stop)."""
    # Eight columns fill a cache line: they are turned into rows first, so that each line is read once.
    block = np.empty(8 * rows, np.int64)
    for first in range(start, stop, 8):
        width = min(8, stop - first)
        for i in range(rows):
            for k in range(width):
                block[k * rows + i] = matrix[i * columns + first + k]
        for k in range(width):
            total = signed_zero(FR_TAG)
            for i in range(rows):
                word = block[k * rows + i]
                if word != 0:
                    total = signed_add(total, word, load(FR_TAG, vector, i))
            store(out, first + k, signed_reduce(total))
