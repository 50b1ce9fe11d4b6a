"""Initial weights: a public function of a seed, in integers only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.settings import Settings
from zkdl.protocol.stream import integers

__all__ = ["initial_bound", "initial_state", "initial_weights"]

_DOMAIN = b"dpkit-zkdl/initial-weights/v1"


def initial_bound(fan_in: int, settings: Settings) -> int:
    """Largest magnitude of an initial weight at scale 2^w: floor(sqrt(6 / fan_in) * 2^w).

    Example:
        >>> initial_bound(6, Settings())
        4294967296
    """
    return isqrt((6 << (2 * settings.weight_scale)) // fan_in)


def initial_weights(
    seed: int | None, widths: Sequence[int], bias: bool, settings: Settings
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Draw He-uniform initial weights as integers at scale 2^w.

    The entries of layer l are independent and uniform on the integers of [-b, b] with
    b = `initial_bound` (d_{l-1}), in row-major order from a SHAKE-256 stream keyed by seed, layer and
    shape. Biases start at zero. No floating point is involved.

    Args:
        seed: 0 <= seed < 2^63, or None for weights that are all zero.
        widths: (d_0, ..., d_L).
        bias: Whether layers have a bias.
        settings: For the weight scale.

    Returns:
        Weights, one (d_{l-1}, d_l) int64 array per layer, and biases, one (d_l,) int64 array of zeros
        per layer or the empty list.

    Raises:
        InputError: The seed is out of range.

    Source: He et al., Delving Deep into Rectifiers (2015), the uniform variant.

    Example:
        >>> weights, biases = initial_weights(1, (4, 3, 2), True, Settings())
        >>> [w.shape for w in weights], [b.tolist() for b in biases]
        ([(4, 3), (3, 2)], [[0, 0, 0], [0, 0]])
    """
    biases = [np.zeros(width, dtype=np.int64) for width in widths[1:]] if bias else []
    if seed is None:
        return [np.zeros(shape, dtype=np.int64) for shape in pairwise(widths)], biases
    if not 0 <= seed < 1 << 63:
        raise InputError(f"initial_seed must be between 0 and 2^63 - 1, got {seed}")
    weights = []
    for layer in range(1, len(widths)):
        fan_in, fan_out = widths[layer - 1], widths[layer]
        bound = initial_bound(fan_in, settings)
        draws = integers(_DOMAIN, (seed, layer, fan_in, fan_out), fan_in * fan_out, 2 * bound + 1)
        draws -= bound
        weights.append(draws.reshape(fan_in, fan_out))
    return weights, biases


def initial_state(
    seed: int | None,
    added: tuple[Sequence[NDArray[np.int64]], Sequence[NDArray[np.int64]]] | None,
    widths: Sequence[int],
    bias: bool,
    settings: Settings,
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """The weights before the first step: those of the seed plus those that are ``added``, entry by entry.

    Args:
        seed: As of `initial_weights`.
        added: Weights and biases of the same shapes, or None for nothing.
        widths: (d_0, ..., d_L).
        bias: Whether layers have a bias.
        settings: For the weight scale.

    Returns:
        Weights and biases as `initial_weights` gives them; without a seed the very arrays that are added.

    Raises:
        InputError: The seed is out of range, or what is added has other shapes.
    """
    if added is None:
        return initial_weights(seed, widths, bias, settings)
    expected: list[list[tuple[int, ...]]] = [list(pairwise(widths)), []]
    if bias:
        expected[1] = [(width,) for width in widths[1:]]
    for shapes, more in zip(expected, added, strict=True):
        if shapes != [np.shape(part) for part in more]:
            raise InputError(
                f"initial weights to add must have shapes {shapes}, got {[np.shape(part) for part in more]}"
            )
    if seed is None:
        return list(added[0]), list(added[1])
    weights, biases = initial_weights(seed, widths, bias, settings)
    return (
        [base + more for base, more in zip(weights, added[0], strict=True)],
        [base + more for base, more in zip(biases, added[1], strict=True)],
    )
