"""What the schedule asks of a prover: values and round polynomials, never messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zkdl.protocol.arguments import Rounds
from zkdl.protocol.claims import Part
from zkdl.protocol.fraction_trees import FractionWork
from zkdl.protocol.points import LookupChallenges, MatmulPoints, ReluPoints, UpdatePoints


class Work(FractionWork, Protocol):
    """The computations behind one proof; the verifier has none."""

    def rows(self, poly: str) -> NDArray[np.integer]:
        """Integer rows of ``cells`` or ``bits`` to commit."""

    def product_rounds(self, left: Sequence[int], right: Sequence[int]) -> Rounds:
        """The inner product of two lists of field elements, as long as a power of two."""

    def evaluate(self, parts: Sequence[Part]) -> int:
        """Value of a linear functional of the committed polynomials."""

    def matmul_rounds(self, points: MatmulPoints) -> Rounds:
        """Tables of the matrix products."""

    def matmul_value(self, family: str, layer: int) -> int:
        """Evaluation left by the matrix products."""

    def update_rounds(self, points: UpdatePoints) -> Rounds:
        """Tables of the weight updates."""

    def update_value(self, family: str, layer: int) -> int:
        """Evaluation left by the updates."""

    def relu_rounds(self, points: ReluPoints) -> Rounds:
        """Tables of the Hadamard products."""

    def booleanity_rounds(self, point: Sequence[int]) -> Rounds:
        """Tables of sum_x eq(point, x) (b(x)^2 - b(x)) over all bits."""

    def lookup_start(self, challenges: LookupChallenges) -> None:
        """Build the fraction trees."""

    def opening_rounds(self, entries: Sequence[tuple[int, Sequence[Part]]], polys: Sequence[str]) -> Rounds:
        """Tables of the combined claims: for each polynomial its values and its weights."""

    def opening_value(self, poly: str) -> int:
        """Value of a committed polynomial at the opening point."""
