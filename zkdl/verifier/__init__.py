"""The verifier; imports neither the prover nor the trainer."""

from zkdl.verifier.chain import verify_chain
from zkdl.verifier.table import verify_table
from zkdl.verifier.verify import verify

__all__ = ["verify", "verify_chain", "verify_table"]
