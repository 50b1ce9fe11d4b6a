"""Privacy curves: delta as a function of epsilon and back, for pure, zCDP and Gaussian guarantees.

Rounding. A bound of the zCDP family holds at *every* order a = 1 + w, so an inexact minimiser costs
tightness, never truth; what remains is the error of evaluating one formula. Each formula is a sum of terms,
and each term is a handful of operations whose libm error is a few units of 2^-53; `_MARGIN` times the sum
of the terms' magnitudes covers that more than four times over, and it is added on the weaker side. The
Gaussian curve is inverted by bisection on a `delta` that is itself an upper bound, so the returned epsilon
has been checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dpkit.errors import ArgumentError

_MARGIN = 2.0**-48
_UNDERFLOW = 1e-300  # covers what libm rounds to zero or to a subnormal
_LOG_W_RANGE = (-45.0, 90.0)
_GOLDEN = (math.sqrt(5) - 1) / 2


def checked_delta(delta: float) -> float:
    """Return delta as a float in [0, 1), or raise ArgumentError."""
    value = float(delta)
    if not 0 <= value < 1:
        raise ArgumentError(f"delta must lie in [0, 1), got {delta!r}")
    return value


def checked_epsilon(epsilon: float) -> float:
    """Return epsilon as a float >= 0 (inf allowed), or raise ArgumentError."""
    value = float(epsilon)
    if not value >= 0:
        raise ArgumentError(f"epsilon must be at least 0, got {epsilon!r}")
    return value


def _minimum(f: Callable[[float], float]) -> float:
    """Return the least value seen by golden-section search of a quasi-convex f over log w."""
    low, high = _LOG_W_RANGE
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    fa, fb = f(math.exp(a)), f(math.exp(b))
    best = min(fa, fb)
    for _ in range(100):
        if fa <= fb:
            high, b, fb = b, a, fa
            a = high - _GOLDEN * (high - low)
            fa = f(math.exp(a))
        else:
            low, a, fa = a, b, fb
            b = low + _GOLDEN * (high - low)
            fb = f(math.exp(b))
        best = min(best, fa, fb)
    return best


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return an epsilon such that rho-zCDP implies (epsilon, delta)-DP, rounded up.

    min over w > 0 of (1 + w) rho + log(1/delta)/w - log(1 + 1/w) - log(1 + w)/w, with a = 1 + w in

        delta = min over a > 1 of exp((a - 1)(a rho - epsilon))/(a - 1) (1 - 1/a)^a.

    At fixed epsilon the logarithm of the right side is convex in a, so the set of orders that reach a given
    delta is an interval and the function of w minimised here is quasi-convex: golden section finds its
    minimum.

    Source: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020).
    """
    delta = checked_delta(delta)
    if rho == 0:
        return 0.0
    if delta == 0:
        return math.inf
    log_inverse = -math.log(delta)

    def bound(w: float) -> float:
        terms = ((1 + w) * rho, log_inverse / w, -math.log1p(1 / w), -math.log1p(w) / w)
        return sum(terms) + _MARGIN * sum(map(abs, terms))

    return max(0.0, _minimum(bound))


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return a delta such that rho-zCDP implies (epsilon, delta)-DP, rounded up; see `zcdp_epsilon`."""
    epsilon = checked_epsilon(epsilon)
    if rho == 0 or math.isinf(epsilon):
        return 0.0

    def log_bound(w: float) -> float:
        terms = (w * (1 + w) * rho, -w * epsilon, -w * math.log1p(1 / w), -math.log1p(w))
        return sum(terms) + _MARGIN * sum(map(abs, terms))

    return min(1.0, _exp_up(_minimum(log_bound)))


def rho_for(epsilon: float, delta: float) -> float:
    """Return the largest rho found for which rho-zCDP implies (epsilon, delta)-DP, rounded down.

    max over w > 0 of (epsilon - log(1/delta)/w + log(1 + 1/w) + log(1 + w)/w) / (1 + w).

    Args:
        epsilon: above 0, finite.
        delta: in (0, 1).

    Returns:
        rho, a float; `ZCDP(rho).epsilon_at(delta)` exceeds epsilon by rounding margins only, and the true
        value of the conversion never exceeds it.

    Raises:
        ArgumentError: an argument out of range.

    Source: Canonne, Kamath, Steinke (2020), solved for rho.

    >>> round(1 / (2 * rho_for(1.0, 1e-5)) ** 0.5, 3)
    4.045
    """
    epsilon, delta = _checked_target(epsilon, delta)
    log_inverse = -math.log(delta)

    def negative(w: float) -> float:
        terms = (epsilon, -log_inverse / w, math.log1p(1 / w), math.log1p(w) / w)
        return -(sum(terms) - _MARGIN * sum(map(abs, terms))) / (1 + w)

    return max(0.0, -_minimum(negative) * (1 - _MARGIN))


def pure_epsilon(epsilon0: float, delta: float) -> float:
    """Return log(e^e0 - delta (1 + e^e0)) = e0 + log(1 - delta (1 + e^-e0)), rounded up and at least 0."""
    delta = checked_delta(delta)
    if delta == 0:
        return epsilon0
    removed = delta * (1 + math.exp(-epsilon0)) * (1 - 4 * _MARGIN)
    if removed >= 1:
        return 0.0
    shift = math.log1p(-removed)
    return min(epsilon0, max(0.0, epsilon0 + shift + _MARGIN * (epsilon0 - shift)))


def pure_delta(epsilon0: float, epsilon: float) -> float:
    """Return (e^e0 - e^e)/(1 + e^e0) = (1 - e^(e - e0))/(1 + e^-e0), rounded up."""
    epsilon = checked_epsilon(epsilon)
    if epsilon >= epsilon0:
        return 0.0
    return min(1.0, -math.expm1(epsilon - epsilon0) / (1 + math.exp(-epsilon0)) * (1 + 4 * _MARGIN))


def gdp_delta(mu: float, epsilon: float) -> float:
    """Return Phi(mu/2 - e/mu) - exp(e) Phi(-mu/2 - e/mu), rounded up.

    Source: Balle and Wang (2018), Theorem 8; Dong, Roth and Su (2019), Corollary 2.13.
    """
    epsilon = checked_epsilon(epsilon)
    if mu == 0 or math.isinf(epsilon):
        return 0.0
    x, y = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
    first, second = _phi(x), 0.0
    if epsilon < 700:  # dropping the subtracted term is on the weak side
        second = math.exp(epsilon) * _phi(y)
    spread = (mu / 2 + epsilon / mu) ** 2  # the argument of Phi is off by 2^-52 of this scale
    error = _MARGIN * (4 + spread + epsilon) * (first + second)
    return min(1.0, max(0.0, first - second) + error + _UNDERFLOW)


def gdp_epsilon(mu: float, delta: float) -> float:
    """Return the least epsilon found with `gdp_delta(mu, epsilon) <= delta`; inf at delta = 0."""
    delta = checked_delta(delta)
    if mu == 0 or gdp_delta(mu, 0.0) <= delta:
        return 0.0
    if delta == 0:
        return math.inf
    high = 1.0
    while gdp_delta(mu, high) > delta:
        high *= 2
    low = 0.0 if high == 1.0 else high / 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (low, middle) if gdp_delta(mu, middle) <= delta else (middle, high)
    return high


def mu_for(epsilon: float, delta: float) -> float:
    """Return the largest mu found for which mu-GDP implies (epsilon, delta)-DP, rounded down.

    Args:
        epsilon: above 0, finite.
        delta: in (0, 1).

    Returns:
        mu; 1/mu is the standard deviation of *continuous* Gaussian noise at L2 sensitivity 1.

    Raises:
        ArgumentError: an argument out of range.

    >>> round(1 / mu_for(1.0, 1e-5), 3)
    3.731
    """
    epsilon, delta = _checked_target(epsilon, delta)
    low, high = 0.0, 1.0
    while gdp_delta(high, epsilon) <= delta:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if gdp_delta(middle, epsilon) <= delta else (low, middle)
    return low


def _phi(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def _exp_up(x: float) -> float:
    """Return exp(x) rounded up; above 1 the caller clips."""
    return 1.0 if x >= 0 else math.exp(x) * (1 + _MARGIN) + _UNDERFLOW


def _checked_target(epsilon: float, delta: float) -> tuple[float, float]:
    if not (0 < float(epsilon) < math.inf):
        raise ArgumentError(f"epsilon must be finite and above 0, got {epsilon!r}")
    if not (0 < float(delta) < 1):
        raise ArgumentError(f"delta must lie in (0, 1), got {delta!r}; delta=0 asks for a PureDP mechanism")
    return float(epsilon), float(delta)
