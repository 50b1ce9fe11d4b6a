"""Trainers that break one rule and obey all others, so that the rest of the run stays consistent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from zkdl.protocol.initial import initial_weights
from zkdl.protocol.settings import Settings
from zkdl.training.exact import exact_matmul, rescale
from zkdl.training.trainer import StepTensors, Trainer

Ints = np.ndarray


class Tampered(Trainer):
    """The honest step taken apart, with one method to override for every rule.

    No range is enforced. ``seen_activations[t][l]`` is A_l and ``seen_gradients[t][l - 1]`` G_l, as
    computed with.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.seen_activations: list[list[Ints]] = []
        self.seen_gradients: list[list[Ints]] = []

    def rescaled(self, tensor: str, layer: int, value: Ints, remainder: Ints) -> tuple[Ints, Ints]:
        """F2 for tensor "Z", B2 for "H"."""
        return value, remainder

    def split(self, layer: int, positive: Ints, sign: Ints) -> tuple[Ints, Ints]:
        """F3, first half."""
        return positive, sign

    def activation(self, layer: int, positive: Ints, sign: Ints) -> Ints:
        """F3, second half."""
        return (1 - sign) * positive

    def residual(self, output: Ints, y: Ints) -> Ints:
        """B0 at scale 2^f."""
        return output - y

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        """B3."""
        return (1 - sign) * gradient

    def _forward(self, x: Ints, cells: StepTensors) -> list[Ints]:
        s, activations, inputs = self.settings, x, []
        seen = [x]
        for layer, matrix in enumerate(self._matrices, start=1):
            inputs.append(self._inputs(activations))
            value, remainder = _small(rescale(exact_matmul(inputs[-1], matrix), s.weight_scale))
            value, remainder = self.rescaled("Z", layer, value, remainder)
            sign = (value < 0).astype(np.int64)
            positive, sign = self.split(layer, value + s.activation_limit * sign, sign)
            cells.positive.append(positive)
            cells.sign.append(sign)
            cells.remainder.append(remainder)
            cells.output = positive - s.activation_limit * sign
            activations = self.activation(layer, positive, sign)
            seen.append(activations)
        self.seen_activations.append(seen[:-1])
        return inputs

    def _backward(self, y: Ints, cells: StepTensors) -> list[Ints]:
        s = self.settings
        gradients = [self.residual(cells.output, y) << (s.gradient_scale - s.activation_scale)]
        for layer in range(len(self._matrices) - 1, 0, -1):
            weights = self._matrices[layer][: self.widths[layer]]
            value, remainder = _small(rescale(exact_matmul(gradients[0], weights.T), s.weight_scale))
            value, remainder = self.rescaled("H", layer, value, remainder)
            cells.gradient.insert(0, value)
            cells.gradient_remainder.insert(0, remainder)
            gradients.insert(0, self.gate(layer, value, cells.sign[layer - 1]))
        self.seen_gradients.append(gradients)
        return gradients


def _small(pair: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    return pair[0].astype(np.int64), pair[1].astype(np.int64)


class LeakyRelu(Tampered):
    """At step 0, layer 1, one negative pre-activation passes the ReLU as 5."""

    def activation(self, layer: int, positive: Ints, sign: Ints) -> Ints:
        out = (1 - sign) * positive
        if self.steps_done == 0 and layer == 1:
            out[tuple(np.argwhere(sign == 1)[0])] = 5
        return out


class OpenGate(Tampered):
    """At step 0, layer 1, one inactive neuron passes its gradient."""

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        out = (1 - sign) * gradient
        if self.steps_done == 0 and layer == 1:
            where = tuple(np.argwhere((sign == 1) & (gradient != 0))[0])
            out[where] = gradient[where]
        return out


class SignOfZero(Tampered):
    """Every pre-activation of step 0, layer 1 that rounds to zero is written as -2^(q-1) + 2^(q-1).

    Its neuron then counts as inactive: same output, no gradient. With sign and magnitude this would be
    a second valid witness; in two's complement 2^(q-1) is no P.
    """

    def split(self, layer: int, positive: Ints, sign: Ints) -> tuple[Ints, Ints]:
        if self.steps_done == 0 and layer == 1:
            zero = (positive == 0) & (sign == 0)
            positive = np.where(zero, self.settings.activation_limit, positive)
            sign = np.where(zero, 1, sign)
        return positive, sign


class ShiftedRemainder(Tampered):
    """One remainder of step 0, layer 1 leaves its range by one: R = 2^w or R = -1, Z' moved to fit."""

    high = True

    def rescaled(self, tensor: str, layer: int, value: Ints, remainder: Ints) -> tuple[Ints, Ints]:
        if tensor == "Z" and layer == 1 and self.steps_done == 0:
            full = 1 << self.settings.weight_scale
            edge = remainder[0, 0] == (0 if self.high else full - 1)
            assert edge, "the data was chosen so that the remainder lies on the edge"
            move = 1 if self.high else -1
            value, remainder = value.copy(), remainder.copy()
            value[0, 0] -= move
            remainder[0, 0] += move * full
        return value, remainder


class LowRemainder(ShiftedRemainder):
    """R = -1."""

    high = False


class WrongProduct(Tampered):
    """One rescaled value of step 1 is one too large, its remainder as it was."""

    tensor = "Z"

    def rescaled(self, tensor: str, layer: int, value: Ints, remainder: Ints) -> tuple[Ints, Ints]:
        if tensor == self.tensor and layer == 1 and self.steps_done == 1:
            value = value.copy()
            value[0, 0] += 1
        return value, remainder


class WrongGradientProduct(WrongProduct):
    """The same for H'."""

    tensor = "H"


class OtherLabels(Tampered):
    """The residual of every step uses other labels than the records': the classes in reverse order."""

    def residual(self, output: Ints, y: Ints) -> Ints:
        return output - y[:, ::-1]


def edge_features(widths: tuple[int, ...], settings: Settings, initial_seed: int, high: bool) -> np.ndarray:
    """Features whose first pre-activation leaves a remainder of 0 (high) or 2^w - 1 at step 0."""
    weights, _ = initial_weights(initial_seed, widths, False, settings)
    column = weights[0][:, 0]
    full = 1 << settings.weight_scale
    target = (full // 2 if high else full // 2 - 1) % full
    for features in product(range(-24, 25), repeat=widths[0]):
        if any(features) and int(np.dot(features, column)) % full == target:
            return np.array(features, dtype=np.int64)
    raise AssertionError("no features with this remainder; widen the search")


def skipping(layers: Callable[[int], bool], step: int) -> Callable[[int, Trainer], None]:
    """An ``after_step`` that undoes the update of the layers that ``layers`` picks, at one step."""
    before: dict[int, np.ndarray] = {}

    def after_step(t: int, model: Trainer) -> None:
        if t + 1 == step:
            before.update({k: np.array(m) for k, m in enumerate(model._matrices, start=1)})
        if t == step:
            for k in range(1, len(model._matrices) + 1):
                if layers(k):
                    model._matrices[k - 1] = before[k]

    return after_step


def nudging(step: int, layer: int) -> Callable[[int, Trainer], None]:
    """An ``after_step`` that adds one to one weight after one step."""

    def after_step(t: int, model: Trainer) -> None:
        if t == step:
            model._matrices[layer - 1][0, 0] += 1

    return after_step


def learning_from(rows: np.ndarray, step: int) -> Callable[[int, Trainer], None]:
    """An ``after_step`` that replaces the update of ``step`` by the one that other records give."""
    before: list[np.ndarray] = []

    def after_step(t: int, model: Trainer) -> None:
        if t == step:
            model._matrices = list(before)
            model.step(rows[:, : model.widths[0]], rows[:, model.widths[0] :])
        before[:] = [np.array(m) for m in model._matrices]

    return after_step
