"""Building a private sum in chunks and shards: exact integers that leave only under noise."""

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, NoReturn, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit.errors import ArgumentError, BudgetSpentError, DpkitError, MergeError
from dpkit.guarantee import Guarantee
from dpkit.noise import NoiseSource, OSNoise
from dpkit.similarity.inputs import check_points

__all__ = ["Builder", "Settings"]


class Settings(Protocol):
    """What a builder needs to know of a structure: its public map, and the noise that its promise needs."""

    @property
    def columns(self) -> int:
        """The number of columns of a record."""

    @property
    def guarantee(self) -> Guarantee:
        """What the release promises."""

    def blank(self) -> NDArray[np.uint64]:
        """Return the sums over no records."""

    def add(self, sums: NDArray[np.uint64], records: NDArray[Any]) -> None:
        """Add the contributions of records to the sums, modulo 2^64, in place."""

    def noisy(
        self, sums: NDArray[np.uint64], count: int, source: NoiseSource
    ) -> dict[str, NDArray[np.int64]]:
        """Return the integers of a release: the sums under noise."""

    def to_public(self) -> dict[str, Any]:
        """Return the public parameters as JSON-ready values."""


S = TypeVar("S", bound=Settings)
R = TypeVar("R")


class Builder(Generic[S, R]):
    """Adds records, chunk by chunk, to the exact sums of a release that is still to come.

    Made by `KDE.builder(...)` or `DistanceSum.builder(...)`. The exact sums are private: a builder cannot be
    copied, pickled or printed, belongs to the process that made it, and is emptied when it releases or is
    merged into another, so that no record is ever released twice or counted twice.

    *Privacy*: nothing is private before `release`; treat a builder like the data itself.

    Example:
        >>> import dpkit
        >>> first = dpkit.KDE.builder(d=2, epsilon=1.0, features=64)
        >>> second = dpkit.KDE.builder(d=2, epsilon=1.0, features=64)
        >>> first.update([[0.0, 0.0]]).merge(second.update([[1.0, 0.0]])).release()
        KDE(kernel='gaussian', bandwidth=1.0, d=2, features=64, PureDP(epsilon=1.0, neighbours='add-remove'))
    """

    __slots__ = ("_count", "_lock", "_process", "_settings", "_spent", "_sums", "_wrap")
    _what = "dpkit"

    def __init__(self, settings: S, wrap: Callable[[S, dict[str, NDArray[np.int64]], str], R]) -> None:
        self._settings = settings
        self._wrap = wrap
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._spent = ""
        self._count = 0
        self._sums = settings.blank()

    def update(self, X: ArrayLike) -> Self:
        """Add the records of a chunk, (rows, d) real, and return the builder.

        Infinities and out-of-range coordinates saturate (or clip to the bounds), NaN becomes the middle of
        the bounds or 0: record content never raises.

        Raises:
            ArgumentError: wrong shape or dtype.
            BudgetSpentError: the builder has released, was merged into another, or an update was interrupted.
        """
        records = check_points(X, "X", self._settings.columns)
        with self._lock:
            self._check_open()
            try:
                self._settings.add(self._sums, records)
                self._count += len(records)
            except BaseException:
                # Some records may be in and some not; trying the chunk again could count one twice.
                self._empty("interrupted during an update")[0][...] = 0
                raise
        return self

    def merge(self, other: "Builder[S, R]") -> Self:
        """Take over another builder's records and return this builder; the other is emptied and spent.

        Raises:
            ArgumentError: `other` is not a builder.
            MergeError: the public parameters differ, or `other` is this builder.
            BudgetSpentError: either builder is spent.
        """
        if not isinstance(other, type(self)):
            raise ArgumentError(f"other must be a {self._what} builder, got {type(other).__name__}")
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
            sums[...] = 0
        return self

    def _absorb(self, sums: NDArray[np.uint64], count: int) -> None:
        """Add exact sums that tasks of `dpkit.distributed` made from records with these settings."""
        with self._lock:
            self._check_open()
            if sums.shape != self._sums.shape or sums.dtype != np.uint64:
                raise ArgumentError(f"sums of shape {sums.shape} do not fit this builder")
            self._sums += sums
            self._count += count

    def release(self, unsafe_noise: NoiseSource | None = None) -> R:
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
            noisy = settings.noisy(sums, count, source)
        finally:
            sums[...] = 0
        origin = "operating-system" if isinstance(source, OSNoise) else "UNSAFE test noise"
        return self._wrap(settings, noisy, origin)

    def _empty(self, why: str) -> tuple[NDArray[np.uint64], int]:
        """Mark the builder spent and hand its exact sums to the caller, keeping none."""
        sums, count = self._sums, self._count
        self._sums, self._count, self._spent = np.zeros(0, dtype=np.uint64), 0, why
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

    def _check_same(self, other: S) -> None:
        mine, theirs = self._settings.to_public(), other.to_public()
        # What only some mechanisms have is missing in the others.
        different = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        if different:
            shown = ", ".join(
                f"{name}: {mine.get(name)!r} and {theirs.get(name)!r}" for name in different[:3]
            )
            raise MergeError(f"builders with different public parameters cannot be merged ({shown})")

    def _refuse(self, *_: Any) -> NoReturn:
        raise DpkitError("a builder holds exact private sums: it cannot be copied, pickled or serialised")

    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = __getstate__ = _refuse

    def __repr__(self) -> str:
        state = self._spent or "open"
        return f"{type(self).__name__}({self._describe()}, {self._settings.guarantee!r}, {state})"

    def _describe(self) -> str:
        """Return the public parameters that identify the structure."""
        return f"d={self._settings.columns}"
