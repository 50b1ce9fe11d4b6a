"""The exact integer step at the speed of float64: weights are doubles that happen to be integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from zkdl.training.exact import rescale
from zkdl.training.step_kernels import add_rows, backward_cells, forward_cells
from zkdl.training.trainer import StepTensors, Trainer

__all__ = ["FastTrainer"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Integers up to here are doubles, and so is every partial sum of a product whose absolute values sum to less.
_EXACT = 1 << 53
# Products put together from limbs are int64; half the range is left for the rounding.
_WHOLE = 1 << 61
_MIN_LIMB_BITS = 4
_INPUT_LIMIT = 1 << 31
# Weights updated at a time: their changes then stay in the cache between the product and the addition.
_UPDATE_ENTRIES = 1 << 20


@dataclass
class _Operand:
    """The small side of a product: inputs or gradients of one batch, integers as doubles.

    Attributes:
        values: (B, k) float64.
        top: No entry is larger in magnitude.
        row_sum: No row has a larger sum of magnitudes.
    """

    values: Floats
    top: int
    row_sum: int


@dataclass
class _Product:
    """sum_k 2^(shift k) parts[k], with every part an exact double."""

    parts: NDArray[np.float64]
    shift: int

    def whole(self) -> Ints:
        """The integers themselves."""
        out = self.parts[-1].astype(np.int64)
        for part in self.parts[-2::-1]:
            out = (out << self.shift) + part.astype(np.int64)
        return out


class FastTrainer(Trainer):
    """`Trainer`, step for step the same integers, at the cost of training in float64.

    The weights are kept as float64 matrices of integers below 2^53, and nothing else of their size is kept.
    With r the largest row sum of |A| and m the largest |W|, known from the step before, every partial sum of
    A W is at most r m: below 2^53 one product of doubles is exact in any order of summation, fused or not.
    Where r m is larger the *small* factor, A or G, is cut into limbs, stacked, and multiplied in one go; the
    weights are never cut. A^T (-mu G) is exact likewise, and the update adds it, a block of rows at a time,
    while the next m is found.

    Whatever these bounds do not cover (weights from 2^53 on, inputs from 2^31 on, very wide layers with very
    large weights) is left to `Trainer`, which takes integers of any magnitude: the step is then repeated from
    its start, before anything was changed.

    Attributes:
        general_steps: How many steps were left to `Trainer`.

    Example:
        >>> from zkdl.protocol.settings import Settings
        >>> trainer = FastTrainer((2, 3, 1), True, Settings(8, 12, 32), 1, initial_seed=1)
        >>> tensors = trainer.step(np.array([[256, 0]]), np.array([[256]]))
        >>> [p.shape for p in tensors.positive], trainer.steps_done, trainer.general_steps
        ([(1, 3), (1, 1)], 1, 0)
    """

    general_steps = 0

    def _start(self, weights: list[Ints], biases: list[Ints]) -> None:
        """Take over the initial weights, layer by layer, so that all of them are never held twice."""
        self._integers: list[Ints] | None = None
        self._doubles: list[Floats] = []
        tops = [max(map(_largest, pair)) for pair in zip_longest(weights, biases)]
        if max(tops) >= _EXACT:
            super()._start(weights, biases)
            return
        self._tops = tops
        for layer in range(len(weights)):
            part = weights.pop(0)
            matrix = np.empty((len(part) + self.bias, part.shape[1]))
            matrix[: len(part)] = part
            if self.bias:
                matrix[-1] = biases[layer]
            self._doubles.append(matrix)

    @property
    def _matrices(self) -> list[Ints]:
        """The weights as integers, converted anew at every look."""
        if self._integers is not None:
            return self._integers
        return [matrix.astype(np.int64) for matrix in self._doubles]

    @_matrices.setter
    def _matrices(self, matrices: Sequence[Ints]) -> None:
        self._tops = [_largest(m) for m in matrices]
        self._integers = list(matrices) if max(self._tops) >= _EXACT else None
        exact = self._integers is None
        self._doubles = [np.ascontiguousarray(m, dtype=np.float64) for m in matrices] if exact else []

    def _matrix(self, number: int) -> Ints:
        if self._integers is not None:
            return self._integers[number - 1]
        return self._doubles[number - 1].astype(np.int64)

    @property
    def weights(self) -> list[Ints]:
        """Current weights at scale 2^w, one new (d_{l-1}, d_l) array per layer."""
        if self._integers is not None:
            return super().weights
        pairs = zip(self._doubles, self.widths[:-1], strict=True)
        return [matrix[:fan_in].astype(np.int64) for matrix, fan_in in pairs]

    @property
    def biases(self) -> list[Ints]:
        """Current biases at scale 2^w, one new (d_l,) array per layer, or the empty list."""
        if self._integers is not None or not self.bias:
            return super().biases
        return [matrix[-1].astype(np.int64) for matrix in self._doubles]

    def outputs(self, x: Ints) -> NDArray:
        """Z'_L for inputs that are not trained on; no range is enforced here.

        Args:
            x: (m, d_0) int64 at scale 2^f.

        Returns:
            (m, d_L) integers at scale 2^f.
        """
        values = x
        for layer in range(1, len(self.widths)):
            operand = self._fed(values, self.widths[layer - 1])
            product = None if operand is None else self._times(operand, layer)
            if product is None:
                return super().outputs(x)
            values, _ = rescale(product.whole(), self.settings.weight_scale)
            if layer < len(self.widths) - 1:
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
        cells = self._fast_step(x, y)
        if cells is None:
            self.general_steps += 1
            return super().step(x, y)
        self.steps_done += 1
        return cells

    def _fast_step(self, x: Ints, y: Ints) -> StepTensors | None:
        """The whole step, or None, with nothing changed, where a bound does not hold."""
        cells = StepTensors()
        inputs = self._fast_forward(x, cells)
        if inputs is None:
            return None
        gradients = self._fast_backward(y, cells)
        if gradients is None:
            return None
        bounds = [
            self.mu * len(x) * a.top * g.top + top
            for a, g, top in zip(inputs, gradients, self._tops, strict=True)
        ]
        if max(bounds) >= _EXACT:
            return None
        for index, (a, g) in enumerate(zip(inputs, gradients, strict=True)):
            self._tops[index] = _update(self._doubles[index], a.values, g.values * -self.mu)
        return cells

    def _fed(self, values: NDArray, width: int) -> _Operand | None:
        """Integers as inputs of a layer, with the constant where there is a bias; None where too large."""
        top = _largest(values)
        if top >= _INPUT_LIMIT:
            return None
        row_sum = int(np.abs(values).sum(axis=1).max(initial=0))
        operand = self._room(len(values), width)
        operand.values[:, :width] = values
        return self._grown(operand, top, row_sum)

    def _room(self, rows: int, width: int) -> _Operand:
        """Inputs to fill in: only the constant, which feeds the bias row, is there."""
        values = np.empty((rows, width + self.bias))
        values[:, width:] = 1 << self.settings.activation_scale
        constant = self.bias << self.settings.activation_scale
        return _Operand(values, constant, constant)

    @staticmethod
    def _grown(operand: _Operand, top: int, row_sum: int) -> _Operand:
        """An operand of `_room` whose other columns were filled in."""
        return _Operand(operand.values, max(operand.top, top), operand.row_sum + row_sum)

    def _times(self, operand: _Operand, layer: int, *, backward: bool = False) -> _Product | None:
        """Inputs times W_l, or gradients times W_l^T without the bias row; None where no limbs fit."""
        if self._integers is not None:
            return None
        matrix, top = self._doubles[layer - 1], self._tops[layer - 1]
        if backward:
            matrix = matrix[: self.widths[layer - 1]].T
        bound = operand.row_sum * top
        if bound < _EXACT:
            return _Product((operand.values @ matrix)[None], 0)
        bits = 52 - (len(matrix) * top).bit_length()
        if bits < _MIN_LIMB_BITS or bound >= _WHOLE:
            return None
        # A sum over limbs of at most 2^bits is at most 2^bits * rows * top < 2^53.
        limbs: list[Floats] = []
        rest = operand.values
        while len(limbs) + 1 < -(-operand.top.bit_length() // bits):
            upper = np.floor(rest * 2.0**-bits)
            limbs.append(rest - upper * 2.0**bits)
            rest = upper
        stacked = np.concatenate([*limbs, rest])
        parts = (stacked @ matrix).reshape(len(limbs) + 1, len(operand.values), matrix.shape[1])
        return _Product(parts, bits)

    def _fast_forward(self, x: Ints, cells: StepTensors) -> list[_Operand] | None:
        """F1 to F3; returns the inputs of every layer, or None where a bound does not hold."""
        s = self.settings
        operand = self._fed(x, self.widths[0])
        inputs = []
        for layer, width in enumerate(self.widths[1:], start=1):
            product = None if operand is None else self._times(operand, layer)
            if operand is None or product is None:
                return None
            inputs.append(operand)
            positive, sign, remainder = (np.empty((len(x), width), dtype=np.int64) for _ in range(3))
            room = self._room(len(x), width)
            fits, row_sum = forward_cells(
                product.parts, product.shift, s.weight_scale, s.activation_limit,
                positive, sign, remainder, room.values,
            )  # fmt: skip
            if not fits:
                values, _ = rescale(product.whole(), s.weight_scale)
                self._in_range(values, s.activation_limit, layer, "pre-activation", "activation_bits")
            operand = self._grown(room, min(s.activation_limit, int(row_sum)), int(row_sum))
            cells.positive.append(positive)
            cells.sign.append(sign)
            cells.remainder.append(remainder)
        cells.output = cells.positive[-1] - s.activation_limit * cells.sign[-1]
        return inputs

    def _fast_backward(self, y: Ints, cells: StepTensors) -> list[_Operand] | None:
        """B0 to B3; returns G_l of every layer, or None where a bound does not hold."""
        s = self.settings
        if _largest(y) >= _INPUT_LIMIT:
            return None
        last = (cells.output - y) << (s.gradient_scale - s.activation_scale)
        size = np.abs(last)
        top = int(size.max(initial=0))
        if top * last.shape[1] >= _EXACT:
            return None
        gradients = [_Operand(last.astype(np.float64), top, int(size.sum(axis=1).max(initial=0)))]
        for layer in range(len(self.widths) - 2, 0, -1):
            product = self._times(gradients[0], layer + 1, backward=True)
            if product is None:
                return None
            shape = len(y), self.widths[layer]
            gradient, remainder = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
            passed = np.empty(shape)
            fits, row_sum, largest = backward_cells(
                product.parts, product.shift, s.weight_scale, s.gradient_limit,
                cells.sign[layer - 1], gradient, remainder, passed,
            )  # fmt: skip
            if not fits:
                values, _ = rescale(product.whole(), s.weight_scale)
                self._in_range(values, s.gradient_limit, layer, "gradient", "gradient_bits")
            cells.gradient.insert(0, gradient)
            cells.gradient_remainder.insert(0, remainder)
            gradients.insert(0, _Operand(passed, int(largest), int(row_sum)))
        return gradients


def _largest(values: Ints | None) -> int:
    """The largest magnitude, also of -2^63; 0 of nothing."""
    return max(int(values.max()), -int(values.min())) if values is not None and values.size else 0


def _update(weights: Floats, inputs: Floats, gradients: Floats) -> int:
    """weights += inputs^T gradients, in place; returns the largest magnitude of the result.

    Args:
        weights: (k, d) float64.
        inputs: (B, k) float64.
        gradients: (B, d) float64.
    """
    rows = max(1, _UPDATE_ENTRIES // weights.shape[1])
    change = np.empty((min(rows, len(weights)), weights.shape[1]))
    peaks = np.empty(weights.shape[1])
    top = 0.0
    for start in range(0, len(weights), rows):
        block = weights[start : start + rows]
        np.matmul(inputs[:, start : start + rows].T, gradients, out=change[: len(block)])
        top = max(top, add_rows(block, change[: len(block)], peaks))
    return int(top)
