"""Scalars cut in two by the endomorphism: s = low + high z^2, both halves signed and below 2^127.

With r = z^4 - z^2 + 1 and the endomorphism psi(x, y) = (beta x, -y) = z^2 (x, y) on the subgroup, a scalar s
takes P to low P + high psi(P): twice the points, half the doublings (Gallant, Lambert and Vanstone, 2001).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .elements import instruction
from .words import FR, R_MODULUS, constant_of, function_named

_SQUARED = 0xD201000000010000**2
# Barrett: (s >> 124) mu >> 133 is s / z^2 up to 2, for s below 2^255.
_DROPPED, _KEPT = 124, 133
_MU = (1 << (_DROPPED + _KEPT)) // _SQUARED


def _emit(builder: Any, args: list[Any]) -> Any:
    (value,) = args
    kind = FR.integer
    wide = ir.IntType(512)

    def constant(number: int) -> ir.Constant:
        return constant_of(FR, number)

    # The magnitude of the representative in (-r/2, r/2): at most 254 bits.
    above = builder.icmp_unsigned(">", value, constant((R_MODULUS - 1) // 2))
    value = builder.select(above, builder.sub(constant(R_MODULUS), value), value)
    # high = floor(value / z^2), at most two too small before the corrections.
    top = builder.zext(builder.lshr(value, constant(_DROPPED)), wide)
    high = builder.trunc(
        builder.lshr(builder.mul(top, ir.Constant(wide, _MU)), ir.Constant(wide, _KEPT)), kind
    )
    low = builder.sub(value, builder.mul(high, constant(_SQUARED)))
    for _ in range(2):
        over = builder.icmp_unsigned(">=", low, constant(_SQUARED))
        low = builder.select(over, builder.sub(low, constant(_SQUARED)), low)
        high = builder.select(over, builder.add(high, constant(1)), high)
    # To the nearest multiple, so that low is in [-z^2 / 2, z^2 / 2].
    upper = builder.icmp_unsigned(">", low, constant(_SQUARED // 2))
    low = builder.select(upper, builder.sub(constant(_SQUARED), low), low)
    high = builder.select(upper, builder.add(high, constant(1)), high)
    # Bit 127 of each half carries its sign: whether the half counts minus.
    low_minus = builder.zext(builder.xor(above, upper), kind)
    high_minus = builder.zext(above, kind)
    low = builder.or_(low, builder.shl(low_minus, constant(127)))
    high = builder.or_(high, builder.shl(high_minus, constant(127)))
    return builder.or_(low, builder.shl(high, constant(128)))


@instruction
def halves(typing_context: Any, a: Any) -> Any:
    """The *plain* scalar a < r as four words: |low| (two words), then |high|; bit 127 of each is its sign."""
    if a != FR:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = function_named(builder, "zkdl_fr_halves", FR.integer, [FR.integer], _emit)
        return builder.call(function, args)

    return FR(a), codegen
