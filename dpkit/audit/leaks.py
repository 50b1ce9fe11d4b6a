"""Exact private numbers where none may be, and noise that comes twice."""

import gc
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_leaks", "repeated_noise"]

_ATOMS = (str, int, float, complex, bool, type(None), type, ModuleType)


def _walk(root: Any) -> list[Any]:
    """Return every object that a release keeps alive: closures and slots too, modules and classes not."""
    seen: set[int] = set()
    found, stack = [], [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, _ATOMS):
            continue
        seen.add(id(item))
        found.append(item)
        if isinstance(item, FunctionType):
            stack.extend(item.__closure__ or ())
            stack.extend(item.__defaults__ or ())
        elif isinstance(item, np.ndarray):
            stack.append(item.base)
            if item.dtype.hasobject:
                stack.extend(item.reshape(-1).tolist())
        else:
            stack.extend(gc.get_referents(item))
    return found


def _holds(item: Any, secret: NDArray[Any]) -> bool:
    if isinstance(item, np.ndarray) and not item.dtype.hasobject:
        raw = secret.tobytes()
        return raw in item.tobytes() or np.array_equal(item.reshape(-1), secret.reshape(-1))
    if isinstance(item, bytes | bytearray):
        return secret.tobytes() in item
    if isinstance(item, list | tuple):
        return list(item) == secret.reshape(-1).tolist()
    return False


def find_leaks(
    release: Any, secrets: Mapping[str, NDArray[Any]], files: Mapping[str, bytes] | None = None
) -> list[str]:
    """Return where exact private arrays were found: in live objects, in the repr, or in given bytes.

    Args:
        release: the object under test.
        secrets: named exact arrays (sums, records, contributions) of at least 4 entries, not all equal.
        files: named bytes that the release wrote: its file, its pickle.

    Example:
        >>> find_leaks({"kept": np.arange(8)}, {"sums": np.arange(8)})
        ['sums: in a live ndarray', 'sums: in the repr']
    """
    leaks = []
    objects = _walk(release)
    for name, secret in secrets.items():
        secret = np.ascontiguousarray(secret)
        raw = secret.tobytes()
        leaks += sorted({f"{name}: in a live {type(o).__name__}" for o in objects if _holds(o, secret)})
        numbers = [str(v) for v in secret.reshape(-1).tolist()]
        if ", ".join(numbers) in repr(release) or " ".join(numbers) in repr(release):
            leaks.append(f"{name}: in the repr")
        leaks += [f"{name}: in {file}" for file, data in (files or {}).items() if raw in data]
    return leaks


def repeated_noise(make: Callable[[], NDArray[np.int64]], exact: NDArray[np.int64], tries: int = 4) -> int:
    """Return how many coordinates carry the same noise in two of several releases of the same data.

    Args:
        make: makes a fresh release of the same records and returns its noisy vector, (k,) int64.
        exact: the exact vector, (k,) int64; the noise is the difference, modulo 2^64.
        tries: releases to compare.

    Returns:
        0 for independent noise of a large scale; k where a seed is reused.
    """
    noises = [make().view(np.uint64) - exact.view(np.uint64) for _ in range(tries)]
    return max(int((noises[i] == noises[j]).sum()) for i in range(tries) for j in range(i))
