"""Zero-knowledge proofs of neural-network training."""
