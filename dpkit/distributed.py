"""Private sums over many machines with Dask: integers per chunk, added in a tree, noise once at the end.

A task maps one chunk of records to its exact integer sums and knows nothing else, so running it again (a
worker died, a result was lost) gives the same integers, and the scheduler keeps one result a task: nothing is
lost and nothing counts twice. Noise is drawn in the calling process, once, by the builder's own `release`.

*Privacy*: exact sums travel between the workers and the caller. They are as secret as the records: the
cluster must be one that may see the records. Only the release is private.
"""

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dpkit.errors import ArgumentError, DpkitError
from dpkit.similarity.builder import Builder
from dpkit.similarity.distance_settings import DistanceSettings
from dpkit.similarity.inputs import check_points
from dpkit.similarity.settings import KDESettings

__all__ = ["update"]

_FAN_IN = 8
_KINDS: dict[str, Any] = {"KDESettings": KDESettings, "DistanceSettings": DistanceSettings}
Part = tuple[NDArray[np.uint64], int]
B = TypeVar("B", bound=Builder[Any, Any])


def update(builder: B, chunks: Any, client: Any = None) -> B:
    """Add all records of a distributed array to a builder, and return the builder; `release` it afterwards.

    Args:
        builder: of `KDE.builder(...)` or `DistanceSum.builder(...)`; it stays in this process.
        chunks: a Dask array of shape (n, d), or a sequence of `dask.delayed` objects or arrays, one (rows, d)
            chunk each.
        client: a `dask.distributed.Client`; None takes Dask's current scheduler.

    Raises:
        ArgumentError: `builder` or `chunks` is something else; wrong number of columns or dtype.
        DpkitError: Dask is not installed.
        BudgetSpentError: the builder is spent.

    *Privacy*: none before `release`: see the module's text on who sees exact sums.

    Example:
        >>> import dask.array, dpkit
        >>> records = dask.array.zeros((1000, 2), chunks=(100, 2))
        >>> builder = dpkit.distributed.update(dpkit.KDE.builder(d=2, epsilon=1.0, features=64), records)
        >>> builder.release()
        KDE(kernel='gaussian', bandwidth=1.0, d=2, features=64, PureDP(epsilon=1.0, neighbours='add-remove'))
    """
    if not isinstance(builder, Builder):
        raise ArgumentError(f"builder must come from KDE.builder or DistanceSum.builder, got {type(builder)}")
    try:
        import dask
    except ImportError as cause:  # pragma: no cover - an extra
        raise DpkitError("dpkit.distributed needs Dask: pip install 'dpkit-zkdl[dask]'") from cause
    settings = builder._settings
    kind, public = type(settings).__name__, json.dumps(settings.to_public())
    task, merge = dask.delayed(_chunk_sums, pure=True), dask.delayed(_merged, pure=True)
    parts: list[Any] = [
        task(kind, public, i, chunk) for i, chunk in enumerate(_blocks(chunks, settings.columns))
    ]
    while len(parts) > 1:
        parts = [merge(parts[i : i + _FAN_IN]) for i in range(0, len(parts), _FAN_IN)]
    if parts:
        (part,) = dask.compute(parts[0]) if client is None else client.gather(client.compute(parts))
        builder._absorb(*part)
    return builder


def _blocks(chunks: Any, columns: int) -> Iterable[Any]:
    """Return one lazy (rows, d) chunk after the other; shapes are checked where they are known."""
    if hasattr(chunks, "to_delayed") and hasattr(chunks, "rechunk"):
        if chunks.ndim != 2 or chunks.shape[1] != columns:
            raise ArgumentError(f"chunks must have shape (n, {columns}), got {chunks.shape}")
        return list(chunks.rechunk({1: -1}).to_delayed().reshape(-1))
    if isinstance(chunks, Sequence) and not isinstance(chunks, str | bytes):
        return chunks
    raise ArgumentError(f"chunks must be a Dask array or a sequence of chunks, got {type(chunks).__name__}")


@functools.lru_cache(maxsize=8)
def _settings(kind: str, public: str) -> Any:
    return _KINDS[kind].from_public(json.loads(public))


def _chunk_sums(kind: str, public: str, index: int, chunk: Any) -> Part:
    """Return one chunk's exact sums and its number of rows; `index` tells equal chunks apart."""
    settings = _settings(kind, public)
    records = check_points(chunk, f"chunk {index}", settings.columns)
    sums: NDArray[np.uint64] = settings.blank()
    settings.add(sums, records)
    return sums, len(records)


def _merged(parts: list[Part]) -> Part:
    """Return the sum of parts, modulo 2^64, leaving them as they are: another task may need them again."""
    total = parts[0][0].copy()
    for sums, _ in parts[1:]:
        total += sums
    return total, sum(rows for _, rows in parts)
