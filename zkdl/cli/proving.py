"""``zkdl prove`` and ``zkdl export``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from zkdl import console
from zkdl.cli.checks import check_file, choose_backend
from zkdl.cli.options import (
    MODEL,
    PROOF,
    STATEMENT,
    WITNESS,
    Backend,
    BackendOption,
    Json,
    MemoryLimit,
    RangeOption,
    Ranges,
    Threads,
)  # fmt: skip


def prove(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that train wrote.")],
    out: Annotated[Path | None, typer.Option(help="Proof file [default: RUN/proof.zkdl].")] = None,
    ranges: RangeOption = Ranges.lookup,
    backend: BackendOption = Backend.auto,
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    as_json: Json = False,
) -> None:
    """Prove that a run was trained exactly as its statement says; exit 3 if memory will not do."""
    with console.guard():
        start = time.perf_counter()
        target = run / PROOF if out is None else out
        from zkdl.protocol.statement import Statement
        from zkdl.training import Witness

        statement = Statement.load(run / STATEMENT)
        statement.validate()
        check_file(target)
        choose_backend(backend, threads)
        from zkdl.arithmetic import get_backend
        from zkdl.cli.notes import write_note
        from zkdl.prover import prove as make_proof
        from zkdl.prover.memory import check_memory, parse_limit

        limit = None if memory_limit is None else parse_limit(memory_limit)
        check_memory(statement, ranges.value, limit)
        witness = Witness.load(run / WITNESS)
        with console.progress_bar() as progress:
            proof = make_proof(statement, witness, ranges=ranges.value, progress=progress, memory_limit=limit)
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
        write_note(target, bytes(proof), summary)
        console.emit(summary if as_json else f"{target}: {len(proof)} bytes, proved in {seconds:.2f} s")


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that train wrote.")],
    out: Annotated[Path | None, typer.Option(help="Model file [default: RUN/model.safetensors].")] = None,
    as_json: Json = False,
) -> None:
    """Write the trained weights, with what shows that they are the committed ones."""
    with console.guard():
        target = run / MODEL if out is None else out
        from zkdl.protocol.statement import Statement
        from zkdl.training import Witness
        from zkdl.training import export as export_model

        statement = Statement.load(run / STATEMENT)
        witness = Witness.load(run / WITNESS)
        check_file(target)
        export_model(statement, witness).save(target)
        size = target.stat().st_size
        summary = {"out": str(target), "bytes": size, "statement_digest": statement.digest().hex()}
        console.emit(summary if as_json else f"{target}: {size} bytes")
