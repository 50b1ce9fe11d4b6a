"""Paired random Fourier features on integers: the public map from a record to its contributions.

Each kernel here is E cos(<w, x - y>) over a public frequency w (Bochner), and cos(a - b) = cos a cos b +
sin a sin b, so the sum of similarities at y is an average of c_j cos<w_j, y> + s_j sin<w_j, y> over m
frequencies, with c_j, s_j the sums of cos<w_j, x>, sin<w_j, x> over the records.

A record's contribution is computed without floats: x_int = round(2^16 x/h), w_int = round(2^46 w/(2 pi)) mod
2^62, the phase <x_int, w_int> mod 2^62 in turns of 2^-62, and its top 16 bits look up trunc(2^P cos),
trunc(2^P sin) in one public table with c^2 + s^2 <= 4^P for every entry. So sensitivities are exact whatever
the record.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dpkit.grid import norm_squared_cap, pair_l1, to_grid
from dpkit.similarity.stream import PublicStream
from dpkit.similarity.sums import INDEX_BITS, PHASE_BITS, add_contributions, answer, block_variance, tiles

__all__ = [
    "COORDINATE_BITS",
    "COORDINATE_LIMIT",
    "INDEX_BITS",
    "PHASE_BITS",
    "FourierMap",
    "cosine_table",
    "directions",
]

COORDINATE_BITS = 16  # x_int counts steps of h / 2^16
COORDINATE_LIMIT = (
    1 << 46
)  # |x| saturates at 2^30 h, where a frequency's own rounding still moves < 1 table step
FREQUENCY_BITS = PHASE_BITS - COORDINATE_BITS
_BLOCK = 64
_BLOCKS_AT_LEAST = 32
_MOST_CANDIDATES = 64
_CANDIDATE_NUMBERS = 1 << 21  # normals drawn for candidates: a fifth of a second
_FEWEST_BLOCKS = 16
ROTATION_INVARIANT = frozenset({"gaussian", "exponential", "cauchy", "inverse_l2"})


@functools.cache
def cosine_table(grid_bits: int) -> NDArray[np.int32]:
    """Return trunc(2^P cos(2 pi k / 2^16)) for k = 0..2^16-1, read-only (2^16,) int32.

    One quarter wave is computed and mirrored, so the table is exactly symmetric; the sine is the same table
    read a quarter turn earlier. Truncation is toward zero, and a pass over the table confirms c^2 + s^2 <=
    4^P, clamping any entry that a float overshot: the sensitivity bound rests on that pass, not on the
    cosine.

    Args:
        grid_bits: P, in [0, 30].

    Example:
        >>> cosine_table(20)[[0, 16384, 32768]].tolist()
        [1048576, 0, -1048576]
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
    table = np.array(half + half[-2:0:-1], dtype=np.int32)
    table.flags.writeable = False
    return table


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


def frequency_words(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return round(2^46 w / (2 pi)) mod 2^62 for every entry, int64 of the same shape.

    The remainder is taken in float64, where it is exact, so arbitrarily large Cauchy frequencies wrap
    correctly.
    """
    steps = np.rint(values * (2.0**FREQUENCY_BITS / (2.0 * math.pi)))
    return np.fmod(steps, 2.0**PHASE_BITS).astype(np.int64) & np.int64((1 << PHASE_BITS) - 1)


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
    def words(self) -> NDArray[np.int64]:
        """The integer frequencies w_int, (m, d) int64 in [0, 2^62), read-only."""
        words = frequency_words(frequencies(self.kernel, self.features, self.columns, self.public_seed))
        words.flags.writeable = False
        return words

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the integer frequencies: two maps with one digest are one map."""
        return hashlib.sha256(self.words.astype("<i8").tobytes()).hexdigest()

    @property
    def structure(self) -> str:
        """What users type to choose this map."""
        return "fourier"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the sums: cosines and sines."""
        return 2, self.features

    @functools.cached_property
    def tiles(self) -> NDArray[np.int64]:
        """The frequencies as the loops want them."""
        return tiles(self.words)

    @property
    def block(self) -> int:
        """How many consecutive frequencies are drawn together."""
        return block_size(self.kernel, self.features, self.columns)

    @property
    def table(self) -> NDArray[np.int32]:
        """The public cosine table of this grid."""
        return cosine_table(self.grid_bits)

    def integers(self, points: NDArray[np.generic], clip: bool) -> NDArray[np.int64]:
        """Return x_int = round(2^16 x/h), saturated to 2^46 in magnitude, (rows, d) int64.

        Args:
            points: (rows, d) real.
            clip: records are clipped to the bounds first, where there are bounds; queries are not.

        NaN becomes the middle of the bounds, or 0 without bounds; infinities clip or saturate. Nothing
        raises.
        """
        values = np.asarray(points, dtype=np.float64)
        nan: NDArray[np.float64] | float = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            if clip and self.bounds is not None:
                low, high = np.array(self.bounds[0]), np.array(self.bounds[1])
                nan = (low / 2 + high / 2) / self.bandwidth
                values = np.clip(values, low, high)
            return to_grid(values / self.bandwidth, COORDINATE_BITS, COORDINATE_LIMIT, nan)

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
