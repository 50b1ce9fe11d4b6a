"""What can be wrong with bytes that claim to be field elements or curve points."""

from __future__ import annotations

from ..errors import ZkdlError


class DecodeError(ZkdlError, ValueError):
    """Bytes that do not decode to field elements or curve points."""


class NotCanonical(DecodeError):
    """A value at or above the modulus, or flag bits that no encoder writes."""


class NotOnCurve(DecodeError):
    """An x coordinate with no point on the curve y^2 = x^3 + 4."""


class NotInSubgroup(DecodeError):
    """A point of the curve outside the subgroup of prime order."""


class PointAtInfinity(DecodeError):
    """The point at infinity where a finite point is wanted."""
