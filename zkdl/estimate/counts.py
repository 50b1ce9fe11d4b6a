"""Work of a proof, counted from its statement: per phase, how often what is done.

`phase_work` is the one table of the model. Each phase has a *scale*, the count that grows with the proof; a
number of *messages*, committed one by one; and *extras*, work that does not go with the scale, by the name of
a unit that `zkdl.estimate.units` measures. Seconds of a phase are

    scale * unit of the phase + messages * message of the phase + sum of extras * their units,

where the first two units come from proofs made on this machine (`zkdl.estimate.calibration`). Whoever
changes what the prover does in a phase changes its line here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from zkdl.arithmetic.msm import additions
from zkdl.protocol.channel import POINT_BYTES
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import log2_ceil
from zkdl.protocol.report import Report
from zkdl.prover.footprint import Sizes

__all__ = ["PHASES", "Work", "phase_work"]

PHASES = ("witness", "commitments", "matmul", "update", "zkrelu", "ranges", "opening")
"""As `zkdl.prove` reports them."""


@dataclass(frozen=True)
class Work:
    """Work of one phase.

    Attributes:
        scale: What grows with the proof.
        messages: Commitments that are made one by one.
        extras: Count by unit.
    """

    scale: float
    messages: int
    extras: dict[str, float] = field(default_factory=dict)


def phase_work(instance: Instance, found: Report) -> dict[str, Work]:
    """Count the work of every phase.

    Args:
        instance: Of an acceptable statement.
        found: Its report, for the messages.
    """
    s = instance.statement
    z = Sizes(s, instance.ranges)
    points = {name: size // POINT_BYTES for name, size in found.section_bytes.items()}
    row = 1 << s.row_bits
    final = z.states
    opened = z.data_entries + final * z.final_entries
    width = sum(s.widths) * z.samples
    return {
        "witness": Work(
            z.cells + z.bits + z.final_entries,
            0,
            {
                "step": s.steps,
                "initial": 2,
                "decode": s.records + final * s.weight_rows,
                "mac": s.records * z.columns + final * z.parameters,
                "fold": (s.records + z.columns) / 4 + final * (s.weight_rows + row) / 4,
            },
        ),
        "commitments": Work(_additions(z), 0),
        "matmul": Work(width, points["matmul"], {"mac": 2 * z.parameters}),
        "update": Work(
            width, points["update"], {"mac": 2 * z.parameters + z.final_entries, "eq": z.final_entries}
        ),
        "zkrelu": Work(sum(z.padded(d) for d in s.widths[1:-1]), points["zkrelu"]),
        "ranges": Work(
            z.range_entries
            if instance.ranges == "bits"
            else z.cell_entries + z.data_leaves + z.range_entries,
            points["ranges"],
        ),
        "opening": Work(
            z.cell_entries + z.range_entries,
            sum(points.values()) - points["commitments"],
            {
                "round": opened,
                "mac": opened,
                "claim": z.final_entries * final,
                "fold": row * (1 + final) + (1 << log2_ceil(z.columns)),
            },
        ),
    }


def _additions(z: Sizes) -> float:
    """Additions of points to commit to cells and to bits or multiplicities."""
    row_bits = z.statement.row_bits
    limbs = max(z.statement.settings.limb_widths)

    def rows(entries: int) -> int:
        return -(-entries >> row_bits)

    columns = 1 << row_bits
    cells = sum(prod(block.shape) for block in z.cell_stack.blocks)
    live = min(z.cell_entries, max(cells, columns))
    out = additions(rows(live), columns, 0, (1 << limbs) - 1)
    if z.ranges == "bits":
        return out + additions(rows(min(z.range_entries, z.bits)), columns, 0, 1)
    return out + additions(rows(z.range_entries), columns, 0, z.cell_entries // 2)
