"""`python -m benchmarks publish REPORT`: the figures of a run go into docs/, each naming where it comes from.

    python -m benchmarks publish REPORT [--docs DIR] [--only NAME,...]

REPORT/raw/*.json become docs/results/NAME.json, one for each part: what the part printed, numbers at five
digits, with machine, versions, commit, options and time. Tables of the pages in docs/ stand between
`<!-- results: NAME -->` and `<!-- end -->` and are written from docs/results alone, as are the pictures in
docs/figures; so a page never says what no published figure says, and a test compares the two.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from benchmarks import _readme
from benchmarks._machine import ROOT
from benchmarks._publish_pictures import PICTURES
from benchmarks._publish_tables import TABLES
from benchmarks._run import FAILED, read, whole

PAGES = ("benchmarks.md", "benchmarks-proving.md")
_BLOCK = re.compile(r"(<!-- results: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
# Said by the entry around a result, once.
_TWICE = ("benchmark", "machine", "versions", "commit", "changed", "python", "processor")
_DROPPED = ("cpu_phases_in_full", "at", "code")


def rounded(value, digits=5):
    """Return a JSON value with its floats at so many significant digits, without what only machines read.

    Example:
        >>> rounded({"a": [1.23456789, 2], "at": 3.0})
        {'a': [1.2346, 2]}
    """
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items() if k not in _DROPPED}
    if isinstance(value, list):
        return [rounded(v, digits) for v in value]
    return value


def compact(entry):
    """Return what is kept of a part's entry in REPORT/raw."""
    kept = ("part", "quick", "state", "seconds", "started", "commit", "changed", "machine", "versions")
    result = {k: v for k, v in entry["result"].items() if k not in _TWICE}
    system = ".".join(entry["machine"]["system"].split(".")[:2])  # builds of a kernel say nothing here
    entry = {**entry, "machine": {**entry["machine"], "system": system}}
    return rounded({**{k: entry[k] for k in kept}, "options": entry.get("options", []), "result": result})


def written(entry):
    """Return a part's entry as text: one row of a table a line."""
    return "\n".join(_lines(entry, "")) + "\n"


def _lines(value, room, before="", after=""):
    short = json.dumps(value, ensure_ascii=False)
    nested = isinstance(value, (dict, list)) and any(isinstance(v, (dict, list)) for v in _inner(value))
    if not nested or (room.count(" ") >= 2 and len(short) < 1000):
        yield f"{room}{before}{short}{after}"
        return
    brackets = "{}" if isinstance(value, dict) else "[]"
    yield f"{room}{before}{brackets[0]}"
    last = len(value) - 1
    for k, inner in enumerate(_inner(value)):
        name = f"{json.dumps(list(value)[k])}: " if isinstance(value, dict) else ""
        yield from _lines(inner, f"{room} ", name, "," if k < last else "")
    yield f"{room}{brackets[1]}{after}"


def _inner(value):
    return list(value.values()) if isinstance(value, dict) else value


def published(docs):
    """Return by part what docs/results holds."""
    entries = (read(path) for path in sorted((docs / "results").glob("*.json")))
    return {entry["part"]: entry for entry in entries if entry}


def rendered(page, entries):
    """Return a page's text with its tables written from published figures; other text stays as it is.

    Raises:
        KeyError: a marker names a table that there is not.
    """

    def block(match):
        part, make = TABLES[match[2]]
        entry = entries.get(part)
        body = f"*Not published yet: part {part}.*" if entry is None else _table(entry, make)
        return f"{match[1]}\n{body}\n\n{match[3]}"

    return _BLOCK.sub(block, page)


def _table(entry, make):
    blocks = ["\n".join(lines) for lines in make(entry)]
    return "\n\n".join([*blocks, origin(entry)])


def origin(entry):
    """Return the line that says where a table's figures come from."""
    machine = entry["machine"]
    commit = (entry["commit"] or "unknown")[:12] + (" with changes" if entry["changed"] else "")
    size = ", --quick" if entry["quick"] else ""
    return (
        f"*{machine['processor']} ({machine['architecture']}), {machine['processors']} processors, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB; {entry['started'][:10]}; commit {commit}; "
        f"[{entry['part']}](results/{entry['part']}.json){size}.*"
    )


def write_docs(docs):
    """Write tables and pictures of the docs from docs/results; return the paths of files that changed."""
    entries, changed = published(docs), []
    for name in PAGES:
        path = docs / name
        old = path.read_text(encoding="utf-8")
        changed += _put(path, rendered(old, entries).encode())
    (docs / "figures").mkdir(exist_ok=True)
    for name, (part, make) in PICTURES.items():
        if part in entries and (drawn := make(entries[part])):
            changed += _put(docs / "figures" / name, drawn.encode())
    return changed + _readme.write(docs, entries, _put)


def _put(path, data):
    if path.exists() and path.read_bytes() == data:
        return []
    whole(path, data)
    return [path]


def main(arguments) -> int:
    """Publish a run; 1 if a part that was asked for is not there or has failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("report", type=Path, nargs="?", help="folder of a run; without it, write docs again")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the pages")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="these parts alone")
    options = parser.parse_args(arguments)
    only = {name for group in options.only for name in group.split(",") if name}
    found, failed = {}, []
    for path in sorted((options.report / "raw").glob("*.json")) if options.report else ():
        entry = read(path)
        if entry is None or (only and path.stem not in only):
            continue
        if entry["state"] == FAILED:
            failed.append(path.stem)
        else:
            found[path.stem] = compact(entry)
    if options.report and not found:
        parser.error(f"no finished part in {options.report}; expected REPORT/raw/NAME.json of benchmarks run")
    failed += sorted(only - set(found) - set(failed))
    (options.docs / "results").mkdir(exist_ok=True)
    changed = []
    for name, entry in found.items():
        changed += _put(options.docs / "results" / f"{name}.json", written(entry).encode())
    changed += write_docs(options.docs)
    for path in changed:
        print(f"{path.relative_to(options.docs.parent)}: {path.stat().st_size:,} bytes")
    if failed:
        print(f"not published: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
