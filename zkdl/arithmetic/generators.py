"""Commitment generators: points nobody knows relations between, hashed once and kept on disk.

Generator i of a tag is the RFC 9380 hash (BLS12381G1_XMD:SHA-256_SSWU_RO_) of tag || i, i as 8 bytes
big-endian, so `generators(m)` is the beginning of `generators(n)` and different tags have nothing in common.

The cache saves time only: whatever is unreadable, damaged or from another version is computed again, and a
place that cannot be written to is no error. Its digest finds damage, not malice: it lives where the user's
own programs live.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from .errors import DecodeError
from .field import Fq
from .hash_to_curve import hash_to_g1

DST = b"DPKIT-ZKDL-V01-CS01-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
DEFAULT_TAG = b"zkdl/commitment/"

_MAGIC = b"zkdl generators 1\n"
_POINT_BYTES = 2 * Fq.nbytes
_known: dict[bytes, np.ndarray] = {}


def generators(n: int, tag: bytes = DEFAULT_TAG) -> np.ndarray:
    """The first n generators of a tag.

    Args:
        n: how many, at least 0.
        tag: names the use; generators of different tags are independent.

    Returns:
        `(n, 12)` points of the subgroup, none of them infinity.

    Raises:
        ValueError: n negative.

    Example:
        >>> bool((generators(3)[:2] == generators(2)).all())
        True
    """
    if n < 0:
        raise ValueError(f"n: expected at least 0 generators, got {n}")
    tag = bytes(tag)
    have = _known.get(tag)
    if have is None or have.shape[0] < n:
        path = cache_directory() / f"generators-{hashlib.sha256(_identity(tag)).hexdigest()[:24]}.bin"
        stored = _read(path, tag)
        if have is None or stored.shape[0] > have.shape[0]:
            have = stored
        if have.shape[0] < n:
            have = np.concatenate([have, _compute(have.shape[0], n, tag)])
            _write(path, tag, have)
        _known[tag] = have
    # A copy: nobody who writes into the array changes what the next caller gets.
    return have[:n].copy()


def cache_directory() -> Path:
    """Where the cache lives: `ZKDL_CACHE_DIR`, or `zkdl` in the user's cache directory."""
    chosen = os.environ.get("ZKDL_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "zkdl"
    home = Path(os.path.expanduser("~"))
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "zkdl"


def _compute(first: int, last: int, tag: bytes) -> np.ndarray:
    return hash_to_g1([tag + index.to_bytes(8, "big") for index in range(first, last)], DST)


def _identity(tag: bytes) -> bytes:
    return _MAGIC + len(DST).to_bytes(2, "big") + DST + len(tag).to_bytes(4, "big") + tag


def _read(path: Path, tag: bytes) -> np.ndarray:
    """The points of a cache file; none if it is missing, damaged or about something else."""
    none = np.zeros((0, 12), np.uint64)
    try:
        raw = path.read_bytes()
    except OSError:
        return none
    head = _identity(tag)
    body = raw[len(head) : -32]
    if not raw.startswith(head) or len(body) % _POINT_BYTES:
        return none
    if hashlib.sha256(raw[:-32]).digest() != raw[-32:]:
        return none
    try:
        return Fq.from_bytes(body).reshape(-1, 12)
    except DecodeError:
        return none


def _write(path: Path, tag: bytes, points: np.ndarray) -> None:
    """Replace the cache file in one step; a place that cannot be written to is left alone."""
    raw = _identity(tag) + Fq.to_bytes(points.reshape(-1, 6))
    raw += hashlib.sha256(raw).digest()
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".generators-")
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
