"""Fiat-Shamir: one hash chain from which every challenge comes.

The state is a SHA-512 digest. Absorbing hashes the state, the label and the data, each with its
length in front, so that no two different sequences of messages hash the same bytes. A challenge is
the 512-bit digest of the state and the label reduced modulo r: its distance from uniform is below
2**-256. Squeezing moves the state on, so two challenges under one label differ.
"""

from __future__ import annotations

import hashlib

FR_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_DOMAIN = b"dpkit-zkdl/transcript/v1"


class Transcript:
    """A hash chain that both sides drive through the same schedule.

    >>> a, b = Transcript(b"demo"), Transcript(b"demo")
    >>> a.absorb(b"x", b"1"); b.absorb(b"x", b"1")
    >>> a.challenge(b"c") == b.challenge(b"c")
    True
    >>> a.challenge(b"c") == a.challenge(b"c")
    False
    """

    def __init__(self, protocol: bytes) -> None:
        self._state = hashlib.sha512(_DOMAIN).digest()
        self.absorb(b"protocol", protocol)

    def _step(self, kind: bytes, label: bytes, data: bytes) -> bytes:
        h = hashlib.sha512(self._state)
        for part in (kind, label, data):
            h.update(len(part).to_bytes(8, "little"))
            h.update(part)
        return h.digest()

    def absorb(self, label: bytes, data: bytes) -> None:
        """Bind the transcript to ``data`` under ``label``."""
        self._state = self._step(b"absorb", label, data)

    def challenge(self, label: bytes) -> int:
        """Draw a challenge in [0, r) that depends on everything absorbed so far."""
        self._state = self._step(b"challenge", label, b"")
        digest = hashlib.sha512(b"squeeze" + self._state).digest()
        return int.from_bytes(digest, "little") % FR_MODULUS
