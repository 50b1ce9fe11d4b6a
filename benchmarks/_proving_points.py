"""The runs that are proved: one sweep at a time around a middle size, and the sizes of published work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """One proof, or one chain of proofs of a single step each.

    Args:
        group: the sweep it belongs to.
        data: as `_proving_data.load` knows it.
        hidden: widths of the hidden layers.
        batch, steps: B and T.
        rate: learning rate.
        ranges: range argument.
        per_step: T proofs of one step each, every one with its own commitments, instead of one of T steps.
        measured: with ``per_step``, how many of the T are made; time and bytes are scaled up.
    """

    group: str
    data: str
    hidden: tuple[int, ...]
    batch: int
    steps: int
    rate: str = "1/64"
    ranges: str = "lookup"
    per_step: bool = False
    measured: int = 0

    @property
    def name(self) -> str:
        """Unique among points of one kind of work; the group does not count."""
        shape = "-".join(map(str, self.hidden)) if len(set(self.hidden)) > 1 or len(self.hidden) < 4 else (
            f"{self.hidden[0]}x{len(self.hidden)}"
        )  # fmt: skip
        kind = f"/per-step{f'({self.measured})' if self.measured else ''}" if self.per_step else ""
        return f"{self.data}/{shape}/B{self.batch}/T{self.steps}/{self.ranges}{kind}"

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the widths as a list."""
        return {**asdict(self), "hidden": list(self.hidden), "name": self.name}


def _sweep(group: str, hidden: tuple[int, ...], batch: int, steps: int, **more: Any) -> Point:
    return Point(group, "digits", hidden, batch, steps, **more)


def _both(group: str, hidden: tuple[int, ...], batch: int, steps: int) -> list[Point]:
    return [_sweep(group, hidden, batch, steps, ranges=ranges) for ranges in ("lookup", "bits")]


def full() -> list[Point]:
    """All sweeps, and ten million parameters at T = 8; under 13 minutes on two processors.

    `bits` is measured at three T, and at two places of other sweeps that do not take longest. T = 32 of the
    headline, and what lies on the way to it, go by name.
    """
    out: list[Point] = []
    for depth in (1, 2, 4, 8):
        out.append(_sweep("depth", (64,) * depth, 32, 8))
    for depth in (1, 4):
        out.append(_sweep("depth", (64,) * depth, 32, 8, ranges="bits"))
    for width in (16, 64, 128, 256):
        out.append(_sweep("width", (width, width), 32, 8))
    for width in (16, 128):
        out.append(_sweep("width", (width, width), 32, 8, ranges="bits"))
    for batch in (8, 32, 128):
        out.append(_sweep("batch", (64, 64), batch, 8))
    for batch in (8, 64):
        out.append(_sweep("batch", (64, 64), batch, 8, ranges="bits"))
    for steps in (1, 2, 4, 8, 16, 32):
        out.append(_sweep("steps", (64, 64), 32, steps))
    for steps in (1, 4, 16):
        out.append(_sweep("steps", (64, 64), 32, steps, ranges="bits"))
    out += [Point("middle", "mnist5k", (256, 256), 64, steps, "1/256") for steps in (4, 8, 16)]
    out.append(Point("middle", "mnist5k", (256, 256), 64, 4, "1/256", "bits"))
    for steps in (4, 16):
        for hidden in MARGINAL:
            out.append(Point("parameters", "digits", hidden, 64, steps, "1/256"))
    out += [
        _sweep("baseline", (64, 64), 32, 8, ranges="bits", per_step=True, measured=2),
        Point("baseline", "mnist5k", (256, 256), 64, 4, "1/256", "bits", per_step=True, measured=2),
    ]
    out += headline()[:1]
    return out


# The same sum of widths, 1,024, with 66, 215 and 297 thousand parameters.
MARGINAL = ((64,) * 16, (256,) * 4, (512,) * 2)


def quick() -> list[Point]:
    """A part of everything, in under two minutes on two processors."""
    out: list[Point] = []
    for depth in (1, 4):
        out.append(_sweep("depth", (32,) * depth, 16, 4))
    for width in (16, 64):
        out += _both("width", (width, width), 16, 4)
    for batch in (16, 64):
        out.append(_sweep("batch", (32, 32), batch, 4))
    for steps in (1, 16):
        out.append(_sweep("steps", (32, 32), 16, steps))
    out.append(_sweep("baseline", (32, 32), 16, 4, ranges="bits", per_step=True, measured=2))
    return out


def headline() -> list[Point]:
    """10.5 million parameters, eight hidden layers of 1,024, batch 64: the size of the paper's claim."""
    hidden = (1024,) * 8
    return [Point("headline", "images32-2048", hidden, 64, steps, "1/1024") for steps in (8, 32)]


def smaller() -> list[Point]:
    """The headline's shape, smaller: to see on the way where it is going."""
    return [
        Point("smaller", "images32-2048", (256,) * 8, 64, 8, "1/1024"),
        Point("smaller", "images32-2048", (512,) * 8, 64, 8, "1/1024"),
    ]


GROUPS = ("depth", "width", "batch", "steps", "middle", "parameters", "baseline", "smaller", "headline")


def select(mode: str, only: tuple[str, ...]) -> list[Point]:
    """Points of a mode, ``quick`` or ``full``; with groups, all points of these, `smaller` and T = 32 too."""
    points = quick() if mode == "quick" else full()
    if only:
        points = [point for point in points + smaller() + headline() if point.group in only]
    unique: dict[str, Point] = {}
    for point in points:
        unique.setdefault(f"{point.group}:{point.name}", point)
    return list(unique.values())
