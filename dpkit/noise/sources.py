"""Noise sources: where the words come from, and the samplers on top of them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from dpkit.errors import ArgumentError
from dpkit.noise import exact, kernels, radial, scales
from dpkit.noise.keystream import CHUNK_WORDS, Keystream
from dpkit.noise.radial_kernel import LENGTH_SLACK, radial_fill, root_table
from dpkit.noise.tables import log_tables

__all__ = [
    "NoiseSource",
    "OSNoise",
    "UnsafeSeededNoise",
    "discrete_gaussian",
    "discrete_gaussian_vector",
    "discrete_laplace",
    "discrete_laplace_vector",
    "discrete_radial",
]

Scale = Fraction | int | tuple[int, int]
Size = int | tuple[int, ...] | None


class NoiseSource:
    """Exact discrete noise over some stream of uniform words; use `OSNoise`.

    Subclasses say where the words come from. The samplers' law does not depend on it, given uniform words.
    """

    def _streams(self) -> tuple[Keystream, exact.Word]:
        """Return the stream of the compiled samplers and the words that finish the draws they decline."""
        raise NotImplementedError

    def discrete_laplace(self, scale: Scale, size: Size = None) -> Any:
        """Draw from the discrete Laplace law P(z) = (1 - q)/(1 + q) q^|z|, q = exp(-1/scale).

        Args:
            scale: b, a positive rational up to `MAX_SCALE` = 2^44: Fraction, int, or (numerator,
            denominator).
                Floats are refused; `rational_up` converts them towards more noise.
            size: None for one integer, or the shape of the result.

        Returns:
            int, or int64 array of the shape. A value outside int64 (probability below exp(-2^18)) would be
            kept modulo 2^64, decoded as signed, like the sums it is added to.

        Raises:
            ArgumentError: scale or size out of range or of the wrong type.

        *Privacy*: added to an integer vector whose L1 sensitivity is D, scale D/epsilon gives pure
        epsilon-DP.

        Source: Ghosh, Roughgarden, Sundararajan (2009); law and proof of the sampler in docs/privacy.md.

        >>> UnsafeSeededNoise(1).discrete_laplace(Fraction(5, 2), 4).dtype
        dtype('int64')
        """
        table = scales.one_laplace(scales.as_rational("scale", scale, scales.MAX_SCALE))
        out = np.empty(_count(size), dtype=np.int64)
        self._laplace(table, np.zeros(1, dtype=np.int64), 0, out)
        return _shaped(out, size)

    def discrete_laplace_vector(self, scale: Any, denominator: Any = 1) -> np.ndarray:
        """Draw one discrete Laplace number per coordinate, coordinate i at scale[i] / denominator.

        Args:
            scale: (k,) integer array, or a sequence of k Fractions, integers and pairs; up to 2^44 after
            division. denominator: positive integer; beside an integer array also a (k,) integer array.

        Returns:
            (k,) int64 array.

        Raises:
            ArgumentError: an argument out of range or of the wrong type.

        *Privacy*: sum over i of |change_i| / scale_i <= epsilon for every pair of neighbours gives
        epsilon-DP.
        """
        unique, index = scales.as_rationals("scale", scale, denominator, scales.MAX_SCALE)
        out = np.empty(index.size, dtype=np.int64)
        self._laplace(scales.laplace_table(unique), index, 1, out)
        return out

    def discrete_gaussian(self, variance: Scale, size: Size = None) -> Any:
        """Draw from the discrete Gaussian law P(z) proportional to exp(-z^2 / (2 variance)).

        Args:
            variance: sigma^2, a positive rational up to `MAX_SCALE`^2 = 2^88: Fraction, int, or
                (numerator, denominator). Floats are refused.
            size: None for one integer, or the shape of the result.

        Returns:
            int, or int64 array of the shape; wrapped modulo 2^64 as in `discrete_laplace`.

        Raises:
            ArgumentError: variance or size out of range or of the wrong type.

        *Privacy*: added to an integer vector whose L2 sensitivity is D, it gives rho-zCDP, rho = D^2/(2
        variance).

        Source: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020).

        >>> type(UnsafeSeededNoise(1).discrete_gaussian(9))
        <class 'int'>
        """
        table = scales.one_gaussian(scales.as_rational("variance", variance, scales.MAX_SCALE**2))
        out = np.empty(_count(size), dtype=np.int64)
        self._gaussian(table, np.zeros(1, dtype=np.int64), 0, out)
        return _shaped(out, size)

    def discrete_gaussian_vector(self, variance: Any, denominator: Any = 1) -> np.ndarray:
        """Draw one discrete Gaussian number per coordinate, coordinate i at variance[i] / denominator.

        Args:
            variance: (k,) integer array, or a sequence of k Fractions, integers and pairs; up to 2^88 after
            division. denominator: positive integer; beside an integer array also a (k,) integer array.

        Returns:
            (k,) int64 array.

        Raises:
            ArgumentError: an argument out of range or of the wrong type.

        *Privacy*: rho-zCDP with rho the maximum over neighbours of (1/2) sum over i of change_i^2 /
        variance_i.
        """
        unique, index = scales.as_rationals("variance", variance, denominator, scales.MAX_SCALE**2)
        out = np.empty(index.size, dtype=np.int64)
        self._gaussian(scales.gaussian_table(unique), index, 1, out)
        return out

    def discrete_radial(self, scale: Scale, dimension: int, size: int | tuple[int, ...] = 1) -> np.ndarray:
        """Draw integer vectors from the radial law P(z) proportional to exp(-|z|_2 / scale) on Z^k.

        A coordinate has variance close to (k + 1) scale^2; coordinates are uncorrelated, not independent.

        Args:
            scale: b, a positive rational: Fraction, int, or (numerator, denominator); b sqrt(k) may be up to
                `MAX_SCALE` = 2^44. Floats are refused.
            dimension: k, up to `MAX_DIMENSION` = 1,024. A coordinate costs about sqrt(k) Laplace draws.
            size: how many vectors, or the shape of an array of them.

        Returns:
            int64 array of shape (size, k), or (*size, k); wrapped modulo 2^64 as in `discrete_laplace`.

        Raises:
            ArgumentError: scale, dimension or size out of range or of the wrong type.

        *Privacy*: added to an integer vector whose L2 sensitivity is D, scale D/epsilon gives pure
        epsilon-DP. Blocks of a vector may get vectors of their own: the sum of their D_g / b_g counts.

        Source: Hardt and Talwar (2010) for the law; the sampler and its proof are in docs/privacy.md.

        >>> UnsafeSeededNoise(1).discrete_radial(Fraction(5, 2), 8, 3).shape
        (3, 8)
        """
        if not isinstance(dimension, (int, np.integer)) or isinstance(dimension, bool):
            raise ArgumentError(f"dimension must be an integer, got {dimension!r}")
        k = int(dimension)
        if not 1 <= k <= radial.MAX_DIMENSION:
            raise ArgumentError(f"dimension must lie in 1..{radial.MAX_DIMENSION}, got {k}")
        if size is None:
            raise ArgumentError("size must be an integer >= 0 or a tuple of them, got None")
        count = _count(size)
        b = scales.as_rational("scale", scale, scales.MAX_SCALE)
        if b * b * k > scales.MAX_SCALE**2:
            raise ArgumentError(
                f"scale * sqrt(dimension) must be at most {scales.MAX_SCALE}, got scale = {b} and "
                f"dimension = {k}; change the grid so that it fits, or draw smaller blocks"
            )
        table = radial.radial_table(b, k)
        out = np.empty((count, k), dtype=np.int64)
        self._radial(table, out)
        return out.reshape((*size, k)) if isinstance(size, tuple) else out

    def _radial(
        self,
        table: radial.RadialTable,
        out: np.ndarray,
        laplace_slack: int = kernels.SLACK,
        slack: int = LENGTH_SLACK,
    ) -> None:
        main, spare = self._streams()
        state = np.zeros(3, dtype=np.int64)
        room = 2 + table.dimension.bit_length()
        highs, lows = np.zeros(room, dtype=np.uint64), np.zeros(room, dtype=np.uint64)
        lengths = np.zeros(room, dtype=np.int64)
        steps, rates = (table.back, table.place), (table.mantissa, table.exponent)
        proposal = (table.proposal.mantissa[0], table.proposal.shift[0])
        each = 2 * table.dimension * (2 + math.isqrt(table.dimension))
        while state[0] < len(out):
            words = main.ready((len(out) - int(state[0])) * each)
            used, declined = radial_fill(
                words,
                out,
                state,
                highs,
                lows,
                lengths,
                steps,
                rates,
                proposal,
                laplace_slack,
                slack,
                log_tables(),
                root_table(),
            )
            main.consume(used)
            if declined:
                self._radial_steps(table, out, state, highs, lows, lengths, int(words[used - 1]), main, spare)

    @staticmethod
    def _radial_steps(
        table: radial.RadialTable,
        out: np.ndarray,
        state: np.ndarray,
        highs: np.ndarray,
        lows: np.ndarray,
        lengths: np.ndarray,
        first: int,
        main: Keystream,
        spare: exact.Word,
    ) -> None:
        """Take the step that the kernel left open, exactly, and hand its blocks back where they fit."""
        row, step, depth = (int(x) for x in state)
        trial = radial.RadialTrial(table)
        trial.resume(step, [int(h) << 64 | int(w) for h, w in zip(highs[:depth], lows[:depth], strict=True)])
        trial.values = out[row].tolist()
        trial.advance(first, spare)
        while trial.oversized and not trial.finished:
            trial.advance(main.word(), spare)
        out[row] = [exact.wrapped(z) for z in trial.values]
        if trial.finished:
            state[:] = row + 1, 0, 0
            return
        depth = len(trial.blocks)
        state[:] = row, trial.step, depth
        for i, (square, _) in enumerate(trial.blocks):
            highs[i], lows[i] = square >> 64, square & (1 << 64) - 1
        lengths[:depth] = trial.lengths()

    def _laplace(
        self,
        table: scales.LaplaceTable,
        index: np.ndarray,
        step: int,
        out: np.ndarray,
        slack: int = kernels.SLACK,
    ) -> None:
        main, spare = self._streams()
        mantissa, shift, tables = table.mantissa[index], table.shift[index], log_tables()
        missed = np.empty((min(CHUNK_WORDS, 2 * out.size + 8), 2), dtype=np.uint64)
        done = 0
        while done < out.size:
            words = main.ready(out.size - done + 8)[: len(missed)]
            used, done, misses = kernels.laplace_fill(
                words, out, done, mantissa, shift, step, slack, tables, missed
            )
            main.consume(used)
            for i, first in missed[:misses].tolist():
                scale = table.scales[index[i * step]]
                out[i] = exact.wrapped(exact.laplace(scale, first, spare))

    def _gaussian(
        self,
        table: scales.GaussianTable,
        index: np.ndarray,
        step: int,
        out: np.ndarray,
        slack: int = kernels.SLACK,
        gamma_slack: int = kernels.GAMMA_SLACK,
    ) -> None:
        main, spare = self._streams()
        tables = log_tables()
        proposal = table.proposal
        arrays = (proposal.mantissa, proposal.shift, table.slope, table.slope_shift, table.offset)
        columns = tuple(array[index] for array in arrays)
        missed = np.empty((min(CHUNK_WORDS, 2 * out.size + 8), 3), dtype=np.uint64)
        done = 0
        while done < out.size:
            words = main.ready(3 * (out.size - done) + 8)[: 2 * len(missed)]
            used, done, misses = kernels.gaussian_fill(
                words, out, done, columns, step, slack, gamma_slack, tables, missed
            )
            main.consume(used)
            for i, first, second in missed[:misses].tolist():
                j = index[i * step]
                z = exact.gaussian(table.variances[j], table.proposals[j], first, second, spare)
                out[i] = exact.wrapped(z)


class OSNoise(NoiseSource):
    """Noise from the operating system's entropy; the one to use.

    Each call draws a fresh 256-bit key and 128-bit counter from `os.urandom` and runs AES-256 in counter
    mode, so no state outlives a call: a forked child, a thread or a second object never repeats a stream. A
    second key is drawn for the rare draws that need more bits.
    """

    def _streams(self) -> tuple[Keystream, exact.Word]:
        return Keystream.from_system(), _LateWords()


class UnsafeSeededNoise(NoiseSource):
    """UNSAFE, for tests only: whoever knows the seed can subtract the noise, and no privacy is left.

    It has the methods of `OSNoise` and the same law; calls continue one stream, so equal seeds and equal
    calls give equal draws.

    Args:
        seed: any integer.
    """

    def __init__(self, seed: int) -> None:
        self._main = Keystream.unsafe_from_seed(seed, b"main")
        self._spare = Keystream.unsafe_from_seed(seed, b"spare").word

    def _streams(self) -> tuple[Keystream, exact.Word]:
        return self._main, self._spare


class _LateWords:
    """Words of a system keystream that is opened at the first word; most calls never need one."""

    def __init__(self) -> None:
        self._stream: Keystream | None = None

    def __call__(self) -> int:
        if self._stream is None:
            self._stream = Keystream.from_system()
        return self._stream.word()


def _count(size: Size) -> int:
    """Return the number of draws a size asks for, or raise ArgumentError."""
    parts = () if size is None else size if isinstance(size, tuple) else (size,)
    for part in parts:
        if not isinstance(part, (int, np.integer)) or isinstance(part, bool) or part < 0:
            raise ArgumentError(f"size must be None, an integer >= 0 or a tuple of them, got {size!r}")
    return math.prod(int(part) for part in parts)


def _shaped(out: np.ndarray, size: Size) -> Any:
    return int(out[0]) if size is None else out.reshape(size)


_SYSTEM = OSNoise()

discrete_laplace = _SYSTEM.discrete_laplace
discrete_laplace_vector = _SYSTEM.discrete_laplace_vector
discrete_gaussian = _SYSTEM.discrete_gaussian
discrete_gaussian_vector = _SYSTEM.discrete_gaussian_vector
discrete_radial = _SYSTEM.discrete_radial
