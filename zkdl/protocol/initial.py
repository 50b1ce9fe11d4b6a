"""Initial weights: a public function of a seed, in integers only."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.settings import Settings
from zkdl.protocol.stream import integers

__all__ = ["initial_bound", "initial_weights"]

_DOMAIN = b"dpkit-zkdl/initial-weights/v1"


def initial_bound(fan_in: int, settings: Settings) -> int:
    """Largest magnitude of an initial weight at scale 2^w: floor(sqrt(6 / fan_in) * 2^w).

    Example:
        >>> initial_bound(6, Settings())
        4294967296
    """
    return isqrt((6 << (2 * settings.weight_scale)) // fan_in)


def initial_weights(
    seed: int, widths: Sequence[int], bias: bool, settings: Settings
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Draw He-uniform initial weights as integers at scale 2^w.

    The entries of layer l are independent and uniform on the integers of [-b, b] with
    b = `initial_bound` (d_{l-1}), in row-major order from a SHAKE-256 stream keyed by seed, layer and
    shape. Biases start at zero. No floating point is involved.

    Args:
        seed: 0 <= seed < 2^63.
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
    if not 0 <= seed < 1 << 63:
        raise InputError(f"initial_seed must be between 0 and 2^63 - 1, got {seed}")
    weights = []
    for layer in range(1, len(widths)):
        fan_in, fan_out = widths[layer - 1], widths[layer]
        bound = initial_bound(fan_in, settings)
        draws = integers(_DOMAIN, (seed, layer, fan_in, fan_out), fan_in * fan_out, 2 * bound + 1)
        weights.append((draws - bound).reshape(fan_in, fan_out))
    biases = [np.zeros(width, dtype=np.int64) for width in widths[1:]] if bias else []
    return weights, biases
