"""Private kernel sums: one release, then any number of queries as post-processing."""

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.errors import FormatError
from dpkit.guarantee import Guarantee
from dpkit.release import Sealed, read_file, seal, unseal, write_atomically
from dpkit.similarity.builder import Builder
from dpkit.similarity.inputs import check_neighbours, check_points
from dpkit.similarity.queries import Answers, Queryable
from dpkit.similarity.settings import KDESettings
from dpkit.similarity.sizing import KDEPrediction

__all__ = ["KDE", "KDEBuilder"]


class KDE(Queryable):
    """A differentially private sum of kernel similarities, S(y) = sum over records x of k(x, y).

    The records enter through a public map into integer sums (paired random Fourier features, see
    `dpkit.similarity.fourier`, or counters behind hashes, see `dpkit.similarity.hashing`), exact discrete
    noise is added to each once, and everything after that is post-processing: queries cost no privacy, only
    time O(d m) each, whatever n was.

    Queries: D(y) = (1/m) sum_j c_j cos<w_j, y> + s_j sin<w_j, y>, or the mean over m counters. A row with NaN
    gets NaN; coordinates beyond 2^30 h saturate; hash counters on a ball move a query outside it to its
    surface. Standard errors cover noise and the sampling of frequencies or partitions: the spread of the
    noisy terms over sqrt(their number), blocks drawn together taken together; infinite where m = 1.

    Args:
        X: (n, d) private records, real. Content never raises: NaN coordinates become 0 (or the middle of the
            bounds), infinite and out-of-range ones saturate. An empty (0, d) array is a legal data set.
        kernel: `gaussian` exp(-|x-y|_2^2/h^2), `exponential`, `laplacian`, `cauchy`, `inverse_l2`,
            `inverse_l1`.
        bandwidth: h > 0, in the units of X; public, so not fitted to X.
        epsilon: privacy budget, positive.
        delta: 0 for pure epsilon-DP (radial noise; counters: Laplace), above 0 for (epsilon, delta)-DP
            (discrete Gaussian, calibrated by its curve; noise on an average is then sigma_1/n whatever m is).
        neighbours: `add-remove` (n is private; a noisy count is released beside the sums) or `replace` (n is
            public and is stored exactly; the noise is doubled).
        bounds: optional public domain (low, high) to which records are clipped; only hash counters for
            `exponential` and `inverse_l2` need one.
        features: m, the number of frequencies, or of rows of counters; None sizes it from public inputs (see
            `predict`).
        public_seed: fixes the public frequencies only, never the noise.
        expected_records: an optional *public* guess of n that improves the automatic m. Under `replace` it
            defaults to n, which is public there; under `add-remove` the number of rows is never looked at.
        structure: `auto` takes the least predicted error; `fourier`; `hash`, counters behind partitions, for
            `laplacian`, `inverse_l1`, and on a domain `exponential`, `inverse_l2`; `exponentials`, the
            published sum of exponentials for `cauchy`, `inverse_l2`, `inverse_l1`, for comparison.
        reduce: a dimension reduction in front, for kernels of the l2 distance: None, a number of coordinates,
            or `auto` (where d is at least 4,096). Its error, see `predict`, is not in the standard errors.
        radius: optional public ball about 0 that records are moved into, in place of bounds.
        backend: `cpu`, or `gpu`: chunks and queries of Fourier features through CuPy, X and Y of NumPy or
            CuPy; the same integers, noise always on the processor.

    Raises:
        ArgumentError: an argument is out of range, or X has a wrong shape or dtype.
        MissingBoundsError: the structure needs a public domain and none was given.

    *Privacy*: neighbours as above. One record's contributions in grid units (2^-20) have l1 norm at most m
    isqrt(2 * 4^20) and squared l2 norm at most m 4^20, exactly, on the integers that are summed; twice and
    four times that under `replace`. Hash counters: m and m, twice that under `replace`. A reduction changes
    none of it. Scales are rationals rounded up. Written proof in docs/privacy.md.

    Source: Rahimi and Recht 2007 (features); Yu and others 2016 (orthogonal directions).

    Example:
        >>> import dpkit
        >>> records = np.zeros((1000, 2))
        >>> kde = dpkit.KDE(records, bandwidth=0.5, epsilon=2.0, features=128)
        >>> values, errors = kde.query([[0.0, 0.0], [9.0, 9.0]], return_std=True)
        >>> bool(abs(values[0] - 1000) < 8 * errors[0])
        True
    """

    _settings: KDESettings
    _sums: NDArray[np.int64]
    _count: int
    _origin: str

    def __init__(
        self,
        X: ArrayLike,
        kernel: str = "gaussian",
        bandwidth: float = 1.0,
        epsilon: float = 1.0,
        delta: float = 0.0,
        neighbours: str = "add-remove",
        bounds: Any = None,
        features: int | None = None,
        public_seed: int = 0,
        expected_records: int | None = None,
        structure: str = "auto",
        reduce: int | str | None = None,
        radius: float | None = None,
        backend: str = "cpu",
    ) -> None:
        records = check_points(X, "X")
        if expected_records is None and check_neighbours(neighbours) == "replace":
            expected_records = len(records)
        builder = KDE.builder(
            d=records.shape[1],
            kernel=kernel,
            bandwidth=bandwidth,
            epsilon=epsilon,
            delta=delta,
            neighbours=neighbours,
            bounds=bounds,
            features=features,
            public_seed=public_seed,
            expected_records=expected_records,
            structure=structure,
            reduce=reduce,
            radius=radius,
            backend=backend,
        )
        made = builder.update(records).release()
        self._adopt(made._settings, made._sums, made._count, made._origin)

    @classmethod
    def _released(cls, settings: KDESettings, noisy: dict[str, NDArray[np.int64]], origin: str) -> "KDE":
        return cls._of(settings, noisy["sums"], int(noisy["count"][0]), origin)

    @staticmethod
    def builder(
        *,
        d: int,
        kernel: str = "gaussian",
        bandwidth: float = 1.0,
        epsilon: float = 1.0,
        delta: float = 0.0,
        neighbours: str = "add-remove",
        bounds: Any = None,
        features: int | None = None,
        public_seed: int = 0,
        expected_records: int | None = None,
        structure: str = "auto",
        reduce: int | str | None = None,
        radius: float | None = None,
        backend: str = "cpu",
    ) -> "KDEBuilder":
        """Return an empty builder: `update` it with chunks, `merge` shards, `release` it once.

        Args:
            d: number of columns of the records; the rest as for `KDE`.
        """
        settings = KDESettings.check(
            d,
            kernel,
            bandwidth,
            epsilon,
            delta,
            neighbours,
            bounds,
            features,
            public_seed,
            expected_records,
            structure,
            reduce,
            radius,
            backend,
        )
        return KDEBuilder(settings, KDE._released)

    @staticmethod
    def predict(
        *,
        d: int,
        kernel: str = "gaussian",
        bandwidth: float = 1.0,
        epsilon: float = 1.0,
        delta: float = 0.0,
        neighbours: str = "add-remove",
        bounds: Any = None,
        features: int | None = None,
        expected_records: int | None = None,
        structure: str = "auto",
        reduce: int | str | None = None,
        radius: float | None = None,
    ) -> list[KDEPrediction]:
        """Return predicted errors of an average similarity: the choice first, then what else there is.

        Args:
            d: number of columns; the rest as for `KDE`. No data is needed: every input is public.

        Example:
            >>> import dpkit
            >>> best = dpkit.KDE.predict(d=32, epsilon=1.0, expected_records=50_000)[0]
            >>> best.features, round(best.noise_std, 4)
            (5024, 0.002)
            >>> [p.structure for p in dpkit.KDE.predict(d=32, kernel="laplacian", epsilon=1.0)[:2]]
            ['hash', 'fourier']
        """
        return KDESettings.predict(
            d,
            kernel=kernel,
            bandwidth=bandwidth,
            epsilon=epsilon,
            delta=delta,
            neighbours=neighbours,
            bounds=bounds,
            features=features,
            expected_records=expected_records,
            structure=structure,
            reduce=reduce,
            radius=radius,
        )

    @classmethod
    def _of(cls, settings: KDESettings, sums: NDArray[np.int64], count: int, origin: str) -> "KDE":
        made = cls.__new__(cls)
        made._adopt(settings, sums, count, origin)
        return made

    def _adopt(self, settings: KDESettings, sums: NDArray[np.int64], count: int, origin: str) -> None:
        self._settings, self._count, self._origin = settings, count, origin
        self._sums = np.ascontiguousarray(sums)
        self._sums.flags.writeable = False

    @property
    def guarantee(self) -> Guarantee:
        """What the release promises: PureDP or ApproxDP, with `.neighbours`, `.epsilon(delta)` and `.rho`."""
        return self._settings.guarantee

    @property
    def kernel(self) -> str:
        """The kernel's name."""
        return self._settings.features.kernel

    @property
    def bandwidth(self) -> float:
        """The bandwidth h, in the units of the records."""
        return self._settings.features.bandwidth

    @property
    def d(self) -> int:
        """The number of columns of records and queries."""
        return self._settings.columns

    @property
    def features(self) -> int:
        """The number of frequencies, or of rows of counters, m."""
        return self._settings.features.features

    @property
    def structure(self) -> str:
        """The structure: `fourier`, `hash` or `exponentials`."""
        return self._settings.features.structure

    @property
    def neighbours(self) -> str:
        """The neighbour relation."""
        return self._settings.neighbours

    @property
    def public_seed(self) -> int:
        """The seed of the public frequencies."""
        return self._settings.features.public_seed

    @property
    def count(self) -> int:
        """The released count of records: noisy under `add-remove`, exact (public) under `replace`."""
        return self._count

    @property
    def public(self) -> dict[str, Any]:
        """Every public parameter, scale and the guarantee, as JSON-ready values; a fresh dictionary."""
        return {**self._settings.to_public(), "noise": self._origin}

    def _answer(self, queries: NDArray[Any], normalized: bool, return_std: bool) -> Answers:
        with np.errstate(over="ignore"):
            missing = np.isnan(np.asarray(on_host(queries), dtype=np.float64)).any(axis=1)
        values, variances = self._settings.moments(self._sums, queries, self._count)
        if normalized:
            count = float(max(self._count, 1))
            values = values / count
            plan = self._settings.calibration
            variances = variances / count**2 + (values / count) ** 2 * plan.count_variance()
        values[missing] = np.nan
        if not return_std:
            return values
        errors = np.sqrt(variances)
        errors[missing] = np.nan
        return values, errors

    def _largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        return np.ones(len(queries))

    def noise_std(self) -> float:
        """Return the exact standard deviation of the noise in `query(y)`, the same at every y.

        Pure: near sqrt(2 m) / ((1-w) eps), w = 1/50, doubled under `replace`; approximate: sigma_1 /
        sqrt(1-w). (Terms of equal weight; a sum of exponentials has others.
        Counters: sqrt(2 m); corrections by clouds, from 128 rows on, change it by about 4/m of itself.)
        Sampling error of the frequencies comes on top: `query(..., return_std=True)` covers both.
        """
        plan, features = self._settings.calibration, self._settings.features
        return float(np.sqrt(features.noise_variance(plan.sums_variance(features.features))))

    def to_bytes(self) -> bytes:
        """Return the bytes of the release file: public parameters, noisy integers, scales, guarantee."""
        arrays = {"sums": self._sums, "count": np.array([self._count], dtype=np.int64)}
        return seal(Sealed("kde", self.public, arrays))

    @classmethod
    def from_bytes(cls, data: bytes) -> "KDE":
        """Read back `to_bytes`; FormatError for anything else."""
        return cls._from_sealed(unseal(data))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the release to a file, by a temporary file and a rename."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "KDE":
        """Read a release that `save` wrote; FormatError for anything else."""
        return cls._from_sealed(read_file(path))

    @classmethod
    def _from_sealed(cls, sealed: Sealed) -> "KDE":
        if sealed.kind != "kde":
            raise FormatError(f"this release holds a {sealed.kind!r}, not a 'kde'")
        settings = KDESettings.from_public(sealed.public)
        arrays = sealed.arrays
        shapes = {name: (array.shape, array.dtype.kind) for name, array in arrays.items()}
        if shapes != {"sums": (settings.features.shape, "i"), "count": ((1,), "i")}:
            raise FormatError("malformed release of a kernel sum: its arrays do not fit its parameters")
        origin = sealed.public.get("noise")
        if not isinstance(origin, str):
            raise FormatError("malformed release of a kernel sum: the origin of its noise is missing")
        return cls._of(settings, arrays["sums"], int(arrays["count"][0]), origin)

    def __reduce__(self) -> tuple[Any, ...]:
        return KDE.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        unsafe = "" if self._origin == "operating-system" else f", {self._origin}"
        return f"KDE({_describe(self._settings)}, {self.guarantee!r}{unsafe})"


class KDEBuilder(Builder[KDESettings, KDE]):
    """Adds records, chunk by chunk, to a kernel sum that is still to come; made by `KDE.builder(...)`."""

    __slots__ = ()
    _what = "KDE"

    def _describe(self) -> str:
        return _describe(self._settings)


def _describe(settings: KDESettings) -> str:
    features = settings.features
    structure = "" if features.structure == "fourier" else f", structure={features.structure!r}"
    return (
        f"kernel={features.kernel!r}, bandwidth={features.bandwidth!r}, d={settings.columns}, "
        f"features={features.features}{structure}"
    )
