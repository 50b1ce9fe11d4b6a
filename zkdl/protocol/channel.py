"""What an argument may do: commit, draw a challenge, answer. One interface, two sides.

Every argument of the protocol is one function over a ``Channel``. The prover's channel computes
values, writes messages and absorbs them; the verifier's reads the same messages, absorbs them and
collects the equations that have to hold. A function over a channel is therefore the whole schedule
of its argument, written once.

A ``Handle`` stands for one committed field element: value and blinding on the prover's side, a
linear combination of received commitments on the verifier's. A ``Vector`` stands the same way for
a combination of committed rows. Both can be added and multiplied by public integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import Reason
from zkdl.protocol.transcript import Transcript

T = TypeVar("T")
Array = NDArray[np.uint64]
Handle = Any
Vector = Any
Rows = Any
Message = Any

POINT_BYTES = 48
SCALAR_BYTES = 32
"""Sizes on the wire: a compressed point, a scalar."""

MESSAGE_WIDTH = 16
"""Field elements that one message commitment holds at most."""


class Section(StrEnum):
    """Sections of a proof, in the order in which they are written."""

    COMMITMENTS = "commitments"
    MATMUL = "matmul"
    UPDATE = "update"
    ZKRELU = "zkrelu"
    RANGES = "ranges"
    OPENING = "opening"


SECTION_REASON = {
    Section.COMMITMENTS: Reason.OPENING,
    Section.MATMUL: Reason.MATMUL,
    Section.UPDATE: Reason.WEIGHTS,
    Section.ZKRELU: Reason.ACTIVATION,
    Section.RANGES: Reason.RANGE,
    Section.OPENING: Reason.OPENING,
}
"""What it means when an equation of a section does not hold."""


class Channel(Protocol):
    """One side of a proof. *Transcript*: every message is absorbed under its label as it passes."""

    def section(self, section: Section) -> None:
        """Enter the next section; the one before must be complete."""

    def absorb(self, label: str, data: bytes) -> None:
        """Bind public data."""

    def challenge(self, label: str) -> int:
        """Draw one challenge."""

    def challenges(self, label: str, count: int) -> list[int]:
        """Draw ``count`` challenges."""

    def note(self, label: str, numerator: int) -> None:
        """Record that the interactive step ``label`` fails to be sound with probability numerator / r."""

    def compute(self, work: Callable[[], T]) -> T | None:
        """Run ``work`` on the prover's side only."""

    def scalars(
        self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None
    ) -> list[Handle]:
        """Send a commitment to each of some field elements; without ``values`` to uniform random ones."""

    def message(
        self, label: str, count: int, values: Sequence[int] | None = None
    ) -> tuple[Message, list[int] | None]:
        """Send one commitment to up to `MESSAGE_WIDTH` field elements, without ``values`` uniform ones.

        Returns the message and, on the prover's side only, its entries.
        """

    def join(self, messages: Sequence[Message], weights: Array) -> Vector:
        """The combination sum_i weights_i message_i, weights of shape (messages, 4)."""

    def rows(self, label: str, count: int, matrix: Callable[[], NDArray[np.integer]] | None = None) -> Rows:
        """Send commitments to rows of integers."""

    def known_rows(self, name: str) -> Rows:
        """Rows whose commitments are part of the statement: ``"data"``, ``"final"`` or ``"initial"``."""

    def combine(self, rows: Rows, weights: Array) -> Vector:
        """The combination sum_i weights_i row_i, weights of shape (rows, 4)."""

    def points(self, label: str, count: int, points: Callable[[], Array] | None = None) -> list[int]:
        """Send bare group elements, shape (count, 12); returns their references."""

    def clear(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[int]:
        """Send field elements in the clear; they must be uniform given what else is sent."""

    def value(self, handle: Handle) -> int:
        """The committed value; on the prover's side only."""

    def reveal_as(self, label: str, handle: Handle, value: int, reason: Reason | None = None) -> None:
        """Open a handle to a value that both sides know."""

    def fold_start(self, vector: Vector, weights: Array, claim: Handle, base: int) -> Any:
        """The prover's state of an inner-product argument."""

    def fold_end(self, reason: Reason, label: str, argument: FoldTranscript) -> None:
        """Record the equation that closes an inner-product argument."""


class TranscriptChannel:
    """What both sides do alike: absorb public data and draw challenges.

    Args:
        transcript: the hash chain, fresh.
    """

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript

    def absorb(self, label: str, data: bytes) -> None:
        self._transcript.absorb(label.encode(), data)

    def challenge(self, label: str) -> int:
        return self._transcript.challenge(label.encode())

    def challenges(self, label: str, count: int) -> list[int]:
        return [self.challenge(label) for _ in range(count)]

    def note(self, label: str, numerator: int) -> None:
        """Soundness terms are for the report only."""


class FoldTranscript:
    """Everything that one inner-product argument exchanged, for the closing equation."""

    def __init__(self, vector: Vector, weights: Array, claim: Handle, base: int) -> None:
        self.vector = vector
        self.weights = weights
        self.claim = claim
        self.base = base
        self.crosses: list[tuple[int, int]] = []
        self.challenges: list[int] = []
        self.mask = -1
        self.final_challenge = 0
        self.response: tuple[int, int] = (0, 0)
