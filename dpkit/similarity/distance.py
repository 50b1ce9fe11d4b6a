"""Private sums of distances: one release, then any number of queries as post-processing."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.errors import ArgumentError, FormatError
from dpkit.guarantee import Guarantee
from dpkit.release import Sealed, read_file, seal, unseal, write_atomically
from dpkit.similarity.builder import Builder
from dpkit.similarity.distance_settings import ARGUMENTS, STRUCTURES, DistanceArguments, DistanceSettings
from dpkit.similarity.embedding import EmbeddingMap, EmbeddingReader, pair_spread
from dpkit.similarity.hat import HatMap, HatReader
from dpkit.similarity.inputs import check_neighbours, check_points
from dpkit.similarity.moments import MomentMap
from dpkit.similarity.queries import Answers, Queryable
from dpkit.similarity.trees import TreeMap

__all__ = ["DistancePrediction", "DistanceSum", "DistanceSumBuilder"]


@dataclass(frozen=True)
class DistancePrediction:
    """What a structure will do, known before any data.

    Args:
        structure: name for `structure=`.
        noise_std: standard deviation of the noise in a sum, root mean square over queries spread evenly in
            the bounds (for squares: at distance `radius` from the centre).
        relative: relative error that comes on top, whatever the budget: projection (l2, one pair of points;
            less on sums), annuli (`tree`).
        truncation: largest error that comes on top for each record, in the units of the sum.
        numbers: how many integers the release holds.
        parameters: the public parameters, with sizes.
    """

    structure: str
    noise_std: float
    relative: float
    truncation: float
    numbers: int
    parameters: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"DistancePrediction({self.structure!r}, noise_std={self.noise_std:.5g}, "
            f"relative={self.relative:.3g}, truncation={self.truncation:.3g}, numbers={self.numbers})"
        )


class DistanceSum(Queryable):
    """A differentially private sum of distances, S(y) = sum over records x of dist(x, y).

    The records enter, once, through a public map into integer sums; exact discrete noise is added to each,
    and everything after that is post-processing: queries cost no privacy, and O(d) time each, whatever n was.

    | metric | structure | noise in a sum, budget epsilon | the same, (epsilon, delta) |
    |---|---|---|---|
    | `l1`, sum_i abs(x_i - y_i) | hat basis | 1.65 (1 + 0.57 d^(-1/3))^1.5 R d^1.5 / epsilon | sigma_1 R d |
    | `lp`, sum_i abs(x_i - y_i)^p | hat basis | 3.34 R^p d^1.5 / epsilon | |
    | `l2` | hat basis on k projections | 12 sqrt(k) B / epsilon | 7.5 sigma_1 B |
    | `sqeuclidean` | moments | see docs/privacy.md | 4 sigma_1 B^2 |

    Queries: unbiased up to the structure's truncation. A row with NaN or infinity gets NaN. A query outside
    the domain is answered too, by the number of records times the way to it; except for `lp` with p other
    than 1 and 2, where only the domain is known and such a query is refused. Standard errors cover the noise
    (in closed form) and for `l2` the projection; not truncation, which the automatic depth keeps below it.

    Args:
        X: (n, d) private records, real; arrays of CuPy are copied to the processor, a piece at a time, here
            and in queries. Content never raises: coordinates are clipped to the bounds, NaN becomes the
            middle; with `radius`, records outside the ball move to its surface along the ray from the centre,
            NaN coordinates become the centre's, infinite ones count as 2^30 radii.
        metric: `l1`, `l2`, `sqeuclidean` or `lp`.
        epsilon: privacy budget, positive.
        delta: 0 for pure epsilon-DP, above 0 for the Gaussian mechanism, calibrated by its curve.
        neighbours: `add-remove` (n is private) or `replace` (n is public and stored exactly).
        bounds: public domain (low, high), scalars or (d,) arrays. Needed by `l1` and `lp`.
        p: the power of `lp`.
        structure: `hat`; or, for `l1`, the baselines `tree` and `two-tree`. Other metrics have one structure.
        radius, center: public ball, in place of bounds, for `l2` and `sqeuclidean`; the centre defaults to 0.
        features: number k of projections (`l2`); None sizes it from public inputs.
        depth: levels of the hat basis or of a tree; None sizes it from public inputs.
        alpha: growth of the annuli of `tree`.
        public_seed: fixes the public projections only, never the noise.
        expected_records: an optional *public* guess of n for sizing; under `replace` it defaults to n.

    Raises:
        MissingBoundsError: the metric needs a public domain and none was given.
        ArgumentError: an argument is out of range, or X has a wrong shape or dtype.

    *Privacy*: neighbours as above; sensitivities are exact statements about the integers that are summed,
    proofs in docs/privacy.md.

    Example:
        >>> import dpkit
        >>> records = np.full((1000, 2), 0.5)
        >>> dist = dpkit.DistanceSum(records, metric="l1", epsilon=2.0, bounds=(0.0, 1.0))
        >>> values, errors = dist.query([[0.0, 0.0], [1.0, 0.5]], return_std=True)
        >>> bool(abs(values[0] - 1000) < 8 * errors[0])
        True
    """

    _settings: DistanceSettings
    _arrays: dict[str, NDArray[np.int64]]
    _origin: str

    def __init__(
        self,
        X: ArrayLike,
        metric: str = "l1",
        epsilon: float = 1.0,
        delta: float = 0.0,
        neighbours: str = "add-remove",
        bounds: Any = None,
        p: float | None = None,
        structure: str = "hat",
        radius: float | None = None,
        center: Any = None,
        features: int | None = None,
        depth: int | None = None,
        alpha: float = 0.3,
        public_seed: int = 0,
        expected_records: int | None = None,
    ) -> None:
        records = check_points(X, "X")
        if expected_records is None and check_neighbours(neighbours) == "replace":
            expected_records = len(records)
        settings = DistanceSettings.check(
            records.shape[1],
            metric,
            epsilon,
            delta,
            neighbours,
            bounds,
            p,
            structure,
            radius,
            center,
            features,
            depth,
            alpha,
            public_seed,
            expected_records,
        )
        made = DistanceSumBuilder(settings, DistanceSum._of).update(records).release()
        self._adopt(made._settings, made._arrays, made._origin)

    @staticmethod
    def builder(*, d: int, **arguments: Unpack[DistanceArguments]) -> "DistanceSumBuilder":
        """Return an empty builder: `update` it with chunks, `merge` shards, `release` it once.

        Args:
            d: number of columns of the records; the rest as for `DistanceSum`.

        Example:
            >>> import dpkit
            >>> b = dpkit.DistanceSum.builder(d=2, metric="sqeuclidean", epsilon=1.0, radius=1.0)
            >>> b.update([[0.0, 1.0]]).release()
            DistanceSum(metric='sqeuclidean', d=2, PureDP(epsilon=1.0, neighbours='add-remove'))
        """
        return DistanceSumBuilder(_settings(d, arguments), DistanceSum._of)

    @staticmethod
    def predict(*, d: int, **arguments: Unpack[DistanceArguments]) -> list[DistancePrediction]:
        """Return what each structure for these arguments will do, least noise first; no data is needed.

        Args:
            d: number of columns; the rest as for `DistanceSum`, without X. A named baseline comes alone.

        Example:
            >>> import dpkit
            >>> for found in dpkit.DistanceSum.predict(d=32, metric="l1", epsilon=1.0, bounds=(0.0, 1.0)):
            ...     print(found.structure, round(found.noise_std, -1))
            hat 390.0
            tree ...
            two-tree ...
        """
        wanted = [arguments["structure"]] if "structure" in arguments else list(STRUCTURES)
        if arguments.get("metric", "l1") != "l1":
            wanted = wanted[:1]
        found = [_predict(_settings(d, {**arguments, "structure": name})) for name in wanted]
        return sorted(found, key=lambda prediction: prediction.noise_std)

    @classmethod
    def _of(
        cls, settings: DistanceSettings, arrays: dict[str, NDArray[np.int64]], origin: str
    ) -> "DistanceSum":
        made = cls.__new__(cls)
        made._adopt(settings, arrays, origin)
        return made

    def _adopt(self, settings: DistanceSettings, arrays: dict[str, NDArray[np.int64]], origin: str) -> None:
        self._settings, self._arrays, self._origin = settings, arrays, origin
        for array in arrays.values():
            array.flags.writeable = False
        self._reader = settings.read(arrays)

    @property
    def guarantee(self) -> Guarantee:
        """What the release promises: PureDP or ApproxDP, with `.neighbours`, `.epsilon(delta)` and `.rho`."""
        return self._settings.guarantee

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self._settings.metric

    @property
    def d(self) -> int:
        """The number of columns of records and queries."""
        return self._settings.columns

    @property
    def neighbours(self) -> str:
        """The neighbour relation."""
        return self._settings.neighbours

    @property
    def count(self) -> float:
        """The number of records: noisy, read from the release under `add-remove`; exact under `replace`."""
        return self._reader.count()[0]

    @property
    def public(self) -> dict[str, Any]:
        """Every public parameter, scale and the guarantee, as JSON-ready values; a fresh dictionary."""
        return {**self._settings.to_public(), "noise": self._origin}

    def _answer(self, queries: NDArray[Any], normalized: bool, return_std: bool) -> Answers:
        queries = on_host(queries)
        values = self._reader.values(queries)
        count, spread = self._reader.count()
        count = max(count, 1.0)
        if normalized:
            values = values / count
        if not return_std:
            return values
        variances, cross = self._reader.spread(queries)
        if normalized:
            variances = (variances - 2.0 * values * cross + values**2 * spread) / count**2
        errors = np.sqrt(np.maximum(variances, 0.0))
        return values, errors

    def _largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        return self._reader.largest(queries)

    def convex(self) -> "DistanceSum":
        """Return this release with answers that are convex along every coordinate, as true sums are.

        The released values along a coordinate (for `l2`: along a projection) are replaced by convex ones
        whose slopes are the nearest, in least squares, that never fall and stay within what the released
        count of records can cause. The error of the slopes never grows by it (docs/privacy.md); where noise
        dominates, answers err a little less on average, and much less at the worst place
        (`benchmarks.similarity`). They are no longer unbiased. Standard errors stay those of the plain
        answers. A file written from the result holds the plain release.

        Returns:
            A release with the same guarantee. It answers; it costs nothing.

        Raises:
            ArgumentError: the sum is not convex along coordinates of a table (metric `sqeuclidean`, where it
                is quadratic anyway; `lp` with p < 1; the baselines `tree` and `two-tree`).

        *Privacy*: post-processing.

        Source: Barlow, Bartholomew, Bremner, Brunk 1972 (isotonic regression).

        Example:
            >>> import dpkit
            >>> dist = dpkit.DistanceSum([[0.2], [0.7]], metric="l1", epsilon=0.1, bounds=(0.0, 1.0)).convex()
            >>> low, middle, high = dist.query([[0.25], [0.5], [0.75]])
            >>> bool(middle <= (low + high) / 2 + 1e-9)
            True
        """
        settings, reader = self._settings, self._reader
        if not isinstance(reader, EmbeddingReader | HatReader) or (
            settings.power is not None and settings.power < 1.0
        ):
            power = "" if settings.power is None else f" with p = {settings.power!r}"
            raise ArgumentError(
                f"convex() is for metrics 'l1', 'l2' and 'lp' with p >= 1 on the structure 'hat', not for "
                f"{settings.metric!r}{power} on {settings.structure!r}: query without it"
            )
        made = DistanceSum._of(settings, self._arrays, self._origin)
        made._reader = reader.convex()
        return made

    def noise_std(self) -> float:
        """Return the standard deviation of the noise in `query(y)`, root mean square over the domain."""
        return self._reader.typical()

    def to_bytes(self) -> bytes:
        """Return the bytes of the release file: public parameters, noisy integers, scales, guarantee."""
        return seal(Sealed("distance", self.public, dict(self._arrays)))

    @classmethod
    def from_bytes(cls, data: bytes) -> "DistanceSum":
        """Read back `to_bytes`; FormatError for anything else."""
        return cls._from_sealed(unseal(data))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the release to a file, by a temporary file and a rename."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "DistanceSum":
        """Read a release that `save` wrote; FormatError for anything else."""
        return cls._from_sealed(read_file(path))

    @classmethod
    def _from_sealed(cls, sealed: Sealed) -> "DistanceSum":
        if sealed.kind != "distance":
            raise FormatError(f"this release holds a {sealed.kind!r}, not a 'distance'")
        settings = DistanceSettings.from_public(sealed.public)
        arrays = sealed.arrays
        if {name: (a.shape, a.dtype.kind) for name, a in arrays.items()} != settings.shapes():
            raise FormatError("malformed release of a sum of distances: its arrays do not fit its parameters")
        origin = sealed.public.get("noise")
        if not isinstance(origin, str):
            raise FormatError("malformed release of a sum of distances: the origin of its noise is missing")
        return cls._of(settings, dict(arrays), origin)

    def __reduce__(self) -> tuple[Any, ...]:
        return DistanceSum.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        unsafe = "" if self._origin == "operating-system" else f", {self._origin}"
        return f"DistanceSum({_describe(self._settings)}, {self.guarantee!r}{unsafe})"


class DistanceSumBuilder(Builder[DistanceSettings, DistanceSum]):
    """Adds records, chunk by chunk, to a sum of distances to come; made by `DistanceSum.builder`."""

    __slots__ = ()
    _what = "DistanceSum"

    def _describe(self) -> str:
        return _describe(self._settings)


def _settings(d: int, arguments: Mapping[str, Any]) -> DistanceSettings:
    unknown = set(arguments) - set(ARGUMENTS)
    if unknown:
        raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
    return DistanceSettings.check(d, **arguments)


def _describe(settings: DistanceSettings) -> str:
    power = "" if settings.power is None else f", p={settings.power!r}"
    baseline = "" if settings.structure == "hat" else f", structure={settings.structure!r}"
    return f"metric={settings.metric!r}{power}, d={settings.columns}{baseline}"


def _predict(settings: DistanceSettings) -> DistancePrediction:
    shape = settings.map
    zeros = {name: np.zeros(found, dtype=np.int64) for name, (found, _) in settings.shapes().items()}
    relative = truncation = 0.0
    if isinstance(shape, EmbeddingMap):
        relative = pair_spread(shape.columns, shape.directions)
        widths = shape.hat.widths * shape.factor
        truncation = float(widths.sum()) * 0.5 ** (shape.depth + 1)
    elif isinstance(shape, TreeMap):
        relative = 0.0 if shape.values else (1.0 + shape.alpha) ** 0.5 - 1.0
        truncation = float(shape.leaves.widths.sum()) * 0.5**shape.depth
    elif isinstance(shape, HatMap):
        truncation = float(shape.widths.sum()) * 0.5 ** (shape.depth + 1)
    elif not isinstance(shape, MomentMap):
        p = shape.power  # a place off by half a step, and a chord in place of a curve
        step = 0.5**shape.depth
        truncation = float((shape.widths**p).sum()) * (step**p if p < 1.0 else p * step)
    noise = settings.read(zeros).typical()
    return DistancePrediction(
        settings.structure, noise, relative, truncation, settings.plan.size, settings.to_public()
    )
