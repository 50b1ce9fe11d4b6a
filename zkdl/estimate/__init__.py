"""What a proof will cost, before proving: seconds, memory, bytes."""

from zkdl.estimate.estimate import Estimate, estimate

__all__ = ["Estimate", "estimate"]
