"""Machine code kept on disk so that any number of processes may compile for the first time at once.

numba keeps one index for each function and numbers the files of its signatures. Two processes that store
different signatures at the same moment read the same index and may choose the same number; the index then
names one signature and the file holds the machine code of the other, and every later process computes
nonsense with it, silently. A reader may also meet the file of an older source under an entry that has just
been renewed. Here each pair of signature and source has an index and a file to itself, named by its hash and
put in place by a rename, so whatever a name leads to is right: nothing is shared, and nothing need be locked.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["Cache", "njit"]


class _Files(IndexDataCacheFile):
    """The files of one function: one index and one file of machine code for each signature and source."""

    def __init__(self, folder: str, base: str, stamp: Any) -> None:
        super().__init__(cache_path=folder, filename_base=base, source_stamp=stamp)
        self._folder, self._base, self._stamp = folder, base, stamp
        self._source = f"{base}.{_mark(stamp, numba.__version__)}-"

    def _alone(self, key: Any) -> IndexDataCacheFile:
        return IndexDataCacheFile(self._folder, self._source + _mark(key), self._stamp)

    def load(self, key: Any) -> Any:
        """Return the machine code of a signature, or None."""
        try:
            return self._alone(key).load(key)
        except Exception:  # of unpickling: a file cut short, by a disk that lost power, is as good as none
            return None

    def save(self, key: Any, data: Any) -> None:
        """Keep the machine code of a signature; where that cannot be, it is compiled again next time."""
        with contextlib.suppress(OSError):
            alone = self._alone(key)
            alone.flush()  # never reads an index that was cut short
            alone.save(key, data)
            self._drop(keep=self._source)

    def flush(self) -> None:
        """Forget every signature."""
        self._drop(keep=None)

    def _drop(self, keep: str | None) -> None:
        """Remove the files of this function, but for those whose names begin with `keep`.

        Another process that still needs them compiles for itself.
        """
        for name in os.listdir(self._folder):
            ours = name.startswith(self._base + ".") and name.endswith((".nbi", ".nbc"))
            if ours and (keep is None or not name.startswith(keep)):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._folder, name))


def _mark(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


class Cache(FunctionCache):
    """numba's cache of a compiled function, in files that no two signatures or sources share.

    Args:
        function: of a module.
        digest: of whatever else the machine code depends on; numba itself looks at the size and time of the
            function's own file.

    Raises:
        RuntimeError: no folder can be written to, not even the user's.
    """

    def __init__(self, function: Callable[..., Any], digest: str = "") -> None:
        super().__init__(function)
        stamp = (self._impl.locator.get_source_stamp(), digest)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled signature if the folder can still be made and written to."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return numba's decorator of the same name, with `Cache` for its cache.

    Where no folder can be written to, every process compiles for itself.

    Example:
        >>> @njit(nogil=True)
        ... def double(x):
        ...     return 2 * x
        >>> double(21)
        42
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = numba.njit(**options)(function)
        if cache:
            with contextlib.suppress(RuntimeError, OSError):
                # What numba's `enable_caching` does, with our own class.
                dispatcher._cache = Cache(dispatcher.py_func)
        return dispatcher

    return decorate
