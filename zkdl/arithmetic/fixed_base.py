"""Many multiples of one point, from a table of its windows."""

from __future__ import annotations

import numpy as np

from . import curve_kernels, msm_kernels
from .backend import switched
from .field import Fr
from .segments import add_indexed, flat_points, normalised, segment_sums
from .threads import over_range

# 32 windows of 8 bits, with signed digits up to 128 in size, and one for the last carry: 400 KB.
_BITS = 8
_WINDOWS = 33
_HALF = 1 << (_BITS - 1)


class FixedBase:
    """A point prepared for many multiplications: about 32 affine additions each.

    Args:
        point: `(12,)` or `(1, 12)`, a point of the prime-order subgroup.

    Example:
        >>> from zkdl.arithmetic import g1
        >>> base = FixedBase(g1.generator())
        >>> bool((base.mul(Fr.from_ints([2])) == g1.double(g1.generator())).all())
        True
    """

    def __init__(self, point: np.ndarray) -> None:
        flat = flat_points(point, "point")
        if flat.size != 12:
            raise ValueError(f"point: expected one point, got {flat.size // 12}")
        work = np.empty(18 * _WINDOWS, np.uint64)
        curve_kernels.doubling_chain(work, flat, _WINDOWS, _BITS)
        # Entry w 128 + k - 1 is k 2^(8 w) P, built by doubling the length known.
        table = np.empty((_WINDOWS, _HALF, 12), np.uint64)
        table[:, 0] = normalised(work)
        self._table = table.reshape(-1)
        first = np.arange(_WINDOWS)[:, None] * _HALF
        known = 1
        while known < _HALF:
            index = np.arange(known)[None, :]
            add_indexed(
                self._table,
                (first + known + index).reshape(-1),
                self._table,
                np.broadcast_to(first + known - 1, (_WINDOWS, known)).reshape(-1).copy(),
                (first + index).reshape(-1),
            )
            known *= 2

    @switched("fixed_base.mul")
    def mul(self, scalars: np.ndarray) -> np.ndarray:
        """scalars[i] times the point.

        Args:
            scalars: `(n, 4)` elements of Fr.

        Returns:
            `(n, 12)` points.
        """
        plain = np.frombuffer(Fr.to_bytes(scalars), np.uint64).copy()
        n = plain.size // 4
        entries = np.empty(n * _WINDOWS, np.int32)
        begin, end = np.empty(n, np.int64), np.empty(n, np.int64)
        over_range(
            lambda i, j: msm_kernels.window_entries(entries, begin, end, plain, _BITS, _WINDOWS, i, j),
            n,
            4096,
        )
        return segment_sums(self._table, entries, begin, end)
