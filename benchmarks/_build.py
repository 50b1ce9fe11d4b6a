"""The build of Fourier features beside plain NumPy, in a process of its own; part of `benchmarks.similarity`.

    python -m benchmarks._build RECORDS [D] [FEATURES]

prints one JSON object. Records of the T2 law come in chunks that are made one at a time, so they take a few
MiB whatever their number, and what the clock sees is the work on them alone. Plain NumPy is its best here: a
matrix product into a block that stays in a cache, cosine and sine in place, as many threads as the build has
(one BLAS thread each), the block's size chosen by trying. It is given the frequencies, and neither rounds to
a grid nor adds noise.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dpkit
from benchmarks._distances import ball_law
from dpkit.similarity.fourier import frequencies
from dpkit.similarity.sums import threads_available
from zkdl.console import peak_rss_bytes

Floats = NDArray[Any]
Row = dict[str, Any]
_CHUNK = 20_000
_PLAIN_PHASES = 1 << 27  # 10 to 15 CPU seconds; the rate does not change with the number of records
_BLOCKS = (16, 64, 256, 1024)
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def build(n: int, d: int = 128, features: int = 5000) -> Row:
    """Return CPU and wall seconds of a build, of the same sums by plain NumPy, and the build's peak memory.

    Args:
        n: records.
        d: columns.
        features: cosines and sines together: features / 2 frequencies.
    """
    command = [sys.executable, "-m", "benchmarks._build", str(n), str(d), str(features)]
    alone = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
    done = subprocess.run(command, env=alone, stdout=subprocess.PIPE, text=True, check=True)
    found: Row = json.loads(done.stdout)
    return found


def _records(n: int, d: int) -> Iterator[Floats]:
    for start in range(0, n, _CHUNK):
        yield ball_law(min(_CHUNK, n - start), d, start, 0)[0]


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return CPU seconds of all threads, and seconds by the clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def _plain(X: Floats, w: Floats, rows: int) -> Floats:
    """Return the sums of cos and sin of X w, (2, m) float64."""

    def part(start: int) -> Floats:
        sums = np.zeros((2, w.shape[1]))
        phases, cosines = (np.empty((rows, w.shape[1]), dtype=X.dtype) for _ in range(2))
        for first in range(start, min(start + share, len(X)), rows):
            block = X[first : min(first + rows, start + share)]
            t, c = phases[: len(block)], cosines[: len(block)]
            np.matmul(block, w, out=t)
            sums[0] += np.cos(t, out=c).sum(axis=0)
            sums[1] += np.sin(t, out=t).sum(axis=0)
        return sums

    share = -(-len(X) // threads_available())
    with ThreadPoolExecutor(threads_available()) as pool:
        return np.asarray(sum(pool.map(part, range(0, len(X), share))))


def _best_plain(X: Floats, w: Floats) -> tuple[float, float, int]:
    """Return CPU and wall seconds of plain NumPy with the block size that does best on a few records."""
    few = X[: max(2048, len(X) // 20)]
    rows = min(_BLOCKS, key=lambda size: _timed(lambda: _plain(few, w, size))[0])
    return *_timed(lambda: _plain(X, w, rows)), rows


def measure(n: int, d: int, features: int) -> Row:
    """Return the figures of `build`, measured in this process."""
    m = features // 2
    dpkit.KDE(ball_law(100, d, 0, 0)[0], features=64)  # compilation
    before = _resident()
    fixed, _ = _timed(lambda: dpkit.KDE(np.empty((0, d)), features=m))
    builder = dpkit.KDE.builder(d=d, features=m)
    builder.update(next(_records(64, d)))  # the public frequencies of this size, counted in `fixed`
    cpu = wall = 0.0
    for chunk in _records(n, d):
        took = _timed(lambda chunk=chunk: builder.update(chunk))  # type: ignore[misc]
        cpu, wall = cpu + took[0], wall + took[1]
    builder.release()
    peak = peak_rss_bytes()
    w = np.ascontiguousarray(frequencies("gaussian", m, d, 0).T)
    some = min(n, _PLAIN_PHASES // m)
    X = ball_law(some, d, 0, 0)[0]
    plain = _best_plain(X, w)
    single = _best_plain(X.astype(np.float32), w.astype(np.float32))
    scale = n / some
    return {
        "records": n,
        "d": d,
        "features": features,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "numpy_cpu_seconds": plain[0] * scale,
        "numpy_wall_seconds": plain[1] * scale,
        "speedup_cpu": plain[0] * scale / cpu,
        "speedup_wall": plain[1] * scale / wall,
        "numpy_single_cpu_seconds": single[0] * scale,
        "numpy_single_wall_seconds": single[1] * scale,
        "numpy_records": some,
        "numpy_block_rows": plain[2],
        "frequencies_and_noise_cpu_seconds": fixed,
        "peak_mib_above_data": (peak - before) / 2**20,
    }


def _resident() -> int:
    """Return the memory of this process now, in bytes; its peak where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return peak_rss_bytes()


if __name__ == "__main__":
    sizes = [int(value) for value in sys.argv[1:]]
    print(json.dumps(measure(*sizes, *(128, 5000)[len(sizes) - 1 :])))
