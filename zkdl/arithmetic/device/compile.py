"""Compile decorators whose on-disk cache notices an edit of any file that a kernel is built from."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

from dpkit._compiled import Cache


@functools.cache
def _sources_digest(path: str) -> str:
    """SHA-256 over this folder's sources and one file of kernels.

    numba itself looks at the size and the time of the kernel's own file only. That misses an edit in this
    folder, and it misses an upgrade too: wheels are built with constant times, so a release may replace a
    file by another of the same size and time.
    """
    digest = hashlib.sha256()
    for source in (*sorted(Path(__file__).parent.glob("*.py")), Path(path)):
        digest.update(source.name.encode() + b"\0")
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


@functools.cache
def _announce() -> None:
    """Say once, to a person at a terminal, what the first run waits for."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("zkdl: compiling kernels for this processor, once: about a minute\n")
        sys.stderr.flush()


class _StampedCache(Cache):
    """The cache of machine code, its files named by the digest of all sources."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, _sources_digest(function.__code__.co_filename))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = super().load_overload(sig, target_context)
        if found is None:
            _announce()
        return found


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call, without the interpreter lock, and keep the machine code on disk.

    Args:
        function: module-level function over arrays and integers; it may call only functions of its own file
            and of `zkdl.arithmetic.device`.

    Returns:
        The numba dispatcher.
    """
    dispatcher: Any = njit(nogil=True)(function)
    # numba raises RuntimeError where no folder can be written to; then every process compiles for itself. The
    # sources are unreadable only where they are not files.
    with contextlib.suppress(RuntimeError, OSError):
        # The assignment is what `enable_caching` does, with our own cache class.
        dispatcher._cache = _StampedCache(dispatcher.py_func)
    return dispatcher


def device(function: Callable[..., Any]) -> Any:
    """Compile a helper that only kernels call: it lives in their cache entries and needs none of its own."""
    return njit(nogil=True)(function)
