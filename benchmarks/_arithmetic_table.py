"""Timing of one kernel beside a peer: on one thread, on all of them, and on every path of the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import zkdl.arithmetic as za
from zkdl.arithmetic.paths import cpu_paths, get_cpu_path, set_cpu_path

# Seconds that one side of a comparison may take before the remaining rounds are left out.
_PATIENCE = 12.0


@dataclass
class Row:
    """One kernel: what was done, our seconds, and a peer's.

    `seconds` and `ratio` are of one thread, like the peer's; `part` is the share of the work the peer did.
    """

    kernel: str
    units: int
    unit: str
    seconds: float
    peer: str
    peer_seconds: float
    part: float
    ratio: float
    threads: int
    threads_seconds: float
    threads_gain: float
    path_seconds: dict[str, float] = field(default_factory=dict)


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def shown(duration: float) -> str:
    """Three digits and a unit."""
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if duration >= scale:
            return f"{duration / scale:.3g} {name}"
    return f"{duration * 1e9:.3g} ns"


def check(name: str, ours: object, theirs: object) -> None:
    """Stop where a peer disagrees."""
    if ours != theirs:
        raise SystemExit(f"{name}: results differ from the peer's; nothing is timed")


class Table:
    """Collects rows, printing each as it comes."""

    def __init__(self, rounds: int, threads: int, quiet: bool) -> None:
        self.rounds, self.threads, self.quiet, self.rows = rounds, threads, quiet, list[Row]()
        self.paths = cpu_paths()
        self._known: dict[str, tuple[dict[str, float], float]] = {}
        if not quiet:
            print(
                f"path in use: {get_cpu_path()}; paths of this processor: {', '.join(self.paths)}\n"
                f"{'kernel':31} {'1 thread':>9} {'a unit':>9}  {'peer':21} {'ratio':>6}  "
                f"{threads} threads  seconds by path"
            )

    def _ours(self, call: Callable[[], object], kernel: str) -> tuple[dict[str, float], float]:
        """Best seconds on one thread by path, and on all threads; known already for a second peer."""
        if kernel in self._known:
            return self._known[kernel]
        chosen = get_cpu_path()
        best = dict.fromkeys(self.paths, float("inf"))
        together = float("inf")
        start = time.perf_counter()
        for k in range(self.rounds + 1):
            for path in self.paths:
                set_cpu_path(path)
                za.set_threads(1)
                if k == 0:
                    call()  # compilation and caches
                else:
                    best[path] = min(best[path], seconds(call))
            set_cpu_path(chosen)
            za.set_threads(self.threads)
            if k:
                together = min(together, seconds(call))
            if k and time.perf_counter() - start > _PATIENCE:
                break
        za.set_threads(1)
        self._known[kernel] = best, together
        return best, together

    def compare(
        self,
        kernel: str,
        units: int,
        unit: str,
        ours: Callable[[], object],
        peer: str,
        theirs: Callable[[], object],
        part: float = 1.0,
    ) -> None:
        """Time both, best round of each; `part` is the share of the work that the peer's call does."""
        by_path, together = self._ours(ours, kernel)
        best = by_path[get_cpu_path()]
        other, start = float("inf"), time.perf_counter()
        for _ in range(self.rounds):
            other = min(other, seconds(theirs) / part)
            if time.perf_counter() - start > _PATIENCE:
                break
        row = Row(
            kernel,
            units,
            unit,
            best,
            peer,
            other,
            part,
            other / best,
            self.threads,
            together,
            best / together,
            by_path,
        )
        self.rows.append(row)
        if not self.quiet:
            paths = "  ".join(f"{path} {shown(value)}" for path, value in by_path.items())
            print(
                f"{kernel:31} {shown(best):>9} {shown(best / units):>9}  {peer:12} {shown(other):>8} "
                f"{'x' + format(row.ratio, '.1f'):>6}  x{row.threads_gain:.2f}      {paths}",
                flush=True,
            )
