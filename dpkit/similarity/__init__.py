"""Private sums of kernels: public feature maps, integer sums, sealed releases."""

from dpkit.similarity.builder import KDEBuilder
from dpkit.similarity.kde import KDE

__all__ = ["KDE", "KDEBuilder"]
