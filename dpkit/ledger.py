"""A ledger of privacy losses that refuses to go past its total."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from fractions import Fraction

from dpkit import _curves
from dpkit.errors import ArgumentError, BudgetSpentError
from dpkit.guarantee import GDP, ZCDP, ApproxDP, Guarantee, PureDP, compose

__all__ = ["Ledger", "LedgerEntry"]


@dataclass(frozen=True)
class LedgerEntry:
    """One spend: what was promised, and the caller's words for what it paid for."""

    guarantee: Guarantee
    note: str = ""


class Ledger:
    """Adds up the guarantees of releases about one data set and refuses to exceed a total.

    A PureDP total adds epsilons; a ZCDP total, or an ApproxDP total with rho, adds rho (pure and Gaussian
    parts through their rho); a GDP total adds mu^2; an ApproxDP total without rho adds epsilons and deltas,
    or, where every part has a rho, takes the zCDP conversion of their sum when that is smaller. Floats are
    read as the decimals they print as, so that ten spends of 0.1 fit in 1.0; this differs from their binary
    values by less than one part in 2^53.

    Args:
        total: the most that may be spent; its neighbour relation binds every entry.

    *Privacy*: the ledger counts what it is told; it cannot see releases made without it. Spending is safe
    to call from several threads. It holds no data.

    >>> ledger = Ledger(PureDP(1.0))
    >>> ledger.spend(PureDP(0.75), "kde")
    >>> ledger.remaining
    PureDP(epsilon=0.25, neighbours='add-remove')
    >>> ledger.spend(PureDP(0.5))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    dpkit.errors.BudgetSpentError: PureDP(epsilon=0.5, neighbours='add-remove') does not fit: ...
    """

    def __init__(self, total: Guarantee) -> None:
        if not isinstance(total, Guarantee):
            raise ArgumentError(f"total must be a guarantee such as PureDP(1.0), got {total!r}")
        self.total = total
        self._entries: list[LedgerEntry] = []
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """The spends so far, in order."""
        return tuple(self._entries)

    @property
    def spent(self) -> Guarantee | None:
        """The composition of all spends, rounded up; None before the first."""
        return compose(*(e.guarantee for e in self._entries)) if self._entries else None

    def can_spend(self, guarantee: Guarantee) -> bool:
        """Return whether `spend` would accept the guarantee now."""
        self._check(guarantee)
        return self._fits([e.guarantee for e in self._entries] + [guarantee])

    def spend(self, guarantee: Guarantee, note: str = "") -> None:
        """Record a spend, or refuse it and record nothing.

        Call it before the release: a spend that is refused afterwards comes too late.

        Args:
            guarantee: what the release promises, under the ledger's neighbour relation.
            note: public words for the record.

        Raises:
            BudgetSpentError: the total would be exceeded.
            ArgumentError: another neighbour relation, or a kind that the total cannot count.
        """
        self._check(guarantee)
        with self._lock:
            if not self._fits([e.guarantee for e in self._entries] + [guarantee]):
                raise BudgetSpentError(
                    f"{guarantee!r} does not fit: total {self.total!r}, spent {self.spent!r}; "
                    "spend less or ask for a larger total"
                )
            self._entries.append(LedgerEntry(guarantee, note))

    @property
    def remaining(self) -> Guarantee:
        """What is left, in the total's own kind, rounded down; without rho, by basic addition."""
        total, parts = self.total, [e.guarantee for e in self._entries]
        if isinstance(total, PureDP):
            return PureDP(_left(total.epsilon, _epsilons(parts)), total.neighbours)
        if isinstance(total, GDP):
            left = _decimal(total.mu) ** 2 - _gdp_squares(parts)
            return GDP(max(0.0, math.sqrt(float(left)) * (1 - 2.0**-50)), total.neighbours)
        if isinstance(total, ZCDP):
            return ZCDP(_left(total.rho, _rhos(parts)), total.neighbours)
        if not isinstance(total, ApproxDP):
            raise ArgumentError(f"total must be PureDP, ApproxDP, ZCDP or GDP, got {total!r}")
        if total.rho is not None:
            return ApproxDP(
                float(total.epsilon), total.delta, total.neighbours, _left(total.rho, _rhos(parts))
            )
        deltas = [_decimal(g.delta) for g in parts if isinstance(g, ApproxDP)]
        return ApproxDP(_left(total.epsilon, _epsilons(parts)), _left(total.delta, deltas), total.neighbours)

    def _check(self, guarantee: Guarantee) -> None:
        total = self.total
        if not isinstance(guarantee, Guarantee):
            raise ArgumentError(f"guarantee must be a guarantee such as PureDP(0.1), got {guarantee!r}")
        if guarantee.neighbours != total.neighbours:
            raise ArgumentError(
                f"guarantee must hold under the relation {total.neighbours!r} of the ledger, "
                f"got {guarantee.neighbours!r}"
            )
        if isinstance(total, (PureDP, GDP)):
            countable = isinstance(guarantee, type(total))
        elif isinstance(total, ApproxDP) and total.rho is None:
            countable = isinstance(guarantee, (PureDP, ApproxDP))
        else:
            countable = guarantee.rho is not None
        if not countable:
            raise ArgumentError(f"a ledger of {total!r} cannot count {guarantee!r}; convert it first")

    def _fits(self, parts: list[Guarantee]) -> bool:
        total = self.total
        if isinstance(total, PureDP):
            return sum(_epsilons(parts)) <= _decimal(total.epsilon)
        if isinstance(total, GDP):
            return _gdp_squares(parts) <= _decimal(total.mu) ** 2
        if total.rho is not None:
            return sum(_rhos(parts)) <= _decimal(total.rho)
        if not isinstance(total, ApproxDP):
            raise ArgumentError(f"total must be PureDP, ApproxDP, ZCDP or GDP, got {total!r}")
        deltas = sum(_decimal(g.delta) for g in parts if isinstance(g, ApproxDP))
        if deltas <= _decimal(total.delta) and sum(_epsilons(parts)) <= _decimal(total.epsilon):
            return True
        if any(g.rho is None for g in parts):
            return False
        return _curves.zcdp_epsilon(float(sum(_rhos(parts))) * (1 + 2.0**-50), total.delta) <= total.epsilon


def _decimal(x: float) -> Fraction:
    """Read a float as the decimal number it prints as."""
    return Fraction(repr(float(x)))


def _epsilons(parts: list[Guarantee]) -> list[Fraction]:
    return [_decimal(g.epsilon) for g in parts if isinstance(g, (PureDP, ApproxDP))]


def _rhos(parts: list[Guarantee]) -> list[Fraction]:
    return [_decimal(g.rho) for g in parts if g.rho is not None]


def _gdp_squares(parts: list[Guarantee]) -> Fraction:
    return sum((_decimal(g.mu) ** 2 for g in parts if isinstance(g, GDP)), Fraction(0))


def _left(total: float, parts: list[Fraction]) -> float:
    """Return total minus the parts, rounded down and never below 0."""
    exact = max(Fraction(0), _decimal(total) - sum(parts))
    value = float(exact)
    return value if _decimal(value) <= exact else math.nextafter(value, 0.0)
