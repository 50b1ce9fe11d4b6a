"""What the engine asks of a device: memory, copies, launches. Nothing here knows CUDA.

Memory is addressed by integers, as kernels see it, so that a view into an array is an offset. Everything is
queued in order on one stream; only `download` and `synchronise` wait. The contract of the kernels is
`cuda/README.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendError, ResourceError

BLOCK = 128
"""Threads a block, for every kernel."""


class DeviceMemoryError(BackendError, ResourceError):
    """The device has too little memory left."""


class Memory(Protocol):
    """A block of device memory that is given back when the last reference to it goes."""

    @property
    def address(self) -> int:
        """Its first byte, at least 256-byte aligned."""


class Device(Protocol):
    """One accelerator. Every method raises BackendError or DeviceMemoryError, one line that says what failed.

    Attributes:
        name: for people, such as ``"NVIDIA H100 80GB HBM3"``.
        processors: streaming multiprocessors, the unit of grid sizes.
    """

    name: str
    processors: int

    def allocate(self, nbytes: int) -> Memory:
        """At least `nbytes` bytes, not cleared."""

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy a C-contiguous host array to `address`; the array may change as soon as this returns."""

    def download(self, array: NDArray[Any], address: int) -> None:
        """Fill a C-contiguous host array from `address`, after all that was queued before."""

    def copy(
        self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int
    ) -> None:
        """Copy `rows` pieces of `width` bytes that lie `pitch` bytes apart; the ranges do not overlap."""

    def clear(self, address: int, nbytes: int) -> None:
        """Set bytes to zero."""

    def launch(self, kernel: str, blocks: int, args: Sequence[np.generic]) -> None:
        """Queue a kernel on `blocks` blocks of `BLOCK` threads.

        Args:
            kernel: source file without suffix, a point, the entry: ``"elementwise.mul_Fr"``.
            blocks: at least 1.
            args: NumPy scalars of the kernel's own widths, addresses as uint64.
        """

    def synchronise(self) -> None:
        """Wait for everything queued, and report what failed."""
