"""Integer counters behind locality-sensitive hashes: kernels that *are* a collision probability.

For a random partition of space with P(x and y in one cell) = k(x, y), the number of records in y's cell is an
unbiased answer, and its mean over R partitions a good one. A record adds one to one counter of each row: no
features, no rounding, sensitivity R exactly.

Partitions. `laplacian`, exp(-|x-y|_1/h): a grid with a random width on each coordinate, Gamma(2) of scale h,
and a uniform shift. `exponential`, exp(-|x-y|_2/h), on a ball: a Poisson number of random hyperplanes; the
cell is the set of sides. `inverse_l1` and `inverse_l2` are mixtures over t ~ Exp(1) of those at bandwidth h/t
(1/(1+u) = E exp(-t u)). Cells are hashed into W buckets by a strongly universal hash, whose chance collisions
are taken off when a query is answered. Public clouds of points then take off most of what the choice of
partitions did to the answer (see `clouds`).

Every cell is computed from one record alone, in integers or in sums that double precision holds exactly, so a
record's counters never depend on the records beside it.

Source: Rahimi and Recht 2007 (grids); Coleman and Shrivastava 2020 (counters); Dietzfelbinger 1996, Lemire
and Kaser 2014 (the hash).
"""

import functools
import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.grid import to_grid
from dpkit.similarity.clouds import CLOUDS, Clouds, clouds_helpful, combine, draw, gather, tabulate
from dpkit.similarity.embedding import mean_projection
from dpkit.similarity.fourier import COORDINATE_BITS, COORDINATE_LIMIT
from dpkit.similarity.moments import Ball, ball_integers
from dpkit.similarity.stream import PublicStream
from dpkit.similarity.sums import block_variance, run_chunks, threads_available

__all__ = ["HASHED", "HashMap", "planes_per_row"]

HASHED = {"laplacian": "grid", "inverse_l1": "grid", "exponential": "planes", "inverse_l2": "planes"}
BUCKETS = 256
_RATE_BITS = 30  # grid cells per step of 2^-16 h, in steps of 2^-30
_CELL_SHIFT = COORDINATE_BITS + _RATE_BITS
_CELL_BITS = 64 - _CELL_SHIFT  # cells are known modulo 2^18: beyond it the kernel is zero
_BALL_BITS = 20
_DIRECTION_BITS = 32
_REACH = 4.0  # planes farther than four standard deviations of a record on the sphere cut nothing
_TILE_ROWS = 16
_BLOCK = 64
_BLOCKS_AT_LEAST = 16
_MOST_CANDIDATES = 32
_CANDIDATE_NUMBERS = 1 << 22
_FAR = 2.0**20  # a guess of where the data are is of no use beyond it
_CHUNK_NUMBERS = 1 << 18


@njit(cache=True, nogil=True)
def _grid_buckets(points, rates, shifts, weights, offset, drop, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the buckets of every point in a tile of rows, (points, rows) int64.

    points (rows of records, d) int64; rates, shifts, weights (d, tile) uint64 words that wrap.
    """
    n, d = points.shape
    tile = rates.shape[1]
    keys = np.empty(tile, np.uint64)
    for r in range(n):
        for j in range(tile):
            keys[j] = offset[j]
        for k in range(d):
            x = np.uint64(points[r, k])
            for j in range(tile):
                keys[j] += ((x * rates[k, j] + shifts[k, j]) >> np.uint64(_CELL_SHIFT)) * weights[k, j]
        for j in range(tile):
            out[r, j] = np.int64(keys[j] >> drop)


@njit(cache=True, nogil=True)
def _plane_buckets(products, offsets, weights, starts, offset, drop, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the buckets of every point in a tile of rows: which side of each plane, hashed.

    products (points, planes) exact whole numbers; planes starts[j]:starts[j+1] belong to row j.
    """
    for r in range(products.shape[0]):
        for j in range(len(starts) - 1):
            key = offset[j]
            for p in range(starts[j], starts[j + 1]):
                key += weights[p] if products[r, p] > offsets[p] else np.uint64(0)
            out[r, j] = np.int64(key >> drop)


@njit(cache=True, nogil=True)
def _count(buckets, table):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add one to a counter of each row for every point."""
    for r in range(buckets.shape[0]):
        for j in range(buckets.shape[1]):
            table[j, buckets[r, j]] += 1


@njit(cache=True, nogil=True)
def _gather(buckets, table, first, block, last, inner, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add, for every query, its counters, the squares of whole blocks, and blocks times their sizes.

    first: the row that the tile starts with; last: the table's number of rows; inner: sums of begun blocks.
    """
    for r in range(buckets.shape[0]):
        for j in range(buckets.shape[1]):
            found = table[j, buckets[r, j]]
            out[r, 0] += found
            inner[r] += found
            row = first + j + 1
            if row % block == 0 or row == last:
                size = (row - 1) % block + 1
                out[r, 1] += inner[r] * inner[r]
                out[r, 2] += inner[r] * size
                inner[r] = 0.0


def planes_per_row(kernel: str, radius: float, columns: int) -> float:
    """Return the mean number of hyperplanes of a row, for a ball of `radius` bandwidths."""
    reach = min(1.0, _REACH / math.sqrt(columns))
    return 2.0 * reach * radius / mean_projection(columns) if HASHED[kernel] == "planes" else 0.0


def _distribution(mean: float, mixed: bool) -> NDArray[np.float64]:
    """Return P(N <= k) for k = 0, 1, ... up to a tail of 2^-53; N Poisson, or geometric where mixed."""
    top = int(40.0 * (1.0 + mean)) if mixed else int(mean + 10.0 * math.sqrt(mean) + 40.0)
    if mixed:
        return np.asarray(1.0 - np.cumprod(np.full(top, mean / (1.0 + mean))))
    steps = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0)) for k in range(top)]
    return np.cumsum(steps)


@dataclass(frozen=True)
class HashMap:
    """The public map of one table of counters.

    Args:
        kernel: `laplacian`, `inverse_l1`, or on a ball `exponential`, `inverse_l2`.
        bandwidth: h, in the units of the records.
        columns: d.
        features: R, the number of rows (partitions).
        public_seed: fixes the partitions and the hash, nothing else.
        bounds: public domain (low, high) as tuples of d floats, or None for no clipping.
        ball: the domain of `exponential` and `inverse_l2`; None for the others.
        buckets: W, a power of two.
    """

    kernel: str
    bandwidth: float
    columns: int
    features: int
    public_seed: int = 0
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    ball: Ball | None = None
    buckets: int = BUCKETS

    @property
    def grid_bits(self) -> int:
        """Counters count whole records."""
        return 0

    @property
    def structure(self) -> str:
        """What users type to choose this map."""
        return "hash"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the sums: a table of counters."""
        return self.features, self.buckets

    @functools.cached_property
    def hash_words(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The hash: an offset for each row (R,), and weights: (R, d), or one for each plane."""
        stream = PublicStream(self.public_seed, f"buckets|{self.kernel}|{self.columns}|{self.features}")
        offset = stream.words(self.features)
        if self.ball is not None:
            return offset, stream.words(len(self.planes[1]))
        return offset, stream.words(self.features * self.columns).reshape(self.features, self.columns)

    @property
    def block(self) -> int:
        """How many consecutive rows are drawn together; blocks are independent of each other."""
        return max(1, min(_BLOCK, self.features // _BLOCKS_AT_LEAST))

    def _dealt(self, stream: PublicStream) -> NDArray[np.float64]:
        """Return uniforms, one a row, that cover (0, 1) evenly within a block: strata in random order."""
        blocks = -(-self.features // self.block)
        order = np.argsort(stream.uniforms(blocks * self.block).reshape(blocks, -1), axis=1, kind="stable")
        inside = stream.uniforms(blocks * self.block).reshape(blocks, -1)
        return np.asarray((order + inside) / self.block).reshape(-1)[: self.features]

    @functools.cached_property
    def grids(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The grids: cells per step of h/2^16, in steps of 2^-30, and shifts, both (R, d) uint64.

        Whether a grid's walls pass near the data moves all answers the same way, so rows are stratified by
        it, with the middle of the bounds, or 0, as the public guess of where the data lie: of K times too
        many independent candidates, sorted by how near their walls come, each row takes one at random from
        its run of K. Every row keeps its law, wherever the data are; the error halves where the guess is
        right.
        """
        rows, d = self.features, self.columns
        stream = PublicStream(self.public_seed, f"grids|{self.kernel}|{d}|{rows}")
        runs = max(1, min(_MOST_CANDIDATES, _CANDIDATE_NUMBERS // (rows * d)))
        place = (self._dealt(stream) * self.block * runs).astype(np.int64)
        middle = np.zeros(d)
        if self.bounds is not None:
            middle = np.clip(
                (np.array(self.bounds[0]) / 2 + np.array(self.bounds[1]) / 2) / self.bandwidth, -_FAR, _FAR
            )
        rates, shifts = np.empty((rows, d)), np.empty((rows, d))
        for start in range(0, rows, self.block):
            size = self.block * runs
            parts = stream.exponentials(2 * size * d).reshape(2, size, d)
            rate = 1.0 / (parts[0] + parts[1])
            if self.kernel == "inverse_l1":
                rate *= stream.exponentials(size)[:, None]
            rate, shift = np.minimum(rate, 2.0**32), stream.uniforms(size * d).reshape(size, d)
            inside = middle * rate + shift
            inside -= np.floor(inside)
            wall = np.minimum(inside, 1.0 - inside) * d / rate  # distance to a wall, in steps of h/d
            near = np.zeros(size)
            for c in range(d):
                near += 1.0 / ((1.0 + wall[:, c]) * (1.0 + wall[:, c]))
            chosen = np.argsort(near, kind="stable")[place[start : start + self.block]]
            rates[start : start + self.block], shifts[start : start + self.block] = (
                rate[chosen],
                shift[chosen],
            )
        words = np.rint(rates * 2.0**_RATE_BITS).astype(np.uint64)
        return words, np.rint(shifts * 2.0**_CELL_SHIFT).astype(np.uint64)

    @functools.cached_property
    def planes(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """The planes: directions (p, d) int64 of norm 2^32; offsets (p,), whole; first plane of rows (R+1,).

        On one row they are a Poisson process: directions uniform, offsets uniform over the reach, and as many
        as make P(no plane between x and y) = exp(-|x-y|_2 / h): Poisson of mean M, or, with t ~ Exp(1) in
        front of M, geometric. Their numbers are stratified within blocks of rows.
        """
        radius = (self.ball.radius if self.ball is not None else 1.0) / self.bandwidth
        stream = PublicStream(self.public_seed, f"planes|{self.kernel}|{self.columns}|{self.features}")
        mean = planes_per_row(self.kernel, radius, self.columns)
        at_most = _distribution(mean, self.kernel == "inverse_l2")
        numbers = np.searchsorted(at_most, self._dealt(stream))
        starts = np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)
        count = int(starts[-1])
        unit = stream.normals(count * self.columns).reshape(count, self.columns)
        square = np.zeros(count)
        for c in range(self.columns):
            square += unit[:, c] * unit[:, c]
        unit /= np.sqrt(square)[:, None]
        reach = min(1.0, _REACH / math.sqrt(self.columns))
        offsets = (2.0 * stream.uniforms(count) - 1.0) * reach * 2.0 ** (_BALL_BITS + _DIRECTION_BITS)
        return np.rint(unit * 2.0**_DIRECTION_BITS).astype(np.int64), np.rint(offsets), starts

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the partitions and the hash: two maps with one digest are one map."""
        parts = [*self.hash_words, *(self.grids if self.ball is None else self.planes)]
        joined = hashlib.sha256()
        for part in parts:
            joined.update(np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<")).tobytes())
        return joined.hexdigest()

    @property
    def sensitivity_l1(self) -> int:
        """One counter of each row: R."""
        return self.features

    @property
    def sensitivity_l2_squared(self) -> int:
        """One counter of each row: R."""
        return self.features

    @property
    def replaced_l1(self) -> int:
        """One counter down and one up in each row: 2 R."""
        return 2 * self.features

    @property
    def replaced_l2_squared(self) -> int:
        """One counter down and one up in each row: 2 R, not 4 R."""
        return 2 * self.features

    def integers(self, points: NDArray[np.generic], clip: bool) -> NDArray[np.int64]:
        """Return points as integers, (rows, d): steps of h/2^16, or of 2^-20 of the ball.

        NaN becomes the middle of the bounds (the ball's centre), or 0 without bounds.
        """
        if self.ball is not None:
            return ball_integers(points, self.ball, _BALL_BITS)
        values = np.asarray(points, dtype=np.float64)
        nan: NDArray[np.float64] | float = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            if clip and self.bounds is not None:
                low, high = np.array(self.bounds[0]), np.array(self.bounds[1])
                nan = (low / 2 + high / 2) / self.bandwidth
                values = np.clip(values, low, high)
            return to_grid(values / self.bandwidth, COORDINATE_BITS, COORDINATE_LIMIT, nan)

    @functools.cached_property
    def _tiles(self) -> list[tuple[slice, tuple[NDArray[np.uint64], ...]]]:
        """Tiles of rows as the loops want them: for grids, (d, tile) words."""
        found = []
        for start in range(0, self.features, _TILE_ROWS):
            rows = slice(start, min(start + _TILE_ROWS, self.features))
            words: tuple[NDArray[np.uint64], ...] = ()
            if self.ball is None:
                each = (*self.grids, self.hash_words[1])
                words = tuple(np.ascontiguousarray(part[rows].T) for part in each)
            found.append((rows, words))
        return found

    def buckets_of(self, integers: NDArray[np.int64], tile: int) -> NDArray[np.int64]:
        """Return the buckets of points in one tile of rows, (points, tile rows) int64 in [0, W)."""
        rows, words = self._tiles[tile]
        out = np.empty((len(integers), rows.stop - rows.start), dtype=np.int64)
        drop = np.uint64(64 - (self.buckets.bit_length() - 1))
        offset, weights = self.hash_words
        if self.ball is None:
            rates, shifts, factors = words
            _grid_buckets(integers, rates, shifts, factors, offset[rows], drop, out)
            return out
        directions, offsets, starts = self.planes
        first, last = starts[rows.start], starts[rows.stop]
        mine = slice(first, last)
        products = integers.astype(np.float64) @ directions[mine].astype(np.float64).T
        inner = starts[rows.start : rows.stop + 1] - first
        _plane_buckets(products, offsets[mine], weights[mine], inner, offset[rows], drop, out)
        return out

    def add(self, sums: NDArray[np.uint64], records: NDArray[np.generic]) -> None:
        """Add one to a counter of each row for every record, modulo 2^64, in place."""
        table = sums.view(np.int64)
        size = max(1, _CHUNK_NUMBERS // self.columns)
        for start in range(0, len(records), size):
            integers = self.integers(records[start : start + size], clip=True)

            def work(tiles: slice, integers: NDArray[np.int64] = integers) -> None:
                for tile in range(tiles.start, tiles.stop):
                    _count(self.buckets_of(integers, tile), table[self._tiles[tile][0]])

            run_chunks(work, len(self._tiles), -(-len(self._tiles) // (4 * threads_available())))

    def moments(
        self, noisy: NDArray[np.int64], queries: NDArray[np.generic], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the estimates of the sums and of their variances, (rows,) each.

        With c_r the counter of y's bucket in row r and N the released count, the mean over rows of
        (c_r - N/W) W/(W-1); from 128 rows on c_r is corrected by the clouds. The variance comes from the
        spread of blocks of rows (see `block_variance`).

        Args:
            noisy: (R, W) released counters.
            queries: (rows, d) real; for kernels on a ball, queries outside it move to its surface.
            count: the released number of records N.
        """
        table, lift = noisy.astype(np.float64), self.buckets / (self.buckets - 1.0)
        found, block = np.zeros((len(queries), 3)), self.block
        public = self.clouds

        def work(chunk: slice) -> None:
            integers = self.integers(queries[chunk], clip=False)
            if public is not None:
                found[chunk] = self._corrected(table, integers, public)
                return
            inner = np.zeros(len(integers))
            for tile, (rows, _) in enumerate(self._tiles):
                buckets = self.buckets_of(integers, tile)
                _gather(buckets, table[rows], rows.start, block, self.features, inner, found[chunk])

        run_chunks(work, len(queries), 64)
        means = found[:, 0] / self.features
        values = (means - count / self.buckets) * lift
        if self.features == 1:
            return values, np.full(len(values), np.inf)
        return values, lift**2 * block_variance(found, self.features, block)

    @functools.cached_property
    def clouds(self) -> Clouds | None:
        """Public points counted in these partitions, or None for tables that they would not help."""
        if not clouds_helpful(self.features, self.columns, self.buckets):
            return None
        points = draw(self.public_seed, self.columns, self.ball is not None)
        unit, box = 2.0**-COORDINATE_BITS, self.bounds
        middle = 0.0 if box is None else np.array(box[0]) / 2 + np.array(box[1]) / 2
        if self.ball is not None:
            unit = self.ball.radius / self.bandwidth * 2.0**-_BALL_BITS
            points = np.array(self.ball.center) + points * self.ball.radius
        else:
            points = middle + points * self.bandwidth
        integers = self.integers(points, clip=True)
        table = tabulate(
            self.shape,
            [rows for rows, _ in self._tiles],
            lambda tile: self.buckets_of(integers, tile),
            run_chunks,
        )
        return Clouds(
            np.ascontiguousarray(integers.T.astype(np.float64)),
            table,
            unit,
            HASHED[self.kernel] == "planes",
            self.kernel.startswith("inverse"),
        )

    def _corrected(
        self, table: NDArray[np.float64], integers: NDArray[np.int64], public: Clouds
    ) -> NDArray[np.float64]:
        """Return sums of corrected counters at queries given as integers, and of their blocks, (rows, 3)."""
        terms, blocks = CLOUDS + 1, -(-self.features // self.block)
        sums, products = np.zeros((len(integers), blocks, terms)), np.zeros((len(integers), 2, terms, terms))
        for tile, (rows, _) in enumerate(self._tiles):
            buckets = self.buckets_of(integers, tile)
            gather(buckets, table[rows], public.table[rows], rows.start, self.block, sums, products)
        chance = 1.0 / self.buckets
        means = chance * public.points + (1.0 - chance) * public.kernel_sums(integers)
        return combine(sums, products, means, self.features, self.block)

    def noise_variance(self, each: float) -> float:
        """Return the variance of the noise in an answer, where every counter has variance `each`."""
        return each / self.features * (self.buckets / (self.buckets - 1.0)) ** 2
