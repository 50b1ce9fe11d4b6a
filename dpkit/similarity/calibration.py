"""From a promise to noise: how much a vector of sums needs, and the one place where noise is added.

The release is a single mechanism on the vector (m cosine sums, m sine sums, count), so its parts are
calibrated together: the count takes the fraction w = 1/50 of the budget, the sums the rest.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._lattice import Way, ways
from dpkit.errors import ArgumentError
from dpkit.grid import decode_signed, round_up
from dpkit.guarantee import ApproxDP, Guarantee, PureDP
from dpkit.noise import MAX_SCALE, NoiseSource
from dpkit.similarity.radial import GROUP, draw_pairs, grouped_change, pair_variance

__all__ = ["COUNT_SHARE", "Calibration", "add_noise", "calibrate"]

COUNT_SHARE = Fraction(1, 50)
LAPLACE, GAUSSIAN, RADIAL = "discrete-laplace", "discrete-gaussian", "discrete-radial"


@dataclass(frozen=True)
class Calibration:
    """The noise of one release.

    Args:
        mechanism: `discrete-laplace`, `discrete-gaussian`, or `discrete-radial` (with Laplace for the count).
        sums: Laplace or radial scale b, or Gaussian variance sigma^2, of the sums, in grid units; rounded up.
        count: the same for the count, or None where the count is public and gets no noise.
        group: radial noise: the most coordinates (of whole pairs) that share a vector; else 1.
    """

    mechanism: str
    sums: Fraction
    count: Fraction | None
    group: int = 1

    def sums_variance(self, pairs: int) -> float:
        """Return the variance of the noise of a sum: 2 b^2 or (k + 1) b^2 (within 1/6 of it), or sigma^2.

        Args:
            pairs: the number of pairs of sums, for radial noise.
        """
        if self.mechanism == RADIAL:
            return pair_variance(self.sums, pairs, self.group)
        return 2.0 * float(self.sums) ** 2 if self.mechanism == LAPLACE else float(self.sums)

    def count_variance(self) -> float:
        """Return the variance of the noise of the count; 0 where it is public."""
        if self.count is None:
            return 0.0
        return float(self.count) if self.mechanism == GAUSSIAN else 2.0 * float(self.count) ** 2

    def draw(self, source: NoiseSource, scale: Fraction, size: int) -> NDArray[np.int64]:
        """Return exact noise, independent on every coordinate, (size,) int64."""
        sampler = source.discrete_gaussian if self.mechanism == GAUSSIAN else source.discrete_laplace
        return np.asarray(sampler(scale, size), dtype=np.int64)

    def draw_sums(self, source: NoiseSource, shape: tuple[int, ...], runs: int) -> NDArray[np.int64]:
        """Return exact noise for `runs` releases of sums of a shape, (runs, *shape) int64."""
        if self.mechanism == RADIAL:
            return draw_pairs(source, self.sums, shape[1], self.group, runs)
        return self.draw(source, self.sums, runs * math.prod(shape)).reshape(runs, *shape)


def calibrate(
    sensitivity_l1: int,
    sensitivity_l2_squared: int,
    epsilon: float,
    delta: float,
    neighbours: str,
    replaced_l2_squared: int | None = None,
    pairs: int | None = None,
) -> tuple[Calibration, Guarantee]:
    """Return the noise that a promise needs, and the promise.

    Pure: discrete Laplace, sums at b = Delta_1 / ((1-w) eps), count at 1/(w eps), so that a record's total
    Delta_1/b + 1/b_count is at most eps. Sums in pairs of equal bounds get radial noise: in place of Delta_1
    counts the sum over groups of pairs of the change's l2 norm.
    Approximate: discrete Gaussian by the Gaussian curve, sums at sigma^2 = Delta_2^2 / ((1-w) mu^2) + 5/2,
    count at 1/(w mu^2) + 5/2, mu the largest that implies (eps, delta)-DP; or through zCDP, 2 rho for mu^2
    and nothing added, where that is less for sums or count.
    Under `replace` a record leaves and another comes: Delta_1 doubles, Delta_2^2 quadruples (or is what the
    caller proves), and the count, public, gets no noise and no share.

    Args:
        sensitivity_l1, sensitivity_l2_squared: of one record's contributions, in grid units.
        epsilon, delta: the budget; delta = 0 is pure.
        neighbours: `add-remove` or `replace`.
        replaced_l2_squared: largest squared norm of a difference of two contributions, where it is below four
            times that of one.
        pairs: the number of pairs of sums, each with the same share of the squared norms; None for sums that
            are not in pairs.

    Raises:
        ArgumentError: the noise would not fit the samplers' range.

    *Privacy*: every scale is an exact rational, rounded up. Proof in docs/privacy.md.

    Source: Dwork, McSherry, Nissim, Smith 2006; Ghosh, Roughgarden, Sundararajan 2009; Balle and Wang 2018;
    Canonne, Kamath, Steinke 2020.
    """
    replace = neighbours == "replace"
    share = Fraction(0) if replace else COUNT_SHARE
    if delta == 0.0:
        budget = Fraction(epsilon)
        mechanism, guarantee = LAPLACE, PureDP(epsilon, neighbours)
        total, width = Fraction(sensitivity_l1 * (2 if replace else 1)), 1
        if pairs is not None:
            apart = 4 * sensitivity_l2_squared if replaced_l2_squared is None else replaced_l2_squared
            total = grouped_change(pairs, -(-(apart if replace else sensitivity_l2_squared) // pairs))
            mechanism, width = RADIAL, GROUP
        sums = total / ((1 - share) * budget)
        count = None if replace else 1 / (share * budget)
        too_wide = sums * sums * width > (MAX_SCALE // 2) ** 2
    else:
        apart = 4 * sensitivity_l2_squared if replaced_l2_squared is None else replaced_l2_squared
        change = apart if replace else sensitivity_l2_squared

        def variances(way: Way) -> tuple[Fraction, Fraction | None]:
            least = Fraction(change) / (2 * (1 - share) * way.amount)
            return least + way.spare, None if replace else 1 / (2 * share * way.amount) + way.spare

        *first, chosen = ways(epsilon, delta)
        sums, count = usual = variances(chosen)
        for way in first:
            tried = variances(way)
            if tried[0] <= usual[0] and (tried[1] or 0) <= (usual[1] or 0):
                chosen, (sums, count) = way, tried
        too_wide = sums > (MAX_SCALE // 2) ** 2
        mechanism, guarantee = GAUSSIAN, ApproxDP(epsilon, delta, neighbours, chosen.rho)  # type: ignore[assignment]
    if too_wide:
        raise ArgumentError(
            f"epsilon = {epsilon!r} needs noise beyond the sampler's range: "
            f"take a larger epsilon or fewer features"
        )
    found = None if count is None else round_up(count)
    return Calibration(mechanism, round_up(sums), found, GROUP if mechanism == RADIAL else 1), guarantee


def add_noise(
    sums: NDArray[np.uint64], count: int, calibration: Calibration, source: NoiseSource, runs: int = 1
) -> dict[str, NDArray[Any]]:
    """Return noisy sums and counts: exact noise on *every* coordinate, added modulo 2^64, read back as
    signed.

    Args:
        sums: (2, m) uint64 (counters: any shape), exact, modulo 2^64.
        count: the exact number of records.
        calibration: from `calibrate`.
        source: operating-system noise; seeded noise in tests only.
        runs: independent releases to draw, for audits; a real release draws one.

    Returns:
        `sums` (runs, 2, m) int64 and `count` (runs,) int64.

    *Privacy*: the exact arguments never leave this function except under noise.
    """
    noise = calibration.draw_sums(source, sums.shape, runs)
    noisy = decode_signed(sums + noise.view(np.uint64))
    counts = np.full(runs, count % 2**64, dtype=np.uint64)
    if calibration.count is not None:
        counts = counts + calibration.draw(source, calibration.count, runs).view(np.uint64)
    return {"sums": noisy, "count": decode_signed(counts)}
