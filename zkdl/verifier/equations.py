"""Linear equations between group elements, checked all at once.

Every check of the verifier says that a public linear combination of received points, points of the
statement and bases is the point at infinity. They are collected with the reason that a failure
would have, then checked as one random combination by one multi-scalar multiplication. Only when
that fails are they checked one by one, to name the first that does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected, Reason
from zkdl.protocol.transcript import FR_MODULUS as R

Array = NDArray[np.uint64]

VALUE = 0
BLIND = 1
FIRST_POINT = 2


@dataclass(eq=False, slots=True)
class Form:
    """A linear combination of points: single coefficients and runs of them.

    Args:
        single: coefficient by point reference.
        runs: (first reference, (n, 4) coefficients).
    """

    single: dict[int, int] = field(default_factory=dict)
    runs: list[tuple[int, Array]] = field(default_factory=list)

    def __add__(self, other: Form | int) -> Form:
        if isinstance(other, int):
            other = Form({VALUE: other})
        single = dict(self.single)
        for ref, coef in other.single.items():
            single[ref] = (single.get(ref, 0) + coef) % R
        return Form(single, self.runs + other.runs)

    __radd__ = __add__

    def __neg__(self) -> Form:
        return self * -1

    def __sub__(self, other: Form | int) -> Form:
        return self + (-other)

    def __rsub__(self, other: int) -> Form:
        return -self + other

    def __mul__(self, factor: int) -> Form:
        single = {ref: coef * factor % R for ref, coef in self.single.items()}
        if not self.runs:
            return Form(single)
        scale = za.Fr.from_ints([factor % R])
        return Form(single, [(first, za.Fr.mul(coefs, scale)) for first, coefs in self.runs])

    __rmul__ = __mul__


@dataclass(frozen=True)
class Equation:
    """``form`` is the point at infinity, or the proof is rejected with ``reason``."""

    reason: Reason
    label: str
    form: Form
    row_bases: Array | None = None


class Equations:
    """All equations of one verification, over a growing list of points."""

    def __init__(self, value: Array, blind: Array, row_bases: Array) -> None:
        self._points: list[Array] = [value, blind]
        self._count = FIRST_POINT
        self._row_bases = row_bases
        self._equations: list[Equation] = []

    def add_points(self, points: Array) -> int:
        """Register points; returns the reference of the first."""
        first = self._count
        self._points.append(points)
        self._count += len(points)
        return first

    def require(self, reason: Reason, label: str, form: Form, row_bases: Array | None = None) -> None:
        """Collect one equation; ``row_bases`` are coefficients (n, 4) of the first n row bases."""
        self._equations.append(Equation(reason, label, form, row_bases))

    def _holds(self, points: Array, equations: list[Equation], powers: list[int]) -> bool:
        single: dict[int, int] = {}
        dense = za.Fr.zeros(len(points))
        bases = self._row_bases
        base_coefs = za.Fr.zeros(len(bases))
        for equation, power in zip(equations, powers, strict=True):
            for ref, coef in equation.form.single.items():
                single[ref] = (single.get(ref, 0) + power * coef) % R
            scale = za.Fr.from_ints([power])
            for first, coefs in equation.form.runs:
                part = slice(first, first + len(coefs))
                dense[part] = za.Fr.add(dense[part], za.Fr.mul(coefs, scale))
            if equation.row_bases is not None:
                part = slice(len(equation.row_bases))
                base_coefs[part] = za.Fr.add(base_coefs[part], za.Fr.mul(equation.row_bases, scale))
        refs = np.fromiter(single, dtype=np.int64, count=len(single))
        dense[refs] = za.Fr.add(dense[refs], za.Fr.from_ints(list(single.values())))
        total = za.msm(np.concatenate([points, bases]), np.concatenate([dense, base_coefs]))
        return bool(za.g1.is_infinity(total)[0])

    def check(self, challenge: int) -> None:
        """Check everything.

        Args:
            challenge: drawn after the last message; the equations are combined with its powers,
                so a false equation survives with probability below (number of equations) / r.

        Raises:
            ProofRejected: with the reason of the first equation that does not hold.
        """
        points = np.concatenate(self._points)
        powers, power = [], 1
        for _ in self._equations:
            powers.append(power)
            power = power * challenge % R
        if self._holds(points, self._equations, powers):
            return
        for equation in self._equations:
            if not self._holds(points, [equation], [1]):
                raise ProofRejected(equation.reason, f"the equation {equation.label} does not hold")
        raise ProofRejected(Reason.OPENING, "the combined equations do not hold")
