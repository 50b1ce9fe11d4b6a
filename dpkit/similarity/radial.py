"""Radial noise on long vectors of sums: groups of coordinates, each with a radial vector of its own.

One group of everything would need least noise, variance (k + 1) b^2 with b in proportion to the l2 norm of a
contribution; groups of 256 coordinates need 0.4 % more variance and a bounded time for each coordinate.
Within a group coordinates are uncorrelated, so variances of answers add up as for independent noise.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpkit.noise import NoiseSource, sqrt_up

__all__ = [
    "GROUP",
    "draw_pairs",
    "draw_vector",
    "group_sizes",
    "grouped_change",
    "pair_noise",
    "pair_variance",
    "shared_change",
]

GROUP = 256
"""The most coordinates that share a radial vector."""


def group_sizes(count: int, most: int) -> list[int]:
    """Return the sizes of the fewest groups of at most `most`, the larger first; they differ by one at most.

    >>> group_sizes(10, 4)
    [4, 3, 3]
    """
    groups = -(-count // most)
    each, larger = divmod(count, groups)
    return [each + 1] * larger + [each] * (groups - larger)


def grouped_change(pairs: int, squared: int, group: int = GROUP) -> Fraction:
    """Return a bound on the sum over groups of the l2 norm of a change, rounded up.

    Args:
        pairs: m, (cosine, sine) pairs; a group holds whole pairs.
        squared: the largest squared norm of the change of one pair.
        group: the most coordinates of a group, even.
    """
    return sum((sqrt_up(size * squared) for size in group_sizes(pairs, group // 2)), Fraction(0))


def shared_change(length: int, squared: int, group: int = GROUP) -> Fraction:
    """Return the same where only the whole change has a bounded squared norm: sqrt(groups) times its root.

    (Cauchy and Schwarz: g numbers whose squares add up to at most s add up to at most sqrt(g s).)
    """
    return sqrt_up(len(group_sizes(length, group)) * squared)


def pair_variance(scale: Fraction, pairs: int, group: int) -> float:
    """Return the variance of a coordinate's noise, (k + 1) b^2, mean over the groups of all pairs."""
    weight = sum(size * (2 * size + 1) for size in group_sizes(pairs, group // 2))
    return weight / pairs * float(scale) ** 2


def pair_noise(pairs: int) -> float:
    """Return the standard deviation of the noise in a sum of similarities, times epsilon: near sqrt(2 m).

    m pairs of norm 1 are released as one vector; the answer is the mean of their m terms.
    """
    scale = sum(math.sqrt(size) for size in group_sizes(pairs, GROUP // 2))
    return scale * math.sqrt(pair_variance(Fraction(1), pairs, GROUP) / pairs)


def draw_pairs(source: NoiseSource, scale: Fraction, pairs: int, group: int, runs: int) -> NDArray[np.int64]:
    """Return exact noise for `runs` releases of (2, m) sums, (runs, 2, m) int64."""
    sizes = group_sizes(pairs, group // 2)
    parts = []
    for size in dict.fromkeys(sizes):
        number = sizes.count(size)
        drawn = source.discrete_radial(scale, 2 * size, (runs, number))
        halves = drawn.reshape(runs, number, 2, size).transpose(0, 2, 1, 3)
        parts.append(halves.reshape(runs, 2, number * size))
    return np.concatenate(parts, axis=2)


def draw_vector(source: NoiseSource, scale: Fraction, length: int, group: int) -> NDArray[np.int64]:
    """Return exact noise for one vector, (length,) int64, in groups of at most `group`."""
    sizes = group_sizes(length, group)
    parts = [
        source.discrete_radial(scale, size, sizes.count(size)).reshape(-1) for size in dict.fromkeys(sizes)
    ]
    return np.concatenate(parts)
