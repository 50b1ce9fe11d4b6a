"""Arguments, entropy and shapes of the noise sources."""

import decimal
import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkit.noise
from dpkit.errors import ArgumentError
from dpkit.noise import (
    MAX_SCALE,
    OSNoise,
    UnsafeSeededNoise,
    discrete_gaussian,
    discrete_laplace,
    rational_up,
)
from dpkit.noise.keystream import CHUNK_WORDS, Keystream

BAD_SCALES = [
    0,
    -1,
    Fraction(-1, 3),
    Fraction(0),
    (0, 1),
    (1, 0),
    (1, -2),
    (-1, -2),
    (1, 2, 3),
    (1.0, 2),
    (),
    1.0,
    np.float64(2.0),
    np.float32(2.0),
    math.inf,
    -math.inf,
    math.nan,
    True,
    None,
    "3",
    b"3",
    1j,
    decimal.Decimal(2),
    [1, 2],
    np.array([1, 2]),
]


@pytest.mark.parametrize("bad", BAD_SCALES, ids=repr)
def test_bad_scales_are_refused(bad):
    with pytest.raises(ArgumentError, match="scale must"):
        discrete_laplace(bad)
    with pytest.raises(ArgumentError, match="variance must"):
        discrete_gaussian(bad, 3)


def test_scale_limits():
    assert discrete_laplace(MAX_SCALE, 3).shape == (3,)
    assert discrete_gaussian(MAX_SCALE**2, 3).shape == (3,)
    with pytest.raises(ArgumentError, match="17592186044416"):
        discrete_laplace(MAX_SCALE + Fraction(1, 2))
    with pytest.raises(ArgumentError):
        discrete_gaussian(MAX_SCALE**2 + 1)
    assert discrete_laplace(Fraction(1, 10**400), 5).tolist() == [0] * 5
    assert discrete_gaussian(Fraction(1, 10**400), 5).tolist() == [0] * 5


def test_float_message_says_what_to_do():
    with pytest.raises(ArgumentError, match="rational_up"):
        discrete_laplace(1.5)


@pytest.mark.parametrize("bad", [-1, 1.5, "3", True, (2, -1), (2, 1.0), [3]], ids=repr)
def test_bad_sizes_are_refused(bad):
    with pytest.raises(ArgumentError, match="size must"):
        discrete_laplace(1, bad)


BAD_VECTORS = [
    (np.array([1.0, 2.0]), 1),
    (np.array([[1, 2]]), 1),
    (np.array([1, 0]), 1),
    (np.array([1, -5]), 1),
    (np.array([1, 2]), 0),
    (np.array([1, 2]), 1.5),
    (np.array([1, 2]), np.array([1, 2, 3])),
    (np.array([1, 2]), np.array([1, 0])),
    ([1, 2.0], 1),
    ([1, Fraction(0)], 1),
    ([1, 2], -1),
    ([1, 2], True),
    ([1, 2], np.array([1, 2])),
    (7, 1),
    ("12", 1),
    ([1, 1 << 100], 1),
]


@pytest.mark.parametrize(("scales", "denominator"), BAD_VECTORS, ids=repr)
def test_bad_vectors_are_refused(scales, denominator):
    with pytest.raises(ArgumentError):
        dpkit.noise.discrete_laplace_vector(scales, denominator)
    with pytest.raises(ArgumentError):
        dpkit.noise.discrete_gaussian_vector(scales, denominator)


@pytest.mark.parametrize("name", ["discrete_laplace", "discrete_gaussian"])
def test_shapes_and_types(name):
    draw = getattr(UnsafeSeededNoise(1), name)
    assert type(draw(5)) is int
    assert draw((5, 2), 0).shape == (0,)
    assert draw(np.int32(5), 3).dtype == np.int64
    assert draw(Fraction(5, 2), (2, 3)).shape == (2, 3)
    vector = getattr(UnsafeSeededNoise(1), name + "_vector")
    assert vector([]).shape == (0,)
    assert vector(np.arange(1, 4), 7).dtype == np.int64
    assert getattr(dpkit.noise, name)(5, 4).shape == (4,)


@pytest.mark.parametrize("name", ["discrete_laplace", "discrete_gaussian"])
def test_spellings_of_a_scale_agree(name):
    want = getattr(UnsafeSeededNoise(4), name)(Fraction(7, 3), 60).tolist()
    assert getattr(UnsafeSeededNoise(4), name)((7, 3), 60).tolist() == want
    vector = lambda *args: getattr(UnsafeSeededNoise(4), name + "_vector")(*args).tolist()
    assert vector([Fraction(7, 3)] * 60) == want
    assert vector([(7, 3)] * 60) == want
    assert vector([7] * 60, 3) == want
    assert vector(np.full(60, 7), 3) == want
    assert vector(np.full(60, 14, dtype=np.uint32), np.full(60, 6)) == want
    assert vector(np.array([Fraction(7, 3)] * 60, dtype=object)) == want


def test_seeded_streams_repeat_and_continue():
    one, two = UnsafeSeededNoise(9), UnsafeSeededNoise(9)
    first = one.discrete_laplace(2**30, 10).tolist()
    second = one.discrete_laplace(2**30, 10).tolist()
    assert first != second
    assert two.discrete_laplace(2**30, 20).tolist() == first + second
    assert UnsafeSeededNoise(10).discrete_laplace(2**30, 10).tolist() != first


def test_system_streams_never_repeat():
    source = OSNoise()
    draws = [source.discrete_laplace(2**40, 5).tolist() for _ in range(50)]
    with ThreadPoolExecutor(8) as pool:
        draws += pool.map(lambda _: source.discrete_gaussian(4**40, 5).tolist(), range(50))
    flat = [z for row in draws for z in row]
    assert len(set(flat)) == len(flat)  # a repeat has probability below 2^-20


_FORK = """
import os, sys
from dpkit.noise import OSNoise, discrete_laplace
source = OSNoise()
before = source.discrete_laplace(2**40, 4).tolist()
read, write = os.pipe()
child = os.fork()
mine = source.discrete_laplace(2**40, 4).tolist() + discrete_laplace(2**40, 4).tolist()
if child == 0:
    os.write(write, " ".join(map(str, mine)).encode())
    os._exit(0)
os.waitpid(child, 0)
theirs = list(map(int, os.read(read, 10_000).split()))
assert len(theirs) == 8
assert len(set(before + mine + theirs)) == 20, (before, mine, theirs)
"""


def test_forked_child_draws_other_noise():
    subprocess.run([sys.executable, "-c", _FORK], check=True, timeout=300)


def test_source_keeps_no_state_between_calls():
    source = OSNoise()
    source.discrete_laplace(100, 1000)
    assert vars(source) == {}
    assert vars(pickle.loads(pickle.dumps(source))) == {}


def test_keystream_uses_each_word_once():
    parts, stream = [], Keystream.unsafe_from_seed(1, b"x")
    rng = np.random.default_rng(1)
    while len(parts) < 5 * CHUNK_WORDS:
        ready = stream.ready(int(rng.integers(0, 2 * CHUNK_WORDS)))
        assert ready.size >= 2
        take = int(rng.integers(0, ready.size + 1))
        parts += ready[:take].tolist()
        stream.consume(take)
        parts.append(stream.word())
    fresh = Keystream.unsafe_from_seed(1, b"x")
    assert parts == [fresh.word() for _ in parts]
    assert len(set(parts)) == len(parts)


def test_import_compiles_nothing_and_is_quick():
    code = (
        "import time; t = time.process_time(); import dpkit.noise, dpkit.guarantee; "
        "from dpkit.noise import kernels; "
        "assert not kernels.laplace_fill.signatures and not kernels.gaussian_fill.signatures; "
        "print(time.process_time() - t)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300
    )
    assert float(out.stdout) < 3  # a second on an idle machine


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-300, 1e300), st.integers(0, 100))
def test_rational_up_covers_the_error(x, ulps):
    exact = rational_up(x, ulps)
    assert exact - Fraction(x) == ulps * Fraction(math.ulp(x))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_rational_up_refuses(bad):
    with pytest.raises(ArgumentError):
        rational_up(bad)


@settings(max_examples=300, deadline=None)
@given(st.fractions(Fraction(1, 10**12), Fraction(10**24)), st.integers(1, 80))
def test_sqrt_up_is_tight_from_above(square, bits):
    root = dpkit.noise.sqrt_up(square, bits)
    assert square <= root**2
    assert root**2 <= square * (1 + Fraction(1, 2**bits)) ** 2
    assert root.denominator & (root.denominator - 1) == 0


def test_seeded_source_says_unsafe():
    assert UnsafeSeededNoise.__doc__.startswith("UNSAFE")
    assert "Unsafe" in UnsafeSeededNoise.__name__
