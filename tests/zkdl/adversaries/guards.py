"""Context managers that take one guard away, for the tests that plant a bug."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol.proof import decode
from zkdl.protocol.transcript import Transcript
from zkdl.verifier.equations import Equations


@contextmanager
def without(*prefixes: str) -> Iterator[list[str]]:
    """A verifier that forgets every equation whose label starts with one of ``prefixes``.

    Yields the labels that were forgotten, so that a test can see that the guard existed.
    """
    honest = Equations.require
    forgotten: list[str] = []

    def require(self: Equations, reason: object, label: str, *rest: object) -> None:
        if label.startswith(prefixes):
            forgotten.append(label)
        else:
            honest(self, reason, label, *rest)

    with patch.object(Equations, "require", require):
        yield forgotten


class _Anything(bytes):
    """Equal to every digest."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = bytes.__hash__


@contextmanager
def without_digest_check() -> Iterator[None]:
    """A verifier that does not compare the digest in the file with that of its statement."""

    def lenient(data: bytes) -> object:
        envelope = decode(data)
        return type(envelope)(envelope.ranges, _Anything(envelope.statement_digest), envelope.sections)

    with patch("zkdl.verifier.verify.decode", lenient):
        yield


@contextmanager
def without_absorbing(matches: Callable[[bytes], bool]) -> Iterator[None]:
    """Both sides forget to absorb messages whose label ``matches``."""
    honest = Transcript.absorb

    def absorb(self: Transcript, label: bytes, data: bytes) -> None:
        if not matches(label):
            honest(self, label, data)

    with patch.object(Transcript, "absorb", absorb):
        yield


@contextmanager
def known_challenge(matches: Callable[[bytes], bool], value: int) -> Iterator[None]:
    """Challenges under matching labels are the constant ``value``, known before anything is sent."""
    honest = Transcript.challenge

    def challenge(self: Transcript, label: bytes) -> int:
        drawn = honest(self, label)
        return value if matches(label) else drawn

    with patch.object(Transcript, "challenge", challenge):
        yield


@contextmanager
def without_subgroup_check() -> Iterator[None]:
    """Points of the curve of any order are decoded."""

    def from_bytes(data: object, *, allow_infinity: bool = False) -> np.ndarray:
        del allow_infinity
        return decode_any_order(bytes(data) if isinstance(data, (bytes, bytearray)) else b"".join(data))

    with patch("zkdl.verifier.decode.za.g1.from_bytes", from_bytes):
        yield


def decode_any_order(data: bytes) -> np.ndarray:
    """Decode compressed points of the curve without asking for their order, slowly."""
    q = za.Fq.modulus
    coordinates = []
    for k in range(0, len(data), 48):
        flags, x = data[k] >> 5, int.from_bytes(bytes([data[k] & 0x1F]) + data[k + 1 : k + 48], "big")
        y = pow(x**3 + 4, (q + 1) // 4, q)
        if (y * y - x**3 - 4) % q:
            raise za.NotOnCurve("no such point")
        if (y > q // 2) != bool(flags & 1):
            y = q - y
        coordinates.append((x, y))
    flat = za.Fq.from_ints([c for pair in coordinates for c in pair])
    return np.ascontiguousarray(flat.reshape(-1, 12))


@contextmanager
def planted(*changes: tuple[str, object]) -> Iterator[None]:
    """Replace names, given by dotted path, for prover and verifier alike."""
    with ExitStack() as stack:
        for target, new in changes:
            stack.enter_context(patch(target, new))
        yield
