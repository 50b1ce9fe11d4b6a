"""Which records each training step uses: a public function of the sampling seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.stream import words

__all__ = ["batches"]

_DOMAIN = b"dpkit-zkdl/batches/v1"


def batches(seed: int, records: int, batch_size: int, steps: int, first_step: int = 0) -> NDArray[np.int64]:
    """Draw the mini-batches of some steps in a row, without replacement inside an epoch.

    An epoch walks through a Fisher-Yates shuffle of all records: position i is swapped with a uniform
    position in [i, n). A new epoch starts, with a fresh shuffle of 0..n-1 from a stream of its own, when
    fewer than B records of the current one remain. Only the positions up to the last one that is used are
    ever drawn and epochs before ``first_step`` are skipped at once, so the cost is below n + T * B. The
    stream is SHAKE-256 of the seed, n, B and (but for the first) the number of the epoch; words are made
    uniform by rejection, so the result does not depend on the platform.

    Args:
        seed: 0 <= seed < 2^63.
        records: n.
        batch_size: 1 <= B <= n.
        steps: T >= 1.
        first_step: 0 <= s < 2^63; the steps are s, ..., s + T - 1 of the seed's sequence.

    Returns:
        (T, B) int64 record indices; the B indices of one step are distinct.

    Raises:
        InputError: An argument is out of range.

    Example:
        >>> batches(1, 6, 3, 2).shape, sorted(batches(1, 6, 3, 2).ravel().tolist())
        ((2, 3), [0, 1, 2, 3, 4, 5])
    """
    if not 1 <= batch_size <= records:
        raise InputError(
            f"batch_size must be between 1 and the number of records {records}, got {batch_size}"
        )
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}")
    if not 0 <= seed < 1 << 63:
        raise InputError(f"seed must be between 0 and 2^63 - 1, got {seed}")
    if not 0 <= first_step < 1 << 63:
        raise InputError(f"first_step must be between 0 and 2^63 - 1, got {first_step}")
    epoch, skipped = divmod(first_step, records // batch_size)
    order = _epoch(seed, records, batch_size, epoch)
    deque(islice(order, skipped * batch_size), maxlen=0)
    left = records - skipped * batch_size
    out = np.empty((steps, batch_size), dtype=np.int64)
    for step in range(steps):
        if left < batch_size:
            epoch += 1
            order, left = _epoch(seed, records, batch_size, epoch), records
        for column in range(batch_size):
            out[step, column] = next(order)
        left -= batch_size
    return out


def _epoch(seed: int, records: int, batch_size: int, epoch: int) -> Iterator[int]:
    # The first epoch has no number in its key: batches of short runs are what they were in zkdl/2.
    number = (epoch,) if epoch else ()
    return _shuffled(words(_DOMAIN, (seed, records, batch_size, *number)), records)


def _shuffled(stream: Iterator[int], records: int) -> Iterator[int]:
    """Yield a uniform permutation of range(records), position by position."""
    moved: dict[int, int] = {}
    for position in range(records):
        span = records - position
        keep_below = (1 << 64) // span * span
        word = next(w for w in stream if w < keep_below)
        other = position + word % span
        yield moved.get(other, other)
        # Position `position` is never read again: what it held moves to where the chosen one was.
        moved[other] = moved.pop(position, position)
