"""Unreduced sums on the doubles of `doubles`: the columns of the products are kept as they come.

A column takes a bounded number of terms before it could leave the integers that a double holds; the state
counts them and carries in time.
"""

from __future__ import annotations

from typing import Any

from .doubles import Doubles
from .lanes import LaneState, array_of, holds_somewhere, vectors_of
from .words import Element

_ONE_52 = 2.0**52
# Terms between two carries.
_PRODUCTS = 32
_SIGNED = 256


class SummingDoubles(Doubles):
    """The emitter for Fr, which has the spare bits for unreduced sums."""

    def __init__(self, element: Element, limbs: int, width: int) -> None:
        super().__init__(element, limbs, width)
        self.products = LaneState(f"{self.symbol}.products", self, self.vector, 2 * limbs)
        self.signed = LaneState(f"{self.symbol}.signed", self, self.vector, limbs + 2)

    def _carried_products(self, builder: Any, columns: list[Any]) -> list[Any]:
        """The columns within B again and the upper half of them within +-p."""
        columns, _ = self._carried(builder, columns, False)
        return columns[: self.limbs] + self._weakly_reduced(builder, columns[self.limbs :])

    def products_add(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + a b. One product adds at most n (2 B) to a column: 32 of them stay below 2^52."""
        before = vectors_of(builder, builder.extract_value(total, 0))
        columns: dict[int, tuple[Any, Any]] = {k: (None, column) for k, column in enumerate(before)}
        pairs = [(i, j) for i in range(self.limbs) for j in range(self.limbs)]
        self._multiply_all(builder, columns, pairs, vectors_of(builder, a), vectors_of(builder, b))
        after = self._finished(builder, columns)
        count = builder.extract_value(total, 1)
        return self._counted(builder, self.products, after, count, _PRODUCTS, self._carried_products)

    def _finished(self, builder: Any, columns: dict[int, tuple[Any, Any]]) -> list[Any]:
        """All columns as numbers; the last may have no chain of its own."""
        chains = {k: column for k, column in columns.items() if column[0] is not None}
        out = []
        for k in range(len(columns)):
            low = columns[k][1]
            if k - 1 in chains:
                high = builder.fsub(chains[k - 1][0], self._c(self.anchor))
                low = self._fma(builder, high, self._c(1.0 / self.base), low)
            out.append(low)
        return out

    def products_reduce(self, builder: Any, total: Any) -> Any:
        def emit(inner: Any, args: list[Any]) -> Any:
            tail = self._carried_products(inner, vectors_of(inner, args[0]))
            if self.scale > 1:
                tail = [inner.fmul(column, self._c(self.scale)) for column in tail]
            # The upper half is up to scale p: one weak reduction more than after a product.
            return array_of(inner, self._weakly_reduced(inner, self._reduced(inner, {}, tail)))

        return self._call(builder, "products_reduce", self.held, [builder.extract_value(total, 0)], emit)

    def signed_add(self, builder: Any, total: Any, words: Any, a: Any) -> Any:
        """total + words a. A term adds at most 6 B to a column: 256 of them stay below 2^53 for Fr."""
        before = vectors_of(builder, builder.extract_value(total, 0))
        limbs = vectors_of(builder, a)
        # Most integers are short: those below 2^(w-1) need the low half only.
        reach = self._i(self.base >> 1)
        moved = builder.add(words, reach)
        wide = builder.icmp_unsigned(">=", moved, self._i(self.base))
        wide = holds_somewhere(builder, wide)

        def add(inner: Any, state: list[Any], parts: list[Any]) -> list[Any]:
            columns: dict[int, tuple[Any, Any]] = {k: (None, column) for k, column in enumerate(state)}
            for j, part in enumerate(parts):
                for i, limb in enumerate(limbs):
                    self._multiply_add(inner, columns, i + j, part, limb)
            return self._finished(inner, columns)

        with builder.if_else(wide, likely=False) as (then, otherwise):
            with then:
                long = array_of(builder, add(builder, before, self._halves_of(builder, words)))
                long_block = builder.basic_block
            with otherwise:
                shift = 1.5 * _ONE_52
                bits = builder.add(words, self._i(0x4338 << 48))
                value = builder.fsub(builder.bitcast(bits, self.vector), self._c(shift))
                short = array_of(builder, add(builder, before, [value]))
                short_block = builder.basic_block
        merged = builder.phi(long.type)
        merged.add_incoming(long, long_block)
        merged.add_incoming(short, short_block)
        columns, count = vectors_of(builder, merged), builder.extract_value(total, 1)
        return self._counted(builder, self.signed, columns, count, _SIGNED, self._carried_signed)

    def _carried_signed(self, builder: Any, columns: list[Any]) -> list[Any]:
        return self._carried(builder, columns, False)[0]

    def signed_reduce(self, builder: Any, total: Any) -> Any:
        n = self.limbs

        def emit(inner: Any, args: list[Any]) -> Any:
            columns, _ = self._carried(inner, vectors_of(inner, args[0]), False)
            low = array_of(inner, self._weakly_reduced(inner, columns[:n]))
            high = array_of(inner, columns[n:] + [self._c(0.0)] * (n - 2))
            # high B^n: the Montgomery product with B^n R.
            power = self.radix * (self.radix // self.scale) % self.modulus
            return self.add(inner, low, self.mul(inner, self.constant(power), high))

        return self._call(builder, "signed_reduce", self.held, [builder.extract_value(total, 0)], emit)
