"""Speed of the arithmetic, each kernel beside what Python offers for the same work, in the same run.

    python -m benchmarks.arithmetic [--json] [--out FILE] [--rounds 5] [--threads 1] [--quick] [--backend gpu]

Peers: py-arkworks-bls12381 (compiled Rust) for the group, galois and Python integers for fields, py-ecc for
coordinates and hashing. Slow peers do a part of the work and are scaled up; `part` says how much. Ours and
theirs alternate, and the best round of each counts. Results of both are compared before anything is timed.
arkworks is single-threaded, so the ratios are like for like with `--threads 1`, which is the default.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version

import galois
import numpy as np
import py_arkworks_bls12381 as arkworks
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import FQ

import zkdl.arithmetic as za
from zkdl.arithmetic import Fq, Fr, g1, hash_to_curve

DST = b"BENCHMARK-V01-CS01-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
PEERS = ("py-arkworks-bls12381", "galois", "py-ecc", "numba", "numpy")


@dataclass
class Row:
    """One kernel: what was done, our seconds, and a peer's."""

    kernel: str
    units: int
    unit: str
    seconds: float
    peer: str
    peer_seconds: float
    part: float
    ratio: float


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Table:
    """Collects rows, printing each as it comes."""

    def __init__(self, rounds: int, quiet: bool) -> None:
        self.rounds, self.quiet, self.rows = rounds, quiet, list[Row]()

    def compare(
        self,
        kernel: str,
        units: int,
        unit: str,
        ours: Callable[[], object],
        peer: str,
        theirs: Callable[[], object],
        part: float = 1.0,
    ) -> None:
        """Time both; `part` is the share of the work that the peer's call does."""
        best, other = float("inf"), float("inf")
        for _ in range(self.rounds):
            best = min(best, _seconds(ours))
            other = min(other, _seconds(theirs) / part)
        row = Row(kernel, units, unit, best, peer, other, part, other / best)
        self.rows.append(row)
        if not self.quiet:
            print(
                f"{kernel:34} {_time(best):>10} {_time(best / units):>10}/{unit:8} "
                f"{peer:14} {_time(other):>10}   x{row.ratio:.1f}",
                flush=True,
            )


def _time(seconds: float) -> str:
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {name}"
    return f"{seconds * 1e9:.3g} ns"


def _check(name: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise SystemExit(f"{name}: results differ from the peer's; nothing is timed")


def _ark_points(points: np.ndarray) -> list[object]:
    return [arkworks.G1Point.from_compressed_bytes_unchecked(raw) for raw in g1.to_bytes(points)]


def _ark_msm(points: list[object], scalars: list[object]) -> bytes:
    return bytes(arkworks.G1Point.multiexp_unchecked(points, scalars).to_compressed_bytes())


def fields(table: Table, log_size: int) -> None:
    """Products in both fields; sumcheck rounds and folds."""
    n, few = 1 << log_size, 2000
    a, b = Fr.random(n), Fr.random(n)
    x, y = Fr.to_ints(a[:few]), Fr.to_ints(b[:few])
    p = Fr.modulus
    gf = galois.GF(p, primitive_element=7, verify=False)
    u, v = gf(x), gf(y)
    _check("Fr", Fr.to_ints(Fr.mul(a[:few], b[:few])), [int(w) for w in u * v])

    def python() -> list[int]:
        return [s * t % p for s, t in zip(x, y, strict=True)]

    table.compare("Fr products", n, "product", lambda: Fr.mul(a, b), "Python ints", python, few / n)
    table.compare("Fr products", n, "product", lambda: Fr.mul(a, b), "galois", lambda: u * v, few / n)
    c, d = Fq.random(n), Fq.random(n)
    e, f = ([FQ(w) for w in Fq.to_ints(t[:few])] for t in (c, d))

    def ecc() -> list[FQ]:
        return [s * t for s, t in zip(e, f, strict=True)]

    _check("Fq", Fq.to_ints(Fq.mul(c[:few], d[:few])), [int(w) for w in ecc()])
    table.compare("Fq products", n, "product", lambda: Fq.mul(c, d), "py-ecc", ecc, few / n)

    half = few // 2

    def quadratic() -> list[int]:
        low = sum(x[i] * y[i] for i in range(half)) % p
        top = sum((x[i + half] - x[i]) * (y[i + half] - y[i]) for i in range(half)) % p
        return [low, top]

    _check("rounds", za.sumcheck.round_quadratic(a[:few], b[:few]), quadratic())
    ours = lambda: za.sumcheck.round_quadratic(a, b)
    table.compare("sumcheck round of f g", n, "entry", ours, "Python ints", quadratic, few / n)
    g = Fr.random(n)

    def cubic() -> int:
        z = x[::-1]
        values = 0
        for t in (0, 1, 2, 3):
            rest = 1 - t
            for i in range(half):
                left = (rest * x[i] + t * x[i + half]) * (rest * y[i] + t * y[i + half]) % p
                values += left * (rest * z[i] + t * z[i + half])
        return values % p

    ours = lambda: za.sumcheck.round_cubic(a, b, g)
    table.compare("sumcheck round of e f g", n, "entry", ours, "Python ints", cubic, few / n)

    def fold() -> list[int]:
        return [(x[i] + 12345 * (x[i + half] - x[i])) % p for i in range(half)]

    _check("fold", Fr.to_ints(za.multilinear.fold_high(a[:few].copy(), 12345)), fold())
    ours = lambda: za.multilinear.fold_high(a, 12345)
    table.compare("fold", n, "entry", ours, "Python ints", fold, few / n)
    side = 1 << (log_size // 2)
    matrix = np.random.default_rng(0).integers(-(2**15), 2**15, (side, side))
    small = [int(w) for w in matrix.reshape(-1)[:few]]

    def inner() -> int:
        return sum(s * t for s, t in zip(small, y, strict=True)) % p

    _check("matvec", za.multilinear.inner_int(matrix.reshape(-1)[:few], b[:few]), inner())
    ours = lambda: za.multilinear.matvec(matrix, b[:side])
    table.compare("int64 matrix x Fr vector", side * side, "cell", ours, "Python ints", inner, few / side**2)


def group(table: Table, quick: bool) -> None:
    """Sums in G1 against arkworks."""
    rng = np.random.default_rng(0)
    largest = 12 if quick else 14
    points = za.FixedBase(g1.generator()).mul(Fr.random(1 << largest))
    ark = _ark_points(points)
    for log_size in (8, 11, 12, 13, 14):
        n = 1 << log_size
        if n > len(ark):
            continue
        scalars = Fr.random(n)
        wide = [arkworks.Scalar(value) for value in Fr.to_ints(scalars)]
        _check("msm", g1.to_bytes(za.msm(points[:n], scalars))[0], _ark_msm(ark[:n], wide))
        theirs = lambda n=n, wide=wide: _ark_msm(ark[:n], wide)
        ours = lambda n=n, scalars=scalars: za.msm(points[:n], scalars)
        table.compare(f"msm 2^{log_size}, 255 bits", n, "point", ours, "arkworks", theirs)
    n = 1 << largest
    small = rng.integers(-(2**15), 2**15, n)
    signed = [arkworks.Scalar(int(value) % Fr.modulus) for value in small]
    shifted = [arkworks.Scalar(int(value) + 2**15) for value in small]
    _check("msm", g1.to_bytes(za.msm(points, small))[0], _ark_msm(ark, signed))
    ours = lambda: za.msm(points, small)
    kernel = f"msm 2^{largest}, 16-bit signed"
    table.compare(kernel, n, "point", ours, "arkworks", lambda: _ark_msm(ark, signed))
    table.compare(kernel, n, "point", ours, "arkworks, >=0", lambda: _ark_msm(ark, shifted))

    columns = 2048
    for rows, low, high, name in ((1000, 0, 2, "bits"), (100, -(2**15), 2**15, "16-bit signed")):
        matrix = rng.integers(low, high, (rows, columns))
        if name == "bits":
            matrix = matrix.astype(np.int8)
        some = [arkworks.Scalar(int(value) % Fr.modulus) for value in matrix[0]]
        _check(name, g1.to_bytes(za.msm_rows(points[:columns], matrix))[0], _ark_msm(ark[:columns], some))
        table.compare(
            f"{rows} rows x {columns} {name}",
            rows * columns,
            "cell",
            lambda matrix=matrix: za.msm_rows(points[:columns], matrix),
            "arkworks",
            lambda some=some: _ark_msm(ark[:columns], some),
            1 / rows,
        )


def single_points(table: Table, quick: bool) -> None:
    """Encoding, decoding, fixed base, hashing."""
    n, few = (500 if quick else 2000), 50
    base = za.FixedBase(g1.generator())
    scalars = Fr.random(n)
    points = base.mul(scalars)
    encoded = g1.to_bytes(points)
    one = arkworks.G1Point()
    wide = [arkworks.Scalar(value) for value in Fr.to_ints(scalars[:few])]

    def multiply() -> list[bytes]:
        return [bytes((one * k).to_compressed_bytes()) for k in wide]

    _check("fixed base", encoded[:few], multiply())
    table.compare("fixed base", n, "scalar", lambda: base.mul(scalars), "arkworks", multiply, few / n)
    ours = lambda: g1.mul(points[:few], scalars[:few])
    table.compare("scalar times point", few, "product", ours, "arkworks", multiply)

    def decode() -> list[object]:
        return [arkworks.G1Point.from_compressed_bytes(raw) for raw in encoded[:few]]

    table.compare(
        "decode, all checks", n, "point", lambda: g1.from_bytes(encoded), "arkworks", decode, few / n
    )
    messages = [bytes([k % 256, k // 256]) for k in range(n)]

    def rust() -> list[bytes]:
        hashed = [arkworks.G1Point.hash_to_curve(message, DST) for message in messages[:few]]
        return [bytes(point.to_compressed_bytes()) for point in hashed]

    def python() -> object:
        import hashlib

        return hash_to_G1(messages[0], DST, hashlib.sha256)

    ours = lambda: hash_to_curve.hash_to_g1(messages, DST)
    _check("hash", g1.to_bytes(hash_to_curve.hash_to_g1(messages[:few], DST)), rust())
    table.compare("hash to G1", n, "point", ours, "arkworks", rust, few / n)
    table.compare("hash to G1", n, "point", ours, "py-ecc", python, 1 / n)


def main() -> None:
    """Run everything and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--out", help="also write the JSON to this file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--backend", choices=("cpu", "gpu"), default="cpu", help="gpu: the kernels of cuda/")
    options = parser.parse_args()
    if options.backend == "gpu":
        from benchmarks import _arithmetic_gpu

        raise SystemExit(_arithmetic_gpu.main())
    za.set_threads(options.threads)
    table = Table(options.rounds, options.json)
    fields(table, 14 if options.quick else 18)
    group(table, options.quick)
    single_points(table, options.quick)
    result = {
        "benchmark": "arithmetic",
        "threads": options.threads,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PEERS},
        "rows": [asdict(row) for row in table.rows],
    }
    if options.json:
        print(json.dumps(result))
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
