"""Compile decorators whose on-disk cache notices an edit of any file that a kernel is built from."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def _sources_digest() -> str:
    """SHA-256 over this folder's sources: numba itself stamps only the file that holds the kernel."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


_DIGEST = _sources_digest()


class _StampedCache(FunctionCache):
    """numba's cache of compiled functions, with the digest of this folder made part of every key."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _DIGEST)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call, without the interpreter lock, and keep the machine code on disk.

    Args:
        function: module-level function over arrays and integers; it may call only functions of its own file
            and of `zkdl.arithmetic.device`.

    Returns:
        The numba dispatcher.
    """
    dispatcher: Any = njit(nogil=True)(function)
    # numba raises where no folder can be written to; then every process compiles for itself.
    with contextlib.suppress(RuntimeError):
        # The assignment is what `enable_caching` does, with our own cache class.
        dispatcher._cache = _StampedCache(dispatcher.py_func)
    return dispatcher


def device(function: Callable[..., Any]) -> Any:
    """Compile a helper that only kernels call: it lives in their cache entries and needs none of its own."""
    return njit(nogil=True)(function)
