import dataclasses
import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkdl.errors import FormatError, InputError
from zkdl.protocol import bounds
from zkdl.protocol.settings import Settings
from zkdl.protocol.statement import Statement
from zkdl.protocol.transcript import FR_MODULUS


def make(**change):
    values = {
        "widths": (5, 4, 3),
        "bias": True,
        "settings": Settings(8, 12, 32),
        "batch_size": 64,
        "steps": 8,
        "learning_rate": Fraction(1, 64),
        "seed": 1,
        "initial_seed": 2,
        "records": 100,
        "row_bits": 4,
        "data_commitment": bytes(4800),
        "final_commitment": bytes(48 * 4),
    }
    return Statement(**{**values, **change})


# Two acceptable values for every field, so that changing one shows in every encoding.
OTHERS = {
    "widths": (5, 3, 4),
    "bias": False,
    "settings": Settings(8, 12, 32, limb_bits=17),
    "batch_size": 32,
    "steps": 9,
    "learning_rate": Fraction(1, 32),
    "seed": 2,
    "initial_seed": 1,
    "records": 101,
    "row_bits": 5,
    "data_commitment": bytes(4799) + b"\1",
    "final_commitment": bytes(191) + b"\1",
    "first_step": 8,
    "initial_commitment": bytes(191) + b"\1",
    "initial_limit": 5,
    "data_ranges": "separate",
    "loss": "other",
    "backend": "other",
    "version": 3,
}


def test_valid_statement():
    statement = make()
    statement.validate()
    assert (statement.num_layers, statement.mu, statement.limb_widths) == (2, 1, (16, 16))


@pytest.mark.parametrize("name", OTHERS)
def test_every_field_is_in_the_digest(name):
    changed = make(**{name: OTHERS[name]})
    assert changed.digest() != make().digest()
    assert changed.canonical_bytes() != make().canonical_bytes()
    assert Statement.from_json(changed.to_json()) == changed


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Settings)])
def test_every_setting_is_in_the_digest(name):
    values = Settings(activation_scale=6, gradient_scale=9, activation_bits=12, gradient_bits=12).as_dict()
    base = make(settings=Settings(**values))
    changed = make(settings=Settings(**{**values, name: values[name] + 1}))
    assert changed.digest() != base.digest()


def test_every_field_has_another_value_here():
    assert set(OTHERS) == {f.name for f in dataclasses.fields(Statement)}


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([1, 2, 255, 256, 257, 65535, 65536]), min_size=2, max_size=5),
    st.integers(0, 300),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
)
def test_encoding_is_injective_where_lengths_meet(widths, steps, seed, initial_seed):
    one = make(widths=widths, steps=steps, seed=seed, initial_seed=initial_seed)
    two = make(widths=[*widths, 1], steps=steps, seed=seed, initial_seed=initial_seed)
    three = make(widths=widths, steps=steps + 1, seed=initial_seed, initial_seed=seed)
    assert len({s.canonical_bytes() for s in (one, two, three)}) == 3
    for s in (one, two, three):
        assert Statement.from_json(s.to_json()) == s


def test_digest_is_pinned():
    assert make().digest().hex() == "44d9dd62aab401664f9baee905dc9f60c0a925960f3a2059cf7a6aeede29a99f"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "version must be 2"),
        ({"backend": "bn254"}, "backend"),
        ({"loss": "hinge"}, "loss"),
        ({"widths": (5,)}, "widths"),
        ({"widths": ()}, "widths"),
        ({"widths": (5, 0, 3)}, "widths"),
        ({"widths": (5, 1 << 21, 3)}, "widths"),
        ({"widths": (5,) * 70}, "widths"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 101}, "batch_size"),
        ({"steps": 0}, "steps"),
        ({"steps": 1 << 40}, "steps"),
        ({"seed": 1 << 63}, "seed"),
        ({"first_step": (1 << 63) - 8}, "first_step"),
        ({"data_ranges": "none"}, "data_ranges must be one of"),
        ({"initial_seed": None}, "initial_seed is None"),
        ({"initial_limit": 1}, "initial_limit must be positive with"),
        ({"initial_commitment": bytes(48 * 4)}, "initial_limit must be positive with"),
        (
            {"initial_commitment": bytes(48 * 3), "initial_limit": 1},
            "initial_commitment must be empty or 192",
        ),
        ({"initial_commitment": bytes(48 * 4), "initial_limit": 1 << 62}, "a weight reach"),
        ({"initial_seed": 1 << 63}, "initial_seed"),
        ({"records": 0}, "records"),
        ({"records": 99}, "data_commitment must be 4752 bytes"),
        ({"row_bits": 3}, "row_bits"),
        ({"row_bits": 15}, "row_bits"),
        ({"row_bits": 4, "widths": (14, 4, 3)}, "row_bits must let one record of 17"),
        ({"learning_rate": Fraction(1, 65)}, "power of two"),
        ({"learning_rate": Fraction(1, 2**20)}, "weight_scale"),
        ({"data_commitment": b""}, "data_commitment"),
        ({"final_commitment": b""}, "final_commitment"),
        ({"final_commitment": bytes(48 * 5)}, "final_commitment"),
        ({"final_commitment": bytes(48 * 4 - 1)}, "final_commitment"),
        ({"widths": (5, 1 << 20, 1 << 20, 3)}, "cells|neurons|final_commitment"),
    ],
)
def test_unacceptable_values(change, message):
    with pytest.raises(InputError, match=message):
        make(**change).validate()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": "543"}, "widths"),
        ({"widths": (5, 4.0, 3)}, "widths"),
        ({"widths": 5}, "widths"),
        ({"bias": 1}, "bias"),
        ({"settings": {}}, "settings"),
        ({"steps": True}, "steps"),
        ({"steps": -1}, "steps"),
        ({"steps": 8.0}, "steps"),
        ({"data_commitment": "00"}, "data_commitment"),
        ({"initial_commitment": "00"}, "initial_commitment"),
        ({"initial_limit": -1}, "initial_limit"),
        ({"first_step": None}, "first_step"),
        ({"data_ranges": None}, "data_ranges"),
        ({"loss": None}, "loss"),
        ({"learning_rate": None}, "learning_rate"),
    ],
)
def test_wrong_types(change, message):
    with pytest.raises(InputError, match=message):
        make(**change)


@pytest.mark.parametrize("initial_seed", [2, None])
def test_committed_initial_weights(initial_seed):
    statement = make(initial_seed=initial_seed, initial_commitment=bytes(192), initial_limit=7)
    statement.validate()
    assert Statement.from_json(statement.to_json()) == statement


def test_no_seed_is_not_seed_zero():
    digests = {make(initial_seed=seed).digest() for seed in (None, 0, 1)}
    assert len(digests) == 3


def test_the_limit_of_committed_weights_is_in_the_bounds():
    sizes = ((5, 4, 3), True, Settings(8, 12, 32), 64, 8, 1)
    plain, _ = bounds.largest(*sizes)
    assert bounds.largest(*sizes, initial_limit=1000)[0] == plain + 1000
    changes = bounds.change_bounds((5, 4, 3), sizes[2], 64, 8, 1)
    assert bounds.largest(*sizes, seeded=False, initial_limit=1000)[0] == 1000 + max(changes)
    room = bounds.WEIGHT_LIMIT - plain
    make(initial_commitment=bytes(192), initial_limit=room - 1).validate()
    with pytest.raises(InputError, match=rf"initial_limit {room} is part of it"):
        make(initial_commitment=bytes(192), initial_limit=room).validate()


def test_bounds_refuse_weights_beyond_62_bits():
    coarse = Settings(activation_scale=1, gradient_scale=1, weight_scale=48, activation_bits=16)
    with pytest.raises(InputError, match=r"a weight reach 2\^\d+, expected below 2\^62"):
        make(settings=coarse).validate()


@settings(max_examples=50, deadline=None)
@given(
    widths=st.lists(st.integers(1, 2000), min_size=2, max_size=4),
    steps=st.integers(1, 10**6),
    batch=st.integers(1, 512),
    mu=st.integers(1, 2**20),
    bias=st.booleans(),
    weight_scale=st.integers(1, 48),
)
def test_bounds_hold_for_the_worst_witness(widths, steps, batch, mu, bias, weight_scale):
    """Every tensor at the end of its range, all signs conspiring."""
    s = Settings(8, 12, weight_scale)
    weight, equation = bounds.largest(widths, bias, s, batch, steps, mu)
    top_a, top_h, top_last = 2**15, 2**15, 2**4 * 2**16
    for layer in range(1, len(widths)):
        gradient = top_last if layer == len(widths) - 1 else top_h
        w = int((6 / widths[layer - 1]) ** 0.5 * 2**weight_scale) + steps * mu * batch * top_a * gradient
        assert w <= weight
        z = widths[layer - 1] * top_a * w + (bias * 2**8) * w + 2**weight_scale // 2
        h = widths[layer] * gradient * w + 2**weight_scale // 2
        assert max(z, h) <= equation
    assert equation >= 2**weight_scale * top_a
    if weight < bounds.WEIGHT_LIMIT and equation < FR_MODULUS // 2:
        bounds.check(widths, bias, s, batch, steps, mu)


def _edited(**change):
    values = json.loads(make().to_json())
    values.update(change)
    return json.dumps(values)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "3", "{", "{}", "[" * 100_000, b"\xff\xfe",
        _edited(extra=1),
        _edited(format="zkdl-proof"),
        _edited(steps=8.0),
        _edited(steps="8"),
        _edited(steps=True),
        _edited(steps=-8),
        _edited(steps=None),
        _edited(steps=10**25),
        _edited(bias=1),
        _edited(widths="5,4,3"),
        _edited(widths=[5, [4], 3]),
        _edited(settings=[]),
        _edited(settings={}),
        _edited(settings={**Settings().as_dict(), "extra": 1}),
        _edited(settings={**Settings().as_dict(), "weight_scale": 99}),
        _edited(learning_rate="2/128"),
        _edited(learning_rate="0.015625"),
        _edited(learning_rate=1),
        _edited(learning_rate=[1, 64]),
        _edited(data_commitment="0"),
        _edited(data_commitment="GG"),
        _edited(data_commitment="AA"),
        _edited(data_commitment="00 00"),
        _edited(data_commitment=None),
        _edited(initial_commitment="0"),
        _edited(initial_seed="none"),
        _edited(initial_limit=1.0),
        _edited(data_ranges=None),
        make().to_json().replace('"steps": 8', '"steps": 8, "steps": 8'),
        make().to_json().replace('"steps": 8', '"steps": NaN'),
        make().to_json().replace('"steps": 8', '"steps": 1e1'),
        make().to_json().replace('"steps": 8,', ""),
        make().to_json() + "{}",
    ],
)  # fmt: skip
def test_strict_json(text):
    with pytest.raises(FormatError):
        Statement.from_json(text)


def test_files(tmp_path):
    path = tmp_path / "statement.json"
    make().save(path)
    assert Statement.load(path) == make()
    assert [p.name for p in tmp_path.iterdir()] == ["statement.json"]
    with pytest.raises(FileNotFoundError):
        Statement.load(tmp_path / "nothing.json")
