"""What users meet: the public names, lazily imported, with the signatures of the interface page."""

import inspect

import numpy as np
import pytest

import dpkit
from dpkit.similarity.distance_settings import DistanceArguments


def test_every_public_name_is_there():
    for name in dpkit.__all__:
        assert getattr(dpkit, name) is not None
        assert name in dir(dpkit)
    with pytest.raises(AttributeError, match="teapot"):
        _ = dpkit.teapot


def test_the_constructor_takes_what_the_interface_says():
    parameters = inspect.signature(dpkit.KDE).parameters
    defaults = {name: p.default for name, p in parameters.items() if name != "X"}
    assert next(iter(parameters)) == "X"
    assert defaults == {
        "kernel": "gaussian",
        "bandwidth": 1.0,
        "epsilon": 1.0,
        "delta": 0.0,
        "neighbours": "add-remove",
        "bounds": None,
        "features": None,
        "public_seed": 0,
        "expected_records": None,
        "structure": "auto",
        "reduce": None,
        "radius": None,
        "backend": "cpu",
    }
    shared = inspect.signature(dpkit.KDE.builder).parameters
    assert {name: p.default for name, p in shared.items() if name != "d"} == defaults


def test_the_builder_of_distances_is_typed_by_what_its_class_takes():
    parameters = list(inspect.signature(dpkit.DistanceSum).parameters)
    assert list(DistanceArguments.__annotations__) == parameters[1:]


def test_relations_may_be_given_as_enumeration():
    relation = dpkit.NeighbourRelation.REPLACE
    kde = dpkit.KDE(np.zeros((3, 1)), neighbours=relation, features=4)
    assert type(kde.neighbours) is str
    assert kde.guarantee.neighbours == "replace"


def test_guarantees_of_releases_compose():
    X = np.zeros((3, 1))
    total = dpkit.KDE(X, epsilon=0.25, features=4).guarantee + dpkit.KDE(X, epsilon=0.5, features=4).guarantee
    assert total == dpkit.PureDP(0.75)
    ledger = dpkit.Ledger(dpkit.PureDP(0.5))
    ledger.spend(dpkit.KDE(X, epsilon=0.5, features=4).guarantee, "kde")
    with pytest.raises(dpkit.BudgetSpentError):
        ledger.spend(dpkit.KDE(X, epsilon=0.5, features=4).guarantee, "kde again")


def test_errors_derive_from_one_base():
    for name in ("ArgumentError", "BudgetSpentError", "FormatError", "MergeError", "MissingBoundsError"):
        assert issubclass(getattr(dpkit, name), dpkit.DpkitError)
    for name in ("ArgumentError", "FormatError", "MergeError"):
        assert issubclass(getattr(dpkit, name), ValueError)
