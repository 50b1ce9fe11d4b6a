"""Flags that several commands share, and the names of the files of a run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

STATEMENT, WITNESS, PROOF = "statement.json", "witness.npz", "proof.zkdl"
MODEL = "model.safetensors"


class Ranges(StrEnum):
    """Range arguments."""

    lookup = "lookup"
    bits = "bits"


class Backend(StrEnum):
    """Where arithmetic runs."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
# Those with a default that depends on whether a run is resumed are None where they are not given.
Hidden = Annotated[
    str | None,
    typer.Option(help="Widths of the hidden layers, e.g. 64,64; 'none' for none.", show_default="64,64"),
]
Steps = Annotated[int, typer.Option(help="Mini-batch steps T.")]
BatchSize = Annotated[int | None, typer.Option(help="Records per step B.", show_default="64")]
LearningRate = Annotated[str | None, typer.Option(help="An exact number such as 1/64.", show_default="1/64")]
Seed = Annotated[
    int | None, typer.Option(help="Names the batches, and the initial weights.", show_default="1")
]
InitialSeed = Annotated[int | None, typer.Option(help="Names the initial weights instead.")]
Bias = Annotated[
    bool | None,
    typer.Option("--bias/--no-bias", help="Whether layers have a bias.", show_default="bias"),
]
ActivationScale = Annotated[int | None, typer.Option(help="Bits behind the point of activations.")]
GradientScale = Annotated[int | None, typer.Option(help="Bits behind the point of gradients.")]
WeightScale = Annotated[int | None, typer.Option(help="Bits behind the point of weights.")]
ActivationBits = Annotated[int | None, typer.Option(help="Width of activations.")]
GradientBits = Annotated[int | None, typer.Option(help="Width of gradients.")]
LimbBits = Annotated[int | None, typer.Option(help="Width of the limbs of a remainder.")]
RangeOption = Annotated[Ranges, typer.Option(help="Range argument.")]
BackendOption = Annotated[Backend, typer.Option(help="Where arithmetic runs.")]
Threads = Annotated[int | None, typer.Option(help="Threads [default: one per processor].")]
MemoryLimit = Annotated[
    str | None, typer.Option(help="Refuse beyond this, e.g. 12G, or 'none' [default: what is available].")
]
