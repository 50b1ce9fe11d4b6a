"""``zkdl verify``: one proof, or the proofs of runs that continue one another."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from zkdl import console
from zkdl.cli.options import Json
from zkdl.errors import InputError, ProofRejected

_REJECTED = 1


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="STATEMENT PROOF [STATEMENT PROOF]...",
            help="RUN/statement.json RUN/proof.zkdl; of runs that continue one another, the first run first.",
        ),
    ],
    weights: Annotated[
        Path | None, typer.Option(help="Also check that this exported model is the one that was proved.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="The committed records that runs train on: a directory or its data.json."
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The committed weights that the (first) run starts from."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a proof, a chain of them, or a committed table: exit 0 accepted, 1 rejected, 2 unreadable."""
    with console.guard():
        start = time.perf_counter()
        if len(files) % 2:
            raise InputError(f"verify takes a statement and a proof for every run, got {len(files)} files")
        if any(_is_table(claim) for claim in files[::2]):
            if len(files) > 2 or weights or data or initial:
                raise InputError(
                    "verify takes a committed table alone, or for a run with --data and --initial"
                )
            _verify_table(*files, start=start, as_json=as_json)
            return
        from zkdl.protocol.model_file import Model
        from zkdl.protocol.proof import Proof
        from zkdl.protocol.statement import Statement

        pairs = [
            (Statement.load(claim), Proof.load(sent))
            for claim, sent in zip(files[::2], files[1::2], strict=True)
        ]
        model = None if weights is None else Model.load(weights)
        tables = [_committed(path, "data") for path in data or ()]
        started = None if initial is None else _committed(initial, "weights")
        from zkdl.verifier import verify_chain

        try:
            links = verify_chain(pairs, model, initial=started, data=tables)
        except ProofRejected as error:
            where = f"{files[2 * error.position]}: " if len(pairs) > 1 and error.position is not None else ""
            if as_json:
                refusal = {"accepted": False, "reason": str(error.reason), "message": error.detail}
                console.emit(refusal if len(pairs) == 1 else {**refusal, "position": error.position})
            console.refuse(f"rejected: {where}{error}", _REJECTED)
        seconds = time.perf_counter() - start
        result: dict[str, object] = {
            "accepted": True,
            "seconds": seconds,
            "proof_bytes": sum(len(sent) for _, sent in pairs),
            "peak_rss_bytes": console.peak_rss_bytes(),
        }
        if tables or started:
            result["table_bytes"] = sum(len(sent) for _, sent in [*tables, *([started] if started else [])])
        text = f"accepted in {seconds:.2f} s"
        if links:
            result["proofs"] = len(pairs)
            result["steps"] = sum(claim.steps for claim, _ in pairs)
            result["links"] = [asdict(link) for link in links]
            text += f": {len(pairs)} runs in a row, {result['steps']} steps"
            for position, link in enumerate(links, start=2):
                text += f"\nrun {position}: {link.data} data, {_BATCHES[link.batches]}"
        console.emit(result if as_json else text)


def _is_table(path: Path) -> bool:
    from zkdl.protocol import table_json

    return table_json.is_table(table_json.read_limited(path))


def _committed(place: Path, kind: str) -> tuple[Any, Any]:
    """The table in a directory (or the file itself) and the proof beside it."""
    from zkdl.protocol.proof import Proof
    from zkdl.protocol.table_kinds import read_table

    public = place / f"{kind}.json" if place.is_dir() else place
    return read_table(public), Proof.load(public.with_suffix(".zkdl"))


def _verify_table(public: Path, sent: Path, *, start: float, as_json: bool) -> None:
    from zkdl.protocol.proof import Proof
    from zkdl.protocol.table_kinds import read_table

    table, proof = read_table(public), Proof.load(sent)
    from zkdl.verifier import verify_table

    try:
        verify_table(table, proof)
    except ProofRejected as error:
        if as_json:
            console.emit({"accepted": False, "reason": str(error.reason), "message": error.detail})
        console.refuse(f"rejected: {error}", _REJECTED)
    seconds = time.perf_counter() - start
    result = {
        "accepted": True,
        "seconds": seconds,
        "proof_bytes": len(proof),
        "peak_rss_bytes": console.peak_rss_bytes(),
        "kind": table.kind,
        "rows": table.rows,
        "bits": table.bits,
    }
    text = f"accepted in {seconds:.2f} s: {table.kind}, {table.rows} rows, every entry in {table.bits} bits"
    console.emit(result if as_json else text)


_BATCHES = {
    "continue": "batches continue",
    "jump": "batches from another place of the same sequence: some are left out or come again",
    "other": "another sequence of batches",
}
