"""All claims on committed polynomials at once: one sumcheck, then one inner product per commitment.

Every claim is handle = sum over polynomials of <poly, weights>. A random combination of all claims
is one sumcheck of degree two, which ends in one evaluation per polynomial at points that share
their column coordinates. The verifier folds the rows of each commitment with eq of the row
coordinates and an inner-product argument settles the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.arguments import inner_product, random_combination, sumcheck
from zkdl.protocol.channel import Rows, Section
from zkdl.protocol.claims import BlockPart, Claims, Part
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import log2_ceil
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.matmul import padding_factor
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work


def groups(instance: Instance) -> tuple[tuple[Reason, tuple[str, ...]], ...]:
    """Polynomials that share one inner product, and what its failure means."""
    weights = ("final", "initial") if instance.commits_initial else ("final",)
    return (
        (Reason.OPENING, ("cells", instance.range_poly)),
        (Reason.DATA, ("data",)),
        (Reason.WEIGHTS, weights),
    )


def poly_vars(instance: Instance, poly: str) -> int:
    """Variables of a committed polynomial."""
    return instance.data_vars if poly == "data" else instance.stack(poly).num_vars


def _weights_at(
    instance: Instance, entries: list[tuple[int, list[Part]]], polys: Sequence[str], point: list[int]
) -> dict[str, int]:
    """MLE at ``point`` of the combined weights of every polynomial."""
    row_bits = instance.statement.row_bits
    eq_columns = za.multilinear.eq_table(point[:row_bits])
    eq_rows = za.multilinear.eq_table(point[row_bits : instance.data_vars])
    caches: dict[str, dict[tuple[Any, ...], int]] = {poly: {} for poly in polys}
    out = dict.fromkeys(polys, 0)
    for power, parts in entries:
        for part in parts:
            if isinstance(part, BlockPart):
                stack = instance.stack(part.poly)
                rho = point[: stack.num_vars]
                value = part.evaluate(stack, rho, caches[part.poly])
                out[part.poly] = (out[part.poly] + power * value) % R
            else:
                out["data"] = (out["data"] + power * part.evaluate(eq_columns, eq_rows)) % R
    return out


def opening(ch: Ledger, instance: Instance, claims: Claims, rows: dict[str, Rows], work: Work | None) -> None:
    """Settle every claim against the commitments.

    *Transcript*: the combination; the rounds; one evaluation per polynomial and the relation that
    they fit; the settling of the ledger, to which nothing is added any more; per group the combination
    and the inner-product argument.
    """
    ch.section(Section.OPENING)
    grouped = groups(instance)
    polys = tuple(poly for _, members in grouped for poly in members)
    powers, claim = random_combination(ch, "opening/combine", [h for h, _ in claims.entries])
    entries = [(power, parts) for power, (_, parts) in zip(powers, claims.entries, strict=True)]
    num_vars = max(poly_vars(instance, poly) for poly in polys)
    point, end = sumcheck(
        ch,
        "opening",
        claim,
        num_vars,
        2,
        lambda: work.opening_rounds(entries, polys),  # type: ignore[union-attr]
    )
    # Single commitments: an inner product needs its claim in one of its own.
    values = ch.channel.scalars(
        "opening/values",
        len(polys),
        lambda: [work.opening_value(poly) for poly in polys],  # type: ignore[union-attr]
    )
    by_poly = dict(zip(polys, values, strict=True))
    weights = _weights_at(instance, entries, polys, point)
    for poly in polys:
        factor = padding_factor(point, poly_vars(instance, poly))
        end = end - factor * weights[poly] % R * ch.lift(by_poly[poly])
    ch.require("opening/final", [], end)
    ch.settle(work.product_rounds if work is not None else None)

    row_bits = instance.statement.row_bits
    columns = za.multilinear.eq_table(point[:row_bits])
    for reason, members in grouped:
        ch.note(f"opening/{reason}/combine", len(members) - 1)
        chi, power = ch.challenge(f"opening/{reason}/combine"), 1
        vector, value = None, None
        for poly in members:
            eq_rows = za.multilinear.eq_table(point[row_bits : poly_vars(instance, poly)])
            live = slice(len(instance.used_records)) if poly == "data" else instance.stack(poly).live_rows
            folded = power * ch.channel.combine(rows[poly], eq_rows[live])
            vector = folded if vector is None else vector + folded
            value = power * by_poly[poly] if value is None else value + power * by_poly[poly]
            power = power * chi % R
        # A record is shorter than a row, so fewer bases are enough to open it.
        length = 1 << log2_ceil(instance.data_columns) if members == ("data",) else len(columns)
        inner_product(ch.channel, reason, f"opening/{reason}", vector, columns[:length], value)
