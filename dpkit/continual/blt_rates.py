"""Rational (buffered linear Toeplitz) factorisations of the prefix sum: formulas and the search for rates.

C(x) = prod (1 - th_i x) / prod (1 - t_i x), B(x) = 1/((1 - x) C(x)), with t_i = exp(-a_i), th_i = exp(-b_i)
and a_1 < b_1 < a_2 < ... < b_m. Then 1 > t_1 > th_1 > t_2 > ..., zeros and poles alternate, and both

    c_k = sum r_i t_i^k (k >= 1, c_0 = 1)    and    b_k = beta_0 + sum beta_j th_j^k

have positive weights, so every sum below adds positive terms only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "design_rates",
    "encoder_weights",
    "geometric",
    "noise_norm",
    "noise_norm_sum",
    "noise_weights",
    "norm",
]

Floats = NDArray[np.float64]


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


def noise_weights(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return the weights (beta_0, beta_1, ...) of B and its rates (0, b_1, ...)."""
    one = np.expm1(-a).prod(-1) / np.expm1(-b).prod(-1)
    poles = _one_minus_ratio(b, b) + np.eye(b.shape[-1])
    rest = _one_minus_ratio(a, b).prod(-1) / (-np.expm1(b) * poles.prod(-1))
    rates = np.concatenate([np.zeros((*b.shape[:-1], 1)), b], -1)
    return np.concatenate([np.abs(one)[..., None], rest], -1), rates


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


def _rates(x: Floats) -> tuple[Floats, Floats]:
    """Read parameters (log a_1, then inverse softplus of the increments of the logarithms) as (a, b)."""
    steps = np.logaddexp(0.0, x[..., 1:])
    logs = np.concatenate([x[..., :1], x[..., :1] + np.cumsum(steps, -1)], -1)
    rates = np.exp(np.clip(logs, math.log(1e-14), math.log(60.0)))
    return rates[..., 0::2], rates[..., 1::2]


@lru_cache(maxsize=256)
def design_rates(degree: int, n: int, unbounded: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rates (a, b) with nearly the least worst error over n steps.

    Minimises log(|c|^2 |row n of B|^2), |c|^2 over n or, unbounded, over all coefficients, by BFGS with
    gradients from central differences, from a geometric ladder between 0.6/n and 2.5. Results are kept.

    Args:
        degree: m, number of poles.
        n: design length.
        unbounded: calibrate to streams of any length.

    Source: Dvijotham, McMahan, Pillutla, Steinke, Thakurta 2024; pole form derived in docs/privacy.md.
    """
    ladder = np.linspace(math.log(0.6 / n), math.log(2.5), 2 * degree)
    start = np.concatenate([ladder[:1], np.log(np.expm1(np.diff(ladder)))])

    def loss(x: Floats) -> Floats:
        with np.errstate(all="ignore"):
            a, b = _rates(x)
            value = np.log(norm(a, encoder_weights(a, b), math.inf if unbounded else n))
            value = value + np.log(noise_norm(*noise_weights(a, b), n))
        return np.where(np.isfinite(value), value, np.inf)

    x = _bfgs(loss, start)
    a, b = _rates(x)
    return tuple(a.tolist()), tuple(b.tolist())


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
        fresh = gradient(x + moved)
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
