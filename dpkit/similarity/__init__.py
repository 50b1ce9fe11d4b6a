"""Private sums of kernels and distances: public feature maps, integer sums, sealed releases."""

from dpkit.similarity.distance import DistanceSum, DistanceSumBuilder
from dpkit.similarity.kde import KDE, KDEBuilder

__all__ = ["KDE", "DistanceSum", "DistanceSumBuilder", "KDEBuilder"]
