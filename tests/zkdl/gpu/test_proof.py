"""A whole proof through the kernels is the processor's proof, byte for byte."""

import numpy as np
import pytest

import zkdl
from tests.zkdl.adversaries import chains
from tests.zkdl.golden.make import make_run
from zkdl.arithmetic.backend import use_engine
from zkdl.arithmetic.gpu import LINE
from zkdl.protocol.chain import hand_on
from zkdl.prover import UnsafeSeededRandomness, prove
from zkdl.verifier import verify

# What the processor does on purpose, and what NumPy is asked for on short arrays.
LEFT = {"numpy", "combine_blocks", "fixed_base.mul"}


def proof_of(run, ranges):
    return prove(run.statement, run.witness, ranges=ranges, randomness=UnsafeSeededRandomness(7))


@pytest.mark.parametrize("ranges", ["lookup", "bits"])
def test_a_whole_proof(engine, ranges):
    run = make_run()
    found = proof_of(run, ranges)
    assert sum(engine.launches.values()) > 500, "the proof was made by the processor"
    assert set(engine.fallbacks) <= LEFT
    # The verifier, too, may be run with the device in use.
    verify(run.statement, found)
    use_engine(None)
    assert bytes(found) == bytes(proof_of(run, ranges))
    verify(run.statement, found)


def test_a_proof_of_a_run_that_continues_another(engine):
    use_engine(None)
    first, second, _ = chains.honest()
    wanted = proof_of(second, "bits")
    use_engine(engine)
    found = proof_of(second, "bits")
    assert set(engine.fallbacks) <= LEFT
    assert bytes(found) == bytes(wanted)
    use_engine(None)
    verify(second.statement, found, initial=hand_on(first.statement))


@pytest.mark.slow
def test_a_larger_proof_at_the_usual_line(engine):
    """Tables cross the line in both directions; nothing above it goes back to the host but points."""
    engine.line = LINE
    rng = np.random.default_rng(1)
    use_engine(None)
    run = zkdl.train(
        rng.random((96, 64)),
        rng.integers(0, 10, 96),
        hidden=(64, 32),
        steps=4,
        batch_size=32,
        learning_rate="1/64",
        seed=1,
    )
    wanted = proof_of(run, "lookup")
    use_engine(engine)
    assert bytes(proof_of(run, "lookup")) == bytes(wanted)
    assert set(engine.fallbacks) <= {"combine_blocks", "fixed_base.mul"}
    assert engine.moved_bytes < 1 << 16
