"""Compile the CUDA sources for a device with nvcc, else NVRTC; neither needs a GPU or a driver."""

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

ARCHITECTURE = "90"


def device_ptx(source: Path, work: Path, architecture=ARCHITECTURE):
    """PTX text of one source file; skips when the machine has neither nvcc nor NVRTC."""
    if shutil.which("nvcc"):
        return _nvcc_ptx(source, work, architecture).read_text()
    return nvrtc_compile(nvrtc_library(), source, "compute", architecture)


def assemble(source: Path, work: Path, architecture=ARCHITECTURE):
    """Machine code of one source file: this is where the inline assembly is parsed for real."""
    if shutil.which("nvcc"):
        out = work / f"{source.stem}.{architecture}.cubin"
        _nvcc("-cubin", _nvcc_ptx(source, work, architecture), out, architecture)
        return out.read_bytes()
    return nvrtc_compile(nvrtc_library(), source, "sm", architecture)


def _nvcc_ptx(source, work, architecture):
    out = work / f"{source.stem}.{architecture}.ptx"
    if not out.exists():
        _nvcc("-ptx", source, out, architecture)
    return out


def _nvcc(kind, source, out, architecture):
    command = ["nvcc", f"-arch=sm_{architecture}", "-std=c++17", kind, "-Werror", "all-warnings"]
    done = subprocess.run(
        [*command, str(source), "-o", str(out)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def nvrtc_library():
    """Load libnvrtc from the nvidia-cuda-nvrtc wheel, or skip."""
    found = importlib.util.find_spec("nvidia")
    for root in found.submodule_search_locations if found else ():
        for path in sorted(Path(root).glob("**/libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    pytest.skip("the nvidia-cuda-nvrtc wheel is not on this machine: nothing compiled through NVRTC")


def nvrtc_compile(library, source: Path, kind, architecture=ARCHITECTURE):
    """Compile through NVRTC as CuPy would, headers as text; kind "compute" for PTX, "sm" for cubin."""
    files = sorted(source.parent.glob("*.cuh"))
    kind_of_list = ctypes.c_char_p * len(files)
    headers = kind_of_list(*(path.read_bytes() for path in files))
    names = kind_of_list(*(path.name.encode() for path in files))
    program = ctypes.c_void_p()
    text, name = source.read_bytes(), source.name.encode()
    created = library.nvrtcCreateProgram(ctypes.byref(program), text, name, len(files), headers, names)
    _ok(library, created)
    options = [f"--gpu-architecture={kind}_{architecture}".encode(), b"--std=c++17"]
    status = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = _fetch(library, "ProgramLog", program)
    assert status == 0, log.decode()
    code = _fetch(library, "PTX" if kind == "compute" else "CUBIN", program)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code.rstrip(b"\0").decode() if kind == "compute" else code


def _fetch(library, what, program):
    size = ctypes.c_size_t()
    _ok(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _ok(library, getattr(library, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _ok(library, status):
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    assert status == 0, library.nvrtcGetErrorString(status).decode()
