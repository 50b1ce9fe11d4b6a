"""The page of ``zkdl inspect --html``: what a proof says, in words, and where its bytes and soundness go."""

from __future__ import annotations

from typing import Any

from dpkit._page import (
    Bar,
    Markup,
    Page,
    bar_plot,
    bytes_text,
    facts,
    figures,
    note,
    number_text,
    paragraph,
    power_text,
    section,
    table,
    tag,
)
from dpkit._page.document import pair
from dpkit._version import __version__

__all__ = ["proof_page"]

_SECTIONS = {
    "commitments": "hidden cells and multiplicities, committed row by row",
    "matmul": "all matrix products of all layers and steps",
    "update": "weights of every step, from the first to the last",
    "zkrelu": "activations, and gradients that pass them",
    "ranges": "every cell has the width it should have",
    "opening": "commitments opened at the points that the others ask for",
}
_ARGUMENTS = {
    "matmul": "sumcheck over all matrix products",
    "update": "sumcheck over the updates of the weights",
    "zkrelu": "sumcheck over activations and masks",
    "lookup": "ranges by lookup in a table",
    "bits": "ranges by binary decomposition",
    "ranges": "ranges of cells",
    "opening": "inner-product argument over committed rows",
    "ledger": "claims that are checked in one batch",
}


def proof_page(name: str, found: dict[str, Any], claim: Any) -> Page:
    """Return the page of a proof.

    Args:
        name: of its file.
        found: what ``zkdl inspect --json`` prints.
        claim: the statement that the proof names, or None where it is not at hand.

    Returns:
        A page that describes the proof without judging it.
    """
    parts = [_what(found, claim)]
    if claim is not None:
        parts += [_settings(claim)]
    parts += [_bytes(found)]
    if claim is not None:
        parts += [_soundness(found["soundness"])]
    parts += [_names(found, claim)]
    return Page(
        title="Proof of training",
        kicker=f"zkdl proof · {name}",
        lead="What this file claims and what is inside it. Describing a proof is not checking it: only "
        "zkdl verify, with the statement and this file, says whether the claim is true.",
        top=figures(_figures(found, claim)),
        sections=parts,
        footer=f"zkdl {__version__}. Research software, not audited; docs/what-is-proved.md has the exact "
        "relation and its assumptions.",
    )


def _figures(found: dict[str, Any], claim: Any) -> list[tuple[str, str, str]]:
    rows = [
        (bytes_text(found["bytes"]), "proof", f"{found['bytes']:,} bytes, range argument: {found['ranges']}")
    ]
    if claim is None:
        return rows
    soundness = found["soundness"]
    binding, statistical = soundness["binding_bits"], soundness["statistical_bits"]
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
        (
            f"{min(binding, int(statistical))} bits",
            "security",
            f"the group's; the protocol itself errs with probability below {_error(soundness)}",
        ),
    ]


def _parameters(claim: Any) -> int:
    pairs = zip(claim.widths, claim.widths[1:], strict=False)
    return sum((a + bool(claim.bias)) * b for a, b in pairs)


def _what(found: dict[str, Any], claim: Any) -> tuple[str, Markup]:
    if claim is None:
        text = note(
            "The statement that this proof names was not at hand, so this page cannot say what is claimed. "
            "Give it with --statement; its digest is ",
            tag("code", found["statement_digest"]),
            ".",
            warning=True,
        )
        return section("What is proved", text)
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
        _spaced(table(["fixed-point setting", "bits"], fixed, "how numbers are kept")),
    )


def _bytes(found: dict[str, Any]) -> tuple[str, Markup]:
    sizes: dict[str, int] = found["sections"]
    content = sum(sizes.values())
    rows = [
        [name, size, f"{number_text(100.0 * size / max(1, content), 3)} %", _SECTIONS.get(name, "")]
        for name, size in sizes.items()
    ]
    rows.append(
        ["header and frames", found["bytes"] - content, "", "version, digest of the statement, lengths"]
    )
    bars = [Bar(name, float(size), f"{size:,} B") for name, size in sizes.items()]
    plot = bar_plot(bars, "Bytes of each part of the proof", "plot-bytes")
    numbers = table(
        ["part", "bytes", "share", "what it shows"], rows, "parts in the order of the file", words=(3,)
    )
    about = "A proof is its sections back to back: nothing is compressed, cached, or left to be asked for."
    return section("Where the bytes are", pair("Parts of the proof", about, plot, numbers))


def _soundness(soundness: dict[str, Any]) -> tuple[str, Markup]:
    said = paragraph(
        f"A false claim passes the interactive protocol with probability below {_error(soundness)}: the sum "
        "of the terms below. What limits security is the group: breaking a commitment by the best known way "
        f"takes work of about {soundness['binding_bits']} bits; and the hash function has to behave like a "
        "random oracle.",
    )
    rows = [
        [name, float(bits), _ARGUMENTS.get(name, "")] for name, bits in soundness["bits_by_argument"].items()
    ]
    numbers = table(
        ["argument", "bits", "what it is"], rows, "soundness error of each argument, as −log₂", words=(2,)
    )
    return section("Soundness, term by term", said, numbers)


def _error(soundness: dict[str, Any]) -> str:
    return power_text(2, -int(soundness["statistical_bits"]))


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


def _spaced(content: Markup) -> Markup:
    return tag("div", content, class_="spaced")
