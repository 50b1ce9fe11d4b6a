"""Many counters side by side: one design, d engines with noise of their own, one clock; and their streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.continual.blt import LIMIT, BLTDesign
from dpkit.continual.design import Design, Release
from dpkit.continual.readers import SumReader
from dpkit.continual.settings import check_count
from dpkit.continual.stream import Stream
from dpkit.noise import NoiseSource

__all__ = ["Bank", "BankedStream", "LeadBank", "TreeLeadBank"]


class Bank:
    """d engines of one design; column j of the elements goes to engine j.

    Args:
        design: what each column runs.
        source: noise.
        d: number of columns.
    """

    def __init__(self, design: Design, source: NoiseSource, d: int) -> None:
        self._engines = [design.start(source) for _ in range(d)]

    def step(self, units: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take one element of each column, (d,), and return the noisy sums, (d,), in grid units."""
        pairs = zip(self._engines, units.tolist(), strict=True)
        return np.array([engine.step(x) for engine, x in pairs], dtype=np.float64)

    def steps(self, units: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take (n, d) elements and return the noisy sums after each, (n, d)."""
        return self.columns(len(units), lambda j: np.ascontiguousarray(units[:, j]))

    def columns(self, n: int, column: Callable[[int], NDArray[np.int64]]) -> NDArray[np.float64]:
        """Take n elements of each column, which `column(j)` returns when it is wanted; as `steps`."""
        out = np.empty((n, len(self._engines)))
        for j, engine in enumerate(self._engines):
            out[:, j] = engine.steps(column(j))
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"all": [engine.export() for engine in self._engines]}

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from `export`."""
        for engine, state in zip(self._engines, saved["all"], strict=True):
            engine.restore(state)


class LeadBank(Bank):
    """Noisy sums relative to the first column's: what is added to all columns alike leaves no trace.

    Released integers are subtracted before they are summed, so answers are functions of exact differences.

    Args:
        design: what each column runs.
        source: noise.
        d: number of columns.
    """

    def __init__(self, design: BLTDesign, source: NoiseSource, d: int) -> None:
        self._columns = [design.start(source) for _ in range(d)]
        self._leads = [SumReader(1.0) for _ in range(d)]

    def step(self, units: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take one element of each column and return the noisy leads over the first column."""
        moves = [engine.release(x) for engine, x in zip(self._columns, units.tolist(), strict=True)]
        return np.array([r.one(move - moves[0]) for r, move in zip(self._leads, moves, strict=True)])

    def columns(self, n: int, column: Callable[[int], NDArray[np.int64]]) -> NDArray[np.float64]:
        """Take n elements of each column; as `step`."""
        out = np.empty((n, len(self._columns)))
        first = self._columns[0].releases(column(0))
        for j, (engine, reader) in enumerate(zip(self._columns, self._leads, strict=True)):
            moves = first if j == 0 else engine.releases(column(j))
            out[:, j] = reader.many(moves - first)
        return out

    def export(self) -> dict[str, Any]:
        """Return the state; secret."""
        return {"all": [[e.export(), r.export()] for e, r in zip(self._columns, self._leads, strict=True)]}

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from `export`."""
        for engine, reader, state in zip(self._columns, self._leads, saved["all"], strict=True):
            engine.restore(state[0])
            reader.restore(state[1])


class TreeLeadBank(Bank):
    """As `LeadBank`, for engines whose answers are integers: sums of a tree's noisy nodes.

    Differences of the answers are sums of the nodes' differences, exactly.
    """

    def step(self, units: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take one element of each column and return the noisy leads over the first column."""
        found = [int(engine.step(x)) for engine, x in zip(self._engines, units.tolist(), strict=True)]
        return np.array([y - found[0] for y in found], dtype=np.float64)

    def columns(self, n: int, column: Callable[[int], NDArray[np.int64]]) -> NDArray[np.float64]:
        """Take n elements of each column; as `step`."""
        out = np.empty((n, len(self._engines)))
        first = self._engines[0].steps(column(0))
        for j, engine in enumerate(self._engines):
            out[:, j] = (engine.steps(column(j)) - first) if j else 0.0
        return out


class BankedStream(Stream):
    """A stream of d numbers an element, each summed by a counter of its own.

    A subclass sets `_d`, `_design`, `_unit`, `_settings` and `guarantee`, and then calls `_open`.
    """

    _d: int
    _design: Design
    _unit: float

    def _open(self, source: NoiseSource) -> None:
        """Start the stream; tests pass seeded noise."""
        self._bank = Bank(self._design, source, self._d)
        self._begin(self._settings["horizon"] or LIMIT)

    @property
    def mechanism(self) -> str:
        """Name of the mechanism in use."""
        return self._design.name

    def std(self, t: int) -> float:
        """Return the standard deviation of the noise of each of the d sums at step t; public."""
        return float(np.sqrt(self._design.variance(check_count(t, "t", 1, self._limit)))) * self._unit

    def _take(self, units: NDArray[np.int64]) -> Release:
        """Take one element, (d,) grid units, and return the noisy sums."""
        with self._lock:
            self._enter(1)
            value = self._bank.step(units)
            t = self._leave(1)
        return Release(value * self._unit, t, self._design, self._unit)

    def _take_all(self, n: int, column: Callable[[int], NDArray[np.int64]]) -> NDArray[np.float64]:
        """Take n elements, column by column, and return the noisy sums after each, (n, d)."""
        with self._lock:
            self._enter(n)
            values = self._bank.columns(n, column)
            self._leave(n)
        return values * self._unit

    def _describe(self) -> dict[str, Any]:
        return self._design.describe()

    def _export(self) -> dict[str, Any]:
        return self._bank.export()

    def _restore(self, saved: dict[str, Any]) -> None:
        self._bank.restore(saved)

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind}({self._d}, {self.mechanism!r}, {self.guarantee!r}, t={self._t})"
