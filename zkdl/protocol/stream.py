"""Public random integers: a SHAKE-256 stream that gives the same numbers on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["integers", "words"]

_BLOCK_WORDS = 1 << 13


def _block(domain: bytes, key: tuple[int, ...], index: int, count: int) -> NDArray[np.uint64]:
    shake = hashlib.shake_256()
    for part in (domain, *(value.to_bytes(8, "little") for value in (*key, index))):
        shake.update(len(part).to_bytes(8, "little"))
        shake.update(part)
    return np.frombuffer(shake.digest(8 * count), dtype="<u8").astype(np.uint64, copy=False)


def words(domain: bytes, key: tuple[int, ...]) -> Iterator[int]:
    """Yield the 64-bit words of the stream that ``domain`` and ``key`` name, for ever.

    Block i is SHAKE-256 of the domain, the key integers and i, each with its length in front.

    Args:
        domain: What the numbers are for.
        key: Non-negative integers below 2^64.
    """
    index = 0
    while True:
        yield from _block(domain, key, index, _BLOCK_WORDS).tolist()
        index += 1


def integers(domain: bytes, key: tuple[int, ...], count: int, bound: int) -> NDArray[np.int64]:
    """Draw ``count`` integers, uniform in [0, bound), from the same stream as `words`.

    A word is used when it lies below the largest multiple of ``bound`` up to 2^64, else skipped.

    Args:
        domain: What the numbers are for.
        key: Non-negative integers below 2^64.
        count: How many.
        bound: 1 <= bound < 2^63.

    Returns:
        (count,) int64.

    Example:
        >>> integers(b"example", (1,), 1000, 6).max()
        np.int64(5)
    """
    keep_below = (1 << 64) // bound * bound
    out = np.empty(count, dtype=np.int64)
    places = out.view(np.uint64)
    filled = index = 0
    while filled < count:
        block = _block(domain, key, index, _BLOCK_WORDS)
        # Hardly ever is a word skipped, so look before copying.
        if keep_below < 1 << 64 and block.max() >= keep_below:
            block = block[block < np.uint64(keep_below)]
        taken = min(len(block), count - filled)
        np.remainder(block[:taken], np.uint64(bound), out=places[filled : filled + taken])
        filled += taken
        index += 1
    return out
