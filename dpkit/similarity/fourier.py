"""Paired random Fourier features on integers: the public map from a record to its contributions.

Each kernel here is E cos(<w, x - y>) over a public frequency w (Bochner), and cos(a - b) = cos a cos b +
sin a sin b, so the sum of similarities at y is an average of c_j cos<w_j, y> + s_j sin<w_j, y> over m
frequencies, with c_j, s_j the sums of cos<w_j, x>, sin<w_j, x> over the records.

A record's contribution is computed without floats: x_int = round(2^16 x/h), w_int = round(2^16 w/(2 pi)), the
phase <x_int, w_int> mod 2^32 in turns of 2^-32, rounded to one of 2^12 places, where one public table holds
trunc(2^P cos), trunc(2^P sin) with c^2 + s^2 <= 4^P in every row. So sensitivities are exact whatever the
record. Rounded frequencies make every kernel repeat with period 2^16 h in each coordinate, and multiply it by
a factor 1 - O(|x-y|^2 2^-32 / h^2) within it (docs/privacy.md).
"""

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.grid import norm_squared_cap, pair_l1
from dpkit.similarity.phases import INDEX_BITS, PHASE_BITS, tiles
from dpkit.similarity.stream import PublicStream
from dpkit.similarity.sums import add_contributions, answer, block_variance

__all__ = [
    "COORDINATE_BITS",
    "COORDINATE_LIMIT",
    "FAR",
    "MAP_VERSION",
    "FourierMap",
    "directions",
    "pair_table",
]

MAP_VERSION = 2
"""Which law of records to integers a release was made with; 1 had phases modulo 2^62."""
COORDINATE_BITS = 16  # x_int counts steps of h / 2^16
COORDINATE_LIMIT = 1 << 46  # |x| saturates at 2^30 h
FAR = COORDINATE_LIMIT + (1 << (PHASE_BITS - 1))  # and lands half a period from the origin
FREQUENCY_BITS = PHASE_BITS - COORDINATE_BITS
_BLOCK = 64
_BLOCKS_AT_LEAST = 32
_MOST_CANDIDATES = 64
_CANDIDATE_NUMBERS = 1 << 21  # normals drawn for candidates: a fifth of a second
_FEWEST_BLOCKS = 16
ROTATION_INVARIANT = frozenset({"gaussian", "exponential", "cauchy", "inverse_l2"})


@functools.cache
def pair_table(grid_bits: int) -> NDArray[np.int32]:
    """Return trunc(2^P cos t), trunc(2^P sin t) for t = 2 pi k / 2^12, read-only (2^12, 2) int32.

    One quarter wave is computed and mirrored, so the table is exactly symmetric; the sine is the cosine a
    quarter turn earlier. Truncation is toward zero, and a pass over the table confirms c^2 + s^2 <= 4^P,
    clamping any entry that a float overshot: the sensitivity bound rests on that pass, not on the cosine.

    Args:
        grid_bits: P, in [0, 30].

    Example:
        >>> pair_table(20)[[0, 1024, 2048]].tolist()
        [[1048576, 0], [0, 1048576], [-1048576, 0]]
    """
    size = 1 << INDEX_BITS
    quarter = size // 4
    rising = [math.trunc(math.ldexp(math.cos(2.0 * math.pi * k / size), grid_bits)) for k in range(quarter)]
    rising.append(0)
    cap = norm_squared_cap(grid_bits)
    for k in range(quarter + 1):
        while rising[k] ** 2 + rising[quarter - k] ** 2 > cap:
            rising[max(k, quarter - k)] -= 1
    half = rising + [-v for v in rising[quarter - 1 :: -1]]
    cosine = np.array(half + half[-2:0:-1], dtype=np.int32)
    table = np.stack([cosine, np.roll(cosine, quarter)], axis=1)
    table.flags.writeable = False
    return table


@functools.cache
def _packed_table(grid_bits: int) -> NDArray[np.int64]:
    """Return 2^32 cosine + sine of every row of the table, read-only (2^12,) int64."""
    pairs = pair_table(grid_bits).astype(np.int64)
    packed = (pairs[:, 0] << 32) + pairs[:, 1]
    packed.flags.writeable = False
    return packed


@njit(cache=True, nogil=True)
def _words_of(points, low, high, nan, bandwidth, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write round(2^16 clip(x) / h), saturated to FAR in magnitude, modulo 2^32; NaN becomes `nan`, in h."""
    far = float(FAR)
    for i in range(points.shape[0]):
        for k in range(points.shape[1]):
            value = points[i, k]
            value = low[k] if value < low[k] else value
            value = high[k] if value > high[k] else value
            value = value / bandwidth
            value = nan[k] if np.isnan(value) else value
            steps = np.rint(value * 65536.0)
            steps = -far if steps < -far else steps
            steps = far if steps > far else steps
            out[i, k] = np.uint32(np.int64(steps) & 0xFFFFFFFF)


@njit(cache=True, nogil=True)
def _orthonormalise(columns: NDArray[np.float64]) -> None:  # pragma: no cover - compiled
    """Make the columns of a (d, r) array orthonormal in place, by modified Gram-Schmidt in a fixed order.

    Plain loops, so that every machine rounds alike; a linear-algebra library would not.
    """
    d, r = columns.shape
    overlap = np.empty(r)
    for i in range(r):
        square = 0.0
        for c in range(d):
            square += columns[c, i] * columns[c, i]
        norm = math.sqrt(square)
        for c in range(d):
            columns[c, i] /= norm
        overlap[:] = 0.0
        for c in range(d):
            for k in range(i + 1, r):
                overlap[k] += columns[c, i] * columns[c, k]
        for c in range(d):
            for k in range(i + 1, r):
                columns[c, k] -= columns[c, i] * overlap[k]


def _norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the l2 norms of rows, adding coordinates in order on every machine."""
    square = np.zeros(len(rows))
    for c in range(rows.shape[1]):
        square += rows[:, c] * rows[:, c]
    return np.sqrt(square)


def directions(stream: PublicStream, count: int, columns: int) -> NDArray[np.float64]:
    """Return unit vectors, (count, columns), uniform, orthogonal in sets of `columns` rows."""
    gaussian = stream.normals(count * columns).reshape(count, columns)
    for start in range(0, count, columns):
        block = np.ascontiguousarray(gaussian[start : start + columns].T)
        _orthonormalise(block)
        gaussian[start : start + columns] = block.T
    return gaussian


def block_size(kernel: str, count: int, columns: int) -> int:
    """Return how many consecutive frequencies are drawn together; blocks are independent of each other.

    A whole number of orthonormal sets, about 64 frequencies, and no more than leaves 32 blocks where that is
    possible: standard errors are read from the spread of blocks. 1 for kernels with independent frequencies.
    """
    if kernel not in ROTATION_INVARIANT:
        return 1
    return columns * max(1, min(_BLOCK, count // _BLOCKS_AT_LEAST) // columns)


def _iid_lengths(kernel: str, stream: PublicStream, count: int, columns: int) -> NDArray[np.float64]:
    """Return independent norms of frequencies of a rotation-invariant kernel, (count,)."""
    lengths = _norms(stream.normals(count * columns).reshape(count, columns))
    if kernel in ("exponential", "inverse_l2"):
        lengths = lengths / np.abs(stream.normals(count))
    else:
        lengths = lengths * math.sqrt(2.0)
    if kernel == "cauchy":
        return lengths * np.sqrt(stream.exponentials(count))
    return lengths * stream.exponentials(count) if kernel == "inverse_l2" else lengths


def _lengths(kernel: str, stream: PublicStream, count: int, columns: int) -> NDArray[np.float64]:
    """Return norms stratified within blocks, (count,): each has the kernel's law, a block covers it evenly.

    A block of L norms draws K L independent ones, sorts them, takes one at random from each run of K, and
    deals those in random order. Position and choice are uniform, so every norm is a uniform pick from an
    independent sample: its law is untouched, and so is unbiasedness. K falls to 1 where m d is large.
    """
    block = block_size(kernel, count, columns)
    blocks = -(-count // block)
    runs = max(1, min(_MOST_CANDIDATES, _CANDIDATE_NUMBERS // (count * columns)))
    drawn = _iid_lengths(kernel, stream, blocks * block * runs, columns)
    strata = np.sort(drawn.reshape(blocks, block * runs), axis=1).reshape(blocks * block, runs)
    pick = (stream.uniforms(blocks * block) * runs).astype(np.int64)
    chosen = strata[np.arange(blocks * block), pick].reshape(blocks, block)
    order = np.argsort(stream.uniforms(blocks * block).reshape(blocks, block), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1).reshape(-1)[:count]


def frequencies(kernel: str, count: int, columns: int, seed: int) -> NDArray[np.float64]:
    """Return `count` public frequencies of a kernel at bandwidth one, (count, columns) float64.

    Spectral laws, N standard normal: `gaussian` sqrt(2) N_d; `exponential` N_d / |N_1|; `laplacian`
    independent Cauchy. `cauchy`, `inverse_l2`, `inverse_l1` are mixtures over t ~ Exp(1) of those three with
    distances multiplied by t: frequencies times sqrt(t), t, t (1/(1+u) = E exp(-t u)). The four
    rotation-invariant laws draw directions in orthonormal sets and norms stratified within blocks: each
    frequency keeps its law, so the estimate stays unbiased and its error falls.
    """
    stream = PublicStream(seed, f"fourier|{kernel}|{columns}|{count}")
    if kernel in ROTATION_INVARIANT:
        lengths = _lengths(kernel, stream, count, columns)
        return directions(stream, count, columns) * lengths[:, None]
    ratios = stream.normals(2 * count * columns).reshape(2, count, columns)
    cauchy = ratios[0] / ratios[1]
    return cauchy * stream.exponentials(count)[:, None] if kernel == "inverse_l1" else cauchy


def frequency_words(values: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return round(2^16 w / (2 pi)) mod 2^32 for every entry, uint32 of the same shape.

    The remainder is taken in float64, where it is exact, so arbitrarily large Cauchy frequencies wrap
    correctly.
    """
    return np.fmod(_frequency_steps(values), 2.0**PHASE_BITS).astype(np.int64).astype(np.uint32)


def _frequency_steps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return round(2^16 w / (2 pi)) as float64."""
    return np.rint(values * (2.0**FREQUENCY_BITS / (2.0 * math.pi)))


class PairedContributions:
    """Bounds on what one record adds to m pairs (cosine, sine) on the grid 2^-P, whatever the frequencies."""

    features: int
    grid_bits: int

    @property
    def sensitivity_l1(self) -> int:
        """Largest sum of |contributions| of one record, in grid units: m isqrt(2 * 4^P)."""
        return self.features * pair_l1(self.grid_bits)

    @property
    def sensitivity_l2_squared(self) -> int:
        """Largest sum of squared contributions of one record, in squared grid units: m 4^P."""
        return self.features * norm_squared_cap(self.grid_bits)

    @property
    def replaced_l1(self) -> int:
        """Largest l1 norm of a difference of two contributions: twice that of one."""
        return 2 * self.sensitivity_l1

    @property
    def replaced_l2_squared(self) -> int:
        """Largest squared l2 norm of a difference of two contributions, which may point apart."""
        return 4 * self.sensitivity_l2_squared


@dataclass(frozen=True)
class FourierMap(PairedContributions):
    """The public map of one structure: kernel, bandwidth and the m frequencies that a public seed fixes.

    Args:
        kernel: name of a kernel with Fourier features.
        bandwidth: h, in the units of the records.
        columns: d.
        features: m, the number of frequencies; a sketch holds 2 m sums.
        public_seed: fixes the frequencies, nothing else.
        bounds: public domain (low, high) as tuples of d floats, or None for no clipping.
        grid_bits: P; contributions are multiples of 2^-P.
    """

    kernel: str
    bandwidth: float
    columns: int
    features: int
    public_seed: int = 0
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    grid_bits: int = 20

    @functools.cached_property
    def words(self) -> NDArray[np.uint32]:
        """The integer frequencies w_int modulo 2^32, (m, d) uint32, read-only."""
        words = frequency_words(frequencies(self.kernel, self.features, self.columns, self.public_seed))
        words.flags.writeable = False
        return words

    def rounded_frequencies(self) -> NDArray[np.float64]:
        """Return the frequencies that the words stand for, (m, d) float64: for queries by real arithmetic.

        Records meet rounded frequencies, so queries must too: far from the origin, the difference shows.
        """
        values = frequencies(self.kernel, self.features, self.columns, self.public_seed)
        return _frequency_steps(values) * (2.0 * math.pi / 2.0**FREQUENCY_BITS)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the integer frequencies: two maps with one digest are one map."""
        return hashlib.sha256(self.words.astype("<u4").tobytes()).hexdigest()

    @property
    def structure(self) -> str:
        """What users type to choose this map."""
        return "fourier"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the sums: cosines and sines."""
        return 2, self.features

    @functools.cached_property
    def tiles(self) -> NDArray[np.uint32]:
        """The frequencies as the loops want them."""
        return tiles(self.words)

    @property
    def block(self) -> int:
        """How many consecutive frequencies are drawn together."""
        return block_size(self.kernel, self.features, self.columns)

    @property
    def pairs(self) -> NDArray[np.int32]:
        """The public table of (cosine, sine) of this grid, (2^12, 2) int32."""
        return pair_table(self.grid_bits)

    @property
    def packed(self) -> NDArray[np.int64]:
        """The same table, 2^32 cosine + sine, (2^12,) int64."""
        return _packed_table(self.grid_bits)

    def integers(self, points: NDArray[np.generic], clip: bool) -> NDArray[np.uint32]:
        """Return x_int = round(2^16 x/h), saturated to `FAR` in magnitude, modulo 2^32, (rows, d) uint32.

        Args:
            points: (rows, d) real.
            clip: records are clipped to the bounds first, where there are bounds; queries are not.

        NaN becomes the middle of the bounds, or 0 without bounds; infinities clip or saturate. Nothing
        raises.
        """
        low, high = np.full(self.columns, -np.inf), np.full(self.columns, np.inf)
        nan = np.zeros(self.columns)
        with np.errstate(over="ignore", invalid="ignore"):
            if clip and self.bounds is not None:
                low, high = np.array(self.bounds[0]), np.array(self.bounds[1])
                nan = (low / 2 + high / 2) / self.bandwidth
            values = np.array(points, dtype=np.float64, order="C")
            out = np.empty(values.shape, dtype=np.uint32)
            _words_of(values, low, high, nan, self.bandwidth, out)
        return out

    def add(self, sums: NDArray[np.uint64], records: NDArray[np.generic]) -> None:
        """Add the contributions of records to the sums, modulo 2^64, in place."""
        add_contributions(sums, records, self, self.tiles)

    def moments(
        self,
        noisy: NDArray[np.int64],
        queries: NDArray[np.generic],
        count: int,
        evaluate: Callable[..., NDArray[np.float64]] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the estimates of the sums and of their variances over blocks of frequencies, (rows,) each.

        Blocks of frequencies are independent of each other (see `block_variance`); where there are fewer than
        16, single terms are used, which overstates the error.

        Args:
            noisy: (2, m) released sums, in grid units.
            queries: (rows, d) real.
            count: the released number of records; not needed here.
            evaluate: (noisy, queries, map, block) -> moments, in place of the compiled loop.
        """
        m, block = self.features, self.block
        if m < _FEWEST_BLOCKS * block:
            block = 1
        if evaluate is None:
            found = answer(noisy, queries, self, self.tiles, block)
        else:
            found = evaluate(noisy, queries, self, block)
        means = found[:, 0] / m
        if m == 1:
            return means, np.full(len(means), np.inf)
        return means, block_variance(found, m, block)

    def noise_variance(self, each: float) -> float:
        """Return the variance of the noise in an answer, where every sum has variance `each` (grid units)."""
        return each / self.features * 4.0**-self.grid_bits
