"""Eight lanes on AVX-512 IFMA: limbs of 52 bits as integers, products by `vpmadd52luq` and `vpmadd52huq`.

These two instructions add the low, or the high, 52 bits of the product of two 52-bit integers to a 64-bit
one. An element is canonical, in [0, p), with limbs in [0, 2^52): five for Fr and eight for Fq. Columns of
products are accumulated without carries: at most 4 n terms below 2^52, so below 2^58.

The Montgomery product divides by 2^(52 n), 2^260 or 2^416, so one factor is shifted left by 4 or 32 bits
first: the result is a b / R mod p with the R of all paths, 2^256 or 2^384. It comes out below p^2 / R + p < 2
p, and one conditional subtraction makes it canonical.

The instructions must not be emitted for a processor that lacks them: LLVM ends the process. `paths` guards
that. `Emulated` is the same emitter on ordinary instructions, for tests on any processor.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .lanes import LaneState, array_of, vectors_of
from .vector import Vector
from .words import Element

_I64 = ir.IntType(64)
_WIDTH = 52


class Ifma(Vector):
    """The emitter for one field."""

    path = "ifma"

    def __init__(self, element: Element, limbs: int) -> None:
        super().__init__(element, 8, limbs, _WIDTH, _I64)
        self.shift = self.scale.bit_length() - 1
        self.p = self.digits(self.modulus)
        self.factor = -pow(self.modulus, -1, self.base) % self.base

    # The two instructions --------------------------------------------------------------------------------

    def _low(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + the low 52 bits of a b; of a and b the low 52 bits count."""
        return self._instruction(builder, "l", total, a, b)

    def _high(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        """total + (a b >> 52)."""
        return self._instruction(builder, "h", total, a, b)

    def _instruction(self, builder: Any, half: str, total: Any, a: Any, b: Any) -> Any:
        name = f"llvm.x86.avx512.vpmadd52{half}.uq.512"
        module = builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(self.bits, [self.bits] * 3), name)
        return builder.call(function, [total, a, b])

    # Building blocks -------------------------------------------------------------------------------------

    def _shifted(self, builder: Any, limbs: list[Any], count: int) -> list[Any]:
        """x 2^count, which must be below B^n."""
        if not count:
            return limbs
        out = []
        for k, limb in enumerate(limbs):
            value = builder.shl(limb, self._i(count))
            if k:
                value = builder.or_(value, builder.lshr(limbs[k - 1], self._i(_WIDTH - count)))
            out.append(builder.and_(value, self._i(self.base - 1)))
        return out

    def _clear_lowest(self, builder: Any, columns: list[Any], k: int) -> None:
        """Add the multiple of p B^k that makes column k a multiple of B, and carry it into column k + 1."""
        n = self.limbs
        m = self._low(builder, self._i(0), columns[k], self._i(self.factor))
        for j in range(n):
            columns[k + j] = self._low(builder, columns[k + j], m, self._i(self.p[j]))
        for j in range(n):
            columns[k + j + 1] = self._high(builder, columns[k + j + 1], m, self._i(self.p[j]))
        carry = builder.lshr(columns[k], self._i(_WIDTH))
        columns[k + 1] = builder.add(columns[k + 1], carry)

    def _add_row(self, builder: Any, columns: list[Any], k: int, a: list[Any], b: Any) -> None:
        """Add a b B^k for a single limb b."""
        for j, limb in enumerate(a):
            columns[k + j] = self._low(builder, columns[k + j], limb, b)
        for j, limb in enumerate(a):
            columns[k + j + 1] = self._high(builder, columns[k + j + 1], limb, b)

    def _product(self, builder: Any, a: list[Any], b: list[Any]) -> list[Any]:
        """a b / B^n mod p for a b < p B^n: row k + 1 of a b comes before the reduction of row k, so that the
        two do not wait for each other."""
        n = self.limbs
        columns = [self._i(0)] * (2 * n + 1)
        self._add_row(builder, columns, 0, a, b[0])
        for k in range(n):
            if k + 1 < n:
                self._add_row(builder, columns, k + 1, a, b[k + 1])
            self._clear_lowest(builder, columns, k)
        return self._less_modulus(builder, columns[n : 2 * n])

    # Arithmetic ------------------------------------------------------------------------------------------

    def mul(self, builder: Any, a: Any, b: Any) -> Any:
        def emit(inner: Any, args: list[Any]) -> Any:
            left, right = (vectors_of(inner, value) for value in args)
            return array_of(inner, self._product(inner, left, self._shifted(inner, right, self.shift)))

        return self._call(builder, "mul", self.held, [a, b], emit)

    def square(self, builder: Any, a: Any) -> Any:
        def emit(inner: Any, args: list[Any]) -> Any:
            n = self.limbs
            # Half of the shift on each side keeps the product symmetric.
            limbs = self._shifted(inner, vectors_of(inner, args[0]), self.shift // 2)
            columns = [self._i(0)] * (2 * n + 1)
            for i in range(n - 1):
                self._add_row(inner, columns, 2 * i + 1, limbs[i + 1 :], limbs[i])
            columns = [inner.add(column, column) for column in columns]
            for i, limb in enumerate(limbs):
                columns[2 * i] = self._low(inner, columns[2 * i], limb, limb)
                columns[2 * i + 1] = self._high(inner, columns[2 * i + 1], limb, limb)
            for k in range(n):
                self._clear_lowest(inner, columns, k)
            return array_of(inner, self._less_modulus(inner, columns[n : 2 * n]))

        return self._call(builder, "square", self.held, [a], emit)

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        pairs = zip(vectors_of(builder, a), vectors_of(builder, b), strict=True)
        return array_of(builder, self._less_modulus(builder, [builder.add(x, y) for x, y in pairs]))

    def sub(self, builder: Any, a: Any, b: Any) -> Any:
        # a + (B^n - 1 - b) + 1: its carry out says that a >= b, and else p is due.
        limbs = [
            builder.add(x, builder.xor(y, self._i(self.base - 1)))
            for x, y in zip(vectors_of(builder, a), vectors_of(builder, b), strict=True)
        ]
        plain, carry = self._rippled(builder, limbs, self.digits(1))
        lifted, _ = self._rippled(builder, plain, self.p)
        enough = builder.icmp_unsigned("!=", carry, self._i(0))
        pairs = zip(plain, lifted, strict=True)
        return array_of(builder, [builder.select(enough, low, high) for low, high in pairs])

    def neg(self, builder: Any, a: Any) -> Any:
        return self.sub(builder, self.constant(0), a)

    def is_zero(self, builder: Any, a: Any) -> Any:
        either = self._i(0)
        for limb in vectors_of(builder, a):
            either = builder.or_(either, limb)
        return builder.icmp_unsigned("==", either, self._i(0))

    def constant(self, value: int) -> Any:
        """A constant taken as it is, not brought into Montgomery form."""
        return ir.Constant(self.held, [self._i(digit) for digit in self.digits(value)])

    def from_limbs(self, builder: Any, limbs: list[Any]) -> Any:
        return array_of(builder, limbs)

    def canonical_limbs(self, builder: Any, value: Any) -> list[Any]:
        return vectors_of(builder, value)

    def from_words(self, builder: Any, words: Any) -> Any:
        """Signed machine integers as elements."""
        below = builder.icmp_signed("<", words, self._i(0))
        # The two's complement magnitude: right for the least int64 too, whose negative does not fit.
        size = builder.select(below, builder.sub(self._i(0), words), words)
        limbs = [builder.and_(size, self._i(self.base - 1)), builder.lshr(size, self._i(_WIDTH))]
        limbs += [self._i(0)] * (self.limbs - 2)
        square = (1 << (128 * self.words)) % self.modulus
        value = self.mul(builder, self.constant(square), array_of(builder, limbs))
        return self.select(builder, below, self.neg(builder, value), value)


class SummingIfma(Ifma):
    """The emitter for Fr, with unreduced sums."""

    # Terms between two carries: each adds at most 10 numbers below 2^52 to a column.
    _TERMS = 256

    def __init__(self, element: Element, limbs: int) -> None:
        super().__init__(element, limbs)
        # One column more than a product has takes the carries of any number of them.
        self.products = LaneState(f"{self.symbol}.products", self, self.vector, 2 * limbs + 1)
        # Columns of the sum of (word + 2^63) element, and then of the sum of the elements.
        self.signed = LaneState(f"{self.symbol}.signed", self, self.vector, 2 * limbs + 4)

    def _carried(self, builder: Any, columns: list[Any]) -> list[Any]:
        """Every carry taken; the last column keeps what it has."""
        plain, carry = [], None
        for k, column in enumerate(columns):
            total = column if carry is None else builder.add(column, carry)
            carry = builder.lshr(total, self._i(_WIDTH))
            plain.append(builder.and_(total, self._i(self.base - 1)) if k < len(columns) - 1 else total)
        return plain

    def _scaled(self, builder: Any, columns: list[Any], factor: int) -> Any:
        """The carried columns' number times `factor` mod p, n limbs at a time."""
        n, total = self.limbs, None
        for start in range(0, len(columns), n):
            part = columns[start : start + n]
            part += [self._i(0)] * (n - len(part))
            constant = self.digits(factor * self.radix * self.radix ** (start // n) % self.modulus)
            # Any number below B^n times one below p, over B^n: below 2 p.
            term = array_of(builder, self._product(builder, part, [self._i(digit) for digit in constant]))
            total = term if total is None else self.add(builder, total, term)
        return total

    def products_add(self, builder: Any, total: Any, a: Any, b: Any) -> Any:
        columns = vectors_of(builder, builder.extract_value(total, 0))
        left = vectors_of(builder, a)
        for k, limb in enumerate(vectors_of(builder, b)):
            self._add_row(builder, columns, k, left, limb)
        count = builder.extract_value(total, 1)
        return self._counted(builder, self.products, columns, count, self._TERMS, self._carried_products)

    def _carried_products(self, builder: Any, columns: list[Any]) -> list[Any]:
        return self._carried(builder, columns)

    def products_reduce(self, builder: Any, total: Any) -> Any:
        def emit(inner: Any, args: list[Any]) -> Any:
            columns = self._carried(inner, vectors_of(inner, args[0]))
            return self._scaled(inner, columns, pow(1 << (64 * self.words), -1, self.modulus))

        return self._call(builder, "products_reduce", self.held, [builder.extract_value(total, 0)], emit)

    def signed_add(self, builder: Any, total: Any, words: Any, a: Any) -> Any:
        n = self.limbs
        columns = vectors_of(builder, builder.extract_value(total, 0))
        limbs = vectors_of(builder, a)
        # Unsigned words: w + 2^63; the sum of the elements times 2^63 is taken off at the end.
        lifted = builder.xor(words, self._i(1 << 63))
        sums, plain = columns[: n + 2], columns[n + 2 :]
        self._add_row(builder, sums, 0, limbs, builder.and_(lifted, self._i(self.base - 1)))
        self._add_row(builder, sums, 1, limbs, builder.lshr(lifted, self._i(_WIDTH)))
        plain[:n] = [builder.add(column, limb) for column, limb in zip(plain[:n], limbs, strict=True)]
        count = builder.extract_value(total, 1)
        return self._counted(builder, self.signed, sums + plain, count, self._TERMS, self._carried_signed)

    def _carried_signed(self, builder: Any, columns: list[Any]) -> list[Any]:
        n = self.limbs
        return self._carried(builder, columns[: n + 2]) + self._carried(builder, columns[n + 2 :])

    def signed_reduce(self, builder: Any, total: Any) -> Any:
        n = self.limbs

        def emit(inner: Any, args: list[Any]) -> Any:
            columns = self._carried_signed(inner, vectors_of(inner, args[0]))
            sums = self._scaled(inner, columns[: n + 2], 1)
            plain = self._scaled(inner, columns[n + 2 :], 1 << 63)
            return self.sub(inner, sums, plain)

        return self._call(builder, "signed_reduce", self.held, [builder.extract_value(total, 0)], emit)


def _emulated(self: Any, builder: Any, half: str, total: Any, a: Any, b: Any) -> Any:
    """The two instructions on ordinary 64-bit ones, by halves of 26 bits."""
    low, high = [], []
    for value in (a, b):
        value = builder.and_(value, self._i(self.base - 1))
        low.append(builder.and_(value, self._i((1 << 26) - 1)))
        high.append(builder.lshr(value, self._i(26)))
    bottom = builder.mul(low[0], low[1])
    middle = builder.add(builder.mul(low[0], high[1]), builder.mul(high[0], low[1]))
    if half == "l":
        whole = builder.add(bottom, builder.shl(middle, self._i(26)))
        return builder.add(total, builder.and_(whole, self._i(self.base - 1)))
    carry = builder.lshr(builder.add(middle, builder.lshr(bottom, self._i(26))), self._i(26))
    return builder.add(total, builder.add(builder.mul(high[0], high[1]), carry))


class Emulated(Ifma):
    """`Ifma` on the instructions that every processor has: slow, for tests."""

    path = "emulated"
    _instruction = _emulated


class SummingEmulated(SummingIfma):
    """`SummingIfma` in the same way."""

    path = "emulated"
    _instruction = _emulated
