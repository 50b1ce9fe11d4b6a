"""The similarity functions, and the exact sum of each: the oracle for every private answer.

A kernel is a profile of a distance divided by the bandwidth h: `gaussian` is exp(-t) of the squared l2
distance over h^2, and so on. Nothing here is private; nothing here is fast.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.errors import ArgumentError
from dpkit.similarity.inputs import check_kernel, check_points, check_positive

__all__ = ["KERNELS", "Kernel", "kernel_sum"]

_BLOCK_FLOATS = 1 << 16


@dataclass(frozen=True)
class Kernel:
    """A similarity k(x, y) = profile(distance((x - y) / h)).

    Args:
        name: what users type.
        distance: `l1`, `l2` or `sqeuclidean`, of the scaled difference.
        profile: maps an array of distances to similarities in (0, 1].
        formula: the same for readers.
    """

    name: str
    distance: str
    profile: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    formula: str


def _exponential(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-t)


def _reciprocal(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + t)


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Kernel("gaussian", "sqeuclidean", _exponential, "exp(-|x-y|_2^2 / h^2)"),
        Kernel("exponential", "l2", _exponential, "exp(-|x-y|_2 / h)"),
        Kernel("laplacian", "l1", _exponential, "exp(-|x-y|_1 / h)"),
        Kernel("cauchy", "sqeuclidean", _reciprocal, "1 / (1 + |x-y|_2^2 / h^2)"),
        Kernel("inverse_l2", "l2", _reciprocal, "1 / (1 + |x-y|_2 / h)"),
        Kernel("inverse_l1", "l1", _reciprocal, "1 / (1 + |x-y|_1 / h)"),
    )
}


def _distances(difference: NDArray[np.float64], distance: str) -> NDArray[np.float64]:
    if distance == "l1":
        return np.abs(difference).sum(axis=1)
    squared = np.einsum("ij,ij->i", difference, difference)
    return squared if distance == "sqeuclidean" else np.sqrt(squared)


def kernel_sum(
    X: ArrayLike, Y: ArrayLike, kernel: str = "gaussian", bandwidth: float = 1.0
) -> NDArray[np.float64]:
    """Return the exact sums of similarities, S(y) = sum over records x of k(x, y), without any privacy.

    Differences are formed directly, x - y, never as |x|^2 + |y|^2 - 2 <x, y>, so data far from the origin
    loses nothing to cancellation. Takes O(n m d) time and constant extra memory.

    Args:
        X: (n, d) real records.
        Y: (m, d) real queries.
        kernel: one of `gaussian`, `exponential`, `laplacian`, `cauchy`, `inverse_l2`, `inverse_l1`.
        bandwidth: h > 0, in the units of X.

    Returns:
        (m,) float64.

    Raises:
        ArgumentError: a shape, dtype, kernel name or bandwidth is not as above.

    *Privacy*: none. For tests and benchmarks only.

    Example:
        >>> kernel_sum([[0.0], [1.0]], [[0.0]], "inverse_l1").tolist()
        [1.5]
    """
    chosen = KERNELS[check_kernel(kernel, tuple(KERNELS))]
    records = check_points(X, "X")
    queries = on_host(check_points(Y, "Y")).astype(np.float64)
    if records.shape[1] != queries.shape[1]:
        raise ArgumentError(
            f"Y must have as many columns as X: expected {records.shape[1]}, got {queries.shape[1]}"
        )
    h = check_positive(bandwidth, "bandwidth")
    sums = np.zeros(len(queries))
    rows = max(1, _BLOCK_FLOATS // max(1, records.shape[1]))
    for start in range(0, len(records), rows):
        block = on_host(records[start : start + rows]).astype(np.float64)
        for i, y in enumerate(queries):
            sums[i] += chosen.profile(_distances((block - y) / h, chosen.distance)).sum()
    return sums
