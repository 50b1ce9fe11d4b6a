"""Numbers as people read them: few digits, thousands apart, no computer notation."""

import math

__all__ = ["bytes_text", "number_text", "percent_text", "power_text", "seconds_text"]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MISSING = "–"


def power_text(base: int, exponent: int) -> str:
    """Return a power, as 10⁻³.

    Example:
        >>> power_text(2, 20)
        '2²⁰'
    """
    return f"{base}{str(exponent).translate(_SUPERSCRIPTS)}"


def number_text(value: object, digits: int = 4) -> str:
    """Return a number with a few significant digits; integers whole, what is no number a dash.

    Example:
        >>> [number_text(v) for v in (1234567, 0.0123456, 1.5e-7, 2.0, float("nan"), 123456.7, True)]
        ['1,234,567', '0.01235', '1.5 × 10⁻⁷', '2', '–', '123,457', 'yes']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else number_text(float(value), digits)
    if not isinstance(value, float) or math.isnan(value):
        return _MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0.0:
        return "0"
    digits_shown, power = f"{value:.{digits - 1}e}".split("e")
    exponent = int(power)
    if -4 <= exponent < 15:
        decimals = max(0, digits - 1 - exponent)
        shown = f"{value:,.{decimals}f}"
        shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
        return shown.replace("-", "−")
    mantissa = digits_shown.rstrip("0").rstrip(".") if "." in digits_shown else digits_shown
    times = "" if mantissa in ("1", "-1") else f"{mantissa.lstrip('-')} × "
    return f"{'−' if value < 0 else ''}{times}{power_text(10, exponent)}"


def percent_text(share: float, digits: int = 3) -> str:
    """Return a share as per cent.

    Example:
        >>> percent_text(0.03456)
        '3.46 %'
    """
    return f"{number_text(100.0 * float(share), digits)} %"


def bytes_text(size: float) -> str:
    """Return a size with a unit of 1024 steps.

    Example:
        >>> bytes_text(800), bytes_text(51800)
        ('800 B', '50.6 KiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{number_text(round(size) if unit == 'B' else float(size), 3)} {unit}"


def seconds_text(seconds: float) -> str:
    """Return a duration with the unit that suits it.

    Example:
        >>> seconds_text(0.00012), seconds_text(0.25), seconds_text(75.0), seconds_text(2.5e-8)
        ('120 µs', '250 ms', '75 s', '25 ns')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1.0:
            return f"{number_text(float(seconds * scale), 3)} {unit}"
    return f"{number_text(float(seconds * 1e9), 3)} ns"
