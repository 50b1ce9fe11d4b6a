"""MaxSum and SumSelect: the largest column sum of a stream of 0/1 rows, and the column that holds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.continual.bank import Bank, LeadBank, TreeLeadBank
from dpkit.continual.blt import LIMIT
from dpkit.continual.plans import Columns, Plan, block_noise, counters_design, make_plans
from dpkit.continual.settings import GAUSSIAN, check_count, guarantee_of, read_budget, read_neighbours
from dpkit.continual.stream import Stream
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource, OSNoise, sqrt_up
from dpkit.noise.exact import LazyUniform, below_exp
from dpkit.noise.keystream import Keystream

__all__ = ["MaxSum", "RowRelease", "SumSelect", "select_column"]


class _Fields(NamedTuple):
    value: float
    t: int
    columns: Columns | None
    fixed: float | None


class RowRelease(_Fields):
    """One answer: `value`, `std` (of the noise alone; None for an index) and `t`; immutable."""

    __slots__ = ()

    @property
    def std(self) -> float | None:
        """Standard deviation of the noise; with counters, of each column's."""
        return self.fixed if self.columns is None else math.sqrt(self.columns.variance(self.t))

    def __repr__(self) -> str:
        return f"RowRelease(value={self.value!r}, std={self.std!r}, t={self.t})"


def select_column(sums: NDArray[np.int64], scale: Fraction, word: Callable[[], int]) -> int:
    """Draw column j with probability proportional to exp(sums[j] / scale), exactly.

    A column is proposed uniformly and kept with probability exp(-(max - sums[j]) / scale).

    Args:
        sums: (d,) integers.
        scale: positive rational.
        word: uniform 64-bit words.

    >>> select_column(np.array([0, 10**6]), Fraction(1), Keystream.from_system().word)
    1
    """
    d, top = len(sums), int(sums.max())
    limit = 2**64 - 2**64 % d
    while True:
        w = word()
        if w >= limit:
            continue
        j = w % d
        if below_exp((top - int(sums[j])) / scale, LazyUniform(word(), 64, word)):
            return j


class _RowStream(Stream):
    """What MaxSum and SumSelect share: the rows, the plan, the exact sums or the counters."""

    _select: bool
    _sums: NDArray[np.int64]

    def __init__(
        self,
        d: int,
        *,
        horizon: int,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        mechanism: str = "auto",
        counter: str = "auto",
        neighbours: str = "zero-out",
        sparsity: int | None = None,
        beta: float = 1 / 3,
    ) -> None:
        self._d = check_count(d, "d", 1, 1 << 24)
        self._horizon = check_count(horizon, "horizon", 1, LIMIT)
        self._neighbours = read_neighbours(neighbours)
        self._budget = read_budget(rho, epsilon, delta)
        self._ones = self._d if sparsity is None else check_count(sparsity, "sparsity", 1, self._d)
        self._beta = float(beta)
        request = (self._d, self._horizon, self._budget, self._neighbours)
        self.plan: Plan = make_plans(self._select, mechanism, counter, *request, beta, self._ones)[0]
        self.guarantee = guarantee_of(rho, epsilon, delta, self._neighbours)
        self._settings = {
            "d": self._d,
            "horizon": self._horizon,
            "rho": rho if rho is None else float(rho),
            "epsilon": epsilon if epsilon is None else float(epsilon),
            "delta": float(delta),
            "mechanism": mechanism,
            "counter": counter,
            "neighbours": self._neighbours,
            "sparsity": sparsity if sparsity is None else int(sparsity),
            "beta": float(beta),
        }
        self._open(OSNoise())

    @classmethod
    def predict(
        cls,
        d: int,
        *,
        horizon: int,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        neighbours: str = "zero-out",
        sparsity: int | None = None,
        beta: float = 1 / 3,
    ) -> list[Plan]:
        """Return the mechanisms for a request with their error bounds, the one `auto` takes first.

        Both kinds of counters are in the list, where the budget allows them.

        >>> [(p.mechanism, p.counter) for p in MaxSum.predict(4, horizon=1000, epsilon=1.0)]
        [('blocks', None), ('counters', 'binary')]
        """
        d, horizon = check_count(d, "d", 1, 1 << 24), check_count(horizon, "horizon", 1, LIMIT)
        ones = d if sparsity is None else check_count(sparsity, "sparsity", 1, d)
        request = (d, horizon, read_budget(rho, epsilon, delta), read_neighbours(neighbours))
        return make_plans(cls._select, "auto", "auto", *request, beta, ones)

    def _open(self, source: NoiseSource, word: Callable[[], int] | None = None) -> None:
        """Start the stream; tests pass seeded noise and words."""
        self._source, self._word = source, word
        self._bank: Bank | None = None
        self._design, self._one = None, 1
        self._counters: Columns | None = None
        if self.plan.counter is not None:
            request = (self._d, self._horizon, self._budget, self._neighbours, self._ones)
            self._counters = counters_design(self._select, self.plan.counter, *request)
            self._design, self._one = self._counters.design, self._counters.one
            self._columns = self._d
            lead: type[Bank] = TreeLeadBank if self.plan.counter == "binary" else LeadBank
            self._bank = (lead if self._select else Bank)(self._design, source, self._d)
        self._sums = np.zeros(self._d, dtype=np.int64)
        self._last: Any = 0
        self._rows = 0  # runs ahead of the clock inside `steps`
        self._begin(self._horizon)

    @property
    def mechanism(self) -> str:
        """`blocks` or `counters`."""
        return self.plan.mechanism

    def step(self, row: ArrayLike) -> RowRelease:
        """Take one row and return the answer.

        Args:
            row: (d,) numbers; 1/2 and more count as 1, less and NaN as 0, and so do ones beyond the first
                `sparsity`. Content never raises.

        Raises:
            HorizonError: the horizon is reached; no noise was drawn.
            BudgetSpentError: this process is a copy, or a step was interrupted.
            ArgumentError: the shape or the type is wrong.
        """
        bits = self._bits(row, 1)
        with self._lock:
            self._enter(1)
            if self._bank is not None:
                value = self._from_counters(self._bank.step(bits * self._one)[None])[0]
            else:
                value = self._advance(bits[None])[0]
            t = self._leave(1)
        columns = None if self._select else self._counters
        return RowRelease(value.item(), t, columns, self.std(t) if columns is None else None)

    def steps(self, rows: ArrayLike) -> NDArray[np.float64]:
        """Take many rows, (n, d), and return the answer after each, (n,) float64."""
        bits = self._bits(rows, 2)
        with self._lock:
            self._enter(len(bits))
            out = self._advance(bits)
            self._leave(len(bits))
        return out.astype(np.float64)

    def _bits(self, rows: ArrayLike, axes: int) -> NDArray[np.int64]:
        rows = on_host(rows)
        try:
            values = np.asarray(rows)
        except (ValueError, TypeError):
            raise ArgumentError("rows must be rectangular, got a ragged array") from None
        if values.dtype.kind not in "buif" or values.ndim != axes or values.shape[-1] != self._d:
            shape = f"({self._d},)" if axes == 1 else f"(n, {self._d})"
            raise ArgumentError(
                f"rows must be real numbers of shape {shape}, got shape {values.shape} and dtype "
                f"{values.dtype}"
            )
        bits = (values >= 0.5).astype(np.int64)
        if self._ones < self._d:
            bits &= bits.cumsum(-1) <= self._ones
        return bits

    def _advance(self, bits: NDArray[np.int64]) -> NDArray[Any]:
        """Take rows (n, d) and return the answer after each."""
        if self._bank is not None:
            return self._from_counters(self._bank.steps(bits * self._one))
        answers, done, block = [self._last], 0, self.plan.block
        repeats = [0]
        while done < len(bits):
            piece = bits[done : done + block - self._rows % block]
            self._sums += piece.sum(0)
            self._rows += len(piece)
            done += len(piece)
            repeats[-1] += len(piece)
            if self._rows % block == 0:
                self._last = self._fresh()
                repeats[-1] -= 1
                answers.append(self._last)
                repeats.append(1)
        since = np.arange(self._rows - len(bits) + 1, self._rows + 1) % block
        return self._grown(np.repeat(np.array(answers), repeats), since)

    def _grown(self, answers: NDArray[Any], since: NDArray[np.int64]) -> NDArray[Any]:
        """Return what to say so many steps after the last fresh answers; a selection repeats them."""
        return answers

    def _describe(self) -> dict[str, Any]:
        if self._counters is not None:
            return {**self._counters.design.describe(), "one": self._counters.one}
        plan = self.plan
        return {"mechanism": "blocks", "block": plan.block, "answers": plan.answers, **self._scales()}

    def _export(self) -> dict[str, Any]:
        if self._bank is not None:
            return self._bank.export()
        return {"sums": self._sums.tolist(), "last": self._last, "rows": self._rows}

    def _restore(self, saved: dict[str, Any]) -> None:
        if self._bank is not None:
            self._bank.restore(saved)
            return
        if len(saved["sums"]) != self._d:
            raise ValueError("sums of another number of columns")
        self._sums = np.array(saved["sums"], dtype=np.int64)
        self._last, self._rows = saved["last"], int(saved["rows"])

    def _scales(self) -> dict[str, Any]:
        """Return the scales of a fresh answer's noise, JSON-ready."""
        raise NotImplementedError

    def std(self, t: int) -> float | None:
        """Return the standard deviation of the noise in the answer at step t; None for an index."""
        raise NotImplementedError

    def _fresh(self) -> Any:
        """Return a fresh private answer about the exact sums."""
        raise NotImplementedError

    def _from_counters(self, noisy: NDArray[np.float64]) -> NDArray[Any]:
        """Return the answers as a function of noisy sums (n, d), in grid units."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._d}, {self.plan!r}, {self.guarantee!r}, t={self._t})"


class MaxSum(_RowStream):
    """The largest column sum so far, max_j sum_i x_i[j], after every 0/1 row.

    Args:
        d: number of columns.
        horizon: number of rows T, public.
        rho, or epsilon and delta: the budget of the whole stream.
        mechanism: `blocks`, `counters`, or `auto`, the smallest bound.
        counter: what each column runs under `counters`: `blt`; `binary`, exact integers throughout, and the
            only one for pure budgets; or `auto`, the smaller bound.
        neighbours: `zero-out`, one row counts as zeros; or `replace`, one row is any other.
        sparsity: most ones in a row, public; further ones count as 0. Counters profit from it.
        beta: the bound in `.plan` holds with probability 1 - beta.

    *Privacy*: blocks release max_j S_j every r steps, m times in all. `zero-out` moves all of them by 0 or 1
    in one direction: the answers share one draw, kept for the whole stream, which hides a shift of all of
    them by one half, so that each answer's fresh draw has to hide one half only. The deviation is (1 +
    sqrt m)/sqrt(8 rho), about half of the sqrt(m/(2 rho)) that m changes by 1 need under `replace`,
    whatever d is. In between the last answer grows by half a unit a step, the middle of what may have been
    added. Counters give each column rho/k, or epsilon/k, k the columns that a row may change.

    Source: Jain, Raskhodnikova, Sivakumar, Smith 2023 (the structure); constants derived in docs/privacy.md.

    >>> stream = MaxSum(3, horizon=100, rho=0.5)
    >>> stream.step([1, 0, 1]).t
    1
    """

    _kind = "max-sum"
    _select = False

    def std(self, t: int) -> float | None:
        """Return the standard deviation of the noise; 0 before the first block ends. The lag is apart.

        With counters, of each column's noise.
        """
        if self._counters is not None:
            return math.sqrt(self._counters.variance(t))
        return self._noise.std(self._budget) if t >= self.plan.block else 0.0

    def _open(self, source: NoiseSource, word: Callable[[], int] | None = None) -> None:
        super()._open(source, word)
        if self._bank is None:
            self._noise = block_noise(self._budget, self.plan.answers, self._neighbours, self._beta)
            self._shared = 0 if self._noise.common is None else self._draw(self._noise.common)

    def _draw(self, scale: Fraction) -> int:
        gaussian = self._budget.law == GAUSSIAN
        drawn: int = (self._source.discrete_gaussian if gaussian else self._source.discrete_laplace)(scale)
        return drawn

    def _fresh(self) -> float:
        noise = self._shared + self._draw(self._noise.fresh)
        return ((int(self._sums.max()) << self._noise.bits) + noise) / (1 << self._noise.bits)

    def _grown(self, answers: NDArray[Any], since: NDArray[np.int64]) -> NDArray[Any]:
        return answers + since / 2

    def _scales(self) -> dict[str, Any]:
        noise = self._noise
        return {"scale": str(noise.fresh), "common": str(noise.common), "bits": noise.bits}

    def _export(self) -> dict[str, Any]:
        saved = super()._export()
        return saved if self._bank is not None else {**saved, "shared": str(self._shared)}

    def _restore(self, saved: dict[str, Any]) -> None:
        super()._restore(saved)
        if self._bank is None:
            self._shared = int(saved["shared"])

    def _from_counters(self, noisy: NDArray[np.float64]) -> NDArray[Any]:
        return np.asarray(noisy.max(1) / self._one)


class SumSelect(_RowStream):
    """The index of a column whose sum is nearly the largest, after every 0/1 row.

    Args:
        As for `MaxSum`; the error of an answer is how far its column's sum lies below the largest.

    *Privacy*: blocks draw a column with weights exp(g S_j) every r steps, m times in all. The logarithm of
    such a choice's probability ratio has range at most 2 g under `replace`; under `zero-out`, where all sums
    move one way, at most g. A choice of range e is e^2/8-zCDP and e-DP: g = sqrt(8 rho/m) or epsilon/m, half
    of it under `replace`, rounded down. The draw is exact: uniform proposals, kept with probability
    exp(-g (max S - S_j)). Its time depends on the sums, so it must not be shown. Counters give each column
    rho/k, or epsilon/k, k the columns that a row may change, and take the largest; under `zero-out` a change
    by one half in each of d columns is paid for where that is cheaper.

    Source: Cesar and Rogers 2021 (bounded range); structure as for `MaxSum`.

    >>> stream = SumSelect(3, horizon=100, rho=0.5)
    >>> stream.step([1, 0, 1]).value in (0, 1, 2)
    True
    """

    _kind = "sum-select"
    _select = True

    @property
    def _scale(self) -> Fraction:
        """1/g, rounded up."""
        m, amount = self.plan.answers, self._budget.amount
        one = sqrt_up(m / (8 * amount)) if self._budget.law == GAUSSIAN else m / amount
        return one * (2 if self._neighbours == "replace" else 1)

    def _scales(self) -> dict[str, Any]:
        return {"scale": str(self._scale)}

    def std(self, t: int) -> float | None:
        """Return None: an index has no standard deviation."""
        return None

    def _fresh(self) -> int:
        word = self._word or Keystream.from_system().word
        return select_column(self._sums, self._scale, word)

    def _from_counters(self, noisy: NDArray[np.float64]) -> NDArray[Any]:
        return noisy.argmax(1)
