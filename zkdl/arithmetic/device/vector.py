"""What the emitters for several lanes have in common: memory, words, conditions, states of unreduced sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .lanes import MASKS, WORDS, LaneState, array_of, vectors_of
from .rows import broadcast, load_rows, shuffle, store_rows
from .words import Element, function_named

_I64 = ir.IntType(64)


class Vector:
    """Arithmetic on several elements of one field at a time; every method takes an IR builder and emits code.

    Args:
        element: the field.
        lanes: elements in one value.
        limbs: how many limbs an element has in registers.
        width: bits of a limb.
        number: LLVM type of a limb in a register.
    """

    path = ""

    def __init__(self, element: Element, lanes: int, limbs: int, width: int, number: ir.Type) -> None:
        self.symbol = f"{element.symbol}_{self.path}"
        self.modulus = element.modulus
        self.words = element.limbs
        self.lanes = lanes
        self.limbs = limbs
        self.width = width
        self.base = 1 << width
        self.radix = 1 << (width * limbs)
        # B^n / R: by so much an operand is multiplied first, so that the product is divided by R exactly.
        self.scale = self.radix >> (64 * self.words)
        self.vector = ir.VectorType(number, lanes)
        self.bits = ir.VectorType(_I64, lanes)
        self.held = ir.ArrayType(self.vector, limbs)
        self.kept_words = limbs * lanes
        self.mask = MASKS[lanes]
        self.word = WORDS[lanes]

    def _i(self, value: int) -> ir.Constant:
        return ir.Constant(self.bits, [value] * self.lanes)

    def _call(self, builder: Any, name: str, result: Any, args: list[Any], emit: Any) -> Any:
        """A call of this module's function `name`: the long sequences are emitted once."""
        function = function_named(builder, f"{self.symbol}_{name}", result, [a.type for a in args], emit)
        return builder.call(function, args)

    # What a subclass adds --------------------------------------------------------------------------------

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def sub(self, builder: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def is_zero(self, builder: Any, a: Any) -> Any:
        raise NotImplementedError

    def from_limbs(self, builder: Any, limbs: list[Any]) -> Any:
        """An element from integer limbs in [0, B)."""
        raise NotImplementedError

    def canonical_limbs(self, builder: Any, value: Any) -> list[Any]:
        """The integer limbs in [0, B) of the value in [0, p)."""
        raise NotImplementedError

    # Limbs and words -------------------------------------------------------------------------------------

    def _limbs_of(self, builder: Any, words: list[Any]) -> list[Any]:
        """Vectors of 64-bit words as limbs in [0, B)."""
        out = []
        for k in range(self.limbs):
            word, bit = divmod(self.width * k, 64)
            value = builder.lshr(words[word], self._i(bit)) if bit else words[word]
            if bit + self.width > 64 and word + 1 < self.words:
                value = builder.or_(value, builder.shl(words[word + 1], self._i(64 - bit)))
            if bit + self.width < 64 or word + 1 < self.words:
                value = builder.and_(value, self._i(self.base - 1))
            out.append(value)
        return out

    def _words_of(self, builder: Any, limbs: list[Any]) -> list[Any]:
        """The inverse of `_limbs_of`."""
        words = []
        for word in range(self.words):
            total = None
            for k, limb in enumerate(limbs):
                place = self.width * k - 64 * word
                if -self.width < place < 64:
                    shift = builder.shl if place > 0 else builder.lshr
                    part = shift(limb, self._i(abs(place))) if place else limb
                    total = part if total is None else builder.or_(total, part)
            words.append(total)
        return words

    def _rippled(self, builder: Any, limbs: list[Any], extra: list[int]) -> tuple[list[Any], Any]:
        """limbs + extra with every carry taken: the limbs in [0, B), and what leaves the last one."""
        out, carry = [], None
        for limb, number in zip(limbs, extra, strict=True):
            total = builder.add(limb, self._i(number)) if number else limb
            total = total if carry is None else builder.add(total, carry)
            carry = builder.lshr(total, self._i(self.width))
            out.append(builder.and_(total, self._i(self.base - 1)))
        return out, carry

    def _less_modulus(self, builder: Any, limbs: list[Any]) -> list[Any]:
        """x mod p for x in [0, 2 p), from any limbs to limbs in [0, B)."""
        plain, _ = self._rippled(builder, limbs, [0] * self.limbs)
        # x - p + B^n overflows where x >= p.
        lowered, carry = self._rippled(builder, plain, self.digits(self.radix - self.modulus))
        enough = builder.icmp_unsigned("!=", carry, self._i(0))
        return [builder.select(enough, low, high) for low, high in zip(lowered, plain, strict=True)]

    def digits(self, value: int) -> list[int]:
        """A number below B^n as limbs in [0, B)."""
        return [(value >> (self.width * k)) & (self.base - 1) for k in range(self.limbs)]

    # Memory ----------------------------------------------------------------------------------------------

    def load(self, builder: Any, pointers: list[Any]) -> Any:
        return self.from_limbs(builder, self._limbs_of(builder, load_rows(builder, pointers, self.words)))

    def spread(self, builder: Any, pointer: Any) -> Any:
        words = []
        for k in range(self.words):
            word = builder.load(builder.gep(pointer, [ir.Constant(_I64, k)]), align=8)
            words.append(broadcast(builder, word, self.lanes))
        return self.from_limbs(builder, self._limbs_of(builder, words))

    def store(self, builder: Any, pointers: list[Any], value: Any) -> None:
        words = self._words_of(builder, self.canonical_limbs(builder, value))
        store_rows(builder, pointers, words)

    def store_sum(self, builder: Any, pointer: Any, value: Any) -> None:
        step = self.lanes // 2
        while step:
            places = [lane ^ step for lane in range(self.lanes)]
            turned = [shuffle(builder, limb, limb, places) for limb in vectors_of(builder, value)]
            value = self.add(builder, value, array_of(builder, turned))
            step //= 2
        self.store(builder, [pointer], value)

    # Conditions and machine integers ---------------------------------------------------------------------

    def select(self, builder: Any, condition: Any, a: Any, b: Any) -> Any:
        pairs = zip(vectors_of(builder, a), vectors_of(builder, b), strict=True)
        return array_of(builder, [builder.select(condition, x, y) for x, y in pairs])

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        return self.is_zero(builder, self.sub(builder, a, b))

    def load_words(self, builder: Any, pointer: Any) -> Any:
        return builder.load(builder.bitcast(pointer, self.bits.as_pointer()), align=8)

    def spread_word(self, builder: Any, word: Any) -> Any:
        return broadcast(builder, word, self.lanes)

    def nonzero(self, builder: Any, words: Any) -> Any:
        return builder.icmp_unsigned("!=", words, self._i(0))

    # States of unreduced sums ----------------------------------------------------------------------------

    def zero_state(self, builder: Any, kind: LaneState) -> Any:
        return ir.Constant(kind.held, None)

    def _counted(
        self,
        builder: Any,
        kind: LaneState,
        columns: list[Any],
        count: Any,
        limit: int,
        carry: Callable[[Any, list[Any]], list[Any]],
    ) -> Any:
        """The state after one more term; every `limit` terms the columns are carried by `carry`."""
        count = builder.add(count, ir.Constant(_I64, 1))
        full = builder.icmp_unsigned("==", count, ir.Constant(_I64, limit))
        value, start = array_of(builder, columns), builder.basic_block
        with builder.if_then(full, likely=False):
            carried = self._call(
                builder,
                f"{carry.__name__.strip('_')}",
                value.type,
                [value],
                lambda inner, args: array_of(inner, carry(inner, vectors_of(inner, args[0]))),
            )
            inside = builder.basic_block
        merged = builder.phi(value.type)
        merged.add_incoming(value, start)
        merged.add_incoming(carried, inside)
        number = builder.phi(_I64)
        number.add_incoming(count, start)
        number.add_incoming(ir.Constant(_I64, 0), inside)
        state = builder.insert_value(ir.Constant(kind.held, ir.Undefined), merged, 0)
        return builder.insert_value(state, number, 1)
