"""The rows about the group G1: py-arkworks-bls12381 (compiled Rust) is the peer, py-ecc for hashing."""

from __future__ import annotations

import hashlib

import numpy as np
import py_arkworks_bls12381 as arkworks
from py_ecc.bls.hash_to_curve import hash_to_G1

import zkdl.arithmetic as za
from benchmarks._arithmetic_table import Table, check
from zkdl.arithmetic import Fr, g1, hash_to_curve

DST = b"BENCHMARK-V01-CS01-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"


def _ark_points(points: np.ndarray) -> list[object]:
    return [arkworks.G1Point.from_compressed_bytes_unchecked(raw) for raw in g1.to_bytes(points)]


def _ark_scalars(values: np.ndarray) -> list[object]:
    numbers = Fr.to_ints(values) if values.ndim == 2 else [int(value) % Fr.modulus for value in values]
    return [arkworks.Scalar(number) for number in numbers]


def _ark_msm(points: list[object], scalars: list[object]) -> bytes:
    return bytes(arkworks.G1Point.multiexp_unchecked(points, scalars).to_compressed_bytes())


def _compare(table: Table, kernel: str, points: np.ndarray, ark: list[object], scalars: np.ndarray) -> None:
    n = len(scalars)
    theirs = _ark_scalars(scalars)
    check(kernel, g1.to_bytes(za.msm(points[:n], scalars))[0], _ark_msm(ark[:n], theirs))
    ours = lambda: za.msm(points[:n], scalars)
    table.compare(kernel, n, "point", ours, "arkworks", lambda: _ark_msm(ark[:n], theirs))


def sums(table: Table, logs: tuple[int, ...]) -> None:
    """Multi-scalar multiplications: full scalars and signed 16-bit ones."""
    rng = np.random.default_rng(0)
    points = za.FixedBase(g1.generator()).mul(Fr.random(1 << max(logs)))
    ark = _ark_points(points)
    for log_size in logs:
        _compare(table, f"msm 2^{log_size}, 255 bits", points, ark, Fr.random(1 << log_size))
    for log_size in logs[-2:]:
        small = rng.integers(-(2**15), 2**15, 1 << log_size)
        _compare(table, f"msm 2^{log_size}, 16-bit signed", points, ark, small)
    # The peer's best case: no sign, so its scalars are short.
    shifted = _ark_scalars(small + 2**15)
    ours = lambda: za.msm(points[: len(small)], small)
    kernel = f"msm 2^{logs[-1]}, 16-bit signed"
    table.compare(kernel, len(small), "point", ours, "arkworks >=0", lambda: _ark_msm(ark, shifted))


def rows(table: Table, columns: int, short: bool) -> None:
    """Many rows of small numbers over the same generators: what a prover commits to."""
    rng = np.random.default_rng(1)
    points = za.FixedBase(g1.generator()).mul(Fr.random(columns))
    ark = _ark_points(points)
    for count, low, high, name in (
        (64 if short else 256, -(2**15), 2**15, "16-bit signed"),
        (256 if short else 1024, 0, 2, "bits"),
    ):
        matrix = rng.integers(low, high, (count, columns)).astype(np.int8 if high == 2 else np.int16)
        first = _ark_scalars(matrix[0])
        check(name, g1.to_bytes(za.msm_rows(points, matrix))[0], _ark_msm(ark, first))
        table.compare(
            f"rows of {columns}, {name}",
            matrix.size,
            "cell",
            lambda matrix=matrix: za.msm_rows(points, matrix),
            "arkworks",
            lambda first=first: _ark_msm(ark, first),
            1 / count,
        )


def folds(table: Table, size: int) -> None:
    """Bases folded with the same scalars for every output."""
    points = za.FixedBase(g1.generator()).mul(Fr.random(size))
    scalars = Fr.random(4)
    ark, numbers, few, part = _ark_points(points), _ark_scalars(scalars), 20, size // 4

    def theirs() -> list[bytes]:
        return [_ark_msm([ark[b * part + i] for b in range(4)], numbers) for i in range(few)]

    check("blocks", g1.to_bytes(za.combine_blocks(points, scalars))[:few], theirs())
    ours = lambda: za.combine_blocks(points, scalars)
    table.compare(f"{size} bases folded by 4", size, "point", ours, "arkworks", theirs, few / part)


def single_points(table: Table, n: int) -> None:
    """Encoding, decoding, fixed base, hashing."""
    few = 50
    base = za.FixedBase(g1.generator())
    scalars = Fr.random(n)
    points = base.mul(scalars)
    encoded = g1.to_bytes(points)
    one, wide = arkworks.G1Point(), _ark_scalars(scalars[:few])

    def multiply() -> list[bytes]:
        return [bytes((one * k).to_compressed_bytes()) for k in wide]

    check("fixed base", encoded[:few], multiply())
    table.compare("fixed base", n, "scalar", lambda: base.mul(scalars), "arkworks", multiply, few / n)
    ours = lambda: g1.mul(points[:few], scalars[:few])
    table.compare("scalar times point", few, "product", ours, "arkworks", multiply)

    def decode() -> list[object]:
        return [arkworks.G1Point.from_compressed_bytes(raw) for raw in encoded[:few]]

    ours = lambda: g1.from_bytes(encoded)
    table.compare("decode, all checks", n, "point", ours, "arkworks", decode, few / n)
    messages = [bytes([k % 256, k // 256]) for k in range(n)]

    def rust() -> list[bytes]:
        hashed = [arkworks.G1Point.hash_to_curve(message, DST) for message in messages[:few]]
        return [bytes(point.to_compressed_bytes()) for point in hashed]

    ours = lambda: hash_to_curve.hash_to_g1(messages, DST)
    check("hash", g1.to_bytes(hash_to_curve.hash_to_g1(messages[:few], DST)), rust())
    table.compare("hash to G1", n, "point", ours, "arkworks", rust, few / n)
    python = lambda: hash_to_G1(messages[0], DST, hashlib.sha256)
    table.compare("hash to G1", n, "point", ours, "py-ecc", python, 1 / n)
