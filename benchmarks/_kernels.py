"""Kernels other than the Gaussian, and the build beside plain NumPy: tables of `benchmarks.similarity`."""

import resource
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dpkit
from benchmarks._distances import ball_law
from dpkit.similarity.fourier import frequencies

Floats = NDArray[np.float64]
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


def _plain(X: Floats, w: Floats, rows: int = 4096) -> Floats:
    """Return the sums of cos and sin by NumPy: a matrix product a chunk, then its two functions."""
    sums = np.zeros((2, len(w)))
    for start in range(0, len(X), rows):
        phases = X[start : start + rows] @ w.T
        sums[0] += np.cos(phases).sum(axis=0)
        sums[1] += np.sin(phases).sum(axis=0)
    return sums


def build(n: int, d: int = 128, features: int = 5000) -> Row:
    """Return CPU and wall seconds of a build, of the same sums by plain NumPy, and the memory on top."""
    X, _ = ball_law(n, d, 0, 0)
    dpkit.KDE(X[:100], features=features)  # compilation, and the public frequencies of this size
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    dpkit.KDE(X, features=features)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    above = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    few = X[: max(1, n // 10)]  # the rate is the same, and the wait a tenth
    w = frequencies("gaussian", features, d, 0)
    plain_wall, plain_cpu = time.perf_counter(), time.process_time()
    _plain(few, w)
    plain_wall, plain_cpu = time.perf_counter() - plain_wall, time.process_time() - plain_cpu
    scale = n / len(few)
    return {
        "records": n,
        "d": d,
        "features": features,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "numpy_cpu_seconds": plain_cpu * scale,
        "numpy_wall_seconds": plain_wall * scale,
        "speedup_cpu": plain_cpu * scale / cpu,
        "speedup_wall": plain_wall * scale / wall,
        "peak_mib_above_data": above / 1024.0,
    }
