"""How many frequencies a sketch gets when nobody says, from public inputs only."""

import math
from dataclasses import dataclass

from dpkit.guarantee import rho_for

__all__ = ["MAX_FEATURES", "NOMINAL_RECORDS", "KDEPrediction", "choose_features", "predict_features"]

MAX_FEATURES = 1 << 20
_FEWEST = 256
_MOST = 3 << 12
_WIDE = 1 << 12  # wide records get fewer, so that a build stays quick
_QUICK_WORDS = 1 << 20
NOMINAL_RECORDS = 40_000
_MAX_WORDS = 1 << 25  # frequencies times columns: 256 MiB of public words
_SPREAD = 0.3  # sampling error of an average is at most about 0.3 / sqrt(m), measured
_TARGET = 0.0027
_PURE_RATE = 0.08


def choose_features(
    epsilon: float, delta: float, neighbours: str, columns: int, expected_records: int | None
) -> int:
    """Return m, a whole number of orthogonal blocks where that changes little.

    Sampling error of an average falls as 1/sqrt(m). Pure noise on it grows as 2 sqrt(m)/(eps n), so the best
    m is a fixed fraction of eps n: 0.08 for orthogonal frequencies, half of it under `replace`, whose
    sensitivity is double. Gaussian noise does not grow with m (sigma_1/n for any m), so m is what brings the
    sampling error to 0.0027, or to half the noise where that is larger.

    Args:
        epsilon, delta, neighbours: the public budget.
        columns: d.
        expected_records: a *public* guess of n: an earlier noisy count, a bound, or n itself under `replace`,
            where it is public. None stands for 40,000. Never the private n.

    Returns:
        m in [256, 12288]; at most 4,096 or 2^20 / d, whichever is more, and 2^25 / d.

    Example:
        >>> choose_features(1.0, 0.0, "add-remove", 32, None)
        3200
    """
    records = max(1, NOMINAL_RECORDS if expected_records is None else expected_records)
    factor = 2.0 if neighbours == "replace" else 1.0
    most = max(1, min(_MOST, max(_WIDE, _QUICK_WORDS // columns), _MAX_WORDS // columns))
    if delta == 0.0:
        wanted = min(float(_MOST), _PURE_RATE * epsilon * records / factor)
    else:
        sigma = factor / math.sqrt(2.0 * rho_for(epsilon, delta))
        wanted = (_SPREAD / max(_TARGET, sigma / (2.0 * records))) ** 2
    count = math.ceil(min(max(wanted, _FEWEST), most))
    if columns <= count // 4:
        count = min(-(-count // columns), most // columns) * columns
    return count


@dataclass(frozen=True)
class KDEPrediction:
    """What a number of frequencies will do to an *average* similarity, known before any data.

    Args:
        features: m.
        noise_std: standard deviation of the noise in an average over the expected records.
        sampling_std: of the choice of frequencies, at most about this (measured: 0.3 / sqrt(m)).
        error: both together, root of the sum of squares.
        expected_records: the n that the figures are about.
    """

    features: int
    noise_std: float
    sampling_std: float
    error: float
    expected_records: int


def predict_features(
    epsilon: float, delta: float, neighbours: str, columns: int, expected_records: int | None
) -> list[KDEPrediction]:
    """Return figures for the automatic size, first, and for sizes around it, from public inputs only."""
    chosen = choose_features(epsilon, delta, neighbours, columns, expected_records)
    records = max(1, NOMINAL_RECORDS if expected_records is None else expected_records)
    factor = 2.0 if neighbours == "replace" else 1.0
    share = 1.0 if neighbours == "replace" else 0.98

    def figures(m: int) -> KDEPrediction:
        if delta == 0.0:
            noise = 2.0 * factor * math.sqrt(m) / (share * epsilon * records)
        else:
            noise = factor / math.sqrt(2.0 * share * rho_for(epsilon, delta)) / records
        sampling = _SPREAD / math.sqrt(m)
        return KDEPrediction(m, noise, sampling, math.hypot(noise, sampling), records)

    others = sorted(
        {max(1, chosen >> k) for k in (1, 2, 3)} | {min(MAX_FEATURES, chosen << k) for k in (1, 2)}
    )
    return [figures(chosen), *(figures(m) for m in others if m != chosen)]
