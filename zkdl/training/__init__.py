"""Exact fixed-point SGD: the relation's oracle and the source of witnesses."""

from zkdl.training.check import check_witness
from zkdl.training.committed import CommittedData, CommittedWeights
from zkdl.training.exporting import export
from zkdl.training.fit import Fit, fit
from zkdl.training.history import History
from zkdl.training.run import Run, train
from zkdl.training.witness import Witness

__all__ = [
    "CommittedData",
    "CommittedWeights",
    "Fit",
    "History",
    "Run",
    "Witness",
    "check_witness",
    "export",
    "fit",
    "train",
]
