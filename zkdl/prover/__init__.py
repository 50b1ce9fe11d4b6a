"""The prover."""

from zkdl.prover.commit import commit_data, commit_weights
from zkdl.prover.prove import prove
from zkdl.prover.randomness import OSRandomness, UnsafeSeededRandomness
from zkdl.prover.table import prove_table

__all__ = [
    "OSRandomness",
    "UnsafeSeededRandomness",
    "commit_data",
    "commit_weights",
    "prove",
    "prove_table",
]
