"""Choosing a backend, and every way in which a device can fail to be there: one plain line each."""

import sys

import numpy as np
import pytest

import zkdl.arithmetic as za
from tests.zkdl.gpu.conftest import LINE
from tests.zkdl.gpu.fake_cupy import CompileException, CUDARuntimeError, FakeCupy, OutOfMemoryError
from zkdl.arithmetic.backend import use_engine
from zkdl.arithmetic.gpu import OPERATIONS, DeviceMemoryError, Engine, open_engine, self_test
from zkdl.arithmetic.gpu.cupy_device import CupyDevice
from zkdl.arithmetic.gpu.operations import KERNEL_FILES
from zkdl.arithmetic.gpu.sources import OPTIONS
from zkdl.errors import BackendError, InputError, ResourceError


@pytest.fixture(autouse=True)
def processor():
    before = use_engine(None)
    yield
    use_engine(before)


@pytest.fixture
def cupy(host, monkeypatch):
    fake = FakeCupy(host.library)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


@pytest.fixture
def no_cupy(monkeypatch):
    # None in sys.modules is how Python remembers that a module cannot be imported.
    monkeypatch.setitem(sys.modules, "cupy", None)


def line_of(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_processor_is_the_start():
    assert za.get_backend() == "cpu"
    za.set_backend("cpu")
    assert za.get_backend() == "cpu"
    with pytest.raises(InputError, match="auto, cpu, gpu"):
        za.set_backend("tpu")


def test_without_cupy(no_cupy):
    with pytest.raises(BackendError) as caught:
        za.set_backend("gpu")
    assert "CuPy does not import" in line_of(caught)
    assert "cpu" in line_of(caught)
    assert za.get_backend() == "cpu"
    za.set_backend("auto")
    assert za.get_backend() == "cpu"


@pytest.mark.parametrize("choice", ["gpu", "auto"])
def test_with_a_device(cupy, choice):
    za.set_backend(choice)
    assert za.get_backend() == "gpu"
    a = za.Fr.ones(5000)
    assert za.Fr.to_ints(za.Fr.sum(za.Fr.add(a, a))) == [10000]
    za.set_backend("cpu")
    assert za.get_backend() == "cpu"
    assert isinstance(za.Fr.ones(5000), np.ndarray)
    assert cupy.options == OPTIONS


def test_a_failed_choice_keeps_the_backend(cupy):
    za.set_backend("gpu")
    cupy.fail["getDeviceCount"] = CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    with pytest.raises(BackendError):
        za.set_backend("gpu")
    assert za.get_backend() == "gpu"
    za.set_backend("auto")
    assert za.get_backend() == "cpu"


INSUFFICIENT = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
COMPILER_LOG = 'sumcheck.cu(12): error: identifier "foo" is undefined\n\n1 error detected\n'


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("getDeviceCount", CUDARuntimeError(INSUFFICIENT), "cudaErrorInsufficientDriver"),
        ("getDeviceProperties", CUDARuntimeError("cudaErrorUnknown: unknown error"), "no usable device"),
        (
            "alloc",
            OutOfMemoryError("Out of memory allocating 96 bytes\n(allocated so far: 0)"),
            "Out of memory",
        ),
        ("compile", CompileException(COMPILER_LOG), 'identifier "foo" is undefined'),
        ("launch", CUDARuntimeError("cudaErrorIllegalAddress: illegal address"), "kernel"),
        ("memcpyAsync", CUDARuntimeError("cudaErrorInvalidValue: invalid argument"), "copying"),
        ("memsetAsync", CUDARuntimeError("cudaErrorInvalidValue: invalid argument"), "clearing"),
        ("streamSynchronize", CUDARuntimeError("cudaErrorLaunchFailure: launch failed"), "LaunchFailure"),
    ],
)
def test_every_failure_is_one_line(cupy, call, error, words):
    cupy.fail[call] = error
    with pytest.raises(BackendError) as caught:
        za.set_backend("gpu")
    assert words in line_of(caught)
    assert isinstance(caught.value, ResourceError) == (call == "alloc")
    za.set_backend("auto")
    assert za.get_backend() == "cpu"


def test_no_device_at_all(cupy, monkeypatch):
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(BackendError, match="no CUDA device"):
        za.set_backend("gpu")


@pytest.mark.parametrize("dead", ["mul_Fr", "fold_high", "msm_merge", "sum_rows"])
def test_a_device_that_computes_wrong_is_refused(cupy, monkeypatch, dead):
    kernel = cupy._kernel

    def wrong(file, entry):
        return (lambda grid, block, args: None) if entry == dead else kernel(file, entry)

    monkeypatch.setattr(cupy, "_kernel", wrong)
    with pytest.raises(BackendError) as caught:
        za.set_backend("gpu")
    assert "wrong on Fake GPU" in line_of(caught)


def test_out_of_memory_is_a_shortage_and_leaves_the_engine_usable(cupy):
    engine = Engine(CupyDevice(), OPERATIONS, line=LINE)
    use_engine(engine)
    cupy.fail["alloc"] = OutOfMemoryError("Out of memory allocating 1,024 bytes")
    with pytest.raises(DeviceMemoryError):
        za.Fr.ones(100)
    del cupy.fail["alloc"]
    assert za.Fr.to_ints(za.Fr.sum(za.Fr.ones(100))) == [100]


def test_every_kernel_source_is_compiled_once(cupy):
    engine = open_engine()
    self_test(engine)
    assert sorted(cupy.compiled) == sorted(KERNEL_FILES)
    launched = {kernel.partition(".")[0] for kernel in engine.launches}
    assert launched == set(KERNEL_FILES), "the self-test tries every file"
    assert engine.device.name == "Fake GPU"
    assert engine.device.free_bytes() == 1 << 30


def test_uploads_may_be_overwritten_at_once(cupy):
    """A queued copy that has not happened yet must not see what the caller does to the array next."""
    waiting = []
    copy = cupy.cuda.runtime.memcpyAsync
    flush = cupy.cuda.runtime.streamSynchronize

    def later(*call):
        waiting.append(call)

    def synchronise(stream):
        while waiting:
            copy(*waiting.pop(0))
        flush(stream)

    cupy.cuda.runtime.memcpyAsync, cupy.cuda.runtime.streamSynchronize = later, synchronise
    engine = Engine(CupyDevice(), OPERATIONS)
    for n in (4, 1 << 14):
        source = np.arange(n, dtype=np.uint64)
        device = engine.put(source)
        source[:] = 0
        assert (device.to_host() == np.arange(n)).all()
