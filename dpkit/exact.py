"""Exact answers without privacy: the oracles for tests and benchmarks."""

from dpkit.similarity.kernels import kernel_sum

__all__ = ["kernel_sum"]
