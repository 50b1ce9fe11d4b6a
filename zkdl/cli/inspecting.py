"""``zkdl inspect``: what a proof file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkdl import console
from zkdl.cli.checks import check_file
from zkdl.cli.options import STATEMENT, Json
from zkdl.errors import FormatError, InputError, ProofRejected

if TYPE_CHECKING:
    from zkdl.cli.phases import Phase


def inspect(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="RUN/proof.zkdl")],
    statement: Annotated[
        Path | None, typer.Option(help="Statement [default: statement.json beside the proof, if there].")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page for a browser to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a proof file holds, without judging it."""
    with console.guard():
        from zkdl.cli.notes import read_note
        from zkdl.cli.phases import phases
        from zkdl.protocol.proof import Proof, describe

        try:
            data = bytes(Proof.load(proof))
            found: dict[str, Any] = dict(describe(data))
        except ProofRejected as error:
            raise FormatError(f"{proof}: {error}") from None
        counted: list[Phase] = []
        claim = _statement_beside(proof, statement, found["statement_digest"], "proves" in found)
        if claim is not None:
            found["statement"] = _settings_of(claim)
            subject = _subject(claim, found["ranges"])
            found["soundness"] = _soundness(subject)
            counted = phases(subject)
            found["phases"] = {phase.name: phase.as_dict() for phase in counted}
        if (reported := read_note(proof, data)) is not None:
            found["reported"] = reported
        if html is not None:
            size = _write_page(html, proof, found, claim, counted)
            if not as_json:
                console.emit(f"{html}: {size} bytes")
                return
        console.emit(found if as_json else "\n".join(_lines(found)))


def _write_page(html: Path, proof: Path, found: dict[str, Any], claim: Any, counted: list[Phase]) -> int:
    from zkdl.cli.page import proof_page
    from zkdl.cli.table_page import table_page
    from zkdl.protocol.files import write_whole

    check_file(html, "--html")
    make = table_page if "proves" in found else proof_page
    data = make(proof.name, found, claim, counted).data()
    write_whole(html, data)
    return len(data)


def _statement_beside(proof: Path, statement: Path | None, digest: object, of_table: bool) -> Any:
    """The statement that the proof names, or None; only one that was asked for must exist and fit."""
    from zkdl.protocol.statement import Statement
    from zkdl.protocol.table_kinds import read_table

    beside = proof.with_suffix(".json") if of_table else proof.with_name(STATEMENT)
    path = beside if statement is None else statement
    if statement is None and not path.is_file():
        return None
    claim: Any = read_table(path) if of_table else Statement.load(path)
    if claim.digest().hex() != digest:
        if statement is None:
            return None
        raise InputError(f"{path} is not the statement that the proof names")
    claim.validate()
    return claim


def _settings_of(claim: Any) -> dict[str, object]:
    from zkdl.protocol.table import Table

    if isinstance(claim, Table):
        return {"kind": claim.kind, **claim.settings(), "rows": claim.rows, "chunks": len(claim.chunks)}
    return {
        "widths": list(claim.widths),
        "bias": claim.bias,
        "batch_size": claim.batch_size,
        "steps": claim.steps,
        "first_step": claim.first_step,
        "learning_rate": str(claim.learning_rate),
        "seed": claim.seed,
        "initial_weights": _initial_weights(claim),
        "initial_limit": claim.initial_limit,
        "records": claim.records,
        "data_ranges": claim.data_ranges,
        "row_bits": claim.row_bits,
        "settings": claim.settings.as_dict(),
    }


def _initial_weights(claim: Any) -> str:
    parts = [] if claim.initial_seed is None else [f"seed {claim.initial_seed}"]
    return " and ".join(parts + ["a commitment"] * bool(claim.initial_commitment))


def _subject(claim: Any, ranges: str) -> Any:
    """What the schedule is walked for: a table as it is, a run with its range argument."""
    from zkdl.protocol.instance import Instance
    from zkdl.protocol.table import Table

    return claim if isinstance(claim, Table) else Instance(claim, ranges)  # type: ignore[arg-type]


def _soundness(subject: Any) -> dict[str, object]:
    from zkdl.protocol.report import GROUP_SECURITY_BITS, report

    found = report(subject)
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
