"""The same network and the same SGD in float64: what fixed point is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatTwin"]

Floats = NDArray[np.float64]


class FloatTwin:
    """A ReLU network in float64, trained on half the squared error.

    Args:
        weights: Initial (d_{l-1}, d_l) weights.
        biases: Initial (d_l,) biases, or the empty list for none.
        rate: Learning rate divided by the batch size.
    """

    def __init__(self, weights: Sequence[Floats], biases: Sequence[Floats], rate: float) -> None:
        self.weights = [np.array(w, dtype=np.float64) for w in weights]
        self.biases = [np.array(b, dtype=np.float64) for b in biases]
        self.rate = rate

    def _layers(self, x: Floats) -> list[Floats]:
        """Pre-activations of every layer."""
        values, out = x, []
        for layer, weight in enumerate(self.weights):
            z = values @ weight + (self.biases[layer] if self.biases else 0.0)
            out.append(z)
            values = np.maximum(z, 0.0)
        return out

    def outputs(self, x: Floats) -> Floats:
        """Network outputs, (m, d_0) to (m, d_L)."""
        return self._layers(x)[-1]

    def step(self, x: Floats, y: Floats) -> Floats:
        """Train on one batch; returns the outputs before the update, (B, d_L)."""
        pre = self._layers(x)
        gradient = pre[-1] - y
        for layer in range(len(self.weights) - 1, -1, -1):
            inputs = np.maximum(pre[layer - 1], 0.0) if layer else x
            change = inputs.T @ gradient
            bias_change = gradient.sum(axis=0)
            if layer:
                gradient = (gradient @ self.weights[layer].T) * (pre[layer - 1] >= 0.0)
            self.weights[layer] -= self.rate * change
            if self.biases:
                self.biases[layer] -= self.rate * bias_change
        return pre[-1]
