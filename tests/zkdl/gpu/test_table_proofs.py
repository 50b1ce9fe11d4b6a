"""The proof of a committed table through the kernels is the processor's, byte for byte."""

import pytest

from tests.zkdl.adversaries import tables
from zkdl.arithmetic.backend import use_engine
from zkdl.prover import UnsafeSeededRandomness, prove_table
from zkdl.verifier import verify_table

# What the processor does on purpose, and what NumPy is asked for on short arrays.
LEFT = {"numpy", "combine_blocks", "fixed_base.mul"}


@pytest.mark.parametrize("make", [tables.data, tables.weights])
def test_a_whole_table(engine, make):
    use_engine(None)
    made = make()

    def proof():
        return prove_table(made.table, made.entries, made.blinds, randomness=UnsafeSeededRandomness(7))

    wanted = proof()
    use_engine(engine)
    found = proof()
    assert set(engine.fallbacks) <= LEFT
    assert sum(engine.launches.values()) > 100, "the proof was made by the processor"
    verify_table(made.table, found)
    use_engine(None)
    assert bytes(found) == bytes(wanted)
