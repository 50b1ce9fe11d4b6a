"""The two hot loops: sums of a map's contributions over records, and answers to queries from such sums.

Both walk tiles of four points by 16 frequencies, whose phases stay in registers, and read cosine and sine of
a phase from one small table that stays in the first-level cache. Memory is bounded whatever the number of
points. Time and memory depend on shapes alone, never on record content (table look-ups aside: see
docs/privacy.md).
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.similarity.phases import ROWS, TILE, places_of_four, places_of_one

__all__ = [
    "PhaseMap",
    "add_contributions",
    "answer",
    "block_variance",
    "run_chunks",
    "run_rows",
    "threads_available",
]

_RUN_ROWS = 256  # a multiple of ROWS; so many points stay in the second-level cache
_RUN_NUMBERS = 1 << 16  # of their coordinates
_QUERY_ROWS = 64  # queries that share one pass over the frequencies
_CHUNK_ROWS = 4096


class PhaseMap(Protocol):
    """What the loops need to know of a map: its grids and its table."""

    @property
    def features(self) -> int:
        """The number of frequencies m."""

    @property
    def grid_bits(self) -> int:
        """P; contributions are multiples of 2^-P."""

    @property
    def pairs(self) -> NDArray[np.int32]:
        """The public table of (cosine, sine)."""

    @property
    def packed(self) -> NDArray[np.int64]:
        """The same table, each pair in one number: 2^32 cosine + sine."""

    def integers(self, points: NDArray[np.generic], clip: bool) -> NDArray[np.uint32]:
        """Return points as integers modulo 2^32, (rows, d), C-ordered."""


@njit(cache=True, nogil=True)
def _accumulate(points, words, packed, run, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add every point's table entries to the running sums (2, tiles * 16) int64, modulo 2^64.

    A packed entry is 2^32 c + s, so one addition adds both. Over `run` points, |sum c| and |sum s| stay below
    2^31, and sum s is the signed low half of the total.
    """
    places = np.empty(ROWS * TILE, np.uint32)
    totals = np.empty(TILE, np.int64)
    rows = points.shape[0]
    for first in range(0, rows, run):
        last = min(rows, first + run)
        whole = last - (last - first) % ROWS
        for t in range(words.shape[0]):
            totals[:] = 0
            for start in range(first, whole, ROWS):
                places_of_four(points, start, words, t, places)
                for j in range(TILE):
                    a, b = packed[places[j]], packed[places[TILE + j]]
                    c, e = packed[places[2 * TILE + j]], packed[places[3 * TILE + j]]
                    totals[j] += (a + b) + (c + e)
            for start in range(whole, last):
                places_of_one(points, start, words, t, places)
                for j in range(TILE):
                    totals[j] += packed[places[j]]
            for j in range(TILE):
                sine = np.int64(np.int32(totals[j] & 0xFFFFFFFF))
                sums[0, t * TILE + j] += (totals[j] - sine) >> 32
                sums[1, t * TILE + j] += sine


@njit(cache=True, nogil=True)
def _terms(places, at, t, pairs, coefficients, count, block, filled, inner, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add one query's terms of tile t to its moments, out (3,); inner + filled: the block it is in."""
    j = 0
    top = min(TILE, count - t * TILE)
    while j < top:
        stop = min(top, j + block - filled)
        for i in range(j, stop):
            c, s = pairs[places[at + i], 0], pairs[places[at + i], 1]
            inner += coefficients[0, t * TILE + i] * c + coefficients[1, t * TILE + i] * s
        filled += stop - j
        j = stop
        if filled == block or t * TILE + j == count:
            out[0] += inner
            out[1] += inner * inner
            out[2] += inner * filled
            inner, filled = 0.0, 0
    return inner, filled


@njit(cache=True, nogil=True)
def _evaluate(points, words, pairs, coefficients, count, block, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write, for every query, the sum of its m terms, of their squares per block, and of block products.

    out[q] = (sum of terms, sum over blocks of (block sum)^2, sum over blocks of block sum * block size).
    """
    places = np.empty(ROWS * TILE, np.uint32)
    inner = np.empty(_QUERY_ROWS)
    rows = points.shape[0]
    out[:] = 0.0
    for first in range(0, rows, _QUERY_ROWS):
        last = min(rows, first + _QUERY_ROWS)
        whole = last - (last - first) % ROWS
        inner[:] = 0.0
        filled = after = 0
        for t in range(words.shape[0]):
            for start in range(first, whole, ROWS):
                places_of_four(points, start, words, t, places)
                for r in range(ROWS):
                    inner[start + r - first], after = _terms(
                        places,
                        r * TILE,
                        t,
                        pairs,
                        coefficients,
                        count,
                        block,
                        filled,
                        inner[start + r - first],
                        out[start + r],
                    )
            for start in range(whole, last):
                places_of_one(points, start, words, t, places)
                inner[start - first], after = _terms(
                    places,
                    0,
                    t,
                    pairs,
                    coefficients,
                    count,
                    block,
                    filled,
                    inner[start - first],
                    out[start],
                )
            filled = after


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
    return max(ROWS, min(_CHUNK_ROWS, share, (1 << 22) // columns))


def run_rows(columns: int, grid_bits: int) -> int:
    """Return how many points are added up in 32 bits: all their sums fit, and their coordinates the cache."""
    cached = _RUN_NUMBERS // columns // ROWS * ROWS
    return min(max(ROWS, min(_RUN_ROWS, cached)), (1 << (31 - grid_bits)) - 1)


def add_contributions(
    sums: NDArray[np.uint64], points: NDArray[np.generic], features: PhaseMap, words: NDArray[np.uint32]
) -> None:
    """Add the contributions of records to the sums, modulo 2^64, in place.

    Args:
        sums: (2, m) uint64: cosine sums, sine sums.
        points: (rows, d) real records.
        features: the public map.
        words: `tiles(features.words)`, kept by the caller across chunks.
    """
    packed, rows = features.packed, len(points)
    total = np.zeros((2, words.shape[0] * TILE), dtype=np.int64)
    run = run_rows(points.shape[1], features.grid_bits)
    adding = threading.Lock()

    def work(chunk: slice) -> None:
        local = np.zeros_like(total)
        _accumulate(features.integers(points[chunk], clip=True), words, packed, run, local)
        with adding:
            np.add(total, local, out=total)

    run_chunks(work, rows, _chunk_rows(rows, points.shape[1]))
    sums += total[:, : features.features].view(np.uint64)


def answer(
    sums: NDArray[np.int64],
    points: NDArray[np.generic],
    features: PhaseMap,
    words: NDArray[np.uint32],
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
    coefficients = np.zeros((2, words.shape[0] * TILE))
    coefficients[:, : features.features] = sums * float(4.0**-features.grid_bits)
    pairs = features.pairs
    out = np.empty((len(points), 3))

    def work(chunk: slice) -> None:
        integers = features.integers(points[chunk], clip=False)
        _evaluate(integers, words, pairs, coefficients, features.features, block, out[chunk])

    run_chunks(work, len(points), min(256, _chunk_rows(len(points), points.shape[1])))
    return out
