"""Hostile JSON is an error even in a process whose recursion limit some library has raised."""

import hashlib
import json
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dpkit
from dpkit.release import MAGIC, _bounded, unseal
from zkdl.errors import FormatError
from zkdl.protocol import json_text
from zkdl.protocol.statement_json import parse
from zkdl.training.history import History

DEEP = (
    "[" * 200_000,
    '{"a":' * 200_000,
    '["]",' * 200_000,  # closing brackets inside strings must not count
    '["\\"]",' * 200_000,
    "[{}," * 100_000,
)


@pytest.fixture
def raised_limit():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    yield
    sys.setrecursionlimit(before)


def sealed(header):
    body = MAGIC + struct.pack("<IQ", 1, len(header)) + header
    return body + hashlib.sha256(body).digest()


@pytest.mark.usefixtures("raised_limit")
@pytest.mark.parametrize("text", DEEP, ids=lambda text: text[:6])
def test_deep_nesting_is_an_error(text):
    with pytest.raises(dpkit.FormatError, match="malformed"):
        unseal(sealed(text.encode()))
    with pytest.raises(FormatError, match="32 deep"):
        parse(text)
    with pytest.raises(FormatError):
        History.from_json(text)


VALUES = st.recursive(
    st.one_of(st.integers(), st.text(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_shallow_values_come_back(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert json_text.loads(text) == value
    assert _bounded(text.encode()) == text


@pytest.mark.parametrize("text", ['"' + '\\"' * 200_000, '"\\' * 200_000, '"' * 400_001], ids=["a", "b", "c"])
def test_unterminated_strings_cost_one_pass(text):
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|control|escape|Expecting|Extra"):
        json_text.loads(text)
    assert _bounded(text.encode()) == text
