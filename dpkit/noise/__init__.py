"""Exact discrete noise from operating-system entropy."""

from dpkit.noise.radial import MAX_DIMENSION
from dpkit.noise.scales import MAX_SCALE, rational_up, sqrt_up
from dpkit.noise.sources import (
    NoiseSource,
    OSNoise,
    UnsafeSeededNoise,
    discrete_gaussian,
    discrete_gaussian_vector,
    discrete_laplace,
    discrete_laplace_vector,
    discrete_radial,
)

__all__ = [
    "MAX_DIMENSION",
    "MAX_SCALE",
    "NoiseSource",
    "OSNoise",
    "UnsafeSeededNoise",
    "discrete_gaussian",
    "discrete_gaussian_vector",
    "discrete_laplace",
    "discrete_laplace_vector",
    "discrete_radial",
    "rational_up",
    "sqrt_up",
]
