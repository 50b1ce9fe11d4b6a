"""Unreduced sums of products of Fr elements: one reduction at the end instead of one for each term.

For one element at a time the sum is a plain wide integer; for several side by side, see `doubles` and `ifma`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import errors
from numba.extending import register_model

from .elements import instruction, same_elements
from .lanes import LaneElement, LaneState
from .tags import BY_TAG
from .words import (
    FR,
    Element,
    WideModel,
    add_multiple,
    constant_of,
    function_named,
    joined,
    product_words,
    subtract_once,
    words_of,
)

_I64 = ir.IntType(64)


class Accumulator(types.Type):
    """numba type of an unreduced sum of products: a plain wide integer, taken modulo its own width."""

    def __init__(self, element: Element, bits: int) -> None:
        super().__init__(name=f"{element.name}.sum{bits}")
        self.element = element
        self.bits = bits
        self.integer = ir.IntType(bits)


register_model(Accumulator)(WideModel)

# 64 spare bits over a product of two elements: 2^64 products can be added before anything overflows.
FR_PRODUCTS = Accumulator(FR, 576)
# Signed sums of (64-bit integer) x (element): 2^62 of them fit beside the offset of `signed_zero`.
FR_SIGNED = Accumulator(FR, 384)


def _empty(tag: Any, name: str, scalar: Accumulator) -> Any:
    """The type of an empty sum for a tag."""
    element = BY_TAG[tag]
    kind = getattr(element.arithmetic, name, None) if isinstance(element, LaneElement) else scalar
    if kind is None or (kind is scalar and element is not FR):
        raise errors.TypingError(f"unreduced sums are for Fr only, got {element}")
    return kind


@instruction
def products_zero(typing_context: Any, tag: Any) -> Any:
    """An empty unreduced sum of products of Fr elements."""
    kind = _empty(tag, "products", FR_PRODUCTS)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(kind, LaneState):
            return kind.arithmetic.zero_state(builder, kind)
        return ir.Constant(kind.integer, 0)

    return kind(tag), codegen


@instruction
def products_add(typing_context: Any, total: Any, a: Any, b: Any) -> Any:
    """total + a b, unreduced: half the work of a Montgomery product."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(total, LaneState):
            return element.arithmetic.products_add(builder, *args)
        n = element.limbs
        width = FR_PRODUCTS.integer
        value, left, right = args
        # The product is put together in 2 n limbs first, so the long carry chain runs once.
        words = product_words(builder, words_of(builder, left, n), words_of(builder, right, n))
        return builder.add(value, joined(builder, words, width))

    return total(total, a, b), codegen


def _finish_tall(builder: Any, element: Element, value: Any) -> Any:
    """value = lo + hi R (any wide unsigned integer with hi < R) -> value mod p, the factor kept."""
    n = element.limbs
    low = builder.trunc(value, element.integer)
    high = builder.lshr(value, ir.Constant(value.type, 64 * n))
    high = builder.trunc(high, element.integer)
    # mul(R^2, hi) = hi R mod p.
    high = element.arithmetic.mul(builder, constant_of(element, element.r2), high)
    # lo < R < 3 p for Fr: two conditional subtractions, done unsigned because lo uses every bit.
    modulus = constant_of(element, element.modulus)
    for _ in range(2):
        lowered = builder.sub(low, modulus)
        low = builder.select(builder.icmp_unsigned("<", low, modulus), low, lowered)
    return subtract_once(builder, element, builder.add(low, high))


def _lanes_reduced(total: LaneState, name: str) -> Any:
    """Signature and code of a reduction of a sum of several lanes."""
    element = next(kind for kind in BY_TAG.values() if kind.arithmetic is total.arithmetic)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(total.arithmetic, name)(builder, *args)

    return element(total), codegen


@instruction
def products_reduce(typing_context: Any, total: Any) -> Any:
    """The sum of products as an element: total / R mod p, which is the Montgomery form of the real sum."""
    if isinstance(total, LaneState):
        return _lanes_reduced(total, "products_reduce")
    element = total.element

    def emit(builder: Any, args: list[Any]) -> Any:
        n = element.limbs
        (value,) = args
        width = value.type
        p_words = [ir.Constant(_I64, (element.modulus >> (64 * k)) & (2**64 - 1)) for k in range(n)]
        zeros = [ir.Constant(_I64, 0)] * n
        for _ in range(n):
            factor = builder.mul(builder.trunc(value, _I64), ir.Constant(_I64, element.inverse))
            row = joined(builder, add_multiple(builder, p_words, factor, zeros), width)
            value = builder.lshr(builder.add(value, row), ir.Constant(width, 64))
        return _finish_tall(builder, element, value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"{element.symbol}_products_reduce"
        function = function_named(builder, name, element.integer, [FR_PRODUCTS.integer], emit)
        return builder.call(function, args)

    return element(total), codegen


@instruction
def signed_zero(typing_context: Any, tag: Any) -> Any:
    """An empty signed sum: a multiple of p so large (p 2^127) that the running value stays positive."""
    kind = _empty(tag, "signed", FR_SIGNED)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(kind, LaneState):
            return kind.arithmetic.zero_state(builder, kind)
        return ir.Constant(kind.integer, FR.modulus << 127)

    return kind(tag), codegen


@instruction
def signed_add(typing_context: Any, total: Any, word: Any, a: Any) -> Any:
    """total + word a for a signed 64-bit `word` (one for each lane), unreduced.

    word = unsigned(word) - 2^64 [word < 0], so the product is one row of unsigned multiplications and a
    masked subtraction of a 2^64.
    """
    element = same_elements(a)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(total, LaneState):
            return element.arithmetic.signed_add(builder, *args)
        before, factor, value = args
        width = FR_SIGNED.integer
        n = element.limbs
        low = add_multiple(builder, words_of(builder, value, n), factor, words_of(builder, before, n))
        high = builder.lshr(before, ir.Constant(width, 64 * n))
        high = builder.shl(high, ir.Constant(width, 64 * n))
        after = builder.add(high, joined(builder, low, width))
        mask = builder.sext(builder.icmp_signed("<", factor, ir.Constant(_I64, 0)), element.integer)
        back = builder.zext(builder.and_(value, mask), width)
        return builder.sub(after, builder.shl(back, ir.Constant(width, 64)))

    return total(total, element.arithmetic.word, a), codegen


@instruction
def signed_reduce(typing_context: Any, total: Any) -> Any:
    """The signed sum as an element."""
    if isinstance(total, LaneState):
        return _lanes_reduced(total, "signed_reduce")
    element = total.element

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"{element.symbol}_signed_reduce"
        function = function_named(
            builder,
            name,
            element.integer,
            [FR_SIGNED.integer],
            lambda inner, operands: _finish_tall(inner, element, operands[0]),
        )
        return builder.call(function, args)

    return element(total), codegen
