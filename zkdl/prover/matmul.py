"""Tables of the matrix products: activations and gradients at tau_b, virtual weights at y."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.instance import Instance
from zkdl.protocol.matmul import bias_factor
from zkdl.protocol.points import MatmulPoints
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.rounds import ProductRounds, Term
from zkdl.prover.tensors import Tensors

Array = NDArray[np.uint64]


class Slices:
    """Activations and gradients with the width axis bound to y, which two arguments share.

    Attributes:
        forward_y: layer -> A_l(s, b, y_l), (T, B, 4), for l = 1 .. L-1.
        backward_y: layer -> G_l(s, b, y_l), (T, B, 4), for l = 1 .. L.
        eq_y: layer -> eq(y_l, .) over the d_l real entries.
    """

    def __init__(self, instance: Instance, tensors: Tensors, points: MatmulPoints) -> None:
        self.eq_y = [
            za.multilinear.eq_table(points.y[:v])[:d]
            for v, d in zip(instance.width_vars, instance.widths, strict=True)
        ]
        self.forward_y = {
            layer: bind_width(tensors.activations[layer], self.eq_y[layer])
            for layer in range(1, instance.num_layers)
        }
        self.backward_y = {
            layer: bind_width(tensors.gradients[layer], self.eq_y[layer])
            for layer in range(1, instance.num_layers + 1)
        }


def bind_width(tensor: NDArray[np.int64], eq: Array) -> Array:
    """sum_j tensor[t, b, j] eq_j: (T, B, d) integers and (d, 4) to (T, B, 4)."""
    steps, batch, width = tensor.shape
    return za.multilinear.matvec(tensor.reshape(steps * batch, width), eq).reshape(steps, batch, 4)


def bind_batch(tensor: NDArray[np.int64], eq: Array, size: int, step_vars: int) -> Array:
    """sum_b eq_b tensor[t, b, j] laid out as (j, t), padded: flat (size << step_vars, 4)."""
    steps, batch, width = tensor.shape
    flat = np.ascontiguousarray(tensor.transpose(1, 2, 0)).reshape(batch, width * steps)
    bound = za.multilinear.vecmat(eq, flat).reshape(width, steps, 4)
    out = np.zeros((size, 1 << step_vars, 4), dtype=np.uint64)
    out[:width, :steps] = bound
    return out.reshape(-1, 4)


def _states(initial: Array, changes: list[Array], mu: int, size: int, step_vars: int) -> Array:
    """W_t = initial - mu * (changes before t) for every t, as (j, t), padded.

    Steps past the last one keep the final state: that is what the less-than polynomial of the
    update argument says.
    """
    width = len(initial)
    out = np.zeros((size, 1 << step_vars, 4), dtype=np.uint64)
    minus_mu = za.Fr.from_ints([-mu % R])
    state = initial
    for t in range(1 << step_vars):
        out[:width, t] = state
        if t < len(changes):
            state = za.Fr.add(state, za.Fr.mul(changes[t], minus_mu))
    return out.reshape(-1, 4)


def rounds(instance: Instance, slices: Slices, points: MatmulPoints, tensors: Tensors) -> ProductRounds:
    """The sumcheck of `zkdl.protocol.matmul`."""
    s, last, vars_ = instance.statement, instance.num_layers, instance.width_vars
    steps, step_vars = s.steps, instance.step_vars
    eq_b = za.multilinear.eq_table(points.tau_b)[: s.batch_size]
    weights, biases = tensors.initial
    tables: dict[str, Array] = {}
    terms: list[Term] = []

    for k in range(1, last + 1):
        before, v = tensors.activations[k - 1], vars_[k - 1]
        tables[f"forward{k - 1}"] = bind_batch(before, eq_b, 1 << v, step_vars)
        changes = [za.multilinear.vecmat(slices.backward_y[k][t], before[t]) for t in range(steps)]
        start = za.multilinear.matvec(weights[k - 1], slices.eq_y[k])
        tables[f"weight{k}"] = _states(start, changes, s.mu, 1 << v, step_vars)
        terms.append(Term(points.powers[k - 1], (f"forward{k - 1}", f"weight{k}")))
    for k in range(2, last + 1):
        after, v = tensors.gradients[k], vars_[k]
        tables[f"backward{k}"] = bind_batch(after, eq_b, 1 << v, step_vars)
        changes = [za.multilinear.vecmat(slices.forward_y[k - 1][t], after[t]) for t in range(steps)]
        start = za.multilinear.vecmat(slices.eq_y[k - 1], weights[k - 1])
        tables[f"weight_back{k}"] = _states(start, changes, s.mu, 1 << v, step_vars)
        names = (f"backward{k}", f"weight_back{k}")
        terms.append(Term(points.powers[last + k - 2], names))
    if s.bias:
        one = 1 << s.settings.activation_scale
        real = np.zeros(1 << step_vars, dtype=np.int64)
        real[:steps] = 1
        tables["real"] = za.Fr.from_int64(real)
        constant = bias_factor(instance, points)
        for k in range(1, last + 1):
            changes = [za.Fr.sum(slices.backward_y[k][t]) for t in range(steps)]
            start = za.multilinear.matvec(biases[k - 1].reshape(1, -1), slices.eq_y[k])
            tables[f"bias{k}"] = _states(start, changes, s.mu * one, 1, step_vars)
            terms.append(Term(points.powers[k - 1] * constant % R, ("real", f"bias{k}")))
    return ProductRounds(tables, terms, step_vars + max(vars_), points.tau_t)
