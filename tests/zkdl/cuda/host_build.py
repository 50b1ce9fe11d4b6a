"""Build the CUDA sources with a plain C++ compiler and call them through ctypes."""

import ctypes
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

MODULI = {
    "Fr": (0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001, 4),
    "Fq": (
        0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB,
        6,
    ),
}


def compiler():
    """Path of a C++ compiler; without one the tests skip, except in continuous integration."""
    found = shutil.which("g++") or shutil.which("clang++")
    if found is None:
        message = "no g++ or clang++ on this machine: the host build of the CUDA sources needs one"
        if os.environ.get("CI") == "true":
            pytest.fail(message + " (required when CI=true)")
        pytest.skip(message)
    return found


def build(source: Path, out: Path, include: Path, optimise="-O2"):
    """Compile one .cu file as C++ into a shared library, unless another process just did, and load it."""
    command = [compiler(), "-x", "c++", "-std=c++17", optimise, "-Wall", "-Wextra", "-Werror"]
    command += ["-shared", "-fPIC", f"-I{include}", str(source), "-o", str(out)]
    with open(out.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(out))


def call(library, name, *arguments):
    """Call an entry: arrays by address, None as null, Python ints as 64-bit, numpy's uint32 as 32-bit."""
    function = getattr(library, name)
    function.restype = None
    function(*(_converted(a) for a in arguments))


def _converted(argument):
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous, "a kernel takes contiguous memory"
        return argument.ctypes.data_as(ctypes.c_void_p)
    return (ctypes.c_uint32 if isinstance(argument, np.uint32) else ctypes.c_uint64)(int(argument))


class HostKernels:
    """The host twins of all kernels: `run(name, blocks, *arguments)` stands for a launch."""

    def __init__(self, folder: Path, work: Path, optimise="-O2"):
        self._sources = sorted(folder.glob("*.cu"))
        self._folder, self._work, self._optimise = folder, work, optimise
        self._built, self._owners = {}, {}

    def library(self, name):
        """The library of one source file, compiled at the first call."""
        if name not in self._built:
            source = self._folder / f"{name}.cu"
            self._built[name] = build(source, self._work / f"{name}.so", self._folder, self._optimise)
        return self._built[name]

    def run(self, name, blocks, *arguments):
        if name not in self._owners:
            self._owners[name] = self._owner(name)
        call(self._owners[name], f"host_{name}", np.uint32(blocks), *arguments)

    def _owner(self, name):
        # Macros may paste names together: try first the files that hold it, or it without its suffix.
        stem = name.rsplit("_", 1)[0]
        texts = {source: source.read_text() for source in self._sources}
        likely = sorted(self._sources, key=lambda s: (name not in texts[s], stem not in texts[s]))
        for source in likely:
            library = self.library(source.stem)
            if hasattr(library, f"host_{name}"):
                return library
        raise KeyError(f"no kernel {name} in {self._folder}")


def encode(values, limbs):
    """Integers below 2^(64 limbs) -> (n, limbs) uint64, little-endian limbs, no Montgomery factor applied."""
    joined = b"".join(int(v).to_bytes(8 * limbs, "little") for v in values)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, limbs).copy()


def decode(array):
    """The inverse of `encode`."""
    return [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in array]


def to_montgomery(values, field="Fr"):
    p, limbs = MODULI[field]
    return encode([v * 2 ** (64 * limbs) % p for v in values], limbs)


def from_montgomery(array, field="Fr"):
    p, limbs = MODULI[field]
    inverse = pow(2 ** (64 * limbs), -1, p)
    return [v * inverse % p for v in decode(array)]
