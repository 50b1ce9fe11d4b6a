"""Round polynomials of a sumcheck over products of multilinear tables.

For tables t of length 2 h the round polynomial is the sum over i < h of the product over the tables of
t[i] + X (t[i + h] - t[i]): the highest variable is the one that stays free, and `multilinear.fold_high`
binds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import round_kernels as kernels
from .backend import switched
from .field import Fr, flat_limbs
from .threads import over_range

_GRAIN = 1024
_P = Fr.modulus
_HALF = pow(2, -1, _P)


def _halves(tables: tuple[np.ndarray, ...]) -> tuple[list[np.ndarray], int]:
    flat = [flat_limbs(table, 4, "Fr") for table in tables]
    size = flat[0].size
    if size < 8 or size % 8 or any(table.size != size for table in flat):
        raise ValueError(
            f"tables: expected equal, even lengths of at least 2 entries, got {[t.size // 4 for t in flat]}"
        )
    return flat, size // 8


def _sums(call: Callable[[np.ndarray, int, int], Any], count: int, half: int) -> list[int]:
    def part(start: int, stop: int) -> list[int]:
        out = np.empty(4 * count, np.uint64)
        call(out, start, stop)
        return Fr.to_ints(out.reshape(-1, 4))

    return [sum(column) for column in zip(*over_range(part, half, _GRAIN), strict=True)]


@switched("sumcheck.round_quadratic")
def round_quadratic(f: np.ndarray, g: np.ndarray) -> list[int]:
    """The coefficients [c0, c1, c2] of the round polynomial of f g.

    Args:
        f: `(2 h, 4)` elements.
        g: `(2 h, 4)` elements.

    Returns:
        Three integers in [0, r), lowest degree first.

    Example:
        >>> round_quadratic(Fr.from_ints([1, 2]), Fr.from_ints([3, 5]))       # (1 + X)(3 + 2 X)
        [3, 5, 2]
    """
    (a, b), half = _halves((f, g))
    at_0, at_1, top = _sums(lambda out, i, j: kernels.quadratic_sums(out, a, b, half, i, j), 3, half)
    return [at_0 % _P, (at_1 - at_0 - top) % _P, top % _P]


@switched("sumcheck.round_cubic")
def round_cubic(e: np.ndarray, f: np.ndarray, g: np.ndarray) -> list[int]:
    """The coefficients [c0, c1, c2, c3] of the round polynomial of e f g.

    Args:
        e: `(2 h, 4)` elements.
        f: `(2 h, 4)` elements.
        g: `(2 h, 4)` elements.

    Returns:
        Four integers in [0, r), lowest degree first.

    Example:
        >>> one_plus_x = Fr.from_ints([1, 2])
        >>> round_cubic(one_plus_x, one_plus_x, one_plus_x)
        [1, 3, 3, 1]
    """
    (a, b, c), half = _halves((e, f, g))
    at_0, at_1, at_m, top = _sums(lambda out, i, j: kernels.cubic_sums(out, a, b, c, half, i, j), 4, half)
    # s(1) + s(-1) = 2 (c0 + c2) and s(1) - s(-1) = 2 (c1 + c3).
    even = (at_1 + at_m) * _HALF - at_0
    odd = (at_1 - at_m) * _HALF - top
    return [at_0 % _P, odd % _P, even % _P, top % _P]
