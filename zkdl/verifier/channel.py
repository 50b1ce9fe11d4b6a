"""The verifier's side of the channel: reads, absorbs, collects equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected, Reason
from zkdl.protocol.channel import (
    POINT_BYTES,
    SCALAR_BYTES,
    SECTION_REASON,
    FoldTranscript,
    Section,
    TranscriptChannel,
)
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.verifier.decode import read_points, read_scalars
from zkdl.verifier.equations import BLIND, VALUE, Equations, Form

T = TypeVar("T")
Array = NDArray[np.uint64]


@dataclass(frozen=True)
class RowsForm:
    """References of a run of row commitments."""

    first: int
    count: int


class VerifierChannel(TranscriptChannel):
    """Implements `zkdl.protocol.channel.Channel` for the verifier.

    Args:
        transcript: the hash chain, fresh.
        sections: the bytes of every section.
        equations: where checks are collected; already knows the statement's points.
        known: rows of the statement by name.
    """

    def __init__(
        self,
        transcript: Transcript,
        sections: Mapping[Section, bytes],
        equations: Equations,
        known: dict[str, RowsForm],
    ) -> None:
        super().__init__(transcript)
        self._sections = sections
        self._equations = equations
        self._known = known
        self._section: Section | None = None
        self._data = b""
        self._at = 0

    def section(self, section: Section) -> None:
        self.end_section()
        self._section, self._data, self._at = section, self._sections[section], 0
        self._transcript.absorb(b"section", section.encode())

    def end_section(self) -> None:
        """The current section must have been read to its last byte."""
        if self._at != len(self._data):
            raise ProofRejected(
                Reason.LENGTH,
                f"section {self._section} has {len(self._data)} bytes, the statement implies {self._at}",
            )

    def _read(self, label: str, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise ProofRejected(
                Reason.LENGTH,
                f"section {self._section} ends after {len(self._data)} bytes, "
                f"{label} needs it to reach {end}",
            )
        data, self._at = self._data[self._at : end], end
        self._transcript.absorb(label.encode(), data)
        return data

    @property
    def _reason(self) -> Reason:
        return SECTION_REASON[self._section] if self._section else Reason.SECTION

    def compute(self, work: Callable[[], T]) -> None:
        """The verifier computes nothing secret."""

    def points(self, label: str, count: int, points: Callable[[], Array] | None = None) -> list[int]:
        if count == 0:
            return []
        decoded = read_points(self._read(label, POINT_BYTES * count), label)
        first = self._equations.add_points(decoded)
        return list(range(first, first + count))

    def scalars(
        self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None
    ) -> list[Form]:
        return [Form({ref: 1}) for ref in self.points(label, count)]

    def message(self, label: str, count: int, values: Sequence[int] | None = None) -> tuple[Form, None]:
        (ref,) = self.points(label, 1)
        return Form({ref: 1}), None

    def join(self, messages: Sequence[Form], weights: Array) -> Form:
        single: dict[int, int] = {}
        for message, weight in zip(messages, za.Fr.to_ints(weights), strict=True):
            for ref, coef in message.single.items():
                single[ref] = (single.get(ref, 0) + weight * coef) % R
        return Form(single)

    def rows(
        self, label: str, count: int, matrix: Callable[[], NDArray[np.integer]] | None = None
    ) -> RowsForm:
        refs = self.points(label, count)
        return RowsForm(refs[0], count)

    def known_rows(self, name: str) -> RowsForm:
        return self._known[name]

    def combine(self, rows: RowsForm, weights: Array) -> Form:
        return Form({}, [(rows.first, np.array(weights))])

    def clear(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[int]:
        return read_scalars(self._read(label, SCALAR_BYTES * count), label)

    def value(self, handle: Form) -> int:
        raise RuntimeError("the verifier does not know committed values")

    def reveal_as(self, label: str, handle: Form, value: int, reason: Reason | None = None) -> None:
        (blind,) = self.clear(label, 1)
        self._equations.require(reason or self._reason, label, handle - Form({VALUE: value, BLIND: blind}))

    def fold_start(self, vector: Form, weights: Array, claim: Form, base: int) -> Any:
        raise RuntimeError("the verifier does not fold")

    def fold_end(self, reason: Reason, label: str, argument: FoldTranscript) -> None:
        """z (G' + w' base VALUE) + zeta BLIND = mask + e (V + base C + sum u^2 L + u^-2 R)."""
        e = argument.final_challenge
        z, zeta = argument.response
        folded = argument.vector + argument.base * argument.claim
        spread = za.Fr.ones(1)
        for (left, right), u in zip(argument.crosses, argument.challenges, strict=True):
            inverse = pow(u, -1, R)
            folded = folded + Form({left: u * u % R}) + Form({right: inverse * inverse % R})
            pair = za.Fr.from_ints([inverse, u])
            spread = za.Fr.mul(np.repeat(spread, 2, axis=0), np.tile(pair, (len(spread), 1)))
        (weight,) = za.Fr.to_ints(za.Fr.inner(spread, argument.weights))
        form = e * folded + Form({argument.mask: 1})
        form = form - Form({VALUE: z * int(weight) % R * argument.base % R, BLIND: zeta})
        bases = za.Fr.mul(spread, za.Fr.from_ints([-z % R]))
        self._equations.require(reason, label, form, bases)
