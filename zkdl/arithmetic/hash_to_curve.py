"""Hashing to G1: the suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of RFC 9380."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from . import hash_kernels, isogeny
from .device.power import exponent_digits
from .field import Fq
from .paths import vector_tag
from .segments import normalised
from .threads import over_range

_EXPONENT = exponent_digits((Fq.modulus - 3) // 4)
# Bytes hashed for each field element: 381 bits and 128 more, so that the reduction's bias is negligible.
_ELEMENT_BYTES = 64


@lru_cache(maxsize=1)
def _constants() -> np.ndarray:
    root = pow(-isogeny.SSWU_Z, (Fq.modulus + 1) // 4, Fq.modulus)
    head = (isogeny.CURVE_A, isogeny.CURVE_B, isogeny.SSWU_Z, root)
    polynomials = (
        *isogeny.X_NUMERATOR,
        *isogeny.X_DENOMINATOR,
        *isogeny.Y_NUMERATOR,
        *isogeny.Y_DENOMINATOR,
    )
    return Fq.from_ints([*head, *polynomials]).reshape(-1)


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """RFC 9380, section 5.3.1, with SHA-256: `length` uniform bytes from a message.

    Args:
        message: any bytes.
        dst: domain separation tag, 1 to 255 bytes.
        length: at most 255 x 32 bytes.

    Raises:
        ValueError: a tag or length out of range.
    """
    if not 1 <= len(dst) <= 255:
        raise ValueError(f"dst: expected 1 to 255 bytes, got {len(dst)}")
    blocks = -(-length // 32)
    if not 1 <= blocks <= 255:
        raise ValueError(f"length: expected 1 to 8160 bytes, got {length}")
    suffix = dst + bytes([len(dst)])
    seed = hashlib.sha256(bytes(64) + message + length.to_bytes(2, "big") + b"\0" + suffix).digest()
    block = hashlib.sha256(seed + b"\1" + suffix).digest()
    out = [block]
    for k in range(2, blocks + 1):
        mixed = (int.from_bytes(seed, "big") ^ int.from_bytes(block, "big")).to_bytes(32, "big")
        block = hashlib.sha256(mixed + bytes([k]) + suffix).digest()
        out.append(block)
    return b"".join(out)[:length]


def hash_to_g1(messages: Iterable[bytes], dst: bytes) -> np.ndarray:
    """Points of the subgroup whose discrete logarithms nobody knows, one for each message.

    Args:
        messages: n byte strings.
        dst: domain separation tag, 1 to 255 bytes.

    Returns:
        `(n, 12)` points.

    Raises:
        ValueError: a tag of a wrong length.
    """
    integers = []
    for message in messages:
        uniform = expand_message_xmd(message, dst, 2 * _ELEMENT_BYTES)
        integers.append(int.from_bytes(uniform[:_ELEMENT_BYTES], "big"))
        integers.append(int.from_bytes(uniform[_ELEMENT_BYTES:], "big"))
    elements = Fq.from_ints(integers).reshape(-1)
    n = len(integers) // 2
    work, constants = np.empty(18 * n, np.uint64), _constants()
    over_range(
        lambda i, j: hash_kernels.map_pairs(vector_tag("Fq"), work, elements, constants, _EXPONENT, i, j),
        n,
        4,
    )
    return normalised(work)
