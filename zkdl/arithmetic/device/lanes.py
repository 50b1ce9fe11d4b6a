"""numba types of several values side by side in a vector register: elements, machine integers, conditions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model


class LaneType(types.Type):
    """A numba type that is held as one LLVM value."""

    def __init__(self, name: str, held: ir.Type) -> None:
        super().__init__(name=name)
        self.held = held


@register_model(LaneType)
class LaneModel(models.PrimitiveModel):
    """How numba holds such a value: as the LLVM value itself."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, fe_type.held)


class LaneElement(LaneType):
    """`lanes` elements of one field: an array of vectors, vector k holding limb k of every element.

    `arithmetic` emits the code; it fixes the radix and what is known of the limbs.
    """

    def __init__(self, arithmetic: Any) -> None:
        super().__init__(f"zkdl.{arithmetic.symbol}", arithmetic.held)
        self.arithmetic = arithmetic
        self.lanes: int = arithmetic.lanes
        self.limbs: int = arithmetic.words
        self.modulus: int = arithmetic.modulus


class LaneState(LaneType):
    """An unreduced sum: the vectors of its columns and the number of terms since the last carry."""

    def __init__(self, name: str, arithmetic: Any, vector: ir.Type, columns: int) -> None:
        super().__init__(
            f"zkdl.{name}", ir.LiteralStructType([ir.ArrayType(vector, columns), ir.IntType(64)])
        )
        self.arithmetic = arithmetic


WORDS = {lanes: LaneType(f"zkdl.words{lanes}", ir.VectorType(ir.IntType(64), lanes)) for lanes in (4, 8)}
MASKS = {lanes: LaneType(f"zkdl.mask{lanes}", ir.VectorType(ir.IntType(1), lanes)) for lanes in (4, 8)}
for _kind in (LaneElement, LaneState):
    register_model(_kind)(LaneModel)


def vectors_of(builder: Any, value: Any) -> list[Any]:
    """The vectors in an array of vectors."""
    return [builder.extract_value(value, k) for k in range(value.type.count)]


def array_of(builder: Any, vectors: list[Any]) -> Any:
    """The inverse of `vectors_of`."""
    value = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
    for k, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, k)
    return value


def holds_somewhere(builder: Any, mask: Any) -> Any:
    """Whether any lane of a mask holds."""
    whole = builder.bitcast(mask, ir.IntType(mask.type.count))
    return builder.icmp_unsigned("!=", whole, ir.Constant(whole.type, 0))
