"""The hat basis with a centred linear part: half the noise of `hat` where noise is pure, or n is public.

The two end values of sum |x - y| add up to the number of records, whatever the records are, on every
coordinate. So they are two ways of saying v = sum of (2x - 1) and n: here v is released for each coordinate
and n once for all (or not at all, where it is public). A record in the middle of its range then changes v by
nothing and the coarsest coefficient by most, one at the end the other way round, so the worst record costs
much less than the sum of the worsts; and v enters an answer at y with the weight 1/2 - y, not with one.
"""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.similarity.hat import HatMap, HatReader
from dpkit.similarity.plan import Budget, NoisePlan, best_shapes, largest, part_scales, shares

__all__ = ["CentredHatMap", "CentredReader"]

_MEAN_LINEAR, _MEAN_HAT = 1.0 / 12.0, 1.0 / 3.0  # squared weights of v and of one level, mean over y


@dataclass(frozen=True)
class CentredHatMap(HatMap):
    """The public map of a sum of |x - y|, with sums 2x - 1 in place of both ends; fields as of `HatMap`."""

    @property
    def size(self) -> int:
        """The length of the vector: d 2^L, and the count."""
        return self.columns * (1 << self.depth) + 1

    def vector(self, sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the coefficients, exact modulo 2^64: sums of 2X - N (d,), level by level, count."""
        plain = super().vector(sums)
        ends = plain[: 2 * self.columns].reshape(-1, 2)
        count = sums[0, 0].sum(dtype=np.uint64)
        return np.concatenate([ends[:, 0] - ends[:, 1], plain[2 * self.columns :], count[None]])

    def calibrate(self, budget: Budget) -> NoisePlan:
        """Return the noise that keeps the budget's promise with the least variance; proof in docs/privacy.md.

        Coordinates share the budget in proportion to R^(2/3) (pure) or R; the count takes the share that
        gives an answer the least variance, and none under `replace`, where the number of records is public.
        """
        power = 2.0 / 3.0 if budget.pure else 1.0
        parts = shares([float(w) ** power for w in self.widths / self.widths.max()])
        whole = self._scales(budget)
        count = Fraction(0) if budget.replace else self._count_share(whole, parts, budget)
        rest = budget.split(1 - count)
        known = {part: self._scales(rest.split(part)) for part in set(parts)}
        scales = [known[part] for part in parts]
        runs = [(each[0], 1) for each in scales]
        for level in range(self.depth):
            runs += [(each[level + 1], 1 << level) for each in scales]
        if count:
            runs.append((budget.split(count).scale(1), 1))
        return NoisePlan.of(budget, runs)

    def _count_share(self, whole: list[Fraction], parts: list[Fraction], budget: Budget) -> Fraction:
        """Return the count's share w: least a/(1-w)^2 + c/w^2 (pure), or a/(1-w) + c/w."""
        weights = [_MEAN_LINEAR] + [_MEAN_HAT] * self.depth
        one = sum(
            w * (float(s) ** 2 if budget.pure else float(s)) for w, s in zip(weights, whole, strict=True)
        )
        widths = self.widths / self.widths.max()
        power = 2 if budget.pure else 1
        rest = sum(one * float(r) ** 2 / float(p) ** power for r, p in zip(widths, parts, strict=True))
        each = budget.scale(1)
        alone = float(each) ** 2 if budget.pure else float(each)
        alone *= (float(widths.sum()) / 2.0) ** 2 * 4.0**self.grid_bits
        root = 1.0 / 3.0 if budget.pure else 0.5
        share = alone**root / (alone**root + rest**root)
        return Fraction(min(max(round(share * 1024), 16), 1008), 1024)

    def _scales(self, budget: Budget) -> list[Fraction]:
        """Return the scales of one coordinate: of its sum of 2X - N, then of its levels."""
        top = 1 << self.grid_bits
        if not budget.pure:
            # (2X - N)^2 / 2 + sum_l 2^(l+1) c_l^2 <= N^2 / 2; a difference of two at most doubles the norm.
            linear = budget.scale(Fraction(4**self.grid_bits * (4 if budget.replace else 1)))
            return [linear] + [linear / (4 << level) for level in range(self.depth)]
        profile = self.profile()
        changes = [top, *(top >> (level + 1) for level in range(self.depth))]
        if budget.replace:
            changes[1] //= 2
        shapes = best_shapes(changes, [_MEAN_LINEAR] + [_MEAN_HAT] * self.depth, pure=True)
        places = np.arange(profile.shape[1], dtype=np.int64) << (self.grid_bits - self.depth)
        if not budget.replace:
            linear_change = np.abs(2 * places - top)
            return part_scales(shapes, budget, lambda rates: largest([linear_change, *profile], rates))
        return part_scales(shapes, budget, functools.partial(self._worst_pair, profile, places))

    def read(self, noisy: NDArray[np.int64], plan: NoisePlan, count: int | None = None) -> "CentredReader":
        """Return the answers that a noisy vector holds; `count` where the number of records is public."""
        return CentredReader(self, noisy, plan.variances(), count)


class CentredReader(HatReader):
    """Answers from noisy centred coefficients; arguments as for `HatReader`."""

    def __init__(
        self,
        shape: CentredHatMap,
        noisy: NDArray[np.int64],
        variances: NDArray[np.float64],
        count: int | None,
    ) -> None:
        d, top = shape.columns, 1 << shape.grid_bits
        self._records = float(noisy[-1]) if count is None else float(count)
        self._count_variance = float(variances[-1]) if count is None else 0.0
        linear = noisy[:d].astype(np.float64)
        ends = np.stack([self._records * top + linear, self._records * top - linear], axis=1) / 2.0
        stop = shape.columns << shape.depth
        plain = np.concatenate([ends.reshape(-1), noisy[d:stop].astype(np.float64)])
        spread = np.concatenate([np.repeat(variances[:d], 2), variances[d:stop]])
        super().__init__(shape, plain, spread, 0)

    def count(self) -> tuple[float, float]:
        """Return the released number of records, and its variance."""
        return self._records, self._count_variance

    def own_variance(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the variance of the noise of the coordinates' own sums, (m,), the count's left out."""
        scaled = self.scaled(queries)
        inside = np.clip(scaled, 0.0, 1.0)
        found = ((0.5 - inside) ** 2 * self._variances[:, 0]).sum(axis=1)
        for level in range(self._variances.shape[1] - 1):
            place = inside * (1 << level)
            hat = 1.0 - np.abs(2.0 * (place - np.minimum(np.floor(place), (1 << level) - 1)) - 1.0)
            found += (hat**2 * self._variances[:, level + 1]).sum(axis=1)
        return np.asarray(found)

    def spread(self, queries: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the noise's variance in each sum, and its covariance with `count`, (m,) each."""
        scaled = self.scaled(queries)
        beyond = np.maximum(np.maximum(-scaled, scaled - 1.0), 0.0)
        weight = ((0.5 + beyond) * self._unit).sum(axis=1)
        return self.own_variance(queries) + weight**2 * self._count_variance, weight * self._count_variance

    def typical(self) -> float:
        """Return the root of the noise's variance, mean over queries spread evenly in the box."""
        linear, levels = self._variances[:, 0].sum(), self._variances[:, 1:].sum()
        count = (float(self._unit.sum()) / 2.0) ** 2 * self._count_variance
        return math.sqrt(linear * _MEAN_LINEAR + levels * _MEAN_HAT + count)
