"""Building a private kernel sum in chunks and shards: exact integers that leave only under noise."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit.errors import ArgumentError, BudgetSpentError, DpkitError, MergeError
from dpkit.noise import NoiseSource, OSNoise
from dpkit.similarity.calibration import add_noise
from dpkit.similarity.inputs import check_points
from dpkit.similarity.settings import KDESettings
from dpkit.similarity.sums import add_contributions, tiles

if TYPE_CHECKING:
    from dpkit.similarity.kde import KDE

__all__ = ["KDEBuilder"]


class KDEBuilder:
    """Adds records, chunk by chunk, to the exact sums of a kernel-sum release that is still to come.

    Made by `KDE.builder(...)`. The exact sums are private: a builder cannot be copied, pickled or printed,
    belongs to the process that made it, and is emptied when it releases or is merged into another, so that no
    record is ever released twice or counted twice.

    *Privacy*: nothing is private before `release`; treat a builder like the data itself.

    Example:
        >>> import dpkit
        >>> first = dpkit.KDE.builder(d=2, epsilon=1.0, features=64)
        >>> second = dpkit.KDE.builder(d=2, epsilon=1.0, features=64)
        >>> first.update([[0.0, 0.0]]).merge(second.update([[1.0, 0.0]])).release()
        KDE(kernel='gaussian', bandwidth=1.0, d=2, features=64, PureDP(epsilon=1.0, neighbours='add-remove'))
    """

    __slots__ = ("_count", "_lock", "_process", "_settings", "_spent", "_sums", "_tiles", "_wrap")

    def __init__(
        self,
        settings: KDESettings,
        wrap: "Callable[[KDESettings, NDArray[np.int64], int, str], KDE]",
    ) -> None:
        self._settings = settings
        self._wrap = wrap
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._spent = ""
        self._count = 0
        self._sums = np.zeros((2, settings.features.features), dtype=np.uint64)
        self._tiles = tiles(settings.features.words)

    def update(self, X: ArrayLike) -> "KDEBuilder":
        """Add the records of a chunk, (rows, d) real, and return the builder.

        Infinities and out-of-range coordinates saturate (or clip to the bounds), NaN becomes the middle of
        the
        bounds or 0: record content never raises.

        Raises:
            ArgumentError: wrong shape or dtype.
            BudgetSpentError: the builder has released, was merged into another, or an update was interrupted.
        """
        records = check_points(X, "X", self._settings.features.columns)
        with self._lock:
            self._check_open()
            try:
                add_contributions(self._sums, records, self._settings.features, self._tiles)
                self._count += len(records)
            except BaseException:
                # Some records may be in and some not; trying the chunk again could count one twice.
                self._empty("interrupted during an update")[0][:] = 0
                raise
        return self

    def merge(self, other: "KDEBuilder") -> "KDEBuilder":
        """Take over another builder's records and return this builder; the other is emptied and spent.

        Raises:
            ArgumentError: `other` is not a builder.
            MergeError: the public parameters differ, or `other` is this builder.
            BudgetSpentError: either builder is spent.
        """
        if not isinstance(other, KDEBuilder):
            raise ArgumentError(f"other must be a KDE builder, got {type(other).__name__}")
        if other is self:
            raise MergeError("a builder cannot be merged with itself: its records would count twice")
        first, second = sorted((self, other), key=id)
        with first._lock, second._lock:
            self._check_open()
            other._check_open()
            self._check_same(other._settings)
            sums, count = other._empty("merged into another builder")
            self._sums += sums
            self._count += count
            sums[:] = 0
        return self

    def release(self, unsafe_noise: NoiseSource | None = None) -> "KDE":
        """Add noise to every sum and the count, once, and return the sealed release; the builder is spent.

        Args:
            unsafe_noise: for tests only: a seeded source. The release then protects nothing, and says so.

        Raises:
            BudgetSpentError: the builder has released before, or was merged into another.

        *Privacy*: satisfies `guarantee` under the settings' neighbour relation; noise comes from the
        operating system's entropy. The exact sums are overwritten with zeros.
        """
        with self._lock:
            self._check_open()
            settings = self._settings
            sums, count = self._empty("released")
        source = OSNoise() if unsafe_noise is None else unsafe_noise
        try:
            noisy = add_noise(sums, count, settings.calibration, source)
        finally:
            sums[:] = 0
        origin = "operating-system" if isinstance(source, OSNoise) else "UNSAFE test noise"
        return self._wrap(settings, noisy["sums"][0], int(noisy["count"][0]), origin)

    def _empty(self, why: str) -> tuple[NDArray[np.uint64], int]:
        """Mark the builder spent and hand its exact sums to the caller, keeping none."""
        sums, count = self._sums, self._count
        self._sums, self._count, self._spent = np.zeros((2, 0), dtype=np.uint64), 0, why
        return sums, count

    def _check_open(self) -> None:
        if self._spent:
            raise BudgetSpentError(
                f"this builder was {self._spent}: its budget is spent; "
                f"another release of the same records needs a new builder and a new budget"
            )
        if os.getpid() != self._process:
            raise BudgetSpentError(
                "this builder belongs to the process that made it; a fork would spend the same budget twice"
            )

    def _check_same(self, other: KDESettings) -> None:
        mine, theirs = self._settings.to_public(), other.to_public()
        different = [name for name in mine if mine[name] != theirs[name]]
        if different:
            shown = ", ".join(f"{name}: {mine[name]!r} and {theirs[name]!r}" for name in different[:3])
            raise MergeError(f"builders with different public parameters cannot be merged ({shown})")

    def _refuse(self, *_: Any) -> NoReturn:
        raise DpkitError("a builder holds exact private sums: it cannot be copied, pickled or serialised")

    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = __getstate__ = _refuse

    def __repr__(self) -> str:
        features = self._settings.features
        state = self._spent or "open"
        return (
            f"KDEBuilder(kernel={features.kernel!r}, bandwidth={features.bandwidth!r}, d={features.columns}, "
            f"features={features.features}, {self._settings.guarantee!r}, {state})"
        )
