"""What happens to a point before a kernel's map: a public domain, and a public reduction of its dimension.

The reduction is the fast Johnson-Lindenstrauss transform: the coordinates' signs are flipped at random, a
Walsh-Hadamard transform spreads every coordinate over all, and k of the d' coordinates (d' the next power of
two) are kept, times sqrt(d'/k). It keeps squared distances in expectation and within a relative standard
deviation of about sqrt(2/k), at O(d log d) a point.

*Privacy*: a function of one record and public numbers, applied before anything is summed. Neighbouring data
sets stay neighbouring, so it costs nothing and changes no sensitivity.

Source: Ailon and Chazelle 2009; Tropp 2011 (sampled coordinates).
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._compiled import njit
from dpkit.errors import ArgumentError
from dpkit.similarity.inputs import check_integer
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.moments import Ball, unit_rows
from dpkit.similarity.stream import PublicStream

__all__ = ["Front", "choose_reduction", "pair_error"]

_WIDE = 4096
_KEPT = (1024, 4096)
_FAR = 2.0**40  # coordinates saturate at so many bandwidths, so that sums of them stay finite
_SLOPE = {"gaussian": 1.0 / math.e, "exponential": 0.5 / math.e, "cauchy": 0.25, "inverse_l2": 0.125}


@njit(cache=True, nogil=True)
def _transform(values, signs, kept, factor, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the kept coordinates of every row's Walsh-Hadamard transform, in a fixed order of operations."""
    size = len(signs)
    row = np.empty(size)
    for r in range(values.shape[0]):
        for c in range(size):
            row[c] = values[r, c] * signs[c] if c < values.shape[1] else 0.0
        half = 1
        while half < size:
            for start in range(0, size, 2 * half):
                for c in range(start, start + half):
                    a, b = row[c], row[c + half]
                    row[c] = a + b
                    row[c + half] = a - b
            half *= 2
        for j in range(len(kept)):
            out[r, j] = row[kept[j]] * factor


def pair_error(kernel: str, columns: int, kept: int) -> float:
    """Return about the largest standard error that a reduction makes in one pair's similarity.

    The squared distance u errs by u sqrt(2/k) (less, as coordinates are sampled without repetition), so a
    similarity f(u) by |u f'(u)| sqrt(2/k): largest 1/e for `gaussian`, 1/(2e) for `exponential`, 1/4 and 1/8
    for `cauchy` and `inverse_l2`.

    Example:
        >>> round(pair_error("gaussian", 4096, 512), 3)
        0.022
    """
    size = 1 << max(0, columns - 1).bit_length()
    return _SLOPE[kernel] * math.sqrt(2.0 / kept * max(0.0, 1.0 - kept / size))


def choose_reduction(reduce: object, kernel: str, columns: int) -> int | None:
    """Return how many coordinates are kept, or None for all of them.

    Args:
        reduce: None, `auto` (an eighth of d, within 1,024 and 4,096, where d is at least 4,096), or a number
            below d.
        kernel: a kernel of the l2 distance, unless nothing is reduced.
        columns: d.

    Raises:
        ArgumentError: a number for a kernel of the l1 distance, which the transform does not keep; or out of
            range.
    """
    if reduce is None:
        return None
    keeps = KERNELS[kernel].distance != "l1"
    if isinstance(reduce, str):
        if reduce != "auto":
            raise ArgumentError(f"reduce must be None, 'auto' or a number of coordinates, got {reduce!r}")
        if not keeps or columns < _WIDE:
            return None
        return min(max(1 << (columns // 8).bit_length() - 1, _KEPT[0]), _KEPT[1])
    if not keeps:
        raise ArgumentError(
            f"reduce keeps l2 distances only, and {kernel!r} is a kernel of the l1 distance: pass reduce=None"
        )
    return check_integer(reduce, "reduce", 1, max(1, columns - 1))


@dataclass(frozen=True)
class Front:
    """A public map that comes first: domain, then reduction.

    Args:
        columns: d.
        bandwidth: h; with the domain, the size at which coordinates saturate.
        bounds: box that records are clipped to, or None.
        radius: ball about 0 that records are moved into, or None.
        kept: coordinates that are left, or None for all.
        public_seed: fixes signs and choice.
    """

    columns: int
    bandwidth: float
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None
    radius: float | None
    kept: int | None
    public_seed: int

    @property
    def out(self) -> int:
        """The number of coordinates that are left."""
        return self.columns if self.kept is None else self.kept

    @property
    def out_radius(self) -> float | None:
        """The radius of the domain after the reduction: distances may have grown by a few sqrt(1/(2k))."""
        radius = self.radius
        if self.bounds is not None:
            half = (np.array(self.bounds[1]) - np.array(self.bounds[0])) / 2.0
            radius = float(np.sqrt((half * half).sum()))
        if radius is None or self.kept is None:
            return radius
        return radius * (1.0 + 3.0 / math.sqrt(2.0 * self.kept))

    @functools.cached_property
    def center(self) -> NDArray[np.float64]:
        """The point that the reduction sends to 0: the middle of the bounds, or 0."""
        if self.bounds is None:
            return np.zeros(self.columns)
        return np.asarray(np.array(self.bounds[0]) / 2.0 + np.array(self.bounds[1]) / 2.0)

    @functools.cached_property
    def choice(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The signs (d',) and the kept coordinates (k,), in increasing order."""
        size = 1 << max(0, self.columns - 1).bit_length()
        stream = PublicStream(self.public_seed, f"reduction|{self.columns}|{self.kept}")
        signs = 1.0 - 2.0 * (stream.words(size) >> np.uint64(63)).astype(np.float64)
        order = np.argsort(stream.uniforms(size), kind="stable")
        return signs, np.sort(order[: self.out]).astype(np.int64)

    def apply(self, points: NDArray[Any], clip: bool) -> NDArray[np.float64]:
        """Return points as the kernel's map takes them, (rows, k) float64, row by row.

        Args:
            points: (rows, d) real.
            clip: records are brought into the domain; queries are not.

        A missing coordinate becomes the centre's; infinities clip or saturate.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.asarray(points, dtype=np.float64)
            if clip and self.bounds is not None:
                values = np.clip(values, np.array(self.bounds[0]), np.array(self.bounds[1]))
            values = np.where(np.isnan(values), self.center, values)
            if clip and self.radius is not None:
                values = unit_rows(values, Ball((0.0,) * self.columns, self.radius))
            if self.kept is None:
                return values
            far = min(_FAR * self.bandwidth, 1e290)
            values = np.clip(values - self.center, -far, far)
        signs, kept = self.choice
        out = np.empty((len(values), len(kept)))
        _transform(values, signs, kept, 1.0 / math.sqrt(len(kept)), out)
        return out
