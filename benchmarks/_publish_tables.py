"""Tables of docs/, in Markdown, each from the published entry of one part."""

from statistics import mean

from dpkit._page import bytes_text, number_text, percent_text, seconds_text


def _markdown(head, rows):
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |"


def _groups(rows, *keys):
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _by_epsilon(rows, label, shown):
    """Rows by function, columns by epsilon; what was not measured stays empty."""
    epsilons = sorted({row["epsilon"] for row in rows})
    table = []
    for (name, _), members in _groups(rows, "function", "delta").items():
        known = {row["epsilon"]: row for row in members}
        table.append([label(name, members[0]), *(shown(known[e]) if e in known else "" for e in epsilons)])
    return _markdown(["", *(f"ε = {e:g}" for e in epsilons)], table)


def _error(row):
    return percent_text(row["error"])


def sums(entry):
    """Error against epsilon: every function, and the baselines below."""
    result = entry["result"]
    budget = lambda name, row: name + (f", δ = {row['delta']:g}" if row["delta"] else ", pure")
    yield [
        f"Mean relative error, {result['records']:,} records, {result['columns']} columns, "
        f"data seeds {', '.join(map(str, result['seeds']))}:"
    ]
    yield _by_epsilon(result["kernels"] + result["kernels_delta"] + result["distances"], budget, _error)
    if result.get("baselines"):
        yield ["Other ways to the same answers, the same records, pure:"]
        yield _by_epsilon(result["baselines"], lambda name, row: name, _error)


def real(entry):
    """Real records."""
    yield ["Median relative error of a Gaussian kernel sum, pure; queries are 400 other records:"]
    label = lambda name, row: f"{name}, {row['records']:,} x {row['columns']}"
    yield _by_epsilon(entry["result"]["real"], label, _error)


def sizes(entry):
    """Against records, columns and features, Gaussian kernel at epsilon 1."""
    result = entry["result"]
    for key, x in (("by_records", "records"), ("by_columns", "columns"), ("by_features", "features")):
        values = sorted({row[x] for row in result[key]})
        rows = []
        for (delta,), members in _groups(result[key], "delta").items():
            known = {row[x]: row for row in members}
            rows.append([f"δ = {delta:g}" if delta else "pure", *(_error(known[v]) for v in values)])
        yield _markdown([x, *(f"{v:,}" for v in values)], rows)


def counters(entry):
    """Running counts at the longest length."""
    rows = entry["result"]["counters"]
    longest = max(row["horizon"] for row in rows)
    yield [f"Running counts over {longest:,} steps, ρ = 1/2 (k-ary: ε = 1):"]
    yield _markdown(
        ["mechanism", "RMSE", "predicted", "least possible", "worst step", "µs a step", "ns in bulk"],
        [
            [row["mechanism"], *(number_text(row[key]) for key in ("rmse", "predicted_rmse", "floor")),
             number_text(row["predicted_worst_std"]),
             *(number_text(row[key], 3) if key in row else "" for key in ("us_step", "ns_bulk"))]
            for row in rows if row["horizon"] == longest
        ],
    )  # fmt: skip


def limits(entry):
    """The limits that streams are held to."""
    yield _markdown(
        ["what streams are held to", "measured", "limit", ""],
        [[r["measure"], number_text(r["value"]), r["limit"].replace("<=", "≤").replace(">=", "≥"),
          "met" if r["met"] else "**missed**"] for r in entry["result"].get("measures", [])],
    )  # fmt: skip


def maxima(entry):
    """Maxima of column sums on the hard stream, and the peer."""
    found = entry["result"]["maxima"]
    yield [
        "Mean largest error on the hard stream, ρ = 1/2; log-log slopes "
        f"{number_text(found['slope_max_sum'], 3)} (MaxSum) and {number_text(found['slope_sum_select'], 3)} "
        "(SumSelect), the lower bound has 1/3:"
    ]
    yield _markdown(
        ["T", "columns", "MaxSum", "SumSelect"],
        [[f"{r['horizon']:,}", r["d"], number_text(r["max_sum"]), number_text(r["sum_select"])]
         for r in found["rows"]],
    )  # fmt: skip
    if entry["result"].get("peer"):
        yield [
            "Beside OpenDP, which has no streaming counter: a noisy sum of each prefix, a tree in one batch:"
        ]
        yield _markdown(
            ["T", "dpkit RMSE", "prefixes", "tree", "dpkit, µs a step", "prefix, µs a step"],
            [[f"{r['horizon']:,}", number_text(r["dpkit_rmse"]), number_text(r["opendp_prefix_rmse"]),
              number_text(r["opendp_tree_batch_rmse"]), number_text(r["dpkit_us_step"], 3),
              number_text(r["opendp_prefix_us_step"], 3)] for r in entry["result"]["peer"]],
        )  # fmt: skip


def _network(row):
    hidden = row["hidden"]
    same = len(set(hidden)) == 1 and len(hidden) > 3
    shape = f"{hidden[0]}x{len(hidden)}" if same else "-".join(map(str, hidden))
    return f"{row['data'].partition('-')[0]} {shape}"


def _proofs(rows):
    return _markdown(
        ["network", "batch", "T", "arguments", "parameters", "train", "prove", "verify", "proof", "memory"],
        [
            [_network(r), r["batch"], r["steps"],
             r["ranges"] + (f", a proof a step ({r['steps_measured']} made)" if r.get("per_step") else ""),
             f"{r['parameters']:,}", seconds_text(r["train_seconds"]), seconds_text(r["seconds"]),
             seconds_text(r["verify_seconds"]), f"{r['proof_bytes']:,} B", bytes_text(r["peak_bytes"])]
            for r in rows
        ],
    )  # fmt: skip


def _measured(entry, *groups):
    rows = [row for row in entry["result"]["points"] if row["status"] == "measured"]
    return [row for row in rows if not groups or row["group"] in groups]


def proofs(entry):
    """The headline and the middle size, with phases, and the way of a proof a step."""
    rows = _measured(entry, "headline", "middle", "baseline") or _measured(entry)
    yield _proofs(rows)
    phases = ("witness", "commit", "sumchecks", "ranges", "opening")
    yield ["Seconds of the prover by phase:"]
    yield _markdown(
        ["network", "T", "arguments", *phases],
        [[_network(r), r["steps"], r["ranges"], *(number_text(r["phases"].get(p, 0.0), 3) for p in phases)]
         for r in rows if not r.get("per_step")],
    )  # fmt: skip


def sweeps(entry):
    """Every other proof."""
    for group in ("depth", "width", "batch", "steps", "parameters"):
        if rows := _measured(entry, group):
            yield [f"By {group}:"]
            yield _proofs(rows)
    lost = [row for row in entry["result"]["points"] if row["status"] != "measured"]
    if lost:
        yield [f"Not measured: {row['name']} ({row.get('error', row['status'])})." for row in lost]


def full_size(entry):
    """Sums at full size: errors, queries beside exact summation, the kernels' own structures."""
    result = entry["result"]
    if result.get("errors"):
        yield ["Gaussian kernel sums, 50,000 records, 32 columns, ε = 1:"]
        yield _markdown(
            ["budget", "data seed", "features", "mean relative error", "build"],
            [[r["budget"], r["data_seed"], r["features"], percent_text(r["mean_relative_error"]),
              seconds_text(r["build_seconds"])] for r in result["errors"]],
        )  # fmt: skip
    if result.get("speed"):
        yield ["A query beside exact summation on as many threads:"]
        yield _markdown(
            ["budget", "records", "private", "exact", "times faster"],
            [[r["budget"], f"{r['records']:,}", seconds_text(r["private_us_per_query"] / 1e6),
              seconds_text(r["exact_us_per_query"] / 1e6), number_text(round(r["speedup"]))]
             for r in result["speed"]],
        )  # fmt: skip
    if result.get("kernels"):
        yield ["Every kernel, the structure that is chosen and others:"]
        yield _markdown(
            ["kernel", "structure", "features", "mean relative error", "build, CPU s"],
            [[r["kernel"], r["structure"], r["features"], percent_text(r["mean_relative_error"]),
              number_text(r["build_cpu_seconds"], 3)] for r in result["kernels"]],
        )  # fmt: skip


_BUILD = {
    "records": "records", "d": "d", "features": "features", "cpu_seconds": "CPU s",
    "speedup_cpu": "times less CPU", "speedup_wall": "times less by the clock",
    "peak_mib_above_data": "MiB above the data",
}  # fmt: skip


def builds(entry):
    """The build of Fourier features beside plain NumPy."""
    found = entry["result"].get("build") or []
    rows = found if isinstance(found, list) else [found]
    keys = [key for key in _BUILD if any(key in row for row in rows)]
    cells = [[number_text(row[key]) if key in row else "" for key in keys] for row in rows]
    yield ["The build of a Gaussian kernel's features beside plain NumPy:"]
    yield _markdown([_BUILD[key] for key in keys], cells)


def full_distances(entry):
    """Sums of distances at full size."""
    rows = entry["result"].get("distances") or []
    yield _markdown(
        ["distance", "d", "mean relative error", "worst release", "build", "query"],
        [[r["name"], r["d"], percent_text(r["mean_relative_error"]), percent_text(r["worst_release"]),
          seconds_text(r["build_seconds"]), seconds_text(r["query_us"] / 1e6)] for r in rows],
    )  # fmt: skip


def classes(entry):
    """Accuracy against epsilon beside DP-SGD, and the processor time of a fit."""
    result = entry["result"]
    seeds = sorted({row["seeds"] for row in result["rows"]})
    yield [
        f"Held-out accuracy, δ = {result['delta']:g}, means of {'-'.join(map(str, seeds))} shuffles; in "
        "brackets, processor time of a fit:"
    ]
    epsilons = sorted({row["epsilon"] for row in result["rows"]})
    table = []
    for (data, method), members in _groups(result["rows"], "data", "method").items():
        known = {row["epsilon"]: row for row in members}
        cells = [
            f"{known[e]['accuracy']:.3f} ({seconds_text(known[e]['cpu_seconds'])})" if e in known else ""
            for e in epsilons
        ]
        table.append([data, method, *cells])
    yield _markdown(["data", "method", *(f"ε = {e:g}" for e in epsilons)], table)


def fixed_point(entry):
    """Full trainings in fixed point beside float64."""
    yield _markdown(
        ["data, network", "f, g, w, q_f, q_g", "seeds", "fixed point", "float64", "loss, points", "largest"],
        [[f"{r['data']} {'-'.join(map(str, r['widths']))}", ", ".join(map(str, r["settings"])),
          len(r["accuracy"]), f"{mean(r['accuracy']):.4f}", f"{mean(r['twin_accuracy']):.4f}",
          f"{100 * r['mean_lost']:+.2f}", f"{100 * r['most_lost']:+.2f}"] for r in entry["result"]["rows"]],
    )  # fmt: skip


def planted(entry):
    """Planted bugs and tracing attacks."""
    result = entry["result"]
    yield [f"Share of {result['repeats']} audits that refute the promise, by runs a side:"]
    yield _markdown(
        ["planted bug", "what it is", *(f"{n:,} runs" for n in result["runs"])],
        [[r["bug"], r["about"], *(percent_text(p) for p in r["power"])] for r in result["planted"]],
    )
    yield ["Tracing attacks, 0.5 is guessing:"]
    yield _markdown(
        ["mechanism", "AUC", "standard error"],
        [
            [r["name"], number_text(r["auc"], 3), number_text(r["standard_error"], 2)]
            for r in result["tracing"]
        ],
    )


def _short(widths):
    if len(widths) < 6:
        return "-".join(map(str, widths))
    return f"{widths[0]}-{widths[1]}x{len(widths) - 2}-{widths[-1]}"


def steps(entry):
    """An exact integer step beside float64."""
    yield [f"Processor time of one step, batch {entry['result']['batch_size']}, best of the run:"]
    yield _markdown(
        ["network", "parameters", "exact", "float64", "ratio"],
        [[_short(r["widths"]), f"{r['parameters']:,}",
          seconds_text(r["fast"]["best_processor"]), seconds_text(r["twin"]["best_processor"]),
          number_text(r["fast_over_twin_best"], 3)] for r in entry["result"]["rows"]],
    )  # fmt: skip


def kernels(entry):
    """Arithmetic beside its peers."""
    result = entry["result"]
    yield [f"Path {result['path']}, one thread each:"]
    yield _markdown(
        ["kernel", "units", "seconds", "peer", "times faster"],
        [[r["kernel"], f"{r['units']:,} x {r['unit']}", seconds_text(r["seconds"]), r["peer"] or "",
          number_text(r["ratio"], 3) if r["ratio"] else ""] for r in result["rows"]],
    )  # fmt: skip


def samplers(entry):
    """Exact draws a second."""
    yield _markdown(
        ["sampler", "use", "scale", "dpkit, draws a second", "OpenDP", "times faster"],
        [[r["sampler"], r["use"], f"{r['scale']:,}", f"{r['dpkit_per_second']:,}",
          f"{r['opendp_per_second']:,}",
          number_text(r["ratio"], 4)] for r in entry["result"]["rows"]],
    )  # fmt: skip


# By the name in a page's marker: the part whose figures it has, and what writes it.
TABLES = {
    "sums": ("tradeoff", sums),
    "real": ("tradeoff", real),
    "sizes": ("tradeoff", sizes),
    "counters": ("continual", counters),
    "maxima": ("continual", maxima),
    "limits": ("continual", limits),
    "proofs": ("proving", proofs),
    "sweeps": ("proving", sweeps),
    "full-size": ("similarity", full_size),
    "build": ("similarity", builds),
    "distances": ("similarity", full_distances),
    "classification": ("classification", classes),
    "accuracy": ("accuracy", fixed_point),
    "audit": ("audit", planted),
    "training": ("training", steps),
    "arithmetic": ("arithmetic", kernels),
    "noise": ("noise", samplers),
}
