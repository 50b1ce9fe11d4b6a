"""Cheating parts of a prover: tensors, computations, channels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol.instance import Instance
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.rounds import ProductRounds
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.witness import Witness

from .cases import Run
from .trainers import Tampered

MakeTensors = Callable[[Instance, Witness], Tensors]


def tensors_with(change: Callable[[Tensors], None]) -> MakeTensors:
    """Honest tensors, then one change."""

    def make(instance: Instance, witness: Witness) -> Tensors:
        out = Tensors(instance, witness)
        change(out)
        return out

    return make


def as_computed(model: Tampered) -> MakeTensors:
    """Activations and gradients as a tampered trainer computed with them, whatever the cells say."""

    def change(tensors: Tensors) -> None:
        steps = range(len(model.seen_activations))
        for layer in range(len(tensors.activations)):
            tensors.activations[layer] = np.stack([model.seen_activations[t][layer] for t in steps])
            tensors.gradients[layer + 1] = np.stack([model.seen_gradients[t][layer] for t in steps])

    return tensors_with(change)


def committing(change: Callable[[Tensors], None], poly: str) -> MakeTensors:
    """Like `tensors_with`, recounting the multiplicities after a change of the cells."""

    def both(tensors: Tensors) -> None:
        change(tensors)
        if poly == "cells" and "multiplicities" in tensors.tables:
            tensors.tables["multiplicities"] = tensors._multiplicities()

    return tensors_with(both)


def trained_in(order: np.ndarray) -> Callable[[Instance], Instance]:
    """The instance of someone who trained in another order; the committed records stay the same."""

    def believed(instance: Instance) -> Instance:
        out = Instance(instance.statement, instance.ranges)
        out.__dict__["batch_records"] = order
        out.__dict__["used_records"] = instance.used_records
        return out

    return believed


def stated_as(**fields: Any) -> Callable[[Instance], Instance]:
    """The instance of someone for whom some fields of the statement are different."""

    def believed(instance: Instance) -> Instance:
        return Instance(replace(instance.statement, **fields), instance.ranges)

    return believed


class TrajectoryWork(ProverWork):
    """Matrix products with the weights that a run really used at every step, not the updates' ones."""

    run: Run

    def matmul_rounds(self, points: Any) -> ProductRounds:
        honest = super().matmul_rounds(points)
        assert self._slices is not None
        tables = dict(honest.tables)
        vars_, eq_y = self._instance.width_vars, self._slices.eq_y
        for k in range(1, self._instance.num_layers + 1):
            states = [w[k - 1] for w in self.run.weights]
            columns = [za.multilinear.matvec(w, eq_y[k]) for w in states]
            tables[f"weight{k}"] = self._over_steps(columns, vars_[k - 1])
            if k > 1:
                rows = [za.multilinear.vecmat(eq_y[k - 1], w) for w in states]
                tables[f"weight_back{k}"] = self._over_steps(rows, vars_[k])
            if self._instance.statement.bias:
                values = [za.multilinear.matvec(b[k - 1].reshape(1, -1), eq_y[k]) for b in self.run.biases]
                tables[f"bias{k}"] = self._over_steps(values, 0)
        num_vars = self._instance.step_vars + max(vars_)
        return self._keep("matmul", ProductRounds(tables, honest._terms, num_vars, points.tau_t))

    def _over_steps(self, states: Sequence[np.ndarray], variables: int) -> np.ndarray:
        steps = 1 << self._instance.step_vars
        out = np.zeros((1 << variables, steps, 4), dtype=np.uint64)
        for t in range(steps):
            state = states[min(t, len(states) - 1)]
            out[: len(state), t] = state
        return out.reshape(-1, 4)


def trajectory(run: Run) -> type[TrajectoryWork]:
    """A `TrajectoryWork` of one run."""
    return type("_Trajectory", (TrajectoryWork,), {"run": run})


class LyingAboutCells(ProverWork):
    """Lies about P_1 at the end of the zkReLU sumcheck, by exactly what closes it.

    One committed polynomial then has two claimed values at points of its own: the closing relation of
    the sumcheck holds and only the opening can tell.
    """

    def relu_rounds(self, points: Any) -> Any:
        honest = super().relu_rounds(points)
        handles = {
            "A": {
                "product": points.update.matmul.forward,
                "rho": points.update.forward_rho,
                "y": points.update.forward_y,
            },
            "G": {
                "product": points.update.matmul.backward,
                "rho": points.update.backward_rho,
                "y": points.update.backward_y,
            },
        }
        claim = 0
        for (tensor, layer), weights in points.weights.items():
            for coef, place in weights:
                claim += coef * handles[tensor][place][layer].value
        self._tracked = _Tracked(honest, claim % R)
        return self._tracked

    def evaluate(self, parts: Any) -> int:
        true = super().evaluate(parts)
        tracked = getattr(self, "_tracked", None)
        if tracked is None or parts[0].block != ("positive", 1):
            return true
        self._tracked, rounds = None, tracked.inner
        scale = rounds._scale[0] * rounds.value("EA1") % R * rounds.value("active1") % R
        return (true + (tracked.claim - tracked.true_end()) * pow(scale, -1, R)) % R


class _Tracked:
    """A round prover that also follows the claim as the verifier derives it."""

    def __init__(self, inner: ProductRounds, claim: int) -> None:
        self.inner = inner
        self.claim = claim
        self._sent: list[int] = []

    def coefficients(self, claim: int) -> list[int]:
        assert claim == self.claim
        self._sent = self.inner.coefficients(claim)
        return list(self._sent)

    def bind(self, challenge: int) -> None:
        c = [*self._sent]
        c[0] = (self.claim - sum(c[1:])) * pow(2, -1, R)
        self.claim = sum(v * pow(challenge, k, R) for k, v in enumerate(c)) % R
        self.inner.bind(challenge)

    def true_end(self) -> int:
        out = 0
        for k, term in enumerate(self.inner._terms):
            value = term.coef * self.inner._scale[k]
            for name in term.factors:
                value = value * self.inner.value(name) % R
            out += value
        return out % R


class LyingRoots(ProverWork):
    """Fits the numerator of the table's root so that the two fraction sums agree."""

    def lookup_roots(self) -> list[int]:
        p_c, q_c, i_c, p_d, q_d, i_d, _, q_t, i_t = super().lookup_roots()
        return [p_c, q_c, i_c, p_d, q_d, i_d, (p_c * i_c + p_d * i_d) * q_t % R, q_t, i_t]


class LyingInverse(ProverWork):
    """Fits the inverse of the table's denominator so that the two fraction sums agree."""

    def lookup_roots(self) -> list[int]:
        p_c, q_c, i_c, p_d, q_d, i_d, p_t, q_t, _ = super().lookup_roots()
        return [p_c, q_c, i_c, p_d, q_d, i_d, p_t, q_t, (p_c * i_c + p_d * i_d) * pow(p_t, -1, R) % R]


class LyingHalves(ProverWork):
    """Fits the numerator of the cells' root, and then one half of it, which a join with zero leaves out."""

    _error: int | None = None

    def lookup_roots(self) -> list[int]:
        p_c, q_c, i_c, p_d, q_d, i_d, p_t, q_t, i_t = super().lookup_roots()
        fitted = (p_t * i_t - p_d * i_d) * q_c % R
        self._error = fitted - p_c
        return [fitted, q_c, i_c, p_d, q_d, i_d, p_t, q_t, i_t]

    def lookup_values(self, tree: str) -> list[int]:
        p0, p1, q0, q1 = super().lookup_values(tree)
        if tree == "cells" and self._error is not None:
            p1, self._error = (p1 + self._error * pow(q0, -1, R)) % R, None
        return [p0, p1, q0, q1]


class LyingPair(ProverWork):
    """Fits the cells' root p / q while p + q stays as it is: what a combination with one sees."""

    def lookup_roots(self) -> list[int]:
        p_c, q_c, _, p_d, q_d, i_d, p_t, q_t, i_t = super().lookup_roots()
        fraction = (p_t * i_t - p_d * i_d) % R
        error = (fraction * q_c - p_c) * pow(1 + fraction, -1, R) % R
        p_c, q_c = (p_c + error) % R, (q_c - error) % R
        return [p_c, q_c, pow(q_c, -1, R), p_d, q_d, i_d, p_t, q_t, i_t]


class OtherCells(ProverWork):
    """Commits to cells that are one off in one place, and proves with the right ones."""

    def rows(self, poly: str) -> np.ndarray:
        out = super().rows(poly).copy()
        if poly == "cells":
            out[0, 0] ^= 1
        return out


class FreeLeaves(ProverWork):
    """Gives every P that is out of range the numerator zero in the fraction sum over the cells."""

    def lookup_start(self, challenges: Any) -> None:
        from zkdl.prover import lookup

        honest = lookup._cell_leaves

        def leaves(instance: Instance, tensors: Tensors, c: Any) -> tuple[np.ndarray, np.ndarray]:
            p, q = honest(instance, tensors, c).dense()
            limit = instance.statement.settings.activation_limit
            for block in instance.cells.blocks:
                if block.name[0] == "positive":
                    part = slice(block.offset, block.offset + block.size)
                    p[part][tensors.tables["cells"][part] >= limit] = 0
            return p, q

        with patch("zkdl.prover.lookup._cell_leaves", leaves):
            super().lookup_start(challenges)


def clone(value: Any) -> Any:
    """A deep copy, for looking ahead in a transcript."""
    return copy.deepcopy(value)
