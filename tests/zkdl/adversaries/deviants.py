"""Trainers that take a tensor from the wrong step or the wrong layer, and obey all other rules."""

from __future__ import annotations

import numpy as np

from .trainers import Ints, Tampered

STEP = 3
"""The step that the attacks across steps aim at; the one before it is where they steal."""


class ActivationOfAnotherLayer(Tampered):
    """A_3 is A_2, at every step."""

    def activation(self, layer: int, positive: Ints, sign: Ints) -> Ints:
        out = super().activation(layer, positive, sign)
        if layer == 2:
            self.second = out
        return self.second if layer == 3 else out


class ActivationOfAnotherStep(Tampered):
    """A_2 of one step is that of the step before."""

    def activation(self, layer: int, positive: Ints, sign: Ints) -> Ints:
        out = super().activation(layer, positive, sign)
        if layer != 2:
            return out
        before, self.before = getattr(self, "before", out), out
        return before if self.steps_done == STEP else out


class MaskOfAnotherLayer(Tampered):
    """G_2 is masked with the signs of layer 3."""

    def split(self, layer: int, positive: Ints, sign: Ints) -> tuple[Ints, Ints]:
        if layer == 3:
            self.signs = sign
        return positive, sign

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        return super().gate(layer, gradient, self.signs if layer == 2 else sign)


class MaskOfAnotherStep(Tampered):
    """G_2 of one step is masked with the signs of the step before."""

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        if layer != 2:
            return super().gate(layer, gradient, sign)
        before, self.before = getattr(self, "before", sign), sign
        return super().gate(layer, gradient, before if self.steps_done == STEP else sign)


class GradientOfAnotherLayer(Tampered):
    """G_2 is G_3, at every step."""

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        out = super().gate(layer, gradient, sign)
        if layer == 3:
            self.third = out
        return self.third if layer == 2 else out


class GradientOfAnotherStep(Tampered):
    """G_2 of one step is that of the step before."""

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        out = super().gate(layer, gradient, sign)
        if layer != 2:
            return out
        before, self.before = getattr(self, "before", out), out
        return before if self.steps_done == STEP else out


class LabelsOfAnotherStep(Tampered):
    """The residuals of one step compare with the labels of the step before."""

    def residual(self, output: Ints, y: Ints) -> Ints:
        before, self.before = getattr(self, "before", y), y
        return output - (before if self.steps_done == STEP else y)


class OutputOfAnotherStep(Tampered):
    """The residuals of one step are those of the outputs of the step before."""

    def residual(self, output: Ints, y: Ints) -> Ints:
        before, self.before = getattr(self, "before", output), output
        return (before if self.steps_done == STEP else output) - y


class RecordThatChanges(Tampered):
    """One record has other features when it is met again, one epoch later."""

    def _forward(self, x: Ints, cells: object) -> list[Ints]:
        if self.steps_done == STEP:
            x = x.copy()
            x[0, 0] += 1
        return super()._forward(x, cells)  # type: ignore[arg-type]


class OppositeActivations(Tampered):
    """At one place A_2 is one too large and A_3 one too small."""

    def activation(self, layer: int, positive: Ints, sign: Ints) -> Ints:
        out = super().activation(layer, positive, sign)
        if self.steps_done == STEP and layer in (2, 3):
            out[1, 4] += 1 if layer == 2 else -1
        return out


class ActivationAgainstGradient(Tampered):
    """At one place A_2 is one too large and G_2 one too small."""

    def activation(self, layer: int, positive: Ints, sign: Ints) -> Ints:
        out = super().activation(layer, positive, sign)
        if self.steps_done == STEP and layer == 2:
            out[1, 4] += 1
        return out

    def gate(self, layer: int, gradient: Ints, sign: Ints) -> Ints:
        out = super().gate(layer, gradient, sign)
        if self.steps_done == STEP and layer == 2:
            out[1, 4] -= 1
        return out


class OppositeProducts(Tampered):
    """Z'_l off by d at (step, b, j), for all (step, layer, b, j, d) of ``errors``."""

    errors: tuple[tuple[int, int, int, int, int], ...] = ()
    tensor = "Z"

    def rescaled(self, tensor: str, layer: int, value: Ints, remainder: Ints) -> tuple[Ints, Ints]:
        value = value.copy()
        for step, k, b, j, d in self.errors:
            if (tensor, self.steps_done, layer) == (self.tensor, step, k):
                value[b, j] += d
        return value, remainder


def off_by(*errors: tuple[int, int, int, int, int], tensor: str = "Z") -> type[OppositeProducts]:
    """An `OppositeProducts` of these errors."""
    return type("_OffBy", (OppositeProducts,), {"errors": errors, "tensor": tensor})


class ZeroesAreNegative(Tampered):
    """Every pre-activation of a hidden layer that rounds to zero counts as inactive, at every step."""

    layers: tuple[int, ...] | None = None

    def split(self, layer: int, positive: Ints, sign: Ints) -> tuple[Ints, Ints]:
        if layer < len(self._matrices) and layer in (self.layers or (layer,)):
            zero = (positive == 0) & (sign == 0)
            positive = np.where(zero, self.settings.activation_limit, positive)
            sign = np.where(zero, 1, sign)
        return positive, sign


class ZeroesOfLayerTwoAreNegative(ZeroesAreNegative):
    """In layer 2 alone."""

    layers = (2,)


class RemainderOnTheEdge(Tampered):
    """At ``STEP``, first sample, neuron 0 of layer 1: R = 2^w or R = -1, Z' moved to fit.

    Features cannot be chosen beforehand, because the weights of that step are not known before: the
    trainer changes its own record, which ``features`` then holds.
    """

    high = True
    features: Ints

    def _forward(self, x: Ints, cells: object) -> list[Ints]:
        if self.steps_done == STEP:
            full = 1 << self.settings.weight_scale
            column = self._matrices[0][:, 0]
            bias = int(column[-1]) << self.settings.activation_scale
            target = full // 2 if self.high else full // 2 - 1
            rng = np.random.default_rng(0)
            tries = rng.integers(-8, 9, (16 * full, x.shape[1]))
            found = np.flatnonzero((tries @ column[:-1] + bias) % full == target)
            x[0] = tries[found[0]]
            self.features = x[0].copy()
        return super()._forward(x, cells)  # type: ignore[arg-type]

    def rescaled(self, tensor: str, layer: int, value: Ints, remainder: Ints) -> tuple[Ints, Ints]:
        if (tensor, layer, self.steps_done) == ("Z", 1, STEP):
            full = 1 << self.settings.weight_scale
            assert remainder[0, 0] == (0 if self.high else full - 1)
            move = 1 if self.high else -1
            value, remainder = value.copy(), remainder.copy()
            value[0, 0] -= move
            remainder[0, 0] += move * full
        return value, remainder


class RemainderBelowZero(RemainderOnTheEdge):
    """R = -1."""

    high = False
