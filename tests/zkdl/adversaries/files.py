"""Proof files taken apart message by message, and put together wrongly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol.channel import Section
from zkdl.prover.channel import ProverChannel

HEADER = 43
TAGS = {section: k + 1 for k, section in enumerate(Section)}


@dataclass(frozen=True)
class Message:
    """Where one message lies inside its section."""

    section: Section
    label: str
    start: int
    size: int
    points: bool

    @property
    def items(self) -> int:
        """Number of points or scalars."""
        return self.size // (48 if self.points else 32)


class TracedChannel(ProverChannel):
    """An honest channel that notes where every message lands; ``trace`` is of the last proof made."""

    trace: ClassVar[list[Message]] = []

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        type(self).trace = []
        self._clear = False
        self._section = Section.COMMITMENTS

    def section(self, section: Section) -> None:
        self._section = section
        super().section(section)

    def clear(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[int]:
        self._clear = True
        try:
            return super().clear(label, count, values)
        finally:
            self._clear = False

    def _write(self, label: str, data: bytes) -> None:
        self.trace.append(Message(self._section, label, len(self._current), len(data), not self._clear))
        super()._write(label, data)


def split(proof: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Header and (tag, content) of every section."""
    at, sections = HEADER, []
    while at < len(proof):
        size = int.from_bytes(proof[at + 1 : at + 5], "little")
        sections.append((proof[at], proof[at + 5 : at + 5 + size]))
        at += 5 + size
    return proof[:HEADER], sections


def join(header: bytes, sections: Sequence[tuple[int, bytes]]) -> bytes:
    """The inverse of `split`, for any list of sections."""
    out = bytearray(header)
    for tag, content in sections:
        out += bytes([tag]) + len(content).to_bytes(4, "little") + content
    return bytes(out)


def with_section(proof: bytes, section: Section, content: bytes) -> bytes:
    """The proof with the content of one section replaced."""
    header, sections = split(proof)
    tag = TAGS[section]
    return join(header, [(k, content if k == tag else old) for k, old in sections])


def section(proof: bytes, name: Section) -> bytes:
    """The content of one section."""
    return dict(split(proof)[1])[TAGS[name]]


def patch(proof: bytes, message: Message, data: bytes, item: int = 0) -> bytes:
    """Overwrite one point or scalar of a message."""
    content = bytearray(section(proof, message.section))
    at = message.start + item * (48 if message.points else 32)
    content[at : at + len(data)] = data
    return with_section(proof, message.section, bytes(content))


def message_bytes(proof: bytes, message: Message) -> bytes:
    """The bytes of one message."""
    return section(proof, message.section)[message.start : message.start + message.size]


def swap(proof: bytes, first: Message, second: Message) -> bytes:
    """Exchange two messages of the same size."""
    a, b = message_bytes(proof, first), message_bytes(proof, second)
    return patch(patch(proof, first, b), second, a)


def off_curve() -> bytes:
    """A canonical x that belongs to no point."""
    q, x = za.Fq.modulus, 5
    while pow(x**3 + 4, (q - 1) // 2, q) == 1:
        x += 1
    return encode_x(x)


def wrong_order() -> bytes:
    """A point of the curve whose order is not r, nor divides it."""
    q, x = za.Fq.modulus, 4
    while True:
        if pow(x**3 + 4, (q - 1) // 2, q) == 1:
            y = pow(x**3 + 4, (q + 1) // 4, q)
            point = za.Fq.from_ints([x, y]).reshape(1, 12)
            if not za.g1.in_subgroup(point)[0]:
                return encode_x(x)
        x += 1


def order_three() -> np.ndarray:
    """(0, 2): a point of order 3, shape (1, 12)."""
    return np.ascontiguousarray(za.Fq.from_ints([0, 2]).reshape(1, 12))


def encode_x(x: int, flags: int = 0x80) -> bytes:
    """An encoding with any x and flags."""
    raw = bytearray(x.to_bytes(48, "big"))
    raw[0] |= flags
    return bytes(raw)


INFINITY = encode_x(0, 0xC0)
