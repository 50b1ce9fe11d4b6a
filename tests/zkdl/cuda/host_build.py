"""Build the CUDA sources with a plain C++ compiler and call them through ctypes."""

import ctypes
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


def build(source: Path, out: Path, include: Path):
    """Compile one .cu file as C++ into a shared library and load it."""
    command = [compiler(), "-x", "c++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-shared", "-fPIC", f"-I{include}", str(source), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(out))


def call(library, name, *arguments):
    """Call an entry: arrays by address, Python ints as 64-bit, numpy integers by their own width."""
    kinds = {np.uint32: ctypes.c_uint32}
    converted = [
        a.ctypes.data_as(ctypes.c_void_p)
        if isinstance(a, np.ndarray)
        else kinds.get(type(a), ctypes.c_uint64)(int(a))
        for a in arguments
    ]
    function = getattr(library, name)
    function.restype = None
    function(*converted)


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
