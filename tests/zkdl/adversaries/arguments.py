"""Forgeries against single arguments, and the bugs that would let them through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected
from zkdl.protocol.channel import MESSAGE_WIDTH, FoldTranscript, Section
from zkdl.protocol.commitment import blind_base, row_bases, value_base
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.prover.channel import ProverChannel, Secret, SecretRows
from zkdl.prover.fold import FoldProver
from zkdl.prover.randomness import OSRandomness
from zkdl.prover.rounds import product_rounds
from zkdl.verifier.channel import RowsForm, VerifierChannel
from zkdl.verifier.equations import Equations

from .provers import clone


def argue(
    schedule: Callable[[Any], None],
    *,
    rows: SecretRows | None = None,
    points: np.ndarray | None = None,
    channel: Callable[..., ProverChannel] = ProverChannel,
    row_bits: int = 4,
    ledger: type[Ledger] | None = None,
) -> str | None:
    """Run a schedule on both sides; the reason of the rejection, or None.

    Args:
        schedule: called with each channel in turn; enters a section first.
        rows, points: rows known to both sides as ``"data"``, and their commitments.
        ledger: class of the prover's ledger; the schedule is then called with ledgers, which are settled.
    """
    prover = channel(Transcript(b"test"), {} if rows is None else {"data": rows}, OSRandomness())
    if ledger is None:
        schedule(prover)
    else:
        book = ledger(prover)
        schedule(book)
        book.settle(product_rounds)
    equations = Equations(value_base(), blind_base(), row_bases(max(1 << row_bits, MESSAGE_WIDTH)))
    known = {}
    if points is not None:
        known["data"] = RowsForm(equations.add_points(points), len(points))
    sections = {section: bytes(data) for section, data in prover.sections.items()}
    verifier = VerifierChannel(Transcript(b"test"), sections, equations, known)
    try:
        if ledger is None:
            schedule(verifier)
        else:
            book = Ledger(verifier)
            schedule(book)
            book.settle(None)
        verifier.end_section()
        equations.check(verifier.challenge("equations"))
    except ProofRejected as error:
        return str(error.reason)
    return None


def evaluation_point(weights: np.ndarray) -> list[int]:
    """The point whose eq table ``weights`` is."""
    first = za.Fr.to_ints(weights[:1])[0]
    out = []
    for k in range(len(weights).bit_length() - 1):
        other = za.Fr.to_ints(weights[1 << k : (1 << k) + 1])[0]
        out.append(other * pow(first + other, -1, R) % R)
    return out


def inner_product_folded_by_the_point(
    ch: Any, reason: Any, label: str, vector: Any, weights: np.ndarray, claim: Any
) -> None:
    """The published bug: `zkdl.protocol.arguments.inner_product` with known folding challenges."""
    base = ch.challenge(f"{label}/base")
    argument = FoldTranscript(vector, weights, claim, base)
    state: Any = ch.compute(lambda: ch.fold_start(vector, weights, claim, base))
    for u in reversed(evaluation_point(weights)):
        left, right = ch.points(f"{label}/cross", 2, lambda: state.cross())
        argument.crosses.append((left, right))
        argument.challenges.append(u)
        if state is not None:
            state.fold(u)
    (argument.mask,) = ch.points(f"{label}/mask", 1, lambda: state.mask())
    e = ch.challenge(f"{label}/e")
    argument.final_challenge = e
    z, zeta = ch.clear(f"{label}/answer", 2, lambda: state.answer(e))
    argument.response = (z, zeta)
    ch.fold_end(reason, label, argument)


class _ForgingFold(FoldProver):
    """Hides the error of the claim in the first cross term, for a challenge guessed beforehand."""

    def __init__(self, error: int, *args: Any) -> None:
        super().__init__(*args)
        self._error = error
        self._guess = evaluation_point(self._weights)[-1]

    def cross(self) -> np.ndarray:
        out = super().cross()
        if self._error:
            hidden = self._error * self._base * pow(self._guess, -2, R) % R
            shift = za.g1.mul(value_base(), za.Fr.from_ints([hidden]))
            out = np.concatenate([za.g1.add(out[:1], shift), out[1:]])
            self._error = 0
        return out


class ForgingChannel(ProverChannel):
    """Opens every row combination to whatever was claimed, if folding challenges can be guessed.

    ``committed`` replaces the rows called ``"data"`` by those that the statement really commits to.
    """

    committed: SecretRows | None = None

    def known_rows(self, name: str) -> SecretRows:
        if name == "data" and self.committed is not None:
            return self.committed
        return super().known_rows(name)

    def fold_start(self, vector: Any, weights: np.ndarray, claim: Secret, base: int) -> FoldProver:
        blind = (vector.blind + base * claim.blind) % R
        true = za.Fr.to_ints(za.Fr.inner(vector.entries, weights[: len(vector.entries)]))[0]
        error = (true - claim.value) % R
        return _ForgingFold(error, vector.entries, weights, blind, base, self._randomness)


class LyingLedger(Ledger):
    """A prover's ledger that says every relation holds, whatever the values."""

    def __init__(self, channel: Any) -> None:
        super().__init__(channel)
        self.missed: list[int] = []

    def require(self, label: str, terms: Any, target: Any, reason: Any = None) -> None:
        total = sum(k * self.value(a) * self.value(b) for k, a, b in terms)
        self.missed.append((total - self.value(target)) % R)
        super().require(label, terms, target + self.missed[-1], reason)
        goal = self._relations[-1][1]
        self._relations[-1] = (self._relations[-1][0], goal - self.missed[-1])


class LookingAhead(LyingLedger):
    """A lying ledger that reads the challenge e before it sends y, if that is possible, and fits y."""

    slack = 0

    def scalars(self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None) -> list[Any]:
        if label == "ledger/y" and values is not None:
            e = clone(self.channel._transcript).challenge(b"ledger/e")
            (honest,) = values()
            forged = (honest + e * self.slack) % R
            return super().scalars(label, count, lambda: [forged])
        return super().scalars(label, count, values)

    def _product(self, a: Any, b: Any, end: Any) -> Any:
        self.slack = (self.value(a) * self.value(b) - self.value(end)) % R
        return super()._product(a, b, end)


SECTION = Section.OPENING
