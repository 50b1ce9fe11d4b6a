"""The number of distinct items of a stream, with or without deletions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit.continual import choose
from dpkit.continual.blt import LIMIT
from dpkit.continual.design import Design, Engine, Release
from dpkit.continual.settings import GAUSSIAN, Domain, check_count, guarantee_of, read_budget
from dpkit.continual.stream import Stream
from dpkit.continual.workload import Workload
from dpkit.errors import ArgumentError
from dpkit.noise import NoiseSource, OSNoise

__all__ = ["DistinctCount"]

_NAN = ("not a number",)  # equal to no legal item


class DistinctCount(Stream):
    """The number of distinct items present, after every element.

    Args:
        unit: `item`, neighbours differ in all occurrences of one item; or `event`, in one occurrence.
        flips: None where items are only ever added. A number w allows deletions: an item is present while
            more copies of it were added than deleted, and its first w comings and goings count; after that it
            stays as it is, in the count and not in the truth.
        rho, epsilon, delta, horizon, mechanism, expected: as for `Counter`.

    *Privacy*: the counted stream is the change of the number present, elements -1, 0 and 1. Without one item
    at most w of them change, one apart, with alternating signs (w = 1 without deletions): every node of a
    tree changes by at most one, w nodes of a level, and the rational counter's squared norm is at most w
    times that over n/w steps. Without one occurrence and no deletions two elements change, with opposite
    signs; with deletions the path of one item becomes another with as many flips: at most twice the item's
    sensitivity. Items and their numbers of copies are kept in memory, exactly. Proof in docs/privacy.md.

    Source: Jain, Kalemaj, Raskhodnikova, Sivakumar, Smith 2023 (flippancy); constants derived.

    >>> distinct = DistinctCount(rho=0.5, horizon=100)
    >>> distinct.step("a").t
    1
    >>> DistinctCount(rho=0.5, flips=4).steps(["a", "b", "a"], [1, 1, -1]).shape
    (3,)
    """

    _kind = "distinct"

    def __init__(
        self,
        *,
        unit: str = "item",
        flips: int | None = None,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        mechanism: str = "auto",
        expected: int = 1 << 20,
    ) -> None:
        self._domain, designs = _read(unit, flips, rho, epsilon, delta, horizon, mechanism, expected)
        self.unit, self.flips = unit, flips
        self._settings = {
            "unit": unit,
            "flips": flips if flips is None else int(flips),
            "rho": rho if rho is None else float(rho),
            "epsilon": epsilon if epsilon is None else float(epsilon),
            "delta": float(delta),
            "horizon": horizon if horizon is None else int(horizon),
            "mechanism": mechanism,
            "expected": int(expected),
        }
        self.guarantee = guarantee_of(rho, epsilon, delta, "zero-out")
        self._design: Design = designs[0]
        self._open(OSNoise())

    def _open(self, source: NoiseSource) -> None:
        """Start the stream; tests pass seeded noise."""
        self._engine: Engine = self._design.start(source)
        self._items: dict[Any, tuple[int, int, int]] = {}  # copies, flips, and whether it is counted
        self._begin(self._settings["horizon"] or LIMIT)

    @property
    def mechanism(self) -> str:
        """Name of the counter's mechanism."""
        return self._design.name

    def std(self, t: int) -> float:
        """Return the standard deviation of the noise at step t; public."""
        return float(np.sqrt(self._design.variance(check_count(t, "t", 1, self._limit)))) * self._domain.unit

    def step(self, item: object, change: int = 1) -> Release:
        """Take one element and return the noisy number of distinct items.

        Args:
            item: a string, bytes or number; None is no item. All NaN are one item.
            change: 1 adds a copy, -1 deletes one (only with `flips`), 0 does nothing.

        Raises:
            HorizonError, BudgetSpentError: as `Counter.step`.
            ArgumentError: another type, or a change that is not allowed.
        """
        key, change = _key(item), self._changes([change], 1)[0]
        with self._lock:
            self._enter(1)
            value = self._engine.step(self._update(key, change) * self._domain.units(1.0))
            t = self._leave(1)
        return Release(value * self._domain.unit, t, self._design, self._domain.unit)

    def steps(self, items: Iterable[object], changes: ArrayLike | None = None) -> NDArray[np.float64]:
        """Take many elements, and as many changes (default: all 1); return the noisy number after each."""
        keys = [_key(item) for item in on_host(items)]
        signs = [1] * len(keys) if changes is None else self._changes(changes, len(keys))
        with self._lock:
            self._enter(len(keys))
            moves = [self._update(key, sign) for key, sign in zip(keys, signs, strict=True)]
            units = np.array(moves, dtype=np.int64) * np.int64(self._domain.units(1.0))
            values = self._engine.steps(units) * self._domain.unit
            self._leave(len(keys))
        return values

    def _changes(self, changes: ArrayLike, n: int) -> list[int]:
        signs = np.asarray(on_host(changes))
        low = 0 if self.flips is None else -1
        whole = signs.dtype.kind in "iu" or not signs.size
        if not whole or signs.shape != (n,) or (n and (signs.min() < low or signs.max() > 1)):
            raise ArgumentError(
                f"change must be {'0 or 1' if self.flips is None else '-1, 0 or 1'} for each item"
                f"{'; deletions need flips=w' if self.flips is None else ''}, got {changes!r}"
            )
        return [int(sign) for sign in signs]

    def _update(self, key: Any, change: int) -> int:
        """Take one change and return by how much the counted number of items moves."""
        if key is None or change == 0:
            return 0
        if self.flips is None:
            if key in self._items:
                return 0
            self._items[key] = (1, 1, 1)
            return 1
        copies, flips, counted = self._items.get(key, (0, 0, 0))
        copies += change
        present = int(copies > 0)
        if present == counted or flips == self.flips:
            self._items[key] = (copies, flips, counted)
            return 0
        self._items[key] = (copies, flips + 1, present)
        return present - counted

    @classmethod
    def predict(
        cls,
        *,
        unit: str = "item",
        flips: int | None = None,
        rho: float | None = None,
        epsilon: float | None = None,
        delta: float = 0.0,
        horizon: int | None = None,
        expected: int = 1 << 20,
    ) -> list[choose.Prediction]:
        """Return the mechanisms for a request with exact error figures of the noise, best first.

        >>> DistinctCount.predict(rho=0.5, horizon=1000)[0].mechanism
        'blt'
        """
        domain, designs = _read(unit, flips, rho, epsilon, delta, horizon, "auto", expected)
        budget = read_budget(rho, epsilon, delta)
        return choose.predictions(designs, domain, "zero-out", horizon or expected, budget)

    def _describe(self) -> dict[str, Any]:
        return self._design.describe()

    def _export(self) -> dict[str, Any]:
        items = [[*_spell(key), *values] for key, values in self._items.items()]
        return {"engine": self._engine.export(), "items": items}

    def _restore(self, saved: dict[str, Any]) -> None:
        self._engine.restore(saved["engine"])
        for kind, text, copies, flips, counted in saved["items"]:
            self._items[_unspell(kind, text)] = (int(copies), int(flips), int(counted))

    def __repr__(self) -> str:
        return f"DistinctCount({self.unit!r}, {self.mechanism!r}, {self.guarantee!r}, t={self._t})"


def _read(
    unit: str,
    flips: int | None,
    rho: float | None,
    epsilon: float | None,
    delta: float,
    horizon: int | None,
    mechanism: str,
    expected: int,
) -> tuple[Domain, list[Design]]:
    """Return the grid and the designs: a budget share, and how many changes with alternating signs."""
    if unit not in ("item", "event"):
        raise ArgumentError(f"unit must be 'item' or 'event', got {unit!r}")
    changes = 1 if flips is None else check_count(flips, "flips", 1, LIMIT)
    horizon = None if horizon is None else check_count(horizon, "horizon", 1, LIMIT)
    expected = check_count(expected, "expected", 1, LIMIT)
    budget, domain = read_budget(rho, epsilon, delta), Domain.read((0.0, 1.0), None)
    if unit == "event" and flips is None:
        changes = 2
    elif unit == "event":
        budget = budget.part(Fraction(1, 4 if budget.law == GAUSSIAN else 2))
    changes = min(changes, horizon or LIMIT)
    return domain, choose.candidates(
        mechanism, budget, domain, "zero-out", horizon, expected, Workload(changes=changes)
    )


def _key(item: object) -> Any:
    """Return a hashable stand-in for an item, or raise ArgumentError."""
    if isinstance(item, np.generic):
        item = item.item()
    if item is not None and not isinstance(item, str | bytes | int | float):
        raise ArgumentError(f"item must be a string, bytes, a number or None, got {type(item).__name__}")
    return _NAN if item != item else item


def _spell(key: Any) -> tuple[str, str]:
    """Return an item as (kind, text), JSON-ready."""
    if key == _NAN:
        return "nan", ""
    if isinstance(key, str):
        return "str", key
    if isinstance(key, bytes):
        return "bytes", key.hex()
    return ("float", key.hex()) if isinstance(key, float) else ("int", str(int(key)))


def _unspell(kind: str, text: str) -> Any:
    """Read what `_spell` wrote."""
    readers: dict[str, Callable[[str], Any]] = {
        "nan": lambda _: _NAN,
        "str": str,
        "bytes": bytes.fromhex,
        "float": float.fromhex,
        "int": int,
    }
    return readers[kind](text)
