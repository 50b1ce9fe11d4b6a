"""The page of ``zkdl inspect --html`` for a proof of training: what it claims, and what it is made of."""

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
    section,
    table,
    tag,
)
from dpkit._version import __version__
from zkdl.cli.page_parts import (
    bytes_section,
    phase_section,
    security,
    soundness_section,
    spaced,
    times_section,
)
from zkdl.cli.phases import Phase

__all__ = ["FOOTER", "LEAD", "proof_page", "unknown_claim"]

LEAD = (
    "What this file claims and what is inside it. Describing a proof is not checking it: only zkdl verify, "
    "with the statement and this file, says whether the claim is true."
)
FOOTER = (
    f"zkdl {__version__}. Research software, not audited; docs/what-is-proved.md has the exact relation and "
    "its assumptions."
)


def proof_page(name: str, found: dict[str, Any], claim: Any, counted: Sequence[Phase] = ()) -> Page:
    """Return the page of a proof.

    Args:
        name: of its file.
        found: what ``zkdl inspect --json`` prints.
        claim: the statement that the proof names, or None where it is not at hand.
        counted: the phases of the claim.

    Returns:
        A page that describes the proof without judging it.
    """
    parts = [_what(found, claim)]
    if claim is not None:
        parts.append(_settings(claim))
    parts += [
        phase_section(found, list(counted)),
        bytes_section(found),
        *times_section(found.get("reported")),
    ]
    if claim is not None:
        parts.append(soundness_section(found["soundness"], list(counted)))
    parts.append(_names(found, claim))
    return Page(
        title="Proof of training",
        kicker=f"zkdl proof · {name}",
        lead=LEAD,
        top=figures(_figures(found, claim)),
        sections=parts,
        footer=FOOTER,
    )


def _figures(found: dict[str, Any], claim: Any) -> list[tuple[str, str, str]]:
    rows = [
        (bytes_text(found["bytes"]), "proof", f"{found['bytes']:,} bytes, range argument: {found['ranges']}")
    ]
    if claim is None:
        return rows
    return [
        (
            f"{number_text(claim.steps)} × {number_text(claim.batch_size)}",
            "steps × records a step",
            f"from a committed set of {claim.records:,} records",
        ),
        (
            "–".join(map(str, claim.widths)),
            "network",
            f"{_parameters(claim):,} parameters, ReLU between layers",
        ),
        *rows,
        security(found["soundness"]),
    ]


def _parameters(claim: Any) -> int:
    pairs = zip(claim.widths, claim.widths[1:], strict=False)
    return sum((a + bool(claim.bias)) * b for a, b in pairs)


def _what(found: dict[str, Any], claim: Any) -> tuple[str, Markup]:
    if claim is None:
        return section("What is proved", unknown_claim(found))
    seed = f"{claim.seed:,}"
    said = paragraph(
        f"Whoever made this proof knows the records that its batches use, out of {claim.records:,} published "
        f"commitments. Training started from {_first(claim)}, ran for exactly {_steps(claim)} of mini-batch "
        "SGD, and ended at the network behind the published commitment to the final weights. Batches of "
        f"{claim.batch_size} were chosen by seed {seed}, the learning rate was {claim.learning_rate}, the "
        "loss the squared error. Every product, rounding, activation and update was the fixed-point one that "
        "the settings name: equalities of integers, nothing approximate.",
    )
    hidden = paragraph(
        "Hidden: features, labels, weights, activations, gradients. Public: everything on this page."
    )
    granted = []
    if claim.initial_commitment:
        granted.append(f"that the committed change of the first weights stays within {claim.initial_limit:,}")
    if claim.data_ranges != "proof":
        granted.append("that the records are in range")
    taken = f" Other proofs have to show {' and '.join(granted)}." if granted else ""
    missing = note(
        "Not proved: that the data are good or real, that the seeds were chosen innocently, accuracy, "
        f"differential privacy, time or place.{taken}"
    )
    return section("What is proved", said, hidden, missing)


def unknown_claim(found: dict[str, Any]) -> Markup:
    """Return what to say of a proof whose statement is not at hand."""
    return note(
        "The statement that this proof names was not at hand, so this page cannot say what is claimed. "
        "Give it with --statement; its digest is ",
        tag("code", found["statement_digest"]),
        ".",
        warning=True,
    )


def _first(claim: Any) -> str:
    base = "the zero network" if claim.initial_seed is None else f"the network of seed {claim.initial_seed}"
    return f"{base} with a committed change" if claim.initial_commitment else base


def _steps(claim: Any) -> str:
    if not claim.first_step:
        return f"{claim.steps:,} steps"
    return f"{claim.steps:,} steps (numbers {claim.first_step:,} to {claim.first_step + claim.steps - 1:,})"


def _settings(claim: Any) -> tuple[str, Markup]:
    values = claim.settings.as_dict()
    described = {
        "activation_scale": "bits behind the point of activations",
        "gradient_scale": "bits behind the point of gradients",
        "weight_scale": "bits behind the point of weights",
        "activation_bits": "width of activations",
        "gradient_bits": "width of gradients",
        "limb_bits": "width of the limbs of a remainder",
    }
    rows: list[Any] = [
        ("Layers", " – ".join(map(str, claim.widths)), "with biases" if claim.bias else "without biases"),
        ("Learning rate", str(claim.learning_rate), f"updates multiply integers by {claim.mu:,}"),
        ("Seeds", f"batches {claim.seed}, initial weights {claim.initial_seed}"),
        ("Loss", str(claim.loss).replace("_", " ")),
    ]
    fixed = [[described.get(key, key), value] for key, value in values.items()]
    return section(
        "Settings",
        facts(rows),
        spaced(table(["fixed-point setting", "bits"], fixed, "how numbers are kept")),
    )


def _names(found: dict[str, Any], claim: Any) -> tuple[str, Markup]:
    rows: list[Any] = [
        (
            "Statement digest",
            tag("code", found["statement_digest"]),
            "SHA-256; a proof is about this one alone",
        ),
        ("Proof format", f"version {found['format_version']}"),
    ]
    if claim is not None:
        rows += [
            ("Protocol", f"{claim.backend}, version {claim.version}"),
            ("Data commitment", f"{claim.records:,} points", "one for each record, 48 bytes each"),
            (
                "Weights commitment",
                f"{len(claim.final_commitment) // 48:,} points",
                "rows of the final weights",
            ),
        ]
    return section("Names and versions", facts(rows))
