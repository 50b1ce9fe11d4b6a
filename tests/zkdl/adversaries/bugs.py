"""Planted bugs that prover and verifier share, for attacks that no single equation stops."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol import lookup, update
from zkdl.protocol.claims import BlockPart
from zkdl.protocol.publics import eq_index
from zkdl.protocol.sampling import batches
from zkdl.prover import lookup as prover_lookup

from .guards import planted


def own_order(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], AbstractContextManager[Any]]:
    """The bug of not deriving batches from the seed: both sides take the prover's."""

    def named_by_prover(seed: int, records: int, batch_size: int, steps: int, first: int) -> np.ndarray:
        del seed, records, batch_size, steps, first
        return change(batches(1, 4, 2, 2))

    return lambda: planted(("zkdl.protocol.instance.batches", named_by_prover))


def diagonal_identity_test() -> AbstractContextManager[Any]:
    """The bug of an early draft: the difference of a square layer tested at (y, y)."""
    honest_functionals, honest_terms = update._final_functionals, update.update_terms

    def functionals(instance: Any, y: list[int], rho: list[int]) -> Any:
        out = honest_functionals(instance, y, rho)
        n = instance.width_vars[2]
        out[1] = ([BlockPart("final", ("weight", 2), 1, (*y[:n], *y[:n]))], 0)
        return out

    def terms(instance: Any, powers: list[int]) -> Any:
        out = honest_terms(instance, powers)
        return [
            replace(t, forward=("forward_y", 1)) if not t.masked and t.forward == ("forward_rho", 1) else t
            for t in out
        ]

    return planted(
        ("zkdl.protocol.update._final_functionals", functionals),
        ("zkdl.protocol.update.update_terms", terms),
        ("zkdl.prover.update.update_terms", terms),
    )


def padding_continues_the_narrowest_table() -> AbstractContextManager[Any]:
    """The bug of a table whose unused entries go on counting: (7 bits, 128) is then an entry."""
    honest_at, honest_leaves = lookup.table_at, prover_lookup.table_denominators

    def extra(stack: Any, c: Any) -> tuple[int, int]:
        used = sum(block.size for block in stack.blocks)
        first = int(stack.blocks[0].name[1])
        return used, (c.beta * first - c.beta * 7 - 128) % lookup.R

    def at(stack: Any, c: Any, point: Any) -> int:
        used, change = extra(stack, c)
        return (honest_at(stack, c, point) + change * eq_index(point, used)) % lookup.R

    def leaves(stack: Any, c: Any) -> np.ndarray:
        q = honest_leaves(stack, c)
        used, change = extra(stack, c)
        q[used : used + 1] = za.Fr.add(q[used : used + 1], za.Fr.from_ints([change]))
        return q

    return planted(
        ("zkdl.protocol.lookup.table_at", at),
        ("zkdl.prover.lookup.table_denominators", leaves),
    )
