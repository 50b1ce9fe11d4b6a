"""Public randomness for feature maps: one stream of bits that is the same on every machine and release.

A feature map is public: privacy never rests on it. But two shards can only be added, and a saved release can
only be read back, when both sides rebuild exactly the same map, so the stream must not depend on a library's
version or on a processor. It is SHAKE-256 output turned into floats with operations that IEEE 754 rounds
correctly (+, -, *, /, sqrt, frexp), never with a mathematical library's log or cos, whose last bits differ
between machines.

Never use this stream for noise: noise comes from `dpkit.noise`.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["PublicStream"]

_LOG_2 = float.fromhex("0x1.62e42fefa39efp-1")
_SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
_SERIES_TERMS = 12


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(x) for positive finite x, with the same bits on every machine.

    Writes x = f 2^e with f in [sqrt(1/2), sqrt(2)), s = (f-1)/(f+1), and sums 2 (s + s^3/3 + ...): |s| <
    0.172, so twelve terms reach the last bit or two.
    """
    fraction, exponent = np.frexp(x)
    low = fraction < _SQRT_HALF
    fraction = np.where(low, fraction * 2.0, fraction)
    exponent = np.where(low, exponent - 1, exponent)
    s = (fraction - 1.0) / (fraction + 1.0)
    square = s * s
    total = np.full_like(s, 1.0 / (2 * _SERIES_TERMS + 1))
    for k in range(_SERIES_TERMS - 1, -1, -1):
        total = total * square + 1.0 / (2 * k + 1)
    return 2.0 * s * total + exponent * _LOG_2


class PublicStream:
    """A reproducible stream of public uniforms, normals, exponentials and Cauchy variates.

    The 64-bit words are SHAKE-256("dpkit public features v1|" label "|" seed "|" block) read little-endian,
    one block of 2^16 words at a time.

    Args:
        seed: the public seed, any non-negative integer.
        label: what the stream is for; different labels give unrelated streams.

    Example:
        >>> PublicStream(0, "doc").uniforms(2).round(6).tolist()
        [0.466153, 0.060851]
    """

    _BLOCK_WORDS = 1 << 16

    def __init__(self, seed: int, label: str) -> None:
        self._prefix = f"dpkit public features v1|{label}|{seed}|".encode()
        self._block = 0
        self._pool = np.empty(0, dtype=np.uint64)

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return the next `count` words of the stream, (count,) uint64."""
        parts, have = [self._pool], self._pool.size
        while have < count:
            name = self._prefix + str(self._block).encode()
            raw = hashlib.shake_256(name).digest(8 * self._BLOCK_WORDS)
            parts.append(np.frombuffer(raw, dtype="<u8").astype(np.uint64))
            have += self._BLOCK_WORDS
            self._block += 1
        pool = np.concatenate(parts)
        self._pool = pool[count:]
        return pool[:count]

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """Return uniforms in the open interval (0, 1), (count,) float64: (top 52 bits + 1/2) / 2^52."""
        return ((self.words(count) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def exponentials(self, count: int) -> NDArray[np.float64]:
        """Return exponential variates of mean one, (count,) float64."""
        return -_log(self.uniforms(count))

    def normals(self, count: int) -> NDArray[np.float64]:
        """Return standard normals, (count,) float64, by the polar method (Marsaglia and Bray 1964).

        Points of the square are taken in stream order, those outside the open unit disc dropped.
        """
        pieces, have = [], 0
        while have < count:
            pairs = math.ceil((count - have) / 2 * 1.3) + 8
            points = 2.0 * self.uniforms(2 * pairs).reshape(pairs, 2) - 1.0
            square = points[:, 0] * points[:, 0] + points[:, 1] * points[:, 1]
            keep = (square < 1.0) & (square > 0.0)
            points, square = points[keep], square[keep]
            factor = np.sqrt(-2.0 * _log(square) / square)
            pieces.append((points * factor[:, None]).reshape(-1))
            have += pieces[-1].size
        return np.concatenate(pieces)[:count] if pieces else np.empty(0)
