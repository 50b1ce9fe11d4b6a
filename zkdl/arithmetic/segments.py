"""Threaded sums of segments of points: the shape that all multi-scalar multiplication here comes down to."""

from __future__ import annotations

import numpy as np

from . import curve_kernels, segment_kernels
from .field import flat_limbs
from .paths import vector_tag
from .threads import get_threads, over_range

# Points that share the inversions of one pass: 300 KB for the copies and the products, inside a second-level
# cache, and enough of them that the inversions are a few per cent of the work.
_CHUNK = 2048
# Longer segments are cut: lanes work on segments of their own, which must not be too few.
_LONGEST = 64

# Additions a thread must get before a second thread pays (about 200 microseconds).
_GRAIN = 512


def flat_points(points: np.ndarray, name: str = "points") -> np.ndarray:
    """A flat array of coordinates, checked for shape: `(n, 12)` or `(12,)` uint64."""
    array = np.asarray(points)
    if array.dtype != np.uint64 or array.ndim not in (1, 2) or array.shape[-1] != 12:
        raise ValueError(
            f"{name}: expected a uint64 array of shape (n, 12) (x then y, 6 limbs each), "
            f"got {array.dtype} of shape {array.shape}"
        )
    return flat_limbs(array, 12, "point")


def segment_sums(points: np.ndarray, entries: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The sums of many segments of signed points.

    Args:
        points: flat coordinates.
        entries: int32 codes, 2 index + sign (sign 1 subtracts).
        begin: int64, first entry of each segment.
        end: int64, one past the last entry of each segment; equal to `begin` for an empty one.

    Returns:
        `(segments, 12)` points.
    """
    segments = begin.shape[0]
    lengths = end - begin
    longest = int(lengths.max()) if segments else 0
    if longest > _LONGEST:
        return _in_pieces(points, entries, begin, lengths)
    out, tag = np.empty((segments, 12), np.uint64), vector_tag("Fq")
    target = out.reshape(-1)

    def part(start: int, stop: int) -> None:
        segment_kernels.segment_sums(tag, target, points, entries, begin, end, longest, start, stop, _CHUNK)

    total = int(end[-1] - begin[0]) if segments else 0
    parts = min(get_threads(), max(1, total // _GRAIN), segments)
    if parts <= 1:
        part(0, segments)
    else:
        # Cut where the work is even, not where the segments are.
        cuts = np.searchsorted(begin, begin[0] + np.arange(1, parts) * total // parts)
        edges = [0, *(int(cut) for cut in cuts), segments]
        over_range(lambda i, j: part(edges[i], edges[j]), parts, 1)
    return out


def _in_pieces(points: np.ndarray, entries: np.ndarray, begin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Long segments cut into pieces of nearly equal length, then the sums of the pieces' sums."""
    pieces = np.maximum(1, -(-lengths // _LONGEST))
    ends = np.cumsum(pieces)
    owner = np.repeat(np.arange(lengths.size), pieces)
    number = np.arange(ends[-1]) - np.repeat(ends - pieces, pieces)
    first = begin[owner] + lengths[owner] * number // pieces[owner]
    last = begin[owner] + lengths[owner] * (number + 1) // pieces[owner]
    sums = segment_sums(points, entries, first, last)
    out = sums[ends - pieces]
    long = np.flatnonzero(pieces > 1)
    numbers = 2 * np.arange(ends[-1], dtype=np.int32)
    out[long] = segment_sums(sums.reshape(-1), numbers, (ends - pieces)[long], ends[long])
    return out


def add_indexed(
    out: np.ndarray, target: np.ndarray, points: np.ndarray, left: np.ndarray, right: np.ndarray
) -> None:
    """out[target[i]] = points[left[i]] + points[right[i]] on flat arrays; no target is an operand."""

    def part(start: int, stop: int) -> None:
        for first in range(start, stop, _CHUNK):
            last = min(stop, first + _CHUNK)
            segment_kernels.add_indexed(vector_tag("Fq"), out, target, points, left, right, first, last)

    over_range(part, target.shape[0], _GRAIN)


def horner(points: np.ndarray, rows: int, terms: int, doublings: int) -> np.ndarray:
    """For each row of `terms` points, the sum of 2^(j doublings) points[row, j]: `(rows, 12)`."""
    work = np.empty(18 * rows, np.uint64)
    flat = points.reshape(-1)
    over_range(
        lambda i, j: curve_kernels.horner(work, flat, terms, doublings, i, j),
        rows,
        max(1, _GRAIN // (2 * terms * doublings)),
    )
    return normalised(work)


def normalised(work: np.ndarray) -> np.ndarray:
    """Flat Jacobian coordinates (18 words a point) to affine points, `(n, 12)`."""
    out = np.empty((work.size // 18, 12), np.uint64)
    target = out.reshape(-1)
    over_range(lambda i, j: curve_kernels.normalise(target, work, i, j), out.shape[0], _GRAIN)
    return out
