"""Private sums of kernels: public feature maps, integer sums, sealed releases."""

from dpkit.similarity.kde import KDE, KDEBuilder

__all__ = ["KDE", "KDEBuilder"]
