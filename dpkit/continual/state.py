"""States of a stream, and the right to continue one, which is given once."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dpkit.errors import ArgumentError, BudgetSpentError, FormatError
from dpkit.release import Sealed, seal, unseal

__all__ = ["ClaimFolder", "ClaimStore", "check_design", "claim", "open_state", "rebuilt", "seal_state"]

_VERSION = 1
T = TypeVar("T")


class ClaimStore(Protocol):
    """Where continuations are claimed."""

    def claim(self, token: str) -> bool:
        """Record the token and return True, or return False where it was recorded before; atomic."""


class ClaimFolder:
    """Claims as empty files in a folder, each created exclusively.

    Args:
        path: a folder that every process and machine that might continue the stream shares; made if missing.

    *Privacy*: whoever restores an old copy of the folder can continue a state twice; keep it out of backups
    that are rolled back.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._path.mkdir(parents=True, exist_ok=True)

    def claim(self, token: str) -> bool:
        """Create the token's file; False where it exists."""
        try:
            handle = os.open(self._path / token, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        os.fsync(handle)
        os.close(handle)
        folder = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True


class _ProcessClaims:
    """The default: a state may be continued in the process that made it, once.

    Tokens issued here are kept until claimed. A forked child inherits the list, so it is bound to the
    process number and found empty elsewhere.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._issued: set[str] = set()

    def issue(self) -> str:
        """Return a fresh token."""
        token = secrets.token_hex(16)
        with self._lock:
            if self._pid != os.getpid():
                self._issued, self._pid = set(), os.getpid()
            self._issued.add(token)
        return token

    def claim(self, token: str) -> bool:
        """Take the token off the list; False where it is not there."""
        with self._lock:
            if self._pid != os.getpid() or token not in self._issued:
                return False
            self._issued.remove(token)
            return True


_HERE = _ProcessClaims()


def claim(token: str, store: ClaimStore | None) -> None:
    """Claim the right to continue, or raise BudgetSpentError."""
    here = _HERE.claim(token)
    if store is None:
        if not here:
            raise BudgetSpentError(
                "this state was continued before, or another process made it: two continuations share noise. "
                "To move a stream between processes pass store=dpkit.continual.ClaimFolder(folder)"
            )
    elif not store.claim(token):
        raise BudgetSpentError("this state was continued before, and two continuations share noise")


def seal_state(
    kind: str, settings: dict[str, Any], design: dict[str, Any], t: int, engine: dict[str, Any]
) -> bytes:
    """Return the bytes of a state, with a fresh token."""
    public = {
        "version": _VERSION,
        "settings": settings,
        "design": design,
        "t": t,
        "engine": engine,
        "token": _HERE.issue(),
        "warning": "secret: exact sums and live noise of a private stream",
    }
    return seal(Sealed(f"{kind}-state", public, {}))


def open_state(kind: str, data: bytes) -> tuple[dict[str, Any], int, dict[str, Any], str]:
    """Return (settings, t, engine state, token) of the bytes, or raise FormatError."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ArgumentError(f"data must be the bytes that state() returned, got {type(data).__name__}")
    sealed = unseal(bytes(data))
    if sealed.kind != f"{kind}-state" or sealed.public.get("version") != _VERSION:
        raise FormatError(f"not a {kind}'s state of version {_VERSION}: kind {sealed.kind!r}")
    try:
        public = sealed.public
        token = str(public["token"])
        if len(token) != 32 or not set(token) <= set("0123456789abcdef"):
            raise ValueError
        return dict(public["settings"]), int(public["t"]), dict(public["engine"]), token
    except (KeyError, TypeError, ValueError):
        raise FormatError(f"malformed state of a {kind}") from None


def check_design(data: bytes, design: dict[str, Any]) -> None:
    """Refuse a state whose noise belongs to another design than the settings give here."""
    if unseal(bytes(data)).public.get("design") != design:
        raise FormatError(
            "this state was made by a dpkit, or on a machine, whose design for the same settings has other "
            "numbers: continue it where it was made"
        )


def rebuilt(make: Callable[[], T]) -> T:
    """Return make(), turning what a foreign state does to it into FormatError."""
    try:
        return make()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as cause:
        raise FormatError(f"malformed state ({type(cause).__name__})") from None
