"""``zkdl train`` and ``zkdl estimate``: from flags to a run, or to what its proof will cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from zkdl import console
from zkdl.cli.checks import check_directory, choose_backend
from zkdl.cli.options import (
    STATEMENT,
    ActivationBits,
    ActivationScale,
    Backend,
    BackendOption,
    BatchSize,
    Bias,
    GradientBits,
    GradientScale,
    Hidden,
    InitialSeed,
    Json,
    LearningRate,
    LimbBits,
    RangeOption,
    Ranges,
    Seed,
    Steps,
    Threads,
    WeightScale,
)  # fmt: skip
from zkdl.errors import InputError


def train(
    out: Annotated[Path, typer.Option(help="Directory to write the run to.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, mnist5k, an .npz file with X and y, or a directory that commit-data wrote."
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Start from the weights in a directory that commit-weights wrote."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Continue this run; what is not given is as there, its data included."
        ),
    ] = None,
    hidden: Hidden = None,
    steps: Steps = 8,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
    initial_seed: InitialSeed = None,
    bias: Bias = None,
    activation_scale: ActivationScale = None,
    gradient_scale: GradientScale = None,
    weight_scale: WeightScale = None,
    activation_bits: ActivationBits = None,
    gradient_bits: GradientBits = None,
    limb_bits: LimbBits = None,
    as_json: Json = False,
) -> None:
    """Train in exact fixed point and commit to data and final weights."""
    with console.guard():
        start = time.perf_counter()
        check_directory(out)
        scales = (activation_scale, gradient_scale, weight_scale, activation_bits, gradient_bits, limb_bits)
        flags = _flags(hidden, steps, batch_size, learning_rate, seed, initial_seed, bias)
        from zkdl.training import train as run_training

        if resume is None:
            if data is None:
                raise InputError("train takes --data, or --resume RUN")
            loaded, arguments = _arguments(data, flags, scales, initial)
        else:
            if initial is not None:
                raise InputError("--initial and --resume both say where to start: give one of the two")
            if out.resolve() == resume.resolve():
                raise InputError(f"--out {out} is the run to resume: its statement is needed to verify both")
            loaded, arguments = _resumed(resume, data, flags, scales)
        with console.progress_bar() as progress:
            run = run_training(loaded.X, loaded.y, **arguments, progress=progress)
        run.save(out)
        summary = _train_summary(run, loaded.name, out, time.perf_counter() - start)
        console.emit(summary if as_json else _train_text(summary))


def estimate(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Directory that train wrote.")] = None,
    data: Annotated[str | None, typer.Option(help="Instead of RUN: the data that would be used.")] = None,
    hidden: Hidden = None,
    steps: Steps = 8,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
    initial_seed: InitialSeed = None,
    bias: Bias = None,
    activation_scale: ActivationScale = None,
    gradient_scale: GradientScale = None,
    weight_scale: WeightScale = None,
    activation_bits: ActivationBits = None,
    gradient_bits: GradientBits = None,
    limb_bits: LimbBits = None,
    ranges: RangeOption = Ranges.lookup,
    backend: BackendOption = Backend.auto,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Estimate seconds, peak memory and bytes of a proof, from a run or from settings."""
    with console.guard():
        if (run is None) == (data is None):
            raise InputError("estimate takes either RUN or --data and settings")
        if run is not None:
            from zkdl.protocol.statement import Statement

            statement = Statement.load(run / STATEMENT)
        else:
            scales = (
                activation_scale,
                gradient_scale,
                weight_scale,
                activation_bits,
                gradient_bits,
                limb_bits,
            )
            flags = _flags(hidden, steps, batch_size, learning_rate, seed, initial_seed, bias)
            loaded, arguments = _arguments(str(data), flags, scales)
            from zkdl.training.fit import Plan
            from zkdl.training.run import draft

            committed = arguments.pop("data", None)
            if committed is None:
                statement = draft(Plan.make(loaded.X, loaded.y, **arguments))
            else:
                from zkdl.training.starting import on_committed, records_of

                X, y = on_committed(committed, None, None, arguments)
                plan = Plan.make(X, y, **arguments)
                statement = draft(plan, records=records_of(committed, plan))
        statement.validate()
        choose_backend(backend, threads)
        from zkdl.estimate import estimate as measure

        with console.progress_bar() as progress:
            found = measure(statement, ranges.value, progress=progress).as_dict()
        text = (
            f"about {found['seconds']:.2g} s and {found['peak_rss_bytes'] / 2**20:.0f} MiB; "
            f"{found['proof_bytes']} bytes; soundness error 2^-{found['statistical_bits']}"
        )
        console.emit(found if as_json else text)


_DEFAULTS = {"hidden": (64, 64), "batch_size": 64, "learning_rate": "1/64", "seed": 1, "bias": True}
_SCALES = (
    "activation_scale", "gradient_scale", "weight_scale", "activation_bits", "gradient_bits", "limb_bits",
)  # fmt: skip


def _flags(
    hidden: str | None,
    steps: int,
    batch_size: int | None,
    learning_rate: str | None,
    seed: int | None,
    initial_seed: int | None,
    bias: bool | None,
) -> dict[str, Any]:
    """The keyword arguments of `zkdl.train` that the flags stand for; None where one was not given."""
    return {
        "hidden": None if hidden is None else _widths(hidden),
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "initial_seed": initial_seed,
        "bias": bias,
    }


def _arguments(
    data: str, flags: dict[str, Any], scales: tuple[int | None, ...], initial: Path | None = None
) -> tuple[Any, dict[str, Any]]:
    """The data set, and all keyword arguments of a new run."""
    from zkdl.protocol.settings import Settings
    from zkdl.training import CommittedWeights

    weights = None if initial is None else CommittedWeights.load(initial)
    # Committed weights bring their own shape.
    open_ = () if weights is None else ("hidden", "bias")
    flags = {
        name: _DEFAULTS.get(name) if value is None and name not in open_ else value
        for name, value in flags.items()
    }
    loaded, given = _records(data)
    overrides: dict[str, int | None] = {} if "data" not in given else given["data"].settings()
    if weights is not None:
        overrides, given = {**overrides, "weight_scale": weights.table.scale}, {**given, "initial": weights}
    overrides.update({name: value for name, value in zip(_SCALES, scales, strict=True) if value is not None})
    settings = Settings.choose(flags["batch_size"], flags["learning_rate"], **overrides)
    return loaded, {**flags, **given, "settings": settings}


def _records(data: str) -> tuple[Any, dict[str, Any]]:
    """A data set by name or file, or committed records, and the arguments of `zkdl.train` with it."""
    from zkdl.training import CommittedData, datasets

    if Path(data).is_dir():
        return _KnownRecords(data), {"data": CommittedData.load(data), "classes": None, "test": None}
    loaded = datasets.load(data)
    return loaded, {"classes": loaded.classes, "test": loaded.test}


@dataclass(frozen=True)
class _KnownRecords:
    """Stands for the data set where records are committed already."""

    name: str
    X: None = None
    y: None = None


def _resumed(
    resume: Path, data: str | None, flags: dict[str, Any], scales: tuple[int | None, ...]
) -> tuple[Any, dict[str, Any]]:
    """The data set, and the keyword arguments of a run that continues the one in a directory."""
    from zkdl.training import Run

    before = Run.load(resume)
    given = {name: value for name, value in zip(_SCALES, scales, strict=True) if value is not None}
    settings = replace(before.statement.settings, **given) if given else None
    loaded, given = (_KnownRecords(f"as in {resume}"), {}) if data is None else _records(data)
    return loaded, {**flags, **given, "settings": settings, "resume": before}


def _widths(text: str) -> tuple[int, ...]:
    if text.strip().lower() in ("", "none"):
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--hidden must be widths such as 64,64 or 'none', got {text!r}") from None


def _train_summary(run: Any, name: str, out: Path, seconds: float) -> dict[str, Any]:
    history, statement = run.history, run.statement
    summary: dict[str, Any] = {
        "seconds": seconds,
        "peak_rss_bytes": console.peak_rss_bytes(),
        "out": str(out),
        "data": name,
        "records": statement.records,
        "widths": list(statement.widths),
        "steps": statement.steps,
        "first_step": statement.first_step,
        "settings": statement.settings.as_dict(),
        "statement_digest": statement.digest().hex(),
        "data_ranges": statement.data_ranges,
        "loss": history.loss[-1],
        "twin_loss": history.twin_loss[-1],
    }
    for part in ("train", "test"):
        evaluation = getattr(history, part)
        if evaluation is not None:
            summary[f"{part}_accuracy"] = evaluation.accuracy
            summary[f"twin_{part}_accuracy"] = evaluation.twin_accuracy
    return summary


def _train_text(summary: dict[str, Any]) -> str:
    text = (
        f"{summary['out']}: {summary['steps']} steps of {'-'.join(map(str, summary['widths']))} on "
        f"{summary['records']} records in {summary['seconds']:.2f} s; "
        f"loss {summary['loss']:.4f} (float64 {summary['twin_loss']:.4f})"
    )
    if summary.get("test_accuracy") is not None:
        accuracy, twin = summary["test_accuracy"], summary["twin_test_accuracy"]
        text += f", held-out accuracy {accuracy:.3f} (float64 {twin:.3f})"
    return text
