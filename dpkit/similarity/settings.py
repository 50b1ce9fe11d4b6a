"""The public parameters of a private kernel sum: checked once, compared on merge, written to the file."""

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.errors import ArgumentError, FormatError
from dpkit.guarantee import Guarantee, guarantee_from_dict
from dpkit.noise import NoiseSource
from dpkit.similarity.calibration import Calibration, add_noise, calibrate
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.inputs import (
    check_bounds,
    check_budget,
    check_integer,
    check_kernel,
    check_neighbours,
    check_positive,
)
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.sizing import MAX_FEATURES, choose_features
from dpkit.similarity.sums import add_contributions, tiles

__all__ = ["AVAILABLE_KERNELS", "KDESettings"]

AVAILABLE_KERNELS = tuple(KERNELS)
_MAX_COLUMNS = 1 << 20
_MAX_ENTRIES = 1 << 27  # features times columns: a gibibyte of public frequencies


@dataclass(frozen=True)
class KDESettings:
    """Everything public about one kernel-sum release.

    Args:
        features: the public map.
        epsilon, delta, neighbours: the promise that was asked for.
        calibration: the noise that keeps it.
        guarantee: the promise as an object.
    """

    features: FourierMap
    epsilon: float
    delta: float
    neighbours: str
    calibration: Calibration
    guarantee: Guarantee

    @classmethod
    def check(
        cls,
        d: object,
        kernel: object,
        bandwidth: object,
        epsilon: object,
        delta: object,
        neighbours: object,
        bounds: object,
        features: object,
        public_seed: object,
        expected_records: object,
    ) -> "KDESettings":
        """Return the settings that users' arguments describe, or raise ArgumentError."""
        columns = check_integer(d, "d", 1, _MAX_COLUMNS)
        name = check_kernel(kernel, AVAILABLE_KERNELS)
        h = check_positive(bandwidth, "bandwidth")
        eps, dlt = check_budget(epsilon, delta)
        relation = check_neighbours(neighbours)
        domain = check_bounds(bounds, columns)
        seed = check_integer(public_seed, "public_seed", 0, 2**64 - 1)
        expected = None
        if expected_records is not None:
            expected = check_integer(expected_records, "expected_records", 0, 2**62)
        if features is None:
            count = choose_features(eps, dlt, relation, columns, expected)
        else:
            count = check_integer(features, "features", 1, min(MAX_FEATURES, _MAX_ENTRIES // columns))
        ends = None if domain is None else (tuple(domain[0].tolist()), tuple(domain[1].tolist()))
        return cls.of(FourierMap(name, h, columns, count, seed, ends), eps, dlt, relation)

    @classmethod
    def of(cls, features: FourierMap, epsilon: float, delta: float, neighbours: str) -> "KDESettings":
        """Return the settings of a map under a checked budget."""
        calibration, guarantee = calibrate(
            features.sensitivity_l1, features.sensitivity_l2_squared, epsilon, delta, neighbours
        )
        return cls(features, epsilon, delta, neighbours, calibration, guarantee)

    @property
    def columns(self) -> int:
        """The number of columns of a record."""
        return self.features.columns

    @functools.cached_property
    def tiles(self) -> NDArray[np.int64]:
        """The public frequencies as the loops want them."""
        return tiles(self.features.words)

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records: cosine sums, sine sums."""
        return np.zeros((2, self.features.features), dtype=np.uint64)

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add the contributions of records to the sums, modulo 2^64, in place."""
        add_contributions(sums, records, self.features, self.tiles)

    def noisy(
        self, sums: NDArray[np.uint64], count: int, source: NoiseSource
    ) -> dict[str, NDArray[np.int64]]:
        """Return `sums` (2, m) and `count` (1,) under the noise of the calibration."""
        drawn = add_noise(sums, count, self.calibration, source)
        return {"sums": drawn["sums"][0], "count": drawn["count"]}

    def to_public(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        plan, bounds = self.calibration, self.features.bounds
        return {
            "kernel": self.features.kernel,
            "bandwidth": self.features.bandwidth,
            "columns": self.features.columns,
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

    @classmethod
    def from_public(cls, public: dict[str, Any]) -> "KDESettings":
        """Read back `to_public`; values outside what this version could have written are refused.

        Raises:
            FormatError: a value is missing or out of range, or the public map does not come out the same.
        """
        try:
            checked = cls.check(
                public["columns"],
                public["kernel"],
                public["bandwidth"],
                public["epsilon"],
                public["delta"],
                public["neighbours"],
                public["bounds"],
                public["features"],
                public["public_seed"],
                None,
            )
            grid_bits = check_integer(public["grid_bits"], "grid_bits", 0, 30)
            plan = Calibration(
                str(public["mechanism"]),
                Fraction(public["scale_sums"]),
                None if public["scale_count"] is None else Fraction(public["scale_count"]),
            )
            promised = guarantee_from_dict(public["guarantee"])
            digest = public["map_sha256"]
        except (ArgumentError, KeyError, TypeError, ValueError, ZeroDivisionError) as cause:
            raise FormatError(f"malformed release of a kernel sum: {cause}") from None
        old = checked.features
        shape = (old.kernel, old.bandwidth, old.columns, old.features, old.public_seed, old.bounds)
        features = FourierMap(*shape, grid_bits=grid_bits)
        expected = cls.of(features, checked.epsilon, checked.delta, checked.neighbours)
        same_noise = plan.mechanism == expected.calibration.mechanism and plan.sums > 0
        same_count = (plan.count is None) == (expected.calibration.count is None) and plan.count != 0
        if not (same_noise and same_count and type(promised) is type(expected.guarantee)):
            raise FormatError("malformed release of a kernel sum: its mechanism and its promise disagree")
        if digest != features.digest:
            raise FormatError("the public feature map of this release cannot be rebuilt: its SHA-256 differs")
        return cls(features, checked.epsilon, checked.delta, checked.neighbours, plan, promised)
