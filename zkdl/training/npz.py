"""Reading .npz files that anybody may have written: plain arrays or a clear error, never code."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Collection
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zkdl.errors import FormatError

__all__ = ["narrow", "pack_npz", "read_npz", "wide"]

_SUFFIX = ".npy"


def read_npz(
    path: str | os.PathLike[str] | IO[bytes], wanted: Collection[str] | None = None
) -> dict[str, NDArray]:
    """Read the arrays of an .npz file without unpickling anything.

    Args:
        path: A file name or an open binary file.
        wanted: Names to read, others are skipped; all by default.

    Returns:
        The arrays by name.

    Raises:
        FormatError: The file is no .npz of plain arrays: not a zip, truncated, a bad checksum, a name twice,
            a header that does not fit its data, or an array of Python objects.
        OSError: The file cannot be opened or read.
        MemoryError: An array does not fit in memory.
    """
    if isinstance(path, (str, os.PathLike)):
        with open(path, "rb") as stream:
            return _read(stream, wanted, os.fspath(path))
    return _read(path, wanted, getattr(path, "name", "file"))


def _read(stream: IO[bytes], wanted: Collection[str] | None, name: str) -> dict[str, NDArray]:
    out: dict[str, NDArray] = {}
    try:
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                key = info.filename.removesuffix(_SUFFIX)
                if wanted is not None and key not in wanted:
                    continue
                if key in out:
                    raise FormatError(f"{name}: array {key!r} occurs twice")
                if key == info.filename:
                    raise FormatError(f"{name}: {info.filename!r} is no NumPy array")
                with archive.open(info) as member:
                    _check_header(member, info.file_size, f"{name}: array {key!r}")
                with archive.open(info) as member:
                    out[key] = npy.read_array(member, allow_pickle=False)
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # zip, zlib and header parsers raise a dozen types on malformed bytes
        if isinstance(error, OSError) and error.errno not in (None, 22):
            raise
        raise FormatError(f"{name}: not a readable .npz file ({error})") from None
    return out


def _check_header(member: IO[bytes], size: int, what: str) -> None:
    """Refuse a header that promises more or less than the member holds, before anything is allocated."""
    version = npy.read_magic(member)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise FormatError(f"{what} has an unknown format version {version}")
    shape, _, dtype = readers[version](member)
    if dtype.hasobject:
        raise FormatError(f"{what} holds Python objects, expected numbers")
    count = 1
    for extent in shape:
        count *= int(extent)
    if member.tell() + count * dtype.itemsize != size:
        raise FormatError(f"{what} has a header for shape {shape} that does not fit its {size} bytes")


def pack_npz(arrays: dict[str, NDArray]) -> bytes:
    """The bytes of an uncompressed .npz file of these arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def narrow(array: NDArray) -> NDArray:
    """The same integers in the narrowest type that holds them: files shrink about threefold.

    Example:
        >>> narrow(np.array([-1, 3])).dtype
        dtype('int8')
    """
    if array.dtype != np.int64 or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    kinds = (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int8, np.int16, np.int32)
    for kind in kinds:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    return array


def wide(array: NDArray, what: str) -> NDArray[np.int64]:
    """Integers of any type but uint64 as int64.

    Raises:
        FormatError: The array holds something else; ``what`` names it.
    """
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise FormatError(f"{what} must hold integers of at most 64 signed bits, got dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)
