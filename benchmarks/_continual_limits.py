"""The limits that streams are held to, and whether a run of `benchmarks.continual` met them."""

import math

ERROR = 0.01
"""How far the code's own error may lie from the published formula, relatively."""
HARD = {  # T: mean largest error of MaxSum (the better of two kinds of blocks) and of SumSelect, as published
    2**9: (22.9, 7.0),
    2**11: (33.6, 10.0),
    2**13: (58.9, 15.7),
    2**15: (102.2, 24.0),
}


def _row(measure, value, limit, met):
    return {"measure": measure, "value": value, "limit": limit, "met": bool(met)}


def _at_most(measure, value, limit):
    return _row(measure, value, f"<= {limit:g}", value <= limit)


def _at_least(measure, value, limit):
    return _row(measure, value, f">= {limit:g}", value >= limit)


def _errors(rows):
    for mechanism in dict.fromkeys(row["mechanism"] for row in rows):
        mine = [row for row in rows if row["mechanism"] == mechanism]
        ratios = [row[key] for row in mine for key in ("rmse_over_formula", "worst_over_formula")]
        known = [abs(ratio - 1) for ratio in ratios if ratio]
        lengths = ", ".join(f"2^{int(math.log2(row['horizon']))}" for row in mine)
        if known:
            about = (
                f"{mechanism}: exact RMSE and worst step over the published formulas less 1, T = {lengths}"
            )
            yield _at_most(about, max(known), ERROR)
        own = [abs(row["exact_rmse"] / row["predicted_rmse"] - 1) for row in mine]
        own += [abs(row["exact_worst_std"] / row["predicted_worst_std"] - 1) for row in mine]
        yield _at_most(f"{mechanism}: the same over its own prediction less 1", max(own), ERROR)


def _speeds(rows):
    step = max(row["us_step"] for row in rows)
    bulk = max(row["ns_bulk"] for row in rows if row["ns_bulk"] is not None)
    state = max(row["state_numbers"] for row in rows)
    yield _at_most("rational counter: microseconds of processor time a step, any horizon to 2^40", step, 3)
    yield _at_most(
        "rational counter: nanoseconds an element in bulk, any horizon from 2^14 to 2^40", bulk, 30
    )
    yield _at_most("rational counter: numbers of state, any horizon to 2^40", state, 10)


def _peers(rows):
    yield _at_least(
        "times faster a step than OpenDP's measurement of each prefix",
        min(row["times_faster_a_step"] for row in rows),
        10,
    )
    for peer in ("prefix", "tree_batch"):
        worst = max(row["dpkit_rmse"] / row[f"opendp_{peer}_rmse"] for row in rows)
        yield _at_most(f"error over that of OpenDP's {peer.replace('_', ', ')}", worst, 1)


def _maxima(found):
    for place, name in enumerate(("max_sum", "sum_select")):
        held = [row for row in found["rows"] if row["horizon"] in HARD]
        table = lambda row, place=place: HARD[row["horizon"]][place]
        least = max((row[name] - 2 * row[f"{name}_error"]) / table(row) for row in held)
        about = f"{name}: mean largest error on the hard stream over the published table"
        lengths = ", ".join(str(row["horizon"]) for row in held)
        worst = max(row[name] / table(row) for row in held)
        limit = "<= 1 up to two standard errors of the mean"
        yield _row(f"{about}, T = {lengths}", worst, limit, least <= 1)
        yield _at_most(
            f"{name}: slope of log error over log T on the hard stream", found[f"slope_{name}"], 0.4
        )


def _audits(found):
    for row in found["tracing"]:
        name, auc = f"tracing AUC, {row['name']}", row["auc"]
        if "uncomposed" in row["name"]:
            yield _at_least(name, auc, 0.95)
        else:
            yield _row(name, auc, "0.4 to 0.6", 0.4 <= auc <= 0.6)
    trap = {row["adversaries"]: row["epsilon"] for row in found["trap"]}
    yield _at_most("index trap: epsilon proved by fixed streams", trap["fixed"], 0)
    yield _at_least("index trap: epsilon proved by adaptive adversaries", trap["adaptive"], 5)
    missed = [row["bug"] for row in found["planted"] if row["caught"] == row["bug"].startswith("none")]
    about = "planted bugs missed, or honest mechanisms flagged"
    yield _at_most(f"{about}{': ' + ', '.join(missed) if missed else ''}", len(missed), 0)


def measures(report):
    """Return one row for each limit that the report has figures for: measure, value, limit, met."""
    found = [*_errors(report["counters"]), *_speeds(report["speed"])]
    guesses = report["unknown_horizon"]
    for key, name in (("rmse", "RMSE"), ("worst", "worst step")):
        worst = max(row[f"{key}_ratio_at_4x"] for row in guesses)
        found.append(
            _at_most(f"unknown horizon: {name} over the tuned design's at 4 times the guess", worst, 1.1)
        )
    if "peer" in report:
        found += _peers(report["peer"])
    if any(row["horizon"] == max(HARD) for row in report["maxima"]["rows"]):  # short runs show no slope
        found += _maxima(report["maxima"])
    if "audit" in report:
        found += _audits(report["audit"])
    return found
