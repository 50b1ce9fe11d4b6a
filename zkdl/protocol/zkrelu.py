"""F3, B0, B3: zkReLU. Claims on activations and gradients become claims on the cells.

Hidden layers: A_l = (1 - S_l) P_l and G_l = (1 - S_l) H'_l. Each has claims at three points,

    p1 = (tau_b, rho_t, rho_l),  p2 = (sigma, rho_l),  p3 = (sigma, y_l);

one sumcheck of degree three over (b, t, j) settles a random combination of all of them. The input
A_0 is linear in the committed records, and G_L = 2^(g-f) (Z'_L - Y) in cells and records: their
claims go to the opening as they are.
"""

from __future__ import annotations

from zkdl.protocol.arguments import random_combination, sumcheck
from zkdl.protocol.channel import Handle, Section
from zkdl.protocol.claims import BlockPart, Claims, DataPart, Part, batch_rows
from zkdl.protocol.instance import Instance
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.matmul import claimed_scalars, padding_factor, rescaled_parts
from zkdl.protocol.points import ReluPoints, UpdatePoints
from zkdl.protocol.publics import eq
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work

PLACES = ("product", "rho", "y")
"""p1, p2, p3."""


def place_point(instance: Instance, update: UpdatePoints, place: str, layer: int) -> tuple[int, ...]:
    """The point (b, t, j) of a claim on a tensor of layer ``layer``."""
    m, n = update.matmul, instance.width_vars[layer]
    if place == "product":
        return (*m.tau_b, *m.rho_t, *m.rho[:n])
    return (*update.sigma_b, *update.sigma_s, *(m.rho if place == "rho" else m.y)[:n])


def _forward_claims(update: UpdatePoints, layer: int) -> list[tuple[str, Handle]]:
    claims = [("product", update.matmul.forward[layer]), ("rho", update.forward_rho[layer])]
    return claims if layer == 0 else [*claims, ("y", update.forward_y[layer])]


def _backward_claims(update: UpdatePoints, layer: int) -> list[tuple[str, Handle]]:
    claims = [("y", update.backward_y[layer])]
    if layer > 1:
        claims += [("product", update.matmul.backward[layer]), ("rho", update.backward_rho[layer])]
    return claims


def _claim_ends(instance: Instance, claims: Claims, update: UpdatePoints) -> None:
    """Hand the claims on A_0 and G_L to the opening."""
    s, last = instance.statement, instance.num_layers
    m = update.matmul
    rows = {
        "product": batch_rows(instance, m.tau_b, m.rho_t),
        "rho": batch_rows(instance, update.sigma_b, update.sigma_s),
    }
    rows["y"] = rows["rho"]
    features, n = instance.widths[0], instance.width_vars[0]
    for place, handle in _forward_claims(update, 0):
        column_point = (m.y if place == "y" else m.rho)[:n]
        claims.add(handle, [DataPart(1, rows[place], 0, features, tuple(column_point))])
    labels, n = instance.widths[-1], instance.width_vars[-1]
    shift = 1 << (s.settings.gradient_scale - s.settings.activation_scale)
    for place, handle in _backward_claims(update, last):
        column_point = (m.y if place == "y" else m.rho)[:n]
        parts: list[Part] = [
            *rescaled_parts(instance, last, shift, place_point(instance, update, place, last)),
            DataPart(-shift % R, rows[place], features, labels, tuple(column_point)),
        ]
        claims.add(handle, parts)


def zkrelu(ch: Ledger, instance: Instance, claims: Claims, update: UpdatePoints, work: Work | None) -> None:
    """Reduce every claim on A and G to cells and records.

    *Transcript*: the combination; the rounds; P_l, S_l and the H' cells at zeta; the relation
    that closes the sumcheck. Nothing at all when there is no hidden layer.
    """
    ch.section(Section.ZKRELU)
    _claim_ends(instance, claims, update)
    hidden = range(1, instance.num_layers)
    if not hidden:
        return
    tagged = [("A", k, place, h) for k in hidden for place, h in _forward_claims(update, k)]
    tagged += [("G", k, place, h) for k in hidden for place, h in _backward_claims(update, k)]
    powers, claim = random_combination(ch, "zkrelu/combine", [h for *_, h in tagged])
    p = ReluPoints(update)
    for power, (tensor, layer, place, _) in zip(powers, tagged, strict=True):
        p.weights.setdefault((tensor, layer), []).append((power, place))

    base = instance.batch_vars + instance.step_vars
    vars_ = [instance.width_vars[k] for k in hidden]
    point, end = sumcheck(ch, "zkrelu", claim, base + max(vars_), 3, lambda: work.relu_rounds(p))  # type: ignore[union-attr]

    functionals: list[tuple[list[Part], int]] = []
    for layer in hidden:
        zeta = tuple(point[: base + instance.width_vars[layer]])
        for name in ("positive", "sign", "gradient"):
            functionals.append(([BlockPart("cells", (name, layer), 1, zeta)], 0))
    sent = claimed_scalars(ch, claims, "zkrelu/cells", functionals, work)

    offset = 1 << (instance.statement.settings.gradient_bits - 1)
    terms = []
    for k, layer in enumerate(hidden):
        positive, sign, cell = sent[3 * k : 3 * k + 3]
        zeta_l = point[: base + instance.width_vars[layer]]
        factor = padding_factor(point, len(zeta_l))
        b_end, t_end = instance.batch_vars, base
        real = instance.real(zeta_l[:b_end], zeta_l[b_end:t_end], zeta_l[t_end:], layer)
        active = 1 - sign
        gradient = cell - offset * real % R
        combined = 0 * cell
        for tensor, value in (("A", positive), ("G", gradient)):
            weight = sum(
                c * eq(place_point(instance, update, place, layer), zeta_l)
                for c, place in p.weights[tensor, layer]
            )
            combined = combined + weight % R * value
        terms.append((factor, active, combined))
    ch.require("zkrelu/final", terms, end)
