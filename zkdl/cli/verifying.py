"""``zkdl verify``: one proof, or the proofs of runs that continue one another."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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
    as_json: Json = False,
) -> None:
    """Check a proof, or a chain of them: exit 0 accepted, 1 rejected, 2 unreadable."""
    with console.guard():
        start = time.perf_counter()
        if len(files) % 2:
            raise InputError(f"verify takes a statement and a proof for every run, got {len(files)} files")
        from zkdl.protocol.model_file import Model
        from zkdl.protocol.proof import Proof
        from zkdl.protocol.statement import Statement

        pairs = [
            (Statement.load(claim), Proof.load(sent))
            for claim, sent in zip(files[::2], files[1::2], strict=True)
        ]
        model = None if weights is None else Model.load(weights)
        from zkdl.verifier import verify_chain

        try:
            links = verify_chain(pairs, model)
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
        text = f"accepted in {seconds:.2f} s"
        if links:
            result["proofs"] = len(pairs)
            result["steps"] = sum(claim.steps for claim, _ in pairs)
            result["links"] = [asdict(link) for link in links]
            text += f": {len(pairs)} runs in a row, {result['steps']} steps"
            for position, link in enumerate(links, start=2):
                text += f"\nrun {position}: {link.data} data, {_BATCHES[link.batches]}"
        console.emit(result if as_json else text)


_BATCHES = {
    "continue": "batches continue",
    "jump": "batches from another place of the same sequence: some are left out or come again",
    "other": "another sequence of batches",
}
