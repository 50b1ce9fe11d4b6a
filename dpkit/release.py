"""The sealed release: one file format for everything that dpkit publishes, and its strict reader.

Layout: 8 bytes of magic, format version (4 bytes), header length (8 bytes), a canonical JSON header, the
arrays back to back, and the SHA-256 of all that precedes it. Numbers are little-endian. The header names the
kind of structure, its public parameters and the arrays with dtype and shape. Nothing in it can run code, and
nothing but public parameters, noisy integers, noise scales and the guarantee is ever put in it.

The digest finds damage; it is not a signature, so it says nothing about who wrote the file.
"""

import errno
import hashlib
import json
import math
import os
import re
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit.errors import FormatError

__all__ = ["FORMAT_VERSION", "MAGIC", "Sealed", "read_file", "seal", "unseal", "write_atomically"]

MAGIC = b"\x89DPK\r\n\x1a\n"
FORMAT_VERSION = 1
_PREFIX = struct.Struct("<8sIQ")
_DIGEST_BYTES = 32
_MAX_NESTING = 32
# Strings, an unterminated one included; possessive, so that no header costs more than one pass.
_STRING = re.compile(r'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_DTYPES = {"<i8": np.dtype("<i8"), "<f8": np.dtype("<f8")}


@dataclass(frozen=True)
class Sealed:
    """What a release file holds.

    Args:
        kind: the structure's name, such as `kde`.
        public: JSON-ready public parameters, scales and guarantee.
        arrays: the noisy numbers by name, int64 or float64.
    """

    kind: str
    public: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def _canonical(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def seal(sealed: Sealed) -> bytes:
    """Return the bytes of a release; equal releases give equal bytes.

    Example:
        >>> data = seal(Sealed("demo", {"h": 1.0}, {"sums": np.array([1, -2])}))
        >>> unseal(data).arrays["sums"].tolist()
        [1, -2]
    """
    listing, body = [], []
    for name, array in sorted(sealed.arrays.items()):
        plain = np.ascontiguousarray(array, dtype="<i8" if array.dtype.kind == "i" else "<f8")
        listing.append({"name": name, "dtype": plain.dtype.str, "shape": list(plain.shape)})
        body.append(plain.tobytes())
    header = _canonical({"arrays": listing, "kind": sealed.kind, "public": sealed.public})
    data = b"".join([_PREFIX.pack(MAGIC, FORMAT_VERSION, len(header)), header, *body])
    return data + hashlib.sha256(data).digest()


def unseal(data: bytes) -> Sealed:
    """Read the bytes that `seal` wrote; anything else is refused before it is used.

    Raises:
        FormatError: foreign, truncated, damaged, of an unknown version, or not in canonical form.
    """
    if not data.startswith(MAGIC):
        raise FormatError("not a dpkit release: the first 8 bytes differ from dpkit's")
    if len(data) < _PREFIX.size + _DIGEST_BYTES:
        raise FormatError(f"truncated release: {len(data)} bytes")
    _, version, header_bytes = _PREFIX.unpack_from(data)
    if version != FORMAT_VERSION:
        raise FormatError(
            f"release format {version} is not the format {FORMAT_VERSION} that this dpkit reads"
        )
    if hashlib.sha256(data[:-_DIGEST_BYTES]).digest() != data[-_DIGEST_BYTES:]:
        raise FormatError("truncated or damaged release: its SHA-256 does not match")
    start = _PREFIX.size + header_bytes
    if start > len(data) - _DIGEST_BYTES:
        raise FormatError("malformed release: the header does not fit in the file")
    raw = data[_PREFIX.size : start]
    try:
        header = json.loads(_bounded(raw))
        kind, public, listing = header["kind"], header["public"], header["arrays"]
        canonical = _canonical(header) == raw and len(header) == 3
        entries = [(str(e["name"]), _DTYPES[e["dtype"]], [int(s) for s in e["shape"]]) for e in listing]
    except (ValueError, KeyError, TypeError) as cause:
        raise FormatError(f"malformed release header ({type(cause).__name__})") from None
    if not (canonical and isinstance(kind, str) and isinstance(public, dict)):
        raise FormatError("malformed release header: not in canonical form")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in entries:
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or name in arrays or start + size > len(data) - _DIGEST_BYTES:
            raise FormatError(f"malformed release: array {name!r} does not fit in the file")
        flat = np.frombuffer(data, dtype=dtype, count=math.prod(shape), offset=start)
        arrays[name] = flat.reshape(shape).astype(dtype.newbyteorder("="))
        start += size
    if start != len(data) - _DIGEST_BYTES:
        raise FormatError("malformed release: bytes are left over after the last array")
    return Sealed(kind, public, arrays)


def _bounded(raw: bytes) -> str:
    """Return JSON text that is not nested too deeply to parse.

    The parser recurses on the C stack up to Python's recursion limit. A library may have raised that limit
    (py-ecc does), and then a hostile header would bring the process down instead of raising an error.
    """
    text = raw.decode("utf-8")
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > _MAX_NESTING:
            raise ValueError("nested too deeply")
    return text


def read_file(path: str | os.PathLike[str]) -> Sealed:
    """Read a release file; OSError where it cannot be read, FormatError where it is not a release."""
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
        if start != MAGIC:
            raise FormatError(f"{os.fspath(path)}: not a dpkit release")
        data = start + file.read()
    try:
        return unseal(data)
    except FormatError as cause:
        raise FormatError(f"{os.fspath(path)}: {cause}") from None


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one: temporary name, flush, rename.

    Symbolic links are followed; something that is there and is no plain file (a device, a pipe) is written
    to, never replaced.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
