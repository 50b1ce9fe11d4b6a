"""The README's measured section, written from docs/results: every figure is one that a part printed.

What stands between `<!-- measured -->` and `<!-- end measured -->` is made of pieces, one for each published
part; a piece whose part is not published is left out, and while nothing is published the text stays as it is.
"""

import re
from statistics import mean

from benchmarks._readme_proofs import PICTURE, beside_published, proofs, table
from dpkit._page import number_text, percent_text, seconds_text

__all__ = ["measured", "rendered", "write"]

_BLOCK = re.compile(r"(<!-- measured -->\n).*?(<!-- end measured -->)", re.DOTALL)
_TREES = ("honaker", "binary")  # what the literature starts from
_AS_PUBLISHED = "table's setup"
_KERNELS = ("msm", "rows", "decode", "hash to G1")
_NEAR = {"pure": "pure ε-DP", "delta=1e-6": "δ = 10⁻⁶"}


def write(docs, entries, put):
    """Write the README beside a folder of pages, and its picture of proofs, from published entries.

    Args:
        docs: the folder of pages.
        entries: by part, what docs/results holds.
        put: writes bytes to a path and returns the paths that changed.

    Returns:
        The paths that changed.
    """
    changed, path = [], docs.parent / "README.md"
    if "proving" in entries and (drawn := beside_published(entries["proving"], docs)):
        changed += put(docs / "figures" / PICTURE, drawn.encode())
    if path.exists():
        changed += put(path, rendered(path.read_text(encoding="utf-8"), entries, docs).encode())
    return changed


def rendered(readme, entries, docs):
    """Return the README's text with its measured section written from published entries.

    Args:
        readme: the text as it is.
        entries: by part, what docs/results holds.
        docs: the folder of pages, whose figures the section shows where they exist.
    """
    if not entries:
        return readme
    return _BLOCK.sub(lambda match: f"{match[1]}\n{measured(entries, docs)}\n\n{match[2]}", readme)


def measured(entries, docs):
    """Return the section: where figures come from, then the pieces, in the order of the page."""
    blocks = [_origin(entries)]
    pictures = [_picture(docs, entries, *one) for one in _PICTURES]
    if shown := [one for one in pictures if one]:
        blocks.append("\n".join(shown))
    for part, make in _PIECES:
        if part in entries:
            blocks += make(entries[part]["result"])
    if "proving" in entries:
        blocks += proofs(entries["proving"], docs)
    for part, make in _LAST:
        if part in entries:
            blocks += make(entries[part]["result"])
    return "\n\n".join(blocks)


def between(values, shown):
    """Return the least and the largest of some values as one text, or the one that they all are."""
    low, high = shown(min(values)), shown(max(values))
    return low if low == high else f"{low} to {high}"


def source(entry):
    """Return where an entry was measured: machine, date, commit."""
    machine = entry["machine"]
    commit = (entry["commit"] or "unknown")[:12] + (" with changes" if entry["changed"] else "")
    small = ", small sizes (`--quick`)" if entry["quick"] else ""
    return (
        f"{machine['processor']} ({machine['architecture']}), {machine['processors']} processors, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, Python {entry['versions'].get('python')}; "
        f"{entry['started'][:10]}, commit {commit}{small}"
    )


def _origin(entries):
    """Every machine and date, each with the parts that were measured there."""
    where = {}
    for part, entry in entries.items():
        where.setdefault(source(entry), []).append(f"[{part}](docs/results/{part}.json)")
    lines = [f"- {', '.join(parts)}: {words}." for words, parts in where.items()]
    if len(where) == 1:
        (words, parts) = next(iter(where.items()))
        lines = [f"On {words}. As printed: {', '.join(parts)}."]
    return (
        "Every figure here was printed by the benchmarks: `make bench` repeats them in small, in one page to "
        "look at (`bench-out/index.html`),\n`make bench-full` takes its time ([all "
        "tables](docs/benchmarks.md)).\n\n" + "\n".join(lines)
    )


def _picture(docs, entries, part, name, words):
    if part not in entries or not (docs / "figures" / name).exists():
        return None
    alt = words(entries[part]["result"])
    return f'<img src="docs/figures/{name}" width="410" alt="{alt}">'


def _at_one(rows, function):
    return next((r for r in rows if r["function"] == function and r["epsilon"] == 1.0), None)


def _epsilon_words(result):
    rows = [("pure", _at_one(result["kernels"], "gaussian"))]
    rows.append(("with a small delta", _at_one(result["kernels_delta"], "gaussian")))
    said = [f"{percent_text(row['error'])} {name}" for name, row in rows if row]
    return f"Error of private kernel sums against epsilon. At epsilon 1: {', '.join(said)}."


def _length_words(result):
    best = _best_counter(result)
    return (
        "Error of private running counts against the length of the stream, with the least possible error. At "
        f"{best['horizon']:,} steps: {number_text(best['predicted_rmse'], 3)}, least possible "
        f"{number_text(best['floor'], 3)}."
    )


_PICTURES = (
    ("tradeoff", "error-against-epsilon.svg", _epsilon_words),
    ("continual", "error-against-length.svg", _length_words),
)


def _sums(result):
    """Errors, build and query of Gaussian kernel sums; other kernels and distances below."""
    speed, rows = {row["budget"]: row for row in result.get("speed", [])}, []
    for budget in dict.fromkeys(row["budget"] for row in result.get("errors", [])):
        found = [row for row in result["errors"] if row["budget"] == budget]
        fast = speed.get(budget)
        rows.append(
            [_NEAR.get(budget, budget), between([r["features"] for r in found], lambda v: f"2 × {v:,}"),
             between([r["mean_relative_error"] for r in found], percent_text),
             between([r["build_seconds"] for r in found], seconds_text),
             seconds_text(fast["private_us_per_query"] / 1e6) if fast else "",
             f"{seconds_text(fast['exact_us_per_query'] / 1e6)} ({number_text(round(fast['speedup']))} times "
             "slower)"
             if fast else ""]
        )  # fmt: skip
    if not rows:
        return
    records = next(iter(speed.values()))["records"] if speed else 0
    seeds = len({row["data_seed"] for row in result["errors"]})
    yield (
        "**Private Gaussian kernel sums**, 50,000 records in 32 dimensions (mixture of 20 clusters), ε = 1, "
        f"1,000 fresh queries, default size, mean relative error of {seeds} data seed{'s' * (seeds != 1)}:"
    )
    head = ["", "features", "error", "build", f"a query at {records:,} records", "exact sum"]
    yield table(head, rows)
    yield from _others(result)


def _others(result):
    wide = [row for row in result.get("distances", []) if row["d"] == 32]
    error = {row["name"]: percent_text(row["mean_relative_error"], 2) for row in wide}
    said = []
    if "l1 hat, pure" in error:
        trees = {"l1 tree, pure": "a tree of counts", "l1 two trees, pure": "two trees"}
        beside = " and ".join(f"{error[key]} with {words}" for key, words in trees.items() if key in error)
        said.append(f"sums of l1 distances {error['l1 hat, pure']}{f' ({beside})' if beside else ''}")
    chosen = [row for row in result.get("kernels", []) if row["asked"] == "auto"]
    for row in chosen:
        said.append(f"the {row['kernel']} kernel {percent_text(row['mean_relative_error'], 2)}")
    if said:
        yield f"At the same size, pure ε = 1, mean relative errors of others: {', '.join(said)}."


def _noise(result):
    """Draws a second beside OpenDP."""
    millions = lambda v: f"{v / 1e6:.0f}"
    said = []
    for kind in ("laplace", "gaussian"):
        rates = [row["dpkit_per_second"] for row in result["rows"] if row["sampler"] == kind]
        if rates:
            said.append(f"{between(rates, millions)} million discrete {kind.capitalize()}")
    least, vector = (min(row[key] for row in result["rows"]) for key in ("ratio", "vector_ratio"))
    yield (
        f"**Exact noise**, one thread: {' and '.join(said)} draws a second, at least "
        f"{number_text(round(least))} times as many as OpenDP {result['opendp']} in the same run (vectors "
        f"with a scale for each coordinate: at least {number_text(round(vector))} times)."
    )


def _best_counter(result):
    rows = [row for row in result["counters"] if row["mechanism"] != "k-ary"]
    longest = max(row["horizon"] for row in rows)
    return min((row for row in rows if row["horizon"] == longest), key=lambda row: row["predicted_rmse"])


def _counters(result):
    """Running counts at the longest length."""
    best = _best_counter(result)
    longest, names = best["horizon"], (best["mechanism"], "blt", *_TREES)
    rows = [row for row in result["counters"] if row["horizon"] == longest and row["mechanism"] in names]
    yield (
        f"**Counters**, {longest:,} steps, ρ = 1/2: the error by formula, the least that any mechanism of "
        "this kind can have, and the error measured with its standard error:"
    )
    yield table(
        ["", "error (RMSE)", "least", "measured", "a step", "in bulk"],
        [[row["mechanism"], number_text(row["predicted_rmse"], 3), number_text(row["floor"], 3),
          f"{number_text(row['rmse'], 3)} ± {number_text(row['rmse_standard_error'], 1)}",
          *(seconds_text(row[key] * unit) if key in row else ""
            for key, unit in (("us_step", 1e-6), ("ns_bulk", 1e-9)))]
         for row in sorted(rows, key=lambda row: row["predicted_rmse"])],
    )  # fmt: skip


def _classes(result):
    """Accuracy beside DP-SGD, every method that was measured."""
    epsilons = sorted({row["epsilon"] for row in result["rows"]})
    groups = {}
    for row in result["rows"]:
        if row["method"].startswith(_AS_PUBLISHED):
            continue  # beside the benchmark's own tables; not what anybody here would use
        groups.setdefault((row["data"], row["method"]), {})[row["epsilon"]] = row
    rows = [
        [data, method, *(f"{known[e]['accuracy']:.3f}" if e in known else "" for e in epsilons),
         between([row["cpu_seconds"] for row in known.values()], seconds_text)]
        for (data, method), known in groups.items()
    ]  # fmt: skip
    yield (
        f"**A private classifier** beside logistic regression by DP-SGD, held-out accuracy at δ = "
        f"{number_text(result['delta'])}; DP-SGD's settings were tuned at no charge to its budget:"
    )
    yield table(["", "", *(f"ε = {e:g}" for e in epsilons), "processor time of a fit"], rows)


def _accuracy(result):
    """Fixed point beside float64, at the default settings."""
    said = []
    for row in (row for row in result["rows"] if "curve" in row):
        said.append(
            f"{row['data']} {'-'.join(map(str, row['widths']))} {mean(row['accuracy']):.4f} and "
            f"{mean(row['twin_accuracy']):.4f} ({len(row['accuracy'])} seeds)"
        )
    if said:
        yield (
            "**Training in fixed point** and in float64, held-out accuracy after full trainings: "
            f"{', '.join(said)} ([accuracy](docs/accuracy.md))."
        )


def _training(result):
    """An exact step of the largest network beside float64."""
    row = max(result["rows"], key=lambda row: row["parameters"])
    yield (
        f"An exact step of {row['parameters']:,} parameters, batch {result['batch_size']}: "
        f"{seconds_text(row['fast']['best_processor'])} of processor time, "
        f"{seconds_text(row['twin']['best_processor'])} in float64."
    )


def _arithmetic(result):
    """Kernels beside arkworks; products in both fields."""
    peers = [r for r in result["rows"] if r["peer"] == "arkworks" and r["kernel"].startswith(_KERNELS)]
    largest = {}
    for row in sorted(peers, key=lambda row: row["units"]):
        largest[re.sub(r"2\^\d+|of \d+", "", row["kernel"])] = row
    rows = []
    for row in largest.values():
        name = f"{row['kernel']}, a {row['unit']}" if row["unit"] in ("cell", "scalar") else row["kernel"]
        times = (row["seconds"], row["path_seconds"].get("scalar"), row["peer_seconds"])
        rows.append([name, *(_each(row, value) for value in times)])
    yield f"**Arithmetic**, one thread, path `{result['path']}`, beside py-arkworks-bls12381 in one run:"
    yield table(["", "ours", "`scalar` path", "arkworks"], rows)
    products = {row["kernel"]: row for row in result["rows"] if row["kernel"].endswith(" products")}
    said = [
        f"{seconds_text(row['seconds'] / row['units'])} in {name.split()[0]}"
        for name, row in products.items()
    ]
    if said:
        yield f"A product in an array takes {', '.join(said)}."
    start = result.get("start") or {}
    if {"cold", "warm"} <= set(start):
        first, later = (seconds_text(start[key]["total"]) for key in ("cold", "warm"))
        yield f"Every kernel once in a fresh process: {first} with nothing compiled yet, {later} afterwards."


def _each(row, seconds):
    """Multi-scalar sums whole, everything else a unit."""
    if seconds is None:
        return ""
    return seconds_text(seconds if row["kernel"].startswith("msm") else seconds / row["units"])


_PIECES = (
    ("similarity", _sums),
    ("noise", _noise),
    ("continual", _counters),
    ("classification", _classes),
)
_LAST = (("accuracy", _accuracy), ("training", _training), ("arithmetic", _arithmetic))
