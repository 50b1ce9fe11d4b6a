"""A stand-in for a CUDA device: kernels run as their host twins, device memory is ordinary memory.

Fresh memory is filled with a pattern, so that a kernel or driver that reads what it never wrote shows;
every block has a guard behind it that is checked, so that one that writes too far shows as well.
"""

import ctypes
import weakref

import numpy as np

from zkdl.arithmetic.gpu.device import DeviceMemoryError

GUARD = 64
RUBBISH, FENCE = 0xA5, 0x5C


class Block:
    """Zeroed by nobody, aligned to 256 bytes."""

    def __init__(self, nbytes):
        self._raw = np.full(nbytes + 256 + GUARD, RUBBISH, np.uint8)
        start = -self._raw.ctypes.data % 256
        self.address = self._raw.ctypes.data + start
        self.nbytes = nbytes
        self._fence = self._raw[start + nbytes : start + nbytes + GUARD]
        self._fence[:] = FENCE

    def intact(self):
        return bool((self._fence == FENCE).all())


class HostDevice:
    """See `zkdl.arithmetic.gpu.device.Device`.

    Args:
        library: file name without suffix -> loaded host build.
        limit: bytes of memory in all.
    """

    name = "host build"
    processors = 1

    def __init__(self, library, limit=1 << 32):
        self._library = library
        self._blocks = weakref.WeakSet()
        self._limit = limit

    def allocate(self, nbytes):
        used = sum(block.nbytes for block in self._blocks)
        if used + nbytes > self._limit:
            raise DeviceMemoryError(f"gpu backend: {nbytes} bytes wanted, {self._limit - used} left")
        block = Block(nbytes)
        self._blocks.add(block)
        return block

    def upload(self, address, array):
        assert array.flags.c_contiguous
        self._inside(address, array.nbytes)
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, array, address):
        self.check()
        self._inside(address, array.nbytes)
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def copy(self, target, target_pitch, source, source_pitch, width, rows):
        assert rows <= 1 or min(target_pitch, source_pitch) >= width
        for row in range(rows):
            self._inside(target + row * target_pitch, width)
            self._inside(source + row * source_pitch, width)
            ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)

    def clear(self, address, nbytes):
        self._inside(address, nbytes)
        ctypes.memset(address, 0, nbytes)

    def launch(self, kernel, blocks, args):
        assert blocks >= 1
        file, _, entry = kernel.partition(".")
        function = getattr(self._library(file), f"host_{entry}")
        function.restype = None
        widths = {4: ctypes.c_uint32, 8: ctypes.c_uint64}
        function(ctypes.c_uint32(blocks), *(widths[a.itemsize](int(a)) for a in args))

    def synchronise(self):
        self.check()

    def check(self):
        """Fail if anything was written behind the end of a block."""
        assert all(block.intact() for block in self._blocks)

    def _inside(self, address, nbytes):
        if nbytes:
            assert any(
                b.address <= address and address + nbytes <= b.address + b.nbytes for b in self._blocks
            )
