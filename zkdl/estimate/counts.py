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
from zkdl.protocol.statement import Statement
from zkdl.prover.footprint import PROCESS, Sizes, peak_bytes

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
    s, bits = instance.statement, instance.ranges == "bits"
    z = Sizes(s, instance.ranges)
    points = {name: size // POINT_BYTES for name, size in found.section_bytes.items()}
    row, states = 1 << s.row_bits, [z.final_entries] * z.states
    weights, hidden = len(states) * z.parameters, [z.padded(width) for width in s.widths[1:-1]]
    neurons, calls = sum(s.widths) * z.samples, s.steps * s.num_layers
    witness: dict[str, float] = {
        "step": s.steps,
        "initial": 1,
        "decode": s.records + len(states) * s.weight_rows,
        "mac": s.records * z.columns + weights,
        # Points of both commitments and their bases, with halved scalars, once and without folding.
        "fold": (s.records + z.columns + len(states) * (s.weight_rows + row)) / 4,
    }
    update: dict[str, float] = {
        "mac": 2 * z.parameters + sum(states) + 3 * neurons,
        "eq": sum(states) + 8 * s.num_layers * z.padded_samples,
    }
    opening: dict[str, float] = {
        # A few products with integers for each vector of columns, then one to fold, one to open.
        "mac": 6 * z.data_entries + 4 * sum(states),
        "fold": row * (1 + len(states)) + (1 << log2_ceil(z.columns)),
    }
    looked_up = z.cell_entries + z.data_leaves + z.range_entries
    out = {
        "witness": Work(z.cells + z.bits + sum(states), 0, witness),
        "commitments": Work(z.cells + z.bits, 0, {"addition": _additions(z)}),
        # Of the first two the scale is calls, one per step and layer; the numbers are in the extras.
        "matmul": Work(calls, points["matmul"], {"mac": 2 * z.parameters + 7 * neurons}),
        "update": Work(calls, points["update"], update),
        "zkrelu": Work(sum(hidden), points["zkrelu"]),
        "ranges": Work(z.range_entries if bits else looked_up, points["ranges"]),
        "opening": Work(
            z.cell_entries + z.range_entries, sum(points.values()) - points["commitments"], opening
        ),
    }
    for phase, growth in _growth(s, instance.ranges).items():
        out[phase].extras["fresh"] = growth
    return out


def _growth(statement: Statement, ranges: str) -> dict[str, float]:
    """Bytes by which a phase takes more memory than every one before it: pages the system has to hand out."""
    out, most = dict.fromkeys(PHASES, 0.0), PROCESS
    for phase, size in peak_bytes(statement, ranges).items():
        out["witness" if phase == "tensors" else phase] += max(0, size - most)
        most = max(most, size)
    return out


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
    # Most multiplicities are small, one is as large as there is padding.
    return out + additions(rows(z.range_entries), columns, 0, z.cell_entries // 2) / 4
