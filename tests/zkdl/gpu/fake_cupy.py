"""As much of CuPy as the backend calls, over the host build of the kernels; any call can be made to fail.

Names and signatures are those of CuPy 13 and 14; tests marked gpu run the same code through the real one.
"""

import contextlib
import ctypes
import types

from tests.zkdl.gpu.host_device import HostDevice

HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
STREAM = 77


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):
    pass


class FakeCupy(types.ModuleType):
    """A module to put into sys.modules under the name cupy.

    Args:
        library: file name without suffix -> loaded host build.
        fail: exceptions by name of the call that raises them.
    """

    def __init__(self, library, fail=None):
        super().__init__("cupy")
        self._host = HostDevice(library)
        self.fail = dict(fail or {})
        self.compiled = []
        self.options = None
        runtime = types.SimpleNamespace(
            memcpyHostToDevice=HOST_TO_DEVICE,
            memcpyDeviceToHost=DEVICE_TO_HOST,
            memcpyDeviceToDevice=DEVICE_TO_DEVICE,
        )
        for name in (
            "getDeviceCount",
            "getDevice",
            "getDeviceProperties",
            "memcpyAsync",
            "memcpy2DAsync",
            "memsetAsync",
            "streamSynchronize",
            "memGetInfo",
        ):
            setattr(runtime, name, self._guarded(name))
        stream = types.SimpleNamespace(ptr=STREAM)
        self.cuda = types.SimpleNamespace(
            Device=contextlib.nullcontext,
            runtime=runtime,
            alloc=self._guarded("alloc"),
            get_current_stream=lambda: stream,
        )

    def _guarded(self, name):
        work = getattr(self, f"_{name}")

        def call(*args):
            if name in self.fail:
                raise self.fail[name]
            return work(*args)

        return call

    def _getDeviceCount(self):
        return 1

    def _getDevice(self):
        return 0

    def _getDeviceProperties(self, device):
        assert device == 0
        return {"name": b"Fake GPU", "multiProcessorCount": 2}

    def _memGetInfo(self):
        return (1 << 30, 1 << 31)

    def _alloc(self, nbytes):
        block = self._host.allocate(nbytes)
        return types.SimpleNamespace(ptr=block.address, block=block)

    def _memcpyAsync(self, target, source, nbytes, kind, stream):
        assert stream == STREAM
        if kind != HOST_TO_DEVICE:
            self._host._inside(source, nbytes)
        if kind != DEVICE_TO_HOST:
            self._host._inside(target, nbytes)
        ctypes.memmove(target, source, nbytes)

    def _memcpy2DAsync(self, target, target_pitch, source, source_pitch, width, rows, kind, stream):
        assert (kind, stream) == (DEVICE_TO_DEVICE, STREAM)
        assert min(target_pitch, source_pitch) >= width
        self._host.copy(target, target_pitch, source, source_pitch, width, rows)

    def _memsetAsync(self, address, value, nbytes, stream):
        assert (value, stream) == (0, STREAM)
        self._host.clear(address, nbytes)

    def _streamSynchronize(self, stream):
        assert stream == STREAM
        self._host.check()

    def RawModule(self, *, code, options):
        if "compile" in self.fail:
            raise self.fail["compile"]
        file = code.split('"')[1].removesuffix(".cu")
        self.compiled.append(file)
        self.options = options
        return types.SimpleNamespace(
            compile=lambda: None, get_function=lambda entry: self._kernel(file, entry)
        )

    def _kernel(self, file, entry):
        def launch(grid, block, args):
            if "launch" in self.fail:
                raise self.fail["launch"]
            assert len(grid) == 1
            assert block == (128,)
            self._host.launch(f"{file}.{entry}", grid[0], args)

        return launch
