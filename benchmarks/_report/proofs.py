"""Sections about zkdl: proofs, training in fixed point, arithmetic."""

from statistics import mean

from benchmarks._report.plain import rows_table, spaced
from dpkit._page import Axis, Series, bytes_text, chart, number_text, seconds_text, table

_SWEEPS = {
    "depth": ("hidden layers", lambda row: len(row["hidden"]), 0),
    "width": ("width of the layers", lambda row: row["hidden"][0], 2),
    "batch": ("records a batch", lambda row: row["batch"], 2),
    "steps": ("training steps", lambda row: row["steps"], 2),
    "parameters": ("parameters", lambda row: row["parameters"], 10),
}


def _measured(result, group=None):
    return [
        row for row in result["points"]
        if row["status"] == "measured" and not row.get("per_step") and group in (None, row["group"])
    ]  # fmt: skip


def _network(row):
    return f"{'-'.join(map(str, row['hidden']))} hidden, batch {row['batch']}"


def _sweep(result, group):
    """Return the axis and the series of a sweep: proving and verifying, for each range argument."""
    label, place, log = _SWEEPS[group]
    series = []
    for ranges in ("lookup", "bits"):
        rows = sorted((row for row in _measured(result, group) if row["ranges"] == ranges), key=place)
        places = [place(row) for row in rows]
        if len(set(places)) > 1:
            series.append(Series(f"prove, {ranges}", places, [row["seconds"] for row in rows]))
            series.append(Series(f"verify, {ranges}", places, [row["verify_seconds"] for row in rows]))
    return Axis(label, log=log), series


def seconds_against_steps(title, result):
    """The third figure: seconds of proving and verifying against the number of steps."""
    axis, series = _sweep(result, "steps")
    rows = _measured(result, "steps")
    about = (
        f"Seconds to prove and to verify a whole training run, against its length: {_network(rows[0])}. One "
        "proof covers all steps; without it an auditor would have to see the data and train again."
    )
    return chart(title, about, series, axis, Axis("seconds", log=10))


def _steps_key(result):
    rows = [row for row in _measured(result, "steps") if row["ranges"] == "lookup"]
    row = max(rows, key=lambda r: r["steps"])
    about = (
        f"{_network(row)}, {row['steps']} steps; verified in {seconds_text(row['verify_seconds'])}, "
        f"{bytes_text(row['proof_bytes'])}"
    )
    return seconds_text(row["seconds"]), f"to prove {row['parameters']:,} parameters", about


seconds_against_steps.key = _steps_key


def proving(result):
    """Sweeps, phases, bytes, memory, and published figures."""
    for group in _SWEEPS:
        axis, series = _sweep(result, group)
        if group != "steps" and series:
            members = _measured(result, group)
            yield chart(
                f"Proofs against {axis.label}", f"For example {_network(members[0])}.", series, axis,
                Axis("seconds", log=10),
            )  # fmt: skip
    rows = _measured(result)
    phases = list(dict.fromkeys(name for row in rows for name in row.get("phases", {})))
    cells = [
        [f"{row['group']}: {row['name']}", row["ranges"], row["parameters"], row["steps"],
         float(row["seconds"]), float(row["verify_seconds"]), bytes_text(row["proof_bytes"]),
         bytes_text(row["peak_bytes"]), *(float(row["phases"].get(name, 0.0)) for name in phases)]
        for row in rows
    ]  # fmt: skip
    head = [
        "run", "ranges", "parameters", "steps", "prove, s", "verify, s", "proof", "memory",
        *(f"{name}, s" for name in phases),
    ]  # fmt: skip
    yield spaced(table(head, cells, "every proof, with the phases of the prover", words=(1,)))
    lost = [row for row in result["points"] if row["status"] != "measured"]
    if lost:
        yield rows_table(lost, "not measured, and why", ["group", "name", "status", "error"])
    if result.get("published"):
        yield rows_table(result["published"], "published figures, with their hardware; not measured here")


def accuracy(result):
    """Held-out accuracy of fixed point beside float64."""
    rows = [
        [f"{row['data']}, {'-'.join(map(str, row['widths']))}", ", ".join(map(str, row["settings"])),
         mean(row["accuracy"]), mean(row["twin_accuracy"]), 100 * row["mean_lost"], 100 * row["most_lost"]]
        for row in result["rows"]
    ]  # fmt: skip
    head = ["data and network", "f, g, w, q_f, q_g", "fixed point", "float64", "mean loss, points", "largest"]
    yield spaced(table(head, rows, "held-out accuracy", words=(1,)))
    for row in result["rows"]:
        if "curve" in row:
            steps = [result["every"] * (k + 1) for k in range(len(row["curve"][0]))]
            error = [1 - mean(values) for values in zip(*row["curve"], strict=True)]
            twin = [1 - mean(values) for values in zip(*row["twin_curve"], strict=True)]
            yield chart(
                f"Training on {row['data']}",
                f"Held-out error, mean of {len(row['curve'])} seeds. Fixed point follows float64.",
                [
                    Series("fixed point", steps, error, kind="curve"),
                    Series("float64", steps, twin, kind="curve"),
                ],
                Axis("step", zero=True),
                Axis("held-out error", log=10, percent=True),
            )


def training(result):
    """Seconds of an exact step beside float64."""
    rows = [
        ["-".join(map(str, row["widths"])), row["parameters"], row["steps"],
         seconds_text(row["fast"]["best_processor"]), seconds_text(row["plain"]["best_processor"]),
         seconds_text(row["twin"]["best_processor"]), float(row["fast_over_twin_best"])]
        for row in result["rows"]
    ]  # fmt: skip
    head = ["network", "parameters", "steps", "exact, fast", "exact, plain", "float64", "fast over float64"]
    about = f"processor time of one step, batch {result['batch_size']}, best of the run"
    yield spaced(table(head, rows, about))


def arithmetic(result):
    """Every kernel beside its peer."""
    columns = [key for key in result["rows"][0] if key not in ("paths",)]
    yield rows_table(result["rows"], f"path {result['path']}, one thread unless said", columns[:9])
    floor = result["sumcheck"]
    yield rows_table(
        [floor], f"a sumcheck of {number_text(floor['entries'])} entries beside its products alone"
    )
