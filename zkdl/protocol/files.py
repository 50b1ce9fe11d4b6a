"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from zkdl.errors import InputError

__all__ = ["write_together", "write_whole"]


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


def write_together(
    directory: str | os.PathLike[str], files: Mapping[str, Callable[[Path], None]], what: str = "out"
) -> None:
    """Write some files to a directory, all of them or none.

    A new directory appears complete or not at all. In an existing one, which may hold other files, each file
    is replaced whole, in the order given and only after all were written.

    Args:
        directory: Where to write.
        files: By name, what writes the file to the path that it is given.
        what: What errors call the directory.

    Raises:
        InputError: ``directory`` is a file.
        OSError: Something could not be written.
    """
    target = Path(os.path.abspath(directory))
    if target.exists() and not target.is_dir():
        raise InputError(f"{what} must be a directory, but {os.fspath(directory)} is a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name[:64]}.{secrets.token_hex(8)}.tmp")
    staging.mkdir(mode=0o777)
    try:
        for name, write in files.items():
            write(staging / name)
        if not target.exists():
            staging.rename(target)
            return
        for name in files:
            (staging / name).replace(target / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
