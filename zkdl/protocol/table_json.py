"""Tables as JSON, read as strictly as statements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from zkdl.errors import FormatError, InputError
from zkdl.protocol.statement_json import HEX, check_keys, parse, read_limited

__all__ = ["FORMATS", "build", "dump", "is_table", "read_limited"]

FORMATS = {"data": "zkdl-data", "weights": "zkdl-weights"}
"""What the key ``format`` says, by kind."""


def dump(kind: str, values: Mapping[str, Any]) -> str:
    """Write the fields of a table: integers as numbers, bytes in hex."""
    plain: dict[str, Any] = {"format": FORMATS[kind]}
    for name, value in values.items():
        if isinstance(value, bytes):
            plain[name] = value.hex()
        else:
            plain[name] = list(value) if isinstance(value, tuple) else value
    return json.dumps(plain, indent=2) + "\n"


def is_table(text: str | bytes) -> bool:
    """Whether JSON text says that it is a table.

    Raises:
        FormatError: It is no JSON object.
    """
    said = parse(text).get("format")
    return isinstance(said, str) and said in FORMATS.values()


def build(kinds: Mapping[str, type], text: str | bytes) -> Any:
    """Make the table of whichever kind the text says it is."""
    values = parse(text)
    named = {FORMATS[kind]: made for kind, made in kinds.items()}
    said = values.get("format")
    if not isinstance(said, str) or said not in named:
        raise FormatError(f"table: format must be one of {sorted(named)}, got {said!r}")
    made = named[said]
    check_keys("table", set(values), {"format", *(field.name for field in fields(made))})
    del values["format"]
    if not isinstance(values["commitment"], str) or not HEX.fullmatch(values["commitment"]):
        raise FormatError("table: commitment must be text in lower-case hexadecimal")
    values["commitment"] = bytes.fromhex(values["commitment"])
    if "widths" in values and not isinstance(values["widths"], list):
        raise FormatError("table: widths must be a list")
    try:
        return made(**values)
    except InputError as error:
        raise FormatError(f"table: {error}") from None
