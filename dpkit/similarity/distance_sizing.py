"""Sizes of distance structures when nobody says, from public inputs only."""

import math

from dpkit.similarity.embedding import mean_projection, pair_spread
from dpkit.similarity.sizing import NOMINAL_RECORDS

__all__ = ["MAX_DEPTH", "MAX_DIRECTIONS", "choose_depth", "choose_directions"]

MAX_DEPTH = 16
MAX_DIRECTIONS = 4096
_LEAST_DEPTH = 4
_MOST_LEAVES = 1 << 25  # coordinates times leaves: half a gibibyte of sums
_MOST_NUMBERS = 1 << 22  # columns times directions
_MOST_WANTED = 512


def choose_depth(
    epsilon: float,
    sigma: float | None,
    factor: float,
    columns: int,
    expected: int | None,
    top: int = MAX_DEPTH,
) -> int:
    """Return the depth L of the hat basis: cells as narrow as noise allows the answer to be sharp.

    ceil(log2(n eps / d)) pure, ceil(log2(n / (sigma_1 sqrt d))) Gaussian, within 4 and `top`: then what the
    basis leaves out, at most n R 2^-(L+1) a coordinate and far less on smooth data, drowns in the noise.

    Args:
        epsilon: pure budget.
        sigma: sigma_1 of a Gaussian one, else None.
        factor: of the noise under `replace`.
        columns: d.
        expected: a public guess of n; None stands for 40,000.

    Example:
        >>> choose_depth(1.0, None, 1.0, 32, 50_000)
        11
    """
    n = max(1, NOMINAL_RECORDS if expected is None else expected) / factor
    cells = n * epsilon / columns if sigma is None else n / (sigma * math.sqrt(columns))
    wanted = math.ceil(math.log2(max(cells, 1.0)))
    memory = max(1, int(math.log2(max(2, _MOST_LEAVES // columns))))
    return min(max(wanted, _LEAST_DEPTH), top, memory)


def choose_directions(
    epsilon: float, sigma: float | None, factor: float, columns: int, expected: int | None
) -> int:
    """Return the number of directions of an l2 sum: the fewest that come within a tenth of the least error.

    Predicted error of an average, relative: the projection's, 0.3 times that of one pair (measured: 0.2 for
    whole orthonormal sets, 0.35 otherwise), and the noise's, over distances of 0.6 radii. Pure noise grows as
    sqrt(k)/(eps n); Gaussian noise does not grow with k.

    Args:
        epsilon: pure budget.
        sigma: sigma_1 of a Gaussian one, else None.
        factor: of the noise under `replace`.
        columns: d.
        expected: a public guess of n; None stands for 40,000.

    Example:
        >>> choose_directions(1.0, None, 1.0, 128, 50_000)
        128
    """
    n = max(1, NOMINAL_RECORDS if expected is None else expected)
    most = max(1, min(MAX_DIRECTIONS, _MOST_NUMBERS // columns, max(_MOST_WANTED, min(columns, 2048))))
    reach = 2.0 * min(1.0, 3.0 / math.sqrt(columns)) / mean_projection(columns) * factor / (0.6 * n)
    counts = {k for k in (1, 8, 16, 32, 64, 128, 256, 512) if k <= most}
    counts |= {columns * sets for sets in (*range(1, 17), 32, 64, 128, 256) if columns * sets <= most}

    def error(k: int) -> float:
        pure = 1.65 * math.sqrt(k) * (1.0 + 0.57 * k ** (-1 / 3)) ** 1.5
        noise = reach * (pure / epsilon if sigma is None else sigma)
        return math.hypot(0.3 * pair_spread(columns, k), noise)

    best = min(error(k) for k in counts)
    return min(k for k in counts if error(k) <= 1.1 * best)
