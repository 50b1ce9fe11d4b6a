"""Messages as rows of one committed table, and the relations between them, settled at the end.

What a plain prover would send in one move, a handful of field elements, travels as *one* commitment:
the entries of a row, on shared bases, with one blinding. Nothing is proved when it is sent. Every check
that a plain verifier would make is a relation between entries,

    sum_i k_i a_i b_i = target,

with a_i, b_i, target public linear combinations of entries (`Linear`). The ledger collects them, and
`Ledger.settle` proves all of them together when the last message has been sent:

1. a random combination makes one relation of all; its products, in a row, are one sumcheck of
   degree two, which leaves one product A B = end of linear combinations;
2. a three-move proof makes that linear: x is a committed mask, y = x B committed, then a challenge e
   and the masked factor z = e A + x in the clear. z - e A - x = 0 and z B - y - e end = 0 are linear;
3. a random combination of the two is one claim <weights, table> = c on the whole table: a sumcheck over
   the rows with its own commitments, and an inner-product argument on the combined row.

*Soundness.* The rows are extracted from the openings of enough combinations of them, as in Hyrax, and
binding makes them the ones that were fixed when each was sent, before the challenges that followed. What
is left is a protocol whose prover sends field elements and whose verifier checks linear and quadratic
relations between them: false relations survive the combinations, the two sumchecks and the challenge e
with the probabilities noted in `settle`. *Privacy*: rows are perfectly hiding; z is uniform because x is.

The value by which a relation misses is committed and opened to zero on the spot: redundant, 80 bytes, but
a relation that does not hold is then refused by its own equation with its own reason. A prover who lies
about the miss is refused by the opening of the table.

Source: Ben-Or et al. (1988) for committing to the messages of an interactive proof; Wahby et al., Hyrax
(2018); Setty, Spartan (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol.arguments import Rounds, inner_product, random_combination, sumcheck
from zkdl.protocol.channel import MESSAGE_WIDTH, Channel, Handle, Message, Section
from zkdl.protocol.layout import log2_ceil
from zkdl.protocol.linear import Linear, total
from zkdl.protocol.transcript import FR_MODULUS as R

T = TypeVar("T")
ProductRounds = Callable[[Sequence[int], Sequence[int]], Rounds]
"""Makes the rounds of the inner product of two lists."""


class Ledger:
    """A channel for messages and for relations between them.

    Args:
        channel: carries the commitments.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._rows: list[Message] = []
        self._entries: list[int] = []
        self._relations: list[tuple[list[tuple[int, Linear, Linear]], Linear]] = []

    def section(self, section: Section) -> None:
        """Enter the next section of the proof."""
        self.channel.section(section)

    def challenge(self, label: str) -> int:
        """Draw one challenge."""
        return self.channel.challenge(label)

    def challenges(self, label: str, count: int) -> list[int]:
        """Draw ``count`` challenges."""
        return self.channel.challenges(label, count)

    def note(self, label: str, numerator: int) -> None:
        """Record a soundness term."""
        self.channel.note(label, numerator)

    def compute(self, work: Callable[[], T]) -> T | None:
        """Run ``work`` on the prover's side only."""
        return self.channel.compute(work)

    def value(self, handle: Linear) -> int:
        """What a combination adds up to; on the prover's side only."""
        assert handle.value is not None
        return handle.value

    def scalars(
        self, label: str, count: int, values: Callable[[], Sequence[int]] | None = None
    ) -> list[Linear]:
        """Send field elements, a row for every `MESSAGE_WIDTH` of them; without ``values`` uniform ones."""
        out: list[Linear] = []
        given = None if values is None else self.compute(values)
        for start in range(0, count, MESSAGE_WIDTH):
            size = min(MESSAGE_WIDTH, count - start)
            part = None if given is None else list(given[start : start + size])
            message, entries = self.channel.message(label, size, part)
            first = MESSAGE_WIDTH * len(self._rows)
            self._rows.append(message)
            if entries is None:
                out += [Linear({first + k: 1}) for k in range(size)]
            else:
                self._entries += [*entries, *([0] * (MESSAGE_WIDTH - size))]
                out += [Linear({first + k: 1}, value=entry) for k, entry in enumerate(entries)]
        return out

    def lift(self, handle: Handle) -> Linear:
        """A single commitment as a combination."""
        return Linear({}, 0, handle, self.compute(lambda: self.channel.value(handle)))

    def require(
        self,
        label: str,
        terms: Sequence[tuple[int, Linear, Linear]],
        target: Linear,
        reason: Reason | None = None,
    ) -> None:
        """Demand sum_i k_i a_i b_i = target; with no terms, that ``target`` is zero.

        Args:
            terms: (k_i, a_i, b_i).
            reason: what a failure means, by default that of the section.

        *Transcript*: a commitment to the miss, which is zero, and its blinding.
        """

        def miss() -> list[int]:
            return [(sum(k * self.value(a) * self.value(b) for k, a, b in terms) - self.value(target)) % R]

        (difference,) = self.channel.scalars(f"{label}/miss", 1, miss)
        self.channel.reveal_as(f"{label}/miss", difference, 0, reason)
        self._relations.append((list(terms), target + self.lift(difference)))

    def settle(self, product_rounds: ProductRounds | None) -> None:
        """Prove every relation; nothing can be sent afterwards.

        Args:
            product_rounds: the prover's means; None on the verifier's side.

        *Transcript*: the combination; the rounds of the products; x; y; e; z; the combination; the
        rounds over the rows; the inner-product argument.
        """
        target = self._products(product_rounds)
        count = len(self._rows)
        row_vars = log2_ceil(count)
        weights = target.coefs

        def tables() -> Rounds:
            assert product_rounds is not None
            size = MESSAGE_WIDTH << row_vars
            public = [weights.get(place, 0) for place in range(size)]
            return product_rounds([*self._entries, *([0] * (size - len(self._entries)))], public)

        claim = -1 * target.scalar - target.constant
        point, end = sumcheck(self.channel, "ledger/rows", claim, row_vars, 2, tables)
        eq = za.multilinear.eq_table(point)
        at = za.Fr.to_ints(eq)
        columns = [0] * MESSAGE_WIDTH
        for place, coef in weights.items():
            row, column = divmod(place, MESSAGE_WIDTH)
            columns[column] += coef * at[row]
        vector = self.channel.join(self._rows, eq[:count])
        inner_product(self.channel, Reason.SUMCHECK, "ledger/opening", vector, za.Fr.from_ints(columns), end)

    def _products(self, product_rounds: ProductRounds | None) -> Linear:
        """One linear combination that is zero if, but for the noted chances, all relations hold."""
        powers, target = random_combination(self, "ledger/combine", [goal for _, goal in self._relations])
        left: list[Linear] = []
        right: list[Linear] = []
        for power, (terms, _) in zip(powers, self._relations, strict=True):
            left += [power * k % R * a for k, a, _ in terms]
            right += [b for *_, b in terms]
        if not left:
            return target
        num_vars = log2_ceil(len(left))

        def tables() -> Rounds:
            assert product_rounds is not None
            padding = [0] * ((1 << num_vars) - len(left))
            lists = ([*(self.value(h) for h in side), *padding] for side in (left, right))
            return product_rounds(*lists)

        point, end = sumcheck(self, "ledger/products", target, num_vars, 2, tables)
        eq = za.Fr.to_ints(za.multilinear.eq_table(point))[: len(left)]
        a, b = total(zip(eq, left, strict=True)), total(zip(eq, right, strict=True))
        return self._product(a, b, end)

    def _product(self, a: Linear, b: Linear, end: Linear) -> Linear:
        """What must be zero for a b = end."""
        (x,) = self.scalars("ledger/x", 1)
        (y,) = self.scalars("ledger/y", 1, lambda: [self.value(x) * self.value(b)])
        # Two transcripts with different e give A B = end.
        self.note("ledger/e", 1)
        e = self.challenge("ledger/e")
        (z,) = self.channel.clear("ledger/z", 1, lambda: [e * self.value(a) + self.value(x)])
        _, both = random_combination(self, "ledger/linear", [z - e * a - x, z * b - y - e * end])
        return both
