"""The text that NVRTC gets: one kernel file with its headers put in place.

CuPy keys its cache of compiled kernels by the text alone; with headers found through an include path an
edit in a header would meet a stale kernel.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ...cuda_sources import cuda_folder

OPTIONS = ("--std=c++17",)
"""Compiler options beside the architecture, which CuPy adds for the device at hand."""

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"[^\n]*$', re.M)


@cache
def kernel_source(name: str) -> str:
    """The self-contained source text of `cuda/<name>.cu`.

    Args:
        name: file name without suffix.

    Returns:
        C++ text; ``#line`` directives keep the compiler's messages true.

    Example:
        >>> "#include" in kernel_source("elementwise")
        False
    """
    folder = cuda_folder()
    return _expanded(folder, f"{name}.cu", set())


def _expanded(folder: Path, name: str, seen: set[str]) -> str:
    seen.add(name)
    text = (folder / name).read_text(encoding="utf-8")

    def put(match: re.Match[str]) -> str:
        header = match[1]
        after = text.count("\n", 0, match.start()) + 2
        # Every header says `#pragma once`.
        body = "" if header in seen else _expanded(folder, header, seen)
        return f'{body}\n#line {after} "{name}"'

    body = _INCLUDE.sub(put, text).replace("#pragma once", "")
    return f'#line 1 "{name}"\n{body}'
