"""The compile cache sees every source that a kernel is made of; the docstrings' examples are true."""

import ast
import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import zkdl.arithmetic
from zkdl.arithmetic import field_kernels
from zkdl.arithmetic.device import compile as compilation

FOLDER = Path(zkdl.arithmetic.__file__).parent
MODULES = sorted(info.name for info in pkgutil.walk_packages([str(FOLDER)], "zkdl.arithmetic."))


def decorated(tree, name):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from (node for d in node.decorator_list if isinstance(d, ast.Name) and d.id == name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_kernels_use_only_their_own_file_and_the_device_folder(path):
    """Anything else could change without the cache noticing."""
    tree = ast.parse(path.read_text())
    if not any(decorated(tree, "kernel")):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            outside = node.level == 1 and not (node.module or "").startswith("device")
            assert not outside, f"{path.name} holds kernels and imports {node.module}"


def test_device_functions_are_compiled_into_kernels_only():
    for path in FOLDER.glob("device/*.py"):
        assert not any(decorated(ast.parse(path.read_text()), "kernel")), path.name


def test_every_kernel_is_cached_under_a_digest():
    kernels = []
    for path in FOLDER.glob("*.py"):
        module = importlib.import_module(f"zkdl.arithmetic.{path.stem}")
        names = [node.name for node in decorated(ast.parse(path.read_text()), "kernel")]
        kernels += [getattr(module, name) for name in names]
    assert len(kernels) > 30
    assert all(isinstance(function._cache, compilation._StampedCache) for function in kernels)


def test_the_digest_is_part_of_every_file_name(monkeypatch):
    def name():
        return compilation._StampedCache(field_kernels.add_many.py_func)._cache_file._alone(())._index_name

    before = name()
    assert name() == before
    monkeypatch.setattr(compilation, "_sources_digest", lambda path: "another")
    assert name() != before


def test_the_digest_sees_content_where_size_and_time_are_equal(tmp_path):
    path = tmp_path / "kernels.py"
    digests = []
    for text in ("x = 1\n", "x = 2\n"):
        path.write_text(text)
        os.utime(path, (0, 0))
        digests.append(compilation._sources_digest.__wrapped__(str(path)))
    assert digests[0] != digests[1]


def test_a_second_process_compiles_nothing(tmp_path):
    code = (
        "import numpy as np\n"
        "from zkdl.arithmetic import Fr, field_kernels\n"
        "Fr.add(Fr.ones(2), Fr.ones(2))\n"
        "print(sum(field_kernels.add_many.stats.cache_hits.values()),"
        " sum(field_kernels.add_many.stats.cache_misses.values()))\n"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(FOLDER.parent.parent)}
    seen = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert seen == [["0", "1"], ["1", "0"]]


@pytest.mark.parametrize("terminal", [True, False])
def test_compiling_is_announced_once_and_at_a_terminal_only(monkeypatch, capsys, terminal):
    compilation._announce.cache_clear()
    monkeypatch.setattr(compilation.sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(compilation.Cache, "load_overload", lambda *args: None)
    for _ in range(2):
        assert field_kernels.add_many._cache.load_overload((), None) is None
    assert capsys.readouterr().err.count("compiling kernels") == int(terminal)
    compilation._announce.cache_clear()


def test_no_place_for_the_cache_is_no_error(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compilation, "_StampedCache", refuse)

    def double(x):
        return 2 * x

    assert compilation.kernel(double)(21) == 42


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ZKDL_CACHE_DIR", str(tmp_path))
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0
