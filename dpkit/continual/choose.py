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
from dpkit.continual.settings import GAUSSIAN, Budget
from dpkit.continual.sqrt import SQRT_LIMIT, SqrtDesign
from dpkit.continual.workload import PLAIN, Workload
from dpkit.errors import ArgumentError

__all__ = ["MECHANISMS", "Prediction", "candidates", "make_design", "predictions"]

MECHANISMS = ("auto", "binary", "honaker", "smooth", "sqrt", "blt", "k-ary", "hybrid")
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
    domain: Any,
    neighbours: str,
    horizon: int | None,
    expected: int,
    workload: Workload = PLAIN,
) -> Design:
    """Return the design of one named mechanism, or raise ArgumentError saying why it does not fit.

    Args:
        mechanism, budget, neighbours, horizon, expected: of the request.
        domain: `Domain`, or `Ball` for vectors.
        workload: what is summed, and how neighbours differ. Where w elements change with alternating signs, a
            tree's nodes change by at most one element each, w of them on a level: the budget's share 1/w.
    """
    sensitivity, gaussian = domain.sensitivity(neighbours), budget.law == GAUSSIAN
    if mechanism in ("blt", "sqrt") and not gaussian:
        raise ArgumentError(
            f"mechanism={mechanism!r} needs rho, or delta above 0; for a pure budget take 'k-ary'"
        )
    w = workload
    if mechanism == "blt":
        return BLTDesign(
            budget,
            sensitivity,
            domain.magnitude,
            horizon,
            expected,
            changes=w.changes,
            parts=w.parts,
            gap=w.gap,
            keep=w.keep,
            window=w.window,
            columns=w.columns,
        )
    if mechanism in MECHANISMS and (not w.sums_all or (w.parts > 1 and mechanism != "sqrt")):
        what = "windows and decay need" if not w.sums_all else "several participations need"
        rest = "" if not w.sums_all else ", or 'sqrt'"
        raise ArgumentError(f"{what} mechanism='blt'{rest} and rho, or delta above 0; got {mechanism!r}")
    if mechanism == "sqrt":
        if horizon is None or horizon > SQRT_LIMIT:
            raise ArgumentError(
                f"mechanism='sqrt' needs a horizon up to {SQRT_LIMIT}, got {horizon}: take 'blt'"
            )
        parts = {"changes": w.changes, "parts": w.parts, "gap": w.gap, "columns": w.columns}
        return SqrtDesign(budget, sensitivity, domain.magnitude, horizon, **parts)
    budget = budget.part(Fraction(1, w.changes))
    if mechanism == "k-ary" and gaussian:
        raise ArgumentError("mechanism='k-ary' needs a pure budget: epsilon with delta=0")
    if mechanism in _TREES and horizon is not None:
        return fixed_design(mechanism, budget, sensitivity, horizon)
    if mechanism in (*_TREES, "hybrid"):
        default = "honaker" if gaussian else "k-ary"
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
    domain: Any,
    neighbours: str,
    horizon: int | None,
    expected: int,
    workload: Workload = PLAIN,
) -> list[Design]:
    request = (budget, domain, neighbours, horizon, expected, workload)
    if mechanism != "auto":
        return [make_design(mechanism, *request)]
    gaussian = budget.law == GAUSSIAN
    names = ["binary", "honaker", "smooth"] if workload.sums_all and workload.parts == 1 else []
    names.append("blt" if gaussian else "k-ary")
    if gaussian and workload.sums_all and horizon is not None:
        names.append("sqrt")
    if horizon is not None and workload.sums_all and workload.parts == 1:
        names.append("hybrid")
    designs: list[tuple[float, int, Design]] = []
    refusal: ArgumentError | None = None
    for name in names:
        try:
            design = make_design(name, *request)
            price = 1.02 if name == "sqrt" else 1.0  # its memory must be worth 1 % of error
            designs.append((design.mean_variance(horizon or expected) * price, len(designs), design))
        except ArgumentError as cause:
            refusal = cause
    if not designs and refusal is not None:
        raise refusal
    return [design for _, _, design in sorted(designs)]


def predictions(
    designs: list[Design],
    domain: Any,
    neighbours: str,
    steps: int,
    budget: Budget,
    counts: int = 1,
    workload: Workload = PLAIN,
) -> list[Prediction]:
    """Return the figures of designs over so many steps, in the user's units."""
    floor = None
    if budget.law == GAUSSIAN:
        least = floor_rmse(steps) if workload.sums_all else workload.floor(steps)
        change = domain.sensitivity(neighbours) * domain.unit
        floor = change * least / math.sqrt(2 * float(budget.amount))
    found = []
    for design in designs:
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
