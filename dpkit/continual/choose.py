"""Choice by predicted error: every mechanism that fits a request, with its exact figures, best first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from dpkit.continual.blt import BLTDesign
from dpkit.continual.design import Design, floor_rmse
from dpkit.continual.hybrid import HybridDesign, fixed_design
from dpkit.continual.settings import GAUSSIAN, Budget, Domain
from dpkit.errors import ArgumentError

__all__ = ["MECHANISMS", "Prediction", "candidates", "make_design", "predictions"]

MECHANISMS = ("auto", "binary", "honaker", "smooth", "blt", "k-ary", "hybrid")
_TREES = ("binary", "honaker", "smooth", "k-ary")


@dataclass(frozen=True)
class Prediction:
    """What a mechanism will do, known before any data.

    Args:
        mechanism: name for `mechanism=`.
        rmse: root mean square, over the steps, of the noise's standard deviation.
        worst_std: largest standard deviation of a step.
        state_size: numbers of running state, at most.
        horizon: the steps that rmse and worst_std are about.
        floor: least rmse that any linear mechanism with Gaussian noise can have; None for a pure budget.
        exact: `integers`, or `decoded` where floats process exact noisy integers after the fact. Never float
            noise.
        parameters: the design's public numbers.
        counts: how many counters run side by side; the other figures but `state_size` are of one.
    """

    mechanism: str
    rmse: float
    worst_std: float
    state_size: int
    horizon: int
    floor: float | None
    exact: str
    parameters: dict[str, Any]
    counts: int = 1

    def max_error(self, beta: float = 1 / 3) -> float:
        """Return a bound that all errors meet together with probability 1 - beta, for Gaussian noise.

        worst_std sqrt(2 ln(2 counts T/beta)); discrete Gaussian noise is sub-Gaussian with the same
        parameter.
        """
        if self.floor is None:
            raise ArgumentError("max_error is a Gaussian bound; this budget is pure")
        return self.worst_std * math.sqrt(2.0 * math.log(2.0 * self.counts * self.horizon / beta))

    def __repr__(self) -> str:
        floor = "" if self.floor is None else f", floor={self.floor:.5g}"
        return (
            f"Prediction({self.mechanism!r}, rmse={self.rmse:.5g}, worst_std={self.worst_std:.5g}, "
            f"state_size={self.state_size}, horizon={self.horizon}{floor}, exact={self.exact!r})"
        )


def make_design(
    mechanism: str,
    budget: Budget,
    domain: Domain,
    neighbours: str,
    horizon: int | None,
    expected: int,
    changes: int = 1,
) -> Design:
    """Return the design of one named mechanism, or raise ArgumentError saying why it does not fit.

    Args:
        mechanism, budget, domain, neighbours, horizon, expected: of the request.
        changes: how many elements differ between neighbours, with alternating signs. A tree's nodes then
            change by at most one element each, `changes` of them on a level: the budget's share 1/changes.
    """
    sensitivity = domain.sensitivity(neighbours)
    if mechanism == "blt":
        if budget.law != GAUSSIAN:
            raise ArgumentError("mechanism='blt' needs rho, or delta above 0; for a pure budget take 'k-ary'")
        return BLTDesign(budget, sensitivity, domain.magnitude, horizon, expected, changes=changes)
    budget = budget.part(Fraction(1, changes))
    if mechanism == "k-ary" and budget.law == GAUSSIAN:
        raise ArgumentError("mechanism='k-ary' needs a pure budget: epsilon with delta=0")
    if mechanism in _TREES and horizon is not None:
        return fixed_design(mechanism, budget, sensitivity, horizon)
    if mechanism in (*_TREES, "hybrid"):
        default = "honaker" if budget.law == GAUSSIAN else "k-ary"
        inner = default if mechanism == "hybrid" else mechanism
        return HybridDesign(inner, budget, sensitivity, horizon)
    raise ArgumentError(f"mechanism must be one of {', '.join(MECHANISMS)}, got {mechanism!r}")


@lru_cache(maxsize=256)  # a design is immutable and costs an optimisation: equal requests share it
def _candidates(*request: Any) -> tuple[Design, ...]:
    return tuple(_make_candidates(*request))


def candidates(*request: Any) -> list[Design]:
    """Return the designs to choose from, least mean error first; one where the mechanism is named.

    Args:
        request: mechanism, budget, domain, neighbours, horizon, expected, and what `make_design` takes more.
    """
    if not isinstance(request[0], str) or request[0] not in MECHANISMS:
        raise ArgumentError(f"mechanism must be one of {', '.join(MECHANISMS)}, got {request[0]!r}")
    return list(_candidates(*request))


def _make_candidates(
    mechanism: str,
    budget: Budget,
    domain: Domain,
    neighbours: str,
    horizon: int | None,
    expected: int,
    changes: int = 1,
) -> list[Design]:
    request = (budget, domain, neighbours, horizon, expected, changes)
    if mechanism != "auto":
        return [make_design(mechanism, *request)]
    gaussian = budget.law == GAUSSIAN
    names = ["binary", "honaker", "smooth", "blt" if gaussian else "k-ary"]
    if horizon is not None:
        names.append("hybrid")
    designs: list[tuple[float, int, Design]] = []
    refusal: ArgumentError | None = None
    for name in names:
        try:
            design = make_design(name, *request)
            designs.append((design.mean_variance(horizon or expected), len(designs), design))
        except ArgumentError as cause:
            refusal = cause
    if not designs and refusal is not None:
        raise refusal
    return [design for _, _, design in sorted(designs)]


def predictions(
    designs: list[Design], domain: Domain, neighbours: str, steps: int, counts: int = 1
) -> list[Prediction]:
    """Return the figures of designs over so many steps, in the user's units."""
    found = []
    for design in designs:
        budget: Budget = design.budget  # type: ignore[attr-defined]
        floor = None
        if budget.law == GAUSSIAN:
            change = domain.sensitivity(neighbours) * domain.unit
            floor = change * floor_rmse(steps) / math.sqrt(2 * float(budget.amount))
        inner = getattr(design, "inner", design.name)
        found.append(
            Prediction(
                inner if design.name == "hybrid" and design.horizon is None else design.name,
                math.sqrt(design.mean_variance(steps)) * domain.unit,
                math.sqrt(design.worst_variance(steps)) * domain.unit,
                counts * design.state_size,
                steps,
                floor,
                "decoded" if inner == "honaker" or getattr(design, "keep", 1.0) != 1.0 else "integers",
                design.describe(),
                counts,
            )
        )
    return found
