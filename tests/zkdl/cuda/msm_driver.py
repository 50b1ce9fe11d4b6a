"""The launch sequence of a multi-scalar multiplication, as cuda/README.md lays it down."""

import numpy as np

from zkdl.arithmetic.field import Fr
from zkdl.arithmetic.msm import _windows
from zkdl.arithmetic.segments import horner

XYZZ = 24  # uint64 words a point
PIECE = 2048  # entries a block of scan_blocks takes
NO_KEY = 0xFFFFFFFF

KINDS = {np.dtype(np.uint64): "Fr", np.dtype(np.int32): "i32", np.dtype(np.int64): "i64"}


def u32(n):
    return np.zeros(n, np.uint32)


def xyzz(n):
    return np.zeros((n, XYZZ), np.uint64)


def scan(host, counts):
    """Exclusive sums of `counts`, in place."""
    blocks = -(-counts.size // PIECE)
    totals = u32(blocks)
    host.run("scan_blocks", blocks, counts, counts, totals, counts.size)
    if blocks > 1:
        scan(host, totals)
        host.run("scan_add", 3, counts, totals, counts.size)


def bucket_lists(host, scalars, rows, columns, bits, windows, grid=2):
    """Offsets and entries of all buckets of all sets."""
    kind = KINDS[scalars.dtype]
    buckets = rows * windows << (bits - 1)
    offsets = u32(buckets + 1)
    ranks, entries = u32(rows * columns * windows), u32(rows * columns * windows)
    shape = (rows, columns, np.uint32(bits), np.uint32(windows))
    host.run(f"msm_count_{kind}", grid, scalars, *shape, offsets, ranks)
    scan(host, offsets)
    host.run(f"msm_scatter_{kind}", grid, scalars, *shape, offsets, ranks, entries)
    return offsets, entries


def bucket_sums(host, points, offsets, entries, slice_=5, merge=4, grid=1):
    """The XYZZ sum of every bucket."""
    buckets, capacity = offsets.size - 1, entries.size
    sums = xyzz(buckets)
    count = 2 * -(-capacity // slice_)
    keys, parts = u32(count), xyzz(count)
    host.run(
        "msm_accumulate",
        grid,
        points,
        entries,
        offsets,
        np.uint32(buckets),
        capacity,
        np.uint32(slice_),
        sums,
        keys,
        parts,
    )
    whole = slice_ >= capacity
    while not whole:
        n = keys.size
        step = n if n <= 2 * merge else merge
        whole = step >= n
        more = 2 * -(-n // step)
        next_keys, next_parts = u32(more), xyzz(more)
        host.run("msm_merge", grid, keys, parts, n, np.uint32(step), sums, next_keys, next_parts)
        keys, parts = next_keys, next_parts
    return sums


def weighted(host, sums, sets, bits, groups, grid=1):
    """Sums over the buckets of every set, sets of one group joined by their windows: affine points."""
    arrays, half, work = 1, sums.shape[0] // sets // 2, sums
    for _ in range(bits - 1):
        out = xyzz(sets * (arrays + 1) * half)
        host.run("msm_fold_buckets", grid, work, sets, np.uint32(arrays), half, out)
        work, arrays, half = out, arrays + 1, half // 2
    out = xyzz(groups)
    host.run("msm_horner", grid, work, groups, np.uint32(sets // groups), np.uint32(bits), out)
    return normalised(host, out, grid)


def normalised(host, points, grid=1):
    out = np.full((points.shape[0], 12), 7, np.uint64)
    products = np.zeros((points.shape[0], 6), np.uint64)
    host.run("normalise", grid, points, points.shape[0], products, out)
    return out


def largest(scalars):
    if scalars.dtype == np.uint64:
        return (Fr.modulus - 1) // 2
    return max(1, int(scalars.max()), -int(scalars.min()))


def msm_rows(host, points, scalars, bits, **shape):
    """One point a row; `scalars` is (rows, columns) integers or (rows, columns, 4) elements."""
    rows, columns = scalars.shape[:2]
    windows = _windows(largest(scalars), bits)
    offsets, entries = bucket_lists(host, scalars, rows, columns, bits, windows)
    sums = bucket_sums(host, points, offsets, entries, **shape)
    return weighted(host, sums, rows * windows, bits, rows)


def msm(host, points, scalars, bits):
    """One MSM over elements: the windows' sums from the kernels, their Horner sum on the host."""
    windows = _windows(largest(scalars), bits)
    offsets, entries = bucket_lists(host, scalars, 1, len(points), bits, windows)
    sums = bucket_sums(host, points, offsets, entries, slice_=40, merge=8)
    return horner(weighted(host, sums, windows, bits, windows), 1, windows, bits)
