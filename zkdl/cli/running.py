"""``zkdl train`` and ``zkdl estimate``: from flags to a run, or to what its proof will cost."""

from __future__ import annotations

import time
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
    data: Annotated[str, typer.Option(help="digits, mnist5k, or an .npz file with X and y.")],
    out: Annotated[Path, typer.Option(help="Directory to write the run to.")],
    hidden: Hidden = "64,64",
    steps: Steps = 8,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = "1/64",
    seed: Seed = 1,
    initial_seed: InitialSeed = None,
    bias: Bias = True,
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
        loaded, arguments = _arguments(
            data, hidden, steps, batch_size, learning_rate, seed, initial_seed, bias, scales
        )
        from zkdl.training import train as run_training

        with console.progress_bar() as progress:
            run = run_training(loaded.X, loaded.y, **arguments, progress=progress)
        run.save(out)
        summary = _train_summary(run, loaded.name, out, time.perf_counter() - start)
        console.emit(summary if as_json else _train_text(summary))


def estimate(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Directory that train wrote.")] = None,
    data: Annotated[str | None, typer.Option(help="Instead of RUN: the data that would be used.")] = None,
    hidden: Hidden = "64,64",
    steps: Steps = 8,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = "1/64",
    seed: Seed = 1,
    initial_seed: InitialSeed = None,
    bias: Bias = True,
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
            loaded, arguments = _arguments(
                str(data), hidden, steps, batch_size, learning_rate, seed, initial_seed, bias, scales
            )
            from zkdl.training.fit import Plan
            from zkdl.training.run import draft

            statement = draft(Plan.make(loaded.X, loaded.y, **arguments))
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


def _arguments(
    data: str,
    hidden: str,
    steps: int,
    batch_size: int,
    learning_rate: str,
    seed: int,
    initial_seed: int | None,
    bias: bool,
    scales: tuple[int | None, ...],
) -> tuple[Any, dict[str, Any]]:
    """The data set, and the keyword arguments of `zkdl.train` that the flags stand for."""
    from zkdl.protocol.settings import Settings
    from zkdl.training import datasets

    widths = _widths(hidden)
    names = ("activation_scale", "gradient_scale", "weight_scale", "activation_bits", "gradient_bits")
    overrides = dict(zip((*names, "limb_bits"), scales, strict=True))
    settings = Settings.choose(batch_size, learning_rate, **overrides)
    loaded = datasets.load(data)
    return loaded, {
        "hidden": widths,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "initial_seed": initial_seed,
        "settings": settings,
        "bias": bias,
        "classes": loaded.classes,
        "test": loaded.test,
    }


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
        "settings": statement.settings.as_dict(),
        "statement_digest": statement.digest().hex(),
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
