"""The group G1 of BLS12-381: arrays of affine points, their arithmetic and their encoding.

An array of points is `(n, 12)` uint64: the 6 limbs of x, then those of y, in Montgomery form (see `field`).
Infinity is all zeros. Functions take points of the curve; `from_bytes` is where points from outside come in,
and it checks everything. The curve is y^2 = x^3 + 4, the group its subgroup of prime order r.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from . import curve_kernels, g1_kernels
from .device.power import exponent_digits
from .endomorphism import BETA
from .errors import DecodeError, NotCanonical, NotInSubgroup, NotOnCurve, PointAtInfinity
from .field import Fq, Fr
from .paths import vector_tag
from .segments import add_indexed, flat_points, normalised, segment_sums
from .threads import over_range

_GENERATOR = (
    0x17F1D3A73197D7942695638C4FA9AC0FC3688C4F9774B905A14E3A3F171BAC586C55E83FF97A1AEFFB3AF00ADB22C6BB,
    0x08B3F481E3AAA0F1A09E30ED741D8AE4FCF5E095D5D00AF600DB18CB2C04B3EDD03CC744A2888AE40CAA232946C5E7E1,
)
_FOUR = Fq.from_ints([4])[0]
_SQUARE_ROOT = exponent_digits((Fq.modulus + 1) // 4)

_COMPRESSED, _INFINITY, _LARGER = 0x80, 0x40, 0x20


def generator() -> np.ndarray:
    """The standard generator of G1, `(1, 12)`."""
    return Fq.from_ints(_GENERATOR).reshape(1, 12)


def is_infinity(points: np.ndarray) -> np.ndarray:
    """`(n,)` booleans: which points are infinity."""
    return np.equal(flat_points(points).reshape(-1, 12), 0).all(axis=1)


def add(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """P + Q, point by point; a single point meets every point of the other array.

    Args:
        p: `(n, 12)` points.
        q: `(n, 12)` points, or one.

    Returns:
        `(n, 12)` points. Equal and opposite points and infinity are handled.

    Example:
        >>> bool(is_infinity(add(generator(), neg(generator())))[0])
        True
    """
    left, right = flat_points(p, "p"), flat_points(q, "q")
    n, m = left.size // 12, right.size // 12
    if n != m and 1 not in (n, m):
        raise ValueError(f"q: expected {n} points like p, or a single one, got {m}")
    count = 0 if 0 in (n, m) else max(n, m)
    out = np.empty((count, 12), np.uint64)
    index = np.arange(count)
    add_indexed(
        out.reshape(-1),
        index,
        np.concatenate([left, right]),
        index if n == count else np.zeros_like(index),
        n + (index if m == count else np.zeros_like(index)),
    )
    return out


def neg(points: np.ndarray) -> np.ndarray:
    """-P, point by point."""
    flat = flat_points(points)
    out = np.empty_like(flat)
    g1_kernels.negate(out, flat, flat.size // 12)
    return out.reshape(-1, 12)


def double(points: np.ndarray) -> np.ndarray:
    """2 P, point by point."""
    return add(points, points)


def mul(points: np.ndarray, scalars: np.ndarray) -> np.ndarray:
    """scalars[i] points[i]; a single point or a single scalar meets every one of the other.

    Args:
        points: `(n, 12)` points of the subgroup.
        scalars: `(n, 4)` elements of Fr.

    Returns:
        `(n, 12)` points. For one point and hundreds of scalars `FixedBase` is ten times faster, for a sum
        `msm`.
    """
    flat = flat_points(points)
    plain = np.frombuffer(Fr.to_bytes(scalars), np.uint64).copy()
    n, m = flat.size // 12, plain.size // 4
    if n != m and 1 not in (n, m):
        raise ValueError(f"scalars: expected {n} like points, or a single one, got {m}")
    count = 0 if 0 in (n, m) else max(n, m)
    work, sp, ss = np.empty(18 * count, np.uint64), int(n == count), int(m == count)
    over_range(lambda i, j: curve_kernels.multiply_each(work, flat, sp, plain, ss, i, j), count, 4)
    return normalised(work)


def sum(points: np.ndarray) -> np.ndarray:
    """The sum of all points, `(1, 12)`."""
    flat = flat_points(points)
    n = flat.size // 12
    pieces = max(1, n // 1024)
    cuts = np.arange(pieces + 1) * n // pieces
    parts = segment_sums(flat, 2 * np.arange(n, dtype=np.int32), cuts[:-1].copy(), cuts[1:].copy())
    return parts if pieces == 1 else sum(parts)


def equal(p: np.ndarray, q: np.ndarray) -> bool:
    """Whether two arrays hold the same points; one point broadcasts over many."""
    return Fq.equal(p, q)


def on_curve(points: np.ndarray) -> np.ndarray:
    """`(n,)` booleans: canonical coordinates that satisfy the equation, or infinity."""
    flat = flat_points(points)
    status = np.empty(flat.size // 12, np.uint8)
    g1_kernels.on_curve_many(status, flat, _FOUR, status.size)
    return status.astype(bool)


def in_subgroup(points: np.ndarray) -> np.ndarray:
    """`(n,)` booleans: which points of the curve lie in the subgroup of prime order.

    The endomorphism (x, y) -> (beta x, y) multiplies by -z^2 on the subgroup and on no other point of the
    curve (Scott, "A note on group membership tests", 2021), so the test costs 126 doublings.
    """
    flat = flat_points(points)
    status = np.empty(flat.size // 12, np.uint8)
    over_range(
        lambda i, j: g1_kernels.in_subgroup_many(vector_tag("Fq"), status, flat, BETA, i, j), status.size, 8
    )
    return status.astype(bool)


def to_bytes(points: np.ndarray) -> list[bytes]:
    """The 48-byte compressed encodings (ZCash flags: compressed, infinity, larger y; then x, big-endian).

    Args:
        points: `(n, 12)` points.

    Returns:
        n byte strings of length 48.

    Example:
        >>> to_bytes(generator())[0].hex()[:8]
        '97f1d3a7'
    """
    flat = flat_points(points)
    n = flat.size // 12
    plain, signs = np.empty(6 * n, np.uint64), np.empty(n, np.uint8)
    g1_kernels.encode(plain, signs, flat, n)
    raw = plain.astype("<u8", copy=False).view(np.uint8).reshape(n, 48)[:, ::-1].copy()
    raw[:, 0] |= np.array([_COMPRESSED, _COMPRESSED | _LARGER, _COMPRESSED | _INFINITY], np.uint8)[signs]
    joined = raw.tobytes()
    return [joined[k : k + 48] for k in range(0, 48 * n, 48)]


def from_bytes(
    data: bytes | bytearray | memoryview | Iterable[bytes], *, allow_infinity: bool = False
) -> np.ndarray:
    """Decode compressed points and check all there is to check.

    Args:
        data: 48-byte encodings, joined or one by one.
        allow_infinity: accept the encoding of infinity.

    Returns:
        `(n, 12)` points of the subgroup.

    Raises:
        DecodeError: a wrong length.
        NotCanonical: x not below the modulus, or flags that no encoder writes.
        NotOnCurve: no point has this x.
        NotInSubgroup: the point's order is not r.
        PointAtInfinity: infinity, unless allowed.

    Example:
        >>> bool((from_bytes(to_bytes(generator())) == generator()).all())
        True
    """
    if isinstance(data, bytes | bytearray | memoryview):
        joined = bytes(data)
        if len(joined) % 48:
            raise DecodeError(f"data: expected a multiple of 48 bytes, got {len(joined)}")
    else:
        parts = [bytes(part) for part in data]
        for k, part in enumerate(parts):
            if len(part) != 48:
                raise DecodeError(f"data: point {k}: expected 48 bytes, got {len(part)}")
        joined = b"".join(parts)
    raw = np.frombuffer(joined, np.uint8).reshape(-1, 48)
    n = raw.shape[0]
    flags, body = raw[:, 0] & 0xE0, raw.copy()
    body[:, 0] &= 0x1F
    infinite = flags == _COMPRESSED | _INFINITY
    finite = (flags == _COMPRESSED) | (flags == _COMPRESSED | _LARGER)
    malformed = ~finite & ~(infinite & ~body.any(axis=1))
    plain = body[:, ::-1].copy().view("<u8").astype(np.uint64).reshape(-1)
    signs = np.where(infinite, 2, (flags & _LARGER) >> 5).astype(np.uint8)
    if malformed.any():
        raise NotCanonical(
            f"data: point {int(malformed.argmax())}: flag bits that no encoder of compressed points writes"
        )
    out, status = np.empty((n, 12), np.uint64), np.empty(n, np.uint8)
    target = out.reshape(-1)
    over_range(
        lambda i, j: g1_kernels.decode(
            vector_tag("Fq"), target, status, plain, signs, _FOUR, BETA, _SQUARE_ROOT, i, j
        ),
        n,
        4,
    )
    _refuse(status, allow_infinity)
    return out


def _refuse(status: np.ndarray, allow_infinity: bool) -> None:
    """Raise for the first point that is not acceptable."""
    bad = status != g1_kernels.OK
    if allow_infinity:
        bad &= status != g1_kernels.INFINITY
    if not bad.any():
        return
    k = int(bad.argmax())
    error, reason = {
        g1_kernels.INFINITY: (PointAtInfinity, "infinity where a finite point is wanted"),
        g1_kernels.NOT_CANONICAL: (NotCanonical, "x is not below the modulus"),
        g1_kernels.NOT_ON_CURVE: (NotOnCurve, "no point of the curve has this x"),
        g1_kernels.NOT_IN_SUBGROUP: (NotInSubgroup, "outside the subgroup of prime order"),
    }[int(status[k])]
    raise error(f"data: point {k}: {reason}")
