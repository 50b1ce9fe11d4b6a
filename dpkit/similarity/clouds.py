"""Control variates for hash counters: public points whose exact kernel sums are known.

The sampling error of counters is in the partitions: a row whose cells happen to be wide about a query counts
too many records there. It counts too many of *any* points then. So four clouds of public points, at four
distances from the middle of the domain, are counted in the same partitions. A row's counter c_r and its
counts g_r of the clouds go up and down together, the mean mu of g_r over partitions is an exact kernel sum,
and

    c_r - <b, g_r - mu>

has the mean of c_r whatever the slopes b, and less variance for good ones. Slopes are those of least squares
over rows, found for every query from the released counters. Rows come in two halves, independent of each
other, and each takes the slopes of the other half, so no slope knows the rows that it corrects: answers stay
unbiased.

Nothing here touches a record: clouds are public, slopes read noisy counters. Where the clouds do not resemble
the data the slopes come out near zero, at a cost of about 8/R of the variance.

Source: regression estimators (Cochran 1977); cross-fitting (Chernozhukov and others 2018).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.similarity.stream import PublicStream

__all__ = ["CLOUDS", "Clouds", "clouds_helpful", "combine", "draw", "gather", "tabulate"]

CLOUDS = 4
_BALL_SCALES = (1.0, 0.5, 0.25, 0.125)  # root mean square norms, in radii of the ball
_GRID_SCALES = (0.5, 1.0, 2.0, 4.0)  # mean l1 norms, in bandwidths
_POINTS = 512  # of a cloud
_FEWEST_POINTS = 64
_MOST_NUMBERS = 1 << 21
_FEWEST_ROWS = 128
_MOST_TABLE = 1 << 22  # counters of one cloud: 32 MiB for all
_RIDGE = 64.0  # squared counts: slopes on a handful of chance hits are shrunk
_RELATIVE_RIDGE = 1e-6


@dataclass(frozen=True)
class Clouds:
    """Public points and their counters.

    Args:
        integers: (d, CLOUDS * points) float64, whole: the points as a map reads them, cloud after cloud.
        table: (R, W, CLOUDS) int16, their counts.
        unit: bandwidths in one step of the integers.
        squared: distances are l2; else l1.
        inverse: the kernel is 1/(1+u); else exp(-u).
    """

    integers: NDArray[np.float64]
    table: NDArray[np.int16]
    unit: float
    squared: bool
    inverse: bool

    @property
    def points(self) -> int:
        """Points of one cloud."""
        return self.integers.shape[1] // CLOUDS

    def kernel_sums(self, queries: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact kernel sums of the clouds at queries given as integers, (rows, CLOUDS)."""
        out = np.zeros((len(queries), CLOUDS))
        _kernel_sums(queries, self.integers, self.unit, self.squared, self.inverse, out)
        return out


def clouds_helpful(rows: int, columns: int, buckets: int) -> bool:
    """Return whether a table is worth clouds: enough rows for slopes, and clouds of a bearable size.

    Args:
        rows, columns, buckets: R, d and W; all public.
    """
    enough = rows >= _FEWEST_ROWS and rows * buckets <= _MOST_TABLE
    return enough and columns * CLOUDS * _FEWEST_POINTS <= _MOST_NUMBERS


def draw(seed: int, columns: int, ball: bool) -> NDArray[np.float64]:
    """Return public points about 0, (CLOUDS * points, d) float64, cloud after cloud, each of a normal law.

    Args:
        seed: the map's public seed.
        columns: d.
        ball: in radii of the ball; else in bandwidths.
    """
    points = min(_POINTS, _MOST_NUMBERS // (CLOUDS * columns))
    stream = PublicStream(seed, f"clouds|{columns}|{'ball' if ball else 'grid'}")
    found = stream.normals(CLOUDS * points * columns).reshape(CLOUDS, points, columns)
    if ball:
        scales = np.array(_BALL_SCALES) / math.sqrt(columns)
    else:
        scales = np.array(_GRID_SCALES) * math.sqrt(math.pi / 2.0) / columns
    return np.asarray((found * scales[:, None, None]).reshape(-1, columns))


@njit(cache=True, nogil=True)
def count_clouds(buckets, first, table):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Count every public point in one tile of rows, from row `first`: buckets (CLOUDS * points, tile)."""
    points = buckets.shape[0] // table.shape[2]
    for i in range(buckets.shape[0]):
        for j in range(buckets.shape[1]):
            table[first + j, buckets[i, j], i // points] += 1


@njit(cache=True, nogil=True)
def _kernel_sums(queries, cloud, unit, squared, inverse, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the kernel of each query and each point to the sum of the point's cloud."""
    d, size = cloud.shape
    points = size // out.shape[1]
    distance = np.empty(size)
    for r in range(queries.shape[0]):
        distance[:] = 0.0
        for k in range(d):
            x = np.float64(queries[r, k])
            if squared:
                for j in range(size):
                    distance[j] += (x - cloud[k, j]) * (x - cloud[k, j])
            else:
                for j in range(size):
                    distance[j] += abs(x - cloud[k, j])
        for j in range(size):
            u = (math.sqrt(distance[j]) if squared else distance[j]) * unit
            out[r, j // points] += 1.0 / (1.0 + u) if inverse else math.exp(-u)


@njit(cache=True, nogil=True)
def gather(buckets, table, clouds, first, block, sums, products):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add one tile's counters of every query to sums of blocks and to products within halves.

    buckets (queries, tile); table (tile, W) released counters; clouds (tile, W, k); first: the tile's first
    row. sums (queries, blocks, k + 1); products (queries, 2, k + 1, k + 1), lower triangle.
    """
    terms = clouds.shape[2] + 1
    found = np.empty(terms)
    for r in range(buckets.shape[0]):
        for j in range(buckets.shape[1]):
            bucket = buckets[r, j]
            for k in range(terms - 1):
                found[k] = clouds[j, bucket, k]
            found[terms - 1] = table[j, bucket]
            of = (first + j) // block
            for k in range(terms):
                sums[r, of, k] += found[k]
                for i in range(k + 1):
                    products[r, of & 1, k, i] += found[k] * found[i]


def combine(
    sums: NDArray[np.float64],
    products: NDArray[np.float64],
    means: NDArray[np.float64],
    rows: int,
    block: int,
) -> NDArray[np.float64]:
    """Return the corrected counters of every query, as `block_variance` takes them, (queries, 3).

    Args:
        sums: (queries, blocks, CLOUDS + 1) sums over the rows of a block: clouds, then released counters.
        products: (queries, 2, CLOUDS + 1, CLOUDS + 1) sums of products over the rows of even and odd blocks.
        means: (queries, CLOUDS) what a row counts of the clouds on average over partitions.
        rows: R.
        block: rows of a block; the last one may be short.

    Returns:
        sum of corrected counters; sum of squared sums of blocks; sum of these sums times blocks' sizes.
    """
    sizes = np.full(sums.shape[1], float(block))
    sizes[-1] = rows - block * (len(sizes) - 1)
    clouds, counters = sums[:, :, :CLOUDS] - sizes[:, None] * means[:, None, :], sums[:, :, CLOUDS]
    corrected = np.empty_like(counters)
    for half in (0, 1):
        mine, other = slice(half, None, 2), 1 - half
        total, size = sums[:, other::2].sum(axis=1), sizes[other::2].sum()
        spread = products[:, other] - total[:, :, None] * total[:, None, :] / size
        gram = np.tril(spread[:, :CLOUDS, :CLOUDS])
        gram = gram + np.tril(gram, -1).transpose(0, 2, 1)
        each = np.arange(CLOUDS)
        gram[:, each, each] += _RELATIVE_RIDGE * gram[:, each, each] + _RIDGE
        slopes = np.linalg.solve(gram, spread[:, CLOUDS, :CLOUDS, None])[:, :, 0]
        corrected[:, mine] = counters[:, mine] - (clouds[:, mine] * slopes[:, None, :]).sum(axis=2)
    return np.stack(
        [corrected.sum(axis=1), (corrected * corrected).sum(axis=1), (corrected * sizes).sum(axis=1)], axis=1
    )


def tabulate(
    shape: tuple[int, int],
    tiles: list[slice],
    buckets_of: Callable[[int], NDArray[np.int64]],
    run: Callable[[Callable[[slice], None], int, int], None],
) -> NDArray[np.int16]:
    """Return the counters of the clouds, (R, W, CLOUDS) int16.

    Args:
        shape: R and W.
        tiles: the rows of each tile.
        buckets_of: (tile) -> the buckets of all points in these rows, (CLOUDS * points, rows).
        run: calls its first argument on chunks of tiles (see `run_chunks`).
    """
    table = np.zeros((*shape, CLOUDS), dtype=np.int16)

    def work(chunk: slice) -> None:
        for tile in range(chunk.start, chunk.stop):
            count_clouds(buckets_of(tile), tiles[tile].start, table)

    run(work, len(tiles), 1)
    return table
