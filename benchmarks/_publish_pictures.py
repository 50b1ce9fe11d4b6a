"""Pictures of docs/figures, each from the published entry of one part."""

from statistics import mean

from benchmarks._picture import picture
from dpkit._page import Axis, Series, number_text

_EPSILON = Axis("ε", log=10)
_ERROR = Axis("mean relative error", log=10, percent=True)


def _line(label, rows, x, y, kind="line"):
    rows = sorted((row for row in rows if row.get(y) is not None), key=lambda row: row[x])
    return Series(label, [row[x] for row in rows], [row[y] for row in rows], kind=kind)


def _named(rows, name):
    return [row for row in rows if row["function"] == name]


def error_against_epsilon(entry):
    """Private sums, and what the literature's single cosines reach on the same records."""
    result = entry["result"]
    pure, others = result["kernels"], result.get("baselines") or []
    series = [
        _line("Gaussian kernel, pure", _named(pure, "gaussian"), "epsilon", "error"),
        _line("Gaussian kernel, δ = 10⁻⁶", _named(result["kernels_delta"], "gaussian"), "epsilon", "error"),
        _line("l1 distance, pure", _named(result["distances"], "l1"), "epsilon", "error"),
        _line("Gaussian, single cosines", _named(others, "gaussian, single cosines"), "epsilon", "error"),
        _line("as predicted, Gaussian, pure", _named(pure, "gaussian"), "epsilon", "predicted", "bound"),
    ]
    title = f"Error of a private sum, {result['records']:,} records, {result['columns']} columns"
    return picture(title, [one for one in series if len(one.x)], _EPSILON, _ERROR)


def distances_against_epsilon(entry):
    """Sums of l1 distances beside the trees of counts."""
    rows = entry["result"]["distances"]
    names = {"l1": "dpkit", "l1, tree of counts": "tree of counts", "l1, two trees": "two trees"}
    series = [_line(label, _named(rows, name), "epsilon", "error") for name, label in names.items()]
    series.append(_line("as predicted, dpkit", _named(rows, "l1"), "epsilon", "predicted", "bound"))
    title = f"Sums of l1 distances, {rows[0]['records']:,} records, {rows[0]['columns']} columns, pure"
    return picture(title, [one for one in series if len(one.x)], _EPSILON, _ERROR)


def error_against_length(entry):
    """Running counts beside the least possible error."""
    rows = entry["result"]["counters"]
    of = lambda name: [row for row in rows if row["mechanism"] == name]
    series = [_line(name, of(name), "horizon", "rmse") for name in ("blt", "sqrt", "hybrid", "binary")]
    series.append(_line("least possible", of("blt"), "horizon", "floor", "bound"))
    title = "RMSE of a private running count, ρ = 1/2"
    return picture(
        title, [one for one in series if len(one.x)], Axis("length of the stream", log=2),
        Axis("error of the count", zero=True),
    )  # fmt: skip


def _steps(entry):
    rows = [row for row in entry["result"]["points"] if row["status"] == "measured"]
    sweep = [row for row in rows if row["group"] == "steps" and not row.get("per_step")]
    one = max(sweep, key=lambda row: row["steps"])
    network = f"{'-'.join(map(str, one['hidden']))}, batch {one['batch']}, {one['parameters']:,} parameters"
    same = [row for row in rows if row.get("per_step") and row["hidden"] == one["hidden"]]
    return network, {name: [r for r in sweep if r["ranges"] == name] for name in ("lookup", "bits")}, same


def proof_seconds(entry):
    """Seconds of proving and verifying against the number of steps."""
    network, sweep, chained = _steps(entry)
    series = [
        _line(f"{verb}, {name}", rows, "steps", key)
        for name, rows in sweep.items() if rows
        for verb, key in (("prove", "seconds"), ("verify", "verify_seconds"))
    ]  # fmt: skip
    if chained:
        series.append(_line("prove, a proof a step (bits)", chained, "steps", "seconds", "points"))
    return picture(f"Proof of training, {network}", series, Axis("steps", log=2), Axis("seconds", log=10))


def proof_bytes(entry):
    """Bytes of a proof against the number of steps."""
    network, sweep, chained = _steps(entry)
    series = [_line(name, rows, "steps", "proof_bytes") for name, rows in sweep.items() if rows]
    if chained:
        series.append(_line("a proof a step (bits)", chained, "steps", "proof_bytes", "points"))
    return picture(f"Bytes of a proof, {network}", series, Axis("steps", log=2), Axis("bytes", log=10))


def _accuracy(entry, data):
    result = entry["result"]
    rows = [row for row in result["rows"] if row["data"] == data]
    if not rows:
        return None
    names = dict.fromkeys(row["method"] for row in rows if not row["method"].startswith("table's"))
    series = [
        _line(name, [row for row in rows if row["method"] == name], "epsilon", "accuracy") for name in names
    ]
    title = f"Held-out accuracy on {data}, δ = {number_text(result['delta'])}"
    return picture(title, series, _EPSILON, Axis("accuracy", percent=True))


def accuracy_digits(entry):
    """Private classification of the digits beside DP-SGD."""
    return _accuracy(entry, "digits")


def accuracy_mnist5k(entry):
    """The same on MNIST-5k, where the package that carries it is there."""
    return _accuracy(entry, "mnist5k")


def training_curves(entry):
    """Held-out error in fixed point over float64."""
    result, series = entry["result"], []
    for row in (row for row in result["rows"] if "curve" in row):
        at = [result["every"] * (k + 1) for k in range(len(row["curve"][0]))]
        for label, curves in ((f"{row['data']}, fixed point", row["curve"]), ("float64", row["twin_curve"])):
            error = [1 - mean(values) for values in zip(*curves, strict=True)]
            series.append(Series(label, at, error, kind="curve" if label != "float64" else "bound"))
    return picture(
        "Held-out error of training in fixed point and in float64", series, Axis("step", zero=True),
        Axis("held-out error", log=10, percent=True),
    )  # fmt: skip


# By file: the part whose figures it shows, and what draws it.
PICTURES = {
    "error-against-epsilon.svg": ("tradeoff", error_against_epsilon),
    "distances-against-epsilon.svg": ("tradeoff", distances_against_epsilon),
    "error-against-length.svg": ("continual", error_against_length),
    "proof-seconds.svg": ("proving", proof_seconds),
    "proof-bytes.svg": ("proving", proof_bytes),
    "accuracy-against-epsilon.svg": ("classification", accuracy_digits),
    "accuracy-against-epsilon-mnist5k.svg": ("classification", accuracy_mnist5k),
    "training-curves.svg": ("accuracy", training_curves),
}
