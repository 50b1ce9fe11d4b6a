"""The benchmark of the kernels runs through, on the host build at tiny sizes."""

import sys

import pytest

from benchmarks import _arithmetic_gpu as benchmark
from zkdl.arithmetic.backend import use_engine


@pytest.mark.slow
def test_benchmark(engine):
    use_engine(None)
    engine.line = 64
    found = benchmark.run(engine, rounds=1, quick=True, quiet=True, log=10)
    assert all(row["seconds"] > 0 for row in found["rows"])
    assert len(found["rows"]) == 15
    assert found["proof"]["launches"] > 100
    assert set(found["proof"]["fallbacks"]) <= {"numpy", "combine_blocks", "fixed_base.mul"}


def test_without_a_device_it_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert benchmark.main(["--json"]) == 2
    assert "CuPy" in capsys.readouterr().err
