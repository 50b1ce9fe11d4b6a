"""Machine code on disk: processes that compile at the same moment never hand each other the wrong one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

from dpkit import _compiled

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = ("int64", "float64", "float32", "int32")
SOURCE = """
from dpkit._compiled import njit

@njit(cache=True, nogil=True)
def total(x):
    s = x[0] * {zero}
    for v in x:
        s += v
    return s
"""
CALL = """
import sys, time
import numpy as np
from kernels import total

while time.time() < float(sys.argv[1]):  # all at once
    pass
for kind in sys.argv[2:]:
    found = total(np.arange(10).astype(kind))
    assert found == 45, (kind, found)
hits = sum(total.stats.cache_hits.values())
print(hits, sum(total.stats.cache_misses.values()))
"""


def test_every_kernel_of_the_package_is_kept_this_way():
    plain = [
        path.name
        for path in (ROOT / "dpkit").rglob("*.py")
        if path.name != "_compiled.py" and "cache=True" in (text := path.read_text())
        if "from dpkit._compiled import njit" not in text
    ]
    assert plain == []


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kernels.py").write_text(SOURCE.format(zero=0))
    (tmp_path / "call.py").write_text(CALL)
    return tmp_path


def start(folder, when, *kinds):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "call.py", str(when), *kinds]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return [int(word) for word in out.split()]


def files(folder):
    return sorted(p.name for p in (folder / "cache").rglob("*.nb[ic]"))


@pytest.mark.slow
def test_four_processes_on_an_empty_folder(folder):
    """Four signatures at once, then a process that needs them all and compiles none."""
    when = time.time() + 4.0  # an import takes a second or two on a busy machine
    for process in [start(folder, when, kind) for kind in KINDS]:
        assert finish(process) == [0, 1]
    assert len(files(folder)) == 8
    assert finish(start(folder, 0, *KINDS)) == [4, 0]
    assert not list((folder / "cache").rglob("*.tmp*"))


def names(folder):
    return {p.name for p in folder.iterdir()}


def test_what_older_sources_left_goes(tmp_path):
    old = _compiled._Files(str(tmp_path), "f.py311", (1.0, 2))
    neighbour = _compiled._Files(str(tmp_path), "g.py311", (1.0, 2))
    for cache in (old, neighbour):
        cache.save("a", "old code")
    before = names(tmp_path)
    new = _compiled._Files(str(tmp_path), "f.py311", (3.0, 2))
    assert new.load("a") is None
    new.save("a", "new code")
    new.save("b", "new code")
    assert [cache.load("a") for cache in (old, new, neighbour)] == [None, "new code", "old code"]
    assert len(names(tmp_path)) == 6
    assert len(names(tmp_path) & before) == 2


@pytest.mark.parametrize("length", [0, 5])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_file_cut_short_counts_as_none(tmp_path, kind, length):
    found = _compiled._Files(str(tmp_path), "f.py311", (1.0, 2))
    found.save("a", list(range(1000)))
    (path,) = tmp_path.glob(f"*.{kind}")
    path.write_bytes(path.read_bytes()[:length])
    assert found.load("a") is None
    found.save("a", "code")
    assert found.load("a") == "code"


def interleaved(make, folder):
    """Two processes store a signature each: both read the index, both write it, then the machine code.

    Returns the signatures for which a third one would run the wrong code.
    """
    folder.mkdir()
    first, second = (make(str(folder), "f.py311", (1.0, 2)) for _ in range(2))
    save_data, late = IndexDataCacheFile._save_data, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "_save_data", lambda *arguments: late.append(arguments))
        patch.setattr(IndexDataCacheFile, "_load_index", lambda self: {})
        first.save("a", "code of a")
        second.save("b", "code of b")
    for arguments in reversed(late):
        save_data(*arguments)
    reader = make(str(folder), "f.py311", (1.0, 2))
    return [key for key in "ab" if reader.load(key) not in (f"code of {key}", None)]


def test_the_race_that_numba_has_is_not_here(tmp_path):
    # Once numba's own files pass this, `dpkit._compiled` has had its day.
    assert interleaved(IndexDataCacheFile, tmp_path / "numba") == ["b"]
    assert interleaved(_compiled._Files, tmp_path / "ours") == []


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path):
    found = _compiled._Files(str(tmp_path / "absent"), "f.py311", (1.0, 2))
    found.save("key", "code")
    assert found.load("key") is None

    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compiled, "Cache", refuse)
        double = _compiled.njit(cache=True)(lambda x: 2 * x)
    assert double(21) == 42


def test_flush_forgets_every_signature(tmp_path):
    found = _compiled._Files(str(tmp_path), "f.py311", (1.0, 2))
    other = _compiled._Files(str(tmp_path), "g.py311", (1.0, 2))
    for cache in (found, other):
        cache.save("key", np.ones(1))
    found.flush()
    assert found.load("key") is None
    assert other.load("key") is not None
