"""Streams of uniform 64-bit words: AES-256 in counter mode under a key of 256 bits."""

from __future__ import annotations

import hashlib
import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

CHUNK_WORDS = 1 << 14  # 128 KiB: generated and consumed while it is in the second-level cache
_ZEROS = bytes(8 * CHUNK_WORDS)
_BLOCK = 16


class Keystream:
    """A reader of the keystream as little-endian 64-bit words, each used at most once.

    Args:
        key: 32 bytes.
        nonce: 16 bytes, the initial counter block.
    """

    __slots__ = ("_buffer", "_encryptor", "_start", "_stop")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
        self._buffer = np.empty(0, dtype="<u8")
        self._start = 0
        self._stop = 0

    @classmethod
    def from_system(cls) -> Keystream:
        """Return a stream under a fresh key and counter from the operating system."""
        entropy = os.urandom(32 + _BLOCK)
        return cls(entropy[:32], entropy[32:])

    @classmethod
    def unsafe_from_seed(cls, seed: int, label: bytes) -> Keystream:
        """Return a stream that anyone who knows the seed can repeat; for tests."""
        key = hashlib.sha256(b"dpkit unsafe test noise|" + label + b"|" + str(int(seed)).encode()).digest()
        return cls(key, bytes(_BLOCK))

    def ready(self, want: int) -> np.ndarray:
        """Return the unread words, at least two of them, generating about `want` where fewer are left.

        Args:
            want: a hint, in words.

        Returns:
            uint64 array; call `consume` with the number of words that were used.
        """
        left = self._stop - self._start
        if left < 2:
            fresh = min(CHUNK_WORDS, max(2, want) - left + 1 & ~1)
            grown = np.empty(
                left + fresh + 2, dtype="<u8"
            )  # two words of slack: update_into wants a spare block
            grown[:left] = self._buffer[self._start : self._stop]
            self._encryptor.update_into(_ZEROS[: 8 * fresh], grown[left:].view(np.uint8).data)
            self._buffer, self._start, self._stop = grown, 0, left + fresh
        return self._buffer[self._start : self._stop]

    def consume(self, words: int) -> None:
        """Mark the first `words` of `ready` as used."""
        self._start += words

    def word(self) -> int:
        """Return one fresh word as a Python integer."""
        value = int(self.ready(2)[0])
        self.consume(1)
        return value
