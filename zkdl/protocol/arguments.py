"""The building blocks of the protocol: committed sumcheck, inner product, random combination.

Each is one function run by both sides. Nothing leaves the prover but Pedersen commitments and masked
answers, so each is zero-knowledge when challenges are honest; soundness follows from the binding of
the commitments (discrete logarithm in G1, random oracle for the challenges).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import Reason
from zkdl.protocol.channel import Channel, FoldTranscript, Handle, Vector
from zkdl.protocol.linear import combination
from zkdl.protocol.transcript import FR_MODULUS as R

T = TypeVar("T")
_HALF = pow(2, -1, R)


class Rounds(Protocol):
    """What a prover brings to a sumcheck."""

    def coefficients(self, claim: int) -> list[int]:
        """Coefficients (constant first) of the current round polynomial, of which ``claim`` is the sum."""

    def bind(self, challenge: int) -> None:
        """Fix the highest free variable."""


class Speaker(Protocol):
    """What a sumcheck needs of a channel; a `Channel` and a `Ledger` both have it."""

    def challenge(self, label: str) -> int: ...

    def note(self, label: str, numerator: int) -> None: ...

    def compute(self, work: Callable[[], T]) -> T | None: ...

    def scalars(
        self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None
    ) -> list[Handle]: ...

    def value(self, handle: Handle) -> int: ...


def sumcheck(
    ch: Speaker,
    label: str,
    claim: Handle,
    num_vars: int,
    degree: int,
    rounds: Callable[[], Rounds],
    eq: Sequence[int] = (),
) -> tuple[list[int], Handle]:
    """Reduce "eq(r, x) f(x) sums to ``claim`` over the cube" to "f equals the returned handle at the point".

    r are the coordinates ``eq``, of the lowest variables; without them it is the plain sum of f. The
    highest variable is bound first, so that instances with fewer variables, taken as zero wherever an
    extra variable is one, share the low coordinates of the point.

    Round j speaks of t(X) = sum over x' of eq(r', x') f(.., X, x'), with the challenges so far above X
    and r' the coordinates of x': the factor eq(r_j, X) is left out because both sides know it, and the
    factors of bound variables because the claim is carried on without them. So t has the degree of f
    alone, and what has to hold is

        (1 - r_j) t(0) + r_j t(1) = claim,   that is   c_0 + r_j (c_1 + ... + c_k) = claim

    (t(0) + t(1) = claim where there is no r_j). All coefficients but c_0 are committed; c_0 is whatever
    makes the relation true. It comes out without a division, so r_j = 0 and r_j = 1 are no exception,
    and a round needs no proof of its own. The next claim is t at the challenge.

    If a claim is false, t differs from the true polynomial, which obeys the same relation with the true
    claim, and the next claim is true for at most ``degree`` of the r challenges.

    Args:
        claim: handle of the claimed sum.
        num_vars: number of rounds.
        degree: bound k on the degree of every t.
        rounds: makes the prover's tables; called on the prover's side only.
        eq: coordinates r_0, r_1, ... of the eq factor, at most ``num_vars``.

    Returns:
        The point (least significant variable first) and the handle of the final claim.

    *Transcript*: per round, c_1, ..., c_k, then one challenge.

    Source: Cramer and Damgard (1998) for sumchecks on commitments; Wahby et al., Hyrax (2018); Gruen
    (2024) for the eq factor. Soundness error ``num_vars * degree / r`` besides binding.
    """
    ch.note(label, num_vars * degree)
    tables = ch.compute(rounds)
    point: list[int] = []
    for k in range(num_vars):

        def sent(claim: Handle = claim) -> Sequence[int]:
            assert tables is not None
            c = tables.coefficients(ch.value(claim))
            return [*c[1:], *([0] * (degree + 1 - len(c)))]

        higher = ch.scalars(f"{label}/round", degree, sent)
        r = ch.challenge(f"{label}/r{k}")
        variable = num_vars - 1 - k
        weight = eq[variable] if variable < len(eq) else _HALF
        factors = [1 if variable < len(eq) else _HALF]
        factors += [(pow(r, k, R) - weight) % R for k in range(1, degree + 1)]
        claim = combination(factors, [claim, *higher])
        if tables is not None:
            tables.bind(r)
        point.append(r)
    return point[::-1], claim


def inner_product(
    ch: Channel, reason: Reason, label: str, vector: Vector, weights: NDArray[np.uint64], claim: Handle
) -> None:
    """Prove <v, weights> = c for a committed vector v and a committed scalar c.

    The bases are folded in log2(n) rounds. Each folding challenge is drawn after the two cross
    terms of its round: a challenge known beforehand, such as the evaluation point itself, lets a
    prover choose cross terms that open anything. The end is a Schnorr proof for the last entry, so
    nothing is sent in the clear.

    Args:
        reason: what a failure means.
        weights: (n, 4) public field elements, n a power of two, at most the number of row bases.

    *Transcript*: the base challenge; per round two points, then a challenge; one point, a
    challenge, two scalars.

    Source: Bootle et al. (2016), Buenz et al., Bulletproofs (2018), with blinding as in Hyrax.
    """
    # Six bad values of u per round (u^2 enters, four transcripts extract), the base, the last move.
    ch.note(label, 6 * (len(weights).bit_length() - 1) + 2)
    base = ch.challenge(f"{label}/base")
    argument = FoldTranscript(vector, weights, claim, base)
    state: Any = ch.compute(lambda: ch.fold_start(vector, weights, claim, base))
    for _ in range(len(weights).bit_length() - 1):
        left, right = ch.points(f"{label}/cross", 2, lambda: state.cross())
        u = ch.challenge(f"{label}/u")
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


def random_combination(ch: Speaker, label: str, handles: Sequence[Handle]) -> tuple[list[int], Handle]:
    """Draw a challenge c; return its powers 1, c, c^2, ... and sum_k c^k handle_k."""
    ch.note(label, len(handles) - 1)
    challenge = ch.challenge(label)
    powers = [1]
    while len(powers) < len(handles):
        powers.append(powers[-1] * challenge % R)
    return powers, combination(powers, handles)
