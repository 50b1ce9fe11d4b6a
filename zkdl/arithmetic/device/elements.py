"""Prime-field elements as wide LLVM integers, and the instructions on them.

An element of Fr is one `i256` value, an element of Fq one `i384` value, in Montgomery form x R mod p with
R = 2^(64 limbs), always in [0, p). LLVM lowers wide integers to 64-bit carry chains by itself (`mulx`/`adc`
on x86-64, `umulh`/`adcs` on aarch64), which is what plain numba source cannot express.

The instructions (`mul`, `add`, `load` ...) are numba intrinsics that look at the *type* of their operands,
so one kernel source serves both fields. Multiplications are emitted once per module as real functions and
called: inlining 70 multiply instructions at each use would cost the user seconds of compilation and gain
nothing.

Both moduli leave at least one spare top bit, so the sum of two elements never overflows and the sign of a
difference is its top bit. A vector back end can come in beside this one as another element type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import errors
from numba.extending import intrinsic, models, register_model

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

# Arguments that carry a field in their type only: the value is never looked at.
FR_TAG = np.uint8(0)
FQ_TAG = np.uint16(0)
_BY_TAG = {types.uint8: FR, types.uint16: FQ}


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


def word_times(builder: Any, words: list[Any], factor: Any, width: ir.IntType) -> Any:
    """(sum of words[k] 2^64k) x factor as one integer of `width` bits.

    The low halves of the 128-bit products do not overlap each other, nor do the high halves, so each group is
    put together by `or`, and the whole row costs one carry chain.
    """
    factor = builder.zext(factor, _I128)
    low = high = None
    for k, word in enumerate(words):
        product = builder.mul(builder.zext(word, _I128), factor)
        lo = builder.zext(builder.trunc(product, _I64), width)
        hi = builder.zext(builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64), width)
        if k:
            lo = builder.shl(lo, ir.Constant(width, 64 * k))
        hi = builder.shl(hi, ir.Constant(width, 64 * (k + 1)))
        low = lo if low is None else builder.or_(low, lo)
        high = hi if high is None else builder.or_(high, hi)
    return builder.add(low, high)


def _negative(builder: Any, value: Any) -> Any:
    return builder.icmp_signed("<", value, ir.Constant(value.type, 0))


def subtract_once(builder: Any, element: Element, value: Any) -> Any:
    """value in [0, 2p) -> value mod p."""
    lowered = builder.sub(value, constant_of(element, element.modulus))
    return builder.select(_negative(builder, lowered), value, lowered)


def _emit_multiply(builder: Any, element: Element, a: Any, b: Any) -> Any:
    """Montgomery product a b / R mod p: one row of a and one row of p for each limb of b.

    a must be below p; b may be any integer below R, which is how raw integers enter Montgomery form.
    """
    n = element.limbs
    width = ir.IntType(64 * (n + 1))
    a_words, b_words = words_of(builder, a, n), words_of(builder, b, n)
    p_words = [ir.Constant(_I64, (element.modulus >> (64 * k)) & (2**64 - 1)) for k in range(n)]
    total = None
    for word in b_words:
        row = word_times(builder, a_words, word, width)
        total = row if total is None else builder.add(total, row)
        factor = builder.mul(builder.trunc(total, _I64), ir.Constant(_I64, element.inverse))
        cleared = builder.add(total, word_times(builder, p_words, factor, width))
        total = builder.lshr(cleared, ir.Constant(width, 64))
    return subtract_once(builder, element, builder.trunc(total, element.integer))


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


def call_multiply(builder: Any, element: Element, a: Any, b: Any) -> Any:
    """A call of the field's Montgomery product."""
    integer = element.integer
    function = function_named(
        builder,
        f"{element.symbol}_mul",
        integer,
        [integer, integer],
        lambda inner, args: _emit_multiply(inner, element, *args),
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
def add(typing_context: Any, a: Any, b: Any) -> Any:
    """a + b."""
    element = same_elements(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return subtract_once(builder, element, builder.add(*args))

    return element(a, b), codegen


def _emit_sub(builder: Any, element: Element, a: Any, b: Any) -> Any:
    difference = builder.sub(a, b)
    lift = builder.select(
        _negative(builder, difference), constant_of(element, element.modulus), constant_of(element, 0)
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
        element = _BY_TAG[tag]

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
    element = _BY_TAG[tag]

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
def from_word(typing_context: Any, tag: Any, word: Any) -> Any:
    """The *plain* integer `word` (uint64) as a wide value; multiply by `r_squared` for Montgomery form."""
    element = _BY_TAG[tag]

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
