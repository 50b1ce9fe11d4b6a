"""Phases of points against frequencies: integer products modulo 2^32, in vector registers.

A phase is <x, w> modulo 2^32 in turns of 2^-32, for a point x and a frequency w of unsigned 32-bit words.
Frequencies lie in tiles of 16, so that one product of four points and a tile fills eight registers of eight
words and touches memory only to read: 16 multiply-adds a clock where a processor multiplies two registers a
clock. The loop is written as vector instructions of LLVM, which splits them for processors with shorter
registers; whatever it makes of them, integers modulo 2^32 come out the same.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["INDEX_BITS", "PHASE_BITS", "ROWS", "TILE", "places_of_four", "places_of_one", "tiles"]

PHASE_BITS = 32
INDEX_BITS = 12
TILE = 16
ROWS = 4
_LANES = 8
_VECTORS = TILE // _LANES
_SHIFT = PHASE_BITS - INDEX_BITS
_HALF_STEP = 1 << (_SHIFT - 1)  # phases start there: places are rounded to nearest, not down

_WORD, _SIZE = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, _LANES)


def _function(module: Any, rows: int) -> Any:
    """Return the function (points, tile, out, d) of `rows` points, adding it to the module where it is new.

    Its accumulators are all the registers there are, so it is kept apart from its caller: inlined, it would
    share them.
    """
    name = f"dpkit_places_of_{rows}"
    if name in module.globals:
        return module.globals[name]
    pointer = _WORD.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer, _SIZE]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    points, tile, out, d = function.args
    entry, head, body, end = (function.append_basic_block(part) for part in ("entry", "head", "body", "end"))

    def vectors(builder: Any, start: Any, count: int) -> list[Any]:
        places = [builder.gep(start, [_SIZE(_LANES * v)]) for v in range(count)]
        return [builder.bitcast(place, _VECTOR.as_pointer()) for place in places]

    builder = ir.IRBuilder(entry)
    starts = [points]
    for _ in range(rows - 1):
        starts.append(builder.gep(starts[-1], [d]))
    builder.branch(head)

    builder.position_at_end(head)
    k = builder.phi(_SIZE)
    k.add_incoming(_SIZE(0), entry)
    sums = [builder.phi(_VECTOR) for _ in range(rows * _VECTORS)]
    for value in sums:
        value.add_incoming(ir.Constant(_VECTOR, [_HALF_STEP] * _LANES), entry)
    builder.cbranch(builder.icmp_unsigned("<", k, d), body, end)

    builder.position_at_end(body)
    unset, everywhere = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_VECTOR, [0] * _LANES)
    words = vectors(builder, builder.gep(tile, [builder.mul(k, _SIZE(TILE))]), _VECTORS)
    words = [builder.load(place, align=4) for place in words]
    for r in range(rows):
        one = builder.insert_element(unset, builder.load(builder.gep(starts[r], [k])), _WORD(0))
        x = builder.shuffle_vector(one, unset, everywhere)
        for v in range(_VECTORS):
            value = sums[r * _VECTORS + v]
            value.add_incoming(builder.add(value, builder.mul(x, words[v])), body)
    k.add_incoming(builder.add(k, _SIZE(1)), body)
    builder.branch(head)

    builder.position_at_end(end)
    shift = ir.Constant(_VECTOR, [_SHIFT] * _LANES)
    for value, place in zip(sums, vectors(builder, out, len(sums)), strict=True):
        builder.store(builder.lshr(value, shift), place, align=4)
    builder.ret_void()
    return function


def _builder(rows: int) -> Any:
    def build(typingctx: Any, points: Any, row: Any, words: Any, t: Any, out: Any) -> Any:
        signature = types.void(points, types.int64, words, types.int64, out)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x, w, places = (
                context.make_array(signature.args[i])(context, builder, args[i]) for i in (0, 2, 4)
            )
            d = builder.extract_value(x.shape, 1)
            start = builder.gep(x.data, [builder.mul(args[1], d)])
            tile = builder.gep(w.data, [builder.mul(args[3], builder.mul(d, _SIZE(TILE)))])
            builder.call(_function(builder.module, rows), [start, tile, places.data, d])
            return context.get_dummy_value()

        return signature, codegen

    return build


places_of_four: Any = intrinsic(_builder(ROWS))
"""In compiled code: (points, row, words, t, out) writes the places of four points, from `row`, in tile t.

`points` (rows, d) and `words` (tiles, d, 16) are C-ordered uint32, `out` at least 64 uint32; entry 16 r + j
becomes round(phase / 2^20) mod 2^12 of point `row` + r and frequency 16 t + j.
"""
places_of_one: Any = intrinsic(_builder(1))
"""As `places_of_four`, for a single point: `out` gets 16 entries."""


def tiles(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return (m, d) frequencies as tiles (ceil(m/16), d, 16), the last one padded with zero frequencies."""
    m, d = words.shape
    count = -(-m // TILE)
    padded = np.zeros((count * TILE, d), dtype=np.uint32)
    padded[:m] = words
    return np.ascontiguousarray(padded.reshape(count, TILE, d).transpose(0, 2, 1))
