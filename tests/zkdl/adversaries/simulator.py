"""A simulator: proofs without a witness, for whoever may choose the challenges.

It walks the verifier's schedule backwards in one respect: answers are drawn uniformly first, and each
equation is then solved for the one commitment (a mask, a miss) that was left open for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol import table_argument
from zkdl.protocol.channel import MESSAGE_WIDTH, Section
from zkdl.protocol.commitment import blind_base, commit_values, row_bases, value_base
from zkdl.protocol.instance import Instance
from zkdl.protocol.proof import TABLE_FORM, encode
from zkdl.protocol.schedule import run
from zkdl.protocol.statement import Statement
from zkdl.protocol.table import Table
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.verifier.channel import RowsForm, VerifierChannel
from zkdl.verifier.decode import read_points
from zkdl.verifier.equations import FIRST_POINT, Form


def random_points(count: int) -> np.ndarray:
    """Uniform group elements, (count, 12)."""
    return commit_values(za.Fr.random(count), za.Fr.random(count))


class _Solver:
    """Takes the place of the verifier's equations and makes every one of them true."""

    def __init__(self, row_bits: int) -> None:
        self.points: list[np.ndarray | None] = [value_base(), blind_base()]
        self._bases = row_bases(max(1 << row_bits, MESSAGE_WIDTH))
        assert len(self.points) == FIRST_POINT
        self.solved = 0

    def add(self, count: int, points: np.ndarray | None) -> int:
        first = len(self.points)
        self.points += [None] * count if points is None else [points[k : k + 1] for k in range(count)]
        return first

    def require(self, reason: Any, label: str, form: Form, row_coefs: np.ndarray | None = None) -> None:
        """Choose the open point of ``form`` so that it is the point at infinity."""
        (open_ref,) = [ref for ref in form.single if self.points[ref] is None]
        known = [ref for ref in form.single if ref != open_ref]
        points = [self.points[ref] for ref in known]
        scalars = [za.Fr.from_ints([form.single[ref] % R for ref in known])] if known else []
        for first, coefs in form.runs:
            points += self.points[first : first + len(coefs)]
            scalars.append(coefs)
        if row_coefs is not None:
            points.append(self._bases[: len(row_coefs)])
            scalars.append(row_coefs)
        rest = za.msm(np.concatenate(points), np.concatenate(scalars))
        factor = pow(-form.single[open_ref], -1, R)
        self.points[open_ref] = za.g1.mul(rest, za.Fr.from_ints([factor]))
        self.solved += 1


class Simulator(VerifierChannel):
    """Implements the channel with uniform answers and challenges."""

    def __init__(self, solver: _Solver, known: dict[str, RowsForm]) -> None:
        super().__init__(None, {}, solver, known)  # type: ignore[arg-type]
        self.solver = solver
        self.challenges_drawn: list[int] = []
        self.messages: dict[Section, list[bytes | range]] = {}

    def section(self, section: Section) -> None:
        self._messages = self.messages.setdefault(section, [])

    def absorb(self, label: str, data: bytes) -> None:
        """There is no transcript."""

    def challenge(self, label: str) -> int:
        self.challenges_drawn.append(secrets.randbelow(R))
        return self.challenges_drawn[-1]

    def points(self, label: str, count: int, points: Callable[[], Any] | None = None) -> list[int]:
        # What a relation misses by, and the mask of an inner product, stay open.
        is_open = label.endswith(("/mask", "/miss"))
        first = self.solver.add(count, None if is_open else random_points(count))
        self._messages.append(range(first, first + count))
        return list(range(first, first + count))

    def clear(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[int]:
        out = [secrets.randbelow(R) for _ in range(count)]
        self._messages.append(b"".join(v.to_bytes(32, "little") for v in out))
        return out

    def finished(self) -> dict[Section, bytes]:
        """Section contents, once every point is known."""
        out = {}
        for section, messages in self.messages.items():
            content = b""
            for message in messages:
                if isinstance(message, bytes):
                    content += message
                elif len(message):
                    points = [self.solver.points[ref] for ref in message]
                    content += b"".join(za.g1.to_bytes(np.concatenate(points)))
            out[section] = content
        return out


class _Programmed:
    """A transcript whose challenges were chosen beforehand."""

    def __init__(self, challenges: list[int]) -> None:
        self._challenges = iter(challenges)

    def absorb(self, label: bytes, data: bytes) -> None:
        """Messages do not matter."""

    def challenge(self, label: bytes) -> int:
        return next(self._challenges)


def simulate(statement: Statement, ranges: str) -> tuple[bytes, list[int]]:
    """A proof file and the challenges under which it verifies, from the statement alone."""
    instance = Instance(statement, ranges)
    solver = _Solver(statement.row_bits)
    encoded = np.frombuffer(statement.data_commitment, dtype=np.uint8).reshape(-1, 48)
    known = {}
    encodings = {
        "data": encoded[instance.used_records].tobytes(),
        "final": statement.final_commitment,
        "initial": statement.initial_commitment,
    }
    for name, data in ((name, encodings[name]) for name in instance.known):
        points = read_points(data, name)
        known[name] = RowsForm(solver.add(len(points), points), len(points))
    channel = Simulator(solver, known)
    run(channel, instance, None)
    challenges = [*channel.challenges_drawn, secrets.randbelow(R)]
    return encode(ranges, statement.digest(), channel.finished()), challenges


def simulate_table(table: Table) -> tuple[bytes, list[int]]:
    """The same for a committed table."""
    solver = _Solver(max(table.row_vars, table.lookup.row_bits))
    points = read_points(table.commitment, "table")
    first = solver.add(len(points), points)
    known = {
        table_argument.chunk_name(k): RowsForm(first + chunk.first, chunk.rows)
        for k, chunk in enumerate(table.chunks)
    }
    channel = Simulator(solver, known)
    table_argument.run(channel, table, None)
    challenges = [*channel.challenges_drawn, secrets.randbelow(R)]
    return encode("lookup", table.digest(), channel.finished(), TABLE_FORM), challenges


@contextmanager
def programmed(challenges: list[int]) -> Iterator[None]:
    """A verifier that takes the given challenges for those of the random oracle."""
    with ExitStack() as stack:
        for module in ("verify", "table"):
            target = f"zkdl.verifier.{module}.Transcript"
            stack.enter_context(patch(target, lambda protocol: _Programmed(challenges)))
        yield
