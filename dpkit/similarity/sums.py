"""The two hot loops: sums of a map's contributions over records, and answers to queries from such sums.

Both walk tiles of four points by 64 frequencies, so that a tile's phases stay in registers and first-level
cache, and both use bounded memory whatever the number of points. Phases wrap modulo 2^64, which keeps them
right modulo 2^62. Time and memory depend on shapes alone, never on record content (table look-ups aside: see
docs/privacy.md).
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "INDEX_BITS",
    "PHASE_BITS",
    "PhaseMap",
    "add_contributions",
    "answer",
    "block_variance",
    "run_chunks",
    "threads_available",
    "tiles",
]

PHASE_BITS = 62
INDEX_BITS = 16
_TILE = 64
_ROWS = 4
_CACHED_ROWS = 256  # a multiple of _ROWS; so many points and the table share the second-level cache
_CHUNK_ROWS = 4096
_SHIFT = PHASE_BITS - INDEX_BITS
_MASK = (1 << INDEX_BITS) - 1
_SINE = 3 << (INDEX_BITS - 2)  # sin(t) = cos(t + 3/4 turn)


class PhaseMap(Protocol):
    """What the loops need to know of a map: its grids and its table."""

    @property
    def features(self) -> int:
        """The number of frequencies m."""

    @property
    def grid_bits(self) -> int:
        """P; contributions are multiples of 2^-P."""

    @property
    def table(self) -> NDArray[np.int32]:
        """The public cosine table."""

    def integers(self, points: NDArray[np.generic], clip: bool) -> NDArray[np.int64]:
        """Return points as integers, (rows, d)."""


@njit(cache=True, nogil=True)
def _phases(points, start, tile, phases):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the phases of four points, from row `start`, against a (d, 64) tile of frequencies."""
    rows, d = points.shape
    last = rows - 1
    b, c, e = min(start + 1, last), min(start + 2, last), min(start + 3, last)
    phases[:] = 0
    for k in range(d):
        x0, x1, x2, x3 = points[start, k], points[b, k], points[c, k], points[e, k]
        for j in range(_TILE):
            w = tile[k, j]
            phases[0, j] += x0 * w
            phases[1, j] += x1 * w
            phases[2, j] += x2 * w
            phases[3, j] += x3 * w


@njit(cache=True, nogil=True)
def _accumulate(points, words, table, cosines, sines):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add every point's table entries to the running sums, (tiles, 64) int64 each."""
    phases = np.empty((_ROWS, _TILE), np.int64)
    rows = points.shape[0]
    for first in range(0, rows, _CACHED_ROWS):
        last = min(rows, first + _CACHED_ROWS)
        for t in range(words.shape[0]):
            for start in range(first, last, _ROWS):
                _phases(points, start, words[t], phases)
                for r in range(min(_ROWS, rows - start)):
                    for j in range(_TILE):
                        index = (phases[r, j] >> _SHIFT) & _MASK
                        cosines[t, j] += table[index]
                        sines[t, j] += table[(index + _SINE) & _MASK]


@njit(cache=True, nogil=True)
def _evaluate(points, words, table, cosines, sines, count, block, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write, for every query, the sum of its m terms, of their squares per block, and of block products.

    out[q] = (sum of terms, sum over blocks of (block sum)^2, sum over blocks of block sum * block size).
    """
    phases = np.empty((_ROWS, _TILE), np.int64)
    total = np.empty(_ROWS)
    square = np.empty(_ROWS)
    cross = np.empty(_ROWS)
    inner = np.empty(_ROWS)
    for start in range(0, points.shape[0], _ROWS):
        total[:] = 0.0
        square[:] = 0.0
        cross[:] = 0.0
        inner[:] = 0.0
        filled = 0
        for t in range(words.shape[0]):
            _phases(points, start, words[t], phases)
            for j in range(min(_TILE, count - t * _TILE)):
                c, s = cosines[t, j], sines[t, j]
                for r in range(_ROWS):
                    index = (phases[r, j] >> _SHIFT) & _MASK
                    inner[r] += c * table[index] + s * table[(index + _SINE) & _MASK]
                filled += 1
                if filled == block or t * _TILE + j == count - 1:
                    for r in range(_ROWS):
                        total[r] += inner[r]
                        square[r] += inner[r] * inner[r]
                        cross[r] += inner[r] * filled
                        inner[r] = 0.0
                    filled = 0
        for r in range(min(_ROWS, points.shape[0] - start)):
            out[start + r, 0] = total[r]
            out[start + r, 1] = square[r]
            out[start + r, 2] = cross[r]


def tiles(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (m, d) frequencies as tiles (ceil(m/64), d, 64), the last one padded with zero frequencies."""
    m, d = words.shape
    count = -(-m // _TILE)
    padded = np.zeros((count * _TILE, d), dtype=np.int64)
    padded[:m] = words
    return np.ascontiguousarray(padded.reshape(count, _TILE, d).transpose(0, 2, 1))


def block_variance(moments: NDArray[np.float64], count: int, block: int) -> NDArray[np.float64]:
    """Return an estimate of the variance of a mean of `count` terms drawn in independent blocks, (rows,).

    With T_b the sum of the s_b terms of block b and t the mean: B/(B-1) sum_b (T_b - s_b t)^2 / count^2.

    Args:
        moments: (rows, 3): sum of terms, sum of T_b^2, sum of T_b s_b.
        count: number of terms, at least 2.
        block: terms in a block; the last one may be short.
    """
    sizes = np.full(-(-count // block), float(block))
    sizes[-1] = count - block * (len(sizes) - 1)
    means = moments[:, 0] / count
    spread = moments[:, 1] - 2.0 * means * moments[:, 2] + means**2 * (sizes**2).sum()
    return np.asarray(np.maximum(spread, 0.0) * (len(sizes) / (len(sizes) - 1.0)) / count**2)


def threads_available() -> int:
    """Return how many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # pragma: no cover - not Linux
        return max(1, os.cpu_count() or 1)


def _chunks(rows: int, size: int) -> Iterator[slice]:
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def run_chunks(work: Callable[[slice], None], rows: int, size: int) -> None:
    """Call `work` on every chunk of rows, on as many threads as there are processors and chunks."""
    chunks = list(_chunks(rows, size))
    workers = min(threads_available(), len(chunks))
    if workers <= 1:
        for chunk in chunks:
            work(chunk)
        return
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, chunks):
            pass


def _chunk_rows(rows: int, columns: int) -> int:
    """Rows of a chunk: at most 32 MiB of integers, small enough that every thread has several."""
    share = -(-rows // (4 * threads_available()))
    return max(_ROWS, min(_CHUNK_ROWS, share, (1 << 22) // columns))


def add_contributions(
    sums: NDArray[np.uint64], points: NDArray[np.generic], features: PhaseMap, words: NDArray[np.int64]
) -> None:
    """Add the contributions of records to the sums, modulo 2^64, in place.

    Args:
        sums: (2, m) uint64: cosine sums, sine sums.
        points: (rows, d) real records.
        features: the public map.
        words: `tiles(features.words)`, kept by the caller across chunks.
    """
    table = features.table
    total = np.zeros((2, words.shape[0], _TILE), dtype=np.int64)
    adding = threading.Lock()

    def work(chunk: slice) -> None:
        local = np.zeros_like(total)
        _accumulate(features.integers(points[chunk], clip=True), words, table, local[0], local[1])
        with adding:
            np.add(total, local, out=total)

    run_chunks(work, len(points), _chunk_rows(len(points), points.shape[1]))
    sums += total.reshape(2, -1)[:, : features.features].view(np.uint64)


def answer(
    sums: NDArray[np.int64],
    points: NDArray[np.generic],
    features: PhaseMap,
    words: NDArray[np.int64],
    block: int,
) -> NDArray[np.float64]:
    """Return the moments of the m terms c_j cos<w_j, y> + s_j sin<w_j, y>, in units of one record.

    Args:
        sums: (2, m) int64, noisy, in grid units.
        points: (rows, d) real queries.
        features: the public map.
        words: `tiles(features.words)`.
        block: terms that belong together (frequencies drawn together) for the second and third moment.

    Returns:
        (rows, 3) float64: sum of terms; sum of squared block sums; sum of block sum times block size. A
        query's row does not depend on the other queries of its batch.
    """
    scaled = np.zeros((2, words.shape[0] * _TILE))
    scaled[:, : features.features] = sums * float(4.0**-features.grid_bits)
    cosines, sines = scaled.reshape(2, words.shape[0], _TILE)
    out = np.empty((len(points), 3))

    def work(chunk: slice) -> None:
        integers = features.integers(points[chunk], clip=False)
        _evaluate(integers, words, features.table, cosines, sines, features.features, block, out[chunk])

    run_chunks(work, len(points), min(256, _chunk_rows(len(points), points.shape[1])))
    return out
