"""`dpkit counter run`: numbers in on standard input, noisy running sums out, one line each.

The main command line mounts `counter_app`. Every answer is in the checkpoint, and the checkpoint on the disk,
before it is printed: whatever interrupts the run, no answer was seen that the next run would answer anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from dpkit.continual import state as states
from dpkit.continual.counter import Counter
from dpkit.errors import ArgumentError, BudgetSpentError, DpkitError, FormatError
from dpkit.release import Sealed, read_file, seal, write_atomically

__all__ = ["counter_app", "run_stream"]

_BATCH = 1 << 16
_KIND = "counter-run"

counter_app = typer.Typer(help="Private running sums of a stream.", no_args_is_help=True)


@counter_app.callback()
def _group() -> None:
    """Private running sums of a stream."""


@counter_app.command("run")
def _counter_run(
    rho: Annotated[float | None, typer.Option(help="zCDP budget of the whole stream.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Or an epsilon, pure where delta is 0.")] = None,
    delta: Annotated[float, typer.Option(help="With epsilon; 0 is pure.")] = 0.0,
    horizon: Annotated[int | None, typer.Option(help="Number of steps; default: unknown.")] = None,
    mechanism: Annotated[
        str, typer.Option(help="auto, binary, honaker, smooth, sqrt, blt, k-ary, hybrid.")
    ] = "auto",
    neighbours: Annotated[str, typer.Option(help="zero-out or replace.")] = "zero-out",
    low: Annotated[float, typer.Option(help="Least legal number; others are clipped.")] = 0.0,
    high: Annotated[float, typer.Option(help="Largest legal number.")] = 1.0,
    window: Annotated[int | None, typer.Option(help="Sum the last so many numbers only.")] = None,
    decay: Annotated[
        float | None, typer.Option(help="Weight of the past falls by this factor a step.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="SECRET file to go on from after an interruption; made if missing."),
    ] = None,
    std: Annotated[bool, typer.Option("--std", help="Add the standard deviation (second column).")] = False,
) -> None:
    """Read one number a line from standard input; print the noisy sum of all so far after each."""
    try:
        arguments = {
            "rho": rho,
            "epsilon": epsilon,
            "delta": delta,
            "horizon": horizon,
            "mechanism": mechanism,
            "neighbours": neighbours,
            "bounds": (low, high),
            "window": window,
            "decay": decay,
        }
        run_stream(arguments, sys.stdin.fileno(), sys.stdout.fileno(), checkpoint, std)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
    except DpkitError as cause:
        _fail(str(cause), 2)
    except OSError as cause:
        _fail(f"{cause.filename or 'standard input'}: {cause.strerror or cause}", 2)


def _fail(message: str, code: int) -> None:
    print(f"dpkit: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(code)


def run_stream(
    arguments: dict[str, Any], source: int, sink: int, checkpoint: Path | None = None, std: bool = False
) -> None:
    """Copy a stream of numbers from one file descriptor into noisy sums on another.

    A run that ends between keeping its answers and noting that they are out prints them again when resumed:
    equal answers, which cost no privacy.

    A line that is no number counts as NaN: to stop at it would tell something about the stream. What has
    arrived is answered at once, so a slow stream is answered line by line and a fast one in bulk.

    Args:
        arguments: of `Counter`.
        source, sink: file descriptors.
        checkpoint: file to resume from and to keep; mode 0600. It holds exact sums.
        std: print the standard deviation too.

    Raises:
        BudgetSpentError: the checkpoint was continued before.
        ArgumentError: the checkpoint is of another configuration.
    """
    counter = Counter(**arguments)
    keeper = None if checkpoint is None else _Checkpoint(checkpoint, counter._settings)
    try:
        if keeper is not None and (saved := keeper.resume()) is not None:
            counter, unsure = saved
            _write(sink, unsure)
        for numbers in _batches(source):
            start = counter.t
            if counter.horizon is not None and 0 < counter.horizon - start < len(numbers):
                numbers, late = numbers[: counter.horizon - start], numbers[counter.horizon - start :]
            else:
                late = numbers[:0]
            values = counter.steps(numbers)
            lines = []
            for i, value in enumerate(values):
                tail = f"\t{counter.std(start + i + 1):.6g}" if std else ""
                lines.append(f"{value:.17g}{tail}\n")
            text = "".join(lines)
            if keeper is not None:
                keeper.keep(counter, text)
            _write(sink, text)
            if keeper is not None:
                keeper.mark(counter.t, counter.t)
            counter.steps(late)  # past the horizon: says so
    finally:
        if keeper is not None:
            keeper.close()


def _write(sink: int, text: str) -> None:
    data = memoryview(text.encode())
    while data:
        data = data[os.write(sink, data) :]


def _batches(source: int) -> Iterator[np.ndarray]:
    """Yield arrays of the numbers that have arrived."""
    rest, ended = b"", False
    while not ended:
        chunk = os.read(source, _BATCH)
        while chunk and len(rest) + len(chunk) < 16 * _BATCH and _waiting(source):
            more = os.read(source, _BATCH)
            if not more:
                ended = True
                break
            chunk += more
        ended = ended or not chunk
        lines = (rest + chunk).split(b"\n")
        rest = b"" if ended else lines.pop()
        if ended and lines and not lines[-1]:
            lines.pop()
        if lines:
            yield np.array([_number(line) for line in lines])


def _waiting(source: int) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(select.select([source], [], [], 0)[0])
    return False


def _number(line: bytes) -> float:
    try:
        return float(line)
    except ValueError:
        return math.nan


class _Checkpoint:
    """The file that a run is resumed from, locked while a run goes on, and the mark of how far runs got.

    The mark lies beside the file and only ever grows, so an older copy of the file is refused. Copies of the
    whole folder cannot be told apart: keep one.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path, self._settings = path, json.loads(json.dumps(settings))
        self._mark = path.with_name(path.name + ".mark")
        self._run = secrets.token_hex(16)
        self._lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise BudgetSpentError(f"{path}: another run is going on from this checkpoint") from None

    def close(self) -> None:
        """Let another run have it."""
        os.close(self._lock)

    def resume(self) -> tuple[Counter, str] | None:
        """Return the counter of the file and the answers that may not have been printed."""
        if not self._path.exists():
            if self._mark.exists() and self._mark.read_text().split()[1:2] != ["0"]:
                raise BudgetSpentError(f"{self._path}: missing, but {self._mark} says that a run has begun")
            return None
        sealed = read_file(self._path)
        if sealed.kind != _KIND:
            raise FormatError(f"{self._path}: not a checkpoint of `dpkit counter run`")
        public = sealed.public
        data = states.rebuilt(lambda: bytes.fromhex(public["state"]))
        settings, t = states.open_state("counter", data)[:2]
        if settings != self._settings:
            raise ArgumentError(
                f"{self._path}: the checkpoint was made with other settings; use the same, or another file"
            )
        note = self._mark.read_text().split() if self._mark.exists() else ["", "0", "0"]
        if len(note) != 3 or note[0] != public.get("run") or t < int(note[1]):
            raise BudgetSpentError(
                f"{self._path}: an old copy, a run went on from here; two continuations share noise"
            )
        self._run = note[0]
        return Counter._unsealed(data)[0], "" if int(note[2]) == t else str(public["unsure"])

    def keep(self, counter: Counter, unsure: str) -> None:
        """Put the counter and its newest answers on the disk, then the mark."""
        public = {"run": self._run, "state": counter._sealed().hex(), "unsure": unsure}
        if not self._mark.exists():
            self.mark(0, 0)
        old = os.umask(0o077)
        try:
            write_atomically(self._path, seal(Sealed(_KIND, public, {})))
        finally:
            os.umask(old)
        self.mark(counter.t, -1)

    def mark(self, reached: int, printed: int) -> None:
        """Note how far runs got, and up to where answers are known to be out (-1: not known)."""
        write_atomically(self._mark, f"{self._run} {reached} {printed}\n".encode())
