"""The dyadic grid: rounding, saturation, residues, scales rounded up."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkit.grid import decode_signed, pair_l1, round_up, to_grid


@given(st.floats(-1e6, 1e6), st.integers(0, 24))
def test_to_grid_rounds_half_to_even(value, bits):
    exact = Fraction(value) * 2**bits
    expected = round(exact)
    assert to_grid(np.array([value]), bits, 1 << 50)[0] == expected


@given(st.floats(allow_nan=True, allow_infinity=True, width=64))
def test_to_grid_saturates_whatever_comes(value):
    out = int(to_grid(np.array([value]), 16, 1 << 46)[0])
    assert -(1 << 46) <= out <= 1 << 46
    if math.isnan(value):
        assert out == 0
    elif abs(value) > 2.0**31:
        assert out == int(math.copysign(1 << 46, value))


def test_nan_goes_to_the_public_point():
    assert to_grid(np.array([[np.nan, 1.0]]), 4, 1000, np.array([2.0, 9.0])).tolist() == [[32, 16]]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_noise_modulo_2_64_is_a_function_of_the_exact_noisy_sum(total, noise):
    residues = np.array([total % 2**64], dtype=np.uint64) + np.array([noise % 2**64], dtype=np.uint64)
    expected = (total + noise + 2**63) % 2**64 - 2**63
    assert decode_signed(residues)[0] == expected


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 4])
def test_pair_l1_is_the_largest_l1_norm_in_the_disc(bits):
    cap = 4**bits
    side = range(-(2**bits), 2**bits + 1)
    largest = max(abs(c) + abs(s) for c in side for s in side if c * c + s * s <= cap)
    assert largest <= pair_l1(bits) == math.isqrt(2 * cap)


@settings(max_examples=300)
@given(st.fractions(min_value=Fraction(1, 10**12), max_value=10**15), st.integers(2, 40))
def test_round_up_is_above_and_close_and_short(value, significant):
    up = round_up(value, significant)
    assert value <= up <= value * (1 + Fraction(2, 2**significant) * 2)
    assert up.denominator & (up.denominator - 1) == 0
    assert up.denominator.bit_length() <= significant + 42  # 2^40 > 10^12, the smallest value
