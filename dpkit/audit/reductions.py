"""Lower bounds as attacks: streams that turn MaxSum into column averages and SumSelect into many selections.

If the largest column sum is followed with a small error on *these* streams, the answers reveal all column
averages of a private matrix, and that betrays who is in it. So either the error is large or the privacy is
gone: the attacks trace members of the matrix and report how well (AUC; 1/2 is blind).

Source: Jain, Raskhodnikova, Sivakumar, Smith, "The Price of Differential Privacy under Continual Observation"
(2023), for the idea of both reductions; the streams and the tracing scores were worked out for this project.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dpkit.errors import ArgumentError

__all__ = ["TraceReport", "trace_maxsum", "trace_sumselect", "uncomposed_maxsum", "uncomposed_sumselect"]

Rows = NDArray[np.int8]


class _RowMechanism(Protocol):
    def steps(self, rows: Any) -> Any:
        """Take rows (n, d) and return n answers."""


Make = Callable[[int, int], _RowMechanism]


@dataclass(frozen=True)
class TraceReport:
    """How well members of the private matrix were told from fresh rows.

    Args:
        attack: `marginals` (MaxSum) or `selections` (SumSelect).
        auc: probability that a member scores above an outsider; 1/2 is blind, 1 is certain.
        standard_error: of auc, over trials.
        accuracy: mean error of the column averages (marginals), or share of the answers that name a column
            of the block asked for (selections).
        n, d, steps, trials: rows of the matrix, columns, length of a stream, streams.
        seconds: time taken.
    """

    attack: str
    auc: float
    standard_error: float
    accuracy: float
    n: int
    d: int
    steps: int
    trials: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings, for JSON."""
        return dict(vars(self))

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False)


def _auc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Return P(inside > outside) + P(inside = outside)/2."""
    order = np.sort(outside)
    below = np.searchsorted(order, inside, side="left")
    ties = np.searchsorted(order, inside, side="right") - below
    return float((below + 0.5 * ties).mean() / outside.size)


def _marginals(mechanism: _RowMechanism, matrix: Rows) -> NDArray[np.float64]:
    """Return the column averages that the answers reveal, (d,), not clipped.

    After the rows, column j gets n ones and so leads: the largest sum is its own, base + n + n y_j. Then all
    the other columns get n ones, and the next column's turn comes.
    """
    n, d = matrix.shape
    mechanism.steps(matrix)
    averages = np.empty(d)
    for j in range(d):
        unit = np.zeros((n, d), dtype=np.int8)
        unit[:, j] = 1
        answer = float(np.asarray(mechanism.steps(unit), dtype=np.float64)[-1])
        averages[j] = (answer - n * j - n) / n
        if j < d - 1:
            mechanism.steps(1 - unit)
    return averages


def _selections(mechanism: _RowMechanism, matrix: Rows, width: int) -> NDArray[np.int64]:
    """Return the column named after each block of `width` columns was raised, (blocks,)."""
    n, d = matrix.shape
    mechanism.steps(matrix)
    named = np.empty(d // width, dtype=np.int64)
    for b in range(named.size):
        block = np.zeros((n, d), dtype=np.int8)
        block[:, b * width : (b + 1) * width] = 1
        named[b] = int(np.asarray(mechanism.steps(block))[-1])
        if b < named.size - 1:
            mechanism.steps(1 - block)
    return named


def _check(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 2:
            raise ArgumentError(f"{name} must be at least 2, got {value!r}")


def _report(
    attack: str, results: Iterator[tuple[float, float]], n: int, d: int, steps: int, trials: int
) -> TraceReport:
    started = time.perf_counter()
    found = np.array(list(results))
    spread = float(found[:, 0].std(ddof=1)) / math.sqrt(trials)
    return TraceReport(
        attack,
        float(found[:, 0].mean()),
        spread,
        float(found[:, 1].mean()),
        n,
        d,
        steps,
        trials,
        time.perf_counter() - started,
    )


def trace_maxsum(
    make: Make, *, n: int = 8, d: int = 128, trials: int = 20, seed: int | None = None
) -> TraceReport:
    """Run the marginals attack on a mechanism that follows the largest column sum.

    A member's score is sum_j (y_j - p_j)(clip(q_j) - p_j), q the averages that the answers reveal and p the
    public column means: the more a row agrees with what is special about the averages, the likelier it is in.

    Args:
        make: (d, horizon) -> a fresh mechanism with `steps(rows)`.
        n: private rows of a stream.
        d: columns; a stream has 2 n d rows.
        trials: streams, each with a matrix of its own.
        seed: of the matrices; the mechanism's noise is its own.

    >>> import dpkit
    >>> report = trace_maxsum(lambda d, horizon: dpkit.MaxSum(d, horizon=horizon, rho=0.5), d=16, trials=4)
    >>> report.steps
    256
    """
    _check(n=n, d=d, trials=trials)
    rng = np.random.default_rng(seed)

    def results() -> Iterator[tuple[float, float]]:
        for _ in range(trials):
            p = rng.uniform(0.05, 0.95, size=d)
            matrix = (rng.random((n, d)) < p).astype(np.int8)
            outsiders = rng.random((8 * n, d)) < p
            q = _marginals(make(d, 2 * n * d), matrix)
            weights = np.clip(q, 0.0, 1.0) - p
            error = float(np.abs(q - matrix.mean(axis=0)).mean())
            yield _auc((matrix - p) @ weights, (outsiders - p) @ weights), error

    return _report("marginals", results(), n, d, 2 * n * d, trials)


def trace_sumselect(
    make: Make, *, n: int = 6, blocks: int = 96, width: int = 8, trials: int = 20, seed: int | None = None
) -> TraceReport:
    """Run the selections attack on a mechanism that names a column of nearly the largest sum.

    Columns are fair coins. Each block's answer names a column with many ones among the private rows; a
    member's score is its number of ones in the columns named, less one half each.

    Args:
        make: (d, horizon) -> a fresh mechanism with `steps(rows)`; answers are column indices.
        n: private rows of a stream.
        blocks, width: d = blocks * width columns; a stream has 2 n blocks rows.
        trials, seed: as for `trace_maxsum`.

    >>> import dpkit
    >>> make = lambda d, horizon: dpkit.SumSelect(d, horizon=horizon, rho=0.5)
    >>> trace_sumselect(make, blocks=8, width=4, trials=4).d
    32
    """
    _check(n=n, blocks=blocks, width=width, trials=trials)
    rng = np.random.default_rng(seed)
    d = blocks * width

    def results() -> Iterator[tuple[float, float]]:
        for _ in range(trials):
            matrix = rng.integers(0, 2, size=(n, d), dtype=np.int8)
            outsiders = rng.integers(0, 2, size=(8 * n, d), dtype=np.int8)
            named = _selections(make(d, 2 * n * blocks), matrix, width)
            asked = named // width == np.arange(blocks)
            inside = (matrix[:, named] - 0.5) @ asked.astype(np.float64)
            outside = (outsiders[:, named] - 0.5) @ asked.astype(np.float64)
            yield _auc(inside, outside), float(asked.mean())

    return _report("selections", results(), n, d, 2 * n * blocks, trials)


class _Uncomposed:
    """Exact column sums and fresh noise on each answer, calibrated as if it were the only one."""

    def __init__(self, d: int, rho: float, select: bool) -> None:
        self._sums = np.zeros(d)
        self._rho, self._select = rho, select
        self._rng = np.random.default_rng()

    def steps(self, rows: Any) -> NDArray[np.float64]:
        sums = self._sums + np.cumsum(np.asarray(rows), axis=0)
        self._sums = sums[-1]
        if self._select:
            noisy = sums + self._rng.gumbel(scale=1.0 / math.sqrt(8.0 * self._rho), size=sums.shape)
            return noisy.argmax(axis=1).astype(np.float64)
        return np.asarray(
            sums.max(axis=1) + self._rng.normal(scale=math.sqrt(0.5 / self._rho), size=len(sums))
        )


def uncomposed_maxsum(rho: float = 0.5) -> Make:
    """Return the mechanism that forgets composition: each largest sum has the noise of a single answer.

    It is what the marginals attack is made for; *no privacy* is left after many steps.
    """
    return lambda d, horizon: _Uncomposed(d, rho, False)


def uncomposed_sumselect(rho: float = 0.5) -> Make:
    """Return the selection that forgets composition: each step draws a column as if it were the only one."""
    return lambda d, horizon: _Uncomposed(d, rho, True)
