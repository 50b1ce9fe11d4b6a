"""One pass over the products of a step: rescaling, two's complement, ReLU, gate and update, each once."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkdl.arithmetic.device.compile import device, kernel

__all__ = ["add_rows", "backward_cells", "forward_cells"]


@device
def _whole_row(parts: Any, shift: int, row: int, out: Any) -> None:
    """The integers whose limbs, each an exact double, are ``parts[:, row]``."""
    last = parts[parts.shape[0] - 1, row]
    for j in range(out.shape[0]):
        out[j] = np.int64(last[j])
    for k in range(parts.shape[0] - 2, -1, -1):
        part = parts[k, row]
        for j in range(out.shape[0]):
            out[j] = (out[j] << shift) + np.int64(part[j])


@kernel
def forward_cells(
    parts: Any, shift: int, bits: int, limit: int, positive: Any, sign: Any, remainder: Any, active: Any
) -> tuple[Any, Any]:
    """F2 and F3 of one layer.

    Args:
        parts: (limbs, B, d) float64; Z = sum_k 2^(shift k) parts[k], below 2^62.
        shift: Bits of a limb.
        bits: w.
        limit: 2^(q_f - 1).
        positive, sign, remainder: (B, d) int64, filled with P, S and R.
        active: (B, d or more) float64; A = (1 - S) P goes into the first d columns.

    Returns:
        Whether every Z' is in [-limit, limit), and the largest row sum of A; what was filled in means
        nothing unless it is.
    """
    half = np.int64(1) << (bits - 1)
    mask = (np.int64(1) << bits) - 1
    width = parts.shape[2]
    whole = np.empty(width, dtype=np.int64)
    low, high, most = np.int64(0), np.int64(0), np.int64(0)
    for i in range(parts.shape[1]):
        _whole_row(parts, shift, i, whole)
        out_positive, out_sign, out_remainder, out_active = positive[i], sign[i], remainder[i], active[i]
        total = np.int64(0)
        for j in range(width):
            shifted = whole[j] + half
            value = shifted >> bits
            low, high = min(low, value), max(high, value)
            negative = value >> 63
            kept = value & ~negative
            out_positive[j] = value + (limit & negative)
            out_sign[j] = -negative
            out_remainder[j] = shifted & mask
            out_active[j] = kept
            total += kept
        most = max(most, total)
    return low >= -limit and high < limit, np.float64(most)


@kernel
def backward_cells(
    parts: Any, shift: int, bits: int, limit: int, sign: Any, gradient: Any, remainder: Any, passed: Any
) -> tuple[Any, Any, Any]:
    """B2 and B3 of one layer.

    Args:
        parts: (limbs, B, d) float64; H = sum_k 2^(shift k) parts[k], below 2^62.
        shift: Bits of a limb.
        bits: w.
        limit: 2^(q_g - 1).
        sign: (B, d) int64, S of the layer.
        gradient, remainder: (B, d) int64, filled with H' and R'.
        passed: (B, d) float64, filled with G = (1 - S) H'.

    Returns:
        Whether every H' is in [-limit, limit), the largest row sum of |G|, and the largest |G|.
    """
    half = np.int64(1) << (bits - 1)
    mask = (np.int64(1) << bits) - 1
    width = parts.shape[2]
    whole = np.empty(width, dtype=np.int64)
    low, high, most, top = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(parts.shape[1]):
        _whole_row(parts, shift, i, whole)
        signs, out_gradient, out_remainder, out_passed = sign[i], gradient[i], remainder[i], passed[i]
        total = np.int64(0)
        for j in range(width):
            shifted = whole[j] + half
            value = shifted >> bits
            low, high = min(low, value), max(high, value)
            out_gradient[j] = value
            out_remainder[j] = shifted & mask
            value &= signs[j] - 1
            out_passed[j] = value
            size = abs(value)
            total += size
            top = max(top, size)
        most = max(most, total)
    return low >= -limit and high < limit, np.float64(most), np.float64(top)


@kernel
def add_rows(weights: Any, change: Any, peaks: Any) -> float:
    """weights += change, and the largest magnitude of the sums.

    Args:
        weights, change: (rows, d) float64 integers whose sums are below 2^53.
        peaks: (d,) float64 to work in.
    """
    # A maximum for each column: the inner loop then has no order to keep and runs in vector registers.
    peaks[:] = 0.0
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            value = weights[i, j] + change[i, j]
            weights[i, j] = value
            size = abs(value)
            peaks[j] = size if size > peaks[j] else peaks[j]
    return peaks.max()
