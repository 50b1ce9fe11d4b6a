"""Kernels over tables of multilinear polynomials (flat arrays of Fr elements).

`tag` chooses the path, `one_tag` is the same field one element at a time, for what does not fill the lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import kernel
from .device.elements import (
    add,
    keep,
    kept,
    kept_words,
    lanes,
    load,
    load_words,
    mul,
    one,
    spread,
    store,
    store_sum,
    sub,
    zero,
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
def eq_expand(tag: Any, one_tag: Any, out: Any, point: Any, variables: int) -> None:
    """out[b] = product over i of (point[i] if bit i of b else 1 - point[i])."""
    store(out, 0, one(one_tag))
    size = 1
    for i in range(variables):
        if size < lanes(tag):
            r_of_one = load(one_tag, point, i)
            for b in range(size):
                whole_of_one = load(one_tag, out, b)
                high_of_one = mul(whole_of_one, r_of_one)
                store(out, b + size, high_of_one)
                store(out, b, sub(whole_of_one, high_of_one))
        else:
            r = spread(tag, point, i)
            for b in range(0, size, lanes(tag)):
                whole = load(tag, out, b)
                high = mul(whole, r)
                store(out, b + size, high)
                store(out, b, sub(whole, high))
        size *= 2


@kernel
def outer(tag: Any, out: Any, low: Any, size: int, high: Any, start: int, stop: int) -> None:
    """out[j size + i] = low[i] high[j] for j in [start, stop); size is a multiple of the lanes."""
    for j in range(start, stop):
        factor = spread(tag, high, j)
        for i in range(0, size, lanes(tag)):
            store(out, j * size + i, mul(load(tag, low, i), factor))


@kernel
def fold(tag: Any, one_tag: Any, out: Any, table: Any, half: int, r: Any, start: int, stop: int) -> None:
    """out[i] = table[i] + r (table[i + half] - table[i]); out may be table."""
    whole = stop - (stop - start) % lanes(tag)
    factor = spread(tag, r, 0)
    for i in range(start, whole, lanes(tag)):
        low = load(tag, table, i)
        store(out, i, add(low, mul(sub(load(tag, table, i + half), low), factor)))
    factor_of_one = load(one_tag, r, 0)
    for i in range(whole, stop):
        low_of_one = load(one_tag, table, i)
        step = sub(load(one_tag, table, i + half), low_of_one)
        store(out, i, add(low_of_one, mul(step, factor_of_one)))


@kernel
def inner_products(tag: Any, one_tag: Any, out: Any, a: Any, b: Any, start: int, stop: int) -> None:
    """out[0] = sum of a[i] b[i] over [start, stop), reduced once."""
    whole = stop - (stop - start) % lanes(tag)
    total = products_zero(tag)
    for i in range(start, whole, lanes(tag)):
        total = products_add(total, load(tag, a, i), load(tag, b, i))
    store_sum(out, 0, products_reduce(total))
    for i in range(whole, stop):
        term = mul(load(one_tag, a, i), load(one_tag, b, i))
        store(out, 0, add(load(one_tag, out, 0), term))


@kernel
def matrix_vector(
    tag: Any, one_tag: Any, out: Any, matrix: Any, columns: int, vector: Any, start: int, stop: int
) -> None:
    """out[i] = sum over j of matrix[i, j] vector[j] for rows [start, stop) of a flat int64 matrix."""
    width = lanes(tag)
    whole = columns - columns % width
    # The vector is taken apart once for all rows, in parts that a second-level cache holds.
    blocks = np.empty(min(whole, 2048) // width * kept_words(tag), np.uint64)
    for i in range(start, stop):
        store(out, i, zero(one_tag))
    for first in range(0, whole, 2048):
        count = min(2048, whole - first) // width
        for j in range(count):
            keep(blocks, j, load(tag, vector, first + j * width))
        for i in range(start, stop):
            before = load(one_tag, out, i)
            total = signed_zero(tag)
            for j in range(count):
                words = load_words(tag, matrix, i * columns + first + j * width)
                total = signed_add(total, words, kept(tag, blocks, j))
            store_sum(out, i, signed_reduce(total))
            store(out, i, add(load(one_tag, out, i), before))
    if whole < columns:
        for i in range(start, stop):
            rest = signed_zero(one_tag)
            for j in range(whole, columns):
                rest = signed_add(rest, matrix[i * columns + j], load(one_tag, vector, j))
            store(out, i, add(load(one_tag, out, i), signed_reduce(rest)))


@kernel
def vector_matrix(
    tag: Any, one_tag: Any, out: Any, vector: Any, matrix: Any, rows: int, columns: int, start: int, stop: int
) -> None:
    """out[j] = sum over i of vector[i] matrix[i, j] for columns [start, stop)."""
    width = lanes(tag)
    whole = stop - (stop - start) % width
    # A lane is a column. Elements of the vector are spread over the lanes once for all columns, in parts that
    # a second-level cache holds; so do the lines of the matrix that neighbouring lanes share.
    blocks = np.empty(min(rows, 512) * kept_words(tag), np.uint64)
    for j in range(start, stop):
        store(out, j, zero(one_tag))
    for first in range(0, rows, 512):
        count = min(512, rows - first)
        for i in range(count):
            keep(blocks, i, spread(tag, vector, first + i))
        for j in range(start, whole, width):
            total = signed_zero(tag)
            for i in range(count):
                words = load_words(tag, matrix, (first + i) * columns + j)
                total = signed_add(total, words, kept(tag, blocks, i))
            store(out, j, add(load(tag, out, j), signed_reduce(total)))
    for j in range(whole, stop):
        rest = signed_zero(one_tag)
        for i in range(rows):
            rest = signed_add(rest, matrix[i * columns + j], load(one_tag, vector, i))
        store(out, j, signed_reduce(rest))
