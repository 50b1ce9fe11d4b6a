"""The whole page: three figures, then the parts, then where the numbers come from."""

from benchmarks._report import privacy, proofs
from benchmarks._report.plain import anything
from dpkit._page import (
    Page,
    bytes_text,
    facts,
    note,
    number_text,
    paragraph,
    seconds_text,
    section,
    table,
    tag,
)

# What each part says at the top, and all that it says; parts without an entry are shown as plain tables.
FIGURES = (
    ("tradeoff", "What privacy costs", privacy.error_against_epsilon),
    ("continual", "What privacy costs over time", privacy.error_against_length),
    ("proving", "What a proof costs", proofs.seconds_against_steps),
)
SECTIONS = {
    "tradeoff": ("Private sums", privacy.tradeoff),
    "similarity": ("Sums at full size", privacy.similarity),
    "classification": ("Private classification", privacy.classification),
    "continual": ("Streams", privacy.continual),
    "audit": ("Audits", privacy.audit),
    "proving": ("Proofs of training", proofs.proving),
    "accuracy": ("Training in fixed point", proofs.accuracy),
    "training": ("Steps of training", proofs.training),
    "arithmetic": ("Arithmetic", proofs.arithmetic),
    "noise": ("Exact noise", privacy.noise),
}
_STATES = {"done": "done", "missed": "done, but missed a limit of its own", "failed": "failed"}


def report_page(entries):
    """Return the page of a run.

    Args:
        entries: by part, in the order of the page, what `benchmarks run` stored.
    """
    results = {name: entry["result"] for name, entry in entries.items() if entry["result"] is not None}
    shown = [_figures(results)]
    keys = _keys(results)
    for name, result in results.items():
        title, make = SECTIONS.get(name, (f"Part {name}", anything))
        shown.append(section(title, *_content(name, entries[name], result, make)))
    shown.append(_origin(entries))
    quick = any(entry["quick"] for entry in entries.values())
    return Page(
        title="What privacy costs, and what proofs cost",
        kicker="dpkit and zkdl · benchmark report",
        lead=f"Measured by python -m benchmarks run{' --quick' if quick else ''}. Every number is one that "
        "the command printed, but published ones, which say so; raw JSON lies beside this page, in raw/.",
        top=keys,
        sections=shown,
        footer="Times depend on the machine and on what else it was doing; errors do not. The last section "
        "says where the numbers come from.",
    )


def _keys(results):
    """The strip of single numbers at the top: those that can be had from this run."""
    from dpkit._page import figures

    found = []
    for name, _, make in (*FIGURES, ("noise", "", privacy.noise_key)):
        try:
            found += [make.key(results[name])] if name in results and hasattr(make, "key") else []
        except (KeyError, IndexError, TypeError, ValueError):
            continue
    return figures(found) if found else None


def _figures(results):
    charts = []
    for name, title, make in FIGURES:
        if name not in results:
            charts.append(note(f"{title}: the part {name} is not in this run."))
            continue
        charts.append(_guarded(name, lambda make=make, name=name, title=title: make(title, results[name])))
    return section("The three figures that matter most", *charts)


def _content(name, entry, result, make):
    if entry["state"] != "done":
        yield note(
            f"This part {_STATES.get(entry['state'], entry['state'])} (exit code {entry['exit_code']})."
        )
    try:
        yield from list(make(result))
    except Exception as cause:  # a part of another version may hold other figures: show them all the same
        yield note(f"The figures of {name} are not what this page expects ({type(cause).__name__}: {cause}).")
        yield from anything(result)


def _guarded(name, make):
    try:
        return make()
    except Exception as cause:
        return note(f"The figure of {name} could not be drawn ({type(cause).__name__}: {cause}).")


def _origin(entries):
    rows = []
    for name, entry in entries.items():
        commit = (entry["commit"] or "unknown")[:12] + (" and changes" if entry["changed"] else "")
        rows.append(
            [name, _STATES[entry["state"]], "quick" if entry["quick"] else "full",
             seconds_text(entry["seconds"]), float(entry["machine"]["load_average"]), commit,
             entry["started"]]
        )  # fmt: skip
    parts = table(
        ["part", "ended", "size", "took", "load", "commit", "started"],
        rows,
        "parts of this run",
        words=(1, 2),
    )
    machines = {}
    for name, entry in entries.items():
        where = entry["machine"]
        words = (
            f"{where['processor']} ({where['architecture']}), {where['processors']} processors, "
            f"{bytes_text(where['memory_bytes'])}, {where['system']}"
        )
        machines.setdefault(words, []).append(name)
    listed = [
        (", ".join(names) if len(machines) > 1 else "Machine", words) for words, names in machines.items()
    ]
    last = next(reversed(entries.values()))["versions"] if entries else {}
    listed.append(("Versions", ", ".join(f"{k} {v}" for k, v in last.items() if v)))
    failed = [
        tag(
            "details",
            tag("summary", f"Last words of {name}"),
            tag("pre", tag("code", "\n".join(entry["tail"]))),
        )
        for name, entry in entries.items()
        if entry.get("tail")
    ]
    took = sum(entry["seconds"] for entry in entries.values())
    said = paragraph(f"{number_text(len(entries))} parts, {seconds_text(took)} in all, one after the other.")
    return section(
        "Where the numbers come from", said, facts(listed), tag("div", parts, class_="spaced"), *failed
    )
