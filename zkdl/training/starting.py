"""Runs on what was committed before: records and initial weights with commitments of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.settings import Settings
from zkdl.training.committed import CommittedData, CommittedWeights
from zkdl.training.fit import Plan
from zkdl.training.resume import Handover

__all__ = ["Records", "from_committed", "on_committed", "records_of", "settings_for"]


@dataclass(frozen=True)
class Records:
    """Records that are committed already.

    Attributes:
        commitment: One 48-byte point per record.
        blinds: Their blinding factors, (n, 4).
        ranges: `Statement.data_ranges` of runs on them.
    """

    commitment: bytes
    blinds: NDArray[np.uint64]
    ranges: str


def on_committed(data: CommittedData, X: object, y: object, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """Records as X and y of `zkdl.train`, exactly; fills in ``classes`` and ``test``.

    Raises:
        InputError: An argument contradicts the committed records.
    """
    if not isinstance(data, CommittedData):
        raise InputError(f"data must be zkdl.CommittedData (zkdl.commit_data), got {type(data).__name__}")
    if X is not None or y is not None:
        raise InputError("X and y come with data: leave them out")
    if arguments["classes"] not in (None, data.classes):
        raise InputError(f"classes must be {data.classes}, as committed, got {arguments['classes']!r}")
    arguments["classes"] = data.classes
    if arguments["test"] is None:
        arguments["test"] = data.test
    return data.features, data.targets


def records_of(data: CommittedData, plan: Plan) -> Records:
    """The commitment of the records that ``plan`` is made of.

    Raises:
        InputError: The settings of the plan are not those of the records.
    """
    for name, value in data.settings().items():
        found = getattr(plan.settings, name)
        if found != value:
            raise InputError(f"{name} must be {value}, with which the records were committed, got {found}")
    if not np.array_equal(plan.data, data.data):
        raise InputError("data: the committed records are not what their features and labels round to")
    return Records(data.table.commitment, data.blinds, "separate")


def settings_for(
    data: CommittedData | None, initial: CommittedWeights | None, arguments: dict[str, Any]
) -> Settings | None:
    """The settings given, or chosen so that they fit what is committed."""
    overrides: dict[str, int] = {}
    if data is not None:
        overrides.update(data.settings())
    if initial is not None:
        overrides["weight_scale"] = initial.table.scale
    if arguments["settings"] is not None or not overrides:
        return arguments["settings"]
    return Settings.choose(arguments["batch_size"], arguments["learning_rate"], **overrides)


def from_committed(
    initial: CommittedWeights, X: object, y: object, arguments: dict[str, Any]
) -> tuple[Plan, Handover]:
    """The plan of a run that starts from committed weights, and what it takes over.

    Args:
        initial: The weights.
        X, y: The records.
        arguments: Of `zkdl.train`; None stands for what the weights say.

    Raises:
        InputError: An argument contradicts the committed weights.
    """
    table = initial.table
    if arguments["initial_seed"] is not None:
        raise InputError("initial_seed names other initial weights than initial: give one of the two")
    for name, value in (("hidden", table.widths[1:-1]), ("bias", table.bias)):
        given = arguments[name]
        if given is not None and (tuple(given) if name == "hidden" else given) != value:
            raise InputError(
                f"{name} must be that of the committed weights, {value!r}, got {given!r}; leave it out"
            )
        arguments[name] = value
    plan = Plan.make(X, y, **arguments)
    if plan.widths != table.widths:
        raise InputError(
            f"the records have {plan.widths[0]} features and {plan.widths[-1]} outputs, the committed "
            f"weights are for {table.widths[0]} and {table.widths[-1]}"
        )
    if plan.settings.weight_scale != table.scale:
        raise InputError(
            f"weight_scale must be {table.scale}, with which the weights were committed, "
            f"got {plan.settings.weight_scale}"
        )
    added = (initial.weights, initial.biases)
    handover = Handover(added, initial.blinds, table.commitment, table.offset, table.row_bits)
    return replace(plan, initial_seed=None, added=added), handover
