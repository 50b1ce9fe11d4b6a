"""Statements as JSON, read strictly: one text per statement as far as values go, no surprises."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

from zkdl.errors import FormatError, InputError
from zkdl.protocol import json_text
from zkdl.protocol.settings import Settings, as_learning_rate

__all__ = ["HEX", "build", "check_keys", "dump", "parse", "read_limited"]

_FORMAT = "zkdl-statement"
_MAX_FILE_BYTES = 1 << 32
_MAX_DIGITS = 20
HEX = re.compile(r"(?:[0-9a-f]{2})*")
T = TypeVar("T")


def dump(values: dict[str, Any]) -> str:
    """Write the fields of a statement: integers as numbers, the learning rate as "p/q", bytes in hex."""
    plain: dict[str, Any] = {"format": _FORMAT}
    for name, value in values.items():
        if isinstance(value, Settings):
            plain[name] = value.as_dict()
        elif isinstance(value, bytes):
            plain[name] = value.hex()
        elif isinstance(value, Fraction):
            plain[name] = str(value)
        else:
            plain[name] = list(value) if isinstance(value, tuple) else value
    return json.dumps(plain, indent=2) + "\n"


def parse(text: str | bytes) -> dict[str, Any]:
    """Read JSON text to a dictionary of which no key occurs twice and no number is a float."""
    try:
        value = json_text.loads(
            text,
            object_pairs_hook=_unique,
            parse_float=_refuse,
            parse_constant=_refuse,
            parse_int=_integer,
        )
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"statement: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise FormatError(f"statement: expected a JSON object, got {type(value).__name__}")
    return value


def build(kind: type[T], values: dict[str, Any]) -> T:
    """Make the statement from parsed values, every key present and of its exact type."""
    known = {"format", *(field.name for field in fields(kind))}  # type: ignore[arg-type]
    check_keys("statement", set(values), known)
    if values["format"] != _FORMAT:
        raise FormatError(f"statement: format must be {_FORMAT!r}, got {values['format']!r}")
    arguments: dict[str, Any] = {name: value for name, value in values.items() if name != "format"}
    if not isinstance(arguments["widths"], list):
        raise FormatError("statement: widths must be a list")
    settings = arguments["settings"]
    if not isinstance(settings, dict):
        raise FormatError("statement: settings must be an object")
    check_keys("settings", set(settings), {field.name for field in fields(Settings)})
    for name in ("data_commitment", "final_commitment", "initial_commitment"):
        if not isinstance(arguments[name], str) or not HEX.fullmatch(arguments[name]):
            raise FormatError(f"statement: {name} must be text in lower-case hexadecimal")
        arguments[name] = bytes.fromhex(arguments[name])
    try:
        if not isinstance(arguments["learning_rate"], str):
            raise InputError("learning_rate must be text such as '1/64'")
        rate = as_learning_rate(arguments["learning_rate"])
        if str(rate) != arguments["learning_rate"]:
            raise InputError(f"learning_rate must be in lowest terms, '{rate}'")
        arguments["learning_rate"] = rate
        arguments["settings"] = Settings(**settings)
        return kind(**arguments)
    except InputError as error:
        raise FormatError(f"statement: {error}") from None


def read_limited(path: str | os.PathLike[str]) -> bytes:
    """Read a whole file of at most 4 GiB."""
    with open(path, "rb") as stream:
        data = stream.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise FormatError(f"{os.fspath(path)}: larger than {_MAX_FILE_BYTES} bytes, no statement")
    return data


def check_keys(what: str, present: set[str], known: set[str]) -> None:
    """Refuse a key that is not known, and one that is missing."""
    if present - known:
        raise FormatError(f"{what}: unknown key {sorted(present - known)[0]!r}")
    if known - present:
        raise FormatError(f"{what}: missing key {sorted(known - present)[0]!r}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"statement: key {repeated!r} occurs twice")
    return out


def _refuse(text: str) -> NoReturn:
    raise FormatError(f"statement: {text[:32]} is not an integer")


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise FormatError(f"statement: an integer of {len(text)} digits is too long")
    return int(text)
