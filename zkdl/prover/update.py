"""Tables of the weight updates: activations and gradients at y and rho, over (b, s)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.instance import Instance
from zkdl.protocol.points import UpdatePoints
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.update import update_terms
from zkdl.prover.matmul import Slices, bind_width
from zkdl.prover.rounds import ProductRounds, Term
from zkdl.prover.tensors import Tensors

Array = NDArray[np.uint64]


def _less_than_table(point: list[int], repeat: int) -> Array:
    """LT(s, point) for every s, each entry repeated for the batch positions below it."""
    weights = [int(v) for v in za.Fr.to_ints(za.multilinear.eq_table(point))]
    out, later = [0] * len(weights), 0
    for s in reversed(range(len(weights))):
        out[s] = later
        later = (later + weights[s]) % R
    return np.repeat(za.Fr.from_ints(out), repeat, axis=0)


def rounds(instance: Instance, tensors: Tensors, slices: Slices, points: UpdatePoints) -> ProductRounds:
    """The sumcheck of `zkdl.protocol.update`."""
    last, vars_ = instance.num_layers, instance.width_vars
    batch, steps = 1 << instance.batch_vars, 1 << instance.step_vars
    m = points.matmul
    eq_rho = [za.multilinear.eq_table(m.rho[:v])[:d] for v, d in zip(vars_, instance.widths, strict=True)]

    def pad(values: Array) -> Array:
        out = np.zeros((steps, batch, 4), dtype=np.uint64)
        out[: values.shape[0], : values.shape[1]] = values
        return out.reshape(-1, 4)

    tables = {"before": _less_than_table(m.rho_t, batch)}
    for k in range(last):
        tables[f"forward_rho{k}"] = pad(bind_width(tensors.activations[k], eq_rho[k]))
    for k in range(1, last):
        tables[f"forward_y{k}"] = pad(slices.forward_y[k])
    for k in range(1, last + 1):
        tables[f"backward_y{k}"] = pad(slices.backward_y[k])
    for k in range(2, last + 1):
        tables[f"backward_rho{k}"] = pad(bind_width(tensors.gradients[k], eq_rho[k]))

    terms = []
    for term in update_terms(instance, points.powers):
        names = ["before"] if term.masked else []
        if term.forward is not None:
            names.append(f"{term.forward[0]}{term.forward[1]}")
        names.append(f"{term.backward[0]}{term.backward[1]}")
        terms.append(Term(term.coef, tuple(names)))
    return ProductRounds(tables, terms, instance.batch_vars + instance.step_vars)
