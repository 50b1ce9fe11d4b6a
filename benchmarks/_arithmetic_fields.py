"""The rows about fields and sumchecks: Python integers, galois and py-ecc are the peers."""

from __future__ import annotations

import galois
import numpy as np
from py_ecc.optimized_bls12_381 import FQ

import zkdl.arithmetic as za
from benchmarks._arithmetic_table import Table, check, seconds, shown
from zkdl.arithmetic import Fq, Fr

P = Fr.modulus
# What slow peers do of the work.
FEW = 2000


def products(table: Table, log_size: int) -> None:
    """Products in both fields."""
    n = 1 << log_size
    a, b = Fr.random(n), Fr.random(n)
    x, y = Fr.to_ints(a[:FEW]), Fr.to_ints(b[:FEW])
    gf = galois.GF(P, primitive_element=7, verify=False)
    u, v = gf(x), gf(y)
    check("Fr", Fr.to_ints(Fr.mul(a[:FEW], b[:FEW])), [int(w) for w in u * v])

    def python() -> list[int]:
        return [s * t % P for s, t in zip(x, y, strict=True)]

    table.compare("Fr products", n, "product", lambda: Fr.mul(a, b), "Python ints", python, FEW / n)
    table.compare("Fr products", n, "product", lambda: Fr.mul(a, b), "galois", lambda: u * v, FEW / n)
    c, d = Fq.random(n), Fq.random(n)
    e, f = ([FQ(w) for w in Fq.to_ints(t[:FEW])] for t in (c, d))

    def ecc() -> list[FQ]:
        return [s * t for s, t in zip(e, f, strict=True)]

    check("Fq", Fq.to_ints(Fq.mul(c[:FEW], d[:FEW])), [int(w) for w in ecc()])
    table.compare("Fq products", n, "product", lambda: Fq.mul(c, d), "py-ecc", ecc, FEW / n)


def passes(table: Table, log_size: int) -> None:
    """Single passes over tables: a round, a fold, an integer matrix."""
    n, half = 1 << log_size, FEW // 2
    a, b = Fr.random(n), Fr.random(n)
    x, y = Fr.to_ints(a[:FEW]), Fr.to_ints(b[:FEW])

    def quadratic() -> list[int]:
        low = sum(x[i] * y[i] for i in range(half)) % P
        top = sum((x[i + half] - x[i]) * (y[i + half] - y[i]) for i in range(half)) % P
        return [low, top]

    round_ = za.sumcheck.round_quadratic(a[:FEW], b[:FEW])
    check("rounds", [round_[0], round_[-1]], quadratic())
    ours = lambda: za.sumcheck.round_quadratic(a, b)
    table.compare("sumcheck round of f g", n, "entry", ours, "Python ints", quadratic, FEW / n)

    def fold() -> list[int]:
        return [(x[i] + 12345 * (x[i + half] - x[i])) % P for i in range(half)]

    check("fold", Fr.to_ints(za.multilinear.fold_high(a[:FEW].copy(), 12345)), fold())
    ours = lambda: za.multilinear.fold_high(a, 12345)
    table.compare("fold", n, "entry", ours, "Python ints", fold, FEW / n)
    side = 1 << (log_size // 2)
    matrix = np.random.default_rng(0).integers(-(2**15), 2**15, (side, side))
    small = [int(w) for w in matrix.reshape(-1)[:FEW]]

    def inner() -> int:
        return sum(s * t for s, t in zip(small, y, strict=True)) % P

    check("matvec", za.multilinear.inner_int(matrix.reshape(-1)[:FEW], b[:FEW]), inner())
    ours = lambda: za.multilinear.matvec(matrix, b[:side])
    table.compare("int64 matrix x Fr vector", side * side, "cell", ours, "Python ints", inner, FEW / side**2)


def _sumcheck(f: np.ndarray, g: np.ndarray) -> None:
    """A whole sumcheck of f g, with made-up challenges."""
    za.sumcheck.round_quadratic(f, g)
    r = 0x1234567 << 220
    while len(f) > 2:
        _, f, g = za.sumcheck.fold_round_quadratic(f, g, r)
    za.multilinear.fold_high(f, r)
    za.multilinear.fold_high(g, r)


def sumcheck_floor(log_size: int, rounds: int, threads: int, quiet: bool) -> dict[str, object]:
    """A whole sumcheck beside the time of its field products alone.

    For tables of n entries: two products for each of n pairs in the rounds' sums and two for each of n folds,
    4 n in all. The floor takes them at the price of an element-wise product of arrays that fit in cache.
    """
    n = 1 << log_size
    one, other = Fr.random(1 << 11), Fr.random(1 << 11)
    f, g = Fr.random(n), Fr.random(n)
    za.set_threads(1)

    def products_alone() -> None:
        for _ in range(100):
            Fr.mul(one, other)

    product = min(seconds(products_alone) for _ in range(rounds + 1)) / (100 * len(one))
    out: dict[str, object] = {"entries": n, "product_ns": product * 1e9, "floor_seconds": 4 * n * product}
    for count in (1, threads):
        za.set_threads(count)
        best = float("inf")
        for _ in range(rounds):
            copies = f.copy(), g.copy()  # folds work in place
            best = min(best, seconds(lambda copies=copies: _sumcheck(*copies)))
        out[f"seconds_{count}_threads"] = best
        out[f"floor_share_{count}_threads"] = 4 * n * product / count / best
    za.set_threads(1)
    if not quiet:
        print(
            f"sumcheck of f g, 2^{log_size} entries: {shown(float(str(out['seconds_1_threads'])))}, "
            f"{threads} threads {shown(float(str(out[f'seconds_{threads}_threads'])))}; products alone "
            f"{shown(4 * n * product)} at {product * 1e9:.1f} ns",
            flush=True,
        )
    return out
