"""Where blinding factors come from."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.transcript import FR_MODULUS as R


class OSRandomness:
    """Uniform field elements from the operating system's generator."""

    def elements(self, count: int) -> NDArray[np.uint64]:
        """(count, 4) uniform field elements."""
        return za.Fr.random(count)


class UnsafeSeededRandomness:
    """Reproducible field elements, for tests and golden files only.

    Whoever knows the seed removes the blinding of every commitment: a proof made with it hides
    nothing.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counter = 0

    def elements(self, count: int) -> NDArray[np.uint64]:
        """(count, 4) field elements that depend on the seed alone."""
        out = []
        for _ in range(count):
            block = f"unsafe/{self._seed}/{self._counter}".encode()
            self._counter += 1
            out.append(int.from_bytes(hashlib.sha512(block).digest(), "little") % R)
        return za.Fr.from_ints(out)


Randomness = OSRandomness | UnsafeSeededRandomness
