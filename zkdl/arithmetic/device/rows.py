"""Vectors of words from rows of words and back: the transposition between memory and lanes.

In memory the limbs of one element lie side by side; a vector register holds one limb of several elements.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


def shuffle(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    """The vector of the entries `places` of a and b put together."""
    mask = ir.Constant(ir.VectorType(_I32, len(places)), [ir.Constant(_I32, place) for place in places])
    return builder.shuffle_vector(a, b, mask)


def broadcast(builder: Any, value: Any, lanes: int) -> Any:
    """The scalar in every lane."""
    vector = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
    return shuffle(builder, first, first, [0] * lanes)


def _four_by_four(builder: Any, rows: list[Any]) -> list[Any]:
    a, b, c, d = rows
    even_low = shuffle(builder, a, b, [0, 4, 2, 6])
    odd_low = shuffle(builder, a, b, [1, 5, 3, 7])
    even_high = shuffle(builder, c, d, [0, 4, 2, 6])
    odd_high = shuffle(builder, c, d, [1, 5, 3, 7])
    return [
        shuffle(builder, even_low, even_high, [0, 1, 4, 5]),
        shuffle(builder, odd_low, odd_high, [0, 1, 4, 5]),
        shuffle(builder, even_low, even_high, [2, 3, 6, 7]),
        shuffle(builder, odd_low, odd_high, [2, 3, 6, 7]),
    ]


def _pointer(builder: Any, pointer: Any, word: int, width: int) -> Any:
    if word:
        pointer = builder.gep(pointer, [ir.Constant(_I64, word)])
    return builder.bitcast(pointer, ir.VectorType(_I64, width).as_pointer())


def _load(builder: Any, pointer: Any, word: int, width: int) -> Any:
    return builder.load(_pointer(builder, pointer, word, width), align=8)


def _store(builder: Any, value: Any, pointer: Any, word: int, width: int) -> None:
    builder.store(value, _pointer(builder, pointer, word, width), align=8)


def load_rows(builder: Any, pointers: list[Any], words: int) -> list[Any]:
    """Word k of every row as vector k, for rows of 4 or 6 words and 4 or 8 of them."""
    if len(pointers) == 8:
        halves = [load_rows(builder, pointers[half : half + 4], words) for half in (0, 4)]
        return [shuffle(builder, low, high, list(range(8))) for low, high in zip(*halves, strict=True)]
    out = _four_by_four(builder, [_load(builder, pointer, 0, 4) for pointer in pointers])
    if words == 6:
        a, b, c, d = (_load(builder, pointer, 4, 2) for pointer in pointers)
        left, right = shuffle(builder, a, c, [0, 1, 2, 3]), shuffle(builder, b, d, [0, 1, 2, 3])
        out += [shuffle(builder, left, right, [0, 4, 2, 6]), shuffle(builder, left, right, [1, 5, 3, 7])]
    return out


def store_rows(builder: Any, pointers: list[Any], vectors: list[Any]) -> None:
    """The inverse of `load_rows`; fewer pointers than lanes write the first lanes only."""
    lanes = vectors[0].type.count
    if lanes == 8:
        for half in (0, 4):
            part = [
                shuffle(builder, vector, vector, list(range(half, half + 4)))
                for vector in vectors
                if half < len(pointers)
            ]
            if part:
                store_rows(builder, pointers[half : half + 4], part)
        return
    rows = _four_by_four(builder, vectors[:4])
    for pointer, row in zip(pointers, rows, strict=False):
        _store(builder, row, pointer, 0, 4)
    if len(vectors) == 6:
        low = shuffle(builder, vectors[4], vectors[5], [0, 4, 2, 6])
        high = shuffle(builder, vectors[4], vectors[5], [1, 5, 3, 7])
        tails = [
            shuffle(builder, source, source, places) for places in ([0, 1], [2, 3]) for source in (low, high)
        ]
        for pointer, tail in zip(pointers, tails, strict=False):
            _store(builder, tail, pointer, 4, 2)
