"""The IFMA path's machine code, executed on an emulated processor, against the same calls done natively.

Natively the calls run on the path `emulated`: the same emitter and the same data layout, the two IFMA
instructions replaced by ordinary ones. What differs is exactly what cannot be run here.
"""

from __future__ import annotations

import numpy as np
import pytest

import zkdl.arithmetic as za
from zkdl.arithmetic import Fq, Fr, g1, hash_to_curve, multilinear, paths, sumcheck

from . import machine
from .record import Recorder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(machine.missing() is not None, reason=str(machine.missing())),
]

# Tags of the path `emulated` -> those of `ifma`.
SWAPPED = {type(paths.TAGS[name, "emulated"]): paths.TAGS[name, "ifma"] for name in ("Fr", "Fq")}


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(paths._CHOICE, "path", "emulated")
    threads = za.get_threads()
    za.set_threads(1)
    recorder = Recorder(lambda arguments: any(type(a) in SWAPPED for a in arguments))
    recorder.watch(monkeypatch, "zkdl.arithmetic")
    yield recorder
    za.set_threads(threads)


def replay(recorder, tmp_path):
    """Every recorded call again, on the emulated processor with the tags of its path."""
    calls = list(recorder.calls.values())
    assert calls
    for call in calls:
        call.arguments = [SWAPPED.get(type(a), a) for a in call.arguments]
    symbols = machine.compile_calls(tmp_path, calls)
    for k, (call, symbol) in enumerate(zip(calls, symbols, strict=True)):
        work = tmp_path / f"run{k}"
        work.mkdir()
        result, after = machine.run(work, tmp_path / f"{k}.o", symbol, call)
        assert after == call.after, call.kernel
        if call.result is not None:
            assert np.int64(np.uint64(result)) == call.result, call.kernel
    return {call.kernel for call in calls}


def elements(field, n):
    p = field.modulus
    edges = field.from_ints([0, 1, p - 1, p - 2, (p - 1) // 2, 1 << 51, (1 << 52) - 1, 1 << 52, 1 << 208])
    out = field.random(n)
    out[: len(edges)] = edges
    return np.random.default_rng(1).permutation(out)


@pytest.mark.parametrize("field", [Fr, Fq], ids=str)
def test_fields(field, recorder, tmp_path):
    a, b = elements(field, 43), elements(field, 43)
    field.mul(a, b)
    field.add(a, b)
    field.sub(a, b)
    field.square(a)
    field.neg(a)
    field.inner(a, b)
    field.sum(a)
    field.inverse(field.random(43))
    field.from_int64(np.arange(-20, 23))
    field.from_bytes(field.to_bytes(a))
    done = replay(recorder, tmp_path)
    assert {"mul_many", "add_many", "sub_many", "square_many", "inner_many", "invert_many"} <= done


def test_multilinear(recorder, tmp_path):
    point = Fr.to_ints(Fr.random(6))
    table = multilinear.eq_table(point)
    multilinear.evaluate(elements(Fr, 64), point)
    multilinear.fold_high(table, point[0])
    rng = np.random.default_rng(2)
    matrix = rng.integers(-(2**62), 2**62, (19, 21))
    matrix[0, :2] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    multilinear.matvec(matrix, elements(Fr, 21))
    multilinear.vecmat(elements(Fr, 19), matrix)
    done = replay(recorder, tmp_path)
    assert {"eq_expand", "fold", "matrix_vector", "vector_matrix"} <= done


def test_group(recorder, tmp_path):
    points = g1.mul(np.repeat(g1.generator(), 40, axis=0), Fr.from_int64(np.arange(1, 41)))
    # Sums that meet equal points, opposite points and infinity.
    points[3], points[5], points[7] = points[2], g1.neg(points[4:5])[0], 0
    za.msm(points, elements(Fr, 40))
    za.msm(points, np.random.default_rng(3).integers(-(2**15), 2**15, 40))
    g1.from_bytes(g1.to_bytes(points[8:25]))
    hash_to_curve.hash_to_g1([bytes([k]) for k in range(9)], b"TEST")
    done = replay(recorder, tmp_path)
    assert {"segment_sums", "decode", "map_pairs"} <= done


def test_rounds(recorder, tmp_path):
    def table():
        return elements(Fr, 64)

    small = np.random.default_rng(4).integers(-(2**40), 2**40, 64)
    eq, r = elements(Fr, 32), int(Fr.to_ints(Fr.random(1))[0])
    sumcheck.round_quadratic(table(), table())
    sumcheck.round_quadratic(table(), table(), elements(Fr, 16))
    sumcheck.round_quadratic(small, table())
    sumcheck.fold_round_quadratic(table(), table(), r)
    sumcheck.round_cubic(table(), table(), table())
    sumcheck.round_boolean(eq, table())
    sumcheck.round_layer(eq, table(), table(), table(), table())
    sumcheck.fold_round_layer(eq, table(), table(), table(), table(), r)
    sumcheck.round_integer_layer(eq, small, small[::-1].copy(), table(), table())
    sumcheck.fold_integers(small, r)
    sumcheck.fraction_layer(table(), table())
    sumcheck.fraction_layer(small, table())
    sumcheck.add_multiple(table(), table(), r)
    sumcheck.add_halves(table())
    done = replay(recorder, tmp_path)
    assert {"quadratic_sums", "layer_sums", "fold_layer_sums", "cubic_sums", "fold_integers"} <= done
