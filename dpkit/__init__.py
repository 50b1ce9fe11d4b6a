"""Differentially private data structures: release once, query as often as you like."""

from typing import TYPE_CHECKING, Any

from dpkit._version import __version__
from dpkit.errors import (
    ArgumentError,
    BudgetSpentError,
    DpkitError,
    FormatError,
    HorizonError,
    MergeError,
    MissingBoundsError,
)
from dpkit.guarantee import (
    GDP,
    ZCDP,
    ApproxDP,
    Guarantee,
    NeighbourRelation,
    PureDP,
    compose,
    mu_for,
    rho_for,
)

if TYPE_CHECKING:
    from dpkit import audit, continual, datasets, distributed, exact, noise
    from dpkit._loading import load
    from dpkit.continual.counter import Counter
    from dpkit.continual.distinct import DistinctCount
    from dpkit.continual.histogram import Histogram
    from dpkit.continual.maximum import MaxSum, SumSelect
    from dpkit.continual.topk import TopK
    from dpkit.continual.vector import VectorCounter
    from dpkit.ledger import Ledger
    from dpkit.similarity.classifier import SimilarityClassifier
    from dpkit.similarity.distance import DistanceSum, DistanceSumBuilder
    from dpkit.similarity.kde import KDE, KDEBuilder

# Names that compiled kernels stand behind are imported on first use, so that `import dpkit` stays quick.
_LAZY = {
    "Counter": "dpkit.continual.counter",
    "DistanceSum": "dpkit.similarity.distance",
    "DistanceSumBuilder": "dpkit.similarity.distance",
    "DistinctCount": "dpkit.continual.distinct",
    "Histogram": "dpkit.continual.histogram",
    "KDE": "dpkit.similarity.kde",
    "KDEBuilder": "dpkit.similarity.kde",
    "Ledger": "dpkit.ledger",
    "MaxSum": "dpkit.continual.maximum",
    "SimilarityClassifier": "dpkit.similarity.classifier",
    "SumSelect": "dpkit.continual.maximum",
    "TopK": "dpkit.continual.topk",
    "VectorCounter": "dpkit.continual.vector",
    "load": "dpkit._loading",
}
_LAZY_MODULES = ("audit", "continual", "datasets", "distributed", "exact", "noise")

__all__ = [
    "GDP",
    "KDE",
    "ZCDP",
    "ApproxDP",
    "ArgumentError",
    "BudgetSpentError",
    "Counter",
    "DistanceSum",
    "DistanceSumBuilder",
    "DistinctCount",
    "DpkitError",
    "FormatError",
    "Guarantee",
    "Histogram",
    "HorizonError",
    "KDEBuilder",
    "Ledger",
    "MaxSum",
    "MergeError",
    "MissingBoundsError",
    "NeighbourRelation",
    "PureDP",
    "SimilarityClassifier",
    "SumSelect",
    "TopK",
    "VectorCounter",
    "__version__",
    "audit",
    "compose",
    "continual",
    "datasets",
    "distributed",
    "exact",
    "load",
    "mu_for",
    "noise",
    "rho_for",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    elif name in _LAZY_MODULES:
        value = import_module(f"dpkit.{name}")
    else:
        raise AttributeError(f"module 'dpkit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
