"""Public polynomials that both sides evaluate: eq, prefix indicators, strict less-than.

Points are sequences of integers modulo r, least significant index bit first, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from zkdl.protocol.transcript import FR_MODULUS as R

Point = Sequence[int]


def eq(a: Point, b: Point) -> int:
    """eq(a, b) = prod_i (a_i b_i + (1 - a_i)(1 - b_i)).

    >>> eq([1, 0], [1, 0]), eq([1, 0], [0, 0])
    (1, 0)
    """
    if len(a) != len(b):
        raise ValueError(f"eq: points of {len(a)} and {len(b)} coordinates")
    out = 1
    for x, y in zip(a, b, strict=True):
        out = out * (1 - x - y + 2 * x * y) % R
    return out


def eq_index(point: Point, index: int) -> int:
    """eq(point, bits of index).

    >>> eq_index([1, 0, 1], 5)
    1
    """
    out = 1
    for k, x in enumerate(point):
        out = out * (x if (index >> k) & 1 else 1 - x) % R
    return out % R


def prefix(point: Point, count: int) -> int:
    """Multilinear extension of [index < count]: sum of eq(point, i) over i < count.

    >>> [prefix([i & 1, i >> 1], 3) for i in range(4)]
    [1, 1, 1, 0]
    """
    if count >= 1 << len(point):
        return 1
    out, run = 0, 1
    for k in reversed(range(len(point))):
        if (count >> k) & 1:
            out += run * (1 - point[k])
            run = run * point[k] % R
        else:
            run = run * (1 - point[k]) % R
    return out % R


def prefix_eq(a: Point, b: Point, count: int) -> int:
    """Sum of eq(a, i) eq(b, i) over i < count: eq(a, .) cut off at count, as a polynomial, at b.

    >>> [prefix_eq([i & 1, i >> 1], [1, 0], 2) for i in range(4)], prefix_eq([0, 1], [0, 1], 2)
    ([0, 1, 0, 0], 0)
    """
    if count >= 1 << len(a):
        return eq(a, b)
    out, run = 0, 1
    for k in reversed(range(len(a))):
        zero = (1 - a[k]) * (1 - b[k]) % R
        if (count >> k) & 1:
            out += run * zero % R * eq(a[:k], b[:k])
            run = run * a[k] % R * b[k] % R
        else:
            run = run * zero % R
    return out % R


def less_than(a: Point, b: Point) -> int:
    """Multilinear extension of [index(a) < index(b)].

    LT(a, b) = sum_k b_k (1 - a_k) prod_{j > k} eq(a_j, b_j).

    >>> [[less_than([i & 1, i >> 1], [j & 1, j >> 1]) for j in range(4)] for i in (0, 2)]
    [[0, 1, 1, 1], [0, 0, 0, 1]]
    """
    out, run = 0, 1
    for x, y in zip(reversed(a), reversed(b), strict=True):
        out = (out + run * y * (1 - x)) % R
        run = run * (1 - x - y + 2 * x * y) % R
    return out
