"""Choosing a path; arrays of any length give the same bits on all of them."""

import subprocess
import sys

import numpy as np
import pytest

from zkdl.arithmetic import Fq, Fr, multilinear, paths
from zkdl.errors import BackendError

FIELDS = pytest.mark.parametrize("field", [Fr, Fq], ids=["Fr", "Fq"])
LENGTHS = [1, 3, 15, 16, 17, 23, 64, 67]


@pytest.fixture(autouse=True)
def default_path():
    yield
    paths.set_cpu_path()


def on_all_paths(function):
    """The results, which must be equal, of one call on every path of this processor."""
    out = []
    for path in paths.cpu_paths():
        paths.set_cpu_path(path)
        assert paths.get_cpu_path() == path
        out.append(function())
    for other in out[1:]:
        np.testing.assert_equal(other, out[0])
    return out[0]


@FIELDS
@pytest.mark.parametrize("n", LENGTHS)
def test_field_arrays(field, n):
    p = field.modulus
    values = [(7 * k * k - 50) ** 9 % p for k in range(n)]
    a, b = field.from_ints(values), field.from_ints(values[::-1])
    pairs = list(zip(values, values[::-1], strict=True))
    ten = field.from_ints([10])
    words = np.arange(n) * 2**57 - 2**62
    raw = field.to_bytes(a)
    assert field.to_ints(on_all_paths(lambda: field.mul(a, b))) == [x * y % p for x, y in pairs]
    assert field.to_ints(on_all_paths(lambda: field.mul(ten, a))) == [10 * x % p for x in values]
    assert field.to_ints(on_all_paths(lambda: field.sub(ten, a))) == [(10 - x) % p for x in values]
    assert field.to_ints(on_all_paths(lambda: field.add(a, b))) == [(x + y) % p for x, y in pairs]
    assert field.to_ints(on_all_paths(lambda: field.square(a))) == [x * x % p for x in values]
    assert field.to_ints(on_all_paths(lambda: field.neg(a))) == [-x % p for x in values]
    assert field.to_ints(on_all_paths(lambda: field.sum(a))) == [sum(values) % p]
    assert field.to_ints(on_all_paths(lambda: field.inner(a, b))) == [sum(x * y for x, y in pairs) % p]
    assert field.to_ints(on_all_paths(lambda: field.inverse(a))) == [pow(x, -1, p) for x in values]
    assert field.to_ints(on_all_paths(lambda: field.from_int64(words))) == [int(w) % p for w in words]
    assert on_all_paths(lambda: field.to_bytes(a)) == raw
    assert field.equal(on_all_paths(lambda: field.from_bytes(raw)), a)


@FIELDS
def test_the_first_zero_is_named_on_every_path(field):
    for n, place in ((40, 5), (40, 38), (43, 42), (17, 16)):
        a = field.ones(n)
        a[place] = 0

        def refused(a=a):
            with pytest.raises(ZeroDivisionError) as caught:
                field.inverse(a)
            return str(caught.value)

        assert f"element {place} " in on_all_paths(refused)


@pytest.mark.parametrize("k", [0, 1, 2, 5, 9, 13])
def test_multilinear_tables(k):
    point = Fr.to_ints(Fr.random(k))
    table = Fr.random(1 << k)
    eq = on_all_paths(lambda: multilinear.eq_table(point))
    expected = Fr.to_ints(Fr.inner(eq, table))[0]
    assert on_all_paths(lambda: multilinear.evaluate(table, point)) == expected
    if k:
        on_all_paths(lambda: multilinear.fold_high(table.copy(), 12345))


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 40), (3, 17), (20, 5), (33, 64), (5, 2051), (2, 5000), (1100, 18)]
)
def test_integer_matrices(rows, columns):
    rng = np.random.default_rng(rows)
    for bound in (2**15, 2**44, 2**62):
        matrix = rng.integers(-bound, bound, (rows, columns))
        right, left = Fr.random(columns), Fr.random(rows)
        by_rows = on_all_paths(lambda matrix=matrix, right=right: multilinear.matvec(matrix, right))
        by_columns = on_all_paths(lambda matrix=matrix, left=left: multilinear.vecmat(left, matrix))
        row = sum(int(w) * v for w, v in zip(matrix[-1], Fr.to_ints(right), strict=True))
        column = sum(int(w) * v for w, v in zip(matrix[:, -1], Fr.to_ints(left), strict=True))
        assert Fr.to_ints(by_rows[-1:]) == [row % Fr.modulus]
        assert Fr.to_ints(by_columns[-1:]) == [column % Fr.modulus]


def test_unknown_and_unsupported_paths_are_refused(monkeypatch):
    assert paths.cpu_paths()[-1] == "scalar"
    with pytest.raises(BackendError, match="expected one of ifma, avx2, scalar, got 'neon'"):
        paths.set_cpu_path("neon")
    monkeypatch.setattr(paths, "_features", lambda: frozenset({"avx2"}))
    assert paths.cpu_paths() == ("scalar",)
    with pytest.raises(BackendError, match="no fma, which the path 'avx2' needs; it can run scalar"):
        paths.set_cpu_path("avx2")
    paths.set_cpu_path()
    monkeypatch.setenv("ZKDL_CPU_PATH", "ifma")
    with pytest.raises(BackendError, match="ZKDL_CPU_PATH: this processor has no avx512dq"):
        paths.get_cpu_path()


def test_the_environment_chooses_the_path():
    code = "from zkdl.arithmetic import paths; print(paths.get_cpu_path())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"ZKDL_CPU_PATH": "scalar"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "scalar"


def test_numba_told_to_compile_for_any_processor_leaves_the_scalar_path():
    code = "from zkdl.arithmetic import paths; print(paths.cpu_paths())"
    environment = {"NUMBA_CPU_NAME": "generic"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "('scalar',)"
