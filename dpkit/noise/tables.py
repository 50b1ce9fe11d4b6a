"""Public tables of the fixed-point logarithm, computed once from integer series."""

from __future__ import annotations

from functools import cache

import numpy as np

from dpkit.noise.exact import neg_log

INDEX_BITS = 10
RECIPROCAL_BITS = 12
FRACTION_BITS = 57


@cache
def log_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (reciprocal, log_reciprocal, log_two) of the kernels' logarithm.

    For the cell x in [1/2 + i 2^-11, 1/2 + (i + 1) 2^-11) of a normalised word:
    reciprocal[i] = round(2^12 / middle of the cell), uint64, so |x reciprocal / 2^12 - 1| < 2^-10.5;
    log_reciprocal[i] = log(reciprocal[i] / 2^12) in units of 2^-57, int64, to within 1;
    log_two[j] = j log 2 in units of 2^-57, int64, to within 1, j = 0..63.
    """
    cells = 1 << INDEX_BITS
    # middle = (2 (cells + i) + 1) / (4 cells); its reciprocal in units of 2^-12, rounded to nearest
    reciprocal = [
        ((4 * cells << RECIPROCAL_BITS + 1) // (2 * (cells + i) + 1) + 1) >> 1 for i in range(cells)
    ]
    # log(r / 2^12) = log 2 - (-log(r / 2^13))
    wide = 1 << 64
    log2 = neg_log(1, 1, 121)
    log_reciprocal = [(log2 - neg_log(r, RECIPROCAL_BITS + 1, 121) + wide // 2) >> 64 for r in reciprocal]
    log_two = [(j * log2 + wide // 2) >> 64 for j in range(64)]
    tables = (
        np.array(reciprocal, dtype=np.uint64),
        np.array(log_reciprocal, dtype=np.int64),
        np.array(log_two, dtype=np.int64),
    )
    for table in tables:
        table.flags.writeable = False
    return tables
