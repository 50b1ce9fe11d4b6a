"""Compiled loops of the rational counter; the slow twins are `SlowNoise` and the readers' `one`."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


def _builder_of(wide: bool) -> Any:
    """Return the builder of the loop's body, in LLVM's terms so that all m states stay in registers."""

    def build(typingctx: Any, low: Any, high: Any, omega: Any, factor: Any, keep: Any, e: Any, q: Any) -> Any:
        """Return (low, high, sum of the fresh states shifted by q, bits of their top words).

        Each state: v = s + omega e, part = floor(v factor / 2^64), then v - part where keep is 1, else part.
        All but e and q are tuples of m int64; `high` is not used where states have 64 bits.
        """
        m = len(low)
        words = types.UniTuple(types.int64, m)
        result = types.Tuple([words, words, types.int64, types.int64])

        def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
            word, double = ir.IntType(64), ir.IntType(128)
            size = double if wide else word
            half = ir.Constant(double, 64)
            e, q = args[5], args[6]
            lows, highs, total, bits = [], [], ir.Constant(size, 0), ir.Constant(word, 0)
            for j in range(m):
                s_low, s_high, weight, scale, kept = (b.extract_value(args[k], j) for k in range(5))
                scale = b.zext(scale, double)
                if wide:
                    s = b.or_(b.shl(b.sext(s_high, double), half), b.zext(s_low, double))
                    v = b.add(s, b.mul(b.sext(weight, double), b.sext(e, double)))
                    bottom = b.mul(b.zext(b.trunc(v, word), double), scale)
                    part = b.add(b.mul(b.ashr(v, half), scale), b.lshr(bottom, half))
                else:
                    v = b.add(s_low, b.mul(weight, e))
                    part = b.trunc(b.ashr(b.mul(b.sext(v, double), scale), half), word)
                fresh = b.select(b.icmp_signed("==", kept, ir.Constant(word, 1)), b.sub(v, part), part)
                total = b.add(total, fresh)
                lows.append(b.trunc(fresh, word) if wide else fresh)
                highs.append(b.trunc(b.lshr(fresh, half), word) if wide else s_high)
                top = highs[-1] if wide else fresh
                bits = b.or_(bits, b.xor(top, b.ashr(top, ir.Constant(word, 63))))
            shift = b.zext(q, double) if wide else q
            carried = b.ashr(total, shift)
            packed = [context.make_tuple(b, words, part) for part in (lows, highs)]
            carried = b.trunc(carried, word) if wide else carried
            return context.make_tuple(b, result, [*packed, carried, bits])

        return result(words, words, words, words, words, types.int64, types.int64), codegen

    return build


# typed Any: an intrinsic is called without the typing context that its builder takes
_advance: Any = intrinsic(_builder_of(wide=False))
_advance_wide: Any = intrinsic(_builder_of(wide=True))


@njit(cache=True, nogil=True)
def blt_noise(
    z: Any, out: Any, low: Any, high: Any, omega: Any, factor: Any, keep: Any, q: Any, carried: Any
) -> Any:
    """Fill `out` with e = C^-1 z, states in 64 bits.

    Args:
        z, out: (n,) int64.
        low, high: m int64 each, the states' words.
        omega, factor, keep: m int64 each, the recursion.
        q: state bits.
        carried: floor of the states' sum over 2^q.

    Returns:
        (low, high, bits of all states' top words met, bits of all e met): |.| <= bits; what came after a
        first large one is void.
    """
    state_bits, e_bits = np.int64(0), np.int64(0)
    for i in range(z.size):
        e = z[i] - carried
        out[i] = e
        e_bits |= e ^ (e >> 63)
        low, high, carried, bits = _advance(low, high, omega, factor, keep, e, q)
        state_bits |= bits
    return low, high, state_bits, e_bits


@njit(cache=True, nogil=True)
def blt_noise_wide(
    z: Any, out: Any, low: Any, high: Any, omega: Any, factor: Any, keep: Any, q: Any, carried: Any
) -> Any:
    """Run `blt_noise` on states of 128 bits."""
    state_bits, e_bits = np.int64(0), np.int64(0)
    for i in range(z.size):
        e = z[i] - carried
        out[i] = e
        e_bits |= e ^ (e >> 63)
        low, high, carried, bits = _advance_wide(low, high, omega, factor, keep, e, q)
        state_bits |= bits
    return low, high, state_bits, e_bits


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
