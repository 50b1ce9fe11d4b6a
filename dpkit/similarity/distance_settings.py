"""The public parameters of a private sum of distances: checked once, compared on merge, kept in the file."""

import functools
import math
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from dpkit._arrays import on_host, pieces
from dpkit.errors import ArgumentError, FormatError, MissingBoundsError
from dpkit.guarantee import Guarantee, guarantee_from_dict
from dpkit.noise import NoiseSource
from dpkit.similarity.centred import CentredHatMap
from dpkit.similarity.distance_sizing import MAX_DEPTH, MAX_DIRECTIONS, choose_depth, choose_directions
from dpkit.similarity.distances import check_metric
from dpkit.similarity.embedding import EmbeddingMap, EmbeddingReader
from dpkit.similarity.hat import HatMap, HatReader
from dpkit.similarity.inputs import (
    check_bounds,
    check_budget,
    check_integer,
    check_neighbours,
    check_positive,
)
from dpkit.similarity.moments import Ball, MomentMap, MomentReader
from dpkit.similarity.plan import Budget, NoisePlan, least_noise
from dpkit.similarity.powers import PowerMap
from dpkit.similarity.trees import TreeMap, TreeReader

__all__ = [
    "ARGUMENTS",
    "STRUCTURES",
    "DistanceArguments",
    "DistanceMap",
    "DistanceReader",
    "DistanceSettings",
    "Domain",
]

DistanceMap = HatMap | PowerMap | TreeMap | MomentMap | EmbeddingMap
DistanceReader = HatReader | TreeReader | MomentReader | EmbeddingReader
STRUCTURES = ("hat", "tree", "two-tree")
_MAX_COLUMNS = 1 << 20
_POWER_DEPTH = 11  # the tables of a power are as large as the square of the number of places
_BASELINE_DEPTH = 10


class DistanceArguments(TypedDict, total=False):
    """What users may pass beside d: the arguments of `DistanceSum` but X, with their types."""

    metric: str
    epsilon: float
    delta: float
    neighbours: str
    bounds: Any
    p: float | None
    structure: str
    radius: float | None
    center: Any
    features: int | None
    depth: int | None
    alpha: float
    public_seed: int
    expected_records: int | None


ARGUMENTS = tuple(DistanceArguments.__annotations__)
_KEPT = (*ARGUMENTS[:-1], "normalize")  # what a file holds under the same name


@dataclass(frozen=True)
class Domain:
    """Where records may lie: a box, or a ball.

    Args:
        box: (low, high) as tuples of d floats, or None.
        center, radius: of a ball, or None.
        normalize: move records onto the ball's sphere.
    """

    box: tuple[tuple[float, ...], tuple[float, ...]] | None
    center: tuple[float, ...] | None
    radius: float | None
    normalize: bool

    @classmethod
    def check(
        cls, columns: int, metric: str, bounds: object, radius: object, center: object, normalize: object
    ) -> "Domain":
        """Return the domain that a metric needs, or raise ArgumentError or MissingBoundsError."""
        round_one = metric in ("l2", "sqeuclidean")
        if normalize not in (False, True):
            raise ArgumentError(f"normalize must be True or False, got {normalize!r}")
        if not round_one and (radius is not None or center is not None or normalize):
            raise ArgumentError(
                f"radius, center and normalize belong to l2 and sqeuclidean, not to {metric!r}"
            )
        if bounds is not None and (radius is not None or center is not None or normalize):
            raise ArgumentError("bounds exclude radius, center and normalize: give a box or a ball")
        pair = check_bounds(bounds, columns)
        if pair is not None:
            with np.errstate(over="ignore"):
                width = pair[1] - pair[0]
                narrow = (pair[0] + width * 2.0**-40 == pair[0]) | (width < 1e-150)
            if (width > 1e150).any() or narrow.any():
                raise ArgumentError(
                    "bounds must be a box that float64 resolves: not wider than 1e150, nor tiny"
                )
            return cls((tuple(pair[0].tolist()), tuple(pair[1].tolist())), None, None, False)
        if radius is None:
            wanted = "bounds=(low, high)" + (" or radius=" if round_one else "")
            raise MissingBoundsError(
                f"metric {metric!r} needs a public domain: pass {wanted}, not taken from the data"
            )
        size = check_positive(radius, "radius")
        if not 1e-150 < size < 1e150:
            raise ArgumentError(f"radius must lie between 1e-150 and 1e150, got {size!r}")
        try:
            middle = np.broadcast_to(
                np.asarray(0.0 if center is None else on_host(center), float), (columns,)
            )
        except (TypeError, ValueError):
            raise ArgumentError(f"center must be a number or an array of length d = {columns}") from None
        if not np.isfinite(middle).all():
            raise ArgumentError("center must be finite")
        return cls(None, tuple(float(c) for c in middle), size, bool(normalize))

    @functools.cached_property
    def ball(self) -> Ball:
        """The ball: the one given, or the one around the box."""
        if self.box is not None:
            low, high = np.array(self.box[0]), np.array(self.box[1])
            half = (high - low) / 2.0
            return Ball(tuple((low + half).tolist()), float(np.sqrt((half * half).sum())), self.box)
        return Ball(self.center or (), self.radius or 1.0, None, self.normalize)

    def sides(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the box, for metrics that have checked that there is one."""
        if self.box is None:
            raise MissingBoundsError("this metric needs bounds=(low, high)")
        return self.box


@dataclass(frozen=True)
class DistanceSettings:
    """Everything public about one release of a sum of distances.

    Args:
        metric, power: what is summed; `power` for `lp`.
        structure: what users chose: `hat`, `tree` or `two-tree`.
        domain: where records lie.
        map: the public map.
        epsilon, delta, neighbours: the promise that was asked for.
        budget: the same, exactly.
        plan: the noise that keeps it.
        guarantee: the promise as an object.
    """

    metric: str
    power: float | None
    structure: str
    domain: Domain
    map: DistanceMap
    epsilon: float
    delta: float
    neighbours: str
    plan: NoisePlan
    guarantee: Guarantee

    @classmethod
    def check(
        cls,
        d: object,
        metric: object = "l1",
        epsilon: object = 1.0,
        delta: object = 0.0,
        neighbours: object = "add-remove",
        bounds: object = None,
        p: object = None,
        structure: object = "hat",
        radius: object = None,
        center: object = None,
        features: object = None,
        depth: object = None,
        alpha: object = 0.3,
        public_seed: object = 0,
        expected_records: object = None,
        normalize: object = False,
        budget: Budget | None = None,
    ) -> "DistanceSettings":
        """Return the settings that users' arguments describe, or raise ArgumentError."""
        columns = check_integer(d, "d", 1, _MAX_COLUMNS)
        name, power = check_metric(metric, p)
        eps, dlt = check_budget(epsilon, delta)
        relation = check_neighbours(neighbours)
        if not isinstance(structure, str) or structure not in STRUCTURES:
            raise ArgumentError(f"structure must be one of {', '.join(STRUCTURES)}; got {structure!r}")
        if structure != "hat" and name != "l1":
            raise ArgumentError(
                f"structure {structure!r} is for metric 'l1'; {name!r} has one structure only"
            )
        growth = check_positive(alpha, "alpha")
        if not 2.0**-10 <= growth <= 64.0:
            raise ArgumentError(f"alpha must lie in [2^-10, 64], got {growth!r}")
        seed = check_integer(public_seed, "public_seed", 0, 2**64 - 1)
        expected = None
        if expected_records is not None:
            expected = check_integer(expected_records, "expected_records", 0, 2**62)
        domain = Domain.check(columns, name, bounds, radius, center, normalize)
        budgets = Budget.options(eps, dlt, relation) if budget is None else [budget]
        spending = budgets[0]
        if features is not None and name != "l2":
            raise ArgumentError(f"features, the number of projections, belongs to l2; {name!r} has none")
        if depth is not None and (name == "sqeuclidean" or power == 2.0):
            raise ArgumentError("depth belongs to l1, l2 and lp; sums of squares need none")

        amount = float(spending.amount)
        sigma = None if spending.pure else 1.0 / math.sqrt(2.0 * amount)
        factor = 1.5 if spending.replace and spending.pure else 1.0  # of the noise under `replace`, nearly

        def depth_for(coordinates: int, top: int) -> int:
            if depth is not None:
                return check_integer(depth, "depth", 1, top)
            if structure != "hat":
                return _BASELINE_DEPTH
            return choose_depth(amount, sigma, factor, coordinates, expected, top)

        # Gaussian noise on both ends is as good where n must be released anyway.
        centred = spending.pure or spending.replace
        built: DistanceMap
        if name == "sqeuclidean" or power == 2.0:
            built = MomentMap(domain.ball)
        elif name == "l2":
            if features is None:
                count = choose_directions(amount, sigma, factor, columns, expected)
            else:
                count = check_integer(features, "features", 1, MAX_DIRECTIONS)
            built = EmbeddingMap(domain.ball, count, depth_for(count, MAX_DEPTH), seed, centred=centred)
        elif structure != "hat":
            two = structure == "two-tree"
            built = TreeMap(*domain.sides(), depth_for(columns, MAX_DEPTH), two, growth)
        elif power is None or power == 1.0:
            kind = CentredHatMap if centred else HatMap
            built = kind(*domain.sides(), depth_for(columns, MAX_DEPTH))
        else:
            built = PowerMap(*domain.sides(), depth_for(columns, _POWER_DEPTH), power)
        plan, spending = least_noise(built.calibrate, budgets)
        return cls(name, power, structure, domain, built, eps, dlt, relation, plan, spending.guarantee)

    @property
    def columns(self) -> int:
        """The number of columns of a record."""
        return self.map.columns

    @property
    def public_count(self) -> bool:
        """Whether the number of records is public."""
        return self.neighbours == "replace"

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records."""
        return self.map.blank()

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add records to the sums, modulo 2^64, in place."""
        for part in pieces(records):
            self.map.add(sums, on_host(part))

    def noisy(
        self, sums: NDArray[np.uint64], count: int, source: NoiseSource
    ) -> dict[str, NDArray[np.int64]]:
        """Return the vector under noise; beside it the number of records where that is public."""
        exact = self.map.vector(sums)
        try:
            found = {"vector": self.plan.add(exact[: self.plan.size], source)}
        finally:
            exact[:] = 0
        if self.public_count:
            found["count"] = np.array([count % 2**62], dtype=np.int64)
        return found

    def read(self, noisy: dict[str, NDArray[np.int64]]) -> DistanceReader:
        """Return the answers that a release holds."""
        count = int(noisy["count"][0]) if self.public_count else None
        return self.map.read(noisy["vector"], self.plan, count)

    def shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return the arrays of a release: shape and kind by name."""
        found: dict[str, tuple[tuple[int, ...], str]] = {"vector": ((self.plan.size,), "i")}
        if self.public_count:
            found["count"] = ((1,), "i")
        return found

    def to_public(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        map_, domain = self.map, self.domain
        return {
            "metric": self.metric,
            "p": self.power,
            "structure": self.structure,
            "columns": self.columns,
            "bounds": None if domain.box is None else [list(end) for end in domain.box],
            "radius": domain.radius,
            "center": None if domain.center is None else list(domain.center),
            "normalize": domain.normalize,
            "features": map_.directions if isinstance(map_, EmbeddingMap) else None,
            "depth": None if isinstance(map_, MomentMap) else map_.depth,
            "alpha": map_.alpha if isinstance(map_, TreeMap) else 0.3,
            "public_seed": map_.public_seed if isinstance(map_, EmbeddingMap) else 0,
            "grid_bits": map_.grid_bits,
            "neighbours": self.neighbours,
            "epsilon": self.epsilon,
            "delta": self.delta,
            **self.plan.to_public(),
            "guarantee": self.guarantee.to_dict(),
        }

    @classmethod
    def from_public(cls, public: dict[str, Any]) -> "DistanceSettings":
        """Read back `to_public`; values that this version could not have written are refused.

        Raises:
            FormatError: a value is missing or out of range.
        """
        try:
            checked = cls.check(public["columns"], **{name: public[name] for name in _KEPT})
            plan = NoisePlan.from_public(public)
            promised = guarantee_from_dict(public["guarantee"])
            grid_bits = public["grid_bits"]
        except (ArgumentError, KeyError, TypeError, ValueError, ZeroDivisionError) as cause:
            raise FormatError(f"malformed release of a sum of distances: {cause}") from None
        same = plan.mechanism == checked.plan.mechanism and plan.size == checked.plan.size
        if not (same and type(promised) is type(checked.guarantee) and grid_bits == checked.map.grid_bits):
            raise FormatError("malformed release of a sum of distances: its parameters disagree")
        return cls(
            checked.metric,
            checked.power,
            checked.structure,
            checked.domain,
            checked.map,
            checked.epsilon,
            checked.delta,
            checked.neighbours,
            plan,
            promised,
        )
