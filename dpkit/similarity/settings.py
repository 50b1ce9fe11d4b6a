"""The public parameters of a private kernel sum: checked once, compared on merge, written to the file."""

import dataclasses
import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._arrays import on_host, pieces
from dpkit.errors import ArgumentError, FormatError
from dpkit.guarantee import Guarantee, guarantee_from_dict
from dpkit.noise import MAX_DIMENSION, NoiseSource
from dpkit.similarity.calibration import LAPLACE, RADIAL, Calibration, add_noise, calibrate
from dpkit.similarity.device import add_on, answer_on, array_module, check_backend
from dpkit.similarity.exponentials import ExponentialsMap
from dpkit.similarity.fourier import MAP_VERSION, FourierMap
from dpkit.similarity.hashing import HASHED, HashMap
from dpkit.similarity.inputs import (
    check_bounds,
    check_budget,
    check_integer,
    check_kernel,
    check_neighbours,
    check_positive,
)
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.moments import Ball
from dpkit.similarity.reduction import Front, choose_reduction, pair_error
from dpkit.similarity.sizing import MAX_FEATURES, KDEPrediction, Question, predictions

__all__ = ["AVAILABLE_KERNELS", "STRUCTURES", "KDESettings", "KernelMap"]

AVAILABLE_KERNELS = tuple(KERNELS)
_MAX_COLUMNS = 1 << 20
_MAX_ENTRIES = 1 << 27  # features times columns: a gibibyte of public frequencies
_CHUNK_NUMBERS = 1 << 20
STRUCTURES = ("auto", "fourier", "exponentials", "hash")
KernelMap = FourierMap | ExponentialsMap | HashMap
_ARGUMENTS = (  # what `check` takes and `to_public` writes under the same name
    "kernel",
    "bandwidth",
    "epsilon",
    "delta",
    "neighbours",
    "bounds",
    "features",
    "public_seed",
)


@dataclass(frozen=True)
class _Asked:
    """What users' arguments ask for, checked: the one list of them behind the public signatures.

    Args:
        question: what the structures are chosen and sized for.
        front: the domain or reduction in front.
        seed: of the public map.
        structure: its name, or `auto`.
        size: the number of features, or None.
        backend: `cpu` or `gpu`.
    """

    question: Question
    front: Front
    seed: int
    structure: str
    size: int | None
    backend: str

    @classmethod
    def of(
        cls,
        d: object,
        kernel: object = "gaussian",
        bandwidth: object = 1.0,
        epsilon: object = 1.0,
        delta: object = 0.0,
        neighbours: object = "add-remove",
        bounds: object = None,
        features: object = None,
        public_seed: object = 0,
        expected_records: object = None,
        structure: object = "auto",
        reduce: object = None,
        radius: object = None,
        backend: object = "cpu",
    ) -> "_Asked":
        """Return the arguments checked, or raise ArgumentError."""
        columns = check_integer(d, "d", 1, _MAX_COLUMNS)
        name = check_kernel(kernel, AVAILABLE_KERNELS)
        h = check_positive(bandwidth, "bandwidth")
        eps, dlt = check_budget(epsilon, delta)
        relation = check_neighbours(neighbours)
        domain = check_bounds(bounds, columns)
        ends = None if domain is None else (tuple(domain[0].tolist()), tuple(domain[1].tolist()))
        seed = check_integer(public_seed, "public_seed", 0, 2**64 - 1)
        expected = None
        if expected_records is not None:
            expected = check_integer(expected_records, "expected_records", 0, 2**62)
        ball = None if radius is None else check_positive(radius, "radius")
        if ball is not None and ends is not None:
            raise ArgumentError("bounds exclude radius: give a box or a ball")
        if ball is not None and not 1e-150 < ball < 1e150:
            raise ArgumentError(f"radius must lie between 1e-150 and 1e150, got {ball!r}")
        front = Front(columns, h, ends, ball, choose_reduction(reduce, name, columns), seed)
        reach = None if front.out_radius is None else front.out_radius / h
        question = Question(name, eps, dlt, relation, front.out, expected, reach)
        chosen = _structure(structure)
        if check_backend(backend) == "gpu":
            if chosen not in ("auto", "fourier"):
                raise ArgumentError(f"backend 'gpu' computes structure 'fourier', not {chosen!r}: use 'cpu'")
            chosen = "fourier"
        return cls(question, front, seed, chosen, _size(features, question), str(backend))


@dataclass(frozen=True)
class KDESettings:
    """Everything public about one kernel-sum release.

    Args:
        features: the public map.
        epsilon, delta, neighbours: the promise that was asked for.
        calibration: the noise that keeps it.
        guarantee: the promise as an object.
        front: a domain or reduction that comes before the map, or None.
        backend: where chunks and queries are computed; no part of the release.
    """

    features: KernelMap
    epsilon: float
    delta: float
    neighbours: str
    calibration: Calibration
    guarantee: Guarantee
    front: Front | None = None
    backend: str = dataclasses.field(default="cpu", compare=False)

    @classmethod
    def check(cls, d: object, *values: object, **named: object) -> "KDESettings":
        """Return the settings that users' arguments describe (see `_Asked.of`), or raise ArgumentError."""
        asked = _Asked.of(d, *values, **named)
        question, front = asked.question, asked.front
        found = predictions(question, asked.structure, asked.size)[0]
        built = _build(question, front, asked.seed, found.structure, found.features)
        plain = front.kept is None and front.radius is None
        made = cls.of(built, question.epsilon, question.delta, question.neighbours, None if plain else front)
        return dataclasses.replace(made, backend=asked.backend)

    @classmethod
    def predict(cls, d: object, **named: object) -> list[KDEPrediction]:
        """Return what `check` chooses from, the choice first; errors that a reduction adds included."""
        asked = _Asked.of(d, **named)
        question, front = asked.question, asked.front
        found = predictions(question, asked.structure, asked.size)
        if front.kept is None:
            return found
        return [p.reduced(front.kept, pair_error(question.kernel, front.columns, front.kept)) for p in found]

    @classmethod
    def of(
        cls, features: KernelMap, epsilon: float, delta: float, neighbours: str, front: Front | None = None
    ) -> "KDESettings":
        """Return the settings of a map under a checked budget."""
        calibration, guarantee = calibrate(
            features.sensitivity_l1,
            features.sensitivity_l2_squared,
            epsilon,
            delta,
            neighbours,
            features.replaced_l2_squared,
            None if isinstance(features, HashMap) else features.features,
        )
        return cls(features, epsilon, delta, neighbours, calibration, guarantee, front)

    @property
    def columns(self) -> int:
        """The number of columns of a record."""
        return self.features.columns if self.front is None else self.front.columns

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records."""
        return np.zeros(self.features.shape, dtype=np.uint64)

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add the contributions of records to the sums, modulo 2^64, in place."""
        if self.front is None:
            self._add(sums, records)
            return
        rows = max(64, _CHUNK_NUMBERS // self.columns)
        for start in range(0, len(records), rows):
            self._add(sums, self.front.apply(on_host(records[start : start + rows]), clip=True))

    def _add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        if self.backend == "gpu" and isinstance(self.features, FourierMap):
            add_on(array_module(), sums, records, self.features)
        else:
            for part in pieces(records):
                self.features.add(sums, on_host(part))

    def moments(
        self, noisy: NDArray[np.int64], queries: NDArray[Any], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return estimates of the sums at the queries, and of their variances."""
        if self.front is not None:
            queries = self.front.apply(on_host(queries), clip=False)
        if self.backend == "gpu" and isinstance(self.features, FourierMap):
            evaluate = functools.partial(answer_on, array_module())
            return self.features.moments(noisy, queries, count, evaluate)
        return self.features.moments(noisy, on_host(queries), count)

    def noisy(
        self, sums: NDArray[np.uint64], count: int, source: NoiseSource
    ) -> dict[str, NDArray[np.int64]]:
        """Return `sums`, of the map's shape, and `count` (1,) under the noise of the calibration."""
        drawn = add_noise(sums, count, self.calibration, source)
        return {"sums": drawn["sums"][0], "count": drawn["count"]}

    def to_public(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values; what only some structures have is left out elsewhere."""
        plan, bounds, front = self.calibration, self.features.bounds, self.front
        public: dict[str, Any] = {
            "kernel": self.features.kernel,
            "bandwidth": self.features.bandwidth,
            "columns": self.columns,
            "features": self.features.features,
            "public_seed": self.features.public_seed,
            "bounds": None if bounds is None else [list(bounds[0]), list(bounds[1])],
            "grid_bits": self.features.grid_bits,
            "map_sha256": self.features.digest,
            "neighbours": self.neighbours,
            "epsilon": self.epsilon,
            "delta": self.delta,
            "mechanism": plan.mechanism,
            "scale_sums": str(plan.sums),
            "scale_count": None if plan.count is None else str(plan.count),
            "guarantee": self.guarantee.to_dict(),
        }
        if plan.mechanism == RADIAL:
            public["group"] = plan.group
        if self.features.structure != "fourier":
            public["structure"] = self.features.structure
        if not isinstance(self.features, HashMap):
            public["map_version"] = MAP_VERSION
        if front is not None:
            public["bounds"] = None if front.bounds is None else [list(end) for end in front.bounds]
            public.update(radius=front.radius, reduce=front.kept)
        return public

    @classmethod
    def from_public(cls, public: dict[str, Any]) -> "KDESettings":
        """Read back `to_public`; values outside what this version could have written are refused.

        Raises:
            FormatError: a value is missing or out of range, or the public map does not come out the same.
        """
        try:
            if (
                public["features"] is None
                or public.get("structure") == "auto"
                or public.get("reduce") == "auto"
            ):
                raise ValueError("sizes and structure are left open")
            checked = cls.check(
                public["columns"],
                **{name: public[name] for name in _ARGUMENTS},
                structure=public.get("structure", "fourier"),
                reduce=public.get("reduce"),
                radius=public.get("radius"),
            )
            grid_bits = check_integer(public["grid_bits"], "grid_bits", 0, 30)
            plan = Calibration(
                str(public["mechanism"]),
                Fraction(public["scale_sums"]),
                None if public["scale_count"] is None else Fraction(public["scale_count"]),
                check_integer(public["group"], "group", 2, MAX_DIMENSION) if "group" in public else 1,
            )
            promised = guarantee_from_dict(public["guarantee"])
            digest = public["map_sha256"]
            version = public.get("map_version", 1)  # the first law of Fourier features had no number
        except (ArgumentError, KeyError, TypeError, ValueError, ZeroDivisionError) as cause:
            raise FormatError(f"malformed release of a kernel sum: {cause}") from None
        features = checked.features
        if not isinstance(features, HashMap):
            features = dataclasses.replace(features, grid_bits=grid_bits)
        elif grid_bits != features.grid_bits:
            raise FormatError("malformed release of a kernel sum: counters have no grid")
        if not isinstance(features, HashMap) and version != MAP_VERSION:
            raise FormatError(
                f"this release was made with version {version!r} of the public feature map; this dpkit reads "
                f"version {MAP_VERSION}: release again from the records, or use the dpkit that wrote it"
            )
        expected = cls.of(features, checked.epsilon, checked.delta, checked.neighbours)
        known = {expected.calibration.mechanism}
        if RADIAL in known:
            known.add(LAPLACE)  # what earlier files have
        same_noise = plan.mechanism in known and plan.sums > 0
        same_noise = same_noise and (plan.mechanism == RADIAL) == (plan.group > 1)
        same_count = (plan.count is None) == (expected.calibration.count is None) and plan.count != 0
        if not (same_noise and same_count and type(promised) is type(expected.guarantee)):
            raise FormatError("malformed release of a kernel sum: its mechanism and its promise disagree")
        if digest != features.digest:
            raise FormatError("the public feature map of this release cannot be rebuilt: its SHA-256 differs")
        return cls(
            features, checked.epsilon, checked.delta, checked.neighbours, plan, promised, checked.front
        )


def _structure(structure: object) -> str:
    """Return the structure's name, or raise ArgumentError."""
    if not isinstance(structure, str) or structure not in STRUCTURES:
        raise ArgumentError(f"structure must be one of {', '.join(STRUCTURES)}; got {structure!r}")
    return structure


def _size(features: object, question: Question) -> int | None:
    """Return the number of features that was asked for, or None."""
    if features is None:
        return None
    return check_integer(features, "features", 1, min(MAX_FEATURES, _MAX_ENTRIES // question.columns))


def _build(question: Question, front: Front, seed: int, structure: str, count: int) -> KernelMap:
    """Return the map of a structure, or raise ArgumentError where the kernel has none."""
    reduced = front.kept is not None
    bounds = None if reduced else front.bounds
    shape = (question.kernel, front.bandwidth, front.out, count, seed, bounds)
    if structure == "exponentials":
        return ExponentialsMap(*shape)
    if structure == "fourier":
        return FourierMap(*shape)
    ball = None
    if HASHED[question.kernel] == "planes":
        center = (0.0,) * front.out if reduced else tuple(front.center.tolist())
        ball = Ball(center, front.out_radius or 1.0, bounds)
    return HashMap(*shape, ball)
