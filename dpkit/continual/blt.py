"""The rational (BLT) counter in exact integers: a few numbers of state, any horizon, known or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual import blt_rates, kernels
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.settings import Budget
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource

__all__ = ["LIMIT", "BLTDesign", "BLTEngine", "Encoder", "default_degree"]

LIMIT = 1 << 40
"""Steps after which a counter of unknown horizon stops: its calibration counts rounding up to there."""
_SLACK = 2e-3
_WORD, _SIGN = 2**64 - 1, 2**63
_TOP = 36  # log2 of the noise: finer would cost rounding nothing, and the sampler slows down above 2^40


def default_degree(length: int) -> int:
    """Return the number of poles: four come within 0.4 % of the best up to 2^16 steps, six 1.5 % to 2^30."""
    return 4 if length <= 1 << 16 else 6


@dataclass(frozen=True)
class Encoder:
    """The integer form of C.

    y_t = 2^p x_t + floor(sum_i s_i / 2^q), then s_i <- (s_i + omega_i x_t) times t_i, rounded to an integer
    as v - floor(v (1 - t_i)) where t_i >= 1/2 and floor(v t_i) below, the factors in units of 2^-64.

    Args:
        p: y is in units of 2^-p of a grid unit.
        q: the states carry q more bits.
        omega: weights r_i in units of 2^-(p + q).
        factor: 2^64 (1 - t_i), or 2^64 t_i where t_i < 1/2; below 2^63.
        keep: 1 where the factor is of 1 - t_i, else 0.
        width: 64 or 128 where all states fit integers of so many bits, 0 where Python's carry them.
    """

    p: int
    q: int
    omega: tuple[int, ...]
    factor: tuple[int, ...]
    keep: tuple[int, ...]
    width: int

    @classmethod
    def of(cls, a: NDArray[np.float64], r: NDArray[np.float64], p: int, q: int, width: int) -> Encoder:
        """Return the encoder nearest to real rates and weights."""
        gaps = -np.expm1(-a)
        keep = tuple(int(gap <= 0.5) for gap in gaps)
        factor = tuple(
            round(Fraction(float(gap if k else 1.0 - gap)) * 2**64) for gap, k in zip(gaps, keep, strict=True)
        )
        omega = tuple(round(Fraction(float(weight)) * 2 ** (p + q)) for weight in r)
        return cls(p, q, omega, tuple(min(f, 2**63 - 1) for f in factor), keep, width)

    def gaps(self) -> list[Fraction]:
        """Return the exact 1 - t_i in use."""
        shares = [Fraction(f, 1 << 64) for f in self.factor]
        return [g if k else 1 - g for g, k in zip(shares, self.keep, strict=True)]

    def rounding(self) -> float:
        """Return a bound on how far rounding moves the difference of two runs in any y, in units of y.

        Each state's roundings differ by less than 1 a step and decay with t_i: less than 1/(1 - t_i) in all,
        2^-q of it in y; the floor in y adds less than 1.
        """
        return 1.0 + float(sum(1 / g for g in self.gaps())) * 2.0**-self.q * (1 + 1e-12)

    def norm(self, n: float) -> float:
        """Return |c|^2 of the integers in use over n coefficients, in units of one, rounded up."""
        a = np.array([-math.log1p(-float(g)) for g in self.gaps()])
        r = np.array([w / 2.0 ** (self.p + self.q) for w in self.omega])
        return float(blt_rates.norm(a, r, n)) * (1 + 1e-9)


@dataclass(frozen=True)
class BLTDesign:
    """A rational factorisation with m poles, released in integers and decoded afterwards.

    Args:
        budget: rho; pure budgets are refused.
        sensitivity: change D of one element, grid units.
        magnitude: largest |element|, grid units.
        horizon: number of steps, or None: calibrated to streams of any length up to `LIMIT`.
        expected: where the horizon is unknown, the length that the error is tuned for; privacy does not
            depend on it.
        degree: m; None takes `default_degree`.

    *Privacy*: y_t = (C x)_t up to rounding, plus discrete Gaussian noise z_t. One element changes the
    sequence of means by at most S = 2^p D |c| + sqrt(n) R in L2, R the rounding bound, whatever the other
    elements are; so noise of variance S^2/(2 rho) gives rho-zCDP, adaptively chosen streams included. The
    answers are functions of y. Proof in docs/privacy.md.
    """

    budget: Budget
    sensitivity: int
    magnitude: int
    horizon: int | None
    expected: int = 1 << 20
    degree: int | None = None
    name = "blt"

    @property
    def length(self) -> int:
        """The length that the rates are tuned for."""
        return self.horizon or self.expected

    @cached_property
    def rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rates (a, b) of poles and zeros."""
        degree = self.degree or default_degree(self.length)
        a, b = blt_rates.design_rates(degree, max(self.length, 4), self.horizon is None)
        return np.array(a), np.array(b)

    @cached_property
    def encoder(self) -> Encoder:
        """The finest integer form whose noise fits the sampler, compiled where rounding then costs little."""
        a = self.rates[0]
        r = blt_rates.encoder_weights(*self.rates)
        n = math.inf if self.horizon is None else self.horizon
        sigma = self.sensitivity * math.sqrt(float(blt_rates.norm(a, r, n)) / (2 * float(self.budget.amount)))
        p = min(40, math.floor(_TOP - 0.5 - math.log2(sigma)))
        if p < 1:
            raise ArgumentError(
                f"rho = {float(self.budget.amount):.3g} needs noise beyond the sampler's range at this "
                "resolution: raise rho, pass a coarser resolution, or mechanism='hybrid'"
            )
        gaps = -np.expm1(-a)
        reach = math.log2(self.magnitude * float((r / gaps).sum()) + float((1 / gaps).sum()) * 2.0**-p)
        enough = 8 + math.ceil(math.log2(float((1 / gaps).sum())))
        widths = ((64, math.floor(61.5 - p - reach)), (128, 61 - p), (0, enough))
        for width, room in widths:
            if room < 1 or (width == 128 and reach + 61 > 125):
                continue
            encoder = Encoder.of(a, r, p, min(room, enough, 61), width)
            if self._slack(encoder) <= (_SLACK if width else 10 * _SLACK):
                return encoder
        raise ArgumentError(
            f"rho = {float(self.budget.amount):.3g} leaves the integer encoder too few bits for "
            f"{self.horizon or LIMIT} steps: raise rho, pass a coarser resolution, or mechanism='hybrid'"
        )

    def _slack(self, encoder: Encoder) -> float:
        """Return the share of the sensitivity that pays for rounding."""
        n = self.horizon or LIMIT
        return math.sqrt(n) * encoder.rounding() / (2.0**encoder.p * self.sensitivity)

    @cached_property
    def scale(self) -> Fraction:
        """Noise variance of y, rounded up, in squared units of 2^-p."""
        n = math.inf if self.horizon is None else float(self.horizon)
        encoder = self.encoder
        linear = 2.0**encoder.p * self.sensitivity * math.sqrt(encoder.norm(n))
        total = linear + math.sqrt(self.horizon or LIMIT) * encoder.rounding()
        return self.budget.scale(Fraction(total) ** 2 * Fraction(1 + 2.0**-40))

    @cached_property
    def _noise(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        unit = float(self.scale) * 4.0**-self.encoder.p
        return unit, *blt_rates.noise_weights(*self.rates)

    @property
    def state_size(self) -> int:
        """m integers of the encoder, m numbers of the decoder, and the sum."""
        return 2 * len(self.rates[0]) + 1

    def variance(self, t: int) -> float:
        """Return sigma^2 |row t of B|^2."""
        unit, beta, rates = self._noise
        return unit * float(blt_rates.noise_norm(beta, rates, t))

    def mean_variance(self, steps: int) -> float:
        """Return the mean over 1..steps."""
        unit, beta, rates = self._noise
        return unit * blt_rates.noise_norm_sum(beta, rates, steps) / steps

    def worst_variance(self, steps: int) -> float:
        """Return the variance of the last step, the largest."""
        return self.variance(steps)

    def start(self, source: NoiseSource) -> BLTEngine:
        """Return a fresh engine."""
        engine = CompiledBLT if self.encoder.width else BLTEngine
        return engine(self.encoder, NoiseQueue(source, self.budget.law, self.scale))

    def describe(self) -> dict[str, Any]:
        """Return the public parameters."""
        e = self.encoder
        return {
            "mechanism": self.name,
            "p": e.p,
            "q": e.q,
            "omega": [str(w) for w in e.omega],
            "factor": [str(f) for f in e.factor],
            "noise_scale": str(self.scale),
        }


class BLTEngine:
    """The integer encoder, and the decoder that runs the same recursion backwards on the noisy y.

    The decoder solves y = C x for x with the encoder's own factors, so nothing but noise and rounding is left
    in its running sum. It reads y alone: its floats are post-processing.

    Args:
        encoder: the integers that define C.
        queue: noise of y.
    """

    def __init__(self, encoder: Encoder, queue: NoiseQueue) -> None:
        self._encoder, self._queue = encoder, queue
        self._unit = 2.0**-encoder.p
        self._poles = [float(1 - g) for g in encoder.gaps()]
        self._weights = [w / 2.0 ** (encoder.p + encoder.q) for w in encoder.omega]
        self._rows = list(zip(encoder.omega, encoder.factor, encoder.keep, strict=True))
        self._decoder = list(zip(self._poles, self._weights, strict=True))
        self._states = [0] * len(self._poles)
        self._mirror, self._sum = [0.0] * len(self._poles), 0.0

    def encode(self, x: int) -> int:
        """Take one element and return y before noise; nothing else may leave the engine than y with noise."""
        states = self._states
        y = (x << self._encoder.p) + (sum(states) >> self._encoder.q)
        fresh = []
        for s, (omega, factor, keep) in zip(states, self._rows, strict=False):
            v = s + omega * x
            fresh.append(v - (v * factor >> 64) if keep else v * factor >> 64)
        self._states = fresh
        return y

    def step(self, x: int) -> float:
        """Take one element."""
        mirror = self._mirror
        past = 0.0
        for u in mirror:
            past += u
        element = (self.encode(x) + self._queue.next()) * self._unit - past
        self._mirror = [
            pole * (u + weight * element) for u, (pole, weight) in zip(mirror, self._decoder, strict=False)
        ]
        self._sum += element
        return self._sum

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many elements."""
        return np.array([self.step(x) for x in xs.tolist()], dtype=np.float64)

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"states": [str(s) for s in self._states], "mirror": list(self._mirror), "sum": self._sum}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        self._states = [int(s) for s in state["states"]]
        self._mirror, self._sum = list(state["mirror"]), state["sum"]


class CompiledBLT(BLTEngine):
    """The same engine in integers of 64 or 128 bits; equal to its parent, answer by answer."""

    def __init__(self, encoder: Encoder, queue: NoiseQueue) -> None:
        super().__init__(encoder, queue)
        wide = encoder.width == 128
        self._step: Any = kernels.blt_step_wide if wide else kernels.blt_step
        self._fill: Any = kernels.blt_fill_wide if wide else kernels.blt_fill
        self._load()

    def _load(self) -> None:
        e = self._encoder
        low = [(s & _WORD) - ((s & _SIGN) << 1) for s in self._states]  # the low word, read as signed
        high = [s >> 64 for s in self._states]
        self._integers = np.array([e.omega, e.factor, e.keep, low, high], dtype=np.int64)
        self._floats = np.array([self._poles, self._weights, self._mirror])

    def encode(self, x: int) -> int:
        """Not used here: the loop keeps y to itself."""
        raise NotImplementedError

    def step(self, x: int) -> float:
        """Take one element."""
        e = self._encoder
        self._sum += self._step(x, self._queue.next(), self._integers, self._floats, e.p, e.q, self._unit)
        return self._sum

    def steps(self, xs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take many elements."""
        e, out, noise = self._encoder, np.empty(xs.size), self._queue.ahead(xs.size)
        self._sum = float(
            self._fill(xs, out, noise, self._integers, self._floats, e.p, e.q, self._unit, self._sum)
        )
        self._queue.consume(noise, xs.size)
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        low, high = self._integers[3].tolist(), self._integers[4].tolist()
        if self._encoder.width == 128:
            self._states = [(h << 64) + (w & _WORD) for w, h in zip(low, high, strict=True)]
        else:
            self._states = low
        self._mirror = self._floats[2].tolist()
        return super().export()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `export`."""
        super().restore(state)
        self._load()
