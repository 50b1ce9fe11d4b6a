"""The instructions on field elements that kernels are written in.

They (`mul`, `add`, `load` ...) are numba intrinsics that look at the *type* of their operands, so one kernel
source serves both fields. Multiplications are emitted once per module as real functions and called: inlining
70 multiply instructions at each use would cost the user seconds of compilation and gain little.

A vector back end can come in beside this one as another element type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import errors
from numba.extending import intrinsic

from .words import (
    BY_TAG,
    FQ_TAG,
    FR_TAG,
    Element,
    constant_of,
    emit_multiply,
    emit_square,
    function_named,
    negative,
    subtract_once,
)

__all__ = [
    "FQ_TAG",
    "FR_TAG",
    "add",
    "call_multiply",
    "equal",
    "exceeds_half",
    "from_word",
    "instruction",
    "is_canonical",
    "is_zero",
    "lanes",
    "load",
    "low_word",
    "mul",
    "neg",
    "same_elements",
    "select",
    "spread",
    "square",
    "store",
    "store_sum",
    "sub",
]

_I64 = ir.IntType(64)


def call_multiply(builder: Any, element: Element, a: Any, b: Any) -> Any:
    """A call of the field's Montgomery product."""
    integer = element.integer
    function = function_named(
        builder,
        f"{element.symbol}_mul",
        integer,
        [integer, integer],
        lambda inner, args: emit_multiply(inner, element, *args),
    )
    return builder.call(function, [a, b])


def instruction(build: Callable[..., Any]) -> Any:
    """`numba.extending.intrinsic`, hiding from the type checker that calls leave out the typing context."""
    return intrinsic(build)


def same_elements(*operands: Any) -> Element:
    """The one element type of all operands, or a typing error."""
    first = operands[0]
    if not isinstance(first, Element) or any(other != first for other in operands):
        raise errors.TypingError(f"expected elements of one field, got {operands}")
    return first


@instruction
def mul(typing_context: Any, a: Any, b: Any) -> Any:
    """a b; b alone may be unreduced (any value below R)."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_multiply(builder, element, *args)

    return element(a, b), codegen


@instruction
def square(typing_context: Any, a: Any) -> Any:
    """a^2."""
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = element.integer
        name = f"{element.symbol}_square"
        function = function_named(
            builder, name, integer, [integer], lambda inner, operands: emit_square(inner, element, *operands)
        )
        return builder.call(function, args)

    return element(a), codegen


@instruction
def add(typing_context: Any, a: Any, b: Any) -> Any:
    """a + b."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return subtract_once(builder, element, builder.add(*args))

    return element(a, b), codegen


def _emit_sub(builder: Any, element: Element, a: Any, b: Any) -> Any:
    difference = builder.sub(a, b)
    lift = builder.select(
        negative(builder, difference), constant_of(element, element.modulus), constant_of(element, 0)
    )
    return builder.add(difference, lift)


@instruction
def sub(typing_context: Any, a: Any, b: Any) -> Any:
    """a - b."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _emit_sub(builder, element, *args)

    return element(a, b), codegen


@instruction
def neg(typing_context: Any, a: Any) -> Any:
    """-a; zero stays zero, not p."""
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _emit_sub(builder, element, constant_of(element, 0), args[0])

    return element(a), codegen


@instruction
def select(typing_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where condition holds, else b, without a branch."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(args[0], args[1], args[2])

    return element(types.boolean, a, b), codegen


@instruction
def equal(typing_context: Any, a: Any, b: Any) -> Any:
    """Whether a = b; canonical form makes this a comparison of the limbs."""
    same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned("==", args[0], args[1])

    return types.boolean(a, b), codegen


@instruction
def is_zero(typing_context: Any, a: Any) -> Any:
    """Whether a = 0."""
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned("==", args[0], constant_of(element, 0))

    return types.boolean(a), codegen


def _constant(value_of: Callable[[Element], int]) -> Any:
    def build(typing_context: Any, tag: Any) -> Any:
        element = BY_TAG[tag]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return constant_of(element, value_of(element))

        return element(tag), codegen

    return instruction(build)


zero = _constant(lambda element: 0)
one = _constant(lambda element: element.one)
# R^2 mod p: mul(r_squared, x) brings any plain integer x < R into Montgomery form (x second: see `mul`).
r_squared = _constant(lambda element: element.r2)
# The plain integer 1: mul(x, unit) leaves Montgomery form.
unit = _constant(lambda element: 1)


def _limb_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, limbs: int) -> Any:
    """Address of limb 0 of the element at `index` of a flat, contiguous uint64 array."""
    data = context.make_array(array_type)(context, builder, array).data
    index = builder.sext(index, _I64) if index.type.width < 64 else index
    word = builder.mul(index, ir.Constant(_I64, limbs))
    return builder.gep(data, [word])


def _check_flat(array: Any) -> None:
    if not (
        isinstance(array, types.Array)
        and array.dtype == types.uint64
        and array.ndim == 1
        and array.layout == "C"
    ):
        raise errors.TypingError(f"expected a flat contiguous uint64 array, got {array}")


@instruction
def load(typing_context: Any, tag: Any, array: Any, index: Any) -> Any:
    """Element number `index` of a flat array of limbs."""
    _check_flat(array)
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[1], args[2], element.limbs)
        return builder.load(builder.bitcast(pointer, element.integer.as_pointer()), align=8)

    return element(tag, array, types.intp), codegen


@instruction
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write element number `index` of a flat array of limbs."""
    _check_flat(array)
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[0], args[1], element.limbs)
        builder.store(args[2], builder.bitcast(pointer, element.integer.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@instruction
def lanes(typing_context: Any, tag: Any) -> Any:
    """How many elements a value of this tag holds: a loop steps by so many."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, element.lanes)

    return types.intp(tag), codegen


@instruction
def spread(typing_context: Any, tag: Any, array: Any, index: Any) -> Any:
    """Element number `index` in every lane; for one lane the same as `load`."""
    _check_flat(array)
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[1], args[2], element.limbs)
        return builder.load(builder.bitcast(pointer, element.integer.as_pointer()), align=8)

    return element(tag, array, types.intp), codegen


@instruction
def store_sum(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the sum over the lanes of `value` as element number `index`; for one lane the same as `store`."""
    _check_flat(array)
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[0], args[1], element.limbs)
        builder.store(args[2], builder.bitcast(pointer, element.integer.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@instruction
def from_word(typing_context: Any, tag: Any, word: Any) -> Any:
    """The *plain* integer `word` (uint64) as a wide value; multiply by `r_squared` for Montgomery form."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(args[1], element.integer)

    return element(tag, types.uint64), codegen


@instruction
def low_word(typing_context: Any, a: Any) -> Any:
    """Lowest 64 bits of the wide value."""
    same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.trunc(args[0], _I64)

    return types.uint64(a), codegen


@instruction
def is_canonical(typing_context: Any, a: Any) -> Any:
    """Whether a wide value that came from outside is below the modulus."""
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned("<", args[0], constant_of(element, element.modulus))

    return types.boolean(a), codegen


@instruction
def exceeds_half(typing_context: Any, a: Any) -> Any:
    """Whether the *plain* (not Montgomery) value is above (p - 1) / 2: the sign of the ZCash encoding."""
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned(">", args[0], constant_of(element, (element.modulus - 1) // 2))

    return types.boolean(a), codegen
