"""Multi-scalar multiplication on the device: buckets, for one row or many over shared points.

The scalars' signed digits are sorted into buckets by counting, the buckets are added up by threads that
share the entries evenly, and each window's weighted sum comes from halving the buckets (`cuda/README.md`).
The doublings that join the windows of a single row are left to the processor: one thread of a device is
slow.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..field import Fr
from ..segments import horner
from .array import DeviceArray
from .engine import Engine, Operation
from .field_ops import integers, word

# At most so many digits and buckets at a time: ranks, entries and partial sums take about 20 bytes a digit,
# buckets 2 x 192 bytes each, together below 1.5 GB.
_DIGITS = 1 << 25
_BUCKETS = 1 << 21

_SLICE = 32  # entries that one thread adds up
_MERGE = 8  # partial sums that one thread merges
_PIECE = 2048  # entries of one piece of a prefix sum

_LARGEST_FR = (Fr.modulus - 1) // 2

_KEPT = 8  # sets of points that stay on the device


def msm(engine: Engine, points: Any, scalars: Any) -> Any:
    """The sum of scalars[i] points[i]."""
    if not _points(points) or not isinstance(scalars, np.ndarray | DeviceArray):
        return NotImplemented
    n = points.shape[0]
    if n < engine.line or scalars.shape[0] != n:
        return NotImplemented
    if scalars.ndim == 2 and scalars.dtype == np.uint64 and scalars.shape[1] == 4:
        base = _kept_points(engine, points)
        plan = _plan(1, n, _LARGEST_FR)
        if n * plan.windows >= 1 << 32:
            return NotImplemented
        return _buckets(engine, base, engine.put(scalars), "Fr", 1, plan)
    if scalars.ndim == 1:
        return msm_rows(engine, points, scalars.reshape(1, n))
    return NotImplemented


def msm_rows(engine: Engine, points: Any, matrix: Any) -> Any:
    """For each row of an integer matrix, the sum over j of matrix[row, j] points[j]."""
    if not _points(points) or not isinstance(matrix, np.ndarray) or matrix.ndim != 2:
        return NotImplemented
    rows, columns = matrix.shape
    if rows * columns < engine.line or columns != points.shape[0]:
        return NotImplemented
    if matrix.dtype.kind not in "iub" or (matrix.dtype.kind == "u" and matrix.dtype.itemsize > 4):
        return NotImplemented
    largest = max(1, int(matrix.max()), -int(matrix.min()))
    plan = _plan(rows, columns, largest)
    base = _kept_points(engine, points)
    out = np.empty((rows, 12), np.uint64)
    step = plan.rows_at_a_time(columns)
    for first in range(0, rows, step):
        block = integers(engine, np.ascontiguousarray(matrix[first : first + step]))
        if block is None:
            return NotImplemented
        out[first : first + step] = _buckets(engine, base, block, word(block), block.shape[0], plan)
    return out


# The plan ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """Width of the digits and how many of them a scalar has."""

    bits: int
    windows: int

    @property
    def buckets(self) -> int:
        """Buckets of one window of one row."""
        return 1 << (self.bits - 1)

    def rows_at_a_time(self, columns: int) -> int:
        """Rows that fit the limits on digits and buckets."""
        return max(1, min(_DIGITS // (self.windows * columns), _BUCKETS // (self.windows * self.buckets)))


def _plan(rows: int, columns: int, largest: int) -> _Plan:
    """The width with the fewest additions: one a digit, and about two a bucket to weigh them."""
    best, least = _Plan(2, _windows(largest, 2)), float("inf")
    for bits in range(2, 17):
        plan = _Plan(bits, _windows(largest, bits))
        if plan.windows * plan.buckets > _BUCKETS:
            break
        cost = rows * plan.windows * (columns + 4 * plan.buckets)
        if cost < least:
            best, least = plan, cost
    return best


def _windows(largest: int, bits: int) -> int:
    """Signed digits of `bits` bits that magnitudes up to `largest` need."""
    windows, reach = 1, 1 << (bits - 1)
    while reach < largest:
        reach = (reach << bits) + (1 << (bits - 1))
        windows += 1
    return windows


# The stages ----------------------------------------------------------------------------------------------


def _buckets(
    engine: Engine, points: DeviceArray, scalars: DeviceArray, kind: str, rows: int, plan: _Plan
) -> np.ndarray:
    columns = len(points)
    sets = rows * plan.windows
    offsets, codes = _sorted(engine, scalars, kind, rows, columns, plan)
    sums = _added(engine, points, codes, offsets, sets * plan.buckets)
    planes = _weighed(engine, sums, sets, plan)
    # Many rows: a thread does the doublings of a row. One row: they would all fall to one thread.
    windows, groups = (plan.windows, rows) if rows > plan.windows else (1, sets)
    out = engine.empty((groups, 24))
    sizes = (np.uint64(groups), np.uint32(windows), np.uint32(plan.bits))
    engine.launch("buckets.msm_horner", engine.blocks(groups), planes, *sizes, out)
    flat = _normalised(engine, out)
    return flat if groups == rows else horner(flat, rows, plan.windows, plan.bits)


def _sorted(
    engine: Engine, scalars: DeviceArray, kind: str, rows: int, columns: int, plan: _Plan
) -> tuple[DeviceArray, DeviceArray]:
    """Where each bucket's entries begin, and the entries, 2 column + sign."""
    cells, n = rows * columns, rows * columns * plan.windows
    offsets = engine.zeros((rows * plan.windows * plan.buckets + 1,), np.uint32)
    ranks, codes = engine.empty((n,), np.uint32), engine.empty((n,), np.uint32)
    sizes = (np.uint64(rows), np.uint64(columns), np.uint32(plan.bits), np.uint32(plan.windows))
    grid = engine.blocks(cells)
    engine.launch(f"msm.msm_count_{kind}", grid, scalars, *sizes, offsets, ranks)
    _scan(engine, offsets)
    engine.launch(f"msm.msm_scatter_{kind}", grid, scalars, *sizes, offsets, ranks, codes)
    return offsets, codes


def _scan(engine: Engine, counts: DeviceArray) -> None:
    """Exclusive prefix sums, in place: pieces, then the pieces' totals."""
    n = counts.size
    pieces = -(-n // _PIECE)
    totals = engine.empty((pieces,), np.uint32)
    engine.launch("msm.scan_blocks", pieces, counts, counts, totals, np.uint64(n))
    if pieces > 1:
        _scan(engine, totals)
        engine.launch("msm.scan_add", engine.blocks(n), counts, totals, np.uint64(n))


def _added(
    engine: Engine, points: DeviceArray, codes: DeviceArray, offsets: DeviceArray, buckets: int
) -> DeviceArray:
    """The sum of every bucket, XYZZ."""
    capacity = codes.size
    sums = engine.zeros((buckets, 24))
    threads = -(-capacity // _SLICE)
    keys, parts = engine.empty((2 * threads,), np.uint32), engine.empty((2 * threads, 24))
    sizes = (np.uint32(buckets), np.uint64(capacity), np.uint32(_SLICE))
    grid = engine.blocks(threads)
    engine.launch("buckets.msm_accumulate", grid, points, codes, offsets, *sizes, sums, keys, parts)
    # What a slice shares with its neighbours waits in `parts`; a single slice shares nothing.
    left = 2 * threads if threads > 1 else 0
    while left:
        last = left <= 64
        slice_ = left if last else _MERGE
        threads = -(-left // slice_)
        next_keys, next_parts = engine.empty((2 * threads,), np.uint32), engine.empty((2 * threads, 24))
        sizes_ = (np.uint64(left), np.uint32(slice_))
        engine.launch(
            "buckets.msm_merge", engine.blocks(threads), keys, parts, *sizes_, sums, next_keys, next_parts
        )
        keys, parts = next_keys, next_parts
        left = 0 if last else 2 * threads
    return sums


def _weighed(engine: Engine, sums: DeviceArray, sets: int, plan: _Plan) -> DeviceArray:
    """For every set, `bits` points whose sum with weights 2^0, 2^1 ... is sum of (b + 1) bucket[b]."""
    arrays, length = 1, plan.buckets
    spare = engine.empty((sums.shape[0], 24)) if length > 1 else sums
    while length > 1:
        half = length // 2
        sizes = (np.uint64(sets), np.uint32(arrays), np.uint64(half))
        engine.launch("buckets.msm_fold_buckets", engine.blocks(sets * arrays * half), sums, *sizes, spare)
        sums, spare = spare, sums
        arrays, length = arrays + 1, half
    return sums


def _normalised(engine: Engine, points: DeviceArray) -> np.ndarray:
    """XYZZ points on the device to affine ones on the host."""
    n = len(points)
    products, out = engine.empty((n, 6)), engine.empty((n, 12))
    engine.launch("points.normalise", engine.blocks(-(-n // 64)), points, np.uint64(n), products, out)
    return out.to_host()


# Points --------------------------------------------------------------------------------------------------


def _kept_points(engine: Engine, points: Any) -> DeviceArray:
    """The points on the device; those that came from the host stay there, so that generators travel once."""
    if isinstance(points, DeviceArray):
        return points
    flat = np.ascontiguousarray(points)
    key = hashlib.blake2b(flat.data, digest_size=32).digest()
    found = engine.kept.pop(key, None)
    if found is None:
        found = engine.put(flat)
    # The oldest ones make room.
    engine.kept[key] = found
    while len(engine.kept) > _KEPT:
        engine.kept.popitem(last=False)
    return found


def _points(a: Any) -> bool:
    return (
        isinstance(a, DeviceArray | np.ndarray) and a.dtype == np.uint64 and a.ndim == 2 and a.shape[1] == 12
    )


OPERATIONS: dict[str, Operation] = {"msm": msm, "msm_rows": msm_rows}
