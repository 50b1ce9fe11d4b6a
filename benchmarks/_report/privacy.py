"""Sections about dpkit: sums, streams, audits, noise."""

from benchmarks._report import sums
from benchmarks._report.plain import anything, rows_table, spaced
from dpkit._page import Axis, Series, chart, number_text, paragraph, percent_text, table

_ERROR = Axis("mean relative error", log=10, percent=True)
_NAMES = {"inverse_l2": "inverse l2", "inverse_l1": "inverse l1"}


def _grouped(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def _line(label, rows, x, y="error", kind="line"):
    rows = sorted(rows, key=lambda row: row[x])
    return Series(label, [row[x] for row in rows], [row[y] for row in rows], kind=kind)


def error_against_epsilon(title, result):
    """The first figure: error of private sums against epsilon."""
    pure, loose = result["kernels"], result["kernels_delta"]
    gaussian = [row for row in pure if row["function"] == "gaussian"]
    series = [
        _line("Gaussian kernel, pure", gaussian, "epsilon"),
        _line("Gaussian kernel, δ = 10⁻⁶", [r for r in loose if r["function"] == "gaussian"], "epsilon"),
        _line("l1 distance, pure", [r for r in result["distances"] if r["function"] == "l1"], "epsilon"),
        _line("as predicted, Gaussian kernel, pure", gaussian, "epsilon", "predicted", "bound"),
    ]
    about = (
        f"Error of a private sum against the privacy budget: {result['records']:,} records in "
        f"{result['columns']} columns, one release, any number of queries. Halving epsilon doubles the "
        "noise, up to the point where the size of the sketch is the limit."
    )
    return chart(title, about, series, Axis("ε", log=10), _ERROR)


def _epsilon_key(result):
    row = next(r for r in result["kernels"] if r["function"] == "gaussian" and r["epsilon"] == 1.0)
    about = f"Gaussian kernel, pure, {row['records']:,} records in {row['columns']} columns"
    return percent_text(row["error"]), "error of a private sum at ε = 1", about


error_against_epsilon.key = _epsilon_key


def error_against_length(title, result):
    """The second figure: error of running counts against their length, with the floor."""
    groups = _grouped([row for row in result["counters"] if row["mechanism"] != "k-ary"], "mechanism")
    chosen = [name for name in ("blt", "sqrt", "hybrid", "binary") if name in groups]
    series = [_line(name, groups[name], "horizon", "rmse") for name in chosen]
    series.append(_line("least possible", groups[chosen[0]], "horizon", "floor", "bound"))
    about = (
        "Root mean square error of a private running count at every step, ρ = 1/2, against the length of the "
        "stream. The broken line is the least error that any mechanism of this kind can have."
    )
    return chart(
        title, about, series, Axis("length of the stream", log=2), Axis("error of the count", zero=True)
    )


def _length_key(result):
    rows = [row for row in result["counters"] if row["mechanism"] == "blt"]
    row = max(rows, key=lambda r: r["horizon"])
    about = f"{percent_text(row['rmse'] / row['floor'] - 1, 2)} over the least possible; ρ = 1/2"
    return (
        f"± {number_text(row['rmse'], 3)}",
        f"error of a running count over {row['horizon']:,} steps",
        about,
    )


error_against_length.key = _length_key


def tradeoff(result):
    """Error against epsilon for every function, then against records, columns and size."""
    groups = {
        "Kernels, pure": result["kernels"],
        "Kernels, δ = 10⁻⁶": result["kernels_delta"],
        "Distances, pure": result["distances"],
    }
    for title, rows in groups.items():
        series = [
            _line(_NAMES.get(name, name), members, "epsilon")
            for name, members in _grouped(rows, "function").items()
        ]
        yield chart(title, _about(rows), series, Axis("ε", log=10), _ERROR)
    yield from _beside(result)
    if result.get("real"):
        real = _grouped(result["real"], "function")
        names = {name: f"{name}, {r[0]['records']:,} × {r[0]['columns']}" for name, r in real.items()}
        yield chart(
            "Real data",
            "Median relative error of a Gaussian kernel sum over real records, pure; queries are other "
            f"records of the same data. {result.get('left_out', '')}",
            [_line(names[name], rows, "epsilon") for name, rows in real.items()],
            Axis("ε", log=10),
            Axis("median relative error", log=10, percent=True),
        )
    sweeps = (
        ("by_records", "records", "Against the number of records", 10),
        ("by_columns", "columns", "Against the number of columns", 2),
        ("by_features", "features", "Against the size of the sketch", 2),
    )
    for key, x, title, log in sweeps:
        budgets = _grouped(result[key], "delta")
        series = [_line("δ = 10⁻⁶" if delta else "pure", rows, x) for delta, rows in budgets.items()]
        series += [
            _line(f"predicted, {'δ = 10⁻⁶' if delta else 'pure'}", rows, x, "predicted", "bound")
            for delta, rows in budgets.items()
        ]
        yield chart(
            title, f"Gaussian kernel, ε = 1. {_about(result[key], x)}", series, Axis(x, log=log), _ERROR
        )


def _beside(result):
    """The same questions, answered in other ways, beside ours."""
    others = _grouped(result.get("baselines") or [], "function")
    ours = _grouped(result["kernels"], "function")
    pairs = [name for name in ours if f"{name}, single cosines" in others]
    series = [_line(f"{name}, dpkit", ours[name], "epsilon") for name in pairs]
    series += [
        _line(f"{name}, single cosines", others[f"{name}, single cosines"], "epsilon") for name in pairs
    ]
    counters = others.get("collisions, hash counters")
    if counters:
        series.append(_line("hash counters, a kernel of their own", counters, "epsilon"))
    if series:
        about = (
            "Kernels by single cosines with Laplace noise, at the number of features that turned out best at "
            "each ε, and by hash counters with noise of the right scale."
        )
        yield chart(
            "Kernels beside other ways, pure", f"{about} {_about(others[f'{pairs[0]}, single cosines'])}"
            if pairs else about, series, Axis("ε", log=10), _ERROR,
        )  # fmt: skip
    distances = _grouped(result["distances"], "function")
    trees = [name for name in ("l1", "l1, tree of counts", "l1, two trees") if name in distances]
    if len(trees) > 1:
        series = [
            _line(name if "," in name else f"{name}, dpkit", distances[name], "epsilon") for name in trees
        ]
        if "squared l2, OpenDP sums" in others:
            series.append(_line("squared l2, dpkit", distances["squared l2"], "epsilon"))
            series.append(_line("squared l2, OpenDP sums", others["squared l2, OpenDP sums"], "epsilon"))
        about = (
            "l1 by the default structure and by the trees of the literature; squared distances by one "
            "release and by OpenDP's sum of every column."
        )
        yield chart(
            "Distances beside other ways, pure", f"{about} {_about(distances['l1'])}", series,
            Axis("ε", log=10), _ERROR,
        )  # fmt: skip


def _about(rows, without=""):
    row = rows[-1]
    parts = [] if without == "records" else [f"{row['records']:,} records"]
    parts += [] if without == "columns" else [f"{row['columns']} columns"]
    return f"{', '.join(parts)}; {row['releases']} release{'s' * (row['releases'] != 1)}, 400 queries."


def similarity(result):
    """Errors at full size, speed, distances, classification."""
    if result.get("errors"):
        columns = ["budget", "data_seed", "features", "mean_relative_error", "z_scores_rms", "build_seconds"]
        yield rows_table(result["errors"], "Gaussian kernel sums, 50,000 records, 32 columns, ε = 1", columns)
    if result.get("speed"):
        columns = [
            "budget", "records", "queries", "private_us_per_query", "exact_us_per_query", "speedup",
            "build_seconds",
        ]  # fmt: skip
        yield rows_table(result["speed"], "a query beside exact summation", columns)
    yield from sums.kernels(result.get("kernels"))
    yield from sums.build(result.get("build"))
    if result.get("distances"):
        columns = ["name", "d", "mean_relative_error", "worst_release", "build_seconds", "query_us"]
        yield rows_table(result["distances"], "sums of distances, 50,000 records, ε = 1", columns)
    yield from sums.convex(result.get("convex"))
    for data, rows in _grouped(result.get("classes") or [], "data").items():
        epsilons = [key for key in rows[0] if key.startswith("epsilon=")]
        places = [float(key.partition("=")[2]) for key in epsilons]
        series = [Series(row["rule"], places, [row[key] for key in epsilons]) for row in rows]
        about = "Held-out accuracy of the private classifier, δ = 10⁻⁵ but where it says pure."
        yield chart(
            f"Classification: {data}", about, series, Axis("ε", log=10), Axis("accuracy", percent=True)
        )
    known = {
        "benchmark",
        "errors",
        "speed",
        "kernels",
        "build",
        "convex",
        "distances",
        "classes",
        "machine",
        "python",
        "numpy",
        "numba",
        "dpkit",
    }
    yield from anything({key: value for key, value in result.items() if key not in known})


def classification(result):
    """Accuracy against epsilon beside DP-SGD, and the time of a fit."""
    for data, rows in _grouped(result["rows"], "data").items():
        yield chart(
            f"Accuracy on {data}",
            f"Held-out accuracy at δ = {number_text(result['delta'])}, mean of {rows[0]['seeds']} shuffles, "
            "each with a release of its own. DP-SGD is logistic regression on the same features; its "
            "settings were tuned, and the tuning is not charged to its budget.",
            [
                _line(name, members, "epsilon", "accuracy")
                for name, members in _grouped(rows, "method").items()
            ],
            Axis("ε", log=10),
            Axis("held-out accuracy", percent=True),
        )
    columns = ["data", "method", "epsilon", "accuracy", "accuracy_std", "seeds", "seconds", "cpu_seconds"]
    yield rows_table(result["rows"], "every fit; seconds are medians", columns)
    if result.get("comparisons"):
        yield rows_table(result["comparisons"], "the best release beside DP-SGD")


def continual(result):
    """Counters, unknown lengths, maxima, other streams, the peer."""
    for length, rows in _grouped(result["counters"], "horizon").items():
        columns = [
            "mechanism", "rmse", "predicted_rmse", "floor", "predicted_worst_std", "mean_max_error",
            "state_numbers",
        ]  # fmt: skip
        columns += ["us_step", "ns_bulk"] if "us_step" in rows[0] else []
        yield rows_table(rows, f"counters over {length:,} steps, ρ = 1/2 (k-ary: ε = 1)", columns)
    rows = result["maxima"]["rows"]
    slopes = (result["maxima"]["slope_max_sum"], result["maxima"]["slope_sum_select"])
    yield chart(
        "Maxima of column sums",
        f"Mean largest error on the hard stream, d = T^(2/3) columns. Slopes {number_text(slopes[0], 3)} and "
        f"{number_text(slopes[1], 3)}; the lower bound has 1/3.",
        [_line("MaxSum", rows, "horizon", "max_sum"), _line("SumSelect", rows, "horizon", "sum_select")],
        Axis("length of the stream T", log=2),
        Axis("mean largest error", log=10),
    )
    yield rows_table(result["others"], "other streams: microseconds a step, nanoseconds an element in bulk")
    yield rows_table(
        result["unknown_horizon"], "length four times the guess: error over that of the right design"
    )
    if result.get("peer"):
        yield rows_table(result["peer"], "beside OpenDP, which has no streaming counter: two stand-ins")


def audit(result):
    """Planted bugs and the two tracing attacks."""
    runs = result.get("runs", [])
    head = ["planted bug", "what it is"]
    head += [f"caught, {n:,} runs" for n in runs] or ["caught"]
    rows = [[row["bug"], row["about"], *(percent_text(p) for p in row["power"])] for row in result["planted"]]
    yield paragraph(
        "Share of independent audits that refute the promise; an honest mechanism should have 0 %."
    )
    yield spaced(table(head, rows, "planted bugs", words=(1,)))
    yield rows_table(
        result["tracing"],
        "tracing attacks: 0.5 is guessing",
        ["name", "auc", "standard_error", "accuracy", "trials"],
    )
    yield rows_table(result["trap"], "the index trap, with fixed and with adaptive adversaries")


def noise(result):
    """Rates of the exact samplers."""
    columns = [
        "sampler", "use", "scale", "dpkit_per_second", "dpkit_vector_per_second", "opendp_per_second",
        "ratio", "vector_ratio",
    ]  # fmt: skip
    yield rows_table(result["rows"], "draws a second on one thread, beside OpenDP in the same run", columns)


def noise_key(title, result):
    """Stands for its key alone."""


def _noise_key(result):
    least, most = (f(row["dpkit_per_second"] for row in result["rows"]) for f in (min, max))
    ratio = number_text(round(min(row["ratio"] for row in result["rows"])))
    return (
        f"{number_text(round(least / 1e6))}–{number_text(round(most / 1e6))} million",
        "exact noise draws a second",
        f"at least {ratio} times OpenDP, in the same run",
    )


noise_key.key = _noise_key
