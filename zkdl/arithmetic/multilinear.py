"""Multilinear polynomials given by their values on the Boolean cube, over Fr.

The table of a polynomial in k variables has 2^k entries. Bit i of an index is the value of variable i, and
point[i] is its coordinate: little-endian, everywhere. A point is a sequence of Python integers or a `(k, 4)`
array of elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from . import multilinear_kernels as kernels
from .backend import switched
from .field import Fr, as_int64, flat_limbs
from .threads import over_range

Point: TypeAlias = "Sequence[int] | np.ndarray"

# Least work for a second thread, in table entries.
_GRAIN = 2048
# Variables of the lines that a long table of integers is cut into.
_LINE_VARS = 11


def _coordinates(point: Point) -> np.ndarray:
    if isinstance(point, np.ndarray) and point.dtype == np.uint64 and point.ndim == 2:
        return flat_limbs(point, 4, "Fr")
    return Fr.from_ints(point).reshape(-1)


def _variables(entries: int, name: str) -> int:
    if entries < 1 or entries & (entries - 1):
        raise ValueError(f"{name}: expected a power of two of entries, got {entries}; pad with zeros")
    return entries.bit_length() - 1


@switched("multilinear.eq_table")
def eq_table(point: Point) -> np.ndarray:
    """The values of eq(point, b) = product over i of (point_i b_i + (1 - point_i)(1 - b_i)) on the cube.

    Args:
        point: k coordinates.

    Returns:
        `(2^k, 4)` elements, bit i of the index against point[i].

    Example:
        >>> Fr.to_ints(eq_table([1, 0]))
        [0, 1, 0, 0]
    """
    coordinates = _coordinates(point)
    k = coordinates.size // 4
    out = np.empty((1 << k, 4), np.uint64)
    target = out.reshape(-1)
    if k <= 12:
        kernels.eq_expand(Fr.tag_for(1 << k), Fr.tag, target, coordinates, k)
        return out
    split = k - 6
    low, high = np.empty(4 << split, np.uint64), np.empty(4 << (k - split), np.uint64)
    tag = Fr.tag_for(1 << k)
    kernels.eq_expand(tag, Fr.tag, low, coordinates, split)
    kernels.eq_expand(tag, Fr.tag, high, coordinates[4 * split :].copy(), k - split)
    over_range(lambda i, j: kernels.outer(tag, target, low, 1 << split, high, i, j), 1 << (k - split), 1)
    return out


@switched("multilinear.evaluate")
def evaluate(table: np.ndarray, point: Point) -> int:
    """The polynomial's value at a point.

    Args:
        table: `(2^k, 4)` elements.
        point: k coordinates.

    Returns:
        An integer in [0, r).

    Example:
        >>> evaluate(Fr.from_ints([5, 7]), [3])        # 5 + 3 (7 - 5)
        11
    """
    flat = flat_limbs(table, 4, "Fr")
    coordinates = _coordinates(point)
    _check_point(flat.size // 4, coordinates.size // 4, "table")
    return _inner(eq_table(coordinates.reshape(-1, 4)).reshape(-1), flat)


@switched("multilinear.eval_int")
def eval_int(table: np.ndarray, point: Point) -> int:
    """The value at a point of a polynomial whose table holds signed 64-bit integers.

    Args:
        table: `(2^k,)` integers.
        point: k coordinates.

    Returns:
        An integer in [0, r).
    """
    values = as_int64(table, "table").reshape(-1)
    coordinates = _coordinates(point)
    _check_point(values.size, coordinates.size // 4, "table")
    point_rows = coordinates.reshape(-1, 4)
    # Lines of the table first, so that the weights are never laid out in the table's length.
    columns, rows = eq_table(point_rows[:_LINE_VARS]), eq_table(point_rows[_LINE_VARS:])
    return _inner(matvec(values.reshape(len(rows), -1), columns).reshape(-1), rows.reshape(-1))


def _check_point(entries: int, coordinates: int, name: str) -> None:
    wanted = _variables(entries, name)
    if wanted != coordinates:
        raise ValueError(f"point: expected {wanted} coordinates for {entries} entries, got {coordinates}")


@switched("multilinear.fold_high")
def fold_high(table: np.ndarray, r: int) -> np.ndarray:
    """Bind the highest variable to r: entry i becomes t[i] + r (t[i + h] - t[i]), h = half the length.

    Works in place where the table is contiguous and writable: the caller gives the table away.

    Args:
        table: `(2^k, 4)` elements, k >= 1.
        r: the value of variable k - 1.

    Returns:
        `(2^(k-1), 4)` elements, a view of the table's first half where it could be written to.
    """
    flat = flat_limbs(table, 4, "Fr")
    half = flat.size // 8
    if flat.size != 8 * half or half < 1:
        raise ValueError(f"table: expected an even number of entries, got {flat.size // 4}")
    factor = Fr.from_ints([r]).reshape(-1)
    tag = Fr.tag_for(half)
    over_range(lambda i, j: kernels.fold(tag, Fr.tag, flat, flat, half, factor, i, j), half, _GRAIN)
    return flat[: 4 * half].reshape(-1, 4)


def _inner(a: np.ndarray, b: np.ndarray) -> int:
    def part(start: int, stop: int) -> int:
        out = np.empty(4, np.uint64)
        kernels.inner_products(Fr.tag_for(stop - start), Fr.tag, out, a, b, start, stop)
        return Fr.to_ints(out[None])[0]

    return sum(over_range(part, a.size // 4, _GRAIN)) % Fr.modulus


@switched("multilinear.matvec")
def matvec(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Integer matrix times element vector: out[i] = sum over j of matrix[i, j] vector[j].

    Args:
        matrix: `(m, n)` integers.
        vector: `(n, 4)` elements.

    Returns:
        `(m, 4)` elements.
    """
    values, rows, columns = _matrix(matrix)
    elements = _vector(vector, columns)
    out = np.empty((rows, 4), np.uint64)
    target = out.reshape(-1)
    if rows == 1 and columns > 2 * _GRAIN:
        return Fr.from_ints([inner_int(values, elements.reshape(-1, 4))])
    tag = Fr.tag_for(columns)
    over_range(
        lambda i, j: kernels.matrix_vector(tag, Fr.tag, target, values, columns, elements, i, j),
        rows,
        max(1, _GRAIN // max(1, columns)),
    )
    return out


@switched("multilinear.vecmat")
def vecmat(vector: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Element vector times integer matrix: out[j] = sum over i of vector[i] matrix[i, j].

    Args:
        vector: `(m, 4)` elements.
        matrix: `(m, n)` integers.

    Returns:
        `(n, 4)` elements.
    """
    values, rows, columns = _matrix(matrix)
    elements = _vector(vector, rows)
    out = np.empty((columns, 4), np.uint64)
    target = out.reshape(-1)
    tag = Fr.tag_for(columns)
    over_range(
        lambda i, j: kernels.vector_matrix(tag, Fr.tag, target, elements, values, rows, columns, i, j),
        columns,
        max(1, _GRAIN // max(1, rows)),
    )
    return out


@switched("multilinear.inner_int")
def inner_int(values: np.ndarray, elements: np.ndarray) -> int:
    """The inner product of integers and elements, sum over i of values[i] elements[i].

    Args:
        values: `(n,)` integers.
        elements: `(n, 4)` elements.

    Returns:
        An integer in [0, r).
    """
    integers = as_int64(values, "values").reshape(-1)
    vector = _vector(elements, integers.size)

    def part(start: int, stop: int) -> int:
        out = np.empty(4, np.uint64)
        width = stop - start
        tag = Fr.tag_for(width)
        part_of_vector = vector[4 * start : 4 * stop]
        kernels.matrix_vector(tag, Fr.tag, out, integers[start:stop], width, part_of_vector, 0, 1)
        return Fr.to_ints(out[None])[0]

    return sum(over_range(part, integers.size, 2 * _GRAIN)) % Fr.modulus


def _matrix(matrix: np.ndarray) -> tuple[np.ndarray, int, int]:
    values = as_int64(matrix, "matrix")
    if values.ndim != 2:
        raise ValueError(f"matrix: expected two axes (rows, columns), got shape {values.shape}")
    return values.reshape(-1), values.shape[0], values.shape[1]


def _vector(vector: np.ndarray, entries: int) -> np.ndarray:
    flat = flat_limbs(vector, 4, "Fr")
    if flat.size != 4 * entries:
        raise ValueError(f"vector: expected {entries} elements, got {flat.size // 4}")
    return flat
