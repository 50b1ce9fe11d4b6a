"""Seconds of single kernels on this machine, now: what does not go with the scale of a phase."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from zkdl import arithmetic as za
from zkdl.arithmetic.msm import additions
from zkdl.protocol.commitment import row_bases
from zkdl.protocol.statement import Statement
from zkdl.prover import OSRandomness
from zkdl.prover.fold import FoldProver
from zkdl.training.fast import FastTrainer

__all__ = ["Clock", "best", "measure_kernels", "measure_statement"]

Clock = Callable[[], float]
_ROW_BITS = 10
_ENTRIES = 1 << 17
_POINTS = 512
_CELLS = 1 << 18
_FRESH = 1 << 27


def best(call: Callable[[], object], clock: Clock, rounds: int = 3, patience: float = 0.4) -> float:
    """Least seconds of a call over some rounds; the first, which may load kernels, counts only when alone."""
    found, start = [], time.perf_counter()
    for _ in range(rounds + 1):
        at = clock()
        call()
        found.append(clock() - at)
        if time.perf_counter() - start > patience:
            break
    return min(found[1:] or found)


def _first_touch(clock: Clock) -> float:
    """Once only: memory that this process has had before comes quicker, and a proof needs more than that."""
    at = clock()
    np.ones(_FRESH, dtype=np.uint8)
    return clock() - at


def measure_kernels(clock: Clock) -> dict[str, float]:
    """Seconds per unit, by the names that `zkdl.estimate.counts` uses.

    ``fresh``: a byte of memory that the system hands out; ``mac``: an integer times an element, added up;
    ``eq``: an entry of an eq table; ``fold``: an entry of a row in an inner-product argument; ``decode``: a
    point.
    """
    rng = np.random.default_rng(0)
    rows = 256
    matrix = rng.integers(0, 1 << 16, (rows, _ENTRIES // rows))
    vector = za.Fr.random(_ENTRIES // rows)
    point = list(range(3, 3 + _ENTRIES.bit_length() - 1))
    encoded = b"".join(za.g1.to_bytes(row_bases(_POINTS)))

    def fold() -> None:
        prover = FoldProver(za.Fr.random(1 << _ROW_BITS), za.Fr.random(1 << _ROW_BITS), 1, 1, OSRandomness())
        for _ in range(_ROW_BITS):
            prover.cross()
            prover.fold(3)

    return {
        "fresh": _first_touch(clock) / _FRESH,
        "mac": best(lambda: za.multilinear.matvec(matrix, vector), clock) / _ENTRIES,
        "eq": best(lambda: za.multilinear.eq_table(point), clock) / _ENTRIES,
        "fold": best(fold, clock, 2) / (1 << _ROW_BITS),
        "decode": best(lambda: za.g1.from_bytes(encoded), clock, 2) / _POINTS,
    }


def measure_statement(statement: Statement, clock: Clock) -> dict[str, float]:
    """Units that depend on the statement.

    ``step``: one training step of this very network; ``initial``: drawing its initial weights; ``addition``:
    an addition of points when rows as long as these are committed.
    """
    rng = np.random.default_rng(0)
    settings = statement.settings
    columns, rows = 1 << statement.row_bits, max(8, _CELLS >> statement.row_bits)
    cells = rng.integers(0, 1 << 16, (rows, columns))
    cells[::7] &= 1  # signs
    bases = row_bases(columns)
    adding = best(lambda: za.msm_rows(bases, cells), clock, 2) / additions(rows, columns, 0, 65535)
    shape = (statement.batch_size, statement.widths[0])
    x = rng.integers(0, 1 << settings.activation_scale, shape)
    y = np.zeros((statement.batch_size, statement.widths[-1]), dtype=np.int64)
    seed = 0 if statement.initial_seed is None else statement.initial_seed
    at = clock()
    trainer = FastTrainer(statement.widths, statement.bias, settings, statement.mu, seed)
    ready = clock()
    step = best(lambda: trainer.step(x, y), clock, 2)
    return {"step": step, "initial": ready - at, "addition": adding}
