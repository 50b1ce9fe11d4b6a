"""Round polynomials of sumchecks over products of multilinear tables, and layers of fraction trees.

A table of 2 h entries stands for the h lines t[i] + X (t[i + h] - t[i]): the highest variable is the one
that stays free. A round polynomial is a sum over i of a product of such lines. Two of its coefficients,
the constant and the leading one, are computed; where it has more, the claim that it has to add up to gives
the next one (see `zkdl.protocol.arguments.sumcheck`). `multilinear.fold_high` binds a variable; the
functions called ``fold_...`` do that and the next round in one pass over memory, in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import round_kernels as kernels
from .backend import switched
from .field import Fr, as_int64, flat_limbs
from .threads import over_range

_GRAIN = 1024
_P = Fr.modulus
# Ranges of so many entries are whole multiples of the lanes of every path.
_UNIT = 16


def _flat(tables: tuple[np.ndarray, ...], parts: int) -> tuple[list[np.ndarray], int]:
    """Tables of one length, a multiple of `parts`, and that part of the length."""
    flat = [flat_limbs(table, 4, "Fr") for table in tables]
    size = flat[0].size // 4
    if size < parts or size % parts or any(table.size != 4 * size for table in flat):
        raise ValueError(
            f"tables: expected equal lengths, a multiple of {parts}, got {[t.size // 4 for t in flat]}"
        )
    return flat, size // parts


def _weights(eq: np.ndarray, least: int) -> np.ndarray:
    flat = flat_limbs(eq, 4, "Fr")
    if flat.size < 4 * least:
        raise ValueError(f"eq: expected at least {least} entries, got {flat.size // 4}")
    return flat


def _integers(table: np.ndarray) -> np.ndarray:
    array = np.asarray(table)
    if array.ndim != 1:
        raise ValueError(f"table: expected flat integers, got {array.dtype} of shape {array.shape}")
    return as_int64(array, "table")


def _cover(call: Callable[[Any, int, int], Any], half: int) -> list[Any]:
    """call(tag, start, stop) on parts of [0, half), on lanes where parts can be whole multiples of them."""
    if half % _UNIT:
        return over_range(lambda i, j: call(Fr.tag, i, j), half, _GRAIN)
    tag = Fr.tag_for(half)
    return over_range(lambda i, j: call(tag, _UNIT * i, _UNIT * j), half // _UNIT, _GRAIN // _UNIT)


def _sums(call: Callable[[Any, np.ndarray, int, int], Any], count: int, half: int) -> list[int]:
    def part(tag: Any, start: int, stop: int) -> list[int]:
        out = np.empty(4 * count, np.uint64)
        call(tag, out, start, stop)
        return Fr.to_ints(out.reshape(-1, 4))

    parts = _cover(part, half)
    return parts[0] if len(parts) == 1 else [sum(column) % _P for column in zip(*parts, strict=True)]


def _first(flat: np.ndarray, entries: int) -> np.ndarray:
    return flat[: 4 * entries].reshape(-1, 4)


def _challenge(r: int) -> np.ndarray:
    return Fr.from_ints([r]).reshape(-1)


@switched("sumcheck.round_quadratic")
def round_quadratic(f: np.ndarray, g: np.ndarray, eq: np.ndarray | None = None) -> list[int]:
    """The constant and the leading coefficient of the round polynomial of eq f g.

    Args:
        f: `(2 h, 4)` elements, or `(2 h,)` integers.
        g: `(2 h, 4)` elements.
        eq: weights `(m, 4)` of the lowest bits of i, m a power of two of at most h entries; for tables of
            elements only.

    Returns:
        [c0, c2] in [0, r).

    Example:
        >>> round_quadratic(Fr.from_ints([1, 2]), Fr.from_ints([3, 5]))       # (1 + X)(3 + 2 X)
        [3, 2]
    """
    if np.asarray(f).ndim == 1:
        integers = _integers(f)
        (b,), half = _flat((g,), 2)
        if integers.size != 2 * half:
            raise ValueError(f"f: expected {2 * half} integers like g, got {integers.size}")
        at_0, low, high = _sums(
            lambda tag, out, i, j: kernels.integer_quadratic_sums(tag, out, integers, b, half, i, j), 3, half
        )
        return [at_0, (high - low) % _P]
    (a, b), half = _flat((f, g), 2)
    if eq is None:
        return _sums(lambda tag, out, i, j: kernels.quadratic_sums(tag, out, a, b, half, i, j), 2, half)
    weights = _weights(eq, 1)
    mask = weights.size // 4 - 1
    if mask >= half:
        raise ValueError(f"eq: expected at most {half} entries, got {mask + 1}")
    if mask + 1 < _UNIT <= half:
        # Short weights are repeated until they fill the lanes.
        weights = np.tile(weights, _UNIT // (mask + 1))
        mask = _UNIT - 1
    return _sums(
        lambda tag, out, i, j: kernels.weighted_sums(tag, out, weights, mask, a, b, half, i, j), 2, half
    )


@switched("sumcheck.fold_round_quadratic")
def fold_round_quadratic(f: np.ndarray, g: np.ndarray, r: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Bind the highest variable of f and g to r, then `round_quadratic`.

    Works in place where the tables are contiguous and writable: the caller gives them away.

    Args:
        f: `(4 h, 4)` elements.
        g: `(4 h, 4)` elements.
        r: the value of the variable.

    Returns:
        [c0, c2] in [0, r), and the bound tables, `(2 h, 4)` each.
    """
    (a, b), half = _flat((f, g), 4)
    factor = _challenge(r)
    ends = _sums(
        lambda tag, out, i, j: kernels.fold_quadratic_sums(tag, out, factor, a, b, half, i, j), 2, half
    )
    return ends, _first(a, 2 * half), _first(b, 2 * half)


@switched("sumcheck.round_cubic")
def round_cubic(e: np.ndarray, f: np.ndarray, g: np.ndarray) -> list[int]:
    """All coefficients but the linear one of the round polynomial of e f g.

    Args:
        e: `(2 h, 4)` elements.
        f: `(2 h, 4)` elements.
        g: `(2 h, 4)` elements.

    Returns:
        [c0, c2, c3] in [0, r).

    Example:
        >>> one_plus_x = Fr.from_ints([1, 2])
        >>> round_cubic(one_plus_x, one_plus_x, one_plus_x)
        [1, 3, 1]
    """
    (a, b, c), half = _flat((e, f, g), 2)
    return _sums(lambda tag, out, i, j: kernels.cubic_sums(tag, out, a, b, c, half, i, j), 3, half)


@switched("sumcheck.round_boolean")
def round_boolean(eq: np.ndarray, f: np.ndarray) -> list[int]:
    """The constant and the leading coefficient of the sum of eq f (f - 1).

    Args:
        eq: `(h, 4)` elements at least.
        f: `(2 h, 4)` elements, or `(2 h,)` integers of less than 2^31 in size.

    Returns:
        [c0, c2] in [0, r).

    Example:
        >>> round_boolean(Fr.ones(1), np.array([0, 1], np.int32))             # X (X - 1)
        [0, 1]
    """
    if np.asarray(f).ndim == 1:
        integers = np.ascontiguousarray(f)
        half = integers.size // 2
        weights = _weights(eq, half)
        one_tag = Fr.tag
        return _sums(
            lambda _, out, i, j: kernels.integer_boolean_sums(one_tag, out, weights, integers, half, i, j),
            2,
            half,
        )
    (a,), half = _flat((f,), 2)
    weights = _weights(eq, half)
    return _sums(lambda tag, out, i, j: kernels.boolean_sums(tag, out, weights, a, half, i, j), 2, half)


@switched("sumcheck.round_layer")
def round_layer(eq: np.ndarray, u: np.ndarray, p1: np.ndarray, q0: np.ndarray, q1: np.ndarray) -> list[int]:
    """The constant and the leading coefficient of the sum of eq (u q1 + p1 q0): a layer of fractions.

    With u = p0 + c q0 this is p0 q1 + p1 q0 + c q0 q1, numerator and denominator of p0/q0 + p1/q1 at once.

    Args:
        eq: `(h, 4)` elements at least.
        u, p1, q0, q1: `(2 h, 4)` elements.

    Returns:
        [c0, c2] in [0, r).
    """
    (a, b, c, d), half = _flat((u, p1, q0, q1), 2)
    weights = _weights(eq, half)
    return _sums(
        lambda tag, out, i, j: kernels.layer_sums(tag, out, weights, a, b, c, d, half, i, j), 2, half
    )


@switched("sumcheck.fold_round_layer")
def fold_round_layer(
    eq: np.ndarray, u: np.ndarray, p1: np.ndarray, q0: np.ndarray, q1: np.ndarray, r: int
) -> tuple[list[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Bind the highest variable of u, p1, q0, q1 to r, then `round_layer`.

    Works in place where the tables are contiguous and writable: the caller gives them away.

    Args:
        eq: `(h, 4)` elements at least.
        u, p1, q0, q1: `(4 h, 4)` elements.
        r: the value of the variable.

    Returns:
        [c0, c2] in [0, r), and the bound tables, `(2 h, 4)` each.
    """
    (a, b, c, d), half = _flat((u, p1, q0, q1), 4)
    weights, factor = _weights(eq, half), _challenge(r)
    ends = _sums(
        lambda tag, out, i, j: kernels.fold_layer_sums(tag, out, factor, weights, a, b, c, d, half, i, j),
        2,
        half,
    )
    size = 2 * half
    return ends, (_first(a, size), _first(b, size), _first(c, size), _first(d, size))


@switched("sumcheck.round_integer_layer")
def round_integer_layer(
    eq: np.ndarray, p0: np.ndarray, p1: np.ndarray, q0: np.ndarray, q1: np.ndarray
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First round of a layer whose numerators are integers.

    Args:
        eq: `(h, 4)` elements at least.
        p0, p1: `(2 h,)` integers, both alike.
        q0, q1: `(2 h, 4)` elements.

    Returns:
        (constant, leading coefficient) of the sum of eq (p0 q1 + p1 q0), and of that of eq q0 q1.
    """
    n, m = _integers(p0), _integers(p1)
    (a, b), half = _flat((q0, q1), 2)
    if n.size != 2 * half or m.size != 2 * half:
        raise ValueError(f"p0, p1: expected {2 * half} integers like q0, got {n.size} and {m.size}")
    weights = _weights(eq, half)
    at_0, q_at_0, low, high, q_top = _sums(
        lambda tag, out, i, j: kernels.integer_layer_sums(tag, out, weights, n, m, a, b, half, i, j), 5, half
    )
    return (at_0, (high - low) % _P), (q_at_0, q_top)


@switched("sumcheck.fold_integers")
def fold_integers(table: np.ndarray, r: int) -> np.ndarray:
    """Bind the highest variable of a table of integers to r.

    Args:
        table: `(2 h,)` integers.
        r: the value of the variable.

    Returns:
        `(h, 4)` elements.

    Example:
        >>> Fr.to_ints(fold_integers(np.array([5, 7]), 3))                    # 5 + 3 (7 - 5)
        [11]
    """
    integers, ends = _integers(table), Fr.from_ints([1 - r, r]).reshape(-1)
    half = integers.size // 2
    out = np.empty((half, 4), np.uint64)
    target = out.reshape(-1)
    _cover(lambda tag, i, j: kernels.fold_integers(tag, target, integers, ends, half, i, j), half)
    return out


@switched("sumcheck.fraction_layer")
def fraction_layer(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums p[i] / q[i] + p[i + h] / q[i + h] = (p0 q1 + p1 q0) / (q0 q1), not brought to lowest terms.

    Args:
        p: `(2 h, 4)` elements, or `(2 h,)` integers.
        q: `(2 h, 4)` elements.

    Returns:
        Numerators and denominators, `(h, 4)` each.

    Example:
        >>> p, q = fraction_layer(np.array([1, 1]), Fr.from_ints([2, 3]))     # 1/2 + 1/3 = 5/6
        >>> Fr.to_ints(p), Fr.to_ints(q)
        ([5], [6])
    """
    (b,), half = _flat((q,), 2)
    numerators, denominators = np.empty(4 * half, np.uint64), np.empty(4 * half, np.uint64)
    if np.asarray(p).ndim == 1:
        a, kernel = _integers(p), kernels.integer_fraction_sums
        entries = a.size
    else:
        a, kernel = flat_limbs(p, 4, "Fr"), kernels.fraction_sums
        entries = a.size // 4
    if entries != 2 * half:
        raise ValueError(f"p: expected {2 * half} entries like q, got {entries}")
    _cover(lambda tag, i, j: kernel(tag, numerators, denominators, a, b, half, i, j), half)
    return numerators.reshape(-1, 4), denominators.reshape(-1, 4)


@switched("sumcheck.add_multiple")
def add_multiple(out: np.ndarray, a: np.ndarray, factor: int) -> np.ndarray:
    """out[i] + factor a[i], in place where `out` is contiguous and writable.

    Args:
        out: `(n, 4)` elements; the caller gives them away.
        a: `(n, 4)` elements.
        factor: a Python integer.

    Returns:
        `(n, 4)` elements.
    """
    (target, source), n = _flat((out, a), 1)
    scale = _challenge(factor)
    _cover(lambda tag, i, j: kernels.add_multiple(tag, target, source, scale, i, j), n)
    return _first(target, n)


@switched("sumcheck.add_outer")
def add_outer(out: np.ndarray, first: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """out[u, first + c] + a[c] b[u], in place where `out` is contiguous and writable.

    Args:
        out: `(rows, columns, 4)` elements; the caller gives them away.
        first: the first column that changes.
        a: `(n, 4)` elements, n <= columns - first.
        b: `(m, 4)` elements, m <= rows.

    Returns:
        `(rows, columns, 4)` elements.
    """
    flat, left, right = (flat_limbs(x, 4, "Fr") for x in (out, a, b))
    rows, columns, _ = np.shape(out)
    count, m = left.size // 4, right.size // 4
    if first < 0 or first + count > columns or m > rows:
        raise ValueError(
            f"a, b: expected at most {columns - first} and {rows} entries for a box of {rows} x {columns} "
            f"from column {first}, got {count} and {m}"
        )
    tag = Fr.tag_for(count)
    grain = max(1, _GRAIN // max(1, count))
    over_range(
        lambda i, j: kernels.add_outer(tag, Fr.tag, flat, columns, first, left, count, right, i, j), m, grain
    )
    return flat.reshape(rows, columns, 4)


@switched("sumcheck.add_halves")
def add_halves(table: np.ndarray) -> np.ndarray:
    """An eq table without its highest variable: the sum of its halves.

    Works in place where the table is contiguous and writable: the caller gives it away.

    Args:
        table: `(2 h, 4)` elements.

    Returns:
        `(h, 4)` elements, a view of the first half.
    """
    (flat,), half = _flat((table,), 2)
    _cover(lambda tag, i, j: kernels.add_halves(tag, flat, flat, half, i, j), half)
    return _first(flat, half)
