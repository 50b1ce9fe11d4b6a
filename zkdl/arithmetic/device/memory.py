"""Elements between memory and registers: flat arrays of limbs, scratch arrays, machine integers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import errors

from .instructions import instruction, same_elements
from .tags import BY_TAG

_I64 = ir.IntType(64)


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
