"""Proofs of training in the README: one table of sizes, and a picture beside published work."""

import json

from benchmarks._proving_output import PUBLISHED
from dpkit._page import bytes_text, seconds_text, sheet, tag
from dpkit._page.axes import Axis, fit

__all__ = ["PICTURE", "beside_published", "proofs", "table"]

PICTURE = "proofs-beside-published.svg"
_EARLIER = "headline.json"
_ROW = 31


def _measured(points):
    return [row for row in points if row["status"] == "measured"]


def table(head, rows):
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def headline(entry, docs):
    """Return the rows of the largest network by steps, with the date of those that an earlier run printed.

    The headline's longest run needs much memory and goes by name; where a run left it out, the figures that
    are kept in docs/figures stand in, with their date.
    """
    rows = {
        row["steps"]: (row, "") for row in _measured(entry["result"]["points"]) if row["group"] == "headline"
    }
    kept = docs / "figures" / _EARLIER
    if kept.exists():
        earlier = json.loads(kept.read_text(encoding="utf-8"))
        for row in _measured(earlier["points"]):
            if row["group"] == "headline" and row["steps"] not in rows:
                date, commit = earlier["finished"][:10], earlier["commit"].replace(" with changes", "")[:12]
                rows[row["steps"]] = row, f"{earlier['processor']}, {date}, commit {commit}"
    return [rows[steps] for steps in sorted(rows)]


def _asked(entry, docs):
    """Rows of the table: a small network with both arguments, the middle, the paper's way, the headline."""
    points = _measured(entry["result"]["points"])
    whole = [row for row in points if not row.get("per_step")]
    key = lambda row: (row["data"], tuple(row["hidden"]), row["batch"], row["steps"])
    both = {key(r) for r in whole if r["ranges"] == "lookup"} & {
        key(r) for r in whole if r["ranges"] == "bits"
    }
    small = [k for k in both if k == ("digits", (32, 32), 32, 8)] or sorted(both)[-1:]
    chosen = [next(r for r in whole if key(r) == k and r["ranges"] == name)
              for k in small for name in ("lookup", "bits")]  # fmt: skip
    middle = sorted(
        (r for r in whole if r["group"] == "middle"), key=lambda r: (r["steps"], r["ranges"]), reverse=True
    )
    if middle:
        compared = [r for r in middle if key(r) in both]
        longest = next(r for r in middle if r["ranges"] == "lookup")
        chosen += [longest, *(r for r in compared if r is not longest)]
    chosen += [r for r in points if r.get("per_step") and key(r) in {key(c) for c in chosen}]
    once = {(key(r), r["ranges"], bool(r.get("per_step"))): r for r in chosen if r["group"] != "headline"}
    return [(row, "") for row in once.values()] + headline(entry, docs)


def _network(row):
    hidden = row["hidden"]
    same = len(set(hidden)) == 1 and len(hidden) > 3
    shape = f"{hidden[0]}x{len(hidden)}" if same else "-".join(map(str, hidden))
    ends = row.get("widths") or ["", ""]
    return f"{ends[0]}-{shape}-{ends[-1]}".strip("-")


def proofs(entry, docs):
    """Yield the section's blocks about proofs.

    Args:
        entry: of the part proving.
        docs: the folder of pages.
    """
    rows, notes = [], {}
    for row, earlier in _asked(entry, docs):
        mark = ""
        if earlier:
            mark = notes.setdefault(earlier, " " + "†" * (1 + len(notes)))
        way = f"{row['ranges']}, a proof a step" if row.get("per_step") else row["ranges"]
        rows.append(
            [_network(row), f"{row['parameters']:,}", row["batch"], f"{row['steps']}{mark}", way,
             seconds_text(row["seconds"]), seconds_text(row["verify_seconds"]), f"{row['proof_bytes']:,} B",
             bytes_text(row["peak_bytes"])]
        )  # fmt: skip
    threads = entry["result"].get("threads")
    yield (
        f"**Proofs of training**, {threads} threads, kernels loaded; `lookup` is the default range argument, "
        "`bits` the paper's; a proof a step, each with its own commitments, is how the paper goes on from "
        "step to step:"
    )
    yield table(
        ["network", "parameters", "batch", "steps", "ranges", "prove", "verify", "proof", "memory"], rows
    )
    for words, mark in notes.items():
        yield f"{mark.strip()} Measured earlier: {words} ([figures](docs/figures/{_EARLIER}))."
    if headline(entry, docs):
        yield f'<img src="docs/figures/{PICTURE}" width="410" alt="{_words(entry, docs)}">'
        yield (
            "Published figures are those of their authors, on their machines; their relations differ from "
            "ours and from each other ([how](docs/benchmarks-proving.md))."
        )


def _rows(entry, docs):
    """(name, is ours, seconds a step or None, bytes a step or None, small print of the bytes)."""
    for row, _ in headline(entry, docs):
        each = row["proof_bytes"] / row["steps"]
        size = f"{row['parameters'] / 1e6:.1f}M, batch {row['batch']}, {row['steps']} steps"
        name = f"this package, {size}, {entry['result'].get('threads')} CPU threads"
        yield name, True, row["seconds"] / row["steps"], each, f"{each / 1000:.1f} kB a step"
    for one in PUBLISHED:
        if "seconds_a_step" in one:
            each, given = one.get("bytes_a_step"), one["bytes"]
            small = f"{each / 1000:.0f} kB a step" if each else given or "not published"
            yield one["short"], False, one["seconds_a_step"], each, small


def _words(entry, docs):
    said = [
        f"{name}: {seconds_text(seconds)} a step, {small}"
        for name, _, seconds, _, small in _rows(entry, docs)
    ]
    return "Seconds to prove one step of training, and bytes of proof. " + "; ".join(said) + "."


def beside_published(entry, docs):
    """Return the picture of the headline beside published work, as SVG text; None without a headline."""
    rows = list(_rows(entry, docs))
    if not any(ours for _, ours, *_ in rows):
        return None
    drawn, top = [], 30
    columns = (
        ("Seconds to prove one step", [r[2] for r in rows], [seconds_text(r[2]) for r in rows]),
        ("Bytes of proof for one step", [r[3] for r in rows], [r[4] for r in rows]),
    )
    for title, values, shown in columns:
        drawn.append(tag("text", title, x=8, y=top + 12, class_="title"))
        top += 20
        part, top = _panel([(name, ours) for name, ours, *_ in rows], values, shown, top)
        drawn += part
    return sheet("Ten million parameters, beside published work", _words(entry, docs), top, *drawn)


def _panel(names, values, shown, top):
    """Dots on a logarithmic axis, a row each with its name above; what nobody published has no dot."""
    scale = fit(Axis("", log=10), [v for v in values if v is not None])
    left, room = 10.0, 262.0
    drawn, end = [], top + _ROW * len(names)
    for value, label in scale.ticks:
        at = left + room * scale.place(value)
        drawn.append(tag("line", x1=at, y1=top, x2=at, y2=end, class_="grid"))
        anchor = "start" if at < left + 5 else "middle"
        drawn.append(tag("text", label, x=at, y=end + 13, class_="tick", text_anchor=anchor))
    for number, ((name, ours), value, words) in enumerate(zip(names, values, shown, strict=True)):
        y = top + _ROW * number
        drawn.append(tag("text", name, x=8, y=y + 12, class_="ours" if ours else "theirs"))
        at = left + 4
        if value is not None:
            at = left + room * scale.place(value)
            kind = "c0" if ours else "c5"
            drawn.append(
                tag("rect", x=left, y=y + 21, width=max(0.5, at - left), height=2, class_=f"stem {kind}")
            )
            drawn.append(tag("circle", cx=at, cy=y + 22, r=4.5, class_=kind))
        drawn.append(tag("text", words, x=at + 9 if value is not None else left, y=y + 26, class_="tick"))
    return drawn, end + 28
