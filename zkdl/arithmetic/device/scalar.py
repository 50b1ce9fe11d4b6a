"""One element as one wide integer: what the instructions of `elements` emit on every processor."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from .words import (
    Element,
    constant_of,
    emit_multiply,
    emit_square,
    function_named,
    negative,
    subtract_once,
)

_I64 = ir.IntType(64)


class Scalar:
    """Arithmetic on the LLVM integers that hold the elements of one field.

    Every method takes an IR builder and emits code; results are canonical.
    """

    path = "scalar"
    lanes = 1
    mask: types.Type = types.boolean
    word: types.Type = types.int64

    def __init__(self, element: Element) -> None:
        self.element = element
        self.held = element.integer
        self.kept_words = element.limbs

    def constant(self, value: int) -> Any:
        """A constant taken as it is, not brought into Montgomery form."""
        return constant_of(self.element, value)

    def load(self, builder: Any, pointers: list[Any]) -> Any:
        pointer = builder.bitcast(pointers[0], self.element.integer.as_pointer())
        return builder.load(pointer, align=8)

    def spread(self, builder: Any, pointer: Any) -> Any:
        return self.load(builder, [pointer])

    def store(self, builder: Any, pointers: list[Any], value: Any) -> None:
        builder.store(value, builder.bitcast(pointers[0], self.element.integer.as_pointer()), align=8)

    def store_sum(self, builder: Any, pointer: Any, value: Any) -> None:
        self.store(builder, [pointer], value)

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        return subtract_once(builder, self.element, builder.add(a, b))

    def sub(self, builder: Any, a: Any, b: Any) -> Any:
        difference = builder.sub(a, b)
        modulus, nothing = self.constant(self.element.modulus), self.constant(0)
        return builder.add(difference, builder.select(negative(builder, difference), modulus, nothing))

    def neg(self, builder: Any, a: Any) -> Any:
        return self.sub(builder, self.constant(0), a)

    def mul(self, builder: Any, a: Any, b: Any) -> Any:
        """The Montgomery product; b alone may be unreduced (any value below R)."""
        element = self.element
        integer = element.integer
        function = function_named(
            builder,
            f"{element.symbol}_mul",
            integer,
            [integer, integer],
            lambda inner, args: emit_multiply(inner, element, *args),
        )
        return builder.call(function, [a, b])

    def square(self, builder: Any, a: Any) -> Any:
        element = self.element
        integer = element.integer
        function = function_named(
            builder,
            f"{element.symbol}_square",
            integer,
            [integer],
            lambda inner, args: emit_square(inner, element, *args),
        )
        return builder.call(function, [a])

    def select(self, builder: Any, condition: Any, a: Any, b: Any) -> Any:
        return builder.select(condition, a, b)

    def is_zero(self, builder: Any, a: Any) -> Any:
        return builder.icmp_unsigned("==", a, self.constant(0))

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        return builder.icmp_unsigned("==", a, b)

    def load_words(self, builder: Any, pointer: Any) -> Any:
        return builder.load(pointer, align=8)

    def spread_word(self, builder: Any, word: Any) -> Any:
        return word

    def nonzero(self, builder: Any, words: Any) -> Any:
        return builder.icmp_unsigned("!=", words, ir.Constant(_I64, 0))

    def from_words(self, builder: Any, words: Any) -> Any:
        """Signed machine integers as elements."""
        element = self.element
        below = builder.icmp_signed("<", words, ir.Constant(_I64, 0))
        # The two's complement magnitude: right for the least int64 too, whose negative does not fit.
        size = builder.select(below, builder.neg(words), words)
        value = self.mul(builder, self.constant(element.r2), builder.zext(size, element.integer))
        return builder.select(below, self.neg(builder, value), value)
