"""A CUDA device through CuPy: its memory pool, its compiler and cache of kernels, its current stream."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendError
from .device import BLOCK, DeviceMemoryError
from .sources import OPTIONS, kernel_source

_INSTALL = "install the extra 'gpu' (CUDA 12) or 'gpu13' (CUDA 13), or use the cpu backend"

# Up to here an upload is copied aside and queued; a longer one is waited for. CUDA promises neither that a
# copy from pageable memory has read it when the call returns, nor that it has not.
_QUEUED = 1 << 16


# Numbers of cudaDeviceAttr.
_ATTRIBUTES = {"clock_khz": 13, "memory_clock_khz": 36, "memory_bus_bits": 37}


class _Pool:
    """Device memory from CuPy's pool: it goes back there with this object."""

    __slots__ = ("_pointer", "address")

    def __init__(self, pointer: Any) -> None:
        self._pointer = pointer
        self.address = int(pointer.ptr)


class CupyDevice:
    """The current CUDA device of this process; see `Device`.

    Raises:
        BackendError: CuPy is not installed or does not load, or there is no usable device.
    """

    def __init__(self) -> None:
        try:
            self._cupy = importlib.import_module("cupy")
        except ImportError as error:
            reason = _line(error)
            raise BackendError(f"gpu backend: CuPy does not import ({reason}); {_INSTALL}") from None
        self._runtime = self._cupy.cuda.runtime
        with self._checked("no usable device"):
            count = self._runtime.getDeviceCount()
            if count < 1:
                raise BackendError("gpu backend: no CUDA device on this machine; use the cpu backend")
            self._id = self._runtime.getDevice()
            properties = self._runtime.getDeviceProperties(self._id)
        name = properties["name"]
        self.name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        self.processors = int(properties["multiProcessorCount"])
        self._waiting: list[NDArray[Any]] = []
        self._module = cache(self._load)
        self._kernel = cache(self._find)

    def allocate(self, nbytes: int) -> _Pool:
        with self._checked(f"allocating {nbytes / 2**20:.1f} MiB"):
            return _Pool(self._cupy.cuda.alloc(max(1, nbytes)))

    def upload(self, address: int, array: NDArray[Any]) -> None:
        if not array.nbytes:
            return
        with self._checked("copying to the device"):
            queued = array.nbytes <= _QUEUED
            source = array.copy() if queued else array
            kind, stream = self._runtime.memcpyHostToDevice, self._stream()
            self._runtime.memcpyAsync(address, source.ctypes.data, source.nbytes, kind, stream)
            if queued:
                self._waiting.append(source)
                if len(self._waiting) < 1024:
                    return
            self._wait(stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        with self._checked("copying from the device"):
            stream = self._stream()
            if array.nbytes:
                kind = self._runtime.memcpyDeviceToHost
                self._runtime.memcpyAsync(array.ctypes.data, address, array.nbytes, kind, stream)
            self._wait(stream)

    def copy(
        self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int
    ) -> None:
        if not width or not rows:
            return
        with self._checked("copying on the device"):
            kind, stream = self._runtime.memcpyDeviceToDevice, self._stream()
            if rows == 1 or width == target_pitch == source_pitch:
                self._runtime.memcpyAsync(target, source, width * rows, kind, stream)
            else:
                self._runtime.memcpy2DAsync(
                    target, target_pitch, source, source_pitch, width, rows, kind, stream
                )

    def clear(self, address: int, nbytes: int) -> None:
        if nbytes:
            with self._checked("clearing memory"):
                self._runtime.memsetAsync(address, 0, nbytes, self._stream())

    def launch(self, kernel: str, blocks: int, args: Sequence[np.generic]) -> None:
        with self._checked(f"kernel {kernel}"):
            self._kernel(kernel)((blocks,), (BLOCK,), tuple(args))

    def synchronise(self) -> None:
        with self._checked("kernels"):
            self._wait(self._stream())

    def compile(self, files: Sequence[str]) -> None:
        """Compile kernel files side by side: one by one takes a minute, the first time; CuPy keeps them."""

        def one(file: str) -> None:
            with self._cupy.cuda.Device(self._id):
                self._module(file).compile()

        with self._checked("compiling kernels"), ThreadPoolExecutor(len(files)) as workers:
            list(workers.map(one, files))

    def facts(self) -> dict[str, int]:
        """Clocks and bus width as the driver reports them: what limits are computed from."""
        with self._checked("asking for attributes"):
            numbers = {name: self._runtime.deviceGetAttribute(k, self._id) for name, k in _ATTRIBUTES.items()}
        return {name: int(value) for name, value in numbers.items()}

    def free_bytes(self) -> int:
        """Device memory that is not in use."""
        with self._checked("asking for free memory"):
            return int(self._runtime.memGetInfo()[0])

    def _stream(self) -> int:
        # Launches go to CuPy's current stream; so must copies, or they would not keep their order.
        return int(self._cupy.cuda.get_current_stream().ptr)

    def _wait(self, stream: int) -> None:
        self._runtime.streamSynchronize(stream)
        self._waiting.clear()

    def _load(self, file: str) -> Any:
        return self._cupy.RawModule(code=kernel_source(file), options=OPTIONS)

    def _find(self, kernel: str) -> Any:
        file, _, entry = kernel.partition(".")
        return self._module(file).get_function(entry)

    @contextlib.contextmanager
    def _checked(self, doing: str) -> Iterator[None]:
        """Every way in which CuPy fails, as one line."""
        try:
            yield
        except BackendError:
            raise
        except MemoryError as error:
            raise DeviceMemoryError(f"gpu backend: {doing}: out of device memory ({_line(error)})") from None
        except Exception as error:
            # CuPy's errors share no base: CUDARuntimeError, CUDADriverError, NVRTCError, CompileException,
            # ...
            raise BackendError(f"gpu backend: {doing}: {_line(error)}; try the cpu backend") from None


def _line(error: BaseException) -> str:
    """The first telling line of a message: a compiler's log can be pages long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines
    return telling[0][:300] if telling else type(error).__name__
