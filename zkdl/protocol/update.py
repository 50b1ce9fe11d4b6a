"""B4 and U: weights stay virtual, one sumcheck ties every claim on them to A and G.

W_l at step t is W_0 - mu sum_{s < t} A_{l-1}(s)^T G_l(s), exactly. As multilinear extensions

    W_l(rho_t; x, y) = W_0(x, y) - mu sum_{s, b} LT(s, rho_t) A_{l-1}(s, b, x) G_l(s, b, y)

and the committed difference W_T - W_0 is the same sum without LT. The claims left by the matrix
products and the claim on the final difference at a random point are combined in one sumcheck of
degree three over (b, s). W_0 is public, or a public base plus committed entries: of the latter one
value is claimed, the same combination of evaluations as of the base.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.arguments import random_combination, sumcheck
from zkdl.protocol.channel import Handle, Section
from zkdl.protocol.claims import BlockPart, Claims, Part
from zkdl.protocol.instance import Instance
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.matmul import claimed_scalars
from zkdl.protocol.points import MatmulPoints, UpdatePoints
from zkdl.protocol.publics import Point, less_than
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work


@dataclass(frozen=True)
class UpdateTerm:
    """One product of the combined sum: coef * [LT] * forward * backward.

    ``forward`` and ``backward`` are (family, layer) keys; ``forward`` is None for a bias, whose
    input is the constant that ``coef`` already contains.
    """

    coef: int
    masked: bool
    forward: tuple[str, int] | None
    backward: tuple[str, int]


def update_terms(instance: Instance, powers: list[int]) -> list[UpdateTerm]:
    """The combined sum, in the order of the claims: W, W back, biases, final, final biases."""
    s, last = instance.statement, instance.num_layers
    mu, one = s.mu, 1 << s.settings.activation_scale
    coefs = iter(powers)
    out = []
    for layer in range(1, last + 1):
        out.append(UpdateTerm(-next(coefs) * mu % R, True, ("forward_rho", layer - 1), ("backward_y", layer)))
    for layer in range(2, last + 1):
        out.append(UpdateTerm(-next(coefs) * mu % R, True, ("forward_y", layer - 1), ("backward_rho", layer)))
    if s.bias:
        for layer in range(1, last + 1):
            out.append(UpdateTerm(-next(coefs) * mu * one % R, True, None, ("backward_y", layer)))
    for layer in range(1, last + 1):
        out.append(
            UpdateTerm(-next(coefs) * mu % R, False, ("forward_rho", layer - 1), ("backward_y", layer))
        )
    if s.bias:
        for layer in range(1, last + 1):
            out.append(UpdateTerm(-next(coefs) * mu * one % R, False, None, ("backward_y", layer)))
    return out


def matrix_at(matrix: NDArray[np.int64], row_point: Point, column_point: Point) -> int:
    """MLE of an integer matrix at (row_point, column_point); padding is zero."""
    rows, columns = matrix.shape
    eq_columns = za.multilinear.eq_table(list(column_point))[:columns]
    eq_rows = za.multilinear.eq_table(list(row_point))[:rows]
    inner = za.multilinear.matvec(matrix, eq_columns)
    (value,) = za.Fr.to_ints(za.Fr.inner(inner, eq_rows))
    return int(value)


def vector_at(vector: NDArray[np.int64], point: Point) -> int:
    """MLE of an integer vector; padding is zero."""
    return matrix_at(vector.reshape(1, -1), [], point)


def _final_functionals(instance: Instance, y: list[int], rho: list[int]) -> list[tuple[list[Part], int]]:
    """The committed difference of every layer at (rho_{l-1}, y_l), then of every bias at y_l.

    This is an identity test, so row and column coordinates must be independent: at (y, y) a
    prover could add any antisymmetric matrix to a square layer.
    """
    vars_, layers = instance.width_vars, range(1, instance.num_layers + 1)
    out: list[tuple[list[Part], int]] = [
        (
            [BlockPart("final", ("weight", k), 1, (*y[: vars_[k]], *rho[: vars_[k - 1]]))],
            0,
        )
        for k in layers
    ]
    if instance.statement.bias:
        out += [([BlockPart("final", ("bias", k), 1, tuple(y[: vars_[k]]))], 0) for k in layers]
    return out


def _initial_functional(
    instance: Instance, powers: list[int], y: list[int], rho: list[int]
) -> tuple[list[Part], int]:
    """What is committed of W_0 at (rho, y), then at (y, rho), then of the biases, combined with ``powers``.

    Padding does not count: a handed-on commitment is only trusted for the entries that are weights.
    """
    vars_, d, last = instance.width_vars, instance.widths, instance.num_layers
    coefs = iter(powers)

    def part(name: str, layer: int, rows: list[int]) -> Part:
        columns = y if rows is rho else rho
        point = (*columns[: vars_[layer]], *rows[: vars_[layer - 1]])
        real = ((vars_[layer], d[layer]), (vars_[layer - 1], d[layer - 1]))
        return BlockPart("initial", (name, layer), next(coefs), point, real)

    parts = [part("weight", k, rho) for k in range(1, last + 1)]
    parts += [part("weight", k, y) for k in range(2, last + 1)]
    if instance.statement.bias:
        parts += [
            BlockPart("initial", ("bias", k), next(coefs), tuple(y[: vars_[k]]), ((vars_[k], d[k]),))
            for k in range(1, last + 1)
        ]
    return parts, 0


def update(
    ch: Ledger, instance: Instance, claims: Claims, matmul: MatmulPoints, work: Work | None
) -> UpdatePoints:
    """Prove the updates; leaves claims on A and G at sigma.

    *Transcript*: the final differences at (rho, y); the combination; what it takes of committed initial
    weights, if there are any; the rounds; four families of evaluations; the relation that closes the
    sumcheck.
    """
    ch.section(Section.UPDATE)
    last, vars_ = instance.num_layers, instance.width_vars
    y, rho = matmul.y, matmul.rho
    weights, biases = instance.base
    # The committed difference is tested at (rho, y), a random point of two widths.
    ch.note("update/point", 2 * max(vars_))
    final = claimed_scalars(ch, claims, "update/final", _final_functionals(instance, y, rho), work)

    handles = [
        matmul.weight[k] - matrix_at(weights[k - 1], rho[: vars_[k - 1]], y[: vars_[k]])
        for k in range(1, last + 1)
    ]
    handles += [
        matmul.weight_back[k] - matrix_at(weights[k - 1], y[: vars_[k - 1]], rho[: vars_[k]])
        for k in range(2, last + 1)
    ]
    if instance.statement.bias:
        handles += [matmul.bias[k] - vector_at(biases[k - 1], y[: vars_[k]]) for k in range(1, last + 1)]
    handles += final
    p = UpdatePoints(matmul)
    p.powers, claim = random_combination(ch, "update/combine", handles)
    if instance.commits_initial:
        functional = _initial_functional(instance, p.powers, y, rho)
        (started,) = claimed_scalars(ch, claims, "update/initial", [functional], work)
        claim = claim - started

    num_vars = instance.batch_vars + instance.step_vars
    point, end = sumcheck(ch, "update", claim, num_vars, 3, lambda: work.update_rounds(p))  # type: ignore[union-attr]
    p.sigma_b, p.sigma_s = point[: instance.batch_vars], point[instance.batch_vars :]

    families: list[tuple[str, dict[int, Handle], list[int]]] = [
        ("forward_rho", p.forward_rho, list(range(last))),
        ("forward_y", p.forward_y, list(range(1, last))),
        ("backward_y", p.backward_y, list(range(1, last + 1))),
        ("backward_rho", p.backward_rho, list(range(2, last + 1))),
    ]
    by_family: dict[str, dict[int, Handle]] = {}
    for family, members_handles, members in families:
        sent = ch.scalars(
            f"update/{family}",
            len(members),
            lambda family=family, members=members: [work.update_value(family, m) for m in members],  # type: ignore[union-attr,misc]
        )
        members_handles.update(zip(members, sent, strict=True))
        by_family[family] = members_handles

    before = less_than(p.sigma_s, matmul.rho_t)
    products = []
    for term in update_terms(instance, p.powers):
        coef = term.coef * (before if term.masked else 1) % R
        backward = by_family[term.backward[0]][term.backward[1]]
        if term.forward is None:
            end = end - coef * backward
        else:
            products.append((coef, by_family[term.forward[0]][term.forward[1]], backward))
    ch.require("update/final", products, end)
    return p
