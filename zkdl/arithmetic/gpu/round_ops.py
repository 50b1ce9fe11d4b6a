"""Round polynomials on the device: the functions of `zkdl.arithmetic.sumcheck`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..field import Fr
from .array import DeviceArray
from .engine import Engine, Operation, entries

Array = Any  # a DeviceArray or a NumPy array


def round_quadratic(engine: Engine, f: Array, g: Array) -> Any:
    """Coefficients of the round polynomial of f g."""
    return _round(engine, "quadratic", 3, f, g)


def round_cubic(engine: Engine, e: Array, f: Array, g: Array) -> Any:
    """Coefficients of the round polynomial of e f g."""
    return _round(engine, "cubic", 4, e, f, g)


def _round(engine: Engine, name: str, sums: int, *tables: Array) -> Any:
    n = entries(tables[0])
    if n < max(2, engine.line) or n % 2 or not all(_table(table, n) for table in tables):
        return NotImplemented
    half = n // 2
    blocks = engine.blocks(half)
    partials = engine.empty((blocks * sums, 4))
    sources = [engine.put(table) for table in tables]
    engine.launch(f"sumcheck.round_{name}", blocks, *sources, np.uint64(half), partials)
    return finished(engine, name, sums, partials, blocks)


def finished(engine: Engine, name: str, sums: int, partials: DeviceArray, blocks: int) -> list[int]:
    """Add up what the blocks left, and fetch the result."""
    out = engine.empty((sums, 4))
    engine.launch(f"sumcheck.finish_{name}", 1, partials, np.uint32(blocks), out)
    return Fr.to_ints(out.to_host())


def _table(a: Any, n: int) -> bool:
    return (
        isinstance(a, DeviceArray | np.ndarray)
        and a.dtype == np.uint64
        and a.shape[-1:] == (4,)
        and a.size == 4 * n
    )


OPERATIONS: dict[str, Operation] = {
    "sumcheck.round_quadratic": round_quadratic,
    "sumcheck.round_cubic": round_cubic,
}
