"""The exact sum of distances: the oracle for every private answer. Nothing here is private or fast."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.errors import ArgumentError
from dpkit.similarity.inputs import check_points, check_positive

__all__ = ["METRICS", "check_metric", "distance_sum"]

METRICS = ("l1", "l2", "sqeuclidean", "lp")
_BLOCK_FLOATS = 1 << 16


def check_metric(metric: object, p: object) -> tuple[str, float | None]:
    """Return the metric's name and its power (`lp` only), or raise ArgumentError."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise ArgumentError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}")
    if metric == "lp":
        if p is None:
            raise ArgumentError("p must be given for metric 'lp': the sum of |x_i - y_i|^p")
        return metric, check_positive(p, "p")
    if p is not None:
        raise ArgumentError(f"p belongs to metric 'lp' alone, got p = {p!r} with {metric!r}")
    return metric, None


def distance_sum(
    X: ArrayLike, Y: ArrayLike, metric: str = "l1", p: float | None = None
) -> NDArray[np.float64]:
    """Return the exact sums of distances, S(y) = sum over records x of dist(x, y), without any privacy.

    `l1` sum_i |x_i - y_i|, `l2` its Euclidean twin, `sqeuclidean` the square of that, `lp` sum_i |x_i -
    y_i|^p.

    Args:
        X: (n, d) real records.
        Y: (m, d) real queries.
        metric: one of the four.
        p: the power of `lp`, above 0.

    Returns:
        (m,) float64.

    Raises:
        ArgumentError: a shape, dtype, metric or power is not as above.

    *Privacy*: none. For tests and benchmarks only.

    Example:
        >>> distance_sum([[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0]], "l2").tolist()
        [5.0]
    """
    name, power = check_metric(metric, p)
    records = check_points(X, "X")
    queries = on_host(check_points(Y, "Y")).astype(np.float64)
    if records.shape[1] != queries.shape[1]:
        raise ArgumentError(
            f"Y must have as many columns as X: expected {records.shape[1]}, got {queries.shape[1]}"
        )
    sums = np.zeros(len(queries))
    rows = max(1, _BLOCK_FLOATS // records.shape[1])
    for start in range(0, len(records), rows):
        block = on_host(records[start : start + rows]).astype(np.float64)
        for i, y in enumerate(queries):
            gaps = np.abs(block - y)
            if name in ("l1", "lp"):
                sums[i] += (gaps if power is None else gaps**power).sum()
            else:
                squares = np.einsum("ij,ij->i", gaps, gaps)
                sums[i] += (np.sqrt(squares) if name == "l2" else squares).sum()
    return sums
