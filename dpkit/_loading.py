"""Reading any release back: the kinds there are, and who reads each."""

import os
from collections.abc import Callable
from typing import Any

from dpkit.errors import FormatError
from dpkit.release import Sealed, read_file
from dpkit.similarity.distance import DistanceSum
from dpkit.similarity.kde import KDE

__all__ = ["load"]

_SECRET = ("-state", "counter-run")  # how kinds of files end that hold exact sums
_READERS: dict[str, Callable[[Sealed], Any]] = {
    "distance": DistanceSum._from_sealed,
    "kde": KDE._from_sealed,
}


def load(path: str | os.PathLike[str]) -> Any:
    """Return the release that `save` wrote to a file; its answers equal those before saving.

    Raises:
        FormatError: the file is foreign, truncated, damaged or of an unknown kind or version.
        OSError: the file cannot be read.

    Example:
        >>> import dpkit, numpy, os, tempfile
        >>> kde = dpkit.KDE(numpy.zeros((10, 2)), epsilon=1.0, features=64)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     kde.save(os.path.join(folder, "kde.dpk"))
        ...     same = dpkit.load(os.path.join(folder, "kde.dpk"))
        >>> bool((same.query([[0.0, 1.0]]) == kde.query([[0.0, 1.0]])).all())
        True
    """
    sealed = read_file(path)
    reader = _READERS.get(sealed.kind)
    if reader is None and sealed.kind.endswith(_SECRET):
        raise FormatError(
            f"{os.fspath(path)}: this is the secret state of a stream (kind {sealed.kind!r}), not a release: "
            "keep it to yourself, and go on with it by from_state or dpkit counter run --checkpoint"
        )
    if reader is None:
        raise FormatError(f"{os.fspath(path)}: this dpkit knows no release of kind {sealed.kind!r}")
    return reader(sealed)
