"""What the schedule asks of a prover: values and round polynomials, never messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from zkdl.protocol.arguments import Rounds
from zkdl.protocol.claims import Part

if TYPE_CHECKING:
    from zkdl.protocol.matmul import MatmulPoints
    from zkdl.protocol.update import UpdatePoints
    from zkdl.protocol.zkrelu import ReluPoints


class Work(Protocol):
    """The computations behind one proof; the verifier has none."""

    def rows(self, poly: str) -> NDArray[np.integer]:
        """Integer rows of ``cells`` or ``bits`` to commit."""

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

    def opening_rounds(self, entries: Sequence[tuple[int, Sequence[Part]]], polys: Sequence[str]) -> Rounds:
        """Tables of the combined claims: for each polynomial its values and its weights."""

    def opening_value(self, poly: str) -> int:
        """Value of a committed polynomial at the opening point."""
