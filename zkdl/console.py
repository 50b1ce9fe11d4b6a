"""How the command line talks: one line per error, exit codes, JSON, progress on a terminal."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from zkdl.errors import ResourceError, ZkdlError

__all__ = ["INTERRUPTED", "RESOURCES", "USAGE", "emit", "guard", "peak_rss_bytes", "progress_bar", "refuse"]

USAGE = 2
RESOURCES = 3
INTERRUPTED = 130
_TERMINATED = 143
_SHORTAGES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_DEBUG = "ZKDL_DEBUG"


def refuse(message: str, code: int) -> NoReturn:
    """Say one line on stderr and leave with a code."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"zkdl: {' '.join(message.split())}\n")
        sys.stderr.flush()
    raise SystemExit(code)


def emit(text: str | Mapping[str, object]) -> None:
    """Write text, or an object as one line of JSON, to stdout; a reader that has gone away is no error."""
    line = text if isinstance(text, str) else json.dumps(text)
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more when the interpreter ends.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, "standard output") from None


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Turn every way to fail into one plain line and an exit code; set ZKDL_DEBUG=1 to see tracebacks.

    2: wrong usage or unreadable input, 3: not enough memory or disk, 130: interrupted.
    """
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if os.environ.get(_DEBUG) == "1":
            raise
        _explain(error)


def _explain(error: BaseException) -> NoReturn:
    if isinstance(error, KeyboardInterrupt):
        refuse("interrupted", INTERRUPTED)
    if isinstance(error, MemoryError):
        refuse(f"not enough memory{f': {error}' if str(error) else ''}", RESOURCES)
    if isinstance(error, ResourceError):
        refuse(str(error), RESOURCES)
    if isinstance(error, ZkdlError):
        refuse(str(error), USAGE)
    if isinstance(error, OSError):
        refuse(_sentence(error), RESOURCES if error.errno in _SHORTAGES else USAGE)
    if type(error).__module__.partition(".")[0] in ("typer", "click"):
        raise error
    refuse(f"internal error: {type(error).__name__}: {error} (set {_DEBUG}=1 for details)", USAGE)


def _sentence(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far, in bytes.

    On Linux what getrusage says starts at the memory of the process that started this one; the mark that
    the kernel keeps of a program's own memory does not.
    """
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None] | None]:
    """A bar on stderr where that is a terminal, else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda phase, fraction: bar.update(task, description=phase, completed=fraction)


def end_on_sigterm() -> None:
    """Let a termination signal unwind, so that temporary files are removed."""

    def leave(_signal: int, _frame: object) -> NoReturn:
        raise SystemExit(_TERMINATED)

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, leave)
