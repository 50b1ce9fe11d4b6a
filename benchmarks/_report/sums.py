"""What the part `similarity` says beside errors and speed: every kernel, the build, convex sums."""

from benchmarks._report.plain import rows_table, spaced
from dpkit._page import Axis, Bar, Series, bar_plot, chart, number_text, percent_text, table
from dpkit._page.document import identity, pair

_STRUCTURES = {"hash": "counters", "fourier": "frequencies", "exponentials": "sum of exponentials"}
_BUILD = (
    "records", "d", "features", "cpu_seconds", "wall_seconds", "numpy_cpu_seconds", "numpy_wall_seconds",
    "speedup_cpu", "speedup_wall", "peak_mib_above_data",
)  # fmt: skip


def kernels(rows):
    """Yield the error of every kernel and structure: bars, and the numbers beside them."""
    if not rows:
        return
    title = "Every kernel, by structure"
    about = (
        "Mean relative error of a private sum, 50,000 records in 32 columns inside a ball of radius 2, pure, "
        "ε = 1. The structure named “chosen” is the one that the class takes by itself; the others are for "
        "comparison."
    )
    labels = [_label(row) for row in rows]
    bars = [
        Bar(label, row["mean_relative_error"], percent_text(row["mean_relative_error"]))
        for label, row in zip(labels, rows, strict=True)
    ]
    head = ["kernel, structure", "features", "mean error", "worst release", "build, CPU s", "query, CPU µs"]
    cells = [
        [
            label,
            row.get("features", ""),
            percent_text(row["mean_relative_error"]),
            _share(row.get("worst_release")),
            _number(row.get("build_cpu_seconds")),
            _number(row.get("query_cpu_us")),
        ]
        for label, row in zip(labels, rows, strict=True)
    ]
    plot = bar_plot(bars, title, f"plot-{identity(title)}")
    yield pair(title, about, plot, table(head, cells, title))


def _label(row):
    structure = row.get("structure", "")
    chosen = ", chosen" if row.get("asked") == "auto" else ""
    return f"{row['kernel'].replace('_', ' ')}, {_STRUCTURES.get(structure, structure)}{chosen}"


def build(found):
    """Yield the build beside plain NumPy: bars of processor seconds, and all numbers beside them.

    Args:
        found: one measurement, or several, of `benchmarks._build.build`.
    """
    rows = [row for row in (found if isinstance(found, list) else [found]) if isinstance(row, dict) and row]
    if not rows:
        return
    title = "The build beside plain NumPy"
    names = list(dict.fromkeys([key for key in _BUILD if any(key in row for row in rows)]))
    names += [key for row in rows for key in row if key not in names]
    bars = []
    for row in rows:
        size = f"{row['records']:,} records" if "records" in row else "all records"
        for key, who in (("cpu_seconds", "dpkit"), ("numpy_cpu_seconds", "plain NumPy")):
            if key in row:
                bars.append(Bar(f"{who}, {size}", row[key], f"{number_text(row[key], 3)} s"))
    cells = [[name.replace("_", " "), *(_number(row.get(name)) for row in rows)] for name in names]
    head = ["", *("measured" if len(rows) == 1 else f"row {k}" for k in range(1, len(rows) + 1))]
    numbers = table(head, cells, title)
    about = (
        "Processor seconds to take all records into the exact sums, without queries. NumPy takes the same "
        "cosines and sines by matrix products, in double precision, with neither a grid nor noise, "
        "at the rate of its first records."
    )
    if bars:
        yield pair(title, about, bar_plot(bars, title, f"plot-{identity(title)}"), numbers)
    else:
        yield spaced(numbers)


def convex(rows):
    """Yield what a convex curve takes off the error of l1 sums."""
    if not rows:
        return
    keys = {"neighbours", "records", "epsilon", "rmse_ratio"}
    if not all(keys <= set(row) for row in rows):
        yield rows_table(rows, "l1 sums made convex")
        return
    groups = {}
    for row in rows:
        groups.setdefault(f"{row['neighbours']}, ε = {number_text(row['epsilon'])}", []).append(row)
    yield chart(
        "l1 sums made convex",
        "Root mean square error of DistanceSum.convex() over that of the release it comes from, one column, "
        "pure. A sum of distances is convex, and a curve that must be convex too loses some of its noise.",
        [
            Series(name, [row["records"] for row in members], [row["rmse_ratio"] for row in members])
            for name, members in groups.items()
        ],
        Axis("records", log=10),
        Axis("share of the error that is left", percent=True, zero=True),
        rows_table(rows, "l1 sums made convex"),
    )


def _share(value):
    return "" if value is None else percent_text(value)


def _number(value):
    return "" if value is None else number_text(value, 3) if isinstance(value, float) else value
