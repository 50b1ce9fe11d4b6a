"""Field arithmetic on the device: the methods of `zkdl.arithmetic.field.Field`.

Whatever a method's checks would refuse is handed to the processor, which refuses it in the usual words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import on_processor
from ..field import Field
from .array import DeviceArray
from .engine import Engine, Operation, entries

Array = Any  # a DeviceArray or a NumPy array


def add(engine: Engine, field: Field, a: Array, b: Array) -> Any:
    """a + b."""
    return _binary(engine, field, "add", a, b)


def sub(engine: Engine, field: Field, a: Array, b: Array) -> Any:
    """a - b."""
    return _binary(engine, field, "sub", a, b)


def mul(engine: Engine, field: Field, a: Array, b: Array) -> Any:
    """a b, element by element."""
    return _binary(engine, field, "mul", a, b)


def square(engine: Engine, field: Field, a: Array) -> Any:
    """a^2."""
    return _unary(engine, field, "sqr", a)


def neg(engine: Engine, field: Field, a: Array) -> Any:
    """-a."""
    return _unary(engine, field, "neg", a)


def scale(engine: Engine, field: Field, a: Array, factor: int) -> Any:
    """factor a."""
    return _binary(engine, field, "mul", a, field.from_ints([factor]))


def inverse(engine: Engine, field: Field, a: Array) -> Any:
    """1 / a; the processor names the zero that has none."""
    if field.name != "Fr" or not _elements(field, a) or entries(a) < engine.line:
        return NotImplemented
    source = engine.put(a)
    out = engine.empty(source.shape)
    n = entries(source)
    # A thread shares one inversion among its elements, so fewer threads do.
    engine.launch("logup.invert_Fr", engine.blocks(-(-n // 64)), source, out, np.uint64(n))
    # Products with the inverses are ones, but zero where an element is zero.
    (found,) = field.to_ints(reduced(engine, "multilinear.inner_Fr", n, source, out))
    return out if found == n else NotImplemented


def total(engine: Engine, field: Field, a: Array) -> Any:
    """The sum of all elements."""
    if field.name != "Fr" or not _elements(field, a) or entries(a) < engine.line:
        return NotImplemented
    return reduced(engine, "multilinear.sum_Fr", entries(a), engine.put(a))


def inner(engine: Engine, field: Field, a: Array, b: Array) -> Any:
    """The inner product."""
    n = entries(a)
    if field.name != "Fr" or not (_elements(field, a) and _elements(field, b)):
        return NotImplemented
    if n < engine.line or entries(b) != n:
        return NotImplemented
    return reduced(engine, "multilinear.inner_Fr", n, engine.put(a), engine.put(b))


def from_int64(engine: Engine, field: Field, values: Array) -> Any:
    """Signed integers as elements."""
    if field.name != "Fr" or entries(values) < engine.line:
        return NotImplemented
    source = integers(engine, values)
    if source is None:
        return NotImplemented
    out = engine.empty((*source.shape, 4))
    engine.over(f"elementwise.from_{word(source)}_Fr", source.size, source, out)
    return out


def zeros(engine: Engine, field: Field, n: int) -> Any:
    """n zeros."""
    return engine.zeros((n, field.limbs)) if n >= engine.line else NotImplemented


def ones(engine: Engine, field: Field, n: int) -> Any:
    """n ones."""
    return engine.ones(n) if field.name == "Fr" and n >= engine.line else NotImplemented


def to_ints(engine: Engine, field: Field, a: Array) -> Any:
    """Python integers are made by the processor, whatever the size."""
    return on_processor(Field.to_ints)(field, a.to_host() if isinstance(a, DeviceArray) else a)


def to_bytes(engine: Engine, field: Field, a: Array) -> Any:
    """Bytes are made by the processor, whatever the size."""
    return on_processor(Field.to_bytes)(field, a.to_host() if isinstance(a, DeviceArray) else a)


# Shared with the other modules ---------------------------------------------------------------------------


def reduced(engine: Engine, kernel: str, n: int, *arrays: Any) -> np.ndarray:
    """A sum over n entries, `(1, 4)` on the host: one partial sum a block, then one block adds them up."""
    blocks = engine.blocks(n)
    partials, out = engine.empty((blocks, 4)), engine.empty((1, 4))
    engine.launch(kernel, blocks, *arrays, np.uint64(n), partials)
    engine.launch("multilinear.finish_sum", 1, partials, np.uint32(blocks), out)
    return out.to_host()


def integers(engine: Engine, values: Array) -> DeviceArray | None:
    """An integer array on the device as int32 or int64; None for what the processor should refuse."""
    if isinstance(values, DeviceArray):
        return values if values.dtype in (np.int32, np.int64) else None
    array = np.asarray(values)
    kind, width = array.dtype.kind, array.dtype.itemsize
    if kind == "b" or (kind == "i" and width <= 4) or (kind == "u" and width <= 2):
        return engine.put(array.astype(np.int32, copy=False))
    if kind == "i" or (kind == "u" and width == 4):
        return engine.put(array.astype(np.int64, copy=False))
    return None


def word(array: DeviceArray) -> str:
    """How kernels call the type of an integer array."""
    return "i32" if array.dtype == np.int32 else "i64"


def _elements(field: Field, a: Any) -> bool:
    return (
        isinstance(a, DeviceArray | np.ndarray)
        and a.dtype == np.uint64
        and a.ndim > 0
        and a.shape[-1] == field.limbs
    )


def _unary(engine: Engine, field: Field, op: str, a: Array) -> Any:
    if not _elements(field, a) or entries(a) < engine.line:
        return NotImplemented
    source = engine.put(a)
    out = engine.empty(source.shape)
    engine.over(f"elementwise.{op}_{field.name}", entries(source), source, source, out)
    return out


def _binary(engine: Engine, field: Field, op: str, a: Array, b: Array) -> Any:
    if not (_elements(field, a) and _elements(field, b)):
        return NotImplemented
    n, m = a.size // field.limbs, b.size // field.limbs
    if max(n, m) < engine.line:
        return NotImplemented
    if n == m:
        out = engine.empty(tuple(a.shape if a.ndim >= b.ndim else b.shape))
        engine.over(f"elementwise.{op}_{field.name}", n, engine.put(a), engine.put(b), out)
        return out
    if field.name != "Fr" or 1 not in (n, m):
        return NotImplemented
    return _with_one(engine, op, engine.put(a), engine.put(b), n == 1)


def _with_one(engine: Engine, op: str, a: DeviceArray, b: DeviceArray, left: bool) -> DeviceArray:
    """One element of Fr meets every element of the other array."""
    one, many = (a, b) if left else (b, a)
    n = many.size // 4
    out = engine.empty(many.shape)
    if op == "mul":
        engine.over("elementwise.scale_Fr", n, many, one, out)
        return out
    engine.over("elementwise.fill_Fr", n, one, out)
    first, second = (out, many) if left else (many, out)
    engine.over(f"elementwise.{op}_Fr", n, first, second, out)
    return out


OPERATIONS: dict[str, Operation] = {
    "field.add": add,
    "field.sub": sub,
    "field.mul": mul,
    "field.square": square,
    "field.neg": neg,
    "field.scale": scale,
    "field.inverse": inverse,
    "field.sum": total,
    "field.inner": inner,
    "field.from_int64": from_int64,
    "field.zeros": zeros,
    "field.ones": ones,
    "field.to_ints": to_ints,
    "field.to_bytes": to_bytes,
}
