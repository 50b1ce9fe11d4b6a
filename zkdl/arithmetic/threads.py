"""Splitting a kernel's index range over Python threads: kernels run without the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


class _Pool:
    """The thread count and, once it is needed, the pool of workers."""

    def __init__(self) -> None:
        self.count = _available()
        self.executor: ThreadPoolExecutor | None = None
        self.owner = os.getpid()

    def workers(self) -> ThreadPoolExecutor:
        # Threads do not survive a fork, so a child process makes its own pool.
        if self.executor is None or self.owner != os.getpid():
            self.executor = ThreadPoolExecutor(self.count, thread_name_prefix="zkdl")
            self.owner = os.getpid()
        return self.executor


_POOL = _Pool()


def set_threads(count: int | None = None) -> None:
    """Use `count` threads in the kernels that follow.

    Args:
        count: at least 1; None for one thread for each processor this process may run on.

    Raises:
        ValueError: `count` below 1.

    Example:
        >>> set_threads(2); get_threads()
        2
        >>> set_threads()
    """
    wanted = _available() if count is None else int(count)
    if wanted < 1:
        raise ValueError(f"count: expected at least 1 thread, got {count}; pass None to use all processors")
    if wanted != _POOL.count:
        if _POOL.executor is not None:
            _POOL.executor.shutdown(wait=False)
            _POOL.executor = None
        _POOL.count = wanted


def get_threads() -> int:
    """The number of threads in use."""
    return _POOL.count


def over_range(function: Callable[[int, int], Any], n: int, grain: int) -> list[Any]:
    """Call `function(start, stop)` on parts that cover [0, n), and return the results in order.

    Args:
        function: does the part [start, stop); usually one kernel call.
        n: length of the range.
        grain: least length of a part; below it a second thread costs more than it saves.

    Returns:
        One result for each part; a single part is done on the calling thread.
    """
    parts = min(_POOL.count, max(1, n // max(1, grain)))
    if parts == 1:
        return [function(0, n)]
    cuts = [n * k // parts for k in range(parts + 1)]
    workers = _POOL.workers()
    waiting = [workers.submit(function, cuts[k], cuts[k + 1]) for k in range(1, parts)]
    first = function(cuts[0], cuts[1])
    return [first, *(future.result() for future in waiting)]
