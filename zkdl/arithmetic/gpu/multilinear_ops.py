"""Multilinear polynomials on the device: the functions of `zkdl.arithmetic.multilinear`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import multilinear
from ..backend import on_processor
from ..field import Fr
from .array import DeviceArray
from .device import BLOCK
from .engine import Engine, Operation, entries
from .field_ops import integers, reduced, word

Array = Any  # a DeviceArray or a NumPy array

# Rows of a matrix in one thread's share of a vector-matrix product, at least.
_CHUNK = 8


def eq_table(engine: Engine, point: Any) -> Any:
    """The values of eq(point, .) on the cube: one doubling for each variable."""
    coordinates = _coordinates(point)
    k = len(coordinates)
    if 1 << k < engine.line:
        return NotImplemented
    # The processor expands the first variables: up to the line launches cost more than the work.
    first = min(k, engine.line.bit_length() - 1)
    out = engine.empty((1 << k, 4))
    out[: 1 << first] = on_processor(multilinear.eq_table)(coordinates[:first])
    rest = engine.put(coordinates[first:])
    for variable in range(first, k):
        engine.over("multilinear.eq_step", 1 << variable, out, rest[variable - first])
    return out


def evaluate(engine: Engine, table: Array, point: Any) -> Any:
    """The value at a point of a table of elements."""
    n = entries(table)
    if n < engine.line or not _table(table) or n != 1 << len(point):
        return NotImplemented
    weights = eq_table(engine, point)
    return _integer(reduced(engine, "multilinear.inner_Fr", n, engine.put(table), weights))


def eval_int(engine: Engine, table: Array, point: Any) -> Any:
    """The value at a point of a table of integers."""
    n = entries(table)
    if n < engine.line or n != 1 << len(point):
        return NotImplemented
    return inner_int(engine, table, eq_table(engine, point))


def inner_int(engine: Engine, values: Array, elements: Array) -> Any:
    """The inner product of integers and elements."""
    n = values.size
    if n < engine.line or not _table(elements) or elements.size != 4 * n:
        return NotImplemented
    source = integers(engine, values)
    if source is None:
        return NotImplemented
    kernel = f"multilinear.inner_{word(source)}"
    return _integer(reduced(engine, kernel, n, source, engine.put(elements)))


def fold_high(engine: Engine, table: Array, r: int) -> Any:
    """Bind the highest variable to r, in place."""
    n = entries(table)
    if n < max(2, engine.line) or n % 2 or not _table(table):
        return NotImplemented
    half, source = n // 2, engine.put(table)
    engine.over("sumcheck.fold_high", half, source, engine.element(r))
    return near(engine, source.reshape(-1, 4)[:half])


def matvec(engine: Engine, matrix: Array, vector: Array) -> Any:
    """Integer matrix times element vector."""
    found = _product(engine, matrix, vector, 1)
    if found is None:
        return NotImplemented
    values, elements = found
    rows, columns = values.shape
    lanes = 1
    while lanes < 128 and 4 * lanes < columns:
        lanes *= 2
    out = engine.empty((rows, 4))
    sizes = (np.uint64(rows), np.uint64(columns), np.uint32(lanes))
    kernel = f"multilinear.matvec_{word(values)}"
    # Threads that share a row wait for each other, so this kernel does not step: it takes a thread for each
    # share.
    engine.launch(kernel, -(-rows * lanes // BLOCK), values, elements, *sizes, out)
    return near(engine, out)


def vecmat(engine: Engine, vector: Array, matrix: Array) -> Any:
    """Element vector times integer matrix: threads share a column by chunks of rows."""
    found = _product(engine, matrix, vector, 0)
    if found is None:
        return NotImplemented
    values, elements = found
    rows, columns = values.shape
    busy = 1024 * engine.device.processors
    chunks = max(1, min(-(-rows // _CHUNK), busy // columns))
    chunk = -(-rows // chunks)
    chunks = -(-rows // chunk)
    partials = engine.empty((chunks * columns, 4))
    sizes = (np.uint64(rows), np.uint64(columns), np.uint64(chunk))
    kernel = f"multilinear.vecmat_{word(values)}"
    engine.launch(kernel, engine.blocks(chunks * columns), elements, values, *sizes, partials)
    if chunks == 1:
        return near(engine, partials)
    out = engine.empty((columns, 4))
    shape = (np.uint64(chunks), np.uint64(columns))
    engine.launch("multilinear.sum_rows", engine.blocks(columns), partials, *shape, out)
    return near(engine, out)


def near(engine: Engine, array: DeviceArray) -> Any:
    """A result on the side of the line where it belongs: small ones go to the host at once."""
    return array if entries(array) >= engine.line else array.to_host()


def _product(
    engine: Engine, matrix: Array, vector: Array, axis: int
) -> tuple[DeviceArray, DeviceArray] | None:
    """Both factors on the device, if the product is large and `vector` fits the matrix's axis."""
    if not isinstance(matrix, np.ndarray | DeviceArray) or matrix.ndim != 2 or not _table(vector):
        return None
    if matrix.size < engine.line or vector.size != 4 * matrix.shape[axis]:
        return None
    values = integers(engine, matrix)
    return None if values is None else (values, engine.put(vector))


def _table(a: Any) -> bool:
    return isinstance(a, DeviceArray | np.ndarray) and a.dtype == np.uint64 and a.shape[-1:] == (4,)


def _coordinates(point: Any) -> np.ndarray:
    if isinstance(point, DeviceArray):
        return point.to_host()
    if isinstance(point, np.ndarray) and point.dtype == np.uint64 and point.ndim == 2:
        return point
    return Fr.from_ints(point)


def _integer(element: np.ndarray) -> int:
    return int(Fr.to_ints(element)[0])


OPERATIONS: dict[str, Operation] = {
    "multilinear.eq_table": eq_table,
    "multilinear.evaluate": evaluate,
    "multilinear.eval_int": eval_int,
    "multilinear.inner_int": inner_int,
    "multilinear.fold_high": fold_high,
    "multilinear.matvec": matvec,
    "multilinear.vecmat": vecmat,
}
