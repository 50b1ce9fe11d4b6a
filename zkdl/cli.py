"""The command ``zkdl``: train, estimate, prove, verify, export, inspect."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from zkdl import console
from zkdl.errors import FormatError, InputError, ProofRejected

__all__ = ["app", "main"]

app = typer.Typer(
    name="zkdl",
    help="Zero-knowledge proofs of neural-network training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_REJECTED = 1
_STATEMENT, _WITNESS, _PROOF = "statement.json", "witness.npz", "proof.zkdl"
_MODEL = "model.safetensors"


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
Hidden = Annotated[str, typer.Option(help="Widths of the hidden layers, e.g. 64,64; 'none' for none.")]
Steps = Annotated[int, typer.Option(help="Mini-batch steps T.")]
BatchSize = Annotated[int, typer.Option(help="Records per step B.")]
LearningRate = Annotated[str, typer.Option(help="An exact number such as 1/64.")]
Seed = Annotated[int, typer.Option(help="Names the batches, and the initial weights.")]
InitialSeed = Annotated[int | None, typer.Option(help="Names the initial weights instead.")]
Bias = Annotated[bool, typer.Option("--bias/--no-bias", help="Whether layers have a bias.")]
ActivationScale = Annotated[int | None, typer.Option(help="Bits behind the point of activations.")]
GradientScale = Annotated[int | None, typer.Option(help="Bits behind the point of gradients.")]
WeightScale = Annotated[int | None, typer.Option(help="Bits behind the point of weights.")]
ActivationBits = Annotated[int | None, typer.Option(help="Width of activations.")]
GradientBits = Annotated[int | None, typer.Option(help="Width of gradients.")]
LimbBits = Annotated[int | None, typer.Option(help="Width of the limbs of a remainder.")]
RangeOption = Annotated[Ranges, typer.Option(help="Range argument.")]
BackendOption = Annotated[Backend, typer.Option(help="Where arithmetic runs.")]
Threads = Annotated[int | None, typer.Option(help="Threads [default: one per processor].")]


@app.command()
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
        _check_directory(out)
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


@app.command()
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

            statement = Statement.load(run / _STATEMENT)
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
        _choose_backend(backend, threads)
        from zkdl.estimate import estimate as measure

        with console.progress_bar() as progress:
            found = measure(statement, ranges.value, progress=progress).as_dict()
        text = (
            f"about {found['seconds']:.2g} s and {found['peak_rss_bytes'] / 2**20:.0f} MiB; "
            f"{found['proof_bytes']} bytes; soundness error 2^-{found['statistical_bits']}"
        )
        console.emit(found if as_json else text)


@app.command()
def prove(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that train wrote.")],
    out: Annotated[Path | None, typer.Option(help="Proof file [default: RUN/proof.zkdl].")] = None,
    ranges: RangeOption = Ranges.lookup,
    backend: BackendOption = Backend.auto,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Prove that a run was trained exactly as its statement says."""
    with console.guard():
        start = time.perf_counter()
        target = run / _PROOF if out is None else out
        from zkdl.protocol.statement import Statement
        from zkdl.training import Witness

        statement = Statement.load(run / _STATEMENT)
        witness = Witness.load(run / _WITNESS)
        _check_file(target)
        _choose_backend(backend, threads)
        from zkdl.arithmetic import get_backend
        from zkdl.prover import prove as make_proof

        with console.progress_bar() as progress:
            proof = make_proof(statement, witness, ranges=ranges.value, progress=progress)
        proof.save(target)
        seconds = time.perf_counter() - start
        summary = {
            "seconds": seconds,
            "proof_bytes": len(proof),
            "peak_rss_bytes": console.peak_rss_bytes(),
            "seconds_by_phase": proof.phases,
            "ranges": ranges.value,
            "backend": get_backend(),
            "out": str(target),
            "statement_digest": statement.digest().hex(),
        }
        console.emit(summary if as_json else f"{target}: {len(proof)} bytes, proved in {seconds:.2f} s")


@app.command()
def verify(
    statement: Annotated[Path, typer.Argument(metavar="STATEMENT", help="RUN/statement.json")],
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="RUN/proof.zkdl")],
    weights: Annotated[
        Path | None, typer.Option(help="Also check that this exported model is the one that was proved.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a proof: exit 0 accepted, 1 rejected, 2 unreadable."""
    with console.guard():
        start = time.perf_counter()
        from zkdl.protocol.model_file import Model
        from zkdl.protocol.proof import Proof
        from zkdl.protocol.statement import Statement

        claim, sent = Statement.load(statement), Proof.load(proof)
        model = None if weights is None else Model.load(weights)
        from zkdl.verifier import verify as check_proof

        try:
            check_proof(claim, sent, model)
        except ProofRejected as error:
            if as_json:
                console.emit({"accepted": False, "reason": str(error.reason), "message": error.detail})
            console.refuse(f"rejected: {error}", _REJECTED)
        seconds = time.perf_counter() - start
        result = {"accepted": True, "seconds": seconds, "proof_bytes": len(sent)}
        result["peak_rss_bytes"] = console.peak_rss_bytes()
        console.emit(result if as_json else f"accepted in {seconds:.2f} s")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that train wrote.")],
    out: Annotated[Path | None, typer.Option(help="Model file [default: RUN/model.safetensors].")] = None,
    as_json: Json = False,
) -> None:
    """Write the trained weights, with what shows that they are the committed ones."""
    with console.guard():
        target = run / _MODEL if out is None else out
        from zkdl.protocol.statement import Statement
        from zkdl.training import Witness
        from zkdl.training import export as export_model

        statement = Statement.load(run / _STATEMENT)
        witness = Witness.load(run / _WITNESS)
        _check_file(target)
        export_model(statement, witness).save(target)
        size = target.stat().st_size
        summary = {"out": str(target), "bytes": size, "statement_digest": statement.digest().hex()}
        console.emit(summary if as_json else f"{target}: {size} bytes")


@app.command()
def inspect(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="RUN/proof.zkdl")],
    statement: Annotated[
        Path | None, typer.Option(help="Statement [default: statement.json beside the proof, if there].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a proof file holds, without judging it."""
    with console.guard():
        from zkdl.protocol.proof import Proof, describe

        try:
            found: dict[str, Any] = dict(describe(bytes(Proof.load(proof))))
        except ProofRejected as error:
            raise FormatError(f"{proof}: {error}") from None
        claim = _statement_beside(proof, statement, found["statement_digest"])
        if claim is not None:
            found["statement"] = _settings_of(claim)
            found["soundness"] = _soundness(claim, found["ranges"])
        console.emit(found if as_json else "\n".join(_lines(found)))


def main() -> None:
    """Run the command line; the entry point of ``zkdl``."""
    console.end_on_sigterm()
    with console.guard():
        app(prog_name="zkdl")


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


def _check_directory(path: Path) -> None:
    """Refuse an output directory that cannot be written before the work is done, not after."""
    if path.exists() and not path.is_dir():
        raise InputError(f"--out must be a directory, but {path} is a file")
    place = path if path.is_dir() else _nearest_parent(path)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"--out {path} cannot be written: no permission in {place}")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"--out must be a file, but {path} is a directory")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: the directory {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"--out {path} cannot be written: no permission in {path.parent}")


def _nearest_parent(path: Path) -> Path:
    return next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))


def _choose_backend(backend: Backend, threads: int | None) -> None:
    from zkdl import arithmetic as za

    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads must be at least 1, got {threads}")
        za.set_threads(threads)
    za.set_backend(backend.value)


def _statement_beside(proof: Path, statement: Path | None, digest: object) -> Any:
    """The statement that the proof names, or None; only one that was asked for must exist and fit."""
    from zkdl.protocol.statement import Statement

    path = proof.with_name(_STATEMENT) if statement is None else statement
    if statement is None and not path.is_file():
        return None
    claim = Statement.load(path)
    if claim.digest().hex() != digest:
        if statement is None:
            return None
        raise InputError(f"{path} is not the statement that the proof names")
    claim.validate()
    return claim


def _settings_of(claim: Any) -> dict[str, object]:
    return {
        "widths": list(claim.widths),
        "bias": claim.bias,
        "batch_size": claim.batch_size,
        "steps": claim.steps,
        "learning_rate": str(claim.learning_rate),
        "records": claim.records,
        "row_bits": claim.row_bits,
        "settings": claim.settings.as_dict(),
    }


def _soundness(claim: Any, ranges: str) -> dict[str, object]:
    from zkdl.protocol.instance import Instance
    from zkdl.protocol.report import GROUP_SECURITY_BITS, report

    found = report(Instance(claim, ranges))  # type: ignore[arg-type]
    return {
        "statistical_bits": round(found.statistical_bits, 1),
        "bits_by_argument": found.by_section,
        "binding_bits": GROUP_SECURITY_BITS,
    }


def _lines(values: dict[str, Any], indent: str = "") -> list[str]:
    out = []
    for name, value in values.items():
        if isinstance(value, dict):
            out += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        else:
            out.append(f"{indent}{name}: {value}")
    return out


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
