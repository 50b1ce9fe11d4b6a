"""The prover."""

from zkdl.prover.prove import prove
from zkdl.prover.randomness import OSRandomness, UnsafeSeededRandomness

__all__ = ["OSRandomness", "UnsafeSeededRandomness", "prove"]
