"""Test processes side by side share one cache of compiled kernels."""

import fcntl
import os

from numba.core import caching


class _LockedCacheFile(caching.IndexDataCacheFile):
    """numba's cache file under a lock.

    Without one, two processes that store different signatures of one function at the same moment may give
    both the same file, and a reader may meet the file of an older source under a new entry of the index.
    """

    def _locked(self, kind, action, *arguments):
        # The folder exists only once something was stored.
        os.makedirs(self._cache_path, exist_ok=True)
        with open(self._index_path + ".lock", "w") as lock:
            fcntl.flock(lock, kind)
            return action(*arguments)

    def save(self, key, data):
        return self._locked(fcntl.LOCK_EX, super().save, key, data)

    def load(self, key):
        return self._locked(fcntl.LOCK_SH, super().load, key)


def pytest_configure(config):
    if os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") != "1":
        caching.IndexDataCacheFile = _LockedCacheFile
