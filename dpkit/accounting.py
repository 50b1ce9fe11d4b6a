"""Guarantees as events of the dp-accounting library, for those who keep their accounts there."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

from dpkit.errors import ArgumentError

__all__ = ["event"]


def event(
    name: str, *, epsilon: float | None = None, mu: float | None = None, rho: float | None = None
) -> Any:
    """Return the event of the first parameter that is given; see `dpkit.guarantee.Guarantee.dp_event`.

    Args:
        name: The guarantee, for the error.
        epsilon: Of pure DP.
        mu: Of Gaussian DP.
        rho: Of zero-concentrated DP.

    Raises:
        ArgumentError: dp-accounting is not installed, or nothing is given.
    """
    try:
        events = import_module("dp_accounting").dp_event
    except ImportError:
        raise ArgumentError("dp_event() needs the package dp-accounting: pip install dp-accounting") from None
    if 0 in (epsilon, mu, rho):
        return events.NoOpDpEvent()
    if epsilon is not None:
        return events.RandomizedResponseDpEvent(2.0 / (1.0 + math.exp(epsilon)) * (1 - 2.0**-50), 2)
    if mu is not None:
        return events.GaussianDpEvent(1.0 / mu)
    if rho is None:
        raise ArgumentError(
            f"{name} carries no rho, and dp-accounting has no event for a bare (epsilon, delta): give "
            "rho where it is known"
        )
    return events.ZCDpEvent(rho)
