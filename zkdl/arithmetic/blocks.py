"""Sums of scaled blocks of points, all outputs with the same scalars: how bases are folded.

With the scalars shared, one list of doublings and additions serves every output: the joint signed windows of
all scalars, halved by the endomorphism. Additions run over the outputs side by side, in affine coordinates
with shared inversions, and never look at a digit twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from . import block_kernels as kernels
from .backend import switched
from .endomorphism import BETA, split
from .field import Fr
from .g1 import add, mul
from .paths import vector_tag
from .segments import flat_points
from .threads import over_range

# Outputs that share an inversion: the registers of eight blocks take 2 MB then.
_CHUNK = 256
# Width of the signed windows: odd digits up to 15, on average one in six positions.
_WINDOW = 5


@switched("combine_blocks")
def combine_blocks(points: np.ndarray, scalars: np.ndarray) -> np.ndarray:
    """Cut the points into as many blocks as there are scalars; the sum of scalars[b] times block b.

    out[i] = sum over b of scalars[b] points[b n / m + i], for n points and m scalars.

    Args:
        points: `(n, 12)` points of the prime-order subgroup; equal, opposite points and infinity are fine.
        scalars: `(m, 4)` elements of Fr, m dividing n. A scalar 1 costs one addition an output, so bring
            one of them to 1 where a common factor does not matter.

    Returns:
        `(n / m, 12)` points.

    Raises:
        ValueError: m does not divide n.

    *Privacy*: time depends on the scalars; they are meant to be public.

    Example:
        >>> from zkdl.arithmetic import g1
        >>> points = np.repeat(g1.generator(), 4, axis=0)
        >>> bool((combine_blocks(points, Fr.from_ints([3, -1])) == g1.double(points[:2])).all())
        True
    """
    flat = flat_points(points)
    values = Fr.to_ints(scalars)
    n, m = flat.size // 12, len(values)
    if m == 0 or n % m:
        raise ValueError(
            f"scalars: expected a number of them that divides {n}, the number of points, got {m}"
        )
    size = n // m
    out = np.zeros((size, 12), np.uint64)
    program, x_registers, y_registers, result = _compile(values)
    if result < 0 or size == 0:
        return out
    target, failed, tag = out.reshape(-1), np.empty(size, np.uint8), vector_tag("Fq")

    def part(start: int, stop: int) -> None:
        chunk = min(_CHUNK, stop - start)
        kernels.run_program(
            tag,
            target,
            failed,
            flat,
            BETA,
            program,
            x_registers,
            y_registers,
            m,
            size,
            result,
            start,
            stop,
            chunk,
        )

    over_range(part, size, 32)
    again = np.flatnonzero(failed)
    if again.size:
        out[again] = _one_by_one(flat.reshape(m, size, 12)[:, again], np.asarray(scalars).reshape(m, 1, 4))
    return out


def _one_by_one(blocks: np.ndarray, scalars: np.ndarray) -> np.ndarray:
    """The same for points in each other's way: no schedule, complete additions."""
    total = np.zeros_like(blocks[0])
    for points, scalar in zip(blocks, scalars, strict=True):
        total = add(total, mul(points, scalar))
    return total


def _signed_windows(value: int) -> list[int]:
    """Digits, lowest first, each zero or odd and below 2^(width - 1) in size, few of them nonzero."""
    if value < 0:
        return [-digit for digit in _signed_windows(-value)]
    digits = []
    while value:
        digit = 0
        if value & 1:
            digit = value & (1 << _WINDOW) - 1
            if digit >> (_WINDOW - 1):
                digit -= 1 << _WINDOW
            value -= digit
        digits.append(digit)
        value >>= 1
    return digits


def _compile(scalars: Sequence[int]) -> tuple[np.ndarray, int, int, int]:
    """The program for these scalars: instructions, registers for x and y, register of the result or -1."""
    m = len(scalars)
    code: list[tuple[int, int, int, int, int, int]] = []
    x_registers = y_registers = m
    # For each half of a scalar: digits, x registers and y registers by odd digit, sign of y.
    parts: list[tuple[list[int], list[int], list[int], int]] = []
    for b, scalar in enumerate(scalars):
        halves = [_signed_windows(half) for half in split(scalar)]
        largest = max((abs(d) for digits in halves for d in digits), default=0)
        table = [b]
        if largest > 1:
            twice = y_registers
            code.append((kernels.DOUBLE, twice, b, b, b, 0))
            table += range(twice + 1, twice + 1 + largest // 2)
            for before, entry in pairwise(table):
                code.append((kernels.ADD, entry, before, twice, twice, 0))
            y_registers = table[-1] + 1
        # psi changes the sign of y.
        parts += [(halves[0], table, table, 0), (halves[1], [], table, 1)]
    # Registers of psi hold an x only, so they come after all that hold both.
    x_registers = y_registers + 1
    accumulator = y_registers
    for digits, x_table, table, _ in parts:
        if not x_table:
            for entry in table[: (max((abs(d) for d in digits), default=-1) + 1) // 2]:
                code.append((kernels.TWIST, x_registers, entry, 0, 0, 0))
                x_table.append(x_registers)
                x_registers += 1
    started = False
    for position in range(max(len(digits) for digits, *_ in parts) - 1, -1, -1):
        if started:
            code.append((kernels.DOUBLE, accumulator, accumulator, accumulator, accumulator, 0))
        for digits, x_table, table, sign in parts:
            digit = digits[position] if position < len(digits) else 0
            if digit:
                k = abs(digit) // 2
                minus = sign ^ (digit < 0)
                kind = kernels.ADD if started else kernels.COPY
                code.append((kind, accumulator, accumulator, x_table[k], table[k], minus))
                started = True
    program = np.array(code, np.int64).reshape(-1, 6)
    return program, x_registers, y_registers + 1, accumulator if started else -1
