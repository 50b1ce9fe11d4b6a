"""Round polynomials and layers of fraction trees on the device: the functions of `zkdl.arithmetic.sumcheck`.

Tables are elements or, before their first variable is bound, machine integers. Where no kernel takes a
mixture as it is, it is brought into a shape that one takes: one more pass over the table, and on the device
all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..field import Fr
from .array import DeviceArray
from .engine import Engine, Operation, entries
from .field_ops import from_int64, integers, mul, word
from .multilinear_ops import near

Array = Any  # a DeviceArray or a NumPy array


def round_quadratic(engine: Engine, f: Array, g: Array, eq: Array = None) -> Any:
    """Constant and leading coefficient of the round polynomial of eq f g."""
    n = _length(engine, 2, g)
    if not n:
        return NotImplemented
    if _is_integers(f, n):
        if eq is not None or not _moderate(f) or (source := integers(engine, f)) is None:
            return NotImplemented
        kernel = f"sumcheck_small.round_quadratic_{word(source)}"
        return _ends(_round(engine, kernel, "quadratic", 3, n // 2, source, engine.put(g)))
    if not _is_table(f, n):
        return NotImplemented
    if eq is not None:
        m = entries(eq)
        if not _is_table(eq, m) or m < 1 or n % (2 * m):
            return NotImplemented
        f = mul(engine, Fr, f, np.tile(engine.put(eq), (n // m, 1)))
    sources = engine.put(f), engine.put(g)
    return _ends(_round(engine, "sumcheck.round_quadratic", "quadratic", 3, n // 2, *sources))


def fold_round_quadratic(engine: Engine, f: Array, g: Array, r: int) -> Any:
    """Bind a variable of f and g, in place, then the next round."""
    n = _length(engine, 4, f, g)
    if not n:
        return NotImplemented
    a, b = engine.put(f), engine.put(g)
    kernel, challenge = "sumcheck.fold_round_quadratic", engine.element(r)
    found = _round(engine, kernel, "quadratic", 3, n // 4, a, b, challenge)
    return _ends(found), near(engine, a[: n // 2]), near(engine, b[: n // 2])


def round_cubic(engine: Engine, e: Array, f: Array, g: Array) -> Any:
    """All coefficients but the linear one of the round polynomial of e f g."""
    n = _length(engine, 2, e, f, g)
    if not n:
        return NotImplemented
    sources = [engine.put(table) for table in (e, f, g)]
    c0, _, c2, c3 = _round(engine, "sumcheck.round_cubic", "cubic", 4, n // 2, *sources)
    return [c0, c2, c3]


def round_boolean(engine: Engine, eq: Array, f: Array) -> Any:
    """Constant and leading coefficient of the sum of eq f (f - 1)."""
    n = entries(f)
    half = n // 2
    if n < max(2, engine.line) or n % 2 or not _is_weights(eq, half):
        return NotImplemented
    weights = engine.put(eq)[:half]
    if _is_integers(f, n):
        if not isinstance(f, np.ndarray) or max(abs(int(f.max())), abs(int(f.min()))) >= 1 << 28:
            return NotImplemented
        # The kernel's first table is of elements: the weights, which do not depend on the free variable.
        values = f.astype(np.int32)
        twice: Array = np.tile(weights, (2, 1))
        sources = twice, engine.put(values), engine.put(values - np.int32(1))
        c0, _, c2, _ = _round(engine, "sumcheck_small.round_cubic_i32", "cubic", 4, half, *sources)
        return [c0, c2]
    if not _is_table(f, n):
        return NotImplemented
    table = engine.put(f)
    scaled, less = engine.empty((n, 4)), engine.empty((n, 4))
    for part in (slice(0, half), slice(half, n)):
        engine.over("elementwise.mul_Fr", half, table[part], weights, scaled[part])
    engine.over("elementwise.fill_Fr", n, engine.element(-1), less)
    engine.over("elementwise.add_Fr", n, less, table, less)
    return _ends(_round(engine, "sumcheck.round_quadratic", "quadratic", 3, half, scaled, less))


def round_layer(engine: Engine, eq: Array, u: Array, p1: Array, q0: Array, q1: Array) -> Any:
    """Constant and leading coefficient of the sum of eq (u q1 + p1 q0)."""
    n = _length(engine, 2, u, p1, q0, q1)
    if not n or not _is_weights(eq, n // 2):
        return NotImplemented
    sources = [engine.put(table) for table in (eq, u, p1, q0, q1)]
    return _layer(engine, n // 2, sources, 0)


def fold_round_layer(engine: Engine, eq: Array, u: Array, p1: Array, q0: Array, q1: Array, r: int) -> Any:
    """Bind a variable of u, p1, q0, q1, in place, then the next round."""
    n = _length(engine, 4, u, p1, q0, q1)
    half = n // 4
    if not n or not _is_weights(eq, half):
        return NotImplemented
    tables = [engine.put(table) for table in (u, p1, q0, q1)]
    # The kernel adds the halves of a longer eq table; here that has been done.
    weights = engine.zeros((2 * half, 4))
    weights[:half] = eq[:half]
    nothing, challenge = engine.element(0), engine.element(r)
    kernel = "fraction.fold_round_fraction"
    ends = _round(engine, kernel, "fraction", 2, half, weights, *tables, nothing, challenge)
    return ends, tuple(near(engine, table[: 2 * half]) for table in tables)


def round_integer_layer(engine: Engine, eq: Array, p0: Array, p1: Array, q0: Array, q1: Array) -> Any:
    """First round of a layer with integer numerators: sums of eq (p0 q1 + p1 q0) and of eq q0 q1."""
    n = _length(engine, 2, q0, q1)
    if not n or not _is_weights(eq, n // 2) or not (_is_integers(p0, n) and _is_integers(p1, n)):
        return NotImplemented
    u, v = from_int64(engine, Fr, p0), from_int64(engine, Fr, p1)
    if u is NotImplemented or v is NotImplemented:
        return NotImplemented
    sources = [engine.put(eq), u, v, engine.put(q0), engine.put(q1)]
    first = _layer(engine, n // 2, sources, 0)
    both = _layer(engine, n // 2, sources, 1)
    second = [(b - a) % Fr.modulus for a, b in zip(first, both, strict=True)]
    return (first[0], first[1]), (second[0], second[1])


def fold_integers(engine: Engine, table: Array, r: int) -> Any:
    """Bind the highest variable of a table of integers."""
    n = entries(table)
    if n < max(2, engine.line) or n % 2 or not _is_integers(table, n) or not _moderate(table):
        return NotImplemented
    source = integers(engine, table)
    if source is None:
        return NotImplemented
    out = engine.empty((n // 2, 4))
    size = np.uint64(n // 2)
    kernel = f"sumcheck_small.fold_high_{word(source)}"
    engine.launch(kernel, engine.blocks(n // 2), source, engine.element(r), size, out)
    return near(engine, out)


def fraction_layer(engine: Engine, p: Array, q: Array) -> Any:
    """The sums of the fractions of both halves."""
    n = _length(engine, 2, q)
    if not n:
        return NotImplemented
    if _is_integers(p, n):
        p = from_int64(engine, Fr, p)
    if p is NotImplemented or not _is_table(p, n):
        return NotImplemented
    half = n // 2
    numerators, denominators = engine.empty((half, 4)), engine.empty((half, 4))
    sources = engine.put(p), engine.put(q), np.uint64(half)
    engine.launch("logup.tree_layer", engine.blocks(half), *sources, numerators, denominators)
    return near(engine, numerators), near(engine, denominators)


def add_multiple(engine: Engine, out: Array, a: Array, factor: int) -> Any:
    """out[i] + factor a[i], in place."""
    n = _length(engine, 1, out, a)
    if not n:
        return NotImplemented
    target = engine.put(out)
    engine.over("elementwise.add_scaled_Fr", n, target, engine.put(a), engine.element(factor))
    return target


def add_outer(engine: Engine, out: Array, first: int, a: Array, b: Array) -> Any:
    """out[u, first + c] + a[c] b[u], in place."""
    n, m = entries(a), entries(b)
    if entries(out) < engine.line or not _is_table(a, n) or not _is_table(b, m) or out.ndim != 3:
        return NotImplemented
    rows, columns = out.shape[:2]
    if first < 0 or first + n > columns or m > rows or not n * m:
        return NotImplemented
    grid: Array = engine.put(out)
    products = engine.empty((m, n, 4))
    engine.over("multilinear.outer_Fr", n * m, engine.put(a), engine.put(b), products, before=(np.uint64(n),))
    box = (slice(0, m), slice(first, first + n))
    sums: Array = engine.empty((m, n, 4))
    engine.over("elementwise.add_Fr", n * m, engine.put(grid[box]), products, sums)
    grid[box] = sums
    return grid


def add_halves(engine: Engine, table: Array) -> Any:
    """An eq table without its highest variable, in place."""
    n = _length(engine, 2, table)
    if not n:
        return NotImplemented
    source = engine.put(table)
    engine.over("multilinear.eq_halve", n // 2, source)
    return near(engine, source[: n // 2])


# Launches ------------------------------------------------------------------------------------------------


def _round(engine: Engine, kernel: str, finish: str, sums: int, half: int, *tables: DeviceArray) -> list[int]:
    """A round and the sum of what its blocks left, fetched."""
    blocks = engine.blocks(half)
    partials, out = engine.empty((blocks * sums, 4)), engine.empty((sums, 4))
    engine.launch(kernel, blocks, *tables, np.uint64(half), partials)
    home = "fraction" if finish == "fraction" else "sumcheck"
    engine.launch(f"{home}.finish_{finish}", 1, partials, np.uint32(blocks), out)
    return Fr.to_ints(out.to_host())


def _layer(engine: Engine, half: int, sources: list[DeviceArray], factor: int) -> list[int]:
    """Sum of eq ((u + factor q0) q1 + p1 q0)."""
    kernel = "fraction.round_fraction"
    return _round(engine, kernel, "fraction", 2, half, *sources, engine.element(factor))


def _ends(coefficients: list[int]) -> list[int]:
    return [coefficients[0], coefficients[-1]]


# Checks: whatever fails one goes to the processor, which finds the words -----------------------------------


def _length(engine: Engine, parts: int, *tables: Array) -> int:
    """The common length of tables of elements that is a multiple of `parts`, or 0: too short or unlike."""
    n = entries(tables[0])
    if n < max(parts, engine.line) or n % parts or not all(_is_table(table, n) for table in tables):
        return 0
    return n


def _is_table(a: Any, n: int) -> bool:
    kind = isinstance(a, DeviceArray | np.ndarray) and a.dtype == np.uint64
    return kind and a.shape[-1:] == (4,) and a.size == 4 * n


def _is_weights(eq: Any, least: int) -> bool:
    return _is_table(eq, entries(eq)) and entries(eq) >= least


def _is_integers(a: Any, n: int) -> bool:
    return isinstance(a, DeviceArray | np.ndarray) and a.dtype.kind in "iub" and a.shape == (n,)


def _moderate(table: Array) -> bool:
    """Whether integers are small enough for differences of two in a machine word, as kernels take them."""
    if table.dtype.itemsize <= 4 or isinstance(table, DeviceArray):
        return True
    return bool(table.max() < 1 << 62 and table.min() > -(1 << 62))


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
    "sumcheck.add_outer": add_outer,
    "sumcheck.add_halves": add_halves,
}
