"""Public linear combinations of what a prover has committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from zkdl.protocol.transcript import FR_MODULUS as R

Handle = Any


class Linear:
    """A public linear combination of entries of the ledger, single commitments and a constant.

    Args:
        coefs: coefficient by place (row number times row length plus column).
        constant: public summand.
        scalar: combination of single commitments, or None.
        value: what it adds up to; None on the verifier's side.
    """

    __slots__ = ("coefs", "constant", "scalar", "value")

    def __init__(
        self, coefs: dict[int, int], constant: int = 0, scalar: Handle = None, value: int | None = None
    ) -> None:
        self.coefs = coefs
        self.constant = constant
        self.scalar = scalar
        self.value = value

    def __add__(self, other: Linear | int) -> Linear:
        if isinstance(other, int):
            value = None if self.value is None else (self.value + other) % R
            return Linear(self.coefs, (self.constant + other) % R, self.scalar, value)
        return total(((1, self), (1, other)))

    __radd__ = __add__

    def __neg__(self) -> Linear:
        return self * -1

    def __sub__(self, other: Linear | int) -> Linear:
        return self + -other if isinstance(other, int) else total(((1, self), (-1, other)))

    def __rsub__(self, other: int) -> Linear:
        return -self + other

    def __mul__(self, factor: int) -> Linear:
        return total(((factor, self),))

    __rmul__ = __mul__


def total(terms: Iterable[tuple[int, Linear]]) -> Linear:
    """sum of factor * combination, in one pass."""
    coefs: dict[int, int] = {}
    constant, scalar, value = 0, None, 0
    known = True
    for factor, term in terms:
        for place, coef in term.coefs.items():
            coefs[place] = (coefs.get(place, 0) + factor * coef) % R
        constant += factor * term.constant
        if term.scalar is not None:
            part = factor % R * term.scalar
            scalar = part if scalar is None else scalar + part
        if term.value is None:
            known = False
        else:
            value += factor * term.value
    return Linear(coefs, constant % R, scalar, value % R if known else None)


def combination(factors: Sequence[int], handles: Sequence[Handle]) -> Handle:
    """sum of factor * handle, of whichever kind the handles are; at least one."""
    if isinstance(handles[0], Linear):
        return total(zip(factors, handles, strict=True))
    out = factors[0] * handles[0]
    for factor, handle in zip(factors[1:], handles[1:], strict=True):
        out = out + factor * handle
    return out
