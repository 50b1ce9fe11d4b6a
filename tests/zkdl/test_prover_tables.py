"""The prover's shortcuts against the plain way: integer leaves, and weights that are never laid out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkdl import arithmetic as za
from zkdl.protocol.claims import DataPart
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover import leaves as leaves_module
from zkdl.prover.leaves import IntegerLeaves, Segment
from zkdl.prover.lookup import FractionTrees
from zkdl.prover.opening import OpeningRounds, Place, block_rounds, data_rounds

SEEDS = st.integers(0, 2**32 - 1)


def numbers(rng, count):
    return [int.from_bytes(rng.bytes(31), "little") for _ in range(count)]


def walk(trees, layers, rng):
    """Everything that a tree's prover says, for challenges that are sometimes 0 or 1."""
    out, point = [trees.roots()], []
    for layer in range(layers):
        rounds = trees.rounds(layer, point, {"tree": (3, 5)})
        challenges = numbers(rng, layer)
        if layer:
            challenges[-1] = int(rng.integers(0, 2))
        for challenge in challenges:
            constant, _, top = rounds.coefficients(1)
            out.append([constant, top])
            rounds.bind(challenge)
        out.append(rounds.values("tree"))
        point = [*challenges[::-1], int(rng.integers(0, 2)) if layer % 2 else 9]
    return out


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 6), SEEDS)
def test_integer_leaves_say_what_elements_say(n, seed):
    rng = np.random.default_rng(seed)
    size = 1 << n
    cuts = [0, *sorted({int(c) for c in rng.integers(1, size, 3)})]
    segments = [
        Segment(cut, c, int(rng.integers(0, 2))) for cut, c in zip(cuts, numbers(rng, len(cuts)), strict=True)
    ]
    leaves = IntegerLeaves(rng.integers(-(2**16), 2**16, size), segments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaves_module, "_SMALL", 4)
        patch.setattr(leaves_module, "_CHUNK", 8)
        assert leaves.small
        fast = walk(FractionTrees({"tree": leaves}), n, np.random.default_rng(seed))
    slow = walk(FractionTrees({"tree": leaves.dense()}), n, np.random.default_rng(seed))
    assert fast == slow


def test_products_that_could_overflow_are_of_elements(monkeypatch):
    monkeypatch.setattr(leaves_module, "_SMALL", 4)
    values = np.full(8, 2**16)
    assert IntegerLeaves(values, [Segment(0, 7, 1)]).small
    for wild in (2**31, -(2**31), 2**62):
        values[5] = wild
        assert not IntegerLeaves(values, [Segment(0, 7, 1)]).small


@pytest.mark.parametrize("size", [1, 2])
def test_trees_of_one_and_two_leaves(size):
    leaves = IntegerLeaves(np.arange(size), [Segment(0, 10, 1)])
    p, q, inverse = FractionTrees({"tree": leaves}).roots()
    assert p * inverse % R == sum(pow(10 - v, -1, R) for v in range(size)) % R
    assert q * inverse % R == 1


class Plain:
    """The same sums by definition: tables and weights lists of Python integers that may differ in length."""

    def __init__(self, *pairs):
        self.pairs, self.scale = [(list(t), list(w)) for t, w in pairs], [1] * len(pairs)
        self.left = max(len(t) for t, _ in self.pairs).bit_length() - 1

    def claim(self):
        sums = [sum(a * b for a, b in zip(t, w, strict=True)) for t, w in self.pairs]
        return sum(s * factor for s, factor in zip(sums, self.scale, strict=True)) % R

    def coefficients(self):
        c0 = c1 = c2 = 0
        for (t, w), factor in zip(self.pairs, self.scale, strict=True):
            if len(t) < 1 << self.left:
                total = factor * sum(a * b for a, b in zip(t, w, strict=True))
                c0, c1 = c0 + total, c1 - total
                continue
            for i in range(half := len(t) // 2):
                dt, dw = t[i + half] - t[i], w[i + half] - w[i]
                c0, c1 = c0 + factor * t[i] * w[i], c1 + factor * (t[i] * dw + w[i] * dt)
                c2 += factor * dt * dw
        return [c % R for c in (c0, c1, c2)]

    def bind(self, r):
        for k, (t, w) in enumerate(self.pairs):
            if len(t) < 1 << self.left:
                self.scale[k] = self.scale[k] * (1 - r) % R
            else:
                half = len(t) // 2
                self.pairs[k] = tuple(
                    [(x[i] + r * (x[i + half] - x[i])) % R for i in range(half)] for x in (t, w)
                )
        self.left -= 1


def eq_weights(point):
    return za.Fr.to_ints(za.multilinear.eq_table(list(point)))


def random_place(rng, n, shared):
    """A place in a table of 2^n entries, and its weights laid out."""
    k = int(rng.integers(0, n + 1))
    offset = int(rng.integers(0, 1 << (n - k))) << k
    point = tuple(shared[:k] if rng.integers(0, 2) else numbers(rng, k))
    (coef,) = numbers(rng, 1)
    inside, real = eq_weights(point), None
    if rng.integers(0, 2):
        fast = int(rng.integers(0, k + 1))
        real = tuple((v, int(rng.integers(1, (1 << v) + 1))) for v in (fast, k - fast))
        counts = [count for _, count in real]
        inside = [
            w if i % (1 << fast) < counts[0] and i >> fast < counts[1] else 0 for i, w in enumerate(inside)
        ]
    weights = [0] * (1 << n)
    weights[offset : offset + (1 << k)] = [coef * w % R for w in inside]
    return Place(offset, coef, point, real), weights


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), SEEDS)
def test_opening_rounds_are_those_of_weights_laid_out(n, seed):
    rng = np.random.default_rng(seed)
    table, shared = rng.integers(-(2**20), 2**20, 1 << n), numbers(rng, n)
    found = [random_place(rng, n, shared) for _ in range(int(rng.integers(1, 6)))]
    weights = [sum(column) % R for column in zip(*(w for _, w in found), strict=True)]
    data = rng.integers(-99, 99, (2, 4))
    columns, rows = numbers(rng, 2), numbers(rng, 2)
    part = DataPart(3, za.Fr.from_ints(rows), 1, 3, tuple(columns))
    row = [0, *eq_weights(columns)[:3]]
    data_weights = [5 * 3 * r * w % R for r in rows for w in row]
    fast = OpeningRounds(
        {"a": block_rounds(table, [place for place, _ in found]), "data": data_rounds(data, [(5, part)])}
    )
    plain = Plain((table.tolist(), weights), (data.reshape(-1).tolist(), data_weights))
    while plain.left:
        assert fast.coefficients(plain.claim()) == plain.coefficients()
        r = int(rng.integers(0, 2)) if plain.left == 2 else numbers(rng, 1)[0]
        fast.bind(r)
        plain.bind(r)
    assert [fast.value("a"), fast.value("data")] == [t[0] % R for t, _ in plain.pairs]
