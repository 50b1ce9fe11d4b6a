"""The prover's state of one inner-product argument."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.protocol.commitment import blind_base, row_bases, value_base
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.randomness import Randomness

Array = NDArray[np.uint64]


# The bases are folded when so many rounds have passed, and left alone when there are fewer than so many: the
# sums are then so short that folding costs more than it saves. Measured.
_DELAY = 2
_FEWEST = 64


class FoldProver:
    """Halves a vector and its weights, committing to the cross terms of every round.

    The bases are folded several rounds at a time (`zkdl.arithmetic.combine_blocks`): until then the scalars
    that a folded base would get are spread over the bases at hand (``_spread``). Folded bases are kept up to
    one common factor, which the scalars carry, so that one block of each fold needs no multiplication.
    """

    def __init__(self, vector: Array, weights: Array, blind: int, base: int, randomness: Randomness) -> None:
        n = len(weights)
        # A record is shorter than a row: the rest of its row is zero.
        self._vector = np.concatenate([vector, za.Fr.zeros(n - len(vector))])
        self._weights = np.copy(weights)
        self._blind = blind
        self._base = base
        self._randomness = randomness
        self._points = row_bases(n)
        self._tail = np.concatenate([value_base(), blind_base()])
        self._spread = za.Fr.ones(1)
        self._cross_blinds = [0, 0]

    def _commit(self, local: Array, first: int, value: int, blind: int) -> Array:
        """sum_j local_j G'_(first + j) + value * base * VALUE + blind * BLIND over the folded bases G'."""
        spread, n = self._spread, len(local)
        full = za.Fr.mul(np.repeat(spread, n, axis=0), np.tile(local, (len(spread), 1)))
        tail = za.Fr.from_ints([value * self._base % R, blind])
        points = self._points.reshape(len(spread), -1, 12)[:, first : first + n].reshape(-1, 12)
        return za.msm(np.concatenate([points, self._tail]), np.concatenate([full, tail]))

    def cross(self) -> Array:
        """The two cross terms of the current round, shape (2, 12)."""
        half = len(self._vector) // 2
        low, high = self._vector[:half], self._vector[half:]
        w_low, w_high = self._weights[:half], self._weights[half:]
        self._cross_blinds = [int(b) for b in za.Fr.to_ints(self._randomness.elements(2))]
        (left,) = za.Fr.to_ints(za.Fr.inner(low, w_high))
        (right,) = za.Fr.to_ints(za.Fr.inner(high, w_low))
        first = self._commit(low, half, left, self._cross_blinds[0])
        second = self._commit(high, 0, right, self._cross_blinds[1])
        return np.concatenate([first, second])

    def fold(self, u: int) -> None:
        """Fold with challenge u: v' = u v_low + v_high / u, weights and bases the other way."""
        half = len(self._vector) // 2
        inverse = pow(u, -1, R)
        up, down = za.Fr.from_ints([u]), za.Fr.from_ints([inverse])
        low, high = self._vector[:half], self._vector[half:]
        w_low, w_high = self._weights[:half], self._weights[half:]
        self._vector = za.Fr.add(za.Fr.mul(low, up), za.Fr.mul(high, down))
        self._weights = za.Fr.add(za.Fr.mul(w_low, down), za.Fr.mul(w_high, up))
        pairs = np.concatenate([down, up])
        self._spread = za.Fr.mul(np.repeat(self._spread, 2, axis=0), np.tile(pairs, (len(self._spread), 1)))
        self._fold_bases()
        left, right = self._cross_blinds
        self._blind = (u * u * left + self._blind + inverse * inverse * right) % R

    def _fold_bases(self) -> None:
        if len(self._points) < _FEWEST or len(self._spread) < 1 << _DELAY:
            return
        common = self._spread[:1]
        self._points = za.combine_blocks(self._points, za.Fr.mul(self._spread, za.Fr.inverse(common)))
        self._spread = common

    def mask(self) -> Array:
        """First move of the closing Schnorr proof."""
        self._nonce, self._nonce_blind = (int(x) for x in za.Fr.to_ints(self._randomness.elements(2)))
        local = za.Fr.from_ints([self._nonce])
        (weight,) = za.Fr.to_ints(self._weights)
        return self._commit(local, 0, self._nonce * int(weight) % R, self._nonce_blind)

    def answer(self, e: int) -> list[int]:
        """Last move: the masked entry and its blinding."""
        (entry,) = za.Fr.to_ints(self._vector)
        return [(self._nonce + e * int(entry)) % R, (self._nonce_blind + e * self._blind) % R]
