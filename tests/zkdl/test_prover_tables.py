"""The prover's shortcuts against the plain way: integer leaves, weights that are never laid out."""

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
from zkdl.prover.opening import OpeningRounds, block_rounds, data_rounds, place


def numbers(rng, count):
    return [int.from_bytes(rng.bytes(31), "little") for _ in range(count)]


@pytest.fixture
def small_sizes(monkeypatch):
    monkeypatch.setattr(leaves_module, "_SMALL", 4)
    monkeypatch.setattr(leaves_module, "_CHUNK", 8)


def walk(trees, layers, rng):
    """Every message of a tree's prover, for challenges that include 0 and 1 as coordinates."""
    out, point = [trees.roots()], []
    for layer in range(layers):
        rounds = trees.rounds(layer, point, {"tree": (3, 5)})
        challenges = [*numbers(rng, max(0, layer - 1)), *([int(rng.integers(0, 2))] if layer else [])]
        claim = int(rng.integers(1, 99))
        for challenge in challenges:
            coefs = rounds.coefficients(claim)
            # The sum does not depend on the claim but for what it completes.
            out.append([coefs[0], coefs[2]])
            rounds.bind(challenge)
        out.append(rounds.values("tree"))
        point = [*challenges[::-1], *numbers(rng, 1)]
    return out


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_integer_leaves_are_the_leaves(n, seed):
    rng = np.random.default_rng(seed)
    size = 1 << n
    cuts = [0, *sorted({int(c) for c in rng.integers(1, size, 3)})]
    segments = [Segment(cut, c, int(rng.integers(0, 2))) for cut, c in zip(cuts, numbers(rng, 9))]
    leaves = IntegerLeaves(rng.integers(-(2**16), 2**16, size), segments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaves_module, "_SMALL", 4)
        patch.setattr(leaves_module, "_CHUNK", 8)
        fast = walk(FractionTrees({"tree": leaves}), n, np.random.default_rng(seed))
    slow = walk(FractionTrees({"tree": leaves.dense()}), n, np.random.default_rng(seed))
    assert fast == slow


def test_values_that_could_overflow_are_elements_from_the_start(small_sizes):
    honest = IntegerLeaves(np.full(8, 2**16), [Segment(0, 7, 1)])
    wild = IntegerLeaves(np.array([2**16] * 7 + [2**40]), [Segment(0, 7, 1)])
    assert honest.small
    assert not wild.small


def test_leaves_of_no_variable_and_of_one():
    for size in (1, 2):
        leaves = IntegerLeaves(np.arange(size), [Segment(0, 10, 1)])
        p, q, inverse = FractionTrees({"tree": leaves}).roots()
        assert p * inverse % R == sum(pow(10 - v, -1, R) for v in range(size)) % R
        assert q * inverse % R == 1


def dense_rounds(tables, weights):
    """Round polynomials by definition, over Python integers; tables may differ in length."""
    longest = max(len(table) for table in tables)
    state = [(list(t) + [0] * 0, list(w)) for t, w in zip(tables, weights)]
    scale = [1] * len(tables)

    def coefficients(left):
        c = [0, 0, 0]
        for (t, w), factor in zip(state, scale):
            if len(t) < 1 << left:
                total = sum(a * b for a, b in zip(t, w)) * factor
                c = [c[0] + total, c[1] - total, c[2]]
                continue
            half = len(t) // 2
            for i in range(half):
                dt, dw = t[i + half] - t[i], w[i + half] - w[i]
                c = [c[0] + factor * t[i] * w[i], c[1] + factor * (t[i] * dw + w[i] * dt), c[2] + factor * dt * dw]
        return [x % R for x in c]

    def bind(left, r):
        for k, (t, w) in enumerate(state):
            if len(t) < 1 << left:
                scale[k] = scale[k] * (1 - r) % R
                continue
            half = len(t) // 2
            state[k] = tuple([(x[i] + r * (x[i + half] - x[i])) % R for i in range(half)] for x in (t, w))

    return longest.bit_length() - 1, coefficients, bind, lambda k: state[k][0][0]


def eq_weights(point):
    return za.Fr.to_ints(za.multilinear.eq_table(list(point)))


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_opening_rounds_are_those_of_laid_out_weights(n, seed):
    rng = np.random.default_rng(seed)
    size = 1 << n
    table = rng.integers(-(2**20), 2**20, size)
    shared = numbers(rng, n)
    places, weights = [], [0] * size
    for _ in range(int(rng.integers(1, 6))):
        k = int(rng.integers(0, n + 1))
        offset = int(rng.integers(0, size >> k)) << k
        point = tuple(shared[:k] if rng.integers(0, 2) else numbers(rng, k))
        (coef,) = numbers(rng, 1)
        real = None
        if k >= 1 and rng.integers(0, 2):
            fast = int(rng.integers(0, k))
            real = tuple((v, int(rng.integers(1, (1 << v) + 1))) for v in (fast, k - fast))
        places.append(place(offset, point, coef, real))
        cut = eq_weights(point)
        if real is not None:
            (fast, inner), (_, outer) = real
            cut = [w if i % (1 << fast) < inner and i >> fast < outer else 0 for i, w in enumerate(cut)]
        for i, w in enumerate(cut):
            weights[offset + i] = (weights[offset + i] + coef * w) % R
    data = rng.integers(-99, 99, (2, 4))
    columns, rows = numbers(rng, 2), za.Fr.from_ints(numbers(rng, 2))
    part = DataPart(3, rows, 1, 3, tuple(columns))
    data_weights = [0 if c == 0 else 5 * 3 * r * w % R
                    for r in za.Fr.to_ints(rows) for c, w in zip(range(4), [0, *eq_weights(columns)])]
    fast = OpeningRounds({"a": block_rounds(table, places), "data": data_rounds(data, [(5, part)])})
    left, coefficients, bind, value = dense_rounds(
        [table.tolist(), data.reshape(-1).tolist()], [weights, data_weights]
    )
    claim = (sum(a * b for a, b in zip(table.tolist(), weights))
             + sum(a * b for a, b in zip(data.reshape(-1).tolist(), data_weights))) % R
    if left < 3:
        claim = claim  # the data polynomial is then the longer one
    while left:
        expected = coefficients(left)
        assert fast.coefficients(claim) == expected
        (r,) = numbers(rng, 1)
        claim = sum(c * pow(r, i, R) for i, c in enumerate(expected)) % R
        fast.bind(r)
        bind(left, r)
        left -= 1
    assert fast.value("a") == value(0) % R
    assert fast.value("data") == value(1) % R
