"""Training without commitments: the loop that `train` and long accuracy runs share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.initial import initial_state
from zkdl.protocol.sampling import batches
from zkdl.protocol.settings import Settings, as_learning_rate
from zkdl.training.fast import FastTrainer
from zkdl.training.history import Evaluation, History, accuracy, loss
from zkdl.training.quantise import check_features, check_targets, quantise
from zkdl.training.trainer import StepTensors
from zkdl.training.twin import FloatTwin

__all__ = ["Fit", "Plan", "Progress", "fit"]

Progress = Callable[[str, float], None]
_EVALUATION_ROWS = 1024


@dataclass(frozen=True)
class Plan:
    """Checked inputs of one training run.

    Attributes:
        features, targets: (n, d_0) and (n, d_L) float64.
        data: (n, d_0 + d_L) int64 at scale 2^f, features then targets.
        test: Held-out features and targets as float64, or None.
        classes: Number of classes, None for regression.
        widths, bias, settings, batch_size, steps, learning_rate, seed, initial_seed, first_step: As in the
            statement.
        added: Weights and biases on top of those of the seed, or None.
    """

    features: NDArray[np.float64]
    targets: NDArray[np.float64]
    data: NDArray[np.int64]
    test: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    classes: int | None
    widths: tuple[int, ...]
    bias: bool
    settings: Settings
    batch_size: int
    steps: int
    learning_rate: Fraction
    seed: int
    initial_seed: int | None
    first_step: int = 0
    added: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] | None = None

    @classmethod
    def make(
        cls,
        X: object,
        y: object,
        *,
        hidden: Sequence[int],
        steps: int,
        batch_size: int,
        learning_rate: Fraction | str | int | float,
        seed: int,
        initial_seed: int | None,
        settings: Settings | None,
        bias: bool,
        classes: int | None,
        test: tuple[object, object] | None,
    ) -> Plan:
        """Check and quantise everything that `train` is given; raises InputError naming the argument."""
        rate = as_learning_rate(learning_rate)
        if not isinstance(hidden, (Sequence, np.ndarray)) or isinstance(hidden, (str, bytes)):
            raise InputError(f"hidden must be a sequence of layer widths, got {hidden!r}")
        inner = tuple(_positive("hidden", width) for width in hidden)
        batch_size, steps = _positive("batch_size", batch_size), _positive("steps", steps)
        seed = _positive("seed", seed, low=0)
        initial_seed = seed if initial_seed is None else _positive("initial_seed", initial_seed, low=0)
        if not isinstance(bias, (bool, np.bool_)):
            raise InputError(f"bias must be True or False, got {bias!r}")
        features = check_features(X)
        targets, classes = check_targets(y, len(features), classes)
        if batch_size > len(features):
            raise InputError(
                f"batch_size must be at most the number of records {len(features)}, got {batch_size}"
            )
        if settings is None:
            settings = Settings.choose(batch_size, rate)
        elif not isinstance(settings, Settings):
            raise InputError(f"settings must be zkdl.Settings, got {type(settings).__name__}")
        settings.multiplier(batch_size, rate)
        held_out = None
        if test is not None:
            x_test = check_features(test[0], "X_test")
            y_test, _ = check_targets(test[1], len(x_test), classes, "y_test")
            if (x_test.shape[1], y_test.shape[1]) != (features.shape[1], targets.shape[1]):
                raise InputError(
                    f"test has {x_test.shape[1]} features and {y_test.shape[1]} outputs, expected "
                    f"{features.shape[1]} and {targets.shape[1]}"
                )
            held_out = (x_test, y_test)
        data = np.hstack([quantise(features, settings, "X"), quantise(targets, settings, "y")])
        widths = (features.shape[1], *inner, targets.shape[1])
        return cls(
            features, targets, data, held_out, classes, widths, bool(bias), settings,
            batch_size, steps, rate, seed, initial_seed,
        )  # fmt: skip

    @property
    def mu(self) -> int:
        """Multiplier of the update."""
        return self.settings.multiplier(self.batch_size, self.learning_rate)


@dataclass
class Fit:
    """A finished training run, without commitments.

    Attributes:
        weights, biases: Final integers at scale 2^w.
        initial: The same before the first step.
        twin: The float64 network after the same steps, or None.
        history: Loss and accuracy per step.
        settings: Fixed-point settings that were used.
    """

    weights: list[NDArray[np.int64]]
    biases: list[NDArray[np.int64]]
    initial: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]
    twin: FloatTwin | None
    history: History
    settings: Settings


def fit(
    X: object,
    y: object,
    *,
    hidden: Sequence[int] = (64, 64),
    steps: int = 8,
    batch_size: int = 64,
    learning_rate: Fraction | str | int | float = "1/64",
    seed: int = 1,
    initial_seed: int | None = None,
    settings: Settings | None = None,
    bias: bool = True,
    classes: int | None = None,
    test: tuple[object, object] | None = None,
    twin: bool = True,
    progress: Progress | None = None,
) -> Fit:
    """Train in fixed point beside a float64 twin, keeping no witness and committing to nothing.

    Arguments and errors are those of `zkdl.train`; ``twin=False`` leaves the float64 run out.

    Example:
        >>> X = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> result = fit(X, [0, 1], hidden=(4,), steps=3, batch_size=2, learning_rate="1/4")
        >>> len(result.history.loss), result.weights[0].shape
        (3, (2, 4))
    """
    plan = Plan.make(
        X, y, hidden=hidden, steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed,
        initial_seed=initial_seed, settings=settings, bias=bias, classes=classes, test=test,
    )  # fmt: skip
    return run_plan(plan, twin=twin, progress=progress)


def run_plan(
    plan: Plan,
    *,
    twin: bool = True,
    on_step: Callable[[int, StepTensors], None] | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Run the steps of a plan; ``on_step`` receives the cells of each step."""
    indices = batches(plan.seed, len(plan.data), plan.batch_size, plan.steps, plan.first_step)
    initial = initial_state(plan.initial_seed, plan.added, plan.widths, plan.bias, plan.settings)
    trainer = FastTrainer(plan.widths, plan.bias, plan.settings, plan.mu, None, initial)
    float_twin = _float_twin(plan, initial) if twin else None
    history = History()
    features = plan.widths[0]
    for step, batch in enumerate(indices):
        rows = plan.data[batch]
        cells = trainer.step(rows[:, :features], rows[:, features:])
        if on_step is not None:
            on_step(step, cells)
        _note(plan, history, "", cells.output / 2.0**plan.settings.activation_scale, batch)
        if float_twin is not None:
            _note(plan, history, "twin_", float_twin.step(plan.features[batch], plan.targets[batch]), batch)
        if progress is not None:
            progress("train", (step + 1) / plan.steps)
    history.train = _evaluate(plan, trainer, float_twin, plan.features, plan.targets)
    if plan.test is not None:
        history.test = _evaluate(plan, trainer, float_twin, *plan.test)
    return Fit(trainer.weights, trainer.biases, initial, float_twin, history, plan.settings)


def _float_twin(plan: Plan, initial: tuple[list[NDArray], list[NDArray]]) -> FloatTwin:
    scale = 2.0**plan.settings.weight_scale
    weights, biases = ([array / scale for array in arrays] for arrays in initial)
    return FloatTwin(weights, biases, float(plan.learning_rate / plan.batch_size))


def _note(plan: Plan, history: History, prefix: str, outputs: NDArray, batch: NDArray[np.int64]) -> None:
    targets = plan.targets[batch]
    getattr(history, prefix + "loss").append(loss(outputs, targets))
    if plan.classes is not None:
        getattr(history, prefix + "accuracy").append(accuracy(outputs, targets))


def _evaluate(
    plan: Plan, trainer: FastTrainer, twin: FloatTwin | None, x: NDArray[np.float64], y: NDArray[np.float64]
) -> Evaluation:
    scale = plan.settings.activation_scale
    parts = []
    for start in range(0, len(x), _EVALUATION_ROWS):
        # Held-out records need not fit the committed range: they are only looked at.
        quantised = np.rint(np.ldexp(np.clip(x[start : start + _EVALUATION_ROWS], -1e6, 1e6), scale))
        parts.append(trainer.outputs(quantised.astype(np.int64)).astype(np.float64) / 2.0**scale)
    outputs = np.vstack(parts)
    classify = plan.classes is not None
    twin_outputs = None if twin is None else twin.outputs(x)
    return Evaluation(
        len(x),
        loss(outputs, y),
        accuracy(outputs, y) if classify else None,
        None if twin_outputs is None else loss(twin_outputs, y),
        None if twin_outputs is None or not classify else accuracy(twin_outputs, y),
    )


def _positive(name: str, value: object, low: int = 1) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < low:
        kind = "positive" if low else "non-negative"
        raise InputError(f"{name} must be a {kind} integer, got {value!r}")
    return int(value)
