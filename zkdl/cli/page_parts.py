"""Sections that the pages of all proofs share: the proof phase by phase, its bytes, times, soundness."""

from __future__ import annotations

from typing import Any

from dpkit._page import (
    Bar,
    Markup,
    bar_plot,
    bytes_text,
    figures,
    number_text,
    paragraph,
    percent_text,
    power_text,
    seconds_text,
    section,
    table,
    tag,
)
from dpkit._page.document import pair
from zkdl.cli.phases import Phase
from zkdl.protocol.transcript import FR_MODULUS as R

__all__ = [
    "bytes_section",
    "error_text",
    "phase_section",
    "security",
    "soundness_section",
    "spaced",
    "times_section",
]

# What each section of a proof is, for a run and, where that differs, for a committed table.
_PHASES = {
    "commitments": "hidden cells and multiplicities, committed row by row",
    "matmul": "a sumcheck over all matrix products of all layers and steps",
    "update": "a sumcheck over the weights of every step, from the first to the last",
    "zkrelu": "a sumcheck over activations, and gradients that pass them",
    "ranges": "every cell has the width it should have",
    "opening": "all messages settled in one go, and the commitments opened where the others ask: inner "
    "products",
}
_TABLE_PHASES = {
    "commitments": "the upper limbs of the entries, and how often every value occurs",
    "ranges": "every limb is a number of the table of its width, and padding is zero",
    "opening": "all messages settled in one go, and the rows opened where the lookup asks: inner products",
}
_TIMES = {
    "witness": "recomputing the training, so that no wrong proof is made",
    "check": "looking at the numbers, so that no wrong proof is made",
}
_ARGUMENTS = {
    "matmul": "sumcheck over all matrix products",
    "update": "sumcheck over the updates of the weights",
    "zkrelu": "sumcheck over activations and masks",
    "lookup": "ranges by lookup in a table",
    "limbs": "all limbs of a chunk in one claim",
    "bits": "ranges by binary decomposition",
    "ranges": "ranges of cells",
    "opening": "inner-product argument over committed rows",
    "ledger": "claims that are checked in one batch",
}


def error_text(soundness: dict[str, Any]) -> str:
    """Return a bound on the soundness error as a power of two."""
    return power_text(2, -int(soundness["statistical_bits"]))


def security(soundness: dict[str, Any]) -> tuple[str, str, str]:
    """Return the figure at the top of a page: bits of security, and what limits them."""
    bits = min(soundness["binding_bits"], int(soundness["statistical_bits"]))
    about = f"the group's; the protocol itself errs with probability below {error_text(soundness)}"
    return f"{bits} bits", "security", about


def phase_section(found: dict[str, Any], counted: list[Phase]) -> tuple[str, Markup]:
    """Return what the proof consists of, phase by phase.

    Args:
        found: what ``zkdl inspect --json`` prints.
        counted: the phases of the statement that the proof names, or none where it is not at hand.
    """
    sizes: dict[str, int] = found["sections"]
    words = {**_PHASES, **(_TABLE_PHASES if "proves" in found else {})}
    known = {phase.name: phase for phase in counted}
    parts = []
    for number, (name, size) in enumerate(sizes.items(), 1):
        facts: list[tuple[str, str]] = [("bytes", f"{size:,}")]
        if name in known:
            phase = known[name]
            facts += [
                ("points", f"{phase.points:,}"),
                ("scalars", f"{phase.scalars:,}"),
                ("rounds", f"{phase.rounds:,}"),
                ("soundness", _chance(phase)),
            ]
        listed = tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in facts))
        heading = tag("h3", tag("span", str(number), class_="step", aria_hidden="true"), name)
        parts.append(tag("li", heading, tag("p", words.get(name, "")), listed))
    about = [
        paragraph("The order of the file is the order of the protocol: each phase rests on those before it.")
    ]
    if known:
        rounds, drawn = (sum(getattr(p, key) for p in counted) for key in ("rounds", "challenges"))
        about = [
            paragraph(
                f"The order of the file is the order of the protocol. The prover speaks {rounds:,} times and "
                f"is answered each time, with {drawn:,} random field elements in all; here a hash of "
                "everything said so far plays the verifier's part (Fiat and Shamir), so that the proof is "
                "one file. A phase may fail to notice a lie with the probability beside it."
            )
        ]
    return section("Phase by phase", *about, tag("ol", *parts, class_="phases"))


def _chance(phase: Phase) -> str:
    bits = phase.soundness_bits
    return (
        "no challenge to guess"
        if bits is None
        else f"fails with probability below {power_text(2, -int(bits))}"
    )


def bytes_section(found: dict[str, Any]) -> tuple[str, Markup]:
    """Return where the bytes of a proof are."""
    sizes: dict[str, int] = found["sections"]
    content = sum(sizes.values())
    rows: list[list[object]] = [
        [name, size, percent_text(size / max(1, content))] for name, size in sizes.items()
    ]
    rows.append(["header and frames", found["bytes"] - content, ""])
    rows.append(["the whole file", found["bytes"], ""])
    bars = [Bar(name, float(size), f"{size:,} B") for name, size in sizes.items()]
    plot = bar_plot(bars, "Bytes of each part of the proof", "plot-bytes")
    numbers = table(["part", "bytes", "share"], rows, "parts in the order of the file")
    about = "A proof is its sections back to back: nothing is compressed, cached, or left to be asked for."
    return section("Where the bytes are", pair("Parts of the proof", about, plot, numbers))


def times_section(reported: dict[str, Any] | None) -> list[tuple[str, Markup]]:
    """Return the times of the prover, where its note lies beside the proof: a list of one section or none."""
    if reported is None:
        return []
    times: dict[str, float] = reported["seconds_by_phase"]
    whole = max(1e-9, sum(times.values()))
    rows = [[name, seconds_text(value), percent_text(value / whole)] for name, value in times.items()]
    bars = [Bar(name, value, seconds_text(value)) for name, value in times.items()]
    plot = bar_plot(bars, "Seconds of each phase of proving, as reported", "plot-times")
    numbers = table(["phase", "time", "share"], rows, "as the prover's note says")
    facts: list[tuple[str, str, str]] = []
    if "seconds" in reported:
        facts.append((seconds_text(reported["seconds"]), "the whole command", "from its start to the file"))
    if "peak_rss_bytes" in reported:
        facts.append((bytes_text(reported["peak_rss_bytes"]), "memory of the prover", "largest, resident"))
    if "processor" in reported:
        count = number_text(int(reported["processors"])) if "processors" in reported else "some"
        facts.append((count, "processors", reported["processor"]))
    said = paragraph(
        "Reported by the prover in a note beside the proof, not proved: nothing that a verifier looks at "
        "depends on it, and anybody could have written it."
    )
    first = next(iter(times))
    about = f"Where the prover's time went. {first.capitalize()}: {_TIMES[first]}." if first in _TIMES else ""
    shown = pair("Seconds of the prover", about, plot, numbers)
    return [section("Times, as reported", said, figures(facts) if facts else None, shown)]


def soundness_section(soundness: dict[str, Any], counted: list[Phase]) -> tuple[str, Markup]:
    """Return how a false claim could pass, argument by argument, and every term on demand."""
    said = paragraph(
        f"A false claim passes the interactive protocol with probability below {error_text(soundness)}: the "
        "sum of the terms below. What limits security is the group: breaking a commitment by the best known "
        f"way takes work of about {soundness['binding_bits']} bits; and the hash function has to behave like "
        "a random oracle.",
    )
    rows = [
        [name, float(bits), _ARGUMENTS.get(name, "")] for name, bits in soundness["bits_by_argument"].items()
    ]
    numbers = table(
        ["argument", "bits", "what it is"], rows, "soundness error of each argument, as −log₂", words=(2,)
    )
    every = [[label, phase.name, term] for phase in counted for label, term in phase.terms.items() if term]
    caption = f"numerators; the denominator is the group's order, about {power_text(2, R.bit_length())}"
    return section(
        "Soundness, term by term",
        said,
        numbers,
        tag(
            "details",
            tag("summary", f"All {len(every)} terms, step by step"),
            table(["step", "phase", "numerator"], every, caption, words=(1,)),
        ),
    )


def spaced(content: Markup) -> Markup:
    """Return content with room above it."""
    return tag("div", content, class_="spaced")
