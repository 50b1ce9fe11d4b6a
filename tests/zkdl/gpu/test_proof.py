"""A whole proof through the kernels is the processor's proof, byte for byte."""

import pytest

from tests.zkdl.golden.make import make_run
from zkdl.arithmetic.backend import use_engine
from zkdl.prover import UnsafeSeededRandomness, prove
from zkdl.verifier import verify


def proof_of(run, ranges):
    return prove(run.statement, run.witness, ranges=ranges, randomness=UnsafeSeededRandomness(7))


@pytest.mark.parametrize("ranges", ["lookup", "bits"])
def test_a_whole_proof(engine, ranges):
    run = make_run()
    found = proof_of(run, ranges)
    assert sum(engine.launches.values()) > 500, "the proof was made by the processor"
    assert set(engine.fallbacks) <= {"numpy", "combine_blocks", "fixed_base.mul"}
    # The verifier, too, may be run with the device in use.
    verify(run.statement, found)
    use_engine(None)
    assert bytes(found) == bytes(proof_of(run, ranges))
    verify(run.statement, found)
