"""Compiled loops of the rational counter; the slow twins are `SlowNoise` and the readers' `one`."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dpkit._compiled import njit

H_BITS = 48
"""Bits of h, the part of a state that is multiplied: products have room for one more."""
CHECK_STEPS = 4
"""The states' ranges are looked at so often; in between |e| says how far they can have gone."""


@intrinsic  # typed Any below: it is called without the typing context that its builder takes
def _advance_states(
    typingctx: Any,
    low: Any,
    high: Any,
    omega: Any,
    factor: Any,
    shift: Any,
    keep: Any,
    slow: Any,
    rest: Any,
    e: Any,
) -> Any:
    """Return (low, high, what the fresh states subtract from the next z).

    Each state: v = s + omega e, h = v >> drop, part = h factor >> shift, then v - part for the first
    len(keep) states, part for the others. The first len(high) states have two words; (drop, q) are `slow` for
    them and `rest` for the others. In LLVM's terms, so that all states stay in registers; products are of 64
    bits where they can be, because widening ones take a processor twice as long.
    """
    m, wide, kept = len(low), len(high), len(keep)
    words = types.UniTuple(types.int64, m)
    tops = types.UniTuple(types.int64, wide) if wide else types.Tuple(())
    result = types.Tuple([words, tops, types.int64])

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        word, double = ir.IntType(64), ir.IntType(128)
        const = lambda n: ir.Constant(word, n)
        e = args[8]
        less, deep, few, q = (b.extract_value(args[k], j) for k in (6, 7) for j in range(2))

        def joined(lo: Any, hi: Any) -> Any:
            return b.or_(b.shl(b.sext(hi, double), ir.Constant(double, 64)), b.zext(lo, double))

        def split(v: Any) -> tuple[Any, Any]:
            return b.trunc(v, word), b.trunc(b.lshr(v, ir.Constant(double, 64)), word)

        def down(v: Any, by: Any) -> Any:
            lo, hi = split(v)
            return b.or_(b.lshr(lo, by), b.shl(hi, b.sub(const(64), by)))

        lows, highs, single = [], [], const(0)
        double_sum = ir.Constant(double, 0)
        for j in range(m):
            s, weight, scale, by = (b.extract_value(args[k], j) for k in (0, 2, 3, 4))
            if j < wide:
                push = b.mul(b.sext(weight, double), b.sext(e, double))
                v = b.add(joined(s, b.extract_value(args[1], j)), push)
                h = down(v, less)
                fresh = b.sub(v, b.sext(b.ashr(b.mul(h, scale), by), double))
                lo, hi = split(fresh)
                lows.append(lo)
                highs.append(hi)
                double_sum = b.add(double_sum, fresh)
            else:
                v = b.add(s, b.mul(weight, e))
                h = b.ashr(v, few)
                part = b.ashr(b.mul(h, scale), by)
                lows.append(b.sub(v, part) if j < kept else part)
                single = b.add(single, lows[-1])
        total = b.ashr(single, q)
        if wide:
            total = b.add(total, down(double_sum, deep))
        packed = [context.make_tuple(b, words, lows), context.make_tuple(b, tops, highs)]
        return context.make_tuple(b, result, [*packed, total])

    return result(low, high, omega, factor, shift, keep, slow, rest, types.int64), codegen


@intrinsic
def _range_of_states(typingctx: Any, low: Any, high: Any, slow: Any, rest: Any) -> Any:
    """Return the bits of (s >> drop) + 2^H_BITS of all states; below 2^(H_BITS + 1) all are in range."""
    m, wide = len(low), len(high)

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        const = lambda n: ir.Constant(word, n)
        less, few = b.extract_value(args[2], 0), b.extract_value(args[3], 0)
        bits = const(0)
        for j in range(m):
            s = b.extract_value(args[0], j)
            if j < wide:
                top = b.extract_value(args[1], j)
                h = b.or_(b.lshr(s, less), b.shl(top, b.sub(const(64), less)))
                lost = b.icmp_signed("!=", b.ashr(top, less), b.ashr(h, const(63)))
                bits = b.or_(bits, b.sext(lost, word))
            else:
                h = b.ashr(s, few)
            bits = b.or_(bits, b.add(h, const(1 << H_BITS)))
        return bits

    return types.int64(low, high, slow, rest), codegen


_advance: Any = _advance_states
_range: Any = _range_of_states


@njit(cache=True, nogil=True)
def blt_noise(
    z: Any,
    out: Any,
    low: Any,
    high: Any,
    omega: Any,
    factor: Any,
    shift: Any,
    keep: Any,
    slow: Any,
    rest: Any,
    carried: Any,
) -> Any:
    """Fill `out` with e = C^-1 z.

    Args:
        z, out: (n,) int64.
        low: m int64, the states' low words.
        high: the slow states' high words.
        omega, factor, shift: m int64 each, the recursion.
        keep: as many ones as states that subtract their part.
        slow, rest: (drop, q) of the slow states and of the others.
        carried: what the states subtract from the first z.

    Returns:
        (low, high, h_bits, e_bits): every CHECK_STEPS steps all |s| were below 2^(H_BITS + drop) if 0 <=
        h_bits < 2^(H_BITS + 1), and |e| <= e_bits for all e; what came after a first large one is void.
    """
    h_bits, e_bits = np.int64(0), np.int64(0)
    for i in range(z.size):
        e = z[i] - carried
        out[i] = e
        e_bits |= e ^ (e >> 63)
        low, high, carried = _advance(low, high, omega, factor, shift, keep, slow, rest, e)
        if i & (CHECK_STEPS - 1) == 0:
            h_bits |= _range(low, high, slow, rest)
    return low, high, h_bits, e_bits


@njit(cache=True, nogil=True)
def running_sum(moves: Any, out: Any, unit: Any, low: Any, high: Any) -> Any:
    """Fill `out` with the running sum times unit; the sum has 128 bits, uint64 low and int64 high.

    Returns:
        (low, high) at the end.
    """
    for i in range(moves.size):
        move = moves[i]
        fresh = low + np.uint64(move)
        high += (move >> 63) + np.int64(fresh < low)
        low = fresh
        if high == np.int64(low) >> 63:
            out[i] = np.float64(np.int64(low)) * unit
        else:
            out[i] = (np.float64(high) * 18446744073709551616.0 + np.float64(low)) * unit
    return low, high


@njit(cache=True, nogil=True)
def decayed_sum(moves: Any, out: Any, unit: Any, keep: Any, total: Any) -> Any:
    """Fill `out` with total <- keep total + move, times unit; returns the last total."""
    for i in range(moves.size):
        total = keep * total + np.float64(moves[i])
        out[i] = total * unit
    return total
