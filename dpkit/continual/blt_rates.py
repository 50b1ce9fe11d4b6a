"""Rational (buffered linear Toeplitz) factorisations of the prefix sum: formulas and the search for rates.

C(x) = prod (1 - th_i x) / prod (1 - t_i x), B(x) = 1/((1 - x) C(x)), with t_i = exp(-a_i), th_i = exp(-b_i)
and a_1 < b_1 < a_2 < ... < b_m. Then 1 > t_1 > th_1 > t_2 > ..., zeros and poles alternate, and both

    c_k = sum r_i t_i^k (k >= 1, c_0 = 1)    and    b_k = beta_0 + sum beta_j th_j^k

have positive weights, so every sum below adds positive terms only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Target",
    "alternating_norm",
    "design_rates",
    "encoder_weights",
    "geometric",
    "noise_norm",
    "noise_norm_sum",
    "noise_weights",
    "norm",
    "pattern_norm",
    "zeros_of",
]

Floats = NDArray[np.float64]
_OPTIMISED_PARTS = 32
_APART = 1e-3


def geometric(rate: Floats, n: float) -> Floats:
    """Return sum over k < n of exp(-rate k), elementwise; n may be infinite where every rate is positive."""
    if math.isinf(n):
        return np.asarray(-1.0 / np.expm1(-rate))
    safe = np.where(rate * n < 1e-12, 1.0, rate)
    return np.where(rate * n < 1e-12, n, np.expm1(-safe * n) / np.expm1(-safe))


def _one_minus_ratio(upper: Floats, lower: Floats) -> Floats:
    """Return 1 - exp(lower_i - upper_j) as a matrix [..., i, j]."""
    return -np.expm1(lower[..., :, None] - upper[..., None, :])


def encoder_weights(a: Floats, b: Floats) -> Floats:
    """Return r_i = prod_j (1 - th_j/t_i) / prod_(j != i) (1 - t_j/t_i)."""
    poles = _one_minus_ratio(a, a)
    return np.asarray(_one_minus_ratio(b, a).prod(-1) / (poles + np.eye(a.shape[-1])).prod(-1))


def noise_weights(a: Floats, b: Floats, decay: float = 0.0) -> tuple[Floats, Floats]:
    """Return the weights (beta_0, beta_1, ...) of B and its rates (g, b_1, ...).

    B(x) = 1/((1 - e^-g x) C(x)); with y = e^-g x every rate falls by g, so g = 0 covers it.
    """
    a, b = a - decay, b - decay
    one = np.expm1(-a).prod(-1) / np.expm1(-b).prod(-1)
    poles = _one_minus_ratio(b, b) + np.eye(b.shape[-1])
    rest = _one_minus_ratio(a, b).prod(-1) / (-np.expm1(b) * poles.prod(-1))
    rates = np.concatenate([np.zeros((*b.shape[:-1], 1)), b], -1)
    return np.concatenate([np.abs(one)[..., None], rest], -1), rates + decay


def norm(a: Floats, r: Floats, n: float) -> Floats:
    """Return |c|^2 over the first n coefficients: 1 + sum_ij r_i r_j (geo(a_i + a_j, n) - 1)."""
    rates = a[..., :, None] + a[..., None, :]
    weights = r[..., :, None] * r[..., None, :]
    return np.asarray(1.0 + (weights * (geometric(rates, n) - 1.0)).sum((-1, -2)))


def noise_norm(beta: Floats, rates: Floats, n: float) -> Floats:
    """Return |row n of B|^2 = sum over k < n of b_k^2."""
    both = rates[..., :, None] + rates[..., None, :]
    return np.asarray((beta[..., :, None] * beta[..., None, :] * geometric(both, n)).sum((-1, -2)))


def noise_norm_sum(beta: Floats, rates: Floats, n: int) -> float:
    """Return sum over t = 1..n of |row t of B|^2, from sum_t geo(P, t) = (n - e^-P geo(P, n))/(1 - e^-P)."""
    p = (rates[:, None] + rates[None, :]).astype(np.float64)
    safe = np.where(p * n < 1e-4, 1.0, p)
    exact = (n - np.exp(-safe) * geometric(safe, n)) / -np.expm1(-safe)
    series = n * (n + 1.0) / 2.0 * (1.0 - p * (n - 1.0) / 3.0)
    return float((beta[:, None] * beta[None, :] * np.where(p * n < 1e-4, series, exact)).sum())


def pattern_norm(a: Floats, r: Floats, n: float, parts: int, gap: float) -> Floats:
    """Return |c + c moved by gap + ... + c moved by (parts - 1) gap|^2 over n coefficients.

    Between the j-th copy's start and the next, the sum is the sum of r_i g_ij t_i^u, g_ij = (1 - t_i^((j+1)
    gap))/(1 - t_i^gap), u the steps since; at u = 0 the newest copy counts 1 in place of sum r_i.
    """
    if parts == 1:
        return norm(a, r, n)
    parts = min(parts, math.ceil(n / gap)) if math.isfinite(n) else parts
    total = np.zeros(a.shape[:-1])
    for j in range(parts):
        weights = r * np.expm1(-a * gap * (j + 1)) / np.expm1(-a * gap)
        length = gap if j < parts - 1 else n - gap * j
        rates = a[..., :, None] + a[..., None, :]
        pairs = weights[..., :, None] * weights[..., None, :]
        first = 1.0 + (weights - r).sum(-1)
        total = total + (pairs * (geometric(rates, length) - 1.0)).sum((-1, -2)) + first**2
    return np.asarray(total)


def alternating_norm(a: Floats, r: Floats, n: float, changes: int) -> Floats:
    """Return a bound on |sum of +-c moved|^2 for so many changes with alternating signs within n steps.

    c is positive and never increases, so at every step the alternating sum is at most its newest term: the
    square is at most the sum of |c|^2 over the gaps, at most `changes` times that over n/changes steps.
    """
    return np.asarray(changes * norm(a, r, n / changes))


def zeros_of(a: Floats, r: Floats) -> Floats:
    """Return rates b of the zeros of 1 + sum r_i t_i x/(1 - t_i x): one between neighbouring poles, bisected.

    In s = -log(1/x) the function falls between poles a_i < s < a_(i+1), and behind the last one.
    """
    found = []
    for i in range(len(a)):
        low, high = 0.0, (a[i + 1] - a[i] if i + 1 < len(a) else 700.0)
        for _ in range(200):  # b = a_i + middle: relative to the pole, so that small gaps keep their digits
            middle = (low + high) / 2 if low > 0.0 or high < 1e-290 else high / 4
            with np.errstate(over="ignore"):
                value = 1.0 + float((r / np.expm1(np.minimum(a - a[i] - middle, 700.0))).sum())
            if value < 0.0:
                low = middle
            else:
                high = middle
            if high - low <= 1e-15 * high:
                break
        found.append(a[i] + (low + high) / 2)
    return np.array(found)


@dataclass(frozen=True)
class Target:
    """What a design is for.

    Args:
        n: design length.
        unbounded: calibrate to streams of any length.
        decay: rate g of exponentially decayed sums, exp(-g) a step; 0 for plain sums.
        window: answers are sums of the last so many elements; 0 for all.
        changes: elements that differ between neighbours, with alternating signs.
        parts, gap: elements that differ, with any signs, at least `gap` steps apart.
    """

    n: int
    unbounded: bool = False
    decay: float = 0.0
    window: int = 0
    changes: int = 1
    parts: int = 1
    gap: int = 1

    @property
    def reach(self) -> float:
        """About how many steps an element matters for."""
        return min(self.n, 8 * self.window or math.inf, 8 / self.decay if self.decay else math.inf)

    def sensitivity(self, a: Floats, r: Floats, n: float) -> Floats:
        """Return the squared change of C x, elements changing by one, over n steps."""
        if self.changes > 1:
            return alternating_norm(a, r, n, self.changes)
        return pattern_norm(a, r, n, self.parts, self.gap)

    def rows(self, beta: Floats, rates: Floats, n: float) -> Floats:
        """Return |row n of B|^2: past the window, b_k - b_(k - window) = -sum beta_j (1 - th_j^window) ..."""
        if not self.window or n <= self.window:
            return noise_norm(beta, rates, n)
        late = -beta * np.expm1(-rates * self.window)
        return np.asarray(noise_norm(beta, rates, self.window) + noise_norm(late, rates, n - self.window))

    def rows_sum(self, beta: Floats, rates: Floats, n: int) -> float:
        """Return the sum of `rows` over 1..n."""
        w = self.window
        if not w or n <= w:
            return noise_norm_sum(beta, rates, n)
        late = -beta * np.expm1(-rates * w)
        full = float(noise_norm(beta, rates, w))
        return noise_norm_sum(beta, rates, w) + (n - w) * full + noise_norm_sum(late, rates, n - w)


def _rates(x: Floats, decay: float) -> tuple[Floats, Floats]:
    """Read parameters, log (a_1 - g) and inverse softplus of the logarithms' increments, as (a, b)."""
    steps = np.logaddexp(0.0, x[..., 1:])
    logs = np.concatenate([x[..., :1], x[..., :1] + np.cumsum(steps, -1)], -1)
    rates = np.exp(np.clip(logs, math.log(1e-14), math.log(60.0))) + decay
    return rates[..., 0::2], rates[..., 1::2]


@lru_cache(maxsize=256)
def design_rates(degree: int, target: Target) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rates (a, b) with nearly the least worst error over n steps.

    Minimises log(sensitivity^2 |row n of B|^2), the first over n or, unbounded, over all coefficients, by
    BFGS with gradients from central differences, from a geometric ladder between 0.6/reach and 2.5. Results
    are kept.

    Args:
        degree: m, number of poles.
        target: what for.

    Source: Dvijotham, McMahan, Pillutla, Steinke, Thakurta 2024; pole form derived in docs/privacy.md.
    """
    ladder = np.linspace(math.log(0.6 / target.reach), math.log(2.5), 2 * degree)
    start = np.concatenate([ladder[:1], np.log(np.expm1(np.diff(ladder)))])
    length = math.inf if target.unbounded else target.n
    many = target.parts > _OPTIMISED_PARTS  # the sum over copies would be slow, and moves the optimum little

    def loss(x: Floats) -> Floats:
        with np.errstate(all="ignore"):
            a, b = _rates(x, target.decay)
            r = encoder_weights(a, b)
            value = np.log(norm(a, r, length) if many else target.sensitivity(a, r, length))
            value = value + np.log(target.rows(*noise_weights(a, b, target.decay), target.n))
        return np.where(np.isfinite(value), value, np.inf)

    a, b = _rates(_bfgs(loss, start), target.decay)
    rates = np.ravel(np.column_stack([a, b]))
    while len(rates) > 2:  # a pole beside a zero does nothing: the optimum has fewer
        apart = np.diff(rates) / rates[1:]
        if apart.min() > _APART:
            break
        rates = np.delete(rates, [apart.argmin(), apart.argmin() + 1])
    return tuple(rates[0::2].tolist()), tuple(rates[1::2].tolist())


def _bfgs(f: Callable[[Floats], Floats], x: Floats, rounds: int = 300) -> Floats:
    """Minimise a batched function: f((k, d)) -> (k,)."""
    d, h = x.size, 1e-5
    probes = np.concatenate([np.eye(d), -np.eye(d)]) * h
    steps = 0.5 ** np.arange(30.0)

    def gradient(at: Floats) -> Floats:
        values = f(at + probes)
        return np.asarray((values[:d] - values[d:]) / (2 * h))

    inverse, value, g = np.eye(d), float(f(x[None])[0]), gradient(x)
    for _ in range(rounds):
        direction = -inverse @ g
        slope = float(direction @ g)
        if slope >= 0:
            inverse, direction, slope = np.eye(d), -g, -float(g @ g)
        values = f(x + steps[:, None] * direction)
        enough = np.flatnonzero(values <= value + 1e-4 * steps * slope)
        if enough.size == 0:
            if np.array_equal(inverse, np.eye(d)):
                break
            inverse = np.eye(d)
            continue
        k = enough[0]
        moved = steps[k] * direction
        with np.errstate(invalid="ignore"):
            fresh = gradient(x + moved)
        if not np.isfinite(fresh).all():  # the edge of what floats resolve
            return x + moved
        change = fresh - g
        gain = value - float(values[k])
        x, value, g = x + moved, float(values[k]), fresh
        curvature = float(change @ moved)
        if curvature > 1e-14:
            left = np.eye(d) - np.outer(moved, change) / curvature
            inverse = left @ inverse @ left.T + np.outer(moved, moved) / curvature
        if gain < 1e-10 and float(np.abs(g).max()) < 1e-5:
            break
    return x
