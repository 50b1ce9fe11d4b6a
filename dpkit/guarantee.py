"""What a release promises: privacy guarantees, their conversions and their composition.

A guarantee never stands without its neighbour relation, and two guarantees under different relations are
never added. Every conversion is rounded towards the weaker promise; `dpkit._curves` holds the formulas and
the argument for the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from dpkit import _curves
from dpkit._curves import mu_for, rho_for
from dpkit.accounting import event
from dpkit.errors import ArgumentError

__all__ = [
    "GDP",
    "ZCDP",
    "ApproxDP",
    "Epsilon",
    "Guarantee",
    "NearGDP",
    "NeighbourRelation",
    "PureDP",
    "compose",
    "guarantee_from_dict",
    "mu_for",
    "rho_for",
]


class NeighbourRelation(StrEnum):
    """Which two inputs count as neighbours; equal to, and printed as, its plain string.

    `add-remove`: one record more or less, the number of records is private. `replace`: one record changed,
    the number is public. `zero-out` (streams): one element set to zero, the length is public.

    >>> NeighbourRelation("replace") == "replace"
    True
    """

    ADD_REMOVE = "add-remove"
    REPLACE = "replace"
    ZERO_OUT = "zero-out"

    def __repr__(self) -> str:
        return repr(self.value)

    @classmethod
    def parse(cls, value: str) -> NeighbourRelation:
        """Return the relation named `value`, or raise ArgumentError."""
        try:
            return cls(value)
        except ValueError:
            names = ", ".join(repr(r.value) for r in cls)
            raise ArgumentError(f"neighbours must be one of {names}, got {value!r}") from None


class Epsilon(float):
    """A float that can also be called: `g.epsilon`, the number; `g.epsilon(delta)`, its value at that delta.

    It compares, formats, hashes and serialises as the float; alone it pickles to a plain float.

    >>> e = PureDP(1.0).epsilon
    >>> e == 1.0, f"{e:.2f}", e(1e-6) < 1.0
    (True, '1.00', True)
    """

    __slots__ = ("_curve",)
    _curve: Callable[[float], float]

    def __new__(cls, value: float, curve: Callable[[float], float]) -> Epsilon:
        self = super().__new__(cls, value)
        self._curve = curve
        return self

    def __call__(self, delta: float) -> float:
        """Return the smallest known epsilon at this delta, rounded up."""
        return self._curve(delta)

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


def _up(exact: Fraction) -> float:
    """Return the least float not below the fraction."""
    value = float(exact)
    return value if Fraction(value) >= exact else math.nextafter(value, math.inf)


def _number(name: str, value: object) -> float:
    """Read a finite number >= 0, rounded up where a float cannot hold it."""
    ok = isinstance(value, (int, float, Fraction)) or hasattr(value, "__float__")
    if not ok or isinstance(value, (bool, str)):
        raise ArgumentError(f"{name} must be a number, got {value!r}; pass a float")
    if isinstance(value, (int, Fraction)) and value >= 0:
        return _up(Fraction(value))
    number = float(value)  # type: ignore[arg-type]
    if not (math.isfinite(number) and number >= 0):
        raise ArgumentError(f"{name} must be finite and at least 0, got {value!r}")
    return number


class Guarantee:
    """A privacy guarantee under one neighbour relation; the base of PureDP, ApproxDP, ZCDP and GDP.

    Guarantees of one relation compose with `+`; see `compose` for the rules.
    """

    neighbours: NeighbourRelation
    rho: float | None
    # The parameter that names its event in dp-accounting.
    _event = "rho"

    def epsilon_at(self, delta: float) -> float:
        """Return the smallest known epsilon of (epsilon, delta)-DP, rounded up; inf if there is none."""
        raise NotImplementedError

    def delta_at(self, epsilon: float) -> float:
        """Return the smallest known delta such that (epsilon, delta)-DP holds, rounded up."""
        raise NotImplementedError

    def to_approx(self, delta: float) -> ApproxDP:
        """Return the guarantee as ApproxDP at this delta, keeping rho where there is one."""
        epsilon = self.epsilon_at(delta)
        if math.isinf(epsilon):
            raise ArgumentError(
                f"{self!r} promises no finite epsilon at delta={delta!r}; ask for a larger delta"
            )
        return ApproxDP(epsilon, delta, self.neighbours, self.rho)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, for JSON; `guarantee_from_dict` reads them back."""
        names = self.__dataclass_fields__  # type: ignore[attr-defined]
        fields = {name: getattr(self, name) for name in names}
        plain = {k: float(v) if isinstance(v, float) else v for k, v in fields.items()}
        return {"kind": type(self).__name__, **plain, "neighbours": str(self.neighbours)}

    def dp_event(self) -> Any:
        """Return a dp-accounting event that any mechanism with this guarantee is at most as revealing as.

        ZCDP, NearGDP and an ApproxDP with rho: `ZCDpEvent` (RDP accountant). GDP: `GaussianDpEvent`. PureDP:
        `RandomizedResponseDpEvent` on two values, which dominates every epsilon-DP mechanism (PLD accountant
        with REPLACE_ONE; the others with the default relation).

        Raises:
            ArgumentError: dp-accounting is not installed, or it has no event for this guarantee.
        """
        return event(repr(self), **{self._event: getattr(self, self._event)})

    def __add__(self, other: Guarantee) -> Guarantee:
        return compose(self, other) if isinstance(other, Guarantee) else NotImplemented

    def _set(self, **fields: object) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return guarantee_from_dict, (self.to_dict(),)


@dataclass(frozen=True, init=False)
class PureDP(Guarantee):
    """Pure epsilon-DP: P(M(D) in S) <= exp(epsilon) P(M(D') in S) for all neighbours D, D' and events S.

    Args:
        epsilon: finite, at least 0. As an attribute it is a float that can be called: `g.epsilon(delta)`.
        neighbours: the neighbour relation.

    It implies rho-zCDP with rho = epsilon^2/2 (Bun and Steinke 2016, Proposition 1.4).

    >>> PureDP(1.0)
    PureDP(epsilon=1.0, neighbours='add-remove')
    >>> PureDP(1.0).rho
    0.5
    """

    epsilon: Epsilon
    neighbours: NeighbourRelation
    _event = "epsilon"

    def __init__(self, epsilon: float, neighbours: str = "add-remove") -> None:
        value = _number("epsilon", epsilon)
        self._set(epsilon=Epsilon(value, self.epsilon_at), neighbours=NeighbourRelation.parse(neighbours))

    @property
    def rho(self) -> float:  # type: ignore[override]
        """Implied zCDP parameter epsilon^2/2, rounded up."""
        return _up(Fraction(float(self.epsilon)) ** 2 / 2)

    def epsilon_at(self, delta: float) -> float:
        """Return log(e^epsilon - delta (1 + e^epsilon)), the value for randomised response, rounded up."""
        return _curves.pure_epsilon(float(self.epsilon), delta)

    def delta_at(self, epsilon: float) -> float:
        """Return (e^self.epsilon - e^epsilon) / (1 + e^self.epsilon), the value for randomised response."""
        return _curves.pure_delta(float(self.epsilon), epsilon)


@dataclass(frozen=True, init=False)
class ZCDP(Guarantee):
    """rho-zCDP: outputs on neighbours have Renyi divergence of order a at most rho a, for every a > 1.

    Args:
        rho: finite, at least 0.
        neighbours: the neighbour relation.

    >>> round(ZCDP(0.5).epsilon(1e-5), 3)
    4.728
    """

    rho: float
    neighbours: NeighbourRelation

    def __init__(self, rho: float, neighbours: str = "add-remove") -> None:
        self._set(rho=_number("rho", rho), neighbours=NeighbourRelation.parse(neighbours))

    def epsilon_at(self, delta: float) -> float:
        """Return the epsilon at this delta, rounded up (Canonne, Kamath, Steinke 2020)."""
        return _curves.zcdp_epsilon(self.rho, delta)

    def delta_at(self, epsilon: float) -> float:
        """Return the delta at this epsilon, rounded up (Canonne, Kamath, Steinke 2020)."""
        return _curves.zcdp_delta(self.rho, epsilon)

    def epsilon(self, delta: float) -> float:
        """Return the smallest known epsilon at this delta, rounded up; the same as `epsilon_at`."""
        return self.epsilon_at(delta)


@dataclass(frozen=True, init=False)
class GDP(Guarantee):
    """mu-GDP: telling neighbours apart is no easier than telling N(0, 1) from N(mu, 1).

    The discrete Gaussian of dpkit is *not* claimed to be mu-GDP; its promise is ZCDP or ApproxDP.

    Args:
        mu: finite, at least 0.
        neighbours: the neighbour relation.

    >>> round(GDP(1.0).epsilon(1e-5), 3)
    4.377
    """

    mu: float
    neighbours: NeighbourRelation
    _event = "mu"

    def __init__(self, mu: float, neighbours: str = "add-remove") -> None:
        self._set(mu=_number("mu", mu), neighbours=NeighbourRelation.parse(neighbours))

    @property
    def rho(self) -> float:  # type: ignore[override]
        """Implied zCDP parameter mu^2/2, rounded up."""
        return _up(Fraction(self.mu) ** 2 / 2)

    def epsilon_at(self, delta: float) -> float:
        """Return the epsilon of the Gaussian trade-off curve at this delta, rounded up."""
        return _curves.gdp_epsilon(self.mu, delta)

    def delta_at(self, epsilon: float) -> float:
        """Return Phi(mu/2 - e/mu) - exp(e) Phi(-mu/2 - e/mu), rounded up (Dong and others 2019)."""
        return _curves.gdp_delta(self.mu, epsilon)

    def epsilon(self, delta: float) -> float:
        """Return the smallest known epsilon at this delta, rounded up; the same as `epsilon_at`."""
        return self.epsilon_at(delta)


@dataclass(frozen=True, init=False)
class ApproxDP(Guarantee):
    """(epsilon, delta)-DP: P(M(D) in S) <= exp(epsilon) P(M(D') in S) + delta for all neighbours and events.

    Args:
        epsilon: finite, at least 0. As an attribute it is a float that can be called: `g.epsilon(delta)`.
        delta: at least 0, below 1.
        neighbours: the neighbour relation.
        rho: the zCDP parameter that the mechanism also satisfies, or None. With it the guarantee converts to
            other values of delta and composes without loss.

    >>> round(ApproxDP(1.0, 1e-5, rho=rho_for(1.0, 1e-5)).epsilon(1e-6), 3)
    1.129
    """

    epsilon: Epsilon
    delta: float
    neighbours: NeighbourRelation
    rho: float | None

    def __init__(
        self, epsilon: float, delta: float, neighbours: str = "add-remove", rho: float | None = None
    ) -> None:
        value = _number("epsilon", epsilon)
        delta = _number("delta", delta)
        if delta >= 1:
            raise ArgumentError(f"delta must be below 1, got {delta!r}; 1 promises nothing")
        self._set(
            epsilon=Epsilon(value, self.epsilon_at),
            delta=delta,
            neighbours=NeighbourRelation.parse(neighbours),
            rho=None if rho is None else _number("rho", rho),
        )

    def epsilon_at(self, delta: float) -> float:
        """Return the smallest known epsilon at this delta; inf where nothing is promised."""
        delta = _curves.checked_delta(delta)
        own = float(self.epsilon) if delta >= self.delta else math.inf
        return own if self.rho is None else min(own, _curves.zcdp_epsilon(self.rho, delta))

    def delta_at(self, epsilon: float) -> float:
        """Return the smallest known delta at this epsilon; 1 where nothing is promised."""
        own = self.delta if epsilon >= self.epsilon else 1.0
        return own if self.rho is None else min(own, _curves.zcdp_delta(self.rho, epsilon))


@dataclass(frozen=True, init=False)
class NearGDP(Guarantee):
    """All but mu-GDP: neighbours' outputs are within total variation `slack` of two that are mu-GDP.

    So delta(epsilon) <= delta of mu-GDP + (1 + e^epsilon) slack. Discrete Gaussian noise of many units is of
    this kind (docs/privacy.md), and zCDP as well; the better of the two counts.

    Args:
        mu: finite, at least 0.
        slack: total variation, at least 0.
        neighbours: the neighbour relation.

    >>> near = NearGDP(1.0, 1e-16)
    >>> round(near.epsilon(1e-5), 3), round(ZCDP(0.5).epsilon(1e-5), 3)
    (4.377, 4.728)
    """

    mu: float
    slack: float
    neighbours: NeighbourRelation

    def __init__(self, mu: float, slack: float, neighbours: str = "add-remove") -> None:
        relation = NeighbourRelation.parse(neighbours)
        self._set(mu=_number("mu", mu), slack=_number("slack", slack), neighbours=relation)

    @property
    def rho(self) -> float:  # type: ignore[override]
        """The zCDP parameter mu^2/2 that holds beside it, rounded up."""
        return _up(Fraction(self.mu) ** 2 / 2)

    def epsilon_at(self, delta: float) -> float:
        """Return the smaller of the zCDP value and the Gaussian curve's at what slack leaves of delta."""
        limit = _curves.zcdp_epsilon(self.rho, delta)
        left = delta - (1.0 + math.exp(min(limit, 700.0))) * self.slack * (1 + 1e-12)
        return limit if left <= 0 else min(limit, _curves.gdp_epsilon(self.mu, left * (1 - 1e-12)))

    def delta_at(self, epsilon: float) -> float:
        """Return the smaller of the zCDP value and the Gaussian curve's plus (1 + e^epsilon) slack."""
        lost = (1.0 + math.exp(min(epsilon, 700.0))) * self.slack
        near = (_curves.gdp_delta(self.mu, epsilon) + lost) * (1 + 1e-12)
        return min(1.0, near, _curves.zcdp_delta(self.rho, epsilon))

    def epsilon(self, delta: float) -> float:
        """Return the smallest known epsilon at this delta, rounded up; the same as `epsilon_at`."""
        return self.epsilon_at(delta)


_KINDS: dict[str, type[Guarantee]] = {k.__name__: k for k in (PureDP, ApproxDP, ZCDP, GDP, NearGDP)}


def guarantee_from_dict(fields: dict[str, Any]) -> Guarantee:
    """Return the guarantee that `Guarantee.to_dict` wrote.

    >>> guarantee_from_dict(ZCDP(0.5, "replace").to_dict())
    ZCDP(rho=0.5, neighbours='replace')
    """
    rest = dict(fields)
    kind = rest.pop("kind", None)
    if kind not in _KINDS:
        raise ArgumentError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    try:
        return _KINDS[kind](**rest)
    except TypeError as error:
        raise ArgumentError(f"fields do not describe a {kind}: {sorted(rest)} ({error})") from None


def compose(*guarantees: Guarantee) -> Guarantee:
    """Return the guarantee of releasing all the mechanisms together, each chosen after the last if need be.

    Pure: epsilons add. GDP: squares of mu add. Any mixture of pure, zCDP and GDP: their rho add, a ZCDP.
    With an ApproxDP that carries rho: rho adds; if every part has a delta of its own (ApproxDP or pure) the
    result is ApproxDP at the sum of the deltas, with the better of basic composition and the zCDP
    conversion; else it is the ZCDP. An ApproxDP without rho composes with ApproxDP and PureDP only.

    Args:
        guarantees: at least one, all under one neighbour relation.

    Raises:
        ArgumentError: no guarantee, different relations, or an ApproxDP without rho beside a ZCDP or GDP.

    Source: Dwork and others 2006 (pure, approximate); Bun and Steinke 2016, Lemma 1.7 (zCDP); Dong, Roth
    and Su 2019, Corollary 3.3 (GDP).

    >>> compose(PureDP(0.25), PureDP(0.5))
    PureDP(epsilon=0.75, neighbours='add-remove')
    >>> PureDP(1.0) + ZCDP(0.25)
    ZCDP(rho=0.75, neighbours='add-remove')
    """
    if not guarantees:
        raise ArgumentError("guarantees must hold at least one guarantee, got none")
    relations = {g.neighbours for g in guarantees}
    if len(relations) > 1:
        shown = ", ".join(sorted(map(repr, relations)))
        raise ArgumentError(
            f"guarantees must share one neighbour relation, got {shown}; they cannot be added"
        )
    relation = relations.pop()
    if len(guarantees) == 1:
        return guarantees[0]
    if all(isinstance(g, PureDP) for g in guarantees):
        return PureDP(_sum(g.epsilon for g in guarantees if isinstance(g, PureDP)), relation)
    if all(isinstance(g, GDP) for g in guarantees):
        squares = sum(Fraction(g.mu) ** 2 for g in guarantees if isinstance(g, GDP))
        return GDP(math.nextafter(math.sqrt(_up(Fraction(squares))), math.inf), relation)
    rho = None
    if all(g.rho is not None for g in guarantees):
        rho = _sum(g.rho for g in guarantees if g.rho is not None)
    if all(isinstance(g, (PureDP, ApproxDP)) for g in guarantees):
        delta = _sum(g.delta for g in guarantees if isinstance(g, ApproxDP))
        if delta >= 1:
            raise ArgumentError(f"deltas must add to less than 1, got {delta!r}")
        epsilon = _sum(g.epsilon for g in guarantees if isinstance(g, (PureDP, ApproxDP)))
        if rho is not None:
            epsilon = min(epsilon, _curves.zcdp_epsilon(rho, delta))
        return ApproxDP(epsilon, delta, relation, rho)
    if rho is None:
        raise ArgumentError(
            "an ApproxDP without rho cannot be added to a ZCDP or GDP; convert those with to_approx(delta)"
        )
    return ZCDP(rho, relation)


def _sum(numbers: Any) -> float:
    """Add floats exactly and round the sum up."""
    return _up(sum((Fraction(float(x)) for x in numbers), Fraction(0)))
