"""F1, F2, B1, B2: the matrix products of the forward and the backward pass, all layers and steps.

For random (tau_b, tau_t) and y, with y_l the first coordinates of y for width d_l:

    Z_l(tau, y_l) = sum_t eq(tau_t, t) [ sum_x A_{l-1}(t, tau_b, x) W_l(t, x, y_l) + 2^f bias_l(t, y_l) ]
    H_l(tau, y_l) = sum_t eq(tau_t, t)   sum_k G_{l+1}(t, tau_b, k) W_{l+1}(t, y_l, k)

The left sides are linear in the cells (F2, B2). One sumcheck of degree two over (t, x), with eq(tau_t, t)
as its factor, proves a random combination of all of them; narrower layers join in later rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from zkdl.protocol.arguments import random_combination, sumcheck
from zkdl.protocol.channel import Handle, Section
from zkdl.protocol.claims import BlockPart, Claims, Part
from zkdl.protocol.instance import Instance
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.points import MatmulPoints
from zkdl.protocol.publics import prefix
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work


def limb_parts(
    instance: Instance, name: str, layer: int, coef: int, point: tuple[int, ...]
) -> list[BlockPart]:
    """coef * sum_k 2^(offset of limb k) limb_k(point)."""
    parts, shift = [], 0
    for k, width in enumerate(instance.statement.settings.limb_widths):
        parts.append(BlockPart("cells", (name, layer, k), (coef << shift) % R, point))
        shift += width
    return parts


def rescaled_parts(instance: Instance, layer: int, coef: int, point: tuple[int, ...]) -> list[BlockPart]:
    """coef * Z'_l(point) = coef * (P - 2^(q_f - 1) S)(point): F3 in two's complement."""
    s = instance.statement.settings
    return [
        BlockPart("cells", ("positive", layer), coef % R, point),
        BlockPart("cells", ("sign", layer), -(coef << (s.activation_bits - 1)) % R, point),
    ]


def _pre_activation(instance: Instance, layer: int, points: MatmulPoints) -> tuple[list[Part], int]:
    """Z_l = 2^w Z'_l + R_l - 2^(w-1) on real entries (F2), as parts and a public constant."""
    w = instance.statement.settings.weight_scale
    width_point = points.y[: instance.width_vars[layer]]
    point = (*points.tau_b, *points.tau_t, *width_point)
    parts: list[Part] = [*rescaled_parts(instance, layer, 1 << w, point)]
    parts += limb_parts(instance, "remainder", layer, 1, point)
    real = instance.real(points.tau_b, points.tau_t, width_point, layer)
    return parts, -(1 << (w - 1)) * real % R


def _pre_gradient(instance: Instance, layer: int, points: MatmulPoints) -> tuple[list[Part], int]:
    """H_l = 2^w H'_l + R'_l - 2^(w-1) on real entries (B2); the cell holds H'_l + 2^(q_g - 1)."""
    s = instance.statement.settings
    w = s.weight_scale
    width_point = points.y[: instance.width_vars[layer]]
    point = (*points.tau_b, *points.tau_t, *width_point)
    parts: list[Part] = [BlockPart("cells", ("gradient", layer), 1 << w, point)]
    parts += limb_parts(instance, "gradient_remainder", layer, 1, point)
    real = instance.real(points.tau_b, points.tau_t, width_point, layer)
    return parts, -((1 << (w - 1)) + (1 << (w + s.gradient_bits - 1))) * real % R


def claimed_scalars(
    ch: Ledger,
    claims: Claims,
    label: str,
    functionals: Sequence[tuple[list[Part], int]],
    work: Work | None,
) -> list[Handle]:
    """Commit to functional values (parts plus constant) and leave each claim to the opening."""

    def values() -> list[int]:
        assert work is not None
        return [(work.evaluate(parts) + constant) % R for parts, constant in functionals]

    handles = ch.scalars(label, len(functionals), values)
    for handle, (parts, constant) in zip(handles, functionals, strict=True):
        claims.add(handle - constant, parts)
    return handles


def padding_factor(point: Sequence[int], num_vars: int) -> int:
    """prod over the extra variables of (1 - r): what an instance of fewer variables is scaled by."""
    out = 1
    for r in point[num_vars:]:
        out = out * (1 - r) % R
    return out


def matmul(ch: Ledger, instance: Instance, claims: Claims, work: Work | None) -> MatmulPoints:
    """Prove the matrix products; leaves claims on A, G, W and biases.

    *Transcript*: tau and y; Z_l and H_l; the combination; the rounds; the five families of
    evaluations; the relation that closes the sumcheck.
    """
    ch.section(Section.MATMUL)
    last, vars_ = instance.num_layers, instance.width_vars
    layers = range(1, last + 1)
    p = MatmulPoints(
        ch.challenges("matmul/tau_b", instance.batch_vars),
        ch.challenges("matmul/tau_t", instance.step_vars),
        ch.challenges("matmul/y", max(vars_)),
    )
    ch.note("matmul/point", instance.batch_vars + instance.step_vars + max(vars_))
    functionals = [_pre_activation(instance, layer, p) for layer in layers]
    functionals += [_pre_gradient(instance, layer, p) for layer in range(1, last)]
    products = claimed_scalars(ch, claims, "matmul/products", functionals, work)
    p.powers, claim = random_combination(ch, "matmul/combine", products)

    num_vars = instance.step_vars + max(vars_)
    rounds = lambda: work.matmul_rounds(p)  # type: ignore[union-attr]
    point, final = sumcheck(ch, "matmul", claim, num_vars, 2, rounds, p.tau_t)
    p.rho_t, p.rho = point[: instance.step_vars], point[instance.step_vars :]

    families: list[tuple[str, dict[int, Handle], list[int]]] = [
        ("forward", p.forward, list(range(last))),
        ("backward", p.backward, list(range(2, last + 1))),
        ("weight", p.weight, list(layers)),
        ("weight_back", p.weight_back, list(range(2, last + 1))),
    ]
    if instance.statement.bias:
        families.append(("bias", p.bias, list(layers)))
    for family, handles, members in families:
        sent = ch.scalars(
            f"matmul/{family}",
            len(members),
            lambda family=family, members=members: [work.matmul_value(family, m) for m in members],  # type: ignore[union-attr,misc]
        )
        handles.update(zip(members, sent, strict=True))

    def factor(width_vars: int) -> int:
        return padding_factor(point, instance.step_vars + width_vars)

    terms = [
        (p.powers[layer - 1] * factor(vars_[layer - 1]) % R, p.forward[layer - 1], p.weight[layer])
        for layer in layers
    ]
    terms += [
        (
            p.powers[last + layer - 1] * factor(vars_[layer + 1]) % R,
            p.backward[layer + 1],
            p.weight_back[layer + 1],
        )
        for layer in range(1, last)
    ]
    if instance.statement.bias:
        constant = bias_factor(instance, p) * prefix(p.rho_t, instance.statement.steps) % R * factor(0) % R
        for layer in layers:
            final = final - p.powers[layer - 1] * constant % R * p.bias[layer]
    ch.require("matmul/final", terms, final)
    return p


def bias_factor(instance: Instance, points: MatmulPoints) -> int:
    """2^f [b < B](tau_b): the constant input that the bias row sees."""
    s = instance.statement
    return (1 << s.settings.activation_scale) * prefix(points.tau_b, s.batch_size) % R
