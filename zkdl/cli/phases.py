"""A proof phase by phase, counted before there is one: what is sent, how often challenges answer.

The schedule is walked with a channel that counts (`zkdl.protocol.report`), so that the figures cannot drift
from the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from zkdl.protocol import table_argument
from zkdl.protocol.channel import POINT_BYTES, SCALAR_BYTES, Section
from zkdl.protocol.instance import Instance
from zkdl.protocol.report import CountingChannel
from zkdl.protocol.schedule import run
from zkdl.protocol.table import Table
from zkdl.protocol.transcript import FR_MODULUS as R

__all__ = ["Phase", "phases"]


@dataclass
class Phase:
    """One section of a proof.

    Attributes:
        name: of the section.
        bytes: of its content.
        scalars: field elements among them, sent in the clear; all else are compressed points.
        rounds: how often the prover speaks and the verifier answers with challenges.
        challenges: field elements that the verifier draws.
        terms: by step, the numerator of its soundness error over r.
    """

    name: str
    bytes: int = 0
    scalars: int = 0
    rounds: int = 0
    challenges: int = 0
    terms: dict[str, int] = field(default_factory=dict)

    @property
    def points(self) -> int:
        """Compressed points that are sent."""
        return (self.bytes - SCALAR_BYTES * self.scalars) // POINT_BYTES

    @property
    def soundness_bits(self) -> float | None:
        """-log2 of the soundness error of the phase; None where nothing is drawn."""
        total = sum(self.terms.values())
        return round(math.log2(R) - math.log2(total), 1) if total else None

    def as_dict(self) -> dict[str, object]:
        """The figures, for JSON."""
        return {
            "rounds": self.rounds,
            "challenges": self.challenges,
            "points": self.points,
            "scalars": self.scalars,
            "soundness_bits": self.soundness_bits,
        }


class _PhaseChannel(CountingChannel):
    """Keeps the counts of every section apart."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: dict[Section, Phase] = {}
        self._spoke = False

    @property
    def _phase(self) -> Phase:
        return self.phases.setdefault(self._current, Phase(str(self._current)))

    def _count(self, size: int) -> None:
        super()._count(size)
        self._phase.bytes += size
        self._spoke = True

    def challenge(self, label: str) -> int:
        phase = self._phase
        # A round is what the prover says and the challenges that answer it, however many.
        phase.rounds += self._spoke
        phase.challenges += 1
        self._spoke = False
        return super().challenge(label)

    def note(self, label: str, numerator: int) -> None:
        super().note(label, numerator)
        terms = self._phase.terms
        terms[label] = terms.get(label, 0) + numerator

    def clear(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[int]:
        self._phase.scalars += count
        return super().clear(label, count, values)

    def reveal_as(self, label: str, handle: Any, value: int, reason: Any = None) -> None:
        self._phase.scalars += 1
        super().reveal_as(label, handle, value, reason)


def phases(subject: Instance | Table) -> list[Phase]:
    """Walk the schedule of a run or of a committed table.

    Args:
        subject: the instance of a statement, or a table.

    Returns:
        The phases in their order; their bytes are those of the sections of any proof of the subject.
    """
    channel = _PhaseChannel()
    if isinstance(subject, Table):
        table_argument.run(channel, subject, None)
    else:
        run(channel, subject, None)
    return list(channel.phases.values())
