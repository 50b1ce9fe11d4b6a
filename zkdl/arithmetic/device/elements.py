"""The instructions on field elements that kernels are written in.

They (`mul`, `add`, `load` ...) are numba intrinsics that look at the *type* of their operands, so one kernel
source serves both fields and every width: one element at a time (`scalar`), or four or eight side by side in
vector registers (`doubles`, `ifma`). A kernel takes a `tag`, whose type says which, and steps by
`lanes(tag)`. Conditions come and go as masks: one condition for each lane, a plain boolean for one lane.

Multiplications are emitted once per module as real functions and called: inlining hundreds of instructions
at each use would cost the user seconds of compilation and gain little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from .instructions import instruction, same_elements, scalar_element
from .lanes import LaneType, holds_somewhere
from .memory import (
    gather,
    keep,
    kept,
    kept_words,
    load,
    load_words,
    scatter,
    spread,
    spread_word,
    store,
    store_sum,
)
from .tags import BY_TAG, FQ_TAG, FR_TAG
from .words import constant_of

__all__ = [
    "FQ_TAG",
    "FR_TAG",
    "add",
    "both",
    "either",
    "equal",
    "exceeds_half",
    "from_word",
    "from_words",
    "gather",
    "instruction",
    "is_canonical",
    "is_zero",
    "keep",
    "kept",
    "kept_words",
    "lanes",
    "load",
    "load_words",
    "low_word",
    "mul",
    "neg",
    "nonzero",
    "opposite",
    "same_elements",
    "scatter",
    "select",
    "somewhere",
    "spread",
    "spread_word",
    "square",
    "store",
    "store_sum",
    "sub",
]

_I64 = ir.IntType(64)


@instruction
def lanes(typing_context: Any, tag: Any) -> Any:
    """How many elements a value of this tag holds: a loop steps by so many."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, element.lanes)

    return types.intp(tag), codegen


# Arithmetic ----------------------------------------------------------------------------------------------


def _binary(name: str, doc: str) -> Any:
    def build(typing_context: Any, a: Any, b: Any) -> Any:
        element = same_elements(a, b)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(element.arithmetic, name)(builder, *args)

        return element(a, b), codegen

    build.__name__, build.__doc__ = name, doc
    return instruction(build)


def _unary(name: str, doc: str) -> Any:
    def build(typing_context: Any, a: Any) -> Any:
        element = same_elements(a)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(element.arithmetic, name)(builder, *args)

        return element(a), codegen

    build.__name__, build.__doc__ = name, doc
    return instruction(build)


mul = _binary("mul", "a b; of single elements b alone may be unreduced (any value below R).")
add = _binary("add", "a + b.")
sub = _binary("sub", "a - b.")
square = _unary("square", "a^2.")
neg = _unary("neg", "-a; zero stays zero, not p.")


def _constant(name: str, doc: str, value_of: Callable[[Any], int]) -> Any:
    def build(typing_context: Any, tag: Any) -> Any:
        element = BY_TAG[tag]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return element.arithmetic.constant(value_of(element))

        return element(tag), codegen

    build.__name__, build.__doc__ = name, doc
    return instruction(build)


def _radix(element: Any) -> int:
    return 1 << (64 * element.limbs)


zero = _constant("zero", "0.", lambda element: 0)
one = _constant("one", "1.", lambda element: _radix(element) % element.modulus)
r_squared = _constant(
    "r_squared",
    "R^2 mod p: mul(r_squared, x) brings any plain integer x < R into Montgomery form (x second: see `mul`).",
    lambda element: _radix(element) ** 2 % element.modulus,
)
unit = _constant("unit", "The plain integer 1: mul(x, unit) leaves Montgomery form.", lambda element: 1)


# Conditions ----------------------------------------------------------------------------------------------


@instruction
def select(typing_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where condition holds, else b, without a branch; a plain boolean decides for all lanes."""
    element = same_elements(a, b)
    mask = element.arithmetic.mask if isinstance(condition, LaneType) else types.boolean

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return element.arithmetic.select(builder, *args)

    return element(mask, a, b), codegen


@instruction
def equal(typing_context: Any, a: Any, b: Any) -> Any:
    """Whether a = b, as a mask."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return element.arithmetic.equal(builder, *args)

    return element.arithmetic.mask(a, b), codegen


@instruction
def is_zero(typing_context: Any, a: Any) -> Any:
    """Whether a = 0, as a mask."""
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return element.arithmetic.is_zero(builder, *args)

    return element.arithmetic.mask(a), codegen


def _of_masks(name: str, doc: str, emit: Callable[[Any, Any, Any], Any]) -> Any:
    def build(typing_context: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return emit(builder, *args)

        return a(a, b), codegen

    build.__name__, build.__doc__ = name, doc
    return instruction(build)


both = _of_masks("both", "Where both masks hold.", lambda builder, a, b: builder.and_(a, b))
either = _of_masks("either", "Where at least one mask holds.", lambda builder, a, b: builder.or_(a, b))


@instruction
def opposite(typing_context: Any, mask: Any) -> Any:
    """Where the mask does not hold."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.not_(args[0])

    return mask(mask), codegen


@instruction
def somewhere(typing_context: Any, mask: Any) -> Any:
    """Whether the mask holds in any lane: a plain boolean, to branch on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return holds_somewhere(builder, args[0]) if isinstance(mask, LaneType) else args[0]

    return types.boolean(mask), codegen


@instruction
def nonzero(typing_context: Any, tag: Any, words: Any) -> Any:
    """Where the integers are not zero, as a mask."""
    arithmetic = BY_TAG[tag].arithmetic

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return arithmetic.nonzero(builder, args[1])

    return arithmetic.mask(tag, arithmetic.word), codegen


@instruction
def from_words(typing_context: Any, tag: Any, words: Any) -> Any:
    """Signed integers as elements."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return element.arithmetic.from_words(builder, args[1])

    return element(tag, element.arithmetic.word), codegen


# Single elements only ------------------------------------------------------------------------------------


@instruction
def from_word(typing_context: Any, tag: Any, word: Any) -> Any:
    """The *plain* integer `word` (uint64) as a wide value; multiply by `r_squared` for Montgomery form."""
    element = scalar_element(BY_TAG[tag])

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(args[1], element.integer)

    return element(tag, types.uint64), codegen


@instruction
def low_word(typing_context: Any, a: Any) -> Any:
    """Lowest 64 bits of the wide value."""
    scalar_element(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.trunc(args[0], _I64)

    return types.uint64(a), codegen


@instruction
def is_canonical(typing_context: Any, a: Any) -> Any:
    """Whether a wide value that came from outside is below the modulus."""
    element = scalar_element(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned("<", args[0], constant_of(element, element.modulus))

    return types.boolean(a), codegen


@instruction
def exceeds_half(typing_context: Any, a: Any) -> Any:
    """Whether the *plain* (not Montgomery) value is above (p - 1) / 2: the sign of the ZCash encoding."""
    element = scalar_element(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned(">", args[0], constant_of(element, (element.modulus - 1) // 2))

    return types.boolean(a), codegen
