"""Kernels other than the Gaussian: a table of `benchmarks.similarity`."""

import time
from typing import Any

import numpy as np

import dpkit
from benchmarks._distances import ball_law

Row = dict[str, Any]


def kernels(draws: int, queries: int, n: int = 50_000, d: int = 32) -> list[Row]:
    """Return one row per kernel and structure: T2 law inside a ball of radius 2, pure epsilon = 1."""
    X, Y = ball_law(n, d, 0, queries)
    for points in (X, Y):
        points *= np.minimum(1.0, 2.0 / np.linalg.norm(points, axis=1))[:, None]
    cases: list[tuple[str, float, str, Row]] = [
        ("laplacian", 4.0, "auto", {}),
        ("laplacian", 4.0, "fourier", {}),
        ("exponential", 1 / 1.5, "auto", {"radius": 2.0}),
        ("exponential", 1 / 1.5, "hash", {"radius": 2.0, "features": 1000}),
        ("inverse_l2", 1.0, "auto", {"radius": 2.0}),
        ("inverse_l2", 1.0, "fourier", {}),
        ("inverse_l2", 1.0, "exponentials", {}),
    ]
    rows = []
    for kernel, h, structure, arguments in cases:
        exact = dpkit.exact.kernel_sum(X, Y, kernel, h)
        errors, build = [], np.inf
        for draw in range(draws):
            start = time.process_time()
            kde = dpkit.KDE(X, kernel, h, structure=structure, public_seed=draw, **arguments)
            kde.query(Y[:1])  # counters count their public clouds here, once
            build = min(build, time.process_time() - start)
            start = time.process_time()
            errors.append(float(np.abs(kde.query(Y) / exact - 1.0).mean()))
            query = time.process_time() - start
        rows.append(
            {
                "kernel": kernel,
                "asked": structure,
                "structure": kde.structure,
                "features": kde.features,
                "mean_relative_error": float(np.mean(errors)),
                "worst_release": max(errors),
                "draws": draws,
                "build_cpu_seconds": build,
                "query_cpu_us": query / queries * 1e6,
            }
        )
    return rows
