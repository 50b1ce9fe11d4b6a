"""What a proof of a statement will hold, before there is one: bytes and soundness terms.

The schedule is walked with a channel that neither proves nor verifies but counts, so the figures
cannot drift from the protocol: the bytes are exact, and every soundness term is noted by the step
that incurs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import Reason
from zkdl.protocol import table_argument
from zkdl.protocol.channel import POINT_BYTES, SCALAR_BYTES, FoldTranscript, Section
from zkdl.protocol.instance import Instance
from zkdl.protocol.proof import HEADER_BYTES, RUN_FORM, SECTION_HEADER_BYTES, TABLE_FORM
from zkdl.protocol.schedule import run
from zkdl.protocol.table import Table
from zkdl.protocol.transcript import FR_MODULUS as R

GROUP_SECURITY_BITS = 127
"""Pollard's rho on a group of 2^255 elements: what binding rests on."""


class _Counted:
    """A handle that holds nothing."""

    def _same(self, other: Any = None) -> _Counted:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _same


class CountingChannel:
    """Implements `zkdl.protocol.channel.Channel` by counting bytes and soundness terms."""

    def __init__(self) -> None:
        self.sizes: dict[Section, int] = {}
        self.terms: dict[str, int] = {}
        self._current = Section.COMMITMENTS
        self._draws = 0

    def section(self, section: Section) -> None:
        self._current = section
        self.sizes.setdefault(section, 0)

    def absorb(self, label: str, data: bytes) -> None:
        """Nothing is hashed."""

    def challenge(self, label: str) -> int:
        self._draws += 1
        return pow(5, self._draws, R)

    def challenges(self, label: str, count: int) -> list[int]:
        return [self.challenge(label) for _ in range(count)]

    def note(self, label: str, numerator: int) -> None:
        self.terms[label] = self.terms.get(label, 0) + numerator

    def compute(self, work: Callable[[], Any]) -> None:
        """Nothing is computed."""

    def _count(self, size: int) -> None:
        self.sizes[self._current] += size

    def scalars(self, label: str, count: int, values: Any = None) -> list[_Counted]:
        self._count(POINT_BYTES * count)
        return [_Counted() for _ in range(count)]

    def message(self, label: str, count: int, values: Any = None) -> tuple[_Counted, None]:
        self._count(POINT_BYTES)
        return _Counted(), None

    def join(self, messages: Any, weights: NDArray[np.uint64]) -> _Counted:
        return _Counted()

    def rows(self, label: str, count: int, matrix: Any = None) -> _Counted:
        self._count(POINT_BYTES * count)
        return _Counted()

    def known_rows(self, name: str) -> _Counted:
        return _Counted()

    def combine(self, rows: _Counted, weights: NDArray[np.uint64]) -> _Counted:
        return rows

    def points(self, label: str, count: int, points: Any = None) -> list[int]:
        self._count(POINT_BYTES * count)
        return [0] * count

    def clear(self, label: str, count: int, values: Any = None) -> list[int]:
        self._count(SCALAR_BYTES * count)
        return [1] * count

    def value(self, handle: _Counted) -> int:
        return 0

    def reveal_as(self, label: str, handle: _Counted, value: int, reason: Reason | None = None) -> None:
        self._count(SCALAR_BYTES)

    def fold_start(self, vector: Any, weights: Any, claim: Any, base: int) -> None:
        """Nothing is folded."""

    def fold_end(self, reason: Reason, label: str, argument: FoldTranscript) -> None:
        """Nothing is checked."""


@dataclass(frozen=True)
class Report:
    """Size and soundness of a proof.

    Attributes:
        section_bytes: bytes of the content of every section.
        proof_bytes: bytes of the file.
        terms: per step, the numerator of its soundness error over r.
    """

    section_bytes: dict[str, int]
    proof_bytes: int
    terms: dict[str, int]

    @property
    def statistical_bits(self) -> float:
        """-log2 of the summed soundness error of the interactive protocol."""
        return math.log2(R) - math.log2(sum(self.terms.values()))

    @property
    def by_section(self) -> dict[str, float]:
        """-log2 of the soundness error of each argument."""
        sums: dict[str, int] = {}
        for label, numerator in self.terms.items():
            sums[label.split("/")[0]] = sums.get(label.split("/")[0], 0) + numerator
        return {name: round(math.log2(R) - math.log2(total), 1) for name, total in sums.items() if total}


def report(subject: Instance | Table) -> Report:
    """Walk the schedule of a run or of a committed table and count.

    Args:
        subject: any statement's instance, or any table; the commitments need not be valid points.

    Returns:
        The exact size of a proof and its soundness terms.
    """
    channel = CountingChannel()
    if isinstance(subject, Table):
        table_argument.run(channel, subject, None)
    else:
        run(channel, subject, None)
    sections = (TABLE_FORM if isinstance(subject, Table) else RUN_FORM).sections
    content = {str(section): channel.sizes.get(section, 0) for section in sections}
    total = HEADER_BYTES + sum(SECTION_HEADER_BYTES + size for size in content.values())
    return Report(content, total, channel.terms)
