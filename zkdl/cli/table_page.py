"""The page of ``zkdl inspect --html`` for a committed table: records, or weights to start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dpkit._page import (
    Markup,
    Page,
    bytes_text,
    facts,
    figures,
    note,
    number_text,
    paragraph,
    power_text,
    section,
    tag,
)
from zkdl.cli.page import FOOTER, LEAD, unknown_claim
from zkdl.cli.page_parts import bytes_section, phase_section, security, soundness_section, times_section
from zkdl.cli.phases import Phase

__all__ = ["table_page"]

_TITLES = {"data": "Proof of committed records", "weights": "Proof of committed weights"}
_NOTHING_OF = {
    "data": "Not proved: that the records are good, real or different from each other, whom they are from, "
    "or that anything was trained on them. A run that names this commitment has a proof of its own.",
    "weights": "Not proved: where these weights come from, that they are good, or that anything was trained. "
    "A run that starts from this commitment has a proof of its own.",
}


def table_page(name: str, found: dict[str, Any], claim: Any, counted: Sequence[Phase] = ()) -> Page:
    """Return the page of the proof of a committed table.

    Args:
        name: of its file.
        found: what ``zkdl inspect --json`` prints.
        claim: the table that the proof names, or None where it is not at hand.
        counted: the phases of the table.

    Returns:
        A page that describes the proof without judging it.
    """
    parts = [_what(found, claim)]
    if claim is not None:
        parts.append(_shape(claim))
    parts += [
        phase_section(found, list(counted)),
        bytes_section(found),
        *times_section(found.get("reported")),
    ]
    if claim is not None:
        parts.append(soundness_section(found["soundness"], list(counted)))
    parts.append(_names(found, claim))
    return Page(
        title="Proof of a committed table" if claim is None else _TITLES[claim.kind],
        kicker=f"zkdl proof · {name}",
        lead=LEAD,
        top=figures(_figures(found, claim)),
        sections=parts,
        footer=FOOTER,
    )


def _numbers(claim: Any) -> int:
    return int(claim.parameters if claim.kind == "weights" else claim.rows * claim.columns)


def _reach(claim: Any) -> str:
    """Return what real numbers an entry stands for."""
    places = claim.bits - 1 - claim.scale
    largest = power_text(2, places) if places > 12 else number_text(1 << places)
    return f"from −{largest} to below {largest}, in steps of {power_text(2, -claim.scale)}"


def _figures(found: dict[str, Any], claim: Any) -> list[tuple[str, str, str]]:
    rows = [(bytes_text(found["bytes"]), "proof", f"{found['bytes']:,} bytes, by lookup")]
    if claim is None:
        return rows
    if claim.kind == "data":
        shape = (
            f"{claim.rows:,} × {claim.columns:,}",
            "records × numbers of each",
            f"{claim.features:,} features, {claim.outputs:,} outputs",
        )
    else:
        about = f"network {'–'.join(map(str, claim.widths))}, {'with' if claim.bias else 'without'} biases"
        shape = (f"{claim.parameters:,}", "weights", about)
    return [
        shape,
        (f"{claim.bits} bits", "width of every number", _reach(claim)),
        *rows,
        security(found["soundness"]),
    ]


def _what(found: dict[str, Any], claim: Any) -> tuple[str, Markup]:
    if claim is None:
        return section("What is proved", unknown_claim(found))
    things = "records" if claim.kind == "data" else "weights"
    bound = power_text(2, claim.bits - 1)
    said = paragraph(
        f"Whoever made this proof knows what is behind the {claim.rows:,} published commitments, and each of "
        f"the {_numbers(claim):,} numbers there is an integer from −{bound} to {bound} − 1: as {things}, a "
        f"real number {_reach(claim)}. Room in the rows that belongs to no number holds zeros.",
    )
    hidden = paragraph(f"Hidden: all {things}. Public: everything on this page.")
    return section("What is proved", said, hidden, note(_NOTHING_OF[claim.kind]))


def _shape(claim: Any) -> tuple[str, Markup]:
    limbs, chunks = claim.limb_widths, claim.chunks
    rows: list[Any] = [
        ("Numbers", number_text(_numbers(claim)), "that the proof is about"),
        (
            "Committed rows",
            number_text(claim.rows),
            f"of up to {1 << claim.row_vars:,} numbers, one point each",
        ),
        ("Width", f"{claim.bits} bits", f"{claim.scale} of them behind the point"),
        (
            "Limbs",
            " + ".join(map(str, limbs)) + " bits",
            "pieces of a number, each looked up in a table of all numbers of its width",
        ),
        (
            "Chunks",
            number_text(len(chunks)),
            "rows that are looked up together; they bound the prover's memory",
        ),
    ]
    if claim.kind == "weights":
        rows.insert(
            0, ("Layers", " – ".join(map(str, claim.widths)), "with biases" if claim.bias else "without")
        )
    return section("What is committed", facts(rows))


def _names(found: dict[str, Any], claim: Any) -> tuple[str, Markup]:
    digest = tag("code", found["statement_digest"])
    rows: list[Any] = [
        ("Digest of the table", digest, "SHA-256; a proof is about this one alone"),
        ("Proof format", f"version {found['format_version']}"),
    ]
    if claim is not None:
        rows.append(("Protocol", f"{claim.backend}, version {claim.version}"))
        rows.append(("Commitment", f"{claim.rows:,} points", "one for each row, 48 bytes each"))
    return section("Names and versions", facts(rows))
