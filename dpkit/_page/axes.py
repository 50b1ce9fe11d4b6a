"""Axes of a plot: from numbers to places, and the ticks that people can read."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dpkit._page.numbers import number_text, percent_text, power_text

__all__ = ["Axis", "Scale", "fit"]


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Args:
        label: what is measured, with its unit.
        log: 0 for an even axis, else the base of a logarithmic one, 2 or 10.
        zero: an even axis starts at zero.
        percent: shares, written as per cent.
    """

    label: str
    log: int = 0
    zero: bool = False
    percent: bool = False

    def shown(self, value: float) -> str:
        """Return a number on this axis as text."""
        return percent_text(value) if self.percent else number_text(value)


_LEAST = 1e-280  # what is nearer to zero counts as zero: quotients of such numbers leave the range of floats


@dataclass(frozen=True)
class Scale:
    """An axis with its range and ticks; `place` is 0 at its low end and 1 at its high end."""

    axis: Axis
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        """Return where a value stands, or NaN where the axis has no place for it."""
        if not math.isfinite(value) or (self.axis.log and value < _LEAST):
            return math.nan
        if self.axis.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def fit(axis: Axis, values: Iterable[float], most: int = 6) -> Scale:
    """Return a scale that holds all finite values and ends on a tick at either side, or close to it.

    Example:
        >>> scale = fit(Axis("n", log=10), [120.0, 90_000.0])
        >>> [label for _, label in scale.ticks], round(scale.place(10**4), 3)
        (['100', '1,000', '10⁴', '10⁵'], 0.667)
        >>> [label for _, label in fit(Axis("y", zero=True), [0.7, 3.9]).ticks]
        ['0', '1', '2', '3', '4']
    """
    finite = [v for v in values if math.isfinite(v) and (v >= _LEAST or not axis.log)]
    if not finite:
        finite = [1.0, 10.0] if axis.log else [0.0, 1.0]
    low, high = min(finite), max(finite)
    return _log(axis, low, high, most) if axis.log else _even(axis, low, high, most)


def _even(axis: Axis, low: float, high: float, most: int) -> Scale:
    if axis.zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), _LEAST):
        pad = abs(high) / 2 or 1.0
        low, high = (low if axis.zero else low - pad), high + pad
    step = _nice((high - low) / (most - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple((k * step, axis.shown(k * step)) for k in range(first, last + 1))
    return Scale(axis, first * step, last * step, ticks)


def _nice(rough: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))


def _log(axis: Axis, low: float, high: float, most: int) -> Scale:
    base = float(axis.log)
    decades = math.log(high / low, base)
    if axis.log == 10 and decades < 2.2:
        return _log_fine(axis, low, high)
    first = math.floor(math.log(low, base) + 1e-6)
    last = max(first + 1, math.ceil(math.log(high, base) - 1e-6))
    stride = max(1, math.ceil((last - first) / (most - 1)))
    ticks = tuple((base**k, _power_label(axis, k)) for k in range(first, last + 1, stride))
    return Scale(axis, base**first, base**last, ticks)


def _log_fine(axis: Axis, low: float, high: float) -> Scale:
    """Ticks at 1, 2 and 5 times powers of ten, for a range of two of them or less."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    marks = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1.0, 2.0, 5.0)]
    below = [v for v in marks if v <= low * (1 + 1e-9)] or [low]
    above = [v for v in marks if v >= high * (1 - 1e-9)] or [high]
    start, end = below[-1], above[0]
    if start == end:
        start, end = start / 2, end * 2
    ticks = tuple((v, axis.shown(v)) for v in marks if start * (1 - 1e-9) <= v <= end * (1 + 1e-9))
    return Scale(axis, start, end, ticks)


def _power_label(axis: Axis, exponent: int) -> str:
    if axis.percent or -3 <= exponent <= 3 or (axis.log == 2 and 0 <= exponent <= 9):
        return axis.shown(float(axis.log) ** exponent)
    return power_text(axis.log, exponent)
