"""The kernel-sum mechanism under audit: its adapter, its neighbouring data sets, its worst records."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.audit.attack import Mechanism
from dpkit.noise import NoiseSource, OSNoise
from dpkit.similarity.calibration import add_noise
from dpkit.similarity.fourier import FourierMap
from dpkit.similarity.phases import PHASE_BITS
from dpkit.similarity.settings import KDESettings, KernelMap

__all__ = ["exact_vector", "kde_mechanism", "neighbour_pairs", "tight_records"]


def exact_vector(features: KernelMap, records: NDArray[Any]) -> NDArray[np.int64]:
    """Return what noise is added to: all sums and the count, (size + 1,) int64, by the release's own code."""
    sums = np.zeros(features.shape, dtype=np.uint64)
    features.add(sums, records)
    return np.append(sums.reshape(-1).view(np.int64), len(records))


def kde_mechanism(settings: KDESettings, source: NoiseSource | None = None) -> Mechanism:
    """Return the shipped mechanism as an audit sees it: many releases at once, by the release's own code.

    Args:
        settings: public parameters; small `features` make a fast audit.
        source: noise; operating-system noise by default.
    """

    def run(records: NDArray[Any], runs: int) -> NDArray[np.int64]:
        exact = exact_vector(settings.features, records)
        noisy = add_noise(
            exact[:-1].view(np.uint64).reshape(settings.features.shape),
            int(exact[-1]),
            settings.calibration,
            OSNoise() if source is None else source,
            runs,
        )
        return np.concatenate([noisy["sums"].reshape(runs, -1), noisy["count"][:, None]], axis=1)

    return Mechanism("KDE", settings.guarantee, run, lambda records: exact_vector(settings.features, records))


def tight_records(features: FourierMap) -> NDArray[np.float64]:
    """Return records whose contributions reach the l1 bound: all phases at 1/8, 3/8, 5/8 and 7/8 of a turn.

    There |cos| = |sin| = 1/sqrt(2) at every frequency. Solves a linear system, so it needs m <= d.

    Returns:
        (4, d) float64, in the units of the records; rows 0 and 2 have opposite contributions.
    """
    turns = features.words.astype(np.float64) / 2.0**PHASE_BITS
    turns -= np.rint(turns)  # frequencies are known modulo one turn a step; take the smallest
    eighths = np.array([1.0, 3.0, 5.0, 7.0]) / 8.0 + 1e-4
    goals = np.tile(eighths, (features.features, 1))
    steps = np.linalg.lstsq(turns, goals, rcond=None)[0].T  # in coordinate steps of h / 2^16
    return np.asarray(steps * features.bandwidth * 2.0**-16, dtype=np.float64)


def _corner_records(features: FourierMap, rng: np.random.Generator) -> list[tuple[str, NDArray[np.float64]]]:
    """Return single records, (1, d) each: extreme, missing, random, and the tight ones where m <= d."""
    d, h = features.columns, features.bandwidth
    corners = [
        ("origin", np.zeros(d)),
        ("unit", np.full(d, h)),
        ("huge", np.full(d, 1e300)),
        ("minus infinity", np.full(d, -np.inf)),
        ("missing", np.full(d, np.nan)),
        ("mixed", np.where(np.arange(d) % 2 == 0, np.inf, -1e9 * h)),
    ]
    corners += [(f"random {i}", rng.normal(scale=3.0 * h, size=d)) for i in range(4)]
    if features.features <= d:
        corners += [(f"tight {i}", row) for i, row in enumerate(tight_records(features))]
    return [(name, row.reshape(1, d)) for name, row in corners]


def neighbour_pairs(
    features: FourierMap, neighbours: str, seed: int = 0, base: int = 3
) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Return neighbouring data sets: corner and random records added to, or exchanged in, small data sets.

    Args:
        features: the public map; corners depend on its bandwidth and frequencies.
        neighbours: `add-remove` or `replace`.
        seed: for the random records; auditing needs no secrecy.
        base: records that both sides share; the empty data set is tried as well.
    """
    rng = np.random.default_rng(seed)
    corners = _corner_records(features, rng)
    shared = rng.normal(scale=features.bandwidth, size=(base, features.columns))
    pairs = []
    for rest_name, rest in (("empty", shared[:0]), (f"{base} records", shared)):
        if neighbours == "add-remove":
            pairs += [(f"{rest_name} + {name}", rest, np.concatenate([rest, row])) for name, row in corners]
        else:
            for i, (name, row) in enumerate(corners):
                other_name, other = corners[(i + 2) % len(corners)]
                pairs.append(
                    (
                        f"{rest_name}, {name} for {other_name}",
                        np.concatenate([rest, row]),
                        np.concatenate([rest, other]),
                    )
                )
            if features.features <= features.columns:
                rows = dict(corners)
                opposite = [np.concatenate([rest, rows[f"tight {i}"]]) for i in (0, 2)]
                pairs.append((f"{rest_name}, opposite tight records", opposite[0], opposite[1]))
    return pairs
