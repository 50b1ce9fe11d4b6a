"""Multi-scalar multiplication in G1: sums of scalar times point, one row or many over shared points.

Two ways, chosen by counting additions:

- buckets (Pippenger): the scalars' signed digits of c bits sort the points of each window into 2^(c-1)
buckets; the
  weighted sum over buckets is again sums of segments (first rows and columns of a square of buckets, then the
  bits of their indices), so it shares inversions over all windows and rows;
- subsets (the "four Russians"): the columns are taken w at a time, the sums of all 2^w - 1 subsets are
tabulated once,
  and each bit plane of each row is one table point for every w columns. For many rows of small numbers this
  beats buckets, up to fourfold for 0/1 matrices.

Both end in a Horner sum over bits. Everything runs in time that depends on the scalars.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import msm_kernels as kernels
from .backend import switched
from .endomorphism import BETA
from .field import as_int64, flat_limbs
from .segments import add_indexed, flat_points, horner, segment_sums
from .threads import over_range

# Codes sorted at a time: 8 MB of them, and bucket sums of at most 100 MB.
_ENTRIES = 1 << 21

# Bits up to which bucket sums are weighted in one stage: more additions than in two, but fewer rounds.
_DIRECT = 6
# Entries below which inversions count.
_SMALL = 200_000

# Cells above which it pays to look whether the points are known from an earlier call.
_HASHED = 1 << 14
# Columns to a subset that are considered.
_SUBSETS = (1, 2, 4, 6, 8, 9)
# The largest table of subset sums to build (2^16 columns, 8 at a time), and what is kept for later calls.
_LARGEST_TABLE = 256 << 20
_TABLE_BYTES = 128 << 20


@switched("msm")
def msm(points: np.ndarray, scalars: np.ndarray) -> np.ndarray:
    """The sum of scalars[i] points[i].

    Args:
        points: `(n, 12)` points of the prime-order subgroup; infinity and repeated points are fine.
        scalars: `(n, 4)` elements of Fr, or `(n,)` integers of any signed or unsigned dtype.

    Returns:
        `(1, 12)`, one point.

    Raises:
        ValueError: shapes that do not fit together.
        TypeError: scalars that are neither field elements nor integers.

    Example:
        >>> from zkdl.arithmetic import g1
        >>> double = msm(np.repeat(g1.generator(), 2, axis=0), np.array([3, -1]))
        >>> bool((double == g1.double(g1.generator())).all())
        True
    """
    flat = flat_points(points)
    n = flat.size // 12
    array = np.asarray(scalars)
    if array.ndim == 2:
        plain = flat_limbs(array, 4, "Fr")
        if plain.size // 4 != n:
            raise ValueError(f"scalars: expected {n} of them, one for each point, got {plain.size // 4}")
        if n == 0:
            return np.zeros((1, 12), np.uint64)
        return _halved(flat, plain, n)
    if array.ndim != 1 or array.shape[0] != n:
        raise ValueError(
            f"scalars: expected shape ({n}, 4) of field elements or ({n},) of integers, got {array.shape}"
        )
    return msm_rows(points, array.reshape(1, n))


@switched("msm_rows")
def msm_rows(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """For each row of an integer matrix, the sum over j of matrix[row, j] points[j].

    Args:
        points: `(c, 12)` points of the prime-order subgroup.
        matrix: `(rows, c)` integers of any integer dtype (unsigned values must be below 2^63) or booleans.
        Narrow
            dtypes save memory; the speed depends on the values.

    Returns:
        `(rows, 12)` points.

    Raises:
        ValueError: shapes that do not fit together.
        TypeError: not integers.
        OverflowError: an unsigned value at or above 2^63.
    """
    flat = flat_points(points)
    values = np.asarray(matrix)
    if values.ndim != 2 or values.shape[1] != flat.size // 12:
        raise ValueError(
            f"matrix: expected shape (rows, {flat.size // 12}), a column for each point, got {values.shape}"
        )
    if values.dtype.kind not in "iub":
        raise TypeError(f"matrix: expected integers, got dtype {values.dtype}; round or convert it first")
    rows, columns = values.shape
    if rows == 0 or columns == 0:
        return np.zeros((rows, 12), np.uint64)
    low, high = int(values.min()), int(values.max())
    if high >= 1 << 63:
        raise OverflowError(f"matrix: expected values below 2^63, got {high}")
    key = hashlib.blake2b(flat.data, digest_size=32).digest() if rows * columns >= _HASHED else b""
    plan = _plan(rows, columns, low, high, _TABLES.sizes(key))
    if plan.subset:
        return _subsets(flat, values, plan, key)
    step = max(1, _ENTRIES // (plan.windows * columns))
    out = np.empty((rows, 12), np.uint64)
    for first in range(0, rows, step):
        block = as_int64(values[first : first + step], "matrix")
        # abs of the least int64 is itself, and as an unsigned word that is its true magnitude.
        magnitudes = np.abs(block).view(np.uint64).reshape(-1)
        signs = (block < 0).astype(np.uint8).reshape(-1)
        out[first : first + step] = _buckets(flat, magnitudes, 1, signs, max(high, -low), columns)
    return out


# The plan ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """How to do a batch of rows: subsets of `subset` columns over `planes` bit planes, or buckets if 0."""

    cost: float
    subset: int = 0
    planes: int = 0
    signed: bool = False
    bits: int = 0
    windows: int = 0


def _windows(largest: int, bits: int) -> int:
    """Signed base-2^bits digits needed for magnitudes up to `largest`."""
    windows, reach = 1, 1 << (bits - 1)
    while reach < largest:
        reach = (reach << bits) + (1 << (bits - 1))
        windows += 1
    return windows


def _bucket_plan(rows: int, columns: int, largest: int) -> _Plan:
    best = _Plan(float("inf"))
    for bits in range(2, 17):
        windows = _windows(largest, bits)
        buckets = 1 << (bits - 1)
        # Additions after the sorting in; few of them share an inversion where the whole is small.
        after = buckets * bits / 2 if bits <= _DIRECT else 2 * buckets + bits * 2 ** (bits / 2)
        price = 2.0 if rows * windows * columns < _SMALL else 1.0
        # The Horner doublings cost twice an affine addition.
        cost = rows * (windows * (columns + price * after) + 4.0 * windows * bits)
        if cost < best.cost:
            best = _Plan(cost, bits=bits, windows=windows)
    return best


def _plan(rows: int, columns: int, low: int, high: int, ready: Collection[int] = ()) -> _Plan:
    best = _bucket_plan(rows, columns, max(high, -low, 1))
    planes = max(1, max(high, 0).bit_length(), (-low - 1).bit_length() if low < 0 else 0)
    if low < 0:
        planes += 1
    for subset in _SUBSETS:
        groups = -(-columns // subset)
        if (groups << subset) * 96 > _LARGEST_TABLE:
            break
        table = 0 if subset in ready else groups * (2**subset - 1 - subset)
        cost = table + rows * planes * (groups * (1 - 0.5**subset) + (4.0 if planes > 1 else 0.0))
        if cost < best.cost:
            best = _Plan(cost, subset=subset, planes=planes, signed=low < 0)
    return best


def additions(rows: int, columns: int, low: int, high: int) -> float:
    """Additions of points that `msm_rows` takes for a matrix with entries in [low, high]: to estimate times.

    Example:
        >>> additions(1, 1024, 0, 1) < additions(1, 1024, 0, 255) < 8 * 1024
        True
    """
    return _plan(rows, columns, low, high).cost if rows and columns else 0.0


# Buckets -------------------------------------------------------------------------------------------------


def _halved(points: np.ndarray, scalars: np.ndarray, n: int) -> np.ndarray:
    """One row of Fr elements: every scalar as two signed halves, on P and on psi(P)."""
    words, signs = np.empty((n, 2, 2), np.uint64), np.empty((n, 2), np.uint8)
    flat_words, flat_signs = words.reshape(-1), signs.reshape(-1)
    over_range(lambda i, j: kernels.split_scalars(flat_words, flat_signs, scalars, i, j), n, 4096)
    top = words.max(axis=0)
    if not top[1].any():
        # Small scalars: nothing in the upper halves.
        return _buckets(
            points, words[:, 0].reshape(-1), 2, signs[:, 0].copy(), int(top[0, 0]) | int(top[0, 1]) << 64, n
        )
    twisted = np.empty(24 * n, np.uint64)
    over_range(lambda i, j: kernels.twist(twisted, points, BETA, i, j), n, 4096)
    largest = ((int(top[:, 1].max()) + 1) << 64) - 1
    return _buckets(twisted, flat_words, 2, flat_signs, largest, 2 * n)


def _buckets(
    points: np.ndarray, magnitudes: np.ndarray, words: int, signs: np.ndarray, largest: int, columns: int
) -> np.ndarray:
    """Rows of signed magnitudes against shared points, by buckets: `(rows, 12)`."""
    rows = signs.size // columns
    plan = _bucket_plan(rows, columns, max(1, largest))
    bits, windows = plan.bits, plan.windows
    sets, buckets = rows * windows, 1 << (bits - 1)
    entries = np.empty(sets * columns, np.int32)
    begin, end = np.empty(sets * buckets, np.int64), np.empty(sets * buckets, np.int64)
    over_range(
        lambda i, j: kernels.bucket_entries(
            entries, begin, end, magnitudes, words, signs, columns, bits, windows, i, j
        ),
        rows,
        max(1, 20_000 // (windows * columns)),
    )
    sums = segment_sums(points, entries, begin, end)
    return _weighted(sums, rows, windows, bits)


@lru_cache(maxsize=16)
def _square(bits: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Segments (codes, bounds) from one window's bucket sums to the coefficients of 2^0 ... 2^(bits-1).

    Bucket b = high 2^m + low weighs b + 1 = high 2^m + (low + 1). The first stage sums the columns (fixed
    low) and rows (fixed high); the second gathers, for each bit k, the columns with bit k in low + 1 and the
    rows with bit k - m in high.
    """
    low_bits = (bits - 1) // 2
    width, height = 1 << low_bits, 1 << (bits - 1 - low_bits)
    grid = np.arange(width * height).reshape(height, width)
    first = [grid[:, low] for low in range(width)] + [grid[high] for high in range(height)]
    second = []
    for k in range(bits):
        column = [low for low in range(width) if (low + 1) >> k & 1]
        row = [width + high for high in range(height) if k >= low_bits and high >> (k - low_bits) & 1]
        second.append(np.array(column + row, np.int64))
    return _segments(first), _segments(second)


def _segments(lists: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    bounds = np.cumsum([0] + [len(part) for part in lists])
    return 2 * np.concatenate(lists).astype(np.int64), bounds


def _tile(stage: tuple[np.ndarray, np.ndarray], sets: int, sources: int) -> tuple[np.ndarray, ...]:
    """The same segments for every set, each on its own `sources` points."""
    codes, bounds = stage
    shift = np.arange(sets)[:, None]
    entries = (codes + 2 * sources * shift).astype(np.int32).reshape(-1)
    begin = (bounds[:-1] + codes.size * shift).reshape(-1)
    end = (bounds[1:] + codes.size * shift).reshape(-1)
    return entries, begin, end


@lru_cache(maxsize=16)
def _direct(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in one stage, for few buckets: bucket b goes to every bit of b + 1."""
    weights = np.arange(1, (1 << (bits - 1)) + 1)
    return _segments([np.flatnonzero(weights >> k & 1) for k in range(bits)])


def _weighted(sums: np.ndarray, rows: int, windows: int, bits: int) -> np.ndarray:
    sets = rows * windows
    if bits <= _DIRECT:
        planes = segment_sums(sums.reshape(-1), *_tile(_direct(bits), sets, 1 << (bits - 1)))
        return horner(planes, rows, windows * bits, 1)
    first, second = _square(bits)
    lines = segment_sums(sums.reshape(-1), *_tile(first, sets, 1 << (bits - 1)))
    planes = segment_sums(lines.reshape(-1), *_tile(second, sets, first[1].size - 1))
    return horner(planes, rows, windows * bits, 1)


# Subsets -------------------------------------------------------------------------------------------------


def _subset_table(points: np.ndarray, subset: int) -> np.ndarray:
    """Flat table: entry g 2^subset + m is the sum of the points g subset + i over the bits i of m."""
    columns = points.size // 12
    groups, size = -(-columns // subset), 1 << subset
    table = np.zeros((groups, size, 12), np.uint64)
    padded = np.zeros((groups, subset, 12), np.uint64)
    padded.reshape(-1)[: points.size] = points
    flat = table.reshape(-1)
    start = np.arange(groups)[:, None] * size
    for bit in range(subset):
        table[:, 1 << bit] = padded[:, bit]
        low = np.arange(1, 1 << bit)[None, :]
        if low.size:
            target = (start + (1 << bit) + low).reshape(-1)
            left = np.broadcast_to(start + (1 << bit), (groups, low.size)).reshape(-1)
            add_indexed(flat, target, flat, left.copy(), (start + low).reshape(-1))
    return flat


def _subsets(points: np.ndarray, values: np.ndarray, plan: _Plan, key: bytes) -> np.ndarray:
    """Rows of small integers against shared points, by tabulated subset sums: `(rows, 12)`."""
    rows, columns = values.shape
    planes, subset = plan.planes, plan.subset
    groups = -(-columns // subset)
    table = _TABLES.get(key, points, subset)
    out = np.empty((rows, 12), np.uint64)
    step = max(1, _ENTRIES // max(planes * groups, columns))
    for first in range(0, rows, step):
        block = as_int64(values[first : first + step], "matrix").reshape(-1)
        part = block.size // columns
        count = part * planes
        entries = np.empty(count * groups, np.int32)
        begin, end = np.empty(count, np.int64), np.empty(count, np.int64)

        job = (entries, begin, end, block, columns, subset, planes, plan.signed)
        over_range(
            lambda i, j, job=job: kernels.subset_entries(*job, i, j),  # type: ignore[misc]
            part,
            max(1, 40_000 // columns),
        )
        sums = segment_sums(table, entries, begin, end)
        if planes > 1:
            sums = horner(sums, part, planes, 1)
        out[first : first + step] = sums
    return out


class _Tables:
    """Tables of subset sums kept by points: a prover commits many times under one set of generators."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[bytes, int], np.ndarray] = OrderedDict()

    def sizes(self, key: bytes) -> list[int]:
        """The subset sizes for which the points with this digest have tables."""
        with self._lock:
            return [subset for known, subset in self._tables if known == key]

    def get(self, key: bytes, points: np.ndarray, subset: int) -> np.ndarray:
        """The table, remembered if the points have a digest; the oldest ones make room."""
        with self._lock:
            table = self._tables.get((key, subset))
            if table is not None:
                self._tables.move_to_end((key, subset))
                return table
        table = _subset_table(points, subset)
        if key and subset > 1 and table.nbytes <= _TABLE_BYTES // 2:
            with self._lock:
                self._tables[key, subset] = table
                while sum(kept.nbytes for kept in self._tables.values()) > _TABLE_BYTES:
                    self._tables.popitem(last=False)
        return table


_TABLES = _Tables()
