"""What a trainer may do to its weights between steps: `after_step` of `cases.train`, for any step and layer.

Each leaves the cells of every step true to the weights that the step used; only the weights themselves are
not the ones that the updates before give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zkdl.training.trainer import Trainer

from .cases import Run

Hook = Callable[[int, Trainer], None]
Matrices = list[np.ndarray]
Layers = Sequence[int] | None


class _History:
    """The matrices after every step, index 0 before the first; ``change`` edits those after ``step``."""

    def __init__(self, step: int, change: Callable[[list[Matrices], Matrices], Matrices]) -> None:
        self.states: list[Matrices] = []
        self._step, self._change = step, change

    def __call__(self, t: int, model: Trainer) -> None:
        if t == self._step:
            model._matrices = self._change(self.states, [np.array(m) for m in model._matrices])
        self.states.append([np.array(m) for m in model._matrices])


def _picked(layers: Layers, k: int) -> bool:
    return layers is None or k in layers


def dropped(step: int, layers: Layers = None) -> Hook:
    """The update of one step is undone."""
    return _History(
        step,
        lambda before, now: [
            before[step - 1][k - 1] if _picked(layers, k) else m for k, m in enumerate(now, start=1)
        ],
    )


def doubled(step: int, layers: Layers = None) -> Hook:
    """The update of one step is made twice."""
    return _History(
        step,
        lambda before, now: [
            2 * m - before[step - 1][k - 1] if _picked(layers, k) else m for k, m in enumerate(now, start=1)
        ],
    )


def stale_gradient(step: int) -> Hook:
    """The update of the step before is made again, in place of that of ``step``."""
    return _History(
        step,
        lambda before, now: [2 * b - a for a, b in zip(before[step - 2], before[step - 1], strict=True)],
    )


def exchanged_updates(step: int, first: int, second: int) -> Hook:
    """Two layers get each other's update, in the rows and columns that both have."""

    def change(before: list[Matrices], now: Matrices) -> Matrices:
        out = [np.array(m) for m in before[step - 1]]
        rows = min(len(now[first - 1]), len(now[second - 1])) - 1
        for into, source in ((first, second), (second, first)):
            update = now[source - 1] - before[step - 1][source - 1]
            out[into - 1][:rows] += update[:rows]
        return [m if k + 1 in (first, second) else now[k] for k, m in enumerate(out)]

    return _History(step, change)


def spliced(step: int, other: Run, layers: Layers = None) -> Hook:
    """After ``step`` the weights of another run take the place of the own ones."""

    def change(before: list[Matrices], now: Matrices) -> Matrices:
        del before
        theirs = [
            np.vstack([w, b]) for w, b in zip(other.weights[step + 1], other.biases[step + 1], strict=True)
        ]
        return [theirs[k] if _picked(layers, k + 1) else m for k, m in enumerate(now)]

    return _History(step, change)


def stale_weights(step: int) -> Hook:
    """Step ``step`` computes with the weights of the step before; its update goes to the right ones."""
    kept: dict[str, Matrices] = {}

    def after_step(t: int, model: Trainer) -> None:
        now = [np.array(m) for m in model._matrices]
        if t == step - 2:
            kept["stale"] = now
        if t == step - 1:
            kept["true"] = now
            model._matrices = list(kept["stale"])
        if t == step:
            model._matrices = [
                a + m - b for a, b, m in zip(kept["true"], kept["stale"], model._matrices, strict=True)
            ]

    return after_step


def replaced_at_the_start(trainer: type[Trainer], other: Run, layers: Layers) -> Callable[..., Trainer]:
    """A trainer some of whose layers start from the initial weights of another run."""

    def make(*args: object) -> Trainer:
        model = trainer(*args)  # type: ignore[arg-type]
        for k in layers or ():
            model._matrices[k - 1] = np.vstack([other.weights[0][k - 1], other.biases[0][k - 1]])
        return model

    return make
