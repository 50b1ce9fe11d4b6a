"""1/(1 + u) as a sum of exponentials: the published construction for the smooth kernels, for comparison.

1/(1 + u) is the integral of e^s exp(-e^s) exp(-e^s u) over real s, and the trapezoidal rule with step H turns
it into sum_j w_j exp(-r_j u), w_j = H r_j exp(-r_j), r_j = exp(H (j + shift)): exponentially accurate in 1/H,
uniformly in u. So a smooth kernel is a weighted sum of kernels of the exponential family, each with its own
random features. Spectral mixing (`fourier`, the default) draws r from the same integral and has no such bias.

The budget is never split over the terms. Frequencies are shared out in proportion to the weights, every
contribution has the same size and the same noise, and the weights w_j/m_j come in when a query is answered:
as private as one kernel with m frequencies, by the same proof.
"""

import functools
import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpkit.similarity.fourier import FourierMap, PairedContributions

__all__ = ["BASES", "ExponentialsMap", "exponential_sum"]

BASES = {"cauchy": "gaussian", "inverse_l2": "exponential", "inverse_l1": "laplacian"}
# (largest error over u >= 0, step H, shift, fewest frequencies it is used for); the errors are tested.
_RULES = ((1e-1, 2.05, 0.25, 1), (1e-2, 1.4, 0.0, 256), (1e-3, 1.05, 0.75, 1024), (1e-4, 0.85, 0.5, 65_536))
_FEWEST_EACH = 2  # one frequency says nothing about its own error


@functools.cache
def exponential_sum(error: float) -> tuple[tuple[float, float], ...]:
    """Return pairs (w, r) with |sum w exp(-r u) - 1/(1+u)| <= error for every u >= 0.

    Args:
        error: 1e-1, 1e-2, 1e-3 or 1e-4.

    Example:
        >>> terms = exponential_sum(1e-3)
        >>> len(terms), round(sum(w * math.exp(-3.0 * r) for w, r in terms), 3)
        (13, 0.25)
    """
    step, shift = next((h, s) for e, h, s, _ in _RULES if e == error)
    rates = [math.exp(step * (j + shift)) for j in range(-40, 10)]
    terms = [(step * r * math.exp(-r), r) for r in rates]
    return tuple((w, r) for w, r in terms if w > error / 100.0)


def _split(count: int, weights: list[float]) -> list[int]:
    """Return whole numbers near count w / sum w, at least two each, that add up to `count`."""
    spare = count - _FEWEST_EACH * len(weights)
    exact = [spare * w / math.fsum(weights) for w in weights]
    sizes = [_FEWEST_EACH + int(e) for e in exact]
    order = sorted(range(len(weights)), key=lambda j: int(exact[j]) - exact[j])
    for j in order[: count - sum(sizes)]:
        sizes[j] += 1
    return sizes


@dataclass(frozen=True)
class ExponentialsMap(PairedContributions):
    """The public map of a smooth kernel through a sum of exponentials; the fields are those of `FourierMap`.

    Args:
        kernel: `cauchy`, `inverse_l2` or `inverse_l1`.
        bandwidth: h, in the units of the records.
        columns: d.
        features: m, the number of frequencies of all terms together; at least 8.
        public_seed: fixes the frequencies, nothing else.
        bounds: public domain (low, high) as tuples of d floats, or None for no clipping.
        grid_bits: P; contributions are multiples of 2^-P.
    """

    kernel: str
    bandwidth: float
    columns: int
    features: int
    public_seed: int = 0
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    grid_bits: int = 20

    @property
    def structure(self) -> str:
        """What users type to choose this map."""
        return "exponentials"

    @property
    def bias(self) -> float:
        """The largest error of the sum of exponentials itself, for one record."""
        return max((rule for rule in _RULES if rule[3] <= self.features), key=lambda rule: rule[3])[0]

    @functools.cached_property
    def parts(self) -> tuple[tuple[float, FourierMap], ...]:
        """The terms: a weight, and the map of a kernel of the exponential family at its own bandwidth."""
        terms = exponential_sum(self.bias)
        sizes = _split(self.features, [w for w, _ in terms])
        parts = []
        for j, ((weight, rate), size) in enumerate(zip(terms, sizes, strict=True)):
            narrower = math.sqrt(rate) if self.kernel == "cauchy" else rate
            name = f"dpkit exponentials|{self.public_seed}|{j}".encode()
            seed = int.from_bytes(hashlib.sha256(name).digest()[:8], "little")
            inner = (BASES[self.kernel], self.bandwidth / narrower, self.columns, size, seed)
            parts.append((weight, FourierMap(*inner, self.bounds, self.grid_bits)))
        return tuple(parts)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the digests of the terms."""
        return hashlib.sha256("".join(part.digest for _, part in self.parts).encode()).hexdigest()

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the sums: cosines and sines, term after term."""
        return 2, self.features

    def _places(self) -> list[tuple[float, FourierMap, slice]]:
        start, found = 0, []
        for weight, part in self.parts:
            found.append((weight, part, slice(start, start + part.features)))
            start += part.features
        return found

    def add(self, sums: NDArray[np.uint64], records: NDArray[np.generic]) -> None:
        """Add the contributions of records to the sums, modulo 2^64, in place."""
        for _, part, place in self._places():
            part.add(sums[:, place], records)

    def moments(
        self, noisy: NDArray[np.int64], queries: NDArray[np.generic], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the estimates of the sums and of their variances, (rows,) each: terms are independent.

        Args:
            noisy: (2, m) released sums, in grid units.
            queries: (rows, d) real.
            count: the released number of records; not needed here.
        """
        means, variances = np.zeros(len(queries)), np.zeros(len(queries))
        for weight, part, place in self._places():
            mean, variance = part.moments(noisy[:, place], queries, count)
            means += weight * mean
            variances += weight**2 * variance
        return means, variances

    def noise_variance(self, each: float) -> float:
        """Return the variance of the noise in an answer, where every sum has variance `each` (grid units)."""
        return sum(weight**2 * part.noise_variance(each) for weight, part in self.parts)
