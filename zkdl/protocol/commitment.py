"""Pedersen commitments: the bases, single values and rows of integers.

A value v with blinding r is ``v * VALUE + r * BLIND``; a row (v_0, v_1, ...) is
``sum_j v_j * ROW_j + r * BLIND``. All bases come from RFC 9380 hash-to-curve of public tags, so
nobody knows a discrete logarithm between any two of them, and anyone can derive them again.
Binding under the discrete logarithm assumption in G1, perfectly hiding for uniform r.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import InputError

ROW_TAG = b"row"
VALUE_TAG = b"value"
BLIND_TAG = b"blind"

Points = NDArray[np.uint64]
Elements = NDArray[np.uint64]


def row_bases(count: int) -> Points:
    """The first ``count`` bases of a row, shape (count, 12)."""
    return za.generators(count, tag=ROW_TAG)


@lru_cache(maxsize=1)
def value_base() -> Points:
    """The base of a single committed value, shape (1, 12)."""
    return za.generators(1, tag=VALUE_TAG)


@lru_cache(maxsize=1)
def blind_base() -> Points:
    """The base of every blinding factor, shape (1, 12)."""
    return za.generators(1, tag=BLIND_TAG)


@lru_cache(maxsize=1)
def _value_table() -> za.FixedBase:
    return za.FixedBase(value_base())


@lru_cache(maxsize=1)
def _blind_table() -> za.FixedBase:
    return za.FixedBase(blind_base())


def commit_values(values: Elements, blinds: Elements) -> Points:
    """Commit to single field elements: (n, 4) values and (n, 4) blinds to (n, 12) points."""
    return za.g1.add(_value_table().mul(values), _blind_table().mul(blinds))


@lru_cache(maxsize=4)
def _slot_table(slot: int) -> za.FixedBase:
    return za.FixedBase(row_bases(slot + 1)[slot:])


def commit_message(values: Elements, blind: Elements) -> Points:
    """Commit to a few field elements at once: (n, 4) values on the first n row bases, (1, 4) blind.

    Returns:
        (1, 12), one point.
    """
    n = len(values)
    if n > 3:
        bases = np.concatenate([row_bases(n), blind_base()])
        return za.msm(bases, np.concatenate([values, blind]))
    # Messages of three come by the hundred: rounds of sumchecks.
    point = _blind_table().mul(blind)
    for slot in range(n):
        point = za.g1.add(point, _slot_table(slot).mul(values[slot : slot + 1]))
    return point


def commit_rows(matrix: NDArray[np.integer], blinds: Elements) -> Points:
    """Commit to each row of an integer matrix.

    Args:
        matrix: (rows, columns) signed integers.
        blinds: (rows, 4) field elements, uniform and secret.

    Returns:
        (rows, 12) points.

    Raises:
        InputError: if the numbers of rows differ.
    """
    if matrix.ndim != 2 or blinds.shape != (matrix.shape[0], 4):
        raise InputError(
            f"commit_rows: matrix {matrix.shape} needs blinds of shape ({matrix.shape[0]}, 4), "
            f"got {blinds.shape}"
        )
    rows = za.msm_rows(row_bases(matrix.shape[1]), matrix)
    return za.g1.add(rows, _blind_table().mul(blinds))


def rows_open(encoded: bytes, matrix: NDArray[np.int64], blinds: Elements) -> bool:
    """Whether integers and blinding factors open one committed row each.

    All rows are opened at once under a random combination with 128-bit coefficients from the operating
    system: a wrong row goes unnoticed with probability 2^-128.

    Args:
        encoded: one compressed point per row, joined.
        matrix: (rows, columns) signed integers.
        blinds: (rows, 4) field elements.

    Raises:
        DecodeError: ``encoded`` holds something else than points of the group.
    """
    points = za.g1.from_bytes(encoded)
    random = za.Fr.from_ints([secrets.randbits(128) for _ in range(len(points))])
    entries = za.multilinear.vecmat(random, np.ascontiguousarray(matrix))
    bases = np.concatenate([row_bases(matrix.shape[1]), blind_base()])
    scalars = np.concatenate([entries, za.Fr.inner(random, blinds)])
    return bool(za.g1.equal(za.msm(points, random), za.msm(bases, scalars)))
