"""Sums of fractions by trees: the engine of the lookup arguments.

The sum of the 2^n fractions at the leaves of a tree is the root p/q of a binary tree of fractions,
p0/q0 + p1/q1 = (p0 q1 + p1 q0) / (q0 q1). One sumcheck per layer carries claims on p and q from the
roots to the leaves, for all trees of a group together; what a claim on the leaves of a tree means is for
the tree to say. Nothing is committed besides messages.

Source: Papini and Haboeck (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from zkdl.protocol.arguments import Rounds, random_combination, sumcheck
from zkdl.protocol.layout import Stack
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.linear import Linear, total
from zkdl.protocol.points import LookupChallenges
from zkdl.protocol.publics import Point, eq_index
from zkdl.protocol.transcript import FR_MODULUS as R

Relation = tuple[list[tuple[int, Linear, Linear]], Linear]
"""Products and the target that they have to add up to."""

LeafClaim = Callable[[list[int], Linear, Linear], Linear]
"""Takes a point and claims p, q on the leaves there; keeps the claim on q, returns what must be zero of p."""


class FractionWork(Protocol):
    """What the trees ask of a prover."""

    def lookup_roots(self) -> list[int]:
        """p, q and 1/q of every tree of the group at hand."""

    def lookup_rounds(self, layer: int, point: list[int], coefs: dict[str, tuple[int, int]]) -> Rounds:
        """Tables of one layer of all trees in ``coefs``."""

    def lookup_values(self, tree: str) -> list[int]:
        """p0, p1, q0, q1 of a tree at the end of the current layer."""


@dataclass(frozen=True)
class Tree:
    """One fraction sum.

    Args:
        name: what the prover calls it.
        num_vars: depth: variables of its leaves.
        leaf: what becomes of claims on its leaves.
    """

    name: str
    num_vars: int
    leaf: LeafClaim


@dataclass
class Group:
    """Trees that go down together, and the claims on them so far.

    Attributes:
        trees: the trees, in the order of their roots.
        claims: name -> claims on p and q of the layer that was reached.
        inverses: name -> the claimed inverse of the root's denominator.
    """

    trees: Sequence[Tree]
    claims: dict[str, tuple[Linear, Linear]]
    inverses: dict[str, Linear]

    def root(self, name: str, sign: int = 1) -> tuple[int, Linear, Linear]:
        """sign * p/q of a root as a product; before `descend`."""
        return sign, self.claims[name][0], self.inverses[name]


def draw(ch: Ledger, leaves: int) -> LookupChallenges:
    """alpha and beta of an identity of ``leaves`` fractions, drawn after all that the fractions hold.

    A false identity survives at the roots of a polynomial of degree below ``leaves`` in alpha; two
    distinct (width, value) pairs collide for at most one beta.
    """
    c = LookupChallenges(ch.challenge("lookup/alpha"), ch.challenge("lookup/beta"))
    ch.note("lookup/identity", 2 * leaves)
    return c


def plant(ch: Ledger, trees: Sequence[Tree], work: FractionWork | None) -> Group:
    """Send the roots of some trees, with inverses of their denominators and a proof that they are.

    *Transcript*: p, q and 1/q of every root; one closing relation.
    """
    roots = ch.scalars("lookup/roots", 3 * len(trees), lambda: work.lookup_roots())  # type: ignore[union-attr]
    group = Group(trees, {}, {})
    for k, tree in enumerate(trees):
        p, q, group.inverses[tree.name] = roots[3 * k : 3 * k + 3]
        group.claims[tree.name] = (p, q)
    one = 0 * roots[0] + 1
    relations: list[Relation] = [
        ([(1, group.claims[tree.name][1], group.inverses[tree.name])], one) for tree in trees
    ]
    _combined(ch, "lookup/inverse", relations)
    return group


def descend(ch: Ledger, group: Group, work: FractionWork | None) -> None:
    """Carry the claims of a group from its roots to its leaves.

    *Transcript*: per layer the combination, the rounds, four evaluations per tree and the challenge that
    joins the halves; a random combination of the relations that close the layers; last, what the leaves
    leave of public numerators.
    """
    point: list[int] = []
    public: list[Relation] = []
    closing: list[Relation] = []
    for layer in range(max(tree.num_vars for tree in group.trees)):
        active = [tree for tree in group.trees if tree.num_vars > layer]
        names = [tree.name for tree in active]
        point, relation = _layer(ch, layer, point, names, group.claims, work)
        closing.append(relation)
        for tree in active:
            if tree.num_vars == layer + 1:
                public.append(([], tree.leaf(point, *group.claims[tree.name])))
    _combined(ch, "lookup/layers", closing)
    _combined(ch, "lookup/leaves", public)


def table_at(stack: Stack, c: LookupChallenges, point: Point) -> int:
    """Leaf denominator of the table at a point; unused entries repeat the first entry.

    Args:
        stack: Layout of the table, block ("range", n) for the values below 2^n.
    """
    out = rest = 0
    for block in stack.blocks:
        n, width = block.num_vars, int(block.name[1])
        weight = eq_index(point[n:], block.offset >> n)
        value = sum(r << i for i, r in enumerate(point[:n]))
        out += weight * (c.alpha - value - c.beta * width)
        rest += weight
    first = int(stack.blocks[0].name[1])
    return (out + (1 - rest) * (c.alpha - c.beta * first)) % R


def _combined(ch: Ledger, label: str, relations: list[Relation]) -> None:
    """Demand several relations by one random combination of them."""
    powers, target = random_combination(ch, label, [goal for _, goal in relations])
    terms = [
        (power * k % R, a, b)
        for power, (products, _) in zip(powers, relations, strict=True)
        for k, a, b in products
    ]
    ch.require(label, terms, target)


def _layer(
    ch: Ledger,
    layer: int,
    point: list[int],
    active: list[str],
    state: dict[str, tuple[Linear, Linear]],
    work: FractionWork | None,
) -> tuple[list[int], Relation]:
    """Claims on layer ``layer`` (2^layer fractions) become claims on the next.

    Returns their point and the relation that closes the sumcheck between them.
    """
    lam = ch.challenge("lookup/combine")
    ch.note(f"lookup/{layer}/combine", 2 * len(active))
    coefs: dict[str, tuple[int, int]] = {}
    power = 1
    for tree in active:
        coefs[tree] = (power, power * lam % R)
        power = coefs[tree][1] * lam % R
    claim = total(pair for tree in active for pair in zip(coefs[tree], state[tree], strict=True))
    rho, end = sumcheck(
        ch,
        f"lookup/{layer}",
        claim,
        layer,
        2,
        lambda: work.lookup_rounds(layer, point, coefs),  # type: ignore[union-attr]
        point,
    )
    values = ch.scalars(
        f"lookup/{layer}/values",
        4 * len(active),
        lambda: [v for tree in active for v in work.lookup_values(tree)],  # type: ignore[union-attr]
    )
    terms = []
    mu = ch.challenge("lookup/join")
    for k, tree in enumerate(active):
        p0, p1, q0, q1 = values[4 * k : 4 * k + 4]
        a, b = coefs[tree]
        terms += [(1, q1, a * p0 + b * q0), (a, q0, p1)]
        state[tree] = (p0 + mu * (p1 - p0), q0 + mu * (q1 - q0))
    return [*rho, mu], (terms, end)
