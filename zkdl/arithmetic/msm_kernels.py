"""Kernels that turn scalars into lists of signed points: which point goes into which bucket."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device.compile import kernel
from .device.elements import FQ_TAG, FR_TAG, load, mul, neg, store, unit
from .device.halves import halves


@kernel
def split_scalars(words: Any, signs: Any, scalars: Any, start: int, stop: int) -> None:
    """The halves of each scalar as magnitudes of two words, and their signs (uint8, 1 for minus)."""
    for i in range(start, stop):
        store(words, i, halves(mul(load(FR_TAG, scalars, i), unit(FR_TAG))))
        for half in range(2):
            top = words[4 * i + 2 * half + 1]
            signs[2 * i + half] = top >> np.uint64(63)
            words[4 * i + 2 * half + 1] = top & np.uint64(0x7FFFFFFFFFFFFFFF)


@kernel
def twist(out: Any, points: Any, beta: Any, start: int, stop: int) -> None:
    """P and psi(P) = (beta x, -y) side by side; infinity stays infinity."""
    factor = load(FQ_TAG, beta, 0)
    for i in range(start, stop):
        x, y = load(FQ_TAG, points, 2 * i), load(FQ_TAG, points, 2 * i + 1)
        store(out, 4 * i, x)
        store(out, 4 * i + 1, y)
        store(out, 4 * i + 2, mul(x, factor))
        store(out, 4 * i + 3, neg(y))


@kernel
def bucket_entries(
    entries: Any,
    begin: Any,
    end: Any,
    magnitudes: Any,
    words: int,
    signs: Any,
    columns: int,
    bits: int,
    windows: int,
    start: int,
    stop: int,
) -> None:
    """Sort the signed base-2^bits digits of rows [start, stop) into buckets, by counting.

    Row r, window w and digit +-(b + 1) put column j into segment (r windows + w) 2^(bits - 1) + b. Digits lie
    in (-2^(bits - 1), 2^(bits - 1)]; the caller has chosen enough windows for the last carry to be zero.

    Args:
        entries: int32, room for rows x windows x columns codes.
        begin, end: int64 segment bounds, filled here.
        magnitudes: flat uint64, `words` little-endian words for each scalar.
        signs: uint8, 1 where the scalar is negative.
    """
    buckets = 1 << (bits - 1)
    digits = np.empty(windows * columns, np.int32)
    mask = np.uint64((1 << bits) - 1)
    for r in range(start, stop):
        for j in range(columns):
            first = (r * columns + j) * words
            carry = 0
            for w in range(windows):
                position = w * bits
                k = position >> 6
                shift = position & 63
                word = np.uint64(0)
                if k < words:
                    word = magnitudes[first + k] >> np.uint64(shift)
                    if shift + bits > 64 and k + 1 < words:
                        word |= magnitudes[first + k + 1] << np.uint64(64 - shift)
                digit = np.int64(word & mask) + carry
                carry = 0
                if digit > buckets:
                    digit -= 2 * buckets
                    carry = 1
                digits[w * columns + j] = digit
        for w in range(windows):
            head = (r * windows + w) * buckets
            for b in range(buckets):
                end[head + b] = 0
            for j in range(columns):
                digit = digits[w * columns + j]
                if digit != 0:
                    end[head + abs(digit) - 1] += 1
            offset = (r * windows + w) * columns
            for b in range(buckets):
                size = end[head + b]
                begin[head + b] = offset
                end[head + b] = offset
                offset += size
            for j in range(columns):
                digit = digits[w * columns + j]
                if digit != 0:
                    b = head + abs(digit) - 1
                    negative = (digit < 0) != (signs[r * columns + j] != 0)
                    entries[end[b]] = 2 * j + negative
                    end[b] += 1


@kernel
def subset_entries(
    entries: Any,
    begin: Any,
    end: Any,
    values: Any,
    columns: int,
    subset: int,
    planes: int,
    signed: bool,
    start: int,
    stop: int,
) -> None:
    """Bits of two's complement rows [start, stop), `subset` columns at a time, as entries of a table of sums.

    Plane k of row r is segment r planes + k. Where columns g subset + i have bit k set for the i in a pattern
    it takes table point g 2^subset + pattern; the highest plane counts minus if `signed`.

    Args:
        entries: int32, room for rows x planes x groups codes.
        begin, end: int64 segment bounds, filled here.
        values: flat int64, `columns` for each row.
    """
    groups = (columns + subset - 1) // subset
    patterns = np.empty(planes, np.int64)
    for r in range(start, stop):
        for k in range(planes):
            begin[r * planes + k] = (r * planes + k) * groups
            end[r * planes + k] = begin[r * planes + k]
        for g in range(groups):
            first = g * subset
            for k in range(planes):
                patterns[k] = 0
            for i in range(min(subset, columns - first)):
                value = values[r * columns + first + i]
                if value != 0:
                    for k in range(planes):
                        patterns[k] |= ((value >> k) & 1) << i
            for k in range(planes):
                if patterns[k] != 0:
                    s = r * planes + k
                    code = 2 * ((g << subset) + patterns[k])
                    entries[end[s]] = code + 1 if signed and k == planes - 1 else code
                    end[s] += 1


@kernel
def window_entries(
    entries: Any, begin: Any, end: Any, scalars: Any, bits: int, windows: int, start: int, stop: int
) -> None:
    """Signed digits of plain 256-bit scalars as entries of a table of windows: w 2^(bits - 1) + |digit| - 1.

    `bits` divides 64, and windows x bits exceeds 256 so that the last carry finds room.
    """
    half = 1 << (bits - 1)
    mask = np.uint64((1 << bits) - 1)
    for i in range(start, stop):
        offset = i * windows
        begin[i] = offset
        carry = 0
        for w in range(windows):
            position = w * bits
            digit = np.int64(carry)
            if position < 256:
                word = scalars[4 * i + (position >> 6)] >> np.uint64(position & 63)
                digit += np.int64(word & mask)
            carry = 0
            sign = 0
            if digit > half:
                digit = 2 * half - digit
                carry = 1
                sign = 1
            if digit != 0:
                entries[offset] = 2 * (w * half + digit - 1) + sign
                offset += 1
        end[i] = offset
