"""Decoding of points and scalars into typed rejections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected, Reason
from zkdl.protocol.channel import SCALAR_BYTES
from zkdl.protocol.transcript import FR_MODULUS as R


def read_points(data: bytes, label: str) -> NDArray[np.uint64]:
    """Canonical compressed points of prime order, none at infinity, shape (n, 12).

    Raises:
        ProofRejected: with the reason that fits the first bad point.
    """
    try:
        return za.g1.from_bytes(data)
    except za.NotOnCurve as error:
        raise ProofRejected(Reason.POINT_NOT_ON_CURVE, f"{label}: {error}") from None
    except za.NotInSubgroup as error:
        raise ProofRejected(Reason.POINT_NOT_IN_SUBGROUP, f"{label}: {error}") from None
    except za.PointAtInfinity as error:
        raise ProofRejected(Reason.POINT_AT_INFINITY, f"{label}: {error}") from None
    except za.DecodeError as error:
        raise ProofRejected(Reason.POINT_NOT_CANONICAL, f"{label}: {error}") from None


def read_scalars(data: bytes, label: str) -> list[int]:
    """Canonical little-endian scalars below r.

    Raises:
        ProofRejected: with reason ``scalar-not-canonical``.
    """
    out = [int.from_bytes(data[k : k + SCALAR_BYTES], "little") for k in range(0, len(data), SCALAR_BYTES)]
    for value in out:
        if value >= R:
            raise ProofRejected(
                Reason.SCALAR_NOT_CANONICAL, f"{label}: a scalar is not below the group order"
            )
    return out
