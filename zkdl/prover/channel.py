"""The prover's side of the channel: commits, writes, absorbs, answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.channel import (
    MESSAGE_WIDTH,
    SCALAR_BYTES,
    FoldTranscript,
    Section,
    TranscriptChannel,
)
from zkdl.protocol.commitment import commit_message, commit_rows, commit_values
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.prover.fold import FoldProver
from zkdl.prover.randomness import Randomness

T = TypeVar("T")
Array = NDArray[np.uint64]


@dataclass(frozen=True, eq=False, slots=True)
class Secret:
    """A committed value with its blinding."""

    value: int
    blind: int

    def __add__(self, other: Secret | int) -> Secret:
        if isinstance(other, int):
            return Secret((self.value + other) % R, self.blind)
        return Secret((self.value + other.value) % R, (self.blind + other.blind) % R)

    __radd__ = __add__

    def __neg__(self) -> Secret:
        return Secret(-self.value % R, -self.blind % R)

    def __sub__(self, other: Secret | int) -> Secret:
        return self + (-other)

    def __rsub__(self, other: int) -> Secret:
        return -self + other

    def __mul__(self, factor: int) -> Secret:
        return Secret(self.value * factor % R, self.blind * factor % R)

    __rmul__ = __mul__


@dataclass(frozen=True, eq=False, slots=True)
class SecretVector:
    """A combination of committed rows: entries (n, 4) and one blinding."""

    entries: Array
    blind: int

    def __add__(self, other: SecretVector) -> SecretVector:
        return SecretVector(za.Fr.add(self.entries, other.entries), (self.blind + other.blind) % R)

    def __mul__(self, factor: int) -> SecretVector:
        scaled = za.Fr.mul(self.entries, za.Fr.from_ints([factor % R]))
        return SecretVector(scaled, self.blind * factor % R)

    __rmul__ = __mul__


@dataclass(frozen=True, eq=False, slots=True)
class SecretRows:
    """Committed rows: integers (rows, columns) and blindings (rows, 4)."""

    matrix: NDArray[np.integer]
    blinds: Array


@dataclass(frozen=True, eq=False, slots=True)
class SecretMessage:
    """A committed message: up to `MESSAGE_WIDTH` entries (n, 4) and one blinding."""

    entries: Array
    blind: int


class ProverChannel(TranscriptChannel):
    """Implements `zkdl.protocol.channel.Channel` for the prover.

    Args:
        transcript: the hash chain, fresh.
        known: rows that the statement commits to, by name.
        randomness: source of blinding.
    """

    def __init__(self, transcript: Transcript, known: dict[str, SecretRows], randomness: Randomness) -> None:
        super().__init__(transcript)
        self._known = known
        self._randomness = randomness
        self.sections: dict[Section, bytearray] = {}
        self._current = bytearray()

    def section(self, section: Section) -> None:
        self._current = self.sections.setdefault(section, bytearray())
        self._transcript.absorb(b"section", section.encode())

    def compute(self, work: Callable[[], T]) -> T:
        return work()

    def _write(self, label: str, data: bytes) -> None:
        self._current += data
        self._transcript.absorb(label.encode(), data)

    def points(self, label: str, count: int, points: Callable[[], Array] | None = None) -> list[int]:
        assert points is not None
        self._write(label, b"".join(za.g1.to_bytes(points())))
        return [-1] * count

    def scalars(
        self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None
    ) -> list[Secret]:
        if count == 0:
            return []
        blinds = self._randomness.elements(count)
        elements = self._randomness.elements(count) if values is None else za.Fr.from_ints(values())
        self._write(label, b"".join(za.g1.to_bytes(commit_values(elements, blinds))))
        pairs = zip(za.Fr.to_ints(elements), za.Fr.to_ints(blinds), strict=True)
        return [Secret(int(v), int(b)) for v, b in pairs]

    def message(
        self, label: str, count: int, values: Sequence[int] | None = None
    ) -> tuple[SecretMessage, list[int]]:
        blind = self._randomness.elements(1)
        entries = self._randomness.elements(count) if values is None else za.Fr.from_ints(values)
        self._write(label, b"".join(za.g1.to_bytes(commit_message(entries, blind))))
        plain = za.Fr.to_ints(entries) if values is None else [int(v) % R for v in values]
        return SecretMessage(entries, int(za.Fr.to_ints(blind)[0])), plain

    def join(self, messages: Sequence[SecretMessage], weights: Array) -> SecretVector:
        table = np.zeros((MESSAGE_WIDTH, len(messages), 4), dtype=np.uint64)
        for k, message in enumerate(messages):
            table[: len(message.entries), k] = message.entries
        entries = np.concatenate([za.Fr.inner(column, weights) for column in table])
        (blind,) = za.Fr.to_ints(za.Fr.inner(za.Fr.from_ints([m.blind for m in messages]), weights))
        return SecretVector(entries, int(blind))

    def rows(
        self, label: str, count: int, matrix: Callable[[], NDArray[np.integer]] | None = None
    ) -> SecretRows:
        assert matrix is not None
        rows = matrix()
        blinds = self._randomness.elements(count)
        self._write(label, b"".join(za.g1.to_bytes(commit_rows(rows, blinds))))
        return SecretRows(rows, blinds)

    def known_rows(self, name: str) -> SecretRows:
        return self._known[name]

    def combine(self, rows: SecretRows, weights: Array) -> SecretVector:
        (blind,) = za.Fr.to_ints(za.Fr.inner(rows.blinds, weights))
        return SecretVector(za.multilinear.vecmat(weights, rows.matrix), int(blind))

    def clear(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[int]:
        assert values is not None
        out = [v % R for v in values()]
        self._write(label, b"".join(v.to_bytes(SCALAR_BYTES, "little") for v in out))
        return out

    def value(self, handle: Secret) -> int:
        return handle.value

    def reveal_as(self, label: str, handle: Secret, value: int, reason: Reason | None = None) -> None:
        self.clear(label, 1, lambda: [handle.blind])

    def fold_start(self, vector: SecretVector, weights: Array, claim: Secret, base: int) -> FoldProver:
        blind = (vector.blind + base * claim.blind) % R
        return FoldProver(vector.entries, weights, blind, base, self._randomness)

    def fold_end(self, reason: Reason, label: str, argument: FoldTranscript) -> None:
        """Nothing to check on this side."""

    def finished(self) -> dict[Section, bytes]:
        """The bytes of every section, in order."""
        return {section: bytes(data) for section, data in self.sections.items()}
