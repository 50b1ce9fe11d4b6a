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
from numba.core import errors
from numba.extending import intrinsic

from .lanes import LaneElement, LaneType
from .tags import BY_TAG, FQ_TAG, FR_TAG
from .words import Element, constant_of

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


def instruction(build: Callable[..., Any]) -> Any:
    """`numba.extending.intrinsic`, hiding from the type checker that calls leave out the typing context."""
    return intrinsic(build)


def same_elements(*operands: Any) -> Any:
    """The one element type of all operands, or a typing error."""
    first = operands[0]
    if not isinstance(first, Element | LaneElement) or any(other != first for other in operands):
        raise errors.TypingError(f"expected elements of one field and path, got {operands}")
    return first


def scalar_element(*operands: Any) -> Element:
    """The same, for what is done one element at a time only."""
    element = same_elements(*operands)
    if not isinstance(element, Element):
        raise errors.TypingError(f"expected single elements, got {operands}")
    return element


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
        if not isinstance(mask, LaneType):
            return args[0]
        whole = builder.bitcast(args[0], ir.IntType(args[0].type.count))
        return builder.icmp_unsigned("!=", whole, ir.Constant(whole.type, 0))

    return types.boolean(mask), codegen


# Memory --------------------------------------------------------------------------------------------------


@instruction
def lanes(typing_context: Any, tag: Any) -> Any:
    """How many elements a value of this tag holds: a loop steps by so many."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, element.lanes)

    return types.intp(tag), codegen


def _wide_index(builder: Any, index: Any) -> Any:
    return builder.sext(index, _I64) if index.type.width < 64 else index


def _limb_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, limbs: int) -> Any:
    """Address of limb 0 of the element at `index` of a flat, contiguous uint64 array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [builder.mul(_wide_index(builder, index), ir.Constant(_I64, limbs))])


def _pointers(context: Any, builder: Any, array_type: Any, array: Any, index: Any, element: Any) -> list[Any]:
    """The addresses of the elements from `index` on, one for each lane."""
    first = _limb_pointer(context, builder, array_type, array, index, element.limbs)
    rest = range(1, element.lanes)
    return [first, *(builder.gep(first, [ir.Constant(_I64, lane * element.limbs)]) for lane in rest)]


def _named_pointers(
    context: Any, builder: Any, types_of: Any, array: Any, indices: Any, start: Any, element: Any
) -> list[Any]:
    """The addresses of the elements whose numbers are indices[start ...]."""
    data = context.make_array(types_of[1])(context, builder, indices).data
    data = builder.gep(data, [_wide_index(builder, start)])
    out = []
    for lane in range(element.lanes):
        index = builder.load(builder.gep(data, [ir.Constant(_I64, lane)]))
        out.append(_limb_pointer(context, builder, types_of[0], array, index, element.limbs))
    return out


def _check_flat(array: Any, *kinds: Any) -> None:
    wanted = kinds or (types.uint64,)
    if not (
        isinstance(array, types.Array) and array.dtype in wanted and array.ndim == 1 and array.layout == "C"
    ):
        raise errors.TypingError(f"expected a flat contiguous array of {wanted}, got {array}")


@instruction
def load(typing_context: Any, tag: Any, array: Any, index: Any) -> Any:
    """The elements from number `index` on of a flat array of limbs, one in each lane."""
    _check_flat(array)
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, builder, array, args[1], args[2], element)
        return element.arithmetic.load(builder, pointers)

    return element(tag, array, types.intp), codegen


@instruction
def spread(typing_context: Any, tag: Any, array: Any, index: Any) -> Any:
    """Element number `index` in every lane; for one lane the same as `load`."""
    _check_flat(array)
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[1], args[2], element.limbs)
        return element.arithmetic.spread(builder, pointer)

    return element(tag, array, types.intp), codegen


@instruction
def gather(typing_context: Any, tag: Any, array: Any, indices: Any, start: Any) -> Any:
    """The elements number indices[start], indices[start + 1] ..., one in each lane."""
    _check_flat(array)
    _check_flat(indices, types.int64, types.int32)
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = (array, indices)
        pointers = _named_pointers(context, builder, kinds, args[1], args[2], args[3], element)
        return element.arithmetic.load(builder, pointers)

    return element(tag, array, indices, types.intp), codegen


@instruction
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the lanes as the elements from number `index` on of a flat array of limbs."""
    _check_flat(array)
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, builder, array, args[0], args[1], element)
        element.arithmetic.store(builder, pointers, args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@instruction
def scatter(typing_context: Any, array: Any, indices: Any, start: Any, value: Any) -> Any:
    """Write the lanes as the elements number indices[start], indices[start + 1] ...; no two may be equal."""
    _check_flat(array)
    _check_flat(indices, types.int64, types.int32)
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = (array, indices)
        pointers = _named_pointers(context, builder, kinds, args[0], args[1], args[2], element)
        element.arithmetic.store(builder, pointers, args[3])
        return context.get_dummy_value()

    return types.void(array, indices, types.intp, value), codegen


@instruction
def store_sum(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the sum over the lanes of `value` as element number `index`; for one lane the same as `store`."""
    _check_flat(array)
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[0], args[1], element.limbs)
        element.arithmetic.store_sum(builder, pointer, args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@instruction
def kept_words(typing_context: Any, tag: Any) -> Any:
    """How many words of a scratch array `keep` takes for one value."""
    size = BY_TAG[tag].arithmetic.kept_words

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, size)

    return types.intp(tag), codegen


def _kept_pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, element: Any) -> Any:
    arithmetic = element.arithmetic
    pointer = _limb_pointer(context, builder, kind, array, index, arithmetic.kept_words)
    return builder.bitcast(pointer, arithmetic.held.as_pointer())


@instruction
def keep(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write all lanes as number `index` of a flat uint64 scratch array, in the form they have in registers.

    That is cheaper than `store`. Only `kept` on the same path can read it.
    """
    _check_flat(array)
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _kept_pointer(context, builder, array, args[0], args[1], element)
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@instruction
def kept(typing_context: Any, tag: Any, array: Any, index: Any) -> Any:
    """What `keep` wrote as number `index`."""
    _check_flat(array)
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_kept_pointer(context, builder, array, args[1], args[2], element), align=8)

    return element(tag, array, types.intp), codegen


# Machine integers, one for each lane ---------------------------------------------------------------------


@instruction
def load_words(typing_context: Any, tag: Any, array: Any, index: Any) -> Any:
    """The integers array[index], array[index + 1] ... of a flat int64 array, one in each lane."""
    _check_flat(array, types.int64)
    arithmetic = BY_TAG[tag].arithmetic

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _limb_pointer(context, builder, array, args[1], args[2], 1)
        return arithmetic.load_words(builder, pointer)

    return arithmetic.word(tag, array, types.intp), codegen


@instruction
def spread_word(typing_context: Any, tag: Any, word: Any) -> Any:
    """One integer in every lane."""
    arithmetic = BY_TAG[tag].arithmetic

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return arithmetic.spread_word(builder, args[1])

    return arithmetic.word(tag, types.int64), codegen


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
