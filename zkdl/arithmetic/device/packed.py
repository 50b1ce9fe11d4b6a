"""Elements kept in memory as registers hold them: no conversion between passes over the same data.

A packed array is flat uint64, owned by one kernel; its slot number k holds one value of a tag, all lanes of
it, in whatever form the path calculates in.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from .elements import instruction, same_elements
from .lanes import LaneElement, array_of, vectors_of
from .tags import BY_TAG

_I64 = ir.IntType(64)


def _words(element: Any) -> int:
    """64-bit words in a slot."""
    if not isinstance(element, LaneElement):
        return int(element.limbs)
    return int(element.held.count * element.lanes)


def _vectors(builder: Any, context: Any, array_type: Any, array: Any, slot: Any, element: Any) -> list[Any]:
    """Addresses of the vectors (or of the one wide integer) in a slot."""
    data = context.make_array(array_type)(context, builder, array).data
    data = builder.gep(data, [builder.mul(slot, ir.Constant(_I64, _words(element)))])
    if not isinstance(element, LaneElement):
        return [builder.bitcast(data, element.integer.as_pointer())]
    kind = element.held.element.as_pointer()
    return [
        builder.bitcast(builder.gep(data, [ir.Constant(_I64, k * element.lanes)]), kind)
        for k in range(element.held.count)
    ]


@instruction
def slot_words(typing_context: Any, tag: Any) -> Any:
    """How many words of a packed array one slot takes."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, _words(element))

    return types.intp(tag), codegen


@instruction
def load_slot(typing_context: Any, tag: Any, array: Any, slot: Any) -> Any:
    """The value in a slot of a packed array."""
    element = BY_TAG[tag]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _vectors(builder, context, array, args[1], args[2], element)
        values = [builder.load(place, align=8) for place in places]
        return array_of(builder, values) if isinstance(element, LaneElement) else values[0]

    return element(tag, array, types.intp), codegen


@instruction
def store_slot(typing_context: Any, array: Any, slot: Any, value: Any) -> Any:
    """Put a value into a slot of a packed array."""
    element = same_elements(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _vectors(builder, context, array, args[0], args[1], element)
        values = vectors_of(builder, args[2]) if isinstance(element, LaneElement) else [args[2]]
        for place, part in zip(places, values, strict=True):
            builder.store(part, place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@instruction
def prefetch_point(typing_context: Any, points: Any, index: Any) -> Any:
    """Ask for point number `index` of a flat array of points, to be read soon; any index will do."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(points)(context, builder, args[0]).data
        byte, small = ir.IntType(8).as_pointer(), ir.IntType(32)
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [byte, small, small, small])
            function = ir.Function(builder.module, kind, name)
        # 96 bytes from an address that is a multiple of 32 lie in two lines of 64.
        for word in (0, 8):
            place = builder.mul(args[1], ir.Constant(_I64, 12))
            place = builder.gep(data, [builder.add(place, ir.Constant(_I64, word))])
            builder.call(function, [builder.bitcast(place, byte), small(0), small(3), small(1)])
        return context.get_dummy_value()

    return types.void(points, types.intp), codegen
