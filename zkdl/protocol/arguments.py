"""The building blocks of the protocol: committed sumcheck, quadratic relation, inner product.

Each is one function over a `Channel`, run by both sides. Nothing leaves the prover but Pedersen
commitments and masked answers, so each is zero-knowledge when challenges are honest; soundness
follows from the binding of the commitments (discrete logarithm in G1, random oracle for the
challenges).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import Reason
from zkdl.protocol.channel import Channel, FoldTranscript, Handle, Vector
from zkdl.protocol.transcript import FR_MODULUS as R


class Rounds(Protocol):
    """What a prover brings to a sumcheck."""

    def coefficients(self) -> list[int]:
        """Coefficients (constant first) of the current round polynomial."""

    def bind(self, challenge: int) -> None:
        """Fix the highest free variable."""


def sumcheck(
    ch: Channel,
    label: str,
    claim: Handle,
    num_vars: int,
    degree: int,
    rounds: Callable[[], Rounds],
) -> tuple[list[int], Handle]:
    """Reduce "f sums to ``claim`` over the cube" to "f equals the returned handle at the point".

    Round polynomials g(X) = c_0 + ... + c_k X^k are committed by their coefficients except c_1,
    which both sides derive from g(0) + g(1) = claim: a round then needs no proof of its own. The
    highest variable is bound first, so that instances with fewer variables, taken as zero
    wherever an extra variable is one, share the low coordinates of the point.

    Args:
        claim: handle of the claimed sum.
        num_vars: number of rounds.
        degree: bound k on the degree of every round polynomial, at least 2.
        rounds: makes the prover's tables; called on the prover's side only.

    Returns:
        The point (least significant variable first) and the handle of the final claim.

    *Transcript*: per round, ``degree`` commitments (c_0, c_2, ..., c_k), then one challenge.

    Source: Cramer and Damgard (1998) for sumchecks on commitments; Wahby et al., Hyrax (2018).
    Soundness error ``num_vars * degree / r`` besides binding.
    """
    ch.note(label, num_vars * degree)
    tables = ch.compute(rounds)
    point: list[int] = []
    for k in range(num_vars):

        def sent() -> Sequence[int]:
            assert tables is not None
            c = tables.coefficients()
            c += [0] * (degree + 1 - len(c))
            return [c[0], *c[2:]]

        c0, *higher = ch.scalars(f"{label}/round", degree, sent)
        r = ch.challenge(f"{label}/r{k}")
        c1 = claim - 2 * c0
        for c in higher:
            c1 = c1 - c
        claim = c0 + r * c1
        power = r
        for c in higher:
            power = power * r % R
            claim = claim + power * c
        if tables is not None:
            tables.bind(r)
        point.append(r)
    return point[::-1], claim


def quadratic(
    ch: Channel,
    label: str,
    terms: Sequence[tuple[int, Handle, Handle]],
    target: Handle,
    reason: Reason | None = None,
) -> None:
    """Prove sum_i k_i a_i b_i = target for committed a_i, b_i and public k_i.

    Three moves: a mask x of every distinct left factor and a commitment to sum k x b; a challenge
    e; the masked factors z = e a + x, with which the verifier scales the right factors itself:
    sum k z b - cross - e target is then a commitment to zero, of which the prover sends the
    blinding. Put the factor that occurs more often on the left. With no terms it proves that
    ``target`` is a commitment to zero. ``reason`` is what a failure means, by default that of the
    section.

    *Transcript*: one mask per distinct left factor, the cross term; the challenge; per left factor
    its masked value and blinding; the blinding of the equation. Special soundness from two
    transcripts; perfect zero knowledge for an honest verifier.
    """
    ch.note(label, 1)
    factors = {id(a): a for _, a, _ in terms}
    masks = ch.scalars(f"{label}/mask", len(factors))
    mask_of = dict(zip(factors, masks, strict=True))

    def cross_term() -> list[int]:
        return [sum(k * ch.value(mask_of[id(a)]) * ch.value(b) for k, a, b in terms) % R]

    (cross,) = ch.scalars(f"{label}/cross", 1, cross_term)
    e = ch.challenge(f"{label}/e")
    opened = {key: ch.reveal(f"{label}/factor", e * a + mask_of[key], reason) for key, a in factors.items()}
    rest = -e % R * target - cross
    for k, a, b in terms:
        rest = rest + k * opened[id(a)] % R * b
    ch.reveal_as(f"{label}/equation", rest, 0, reason)


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


def random_combination(ch: Channel, label: str, handles: Sequence[Handle]) -> tuple[list[int], Handle]:
    """Draw a challenge c; return its powers 1, c, c^2, ... and sum_k c^k handle_k."""
    ch.note(label, len(handles) - 1)
    challenge = ch.challenge(label)
    powers, total, power = [], None, 1
    for handle in handles:
        powers.append(power)
        total = power * handle if total is None else total + power * handle
        power = power * challenge % R
    return powers, total
