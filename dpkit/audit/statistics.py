"""From counts to certainty: confidence bounds, and the privacy loss that an observed event proves.

If an event has probability p under one data set and q under a neighbour, every (epsilon, delta) promise needs
p <= exp(epsilon) q + delta, and every rho-zCDP promise needs the Renyi divergences of the two coins to be at
most a rho. Bounds on p and q from counts therefore bound epsilon and rho from below, whatever the mechanism
is.
"""

import math
from statistics import NormalDist

from dpkit.errors import ArgumentError

__all__ = ["clopper_pearson", "epsilon_lower_bound", "mu_lower_bound", "rho_lower_bound"]

_ORDERS = [1.0 + 2.0 ** (k / 4) for k in range(-24, 33)]


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(abs(1.0 - (a + b) * x / (a + 1.0)), tiny)
    fraction = d
    for i in range(1, 10_000):
        even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i))
        odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1))
        for step in (even, odd):
            d = 1.0 + step * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + step / c
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return math.exp(log_front) * fraction / a


def _beta_quantile(a: float, b: float, level: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if _incomplete_beta(a, b, middle) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def clopper_pearson(successes: int, trials: int, error: float) -> tuple[float, float]:
    """Return bounds on a probability, each of which fails with probability at most `error`.

    Args:
        successes, trials: the observed counts.
        error: one-sided error probability, in (0, 1).

    Returns:
        (low, high).

    Source: Clopper and Pearson 1934.

    Example:
        >>> low, high = clopper_pearson(5, 10, 0.025)
        >>> round(low, 4), round(high, 4)
        (0.1871, 0.8129)
    """
    if not (0 <= successes <= trials and trials > 0 and 0.0 < error < 1.0):
        raise ArgumentError(f"counts must satisfy 0 <= {successes} <= {trials} > 0, error in (0, 1): {error}")
    low = 0.0 if successes == 0 else _beta_quantile(successes, trials - successes + 1, error)
    high = 1.0 if successes == trials else _beta_quantile(successes + 1, trials - successes, 1.0 - error)
    return low, high


def epsilon_lower_bound(p_low: float, q_high: float, delta: float = 0.0) -> float:
    """Return the least epsilon compatible with an event of probability >= p_low here and <= q_high there.

    Example:
        >>> round(epsilon_lower_bound(0.5, 0.25), 4)
        0.6931
    """
    if p_low <= delta:
        return 0.0
    return math.inf if q_high <= 0.0 else max(0.0, math.log((p_low - delta) / q_high))


def rho_lower_bound(p_low: float, q_high: float) -> float:
    """Return the least rho of zCDP compatible with those probabilities: the largest D_a(p, q) / a, a > 1.

    D_a(p, q) = log(p^a q^(1-a) + (1-p)^a (1-q)^(1-a)) / (a - 1) grows with p and falls with q where p > q, so
    bounds may stand in for the probabilities.

    Example:
        >>> 0.0 < rho_lower_bound(0.55, 0.45) < 0.03
        True
    """
    if p_low <= q_high or q_high >= 1.0:
        return 0.0
    if q_high <= 0.0:
        return math.inf
    best = 0.0
    for order in _ORDERS:
        terms = [order * math.log(p_low) + (1.0 - order) * math.log(q_high)]
        if p_low < 1.0:
            terms.append(order * math.log1p(-p_low) + (1.0 - order) * math.log1p(-q_high))
        top = max(terms)
        divergence = (top + math.log(sum(math.exp(t - top) for t in terms))) / (order - 1.0)
        best = max(best, divergence / order)
    return best


def mu_lower_bound(p_low: float, q_high: float) -> float:
    """Return the least mu of Gaussian DP compatible with those probabilities: z(p) - z(q), z = Phi^-1.

    Example:
        >>> round(mu_lower_bound(0.8413447460685429, 0.5), 6)
        1.0
    """
    if p_low <= q_high or q_high >= 1.0 or p_low <= 0.0:
        return 0.0
    if q_high <= 0.0 or p_low >= 1.0:
        return math.inf
    normal = NormalDist()
    return normal.inv_cdf(p_low) - normal.inv_cdf(q_high)
