"""What a user waits for before the first result: compilation with an empty cache, and the second start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._arithmetic_table import shown

_ROOT = Path(__file__).resolve().parent.parent

# What a proof and its verification touch, in small: a step and its seconds.
_SCRIPT = """
import json, sys, time
start = time.perf_counter()
import numpy as np
import zkdl.arithmetic as za
from zkdl.arithmetic import Fr, g1
seen = {"import": time.perf_counter() - start}

def step(name, call):
    begin = time.perf_counter()
    call()
    seen[name] = time.perf_counter() - begin

values = Fr.random(1 << 12)
points = None
def hashed():
    global points
    points = za.generators(64, tag=b"benchmark/start")
step("field products", lambda: Fr.mul(values, values))
step("generators", hashed)
step("msm", lambda: za.msm(points, values[:64]))
step("rows", lambda: za.msm_rows(points, np.arange(64 * 64).reshape(64, 64) - 2000))
step("folded bases", lambda: za.combine_blocks(points, values[:4]))
step("fixed base", lambda: za.FixedBase(points[0]).mul(values[:8]))
step("decoding", lambda: g1.from_bytes(g1.to_bytes(points)))
step("sumcheck round", lambda: za.sumcheck.round_quadratic(values, values))
step("fold", lambda: za.multilinear.fold_high(values.copy(), 5))
seen["total"] = time.perf_counter() - start
print(json.dumps(seen))
"""


def starts(quiet: bool) -> dict[str, dict[str, float]]:
    """Seconds by step of a process that must compile everything, and of the next one."""
    out = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": f"{cache}/numba",
            "ZKDL_CACHE_DIR": f"{cache}/generators",
            "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        for name in ("cold", "warm"):
            done = subprocess.run(
                [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True
            )
            out[name] = json.loads(done.stdout)
            if not quiet:
                steps = ", ".join(f"{step} {shown(value)}" for step, value in out[name].items())
                print(f"{name} start: {steps}", flush=True)
    return out
