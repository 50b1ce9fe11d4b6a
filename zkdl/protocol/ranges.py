"""Range argument ``bits``: every cell and every number of a used record is a sum of committed bits.

At a random point z, for every block k of bit width n_k and gamma drawn after the commitments,

    sum_k gamma^k sum_i 2^i bit_{k,i}(z) = sum_k gamma^k (block_k(z) + offset_k(z))

is linear in committed polynomials, and b(b - 1) = 0 for all bits is one sumcheck of degree two with an eq
factor. Numbers of a record are signed and enter with the offset 2^(q_f - 1); they are left out where a
proof of their own covers them. Padding is checked with the rest. This is the paper's way: slow, simple,
the baseline.
"""

from __future__ import annotations

from zkdl import arithmetic as za
from zkdl.protocol.arguments import sumcheck
from zkdl.protocol.channel import Section
from zkdl.protocol.claims import BlockPart, Claims, DataPart, Part
from zkdl.protocol.instance import DATA_BLOCK, Instance
from zkdl.protocol.layout import log2_ceil
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.matmul import claimed_scalars
from zkdl.protocol.publics import prefix
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.work import Work


def _recomposition(ch: Ledger, instance: Instance) -> tuple[list[Part], list[Part], int]:
    """Parts of both sides at a random point, and the offset of the records."""
    width = instance.data_width
    z = ch.challenges("ranges/z", instance.batch_vars + instance.step_vars + max(instance.width_vars))
    records = len(instance.used_records)
    z_u = ch.challenges("ranges/z_record", log2_ceil(records) if width else 0)
    z_c = ch.challenges("ranges/z_column", log2_ceil(instance.data_columns) if width else 0)
    gamma = ch.challenge("ranges/combine")
    ch.note("ranges/recompose/point", len(z) + len(z_u) + len(z_c) + len(instance.cell_ranges))
    cells: list[Part] = []
    bits: list[Part] = []
    power = 1
    for name, bit_width in instance.cell_ranges.items():
        point = tuple(z[: instance.cells.block(name).num_vars])
        cells.append(BlockPart("cells", name, power, point))
        bits += [BlockPart("bits", (*name, "bit", i), (power << i) % R, point) for i in range(bit_width)]
        power = power * gamma % R
    if not width:
        return cells, bits, 0
    rows = za.multilinear.eq_table(z_u)[:records]
    cells.append(DataPart(power, rows, 0, instance.data_columns, tuple(z_c)))
    point = (*z_u, *z_c)
    bits += [BlockPart("bits", (*DATA_BLOCK, "bit", i), (power << i) % R, point) for i in range(width)]
    real = prefix(z_u, records) * prefix(z_c, instance.data_columns) % R
    return cells, bits, (power << (width - 1)) * real % R


def range_bits(ch: Ledger, instance: Instance, claims: Claims, work: Work | None) -> None:
    """Prove that every cell lies in its range.

    *Transcript*: z and gamma; both sides of the recomposition and a proof that they agree; the
    point of the booleanity sumcheck, its rounds, the bits at its end, the closing relation.
    """
    ch.section(Section.RANGES)
    cells, bits, offset = _recomposition(ch, instance)
    left, right = claimed_scalars(ch, claims, "ranges/recompose", [(bits, 0), (cells, 0)], work)
    ch.require("ranges/recompose", [], left - right - offset)

    r = ch.challenges("ranges/r", instance.bits.num_vars)
    ch.note("ranges/point", len(r))
    zero = 0 * left
    point, end = sumcheck(ch, "ranges", zero, len(r), 2, lambda: work.booleanity_rounds(r), r)  # type: ignore[union-attr]
    (bit,) = claimed_scalars(
        ch, claims, "ranges/bit", [([BlockPart("bits", None, 1, tuple(point))], 0)], work
    )
    ch.require("ranges/final", [(1, bit, bit)], end + bit)
