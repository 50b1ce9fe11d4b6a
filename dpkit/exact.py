"""Exact answers without privacy: the oracles for tests and benchmarks."""

from dpkit.similarity.distances import distance_sum
from dpkit.similarity.kernels import kernel_sum

__all__ = ["distance_sum", "kernel_sum"]
