from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkdl.errors import InputError
from zkdl.protocol.settings import MAX_WEIGHT_SCALE, Settings, as_learning_rate


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1/64", Fraction(1, 64)),
        (" 2/128 ", Fraction(1, 64)),
        ("0.05", Fraction(1, 20)),
        (0.05, Fraction(1, 20)),
        (np.float64(0.1), Fraction(1, 10)),
        (np.float32(0.5), Fraction(1, 2)),
        (5e-05, Fraction(1, 20000)),
        ("5e-2", Fraction(1, 20)),
        (".5", Fraction(1, 2)),
        (2, Fraction(2)),
        (np.int8(3), Fraction(3)),
        (Fraction(3, 7), Fraction(3, 7)),
    ],
)
def test_learning_rates_are_read_as_written(value, expected):
    assert as_learning_rate(value) == expected


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "-1/2", "1/0", "nan", "inf", float("nan"), float("inf"), 0.0, True, None, "", "1/2/3", "a",
     "1e-2/3", "1_0", "9" * 30, "1e-99", [1], b"1", Fraction(1, 2**80)],
)  # fmt: skip
def test_bad_learning_rates(value):
    with pytest.raises(InputError, match="learning_rate"):
        as_learning_rate(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_scale": 0}, "activation_scale"),
        ({"activation_scale": 15, "gradient_scale": 15}, "activation_bits - 2 = 14"),
        ({"gradient_scale": 9}, "gradient_scale must be between 10"),
        ({"gradient_scale": 33}, "gradient_scale"),
        ({"weight_scale": 0}, "weight_scale"),
        ({"weight_scale": MAX_WEIGHT_SCALE + 1}, "weight_scale"),
        ({"activation_bits": 17}, "limb_bits = 16"),
        ({"gradient_bits": 1}, "gradient_bits"),
        ({"limb_bits": 21}, "limb_bits"),
        ({"weight_scale": 32.0}, "integer"),
        ({"weight_scale": True}, "integer"),
        ({"weight_scale": "32"}, "integer"),
        ({"weight_scale": None}, "integer"),
    ],
)
def test_bad_settings_name_the_field(change, message):
    with pytest.raises(InputError, match=message):
        Settings(**change)


def test_limbs_are_little_endian_and_cover_the_remainder():
    assert Settings(weight_scale=32).limb_widths == (16, 16)
    assert Settings(weight_scale=34).limb_widths == (16, 16, 2)
    assert Settings(weight_scale=7).limb_widths == (7,)


@given(
    exponent=st.integers(0, 20),
    numerator=st.sampled_from([1, 3, 5, 64]),
    batch=st.integers(1, 300),
)
def test_choice_makes_the_update_exact(exponent, numerator, batch):
    rate = Fraction(numerator * batch, 2**exponent)
    s = Settings.choose(batch, rate)
    mu = s.multiplier(batch, rate)
    assert mu >= 1
    assert mu * Fraction(2) ** (s.activation_scale + s.gradient_scale) == rate / batch * 2**s.weight_scale
    assert s.weight_scale == 32 or s.activation_scale + s.gradient_scale == 16
    assert s.gradient_scale >= s.activation_scale


def test_choice_prefers_two_full_limbs():
    assert Settings.choose(64, "1/64") == Settings() == Settings(10, 10, 32)
    assert Settings.choose(64, "1/4096") == Settings(6, 10, 34)
    assert Settings.choose(32, "1/32").activation_scale == 10


def test_choice_respects_fixed_fields():
    s = Settings.choose(64, "1/64", activation_scale=6, weight_scale=None)
    assert (s.activation_scale, s.weight_scale) == (6, 32)
    s = Settings.choose(4, "1/4", gradient_scale=3, weight_scale=10, activation_bits=8)
    assert (s.activation_scale, s.gradient_scale, s.weight_scale) == (3, 3, 10)
    s = Settings.choose(4, "1/4", activation_bits=6)
    assert s.activation_scale == 4
    assert Settings.choose(4, "1/4", activation_scale=13).gradient_scale == 13


@pytest.mark.parametrize(
    ("arguments", "overrides", "message"),
    [
        ((64, "0.05"), {}, r"use for example learning_rate='13/256'"),
        ((3, "1/64"), {}, "power of two"),
        ((64, "1/17179869184"), {}, "weight_scale 56, more than 48"),
        ((64, "1/64"), {"weight_scale": 20}, r"needs weight_scale >= 28"),
        ((64, "1/64"), {"wieght_scale": 20}, "unknown setting 'wieght_scale'"),
        ((64, "1/64"), {"weight_scale": 2.5}, "weight_scale must be an integer"),
        ((0, "1/64"), {}, "batch_size"),
        ((2.0, "1/64"), {}, "batch_size"),
    ],
)
def test_impossible_choices(arguments, overrides, message):
    with pytest.raises(InputError, match=message):
        Settings.choose(*arguments, **overrides)


def test_suggested_rate_is_accepted_and_near():
    for batch, rate in ((64, "0.05"), (48, "0.001"), (5, "1/2"), (100, 3)):
        with pytest.raises(InputError) as caught:
            Settings.choose(batch, rate)
        suggestion = str(caught.value).split("learning_rate='")[1].rstrip("'")
        Settings.choose(batch, suggestion)
        assert abs(as_learning_rate(suggestion) / as_learning_rate(rate) - 1) < 0.07
