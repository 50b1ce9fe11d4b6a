"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], data: bytes, mode: int = 0o666) -> None:
    """Write ``data`` to a temporary file beside ``path``, then rename it over ``path``.

    Whoever looks sees the old file or the new one, never a part. The file has its final permissions
    from the moment it exists. A device or pipe is written to directly.

    Args:
        path: Where to write; a symbolic link is followed.
        data: The whole content.
        mode: Permission bits, less the umask.

    Raises:
        OSError: The file could not be written; nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    try:
        kind = target.stat().st_mode
    except OSError:
        kind = stat.S_IFREG
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(21, "Is a directory", str(path))
    if not stat.S_ISREG(kind):
        with open(target, "wb") as stream:
            stream.write(data)
        return
    temporary = target.with_name(f".{target.name[:64]}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
