"""Slow reference twins: Python integers, and the textbook affine group law on them."""

import numpy as np

from zkdl.arithmetic import Fq, Fr

R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
Q = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
G = (
    0x17F1D3A73197D7942695638C4FA9AC0FC3688C4F9774B905A14E3A3F171BAC586C55E83FF97A1AEFFB3AF00ADB22C6BB,
    0x08B3F481E3AAA0F1A09E30ED741D8AE4FCF5E095D5D00AF600DB18CB2C04B3EDD03CC744A2888AE40CAA232946C5E7E1,
)
COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB


def add(p, q):
    """Affine addition; None is infinity."""
    if p is None:
        return q
    if q is None:
        return p
    (x1, y1), (x2, y2) = p, q
    if x1 == x2:
        if (y1 + y2) % Q == 0:
            return None
        slope = 3 * x1 * x1 * pow(2 * y1, -1, Q) % Q
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, Q) % Q
    x3 = (slope * slope - x1 - x2) % Q
    return x3, (slope * (x1 - x3) - y1) % Q


def neg(p):
    return None if p is None else (p[0], -p[1] % Q)


def mul(p, k):
    """k p for any integer k, by doubling and adding; k is not reduced."""
    if k < 0:
        return mul(neg(p), -k)
    total = None
    while k:
        if k & 1:
            total = add(total, p)
        p = add(p, p)
        k >>= 1
    return total


def to_array(points):
    """Twin points as the package's `(n, 12)` array."""
    flat = []
    for p in points:
        flat += [0, 0] if p is None else list(p)
    return Fq.from_ints(flat).reshape(-1, 12)


def from_array(points):
    """The package's points as twin points."""
    values = Fq.to_ints(np.ascontiguousarray(points).reshape(-1, 6))
    pairs = zip(values[::2], values[1::2], strict=True)
    return [None if pair == (0, 0) else pair for pair in pairs]


def off_subgroup_point(start=1):
    """A point of the curve with a large order that is not r, and its x coordinate."""
    x = start
    while True:
        right = (x**3 + 4) % Q
        y = pow(right, (Q + 1) // 4, Q)
        if y * y % Q == right and mul((x, y), R) is not None:
            return x, y
        x += 1


def eq_table(point):
    table = [1]
    for r in point:
        table = [value * (1 - r) % R for value in table] + [value * r % R for value in table]
    return table


def round_polynomial(*tables):
    """Coefficients of the sum over i of the product of t[i] + X (t[i + h] - t[i])."""
    half = len(tables[0]) // 2
    total = [0] * (len(tables) + 1)
    for i in range(half):
        product = [1]
        for table in tables:
            low, slope = table[i], table[i + half] - table[i]
            raised = [0] * (len(product) + 1)
            for k, c in enumerate(product):
                raised[k] += c * low
                raised[k + 1] += c * slope
            product = raised
        total = [a + b for a, b in zip(total, product, strict=True)]
    return [c % R for c in total]


def fr(values):
    return Fr.from_ints(values)
