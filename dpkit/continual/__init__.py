"""Statistics of a stream, kept private while it runs."""

from dpkit.continual.choose import Prediction
from dpkit.continual.counter import Counter
from dpkit.continual.design import Release
from dpkit.continual.distinct import DistinctCount
from dpkit.continual.histogram import Histogram
from dpkit.continual.maximum import MaxSum, RowRelease, SumSelect
from dpkit.continual.plans import Plan
from dpkit.continual.state import ClaimFolder
from dpkit.continual.topk import TopK, TopKRelease
from dpkit.continual.vector import VectorCounter

__all__ = [
    "ClaimFolder",
    "Counter",
    "DistinctCount",
    "Histogram",
    "MaxSum",
    "Plan",
    "Prediction",
    "Release",
    "RowRelease",
    "SumSelect",
    "TopK",
    "TopKRelease",
    "VectorCounter",
]
