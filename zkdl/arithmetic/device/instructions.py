"""How instructions on elements are declared: numba intrinsics that look at the types of their operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import errors
from numba.extending import intrinsic

from .lanes import LaneElement
from .words import Element


def instruction(build: Callable[..., Any]) -> Any:
    """`numba.extending.intrinsic`, hiding from the type checker that calls leave out the typing context."""
    return intrinsic(build)


def same_elements(*operands: Any) -> Any:
    """The one element type of all operands, or a typing error."""
    first = operands[0]
    if not isinstance(first, Element | LaneElement) or any(other != first for other in operands):
        raise errors.TypingError(f"expected elements of one field and path, got {operands}")
    return first


def scalar_element(*operands: Any) -> Element:
    """The same, for what is done one element at a time only."""
    element = same_elements(*operands)
    if not isinstance(element, Element):
        raise errors.TypingError(f"expected single elements, got {operands}")
    return element
