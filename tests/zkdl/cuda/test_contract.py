"""Documents name every kernel, and no kernel that is not there."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.cuda_resources import BEGIN, END, Use, parse
from tests.zkdl.cuda.host_build import compiler
from zkdl.cuda_sources import cuda_folder

DOCS = Path(__file__).resolve().parents[3] / "docs" / "cuda.md"
LETTERS = {"F": ("Fr", "Fq"), "I": ("i32", "i64"), "S": ("Fr", "i32", "i64")}


@pytest.fixture(scope="module")
def kernels():
    """File name -> names of its kernels, from the preprocessor: macros paste some of them together."""
    found = {}
    for source in cuda_folder().glob("*.cu"):
        command = [compiler(), "-E", "-P", "-x", "c++", str(source)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[source.name] = set(re.findall(r'extern "C" void host_(\w+)\(', text))
    return found


def written_out(name):
    """`matvec_I` -> matvec_i32, matvec_i64."""
    stem, _, last = name.rpartition("_")
    return {f"{stem}_{kind}" for kind in LETTERS[last]} if last in LETTERS else {name}


def test_contract_lists_every_kernel_under_its_file(kernels):
    text = (cuda_folder() / "README.md").read_text()
    listed = {}
    for section in text.split("\n## ")[1:]:
        rows = re.findall(r"^\| ((?:`\w+` ?)+)\|", section, re.M)
        names = itertools.chain.from_iterable(re.findall(r"`(\w+)`", row) for row in rows)
        listed[re.match(r"\w+\.cu", section)[0]] = set().union(*map(written_out, names))
    assert listed == kernels


def test_resource_table_lists_every_kernel(kernels):
    table = DOCS.read_text().split(BEGIN)[1].split(END)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set().union(*kernels.values())


def test_no_kernel_spills(kernels):
    """As of the last time the table was written: a column of zeros."""
    table = DOCS.read_text().split(BEGIN)[1].split(END)[0]
    spills = {m[1]: m[2] for m in re.finditer(r"^\| `(\w+)` \|(?:[^|]*\|){3} ([\d/]+) \|", table, re.M)}
    assert set(spills) == set().union(*kernels.values())
    assert set(spills.values()) == {"0"}


def test_reading_what_ptxas_says():
    text = """ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
    48 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 130 registers, used 1 barriers, 48 bytes cumulative stack size, 12288 bytes smem
ptxas info    : Compiling entry function 'two' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 28 registers, used 0 barriers
"""
    assert parse(text) == {"one": Use(130, 12, 48, 12288), "two": Use(28, 0, 0, 0)}
    assert [use.resident("90") for use in parse(text).values()] == [3, 16]
