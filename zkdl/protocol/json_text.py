"""Parsing JSON that may be hostile: nesting is bounded before the parser sees the text."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["MAX_NESTING", "loads"]

MAX_NESTING = 32
# Strings, an unterminated one included; possessive, so that no text costs more than one pass.
_STRING = re.compile(r'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def loads(text: str | bytes, **options: Any) -> Any:
    """Parse JSON text of bounded nesting.

    The parser of the standard library recurses on the C stack up to Python's recursion limit. A library may
    have raised that limit (py-ecc does); then a row of brackets would bring the process down.

    Args:
        text: JSON; bytes are read as UTF-8.
        options: passed on to `json.loads`.

    Raises:
        ValueError: not UTF-8, not JSON, or nested more deeply than MAX_NESTING.

    Example:
        >>> loads('{"a": [1, 2]}')
        {'a': [1, 2]}
        >>> loads("[" * 100_000)
        Traceback (most recent call last):
        ValueError: nested more than 32 deep
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_NESTING:
            raise ValueError(f"nested more than {MAX_NESTING} deep")
    return json.loads(text, **options)
