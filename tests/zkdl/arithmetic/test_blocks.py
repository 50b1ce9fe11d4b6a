"""Blocks of points with shared scalars, and the endomorphism, against sums of discrete logarithms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.arithmetic import twins
from zkdl.arithmetic import Fr, combine_blocks, g1, msm_kernels, set_threads
from zkdl.arithmetic import blocks as module
from zkdl.arithmetic.endomorphism import BETA, SQUARED_PARAMETER, split

pytestmark = pytest.mark.usefixtures("any_path")

R = Fr.modulus
Z2 = SQUARED_PARAMETER
EDGES = [
    0,
    1,
    2,
    R - 1,
    R // 2,
    R // 2 + 1,
    Z2,
    Z2 - 1,
    Z2 // 2,
    Z2 // 2 + 1,
    3 * Z2 + Z2 // 2,
    R - Z2,
    15,
    17,
]

logs = st.one_of(st.integers(-3, 3), st.integers(0, R - 1))
scalars = st.one_of(st.sampled_from(EDGES), st.integers(-20, 20), st.integers(0, R - 1))


def multiples(ks):
    return g1.mul(g1.generator(), Fr.from_ints(ks))


def expected(ks, values):
    size = len(ks) // len(values)
    return multiples([sum(v * ks[b * size + i] for b, v in enumerate(values)) for i in range(size)])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_points_and_scalars(data):
    values = data.draw(st.lists(scalars, min_size=1, max_size=4))
    size = data.draw(st.integers(1, 5))
    ks = data.draw(st.lists(logs, min_size=size * len(values), max_size=size * len(values)))
    out = combine_blocks(multiples(ks), Fr.from_ints(values))
    assert g1.equal(out, expected(ks, values))


@pytest.mark.parametrize("m", [1, 2, 8])
def test_many_outputs_in_chunks_and_threads(m, monkeypatch):
    ks, values = Fr.to_ints(Fr.random(m * 70)), [1, *Fr.to_ints(Fr.random(m - 1))]
    want = expected(ks, values)
    monkeypatch.setattr(module, "_CHUNK", 16)
    try:
        for count in (1, 2, 3):
            set_threads(count)
            assert g1.equal(combine_blocks(multiples(ks), Fr.from_ints(values)), want)
    finally:
        set_threads()


def test_one_bad_point_among_many():
    """An infinity, an equal pair and an opposite pair in the middle of ordinary points."""
    ks = Fr.to_ints(Fr.random(40))
    ks[5], ks[7], ks[28], ks[10] = 0, ks[27], R - ks[8], 0
    for values in ([1, 1], [1, R - 1], [3, 3], Fr.to_ints(Fr.random(2))):
        assert g1.equal(combine_blocks(multiples(ks), Fr.from_ints(values)), expected(ks, values))


def test_collisions_in_the_middle_of_a_program():
    """Q and Q + i H: partial sums meet table points in the course of the additions."""
    q = Fr.to_ints(Fr.random(1))[0]
    ks = [(q + i) % R for i in range(16)] + [(-q + i) % R for i in range(16)]
    for values in ([2, 2], [5, 3], [Z2, 1], [Z2 + 1, Z2], [R - Z2, Z2 + 16]):
        assert g1.equal(combine_blocks(multiples(ks), Fr.from_ints(values)), expected(ks, values))


def test_no_points():
    assert combine_blocks(np.zeros((0, 12), np.uint64), Fr.ones(2)).shape == (0, 12)


def test_arguments_are_checked():
    points = multiples([1, 2, 3])
    with pytest.raises(ValueError, match="divides 3"):
        combine_blocks(points, Fr.ones(2))
    with pytest.raises(ValueError, match="got 0"):
        combine_blocks(points, Fr.zeros(0))


def test_the_endomorphism_multiplies_by_the_squared_parameter():
    point = twins.from_array(multiples([98765]))[0]
    beta = twins.from_array(np.concatenate([BETA, BETA])[None])[0][0]
    assert (beta * point[0] % twins.Q, -point[1] % twins.Q) == twins.mul(point, Z2)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.sampled_from(EDGES), st.integers(0, R - 1), st.integers(0, R // Z2).map(lambda k: k * Z2))
)
def test_halves(scalar):
    low, high = split(scalar)
    assert (low + high * Z2 - scalar) % R == 0
    assert max(abs(low), abs(high)) < 1 << 127
    words, signs = np.empty(4, np.uint64), np.empty(2, np.uint8)
    msm_kernels.split_scalars(words, signs, Fr.from_ints([scalar]).reshape(-1), 0, 1)
    inside = [int(words[2 * k]) + (int(words[2 * k + 1]) << 64) for k in range(2)]
    assert [-v if s else v for v, s in zip(inside, signs, strict=True)] == [low, high]
