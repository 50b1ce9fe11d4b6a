"""Rounds of sumchecks and fraction layers on the device: the functions of `zkdl.arithmetic.sumcheck`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..field import Fr
from .array import DeviceArray
from .engine import Engine, Operation, entries
from .field_ops import integers, word
from .multilinear_ops import near

Array = Any  # a DeviceArray or a NumPy array


def round_quadratic(engine: Engine, f: Array, g: Array, eq: Array | None = None) -> Any:
    """Constant and leading coefficient of the round polynomial of eq f g."""
    n = entries(f)
    if not _ready(engine, n, 2, g):
        return NotImplemented
    if f.ndim == 1:
        source = integers(engine, f)
        if source is None or eq is not None:
            return NotImplemented
        kernel = f"sumcheck_small.round_quadratic_{word(source)}"
        sums = _sums(engine, kernel, "sumcheck", 3, n // 2, source, g)
    else:
        if not _table(f, n):
            return NotImplemented
        if eq is not None:
            # The weights do not depend on the free variable: f may carry them.
            f = Fr.mul(f, np.tile(engine.put(eq), (n // entries(eq), 1)))
        sums = _sums(engine, "sumcheck.round_quadratic", "sumcheck", 3, n // 2, f, g)
    return [sums[0], sums[2]]


def fold_round_quadratic(engine: Engine, f: Array, g: Array, r: int) -> Any:
    """Bind the highest variable, then the round."""
    n = entries(f)
    if not _ready(engine, n, 4, f, g):
        return NotImplemented
    tables = [engine.put(f), engine.put(g)]
    kernel = "sumcheck.fold_round_quadratic"
    sums = _sums(engine, kernel, "sumcheck", 3, n // 4, *tables, engine.element(r))
    return [sums[0], sums[2]], *(near(engine, table[: n // 2]) for table in tables)


def round_cubic(engine: Engine, e: Array, f: Array, g: Array) -> Any:
    """All coefficients but the linear one of the round polynomial of e f g."""
    n = entries(e)
    if not _ready(engine, n, 2, e, f, g):
        return NotImplemented
    sums = _sums(engine, "sumcheck.round_cubic", "sumcheck", 4, n // 2, e, f, g)
    return [sums[0], sums[2], sums[3]]


def round_boolean(engine: Engine, eq: Array, f: Array) -> Any:
    """Constant and leading coefficient of the sum of eq f (f - 1): a cubic round, its first table level."""
    n = entries(f)
    if not _ready(engine, n, 2) or entries(eq) < n // 2:
        return NotImplemented
    level = np.concatenate([engine.put(eq[: n // 2]), engine.put(eq[: n // 2])])
    if f.ndim == 1:
        if f.dtype != np.int32 or np.abs(np.asarray(f)).max() >= 1 << 28:
            return NotImplemented
        less = np.asarray(f) - np.int32(1)
        sums = _sums(engine, "sumcheck_small.round_cubic_i32", "sumcheck", 4, n // 2, level, f, less)
    else:
        less = Fr.sub(f, Fr.ones(1))
        sums = _sums(engine, "sumcheck.round_cubic", "sumcheck", 4, n // 2, level, f, less)
    return [sums[0], sums[2]]


def round_layer(engine: Engine, eq: Array, u: Array, p1: Array, q0: Array, q1: Array) -> Any:
    """Constant and leading coefficient of the sum of eq (u q1 + p1 q0)."""
    n = entries(u)
    if not _ready(engine, n, 2, u, p1, q0, q1) or entries(eq) < n // 2:
        return NotImplemented
    return _layer(engine, n // 2, eq, u, p1, q0, q1)


def fold_round_layer(engine: Engine, eq: Array, u: Array, p1: Array, q0: Array, q1: Array, r: int) -> Any:
    """Bind the highest variable, then the round."""
    n = entries(u)
    if not _ready(engine, n, 4, u, p1, q0, q1) or entries(eq) < n // 4:
        return NotImplemented
    half = n // 4
    tables = [engine.put(table) for table in (u, p1, q0, q1)]
    # The kernel adds the halves of its weights first.
    weights = np.concatenate([engine.put(eq[:half]), engine.zeros((half, 4))])
    factors = (engine.element(0), engine.element(r))
    kernel = "fraction.fold_round_fraction"
    ends = _sums(engine, kernel, "fraction", 2, half, weights, *tables, *factors)
    return ends, tuple(near(engine, table[: n // 2]) for table in tables)


def round_integer_layer(engine: Engine, eq: Array, p0: Array, p1: Array, q0: Array, q1: Array) -> Any:
    """First round of a layer whose numerators are integers."""
    n = entries(q0)
    if not _ready(engine, n, 2, q0, q1) or entries(eq) < n // 2:
        return NotImplemented
    first = _layer(engine, n // 2, eq, Fr.from_int64(p0), Fr.from_int64(p1), q0, q1)
    second = _layer(engine, n // 2, eq, q0, engine.zeros((n, 4)), q0, q1)
    return tuple(first), tuple(second)


def fold_integers(engine: Engine, table: Array, r: int) -> Any:
    """Bind the highest variable of a table of integers."""
    n = entries(table)
    source = integers(engine, table) if _ready(engine, n, 2) else None
    if source is None:
        return NotImplemented
    out = engine.empty((n // 2, 4))
    half = np.uint64(n // 2)
    kernel = f"sumcheck_small.fold_high_{word(source)}"
    engine.launch(kernel, engine.blocks(n // 2), source, engine.element(r), half, out)
    return near(engine, out)


def fraction_layer(engine: Engine, p: Array, q: Array) -> Any:
    """The sums p[i] / q[i] + p[i + h] / q[i + h]."""
    n = entries(q)
    if not _ready(engine, n, 2, q) or entries(p) != n:
        return NotImplemented
    numerators = engine.put(Fr.from_int64(p) if p.ndim == 1 else p)
    out = engine.empty((n // 2, 4)), engine.empty((n // 2, 4))
    half = np.uint64(n // 2)
    engine.launch("logup.tree_layer", engine.blocks(n // 2), numerators, engine.put(q), half, *out)
    return near(engine, out[0]), near(engine, out[1])


def add_multiple(engine: Engine, out: Array, a: Array, factor: int) -> Any:
    """out[i] + factor a[i]."""
    if entries(out) < engine.line or not _table(a, entries(out)):
        return NotImplemented
    source: Array = engine.put(a)
    return Fr.add(out, Fr.scale(source, factor))


def add_halves(engine: Engine, table: Array) -> Any:
    """An eq table without its highest variable."""
    n = entries(table)
    if not _ready(engine, n, 2, table):
        return NotImplemented
    source = engine.put(table)
    engine.over("multilinear.eq_halve", n // 2, source)
    return near(engine, source[: n // 2])


def _layer(engine: Engine, half: int, *tables: Array) -> list[int]:
    return _sums(engine, "fraction.round_fraction", "fraction", 2, half, *tables, engine.element(0))


def _sums(engine: Engine, kernel: str, file: str, sums: int, half: int, *sources: Array) -> list[int]:
    """Launch a kernel that leaves its sums a block, add them up, and fetch the result."""
    blocks = engine.blocks(half)
    partials = engine.empty((blocks * sums, 4))
    engine.launch(kernel, blocks, *(engine.put(source) for source in sources), np.uint64(half), partials)
    finish = {2: "finish_fraction", 3: "finish_quadratic", 4: "finish_cubic"}[sums]
    out = engine.empty((sums, 4))
    engine.launch(f"{file}.{finish}", 1, partials, np.uint32(blocks), out)
    return Fr.to_ints(out.to_host())


def _ready(engine: Engine, n: int, parts: int, *tables: Array) -> bool:
    """Whether n entries are worth a launch, divide into parts, and all tables have so many."""
    return n >= max(parts, engine.line) and n % parts == 0 and all(_table(table, n) for table in tables)


def _table(a: Any, n: int) -> bool:
    return (
        isinstance(a, DeviceArray | np.ndarray)
        and a.dtype == np.uint64
        and a.shape[-1:] == (4,)
        and a.size == 4 * n
    )


OPERATIONS: dict[str, Operation] = {
    "sumcheck.round_quadratic": round_quadratic,
    "sumcheck.fold_round_quadratic": fold_round_quadratic,
    "sumcheck.round_cubic": round_cubic,
    "sumcheck.round_boolean": round_boolean,
    "sumcheck.round_layer": round_layer,
    "sumcheck.fold_round_layer": fold_round_layer,
    "sumcheck.round_integer_layer": round_integer_layer,
    "sumcheck.fold_integers": fold_integers,
    "sumcheck.fraction_layer": fraction_layer,
    "sumcheck.add_multiple": add_multiple,
    "sumcheck.add_halves": add_halves,
}
