"""``zkdl commit-data`` and ``zkdl commit-weights``: committing once, for many runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from zkdl import console
from zkdl.cli.checks import check_directory, choose_backend
from zkdl.cli.options import ActivationBits, ActivationScale, Backend, BackendOption, Json, Threads


def commit_data(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="digits, mnist5k, or an .npz file with X and y.")
    ],
    out: Annotated[
        Path, typer.Option(help="Directory for data.json, data.zkdl and the private records.npz.")
    ],
    activation_scale: ActivationScale = None,
    activation_bits: ActivationBits = None,
    backend: BackendOption = Backend.auto,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Commit to records once, with a proof that they are in range; then: train --data DIR."""
    with console.guard():
        start = time.perf_counter()
        check_directory(out)
        choose_backend(backend, threads)
        from zkdl.prover import commit_data as commit
        from zkdl.training import datasets

        loaded = datasets.load(data)
        with console.progress_bar() as progress:
            made = commit(
                loaded.X,
                loaded.y,
                activation_scale=activation_scale,
                activation_bits=activation_bits,
                classes=loaded.classes,
                test=loaded.test,
                progress=progress,
            )
        made.save(out)
        table = made.table
        shape = {"records": table.rows, "features": table.features, "outputs": table.outputs}
        what = f"{table.rows} records of {table.columns} numbers"
        _report(made, out, time.perf_counter() - start, shape, what, as_json)


def commit_weights(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A safetensors file: an export, or float tensors 0.weight, 0.bias, 2.weight, ...",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Directory for weights.json, weights.zkdl, the private weights.npz.")
    ],
    weight_scale: Annotated[
        int | None,
        typer.Option(help="Bits behind the point of weights.", show_default="that of an export, or 32"),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Width of weights.", show_default="weight scale + 4: magnitude below 8")
    ] = None,
    row_bits: Annotated[
        int | None, typer.Option(help="A committed row has 2^row_bits entries.", show_default="by size")
    ] = None,
    backend: BackendOption = Backend.auto,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Commit to weights once, with a proof that they are in range; then: train --initial DIR."""
    with console.guard():
        start = time.perf_counter()
        check_directory(out)
        choose_backend(backend, threads)
        from zkdl.prover import commit_weights as commit

        with console.progress_bar() as progress:
            made = commit(model, weight_scale=weight_scale, bits=bits, row_bits=row_bits, progress=progress)
        made.save(out)
        table = made.table
        shape = {"widths": list(table.widths), "bias": table.bias, "row_bits": table.row_bits}
        what = f"{table.parameters} weights of {'-'.join(map(str, table.widths))}"
        _report(made, out, time.perf_counter() - start, shape, what, as_json)


def _report(made: Any, out: Path, seconds: float, shape: dict[str, Any], what: str, as_json: bool) -> None:
    from zkdl.arithmetic import get_backend
    from zkdl.cli.notes import write_note

    summary = {
        "seconds": seconds,
        "proof_bytes": len(made.proof),
        "commitment_bytes": len(made.table.commitment),
        "peak_rss_bytes": console.peak_rss_bytes(),
        "seconds_by_phase": made.proof.phases,
        "out": str(out),
        **shape,
        "bits": made.table.bits,
        "scale": made.table.scale,
        "table_digest": made.table.digest().hex(),
    }
    text = (
        f"{out}: {what} committed and proved to be in range in {seconds:.2f} s; "
        f"proof of {len(made.proof)} bytes"
    )
    noted = {**summary, "backend": get_backend()}
    write_note(out / f"{made.table.kind}.zkdl", bytes(made.proof), noted)
    console.emit(summary if as_json else text)
