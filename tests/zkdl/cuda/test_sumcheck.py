"""Fold and round kernels of cuda/sumcheck.cu, phase by phase on the host, against Python integers."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.cuda.host_build import MODULI, from_montgomery, to_montgomery

P = MODULI["Fr"][0]
EDGES = (0, 1, 2, P - 1, P - 2, (P + 1) // 2)


def table(rng, length):
    return [rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(P) for _ in range(length)]


def lines_product(tables, i, half):
    """Coefficients in X of the product of the lines t[i] + X (t[i+h] - t[i])."""
    product = [1]
    for t in tables:
        low, slope = t[i], t[i + half] - t[i]
        product = [
            (low * (product[j] if j < len(product) else 0) + slope * (product[j - 1] if j else 0)) % P
            for j in range(len(product) + 1)
        ]
    return product


def round_by_hand(tables):
    half = len(tables[0]) // 2
    sums = [0] * (len(tables) + 1)
    for i in range(half):
        sums = [(s + c) % P for s, c in zip(sums, lines_product(tables, i, half), strict=True)]
    return sums


def fold_by_hand(t, r):
    half = len(t) // 2
    return [(t[i] + r * (t[i + half] - t[i])) % P for i in range(half)]


SUMS = {"quadratic": 3, "cubic": 4, "fraction": 2}


def finished(host, name, partials, blocks):
    """What the closing kernel makes of the blocks' sums, as integers."""
    out = np.zeros((SUMS[name], 4), dtype=np.uint64)
    host.run(f"finish_{name}", 1, partials, np.uint32(blocks), out)
    return from_montgomery(out)


def room(name, blocks):
    return np.zeros((blocks * SUMS[name], 4), dtype=np.uint64)


def round_on_host(host, tables, blocks):
    name = {2: "quadratic", 3: "cubic"}[len(tables)]
    arrays = [to_montgomery(t) for t in tables]
    partials = room(name, blocks)
    host.run(f"round_{name}", blocks, *arrays, len(tables[0]) // 2, partials)
    return finished(host, name, partials, blocks)


@pytest.mark.parametrize("factors", [2, 3])
@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (1, 4), (5, 1), (127, 1), (128, 1), (129, 2), (600, 3)])
def test_round_polynomial(host, factors, half, blocks):
    rng = random.Random(f"{factors} {half} {blocks}")
    tables = [table(rng, 2 * half) for _ in range(factors)]
    assert round_on_host(host, tables, blocks) == round_by_hand(tables)


def test_more_blocks_than_threads_of_the_closing_reduction(host):
    rng = random.Random(5)
    tables = [table(rng, 64), table(rng, 64)]
    assert round_on_host(host, tables, 131) == round_by_hand(tables)


@pytest.mark.parametrize("half", [1, 2, 33, 512])
def test_fold_binds_the_highest_variable(host, half):
    rng = random.Random(half)
    t = table(rng, 2 * half)
    for r in (0, 1, P - 1, rng.randrange(P)):
        array = to_montgomery(t)
        host.run("fold_high", 1, array, to_montgomery([r]), half)
        assert from_montgomery(array[:half]) == fold_by_hand(t, r)
        assert from_montgomery(array[half:]) == t[half:], "the upper half is only read"


@pytest.mark.parametrize("factors", [2, 3])
@pytest.mark.parametrize(("half", "blocks"), [(1, 1), (3, 2), (128, 1), (200, 1), (300, 3)])
def test_fused_round_equals_fold_then_round(host, factors, half, blocks):
    rng = random.Random(f"fused {factors} {half}")
    tables = [table(rng, 4 * half) for _ in range(factors)]
    r = rng.randrange(P)
    arrays = [to_montgomery(t) for t in tables]
    name = {2: "quadratic", 3: "cubic"}[factors]
    partials = room(name, blocks)
    host.run(f"fold_round_{name}", blocks, *arrays, to_montgomery([r]), half, partials)
    folded = [fold_by_hand(t, r) for t in tables]
    assert [from_montgomery(a[: 2 * half]) for a in arrays] == folded
    assert finished(host, name, partials, blocks) == round_by_hand(folded)


@settings(max_examples=15, deadline=None)
@given(
    variables=st.integers(1, 5),
    factors=st.integers(2, 3),
    blocks=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_a_whole_sumcheck_ends_in_the_product_of_evaluations(host, variables, factors, blocks, seed):
    rng = random.Random(seed)
    tables = [table(rng, 2**variables) for _ in range(factors)]
    claim = sum(np.prod([t[i] for t in tables], dtype=object) for i in range(2**variables)) % P
    while len(tables[0]) > 1:
        coefficients = round_on_host(host, tables, blocks)
        assert (2 * coefficients[0] + sum(coefficients[1:])) % P == claim
        r = rng.randrange(P)
        claim = sum(c * pow(r, k, P) for k, c in enumerate(coefficients)) % P
        half = len(tables[0]) // 2
        folded = []
        for t in tables:
            array = to_montgomery(t)
            host.run("fold_high", 1, array, to_montgomery([r]), half)
            folded.append(from_montgomery(array[:half]))
        tables = folded
    assert np.prod([t[0] for t in tables], dtype=object) % P == claim
