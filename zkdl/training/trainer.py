"""Exact fixed-point SGD: the relation that a proof is about, computed in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import RangeOverflowError
from zkdl.protocol.bounds import WEIGHT_LIMIT
from zkdl.protocol.initial import initial_state
from zkdl.protocol.settings import Settings
from zkdl.training.exact import exact_matmul, rescale

__all__ = ["StepTensors", "Trainer"]

Ints = NDArray[np.int64]


@dataclass
class StepTensors:
    """The auxiliary cells of one step, lists indexed by l - 1; each array is (B, d_l) int64.

    Attributes:
        positive: P_l, the lower q_f - 1 bits of Z'_l in two's complement.
        sign: S_l in {0, 1}, 1 where Z'_l is negative.
        remainder: R_l in [0, 2^w) of rescaling Z_l.
        gradient: H'_l for l < L, signed.
        gradient_remainder: R'_l in [0, 2^w) of rescaling H_l, for l < L.
        output: Z'_L, the outputs before this step's update.
    """

    positive: list[Ints] = field(default_factory=list)
    sign: list[Ints] = field(default_factory=list)
    remainder: list[Ints] = field(default_factory=list)
    gradient: list[Ints] = field(default_factory=list)
    gradient_remainder: list[Ints] = field(default_factory=list)
    output: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))


class Trainer:
    """A ReLU network in integers and its SGD steps, starting from public initial weights.

    One step, for l = 1..L forward and then l = L-1..1 backward, all with the weights before the step:

    - F1 Z_l = A_{l-1} W_l (+ 2^f b_l); F2 Z_l + 2^(w-1) = 2^w Z'_l + R_l;
    - F3 Z'_l = P_l - 2^(q_f-1) S_l; A_l = (1 - S_l) P_l;
    - B0 G_L = 2^(g-f) (Z'_L - Y); B1 H_l = G_{l+1} W_{l+1}^T; B2 H_l + 2^(w-1) = 2^w H'_l + R'_l;
    - B3 G_l = (1 - S_l) H'_l; B4 D_l = A_{l-1}^T G_l; U W_l <- W_l - mu D_l, biases with the input 2^f.

    Args:
        widths: (d_0, ..., d_L).
        bias: Whether layers have a bias.
        settings: Fixed-point settings.
        mu: Multiplier of the update.
        initial_seed: Names the base of the initial weights; None for zeros.
        added: Weights and biases to add to the base, lists of arrays at scale 2^w, or None.

    Example:
        >>> trainer = Trainer((2, 3, 1), True, Settings(8, 12, 32), 1, initial_seed=1)
        >>> tensors = trainer.step(np.array([[256, 0]]), np.array([[256]]))
        >>> [p.shape for p in tensors.positive], trainer.steps_done
        ([(1, 3), (1, 1)], 1)
    """

    def __init__(
        self,
        widths: Sequence[int],
        bias: bool,
        settings: Settings,
        mu: int,
        initial_seed: int | None,
        added: tuple[Sequence[Ints], Sequence[Ints]] | None = None,
    ) -> None:
        self.widths = tuple(widths)
        self.bias = bias
        self.settings = settings
        self.mu = mu
        self.steps_done = 0
        self._start(*initial_state(initial_seed, added, widths, bias, settings))

    def _start(self, weights: list[Ints], biases: list[Ints]) -> None:
        """Take over the initial weights; the bias is one more row of them, fed by the constant 2^f."""
        self._matrices = (
            [np.vstack([w, b[None, :]]) for w, b in zip(weights, biases, strict=True)]
            if self.bias
            else weights
        )

    @property
    def weights(self) -> list[Ints]:
        """Current weights at scale 2^w, one (d_{l-1}, d_l) array per layer (views)."""
        return [m[:fan_in] for m, fan_in in zip(self._matrices, self.widths[:-1], strict=True)]

    @property
    def biases(self) -> list[Ints]:
        """Current biases at scale 2^w, one (d_l,) array per layer (views), or the empty list."""
        return [m[-1] for m in self._matrices] if self.bias else []

    def layer(self, number: int) -> tuple[Ints, Ints | None]:
        """Current weights of layer 1 .. L, and its biases if there are any."""
        matrix = self._matrix(number)
        fan_in = self.widths[number - 1]
        return matrix[:fan_in], matrix[-1] if self.bias else None

    def _matrix(self, number: int) -> Ints:
        return self._matrices[number - 1]

    def _inputs(self, activations: Ints) -> Ints:
        if not self.bias:
            return activations
        constant = np.full((len(activations), 1), 1 << self.settings.activation_scale, dtype=np.int64)
        return np.hstack([activations, constant])

    def outputs(self, x: Ints) -> NDArray:
        """Z'_L for inputs that are not trained on; no range is enforced here.

        Args:
            x: (m, d_0) int64 at scale 2^f.

        Returns:
            (m, d_L) integers at scale 2^f.
        """
        values = x
        for layer, matrix in enumerate(self._matrices, start=1):
            values, _ = rescale(exact_matmul(self._inputs(values), matrix), self.settings.weight_scale)
            if layer < len(self._matrices):
                values = np.maximum(values, 0)
        return values

    def step(self, x: Ints, y: Ints) -> StepTensors:
        """Train on one batch.

        Args:
            x: (B, d_0) int64 features at scale 2^f.
            y: (B, d_L) int64 targets at scale 2^f.

        Returns:
            The auxiliary cells of the step.

        Raises:
            RangeOverflowError: A value leaves its range; the weights are then as before the step.
        """
        cells = StepTensors()
        inputs = self._forward(x, cells)
        gradients = self._backward(y, cells)
        updated = []
        for layer, matrix in enumerate(self._matrices, start=1):
            change = exact_matmul(inputs[layer - 1].T, gradients[layer - 1])
            if self.mu * _largest(change) + _largest(matrix) >= WEIGHT_LIMIT:
                self._refuse_weights(layer, matrix - self.mu * change.astype(object))
            updated.append((matrix - self.mu * change).astype(np.int64, copy=False))
        self._matrices = updated
        self.steps_done += 1
        return cells

    def _forward(self, x: Ints, cells: StepTensors) -> list[Ints]:
        """F1 to F3; returns the inputs of every layer, with the constant where there is a bias."""
        s = self.settings
        activations, inputs = x, []
        for layer, matrix in enumerate(self._matrices, start=1):
            inputs.append(self._inputs(activations))
            scaled, remainder = rescale(exact_matmul(inputs[-1], matrix), s.weight_scale)
            values = self._in_range(scaled, s.activation_limit, layer, "pre-activation", "activation_bits")
            sign = (values < 0).astype(np.int64)
            positive = values + s.activation_limit * sign
            activations = (1 - sign) * positive
            cells.positive.append(positive)
            cells.sign.append(sign)
            cells.remainder.append(remainder)
            cells.output = values
        return inputs

    def _backward(self, y: Ints, cells: StepTensors) -> list[Ints]:
        """B0 to B3; returns the gradients G_l of every layer."""
        s = self.settings
        gradient = (cells.output - y) << (s.gradient_scale - s.activation_scale)
        gradients = [gradient]
        for layer in range(len(self._matrices) - 1, 0, -1):
            weights = self._matrices[layer][: self.widths[layer]]
            scaled, remainder = rescale(exact_matmul(gradient, weights.T), s.weight_scale)
            values = self._in_range(scaled, s.gradient_limit, layer, "gradient", "gradient_bits")
            gradient = (1 - cells.sign[layer - 1]) * values
            cells.gradient.insert(0, values)
            cells.gradient_remainder.insert(0, remainder)
            gradients.insert(0, gradient)
        return gradients

    def _in_range(self, values: NDArray, limit: int, layer: int, tensor: str, setting: str) -> Ints:
        bad = (values < -limit) | (values >= limit)
        if not bad.any():
            return values.astype(np.int64, copy=False)
        value = int(values[tuple(np.argwhere(bad)[0])])
        scale_name = "activation_scale" if setting == "activation_bits" else "gradient_scale"
        scale = getattr(self.settings, scale_name)
        raise RangeOverflowError(
            f"step {self.steps_done}, layer {layer}: {tensor} {value} (about {value / 2**scale:.4g} at scale "
            f"2^{scale}) is outside [-{limit}, {limit}); raise Settings.{setting} or lower "
            f"Settings.{scale_name} (a smaller learning rate also keeps values small)",
            step=self.steps_done,
            layer=layer,
            tensor=tensor,
            value=value,
            setting=setting,
        )

    def _refuse_weights(self, layer: int, updated: NDArray) -> None:
        """Raise when a weight really reaches 2^62; the bound before may have been too careful."""
        flat = [int(value) for value in updated.ravel()]
        value = max(flat, key=abs)
        if abs(value) < WEIGHT_LIMIT:
            return
        raise RangeOverflowError(
            f"step {self.steps_done}, layer {layer}: a weight reaches {value}, outside (-2^62, 2^62); "
            "lower Settings.weight_scale or the learning rate",
            step=self.steps_done,
            layer=layer,
            tensor="weight",
            value=value,
            setting="weight_scale",
        )


def _largest(values: NDArray) -> int:
    return max(abs(int(values.max())), abs(int(values.min()))) if values.size else 0
