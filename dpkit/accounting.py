"""Guarantees as events of the dp-accounting library, for those who keep their accounts there."""

from __future__ import annotations

import math
from typing import Any

from dpkit.errors import ArgumentError

__all__ = ["dp_event"]


def dp_event(guarantee: Any) -> Any:
    """Return the dp-accounting event that stands for a guarantee; see `Guarantee.dp_event`."""
    from importlib import import_module

    from dpkit.guarantee import GDP, PureDP

    try:
        events = import_module("dp_accounting").dp_event
    except ImportError:
        raise ArgumentError("dp_event() needs the package dp-accounting: pip install dp-accounting") from None
    if isinstance(guarantee, PureDP):
        epsilon = float(guarantee.epsilon)
        if epsilon == 0:
            return events.NoOpDpEvent()
        return events.RandomizedResponseDpEvent(2.0 / (1.0 + math.exp(epsilon)) * (1 - 2.0**-50), 2)
    if isinstance(guarantee, GDP):
        return events.GaussianDpEvent(1.0 / guarantee.mu) if guarantee.mu else events.NoOpDpEvent()
    if guarantee.rho is None:
        raise ArgumentError(
            f"{guarantee!r} carries no rho, and dp-accounting has no event for a bare (epsilon, delta): give "
            "rho where it is known"
        )
    return events.ZCDpEvent(guarantee.rho) if guarantee.rho else events.NoOpDpEvent()
