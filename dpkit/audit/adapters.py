"""Mechanisms under test: any object that takes elements one by one, and the library's own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.audit.game import Array, Plays, StreamMechanism
from dpkit.audit.laws import gaussian_log_ratio, prefix_nodes
from dpkit.errors import ArgumentError, DpkitError
from dpkit.guarantee import Guarantee
from dpkit.noise import OSNoise
from dpkit.noise.keystream import Keystream

__all__ = [
    "adapt",
    "continue_or_copy",
    "continue_twice",
    "largest_sum",
    "running_counts",
    "running_sum",
    "shipped",
]

_BUFFER, _WORDS = 1 << 15, 1 << 12


def running_sum(bounds: tuple[float, float] | None = None) -> Callable[[Array], Array]:
    """Return the exact answers of a counter, (runs, steps, k), with elements clipped to the bounds first.

    >>> running_sum((0.0, 1.0))(np.array([[1.0, 5.0, np.nan]])).tolist()
    [[[1.0], [2.0], [2.0]]]
    """

    def truth(streams: Array) -> Array:
        low, high = (-np.finfo(float).max, np.finfo(float).max) if bounds is None else bounds
        clean = np.where(np.isnan(streams), min(max(0.0, low), high), np.clip(streams, low, high))
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.cumsum(clean, axis=1)
        return sums[:, :, None] if sums.ndim == 2 else sums

    return truth


def largest_sum(streams: Array) -> Array:
    """Return the exact answers of MaxSum, (runs, steps, 1), for rows (runs, steps, d)."""
    return np.cumsum(streams >= 0.5, axis=1).max(axis=2, keepdims=True).astype(np.float64)


def running_counts(d: int) -> Callable[[Array], Array]:
    """Return the exact answers of a histogram, (runs, steps, d), for categories (runs, steps)."""
    return lambda streams: np.cumsum(streams[:, :, None] == np.arange(d), axis=1).astype(np.float64)


def _value(answer: Any) -> Any:
    return getattr(answer, "value", answer)


def _step(mechanism: Any, x: Any) -> Any:
    return mechanism.step(x)


def continue_twice(mechanism: Any) -> tuple[Any, Any | None]:
    """Continue what `state` returns twice with `from_state`; return what goes on, and the other or None."""
    if not (hasattr(mechanism, "state") and hasattr(type(mechanism), "from_state")):
        return mechanism, None
    state = mechanism.state()
    first = type(mechanism).from_state(state)
    try:
        return first, type(mechanism).from_state(state)
    except DpkitError:
        return first, None


def continue_or_copy(mechanism: Any) -> tuple[Any, Any | None]:
    """Try `continue_twice`, then `copy`; for mechanisms that promise to refuse copies too."""
    mechanism, other = continue_twice(mechanism)
    for way in (copy.copy, copy.deepcopy):
        if other is None:
            try:
                other = way(mechanism)
            except Exception:  # whatever it raises, it refuses
                continue
    return mechanism, other


class _Looped:
    """One object for each run, fed one by one; an object that raises falls silent, which is an answer too."""

    def __init__(
        self,
        objects: list[Any],
        step: Callable[[Any, Any], Any],
        steps: Callable[[Any, Any], Any] | None,
        fork: Callable[[Any], tuple[Any, Any | None]],
        prepare: Callable[[Array], Any] | None = None,
    ) -> None:
        self._prepare = prepare
        self._objects, self._step, self._steps, self._fork = objects, step, steps, fork
        self._silent = np.zeros(len(objects), dtype=np.bool_)
        self._width = 0

    def step(self, xs: Array) -> Array:
        answers: list[Any] = [None] * len(self._objects)
        cause: Exception | None = None
        elements = xs.tolist() if xs.ndim == 1 else xs
        if self._prepare is not None:
            elements = self._prepare(xs)
        for i, (mechanism, x) in enumerate(zip(self._objects, elements, strict=True)):
            if self._silent[i]:
                continue
            try:
                answers[i] = _value(self._step(mechanism, x))
            except Exception as error:  # an adversary sees that a step fails
                self._silent[i], cause = True, error
        if not self._width:
            if self._silent.all():
                raise ArgumentError(
                    f"the mechanism raised in every game before the first answer: {cause!r}; check the "
                    "adapter's step"
                ) from cause
            self._width = np.size(next(a for a in answers if a is not None))
        if not self._silent.any():
            return np.array(answers, dtype=np.float64).reshape(len(answers), self._width)
        out = np.full((len(answers), self._width), np.nan)
        for i, answer in enumerate(answers):
            if answer is not None:
                out[i] = np.asarray(answer, dtype=np.float64).reshape(-1)
        return out

    def steps(self, xs: Array) -> Array | None:
        if self._steps is None:
            return None
        rows = [self._steps(mechanism, row) for mechanism, row in zip(self._objects, xs, strict=True)]
        out = np.asarray(rows, dtype=np.float64)
        return out[:, :, None] if out.ndim == 2 else out

    def fork(self) -> _Looped | None:
        """Continue every run twice; where the first refuses, so do the others: refusal looks at no data."""
        self._objects[0], other = self._fork(self._objects[0])
        if other is None:
            return None
        pairs = [self._fork(mechanism) for mechanism in self._objects[1:]]
        self._objects[1:] = [first for first, _ in pairs]
        if any(second is None for _, second in pairs):
            return None
        return _Looped([other, *(s for _, s in pairs)], self._step, None, self._fork, self._prepare)


def adapt(
    factory: Callable[[], Any],
    step: Callable[[Any, Any], Any] = _step,
    *,
    promises: Guarantee,
    name: str | None = None,
    steps: Callable[[Any, Any], Any] | None = None,
    fork: Callable[[Any], tuple[Any, Any | None]] = continue_twice,
    neutral: float = 0.0,
    changes: int = 1,
    truth: Callable[[Array], Array] | None = running_sum(),  # noqa: B008
    length: int = 8,
    columns: int | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> StreamMechanism:
    """Return any streaming mechanism, ours or not, as the audit plays it.

    Args:
        factory: makes a fresh mechanism; called once for every game.
        step: (mechanism, element) -> answer: a number, an array, or an object with `.value`. Elements are
            floats, or (d,) arrays. It may raise: an adversary sees that.
        promises: the guarantee under test; its relation is `zero-out` or `replace`.
        name: for reports.
        steps: optionally (mechanism, elements (n,) or (n, d)) -> n answers, for oblivious adversaries.
        fork: how a restart adversary continues one state twice: mechanism -> (one, other), other None where
            it is refused. By default through `state`/`from_state`, where it has them.
        neutral, changes, truth, columns, bounds: as for `StreamMechanism`; `truth` is the running sum by
            default.
        length: steps of a game; at most what the mechanism takes.

    >>> import dpkit
    >>> counter = adapt(lambda: dpkit.Counter(rho=0.5), promises=dpkit.ZCDP(0.5, "zero-out"))
    >>> counter.name
    'Counter'
    """
    if promises.neighbours not in ("zero-out", "replace"):
        raise ArgumentError(
            f"promises must be under 'zero-out' or 'replace', got {promises.neighbours!r}: a step of a "
            "stream cannot be removed"
        )
    if name is None:
        name = type(factory()).__name__
    return StreamMechanism(
        name,
        promises,
        lambda runs: _Looped([factory() for _ in range(runs)], step, steps, fork),
        neutral,
        changes,
        truth,
        steps=length,
        columns=columns,
        bounds=bounds,
    )


class _Stock(OSNoise):
    """Operating-system noise bought in bulk: thousands of short games would each pay for a sampler call."""

    def __init__(self) -> None:
        self._shelves: dict[Any, list[Any]] = {}

    def _take(self, law: str, scale: Any, size: Any) -> Any:
        draw = getattr(super(), law)
        count = 1 if size is None else size
        if not isinstance(count, int) or count > _BUFFER // 4:
            return draw(scale, size)
        shelf = self._shelves.get((law, scale))
        if shelf is None or shelf[1] + count > _BUFFER:
            shelf = self._shelves[law, scale] = [draw(scale, _BUFFER), 0]
        at = shelf[1]
        shelf[1] = at + count
        taken: NDArray[np.int64] = shelf[0][at : at + count]
        return int(taken[0]) if size is None else taken.copy()

    def discrete_gaussian(self, variance: Any, size: Any = None) -> Any:
        return self._take("discrete_gaussian", variance, size)

    def discrete_laplace(self, scale: Any, size: Any = None) -> Any:
        return self._take("discrete_laplace", scale, size)


def _words() -> Callable[[], int]:
    """Return a tap of uniform 64-bit words from the operating system, bought in bulk."""
    stream = Keystream.from_system()
    block: list[int] = []

    def word() -> int:
        if not block:
            block.extend(stream.ready(_WORDS)[:_WORDS].tolist())
            stream.consume(_WORDS)
        return block.pop()

    return word


def _reopened(prototype: Any, stock: _Stock, word: Callable[[], int] | None) -> Any:
    """Return a fresh stream of the prototype's settings; a new design for each game would be slow."""
    fresh = object.__new__(type(prototype))
    fresh.__dict__.update(prototype.__dict__)
    fresh._open(stock) if word is None else fresh._open(stock, word)
    return fresh


def _categories(xs: Any) -> NDArray[np.int64]:
    """Return categories as integers; what is none counts nowhere."""
    return np.where(np.abs(xs) < 2.0**62, np.nan_to_num(xs, posinf=-1.0, neginf=-1.0), -1.0).astype(np.int64)


def shipped(
    kind: type[Any] | Callable[..., Any], *args: Any, name: str | None = None, **settings: Any
) -> StreamMechanism:
    """Return one of the library's streams under audit: the shipped code, restarted for every game.

    Args:
        kind: `dpkit.Counter`, `Histogram`, `MaxSum` or `SumSelect`.
        args, settings: its arguments.
        name: for reports.

    Games are of 8 steps, or of the horizon where that is shorter; `audit_stream(..., steps=)` changes it.

    >>> import dpkit
    >>> shipped(dpkit.Counter, rho=0.5, horizon=8, mechanism="binary").guarantee
    ZCDP(rho=0.5, neighbours='zero-out')
    """
    prototype = kind(*args, **settings)
    label = type(prototype).__name__
    stock = _Stock()
    word = _words() if label == "SumSelect" else None

    def make() -> Any:
        return _reopened(prototype, stock, word) if hasattr(prototype, "_open") else kind(*args, **settings)

    def whole(mechanism: Any, xs: Array) -> Any:
        return mechanism.steps(_categories(xs) if label == "Histogram" else xs)

    prepare = (lambda xs: _categories(xs).tolist()) if label == "Histogram" else None
    bounds: tuple[float, float] = tuple(settings.get("bounds", (0.0, 1.0)))
    d = int(args[0] if args else settings.get("d", 1))
    truths: dict[str, Callable[[Array], Array] | None] = {
        "Counter": running_sum(bounds),
        "Histogram": running_counts(d),
        "MaxSum": largest_sum,
    }
    return StreamMechanism(
        name or f"{label} {getattr(prototype, 'mechanism', '')}".strip(),
        prototype.guarantee,
        lambda runs: _Looped([make() for _ in range(runs)], _step, whole, continue_or_copy, prepare),
        -1.0 if label == "Histogram" else 0.0,
        1,
        truths.get(label),
        steps=min(8, settings.get("horizon") or 8),
        columns=d if label in ("MaxSum", "SumSelect") else None,
        bounds=(0.0, d - 1.0) if label == "Histogram" else bounds,
        log_ratio=_tree_ratio(prototype, running_sum(bounds)) if label == "Counter" else None,
    )


def _tree_ratio(counter: Any, truth: Callable[[Array], Array]) -> Callable[[Plays], Array] | None:
    """Return the likelihood ratio of a binary tree of known horizon; the other mechanisms' is learned."""
    if counter.mechanism != "binary" or counter.horizon is None:
        return None
    nodes = prefix_nodes(min(counter.horizon, 64))
    return gaussian_log_ratio(nodes @ nodes.T * counter.std(1) ** 2, truth)
