"""What the CuPy loader hands to NVRTC is the kernel's source, whole and compilable."""

import re
import subprocess

import pytest

from tests.zkdl.cuda.device_build import assemble
from tests.zkdl.cuda.host_build import compiler
from zkdl.arithmetic.gpu.sources import OPTIONS, kernel_source
from zkdl.cuda_sources import cuda_folder

NAMES = sorted(path.stem for path in cuda_folder().glob("*.cu"))
# The quickest; the others take seconds each, and as long again in the tests of the sources as they stand.
QUICK = {"msm"}


def preprocessed(path, *options):
    """Tokens after the preprocessor, without line markers and layout."""
    command = [compiler(), "-x", "c++", "-std=c++17", "-E", "-P", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", NAMES)
def test_headers_are_in_place(name, tmp_path):
    text = kernel_source(name)
    assert not re.search(r"^\s*#\s*(include|pragma once)", text, re.M)
    # CuPy writes the text to a file in the locale's encoding.
    assert text.isascii()
    alone = tmp_path / f"{name}.cu"
    alone.write_text(text)
    for world in ([], ["-D__CUDACC__"]):
        there = preprocessed(cuda_folder() / f"{name}.cu", f"-I{cuda_folder()}", *world)
        assert preprocessed(alone, *world) == there


def test_messages_name_the_right_line(tmp_path):
    header = (cuda_folder() / "launch.cuh").read_text().splitlines()
    line = 1 + next(k for k, text in enumerate(header) if "struct Place" in text)
    broken = tmp_path / "broken.cu"
    broken.write_text(kernel_source("elementwise").replace("struct Place", "strict Place"))
    done = subprocess.run(
        [compiler(), "-x", "c++", "-std=c++17", "-fsyntax-only", str(broken)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert f"launch.cuh:{line}:" in done.stderr


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES]
)
def test_the_text_compiles_for_sm_90(name, tmp_path):
    alone = tmp_path / f"{name}.cu"
    alone.write_text(kernel_source(name))
    assert OPTIONS == ("--std=c++17",), "what `assemble` passes"
    assert assemble(alone, tmp_path)[:4] == b"\x7fELF"
