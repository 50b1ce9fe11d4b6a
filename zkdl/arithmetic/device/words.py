"""Field types, and the wide-integer arithmetic that their instructions emit.

An element of Fr is one `i256` value, an element of Fq one `i384` value, in Montgomery form x R mod p with
R = 2^(64 limbs), always in [0, p). Products are emitted word by word, as sums a b + c + d of 64-bit words
that fit 128 bits exactly: LLVM makes `mulx`/`adc` of them on x86-64 and `mul`/`umulh` on aarch64, which plain
numba source cannot express. Additions and comparisons are left to LLVM's own wide integers.

Both moduli leave at least one spare top bit, so the sum of two elements never overflows and the sign of a
difference is its top bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

R_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
Q_MODULUS = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB

_I64 = ir.IntType(64)
_I128 = ir.IntType(128)


class Element(types.Type):
    """numba type of one field element held in registers."""

    def __init__(self, name: str, modulus: int, limbs: int) -> None:
        super().__init__(name=f"zkdl.{name}")
        self.symbol = f"zkdl_{name}"
        self.modulus = modulus
        self.limbs = limbs
        # How many elements one value holds.
        self.lanes = 1
        # What emits its instructions: `scalar.Scalar`.
        self.arithmetic: Any = None
        self.bits = 64 * limbs
        self.integer = ir.IntType(self.bits)
        # -p^-1 mod 2^64, the factor that clears the lowest limb in a Montgomery step.
        self.inverse = pow(-modulus, -1, 1 << 64)
        self.r2 = (1 << (2 * self.bits)) % modulus
        self.one = (1 << self.bits) % modulus


@register_model(Element)
class WideModel(models.PrimitiveModel):
    """How numba holds such a value: as the LLVM integer itself."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, fe_type.integer)


FR = Element("fr", R_MODULUS, 4)
FQ = Element("fq", Q_MODULUS, 6)


def constant_of(element: Element, value: int) -> ir.Constant:
    """A wide constant, taken as it is (not brought into Montgomery form)."""
    return ir.Constant(element.integer, value)


def words_of(builder: Any, value: Any, count: int) -> list[Any]:
    """The lowest `count` 64-bit words of a wide value."""
    out = []
    for k in range(count):
        word = builder.lshr(value, ir.Constant(value.type, 64 * k)) if k else value
        out.append(builder.trunc(word, _I64))
    return out


def joined(builder: Any, words: list[Any], width: ir.IntType) -> Any:
    """The wide value with these 64-bit words, lowest first."""
    total = None
    for k, word in enumerate(words):
        word = builder.zext(word, width)
        if k:
            word = builder.shl(word, ir.Constant(width, 64 * k))
        total = word if total is None else builder.or_(total, word)
    return total


def _word(value: int) -> ir.Constant:
    return ir.Constant(_I64, value)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any, d: Any = None) -> tuple[Any, Any]:
    """Low and high word of a b + c + d: at most (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1."""
    total = builder.mul(builder.zext(a, _I128), builder.zext(b, _I128))
    total = builder.add(total, builder.zext(c, _I128))
    if d is not None:
        total = builder.add(total, builder.zext(d, _I128))
    return builder.trunc(total, _I64), builder.trunc(builder.lshr(total, ir.Constant(_I128, 64)), _I64)


def add_multiple(builder: Any, words: list[Any], factor: Any, onto: list[Any]) -> list[Any]:
    """The words of onto + words x factor, one more than `words`; `onto` has as many words as `words`."""
    out, carry = [], _word(0)
    for word, start in zip(words, onto, strict=True):
        low, carry = _multiply_add(builder, word, factor, start, carry)
        out.append(low)
    return [*out, carry]


def product_words(builder: Any, a: list[Any], b: list[Any]) -> list[Any]:
    """The words of a b, as many as a and b have together."""
    out = [_word(0)] * len(a)
    for k, factor in enumerate(b):
        out[k:] = add_multiple(builder, a, factor, out[k:])
    return out


def subtract_once(builder: Any, element: Element, value: Any) -> Any:
    """value in [0, 2p) -> value mod p."""
    lowered = builder.sub(value, constant_of(element, element.modulus))
    return builder.select(negative(builder, lowered), value, lowered)


def negative(builder: Any, value: Any) -> Any:
    """Whether the top bit is set."""
    return builder.icmp_signed("<", value, ir.Constant(value.type, 0))


def _clear_word(builder: Any, element: Element, total: list[Any]) -> list[Any]:
    """(total + m p) / 2^64 for the m that makes it whole; the words of total, one fewer."""
    n = element.limbs
    modulus = [_word((element.modulus >> (64 * k)) & (2**64 - 1)) for k in range(n)]
    factor = builder.mul(total[0], _word(element.inverse))
    cleared = add_multiple(builder, modulus, factor, total[:n])
    if len(total) > n:
        # No carry: the whole is below 2 p 2^64, and p leaves a bit of its top word free.
        cleared[n] = builder.add(cleared[n], total[n])
    return cleared[1:]


def emit_multiply(builder: Any, element: Element, a: Any, b: Any) -> Any:
    """Montgomery product a b / R mod p.

    a must be below p; b may be any integer below R, which is how raw integers enter Montgomery form.
    """
    n = element.limbs
    a_words = words_of(builder, a, n)
    total = [_word(0)] * n
    for word in words_of(builder, b, n):
        total = _clear_word(builder, element, add_multiple(builder, a_words, word, total))
    return subtract_once(builder, element, joined(builder, total, element.integer))


def emit_square(builder: Any, element: Element, a: Any) -> Any:
    """Montgomery square a^2 / R mod p of a < p: the mixed products once, doubled, then the reduction."""
    n = element.limbs
    double = ir.IntType(128 * n)
    words = words_of(builder, a, n)
    mixed = [_word(0)] * (2 * n)
    for k in range(n - 1):
        mixed[2 * k + 1 : n + k + 1] = add_multiple(
            builder, words[k + 1 :], words[k], mixed[2 * k + 1 : n + k]
        )
    doubled = builder.shl(joined(builder, mixed, double), ir.Constant(double, 1))
    pure: list[Any] = []
    for word in words:
        pure += _multiply_add(builder, word, word, _word(0))
    square = builder.add(doubled, joined(builder, pure, double))
    low = words_of(builder, square, 2 * n)
    total, high = low[:n], joined(builder, low[n:], element.integer)
    for _ in range(n):
        total = _clear_word(builder, element, total)
    # The low half comes out at most p, the high half is below p^2 / R, and their sum below 2 p.
    return subtract_once(builder, element, builder.add(joined(builder, total, element.integer), high))


def function_named(
    builder: Any, name: str, result: ir.Type, operands: list[ir.Type], emit: Callable[[Any, list[Any]], Any]
) -> Any:
    """The module's function `name`, emitted on first use; linked modules share one copy (`linkonce_odr`)."""
    module = builder.module
    found = module.globals.get(name)
    if found is not None:
        return found
    function = ir.Function(module, ir.FunctionType(result, operands), name=name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    inner = ir.IRBuilder(function.append_basic_block("entry"))
    inner.ret(emit(inner, list(function.args)))
    return function
