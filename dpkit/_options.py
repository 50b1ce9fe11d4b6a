"""Flags that several commands of `dpkit` share, and how their texts are read."""

from pathlib import Path
from typing import Annotated

import typer

from dpkit.errors import ArgumentError

__all__ = [
    "Backend",
    "Center",
    "Data",
    "Delta",
    "Epsilon",
    "ExpectedRecords",
    "High",
    "Json",
    "Low",
    "Neighbours",
    "Normalized",
    "Out",
    "OutAnswers",
    "PublicSeed",
    "Queries",
    "Radius",
    "Release",
    "Std",
    "read_bounds",
    "read_numbers",
    "read_reduction",
]

_NUMBERS = "NUMBER[,...]"

Data = Annotated[Path, typer.Argument(metavar="DATA.npy", help="Private records, a (n, d) array.")]
Release = Annotated[Path, typer.Argument(metavar="RELEASE.dpk", help="A release that `build` wrote.")]
Queries = Annotated[Path, typer.Argument(metavar="QUERIES.npy", help="Queries, a (m, d) array.")]
Out = Annotated[Path, typer.Option(help="Where the release goes.")]
OutAnswers = Annotated[Path | None, typer.Option(help="Write answers to a .npy file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Std = Annotated[bool, typer.Option("--std", help="Add standard errors (second column).")]
Normalized = Annotated[bool, typer.Option(help="The average in place of the sum.")]
Epsilon = Annotated[float, typer.Option(help="Privacy budget.")]
Delta = Annotated[float, typer.Option(help="0 for pure epsilon-DP.")]
Neighbours = Annotated[str, typer.Option(help="add-remove or replace.")]
Low = Annotated[
    str | None, typer.Option(metavar=_NUMBERS, help="Public lower bound, of every column or one each.")
]
High = Annotated[
    str | None, typer.Option(metavar=_NUMBERS, help="Public upper bound, of every column or one each.")
]
Radius = Annotated[float | None, typer.Option(help="Or a public ball, in place of bounds.")]
Center = Annotated[
    str | None, typer.Option(metavar=_NUMBERS, help="The ball's centre, of every column or one each.")
]
ExpectedRecords = Annotated[int | None, typer.Option(help="A public guess of n, for sizing.")]
PublicSeed = Annotated[int, typer.Option(help="Seed of the public map, never of the noise.")]
Backend = Annotated[str, typer.Option(help="cpu or gpu (fourier).")]


def read_numbers(text: str | None, flag: str) -> float | list[float] | None:
    """Return a number, or several between commas, or None where there is no text.

    Raises:
        ArgumentError: it is neither.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(
            f"{flag} must be a number, or one for each column such as 0,-1,2.5; got {text!r}"
        ) from None
    return numbers if len(numbers) > 1 else numbers[0]


def read_bounds(
    low: str | None, high: str | None
) -> tuple[float | list[float] | None, float | list[float] | None] | None:
    """Return the public bounds (low, high), or None where neither was given.

    Raises:
        ArgumentError: only one was given, or no numbers.
    """
    if (low is None) != (high is None):
        raise ArgumentError("--low and --high go together: give both ends of the public bounds")
    return None if low is None else (read_numbers(low, "--low"), read_numbers(high, "--high"))


def read_reduction(text: str | None) -> int | str | None:
    """Return a number of coordinates, `auto`, or None; ArgumentError for anything else."""
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"--reduce must be 'auto' or a number of coordinates, got {text!r}") from None
