"""Refusing what cannot work before the work is done: outputs that cannot be written, unknown devices."""

from __future__ import annotations

import os
from pathlib import Path

from zkdl.cli.options import Backend
from zkdl.errors import InputError


def check_directory(path: Path) -> None:
    """Refuse an output directory that cannot be written before the work is done, not after."""
    if path.exists() and not path.is_dir():
        raise InputError(f"--out must be a directory, but {path} is a file")
    place = path if path.is_dir() else _nearest_parent(path)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"--out {path} cannot be written: no permission in {place}")


def check_file(path: Path, option: str = "--out") -> None:
    if path.is_dir():
        raise InputError(f"{option} must be a file, but {path} is a directory")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: the directory {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{option} {path} cannot be written: no permission in {path.parent}")


def choose_backend(backend: Backend, threads: int | None) -> None:
    from zkdl import arithmetic as za

    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads must be at least 1, got {threads}")
        za.set_threads(threads)
    za.set_backend(backend.value)


def _nearest_parent(path: Path) -> Path:
    return next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
