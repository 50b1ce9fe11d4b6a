"""Four lanes on AVX2 + FMA: elements as short signed integers held in doubles, products by pairs of FMAs.

An element is a sum of d_k B^k with B = 2^w (w = 43 and six limbs for Fr, 48 and eight for Fq). Every limb is
an integer that a double holds exactly. The high and the low half of a product of limbs come from two fused
multiply-adds (N. Emmart's trick): with a constant C so large that its last place is U, a multiple of B,

    h = fma(a, b, C)         a b rounded to a multiple of U, plus C;
    l = fma(a, b, C - h)     what that rounding left over, at most U / 2, exactly.

Here U = B, with C = 1.5 2^52 B. Both are sums of integers, so a column of a schoolbook product is accumulated
in place: h runs through the chain h' = fma(a, b, h), and the left-overs l = fma(a, b, h - h') are added up.
All is right under rounding to nearest, the mode that every program starts in; nothing is set or restored.
Fast-math flags must never be put on these instructions.

What is kept true of every element between instructions, with p the modulus:

    value      |x| < p, strictly. So x = 0 mod p means x = 0.
    limbs      |d_k| <= B; as few as one carry from the neighbour makes |d_k| <= B / 2 + 2^8 of it. The last
               limb is what the value leaves over, below p / B^(n-1) + 2: 2^45 for Fq, 2^40 for Fr. A number
               that is zero has zero limbs: d_0 is a multiple of B then, and loaded limbs are canonical,
               carried ones are below B; so d_0 = 0, and so on upwards.

Why nothing overflows, for the n = 8, B = 2^48 of Fq (Fr has 9 bits more to spare); a test adds it up:

    chains     the terms of a column, those of its reduction included, add up to less than B 2^51, so that a
               chain stays between 2^52 B and 2^53 B, where the last place is B.
    left-overs |l| <= B / 2, 16 in a column at most: 2^51. The first one has 1.5 2^52 taken off, which the
               chain of the column below, divided by B, brings back: at most 2^53 on the way, all integers.
    carries    (x + C) - C rounds |x| <= 2^53 to the nearest multiple of B.

The Montgomery product: T = a b in 2 n columns; E = the low n of them, carried once; Q = E (-1/p) mod B^n,
carried once; then E + Q p is a multiple of B^n and (T + Q p) / B^n is the result. |E|, |Q| <= B^n / 2 (1 +
2^-30), so it is at most |a b| / B^n + p / 2 (1 + 2^-30), below p for |a|, |b| < p as p < 2^256 / 2.2. Only
the columns from n - 1 on are worked out for Q p: of the columns below it is known that they cancel E but for
one number, which column n - 1 gives after rounding. Three short phases of independent columns instead of n
steps that wait for each other.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from llvmlite import ir

from .assembly import Piece, Tracer, emit_assembled
from .lanes import array_of, vectors_of
from .vector import Vector
from .words import Element

_ONE_52 = 2.0**52

# Column -> (chain, sum of left-overs).
_Columns: TypeAlias = dict[int, tuple[Any, Any]]


class Doubles(Vector):
    """The emitter for one field."""

    path = "avx2"

    def __init__(self, element: Element, limbs: int, width: int) -> None:
        super().__init__(element, 4, limbs, width, ir.DoubleType())
        self.anchor = 1.5 * 2.0 ** (52 + width)
        self.p = [float(d) for d in self._balanced(element.modulus, False)]
        inverse = -pow(element.modulus, -1, self.radix) % self.radix
        self.v = [float(d) for d in self._balanced(inverse, True)]
        self._pieces: dict[str, Piece] = {}

    def _balanced(self, value: int, wrap: bool) -> list[int]:
        """Limbs in [-B/2, B/2]; the last takes what is left, or only that modulo B if `wrap`."""
        out = []
        for k in range(self.limbs):
            digit = value % self.base
            if digit >= self.base // 2 and (wrap or k < self.limbs - 1):
                digit -= self.base
            if k == self.limbs - 1 and not wrap:
                digit = value
            value = (value - digit) >> self.width
            out.append(digit)
        return out

    # Building blocks -------------------------------------------------------------------------------------

    def _c(self, value: float) -> ir.Constant:
        return ir.Constant(self.vector, [float(value)] * self.lanes)

    def _fma(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        if isinstance(builder, Tracer):
            return builder.fma(a, b, c)
        name = f"llvm.fma.v{self.lanes}f64"
        module = builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(self.vector, [self.vector] * 3), name)
        return builder.call(function, [a, b, c])

    def _multiply_add(self, builder: Any, columns: _Columns, k: int, a: Any, b: Any) -> None:
        """Add a b to column k: (chain, sum of left-overs), either None as long as it is empty."""
        before, low = columns.get(k, (None, None))
        if before is not None or low is not None or k == 0:
            before = self._c(self.anchor) if before is None else before
            after = self._fma(builder, a, b, before)
            rest = self._fma(builder, a, b, builder.fsub(before, after))
        else:
            # The anchor of the chain below, which `_column` adds in, is taken off here for nothing.
            after = self._fma(builder, a, b, self._c(self.anchor))
            rest = self._fma(
                builder, a, b, builder.fsub(self._c(self.anchor * (1.0 - 1.0 / self.base)), after)
            )
        columns[k] = (after, rest if low is None else builder.fadd(low, rest))

    def _multiply_all(
        self, builder: Any, columns: _Columns, pairs: list[tuple[int, int]], a: Any, b: Any
    ) -> None:
        """a_i b_j for all pairs, four columns at a time.

        That is enough chains to hide the latency, and few enough that their ends stay in registers, with a
        window of four limbs of b that moves by one for each limb of a.
        """
        start = min(i + j for i, j in pairs)
        for _, i, j in sorted(((i + j - start) // 4, i, j) for i, j in pairs):
            self._multiply_add(builder, columns, i + j, a[i], b[j])

    def _column(self, builder: Any, columns: _Columns, k: int) -> Any:
        """Column k as one number: its left-overs and what the chain of column k - 1 carries into it."""
        low = columns[k][1] if k in columns else None
        if k == 0:
            return low
        chain, down = columns[k - 1][0], self._c(1.0 / self.base)
        if low is None:
            return builder.fmul(builder.fsub(chain, self._c(self.anchor)), down)
        return self._fma(builder, chain, down, low)

    def _round(self, builder: Any, value: Any) -> Any:
        """The nearest multiple of B."""
        constant = self._c(self.anchor)
        return builder.fsub(builder.fadd(value, constant), constant)

    def _carried(self, builder: Any, columns: list[Any], last: bool) -> tuple[list[Any], Any]:
        """One carry from every limb to the next, all at once; from the last one too if `last`.

        Returns:
            The limbs, and what the last one carries times B.
        """
        out, carry = [], None
        for k, value in enumerate(columns):
            high = None
            if last or k < len(columns) - 1:
                high = self._round(builder, value)
                value = builder.fsub(value, high)
            if carry is not None:
                value = self._fma(builder, carry, self._c(1.0 / self.base), value)
            out.append(value)
            carry = high
        return out, carry

    def _weakly_reduced(self, builder: Any, limbs: list[Any]) -> list[Any]:
        """x - q p for the integer q nearest to x / p: in +-p (1/2 + 2^-30). For |x| up to 2^8 p.

        The last limb alone gives q: the others are below 2^-30 of p.
        """
        top = self.modulus / self.base ** (self.limbs - 1)
        shift = self._c(1.5 * _ONE_52)
        q = self._fma(builder, limbs[-1], self._c(-1.0 / top), shift)
        minus_q = builder.fsub(q, shift)
        lowered = [
            self._fma(builder, minus_q, self._c(digit), limb)
            for digit, limb in zip(self.p, limbs, strict=True)
        ]
        return self._carried(builder, lowered, False)[0]

    def _reduced(
        self, builder: Any, columns: _Columns, tail: list[Any] | None, rest: Any = None
    ) -> list[Any]:
        """(the 2 n columns) / B^n mod p, before any weak reduction.

        `tail` gives the columns as finished numbers; `columns` is empty then. `rest` holds pairs of factors
        of columns from n on that are still missing: they fill the time in which carries wait.
        """
        n = self.limbs
        p, v = [self._c(digit) for digit in self.p], [self._c(digit) for digit in self.v]
        pairs = [(i, j) for i in range(n) for j in range(n)]
        lower = tail[:n] if tail else [self._column(builder, columns, k) for k in range(n)]
        low, carry = self._carried(builder, lower, True)
        if rest:
            rest(0)
        inner: _Columns = {}
        self._multiply_all(builder, inner, [pair for pair in pairs if sum(pair) < n], low, v)
        q, _ = self._carried(builder, [self._column(builder, inner, k) for k in range(n)], True)
        if rest:
            rest(1)
        # E + Q p below column n is a multiple of B^n, whose factor is small: column n - 1 rounded. Of column
        # n - 2 only the carry matters, and of that only a few bits.
        below = builder.fmul(q[0], p[n - 2])
        for i in range(1, n - 1):
            below = self._fma(builder, q[i], p[n - 2 - i], below)
        outer: _Columns = {n - 1: (self._c(self.anchor) if tail else columns[n - 1][0], None)}
        self._multiply_all(builder, outer, [pair for pair in pairs if sum(pair) == n - 1], q, p)
        chain, last = outer[n - 1]
        last = self._fma(builder, below, self._c(1.0 / self.base), builder.fadd(last, low[n - 1]))
        carry = builder.fadd(carry, self._round(builder, last))
        columns[n - 1] = (chain, None)
        self._multiply_all(builder, columns, [pair for pair in pairs if sum(pair) >= n], q, p)
        result = [self._column(builder, columns, n + k) for k in range(n)]
        if tail:
            result = [builder.fadd(a, b) for a, b in zip(result, tail[n:], strict=True)]
        result[0] = self._fma(builder, carry, self._c(1.0 / self.base), result[0])
        return self._carried(builder, result, False)[0]

    def _product(self, builder: Any, pairs: list[tuple[int, int]], a: Any, b: Any) -> list[Any]:
        """The Montgomery product of sum of a_i b_j over these pairs."""
        n = self.limbs
        columns: _Columns = {}
        self._multiply_all(builder, columns, [pair for pair in pairs if sum(pair) < n], a, b)

        def rest(part: int) -> None:
            half = [pair for pair in pairs if sum(pair) >= n and (sum(pair) >= n + n // 2) == (part == 1)]
            self._multiply_all(builder, columns, half, a, b)

        return self._reduced(builder, columns, None, rest)

    def _assembled(self, builder: Any, name: str, args: list[Any], record: Any) -> Any:
        """A call of a function that is one piece of assembly."""

        def emit(inner: Any, values: list[Any]) -> Any:
            vectors = [vector for value in values for vector in vectors_of(inner, value)]
            if name not in self._pieces:
                self._pieces[name] = Piece(record, len(vectors))
            table = f"{self.symbol}_{name}_table"
            return array_of(inner, emit_assembled(inner, table, vectors, self._pieces[name]))

        return self._call(builder, name, self.held, args, emit)

    def mul(self, builder: Any, a: Any, b: Any) -> Any:
        def record(trace: Any, inputs: list[Any]) -> list[Any]:
            left, right = inputs[: self.limbs], inputs[self.limbs :]
            if self.scale > 1:
                right = [trace.fmul(limb, self._c(self.scale)) for limb in right]
            pairs = [(i, j) for i in range(self.limbs) for j in range(self.limbs)]
            return self._product(trace, pairs, left, right)

        return self._assembled(builder, "mul", [a, b], record)

    def square(self, builder: Any, a: Any) -> Any:
        n = self.limbs

        def record(trace: Any, limbs: list[Any]) -> list[Any]:
            plain = [trace.fmul(x, self._c(self.scale)) for x in limbs] if self.scale > 1 else limbs
            twice = [trace.fadd(x, x) for x in plain]
            # a_i a_j once for i < j, doubled.
            columns: _Columns = {}

            def add(wanted: range) -> None:
                for k in wanted:
                    for i in range(max(0, k - n + 1), k // 2 + 1):
                        factor = plain if 2 * i == k else twice
                        self._multiply_add(trace, columns, k, limbs[i], factor[k - i])

            parts = (range(n, n + n // 2), range(n + n // 2, 2 * n - 1))
            add(range(n))
            return self._reduced(trace, columns, None, lambda part: add(parts[part]))

        return self._assembled(builder, "square", [a], record)

    def _combined(self, builder: Any, operation: str, a: Any, b: Any) -> Any:
        pairs = zip(vectors_of(builder, a), vectors_of(builder, b), strict=True)
        sums = [getattr(builder, operation)(x, y) for x, y in pairs]
        return array_of(builder, self._weakly_reduced(builder, sums))

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        return self._combined(builder, "fadd", a, b)

    def sub(self, builder: Any, a: Any, b: Any) -> Any:
        return self._combined(builder, "fsub", a, b)

    def neg(self, builder: Any, a: Any) -> Any:
        return array_of(builder, [builder.fsub(self._c(0.0), limb) for limb in vectors_of(builder, a)])

    def is_zero(self, builder: Any, a: Any) -> Any:
        # The sign bit is shifted out: a limb may be minus zero.
        either = self._i(0)
        for limb in vectors_of(builder, a):
            either = builder.or_(either, builder.bitcast(limb, self.bits))
        return builder.icmp_unsigned("==", builder.shl(either, self._i(1)), self._i(0))

    # Memory ----------------------------------------------------------------------------------------------

    def from_limbs(self, builder: Any, limbs: list[Any]) -> Any:
        # A small integer in the mantissa of 2^52.
        placed = [builder.bitcast(builder.or_(limb, self._i(0x433 << 52)), self.vector) for limb in limbs]
        return array_of(builder, [builder.fsub(number, self._c(_ONE_52)) for number in placed])

    def canonical_limbs(self, builder: Any, value: Any) -> list[Any]:
        last = self.limbs - 1
        # x + p in (0, 2 p), with limbs that are all positive: p with 2 B taken from each limb and given to
        # the one below. The last may be just below zero before it is carried into, so it is read as signed.
        limbs = []
        for k, limb in enumerate(vectors_of(builder, value)):
            digit = self.p[k] + (2 * self.base if k < last else 0) - (2 if k else 0)
            moved = builder.fadd(limb, self._c(digit + (1.0 if k < last else 1.5) * _ONE_52))
            moved = builder.bitcast(moved, self.bits)
            if k < last:
                limbs.append(builder.and_(moved, self._i((1 << 52) - 1)))
            else:
                limbs.append(builder.sub(moved, self._i(0x4338 << 48)))
        return self._less_modulus(builder, limbs)

    def constant(self, value: int) -> Any:
        """A constant taken as it is, not brought into Montgomery form."""
        return ir.Constant(self.held, [self._c(digit) for digit in self.digits(value)])

    # Machine integers ------------------------------------------------------------------------------------

    def _halves_of(self, builder: Any, words: Any) -> list[Any]:
        """Signed words as low + high B with 0 <= low < B and |high| <= 2^(63 - w)."""
        exponent, rest = self._i(0x433 << 52), 63 - self.width
        low = builder.or_(builder.and_(words, self._i(self.base - 1)), exponent)
        high = builder.lshr(builder.xor(words, self._i(1 << 63)), self._i(self.width))
        high = builder.or_(high, exponent)
        return [
            builder.fsub(builder.bitcast(low, self.vector), self._c(_ONE_52)),
            builder.fsub(builder.bitcast(high, self.vector), self._c(_ONE_52 + 2.0**rest)),
        ]

    def from_words(self, builder: Any, words: Any) -> Any:
        """Signed machine integers as elements."""
        limbs = self._halves_of(builder, words) + [self._c(0.0)] * (self.limbs - 2)
        square = (self.radix // self.scale) ** 2 % self.modulus
        return self.mul(builder, self.constant(square), array_of(builder, limbs))
