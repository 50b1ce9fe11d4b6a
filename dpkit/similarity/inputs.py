"""Checks of public arguments: every message names the argument, what was expected and what came.

Only shapes, dtypes and public parameters are ever looked at or quoted. The *content* of records is private,
so nothing here reads it: a NaN record and an ordinary one take the same path.
"""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import check_readable, on_device, on_host
from dpkit.errors import ArgumentError

__all__ = [
    "NEIGHBOURS",
    "check_bounds",
    "check_budget",
    "check_integer",
    "check_kernel",
    "check_neighbours",
    "check_points",
    "check_positive",
]

NEIGHBOURS = ("add-remove", "replace")


def check_points(points: ArrayLike, name: str, columns: int | None = None) -> NDArray[Any]:
    """Return `points` as a two-dimensional array of real numbers, not copied where it is one already.

    Args:
        points: anything NumPy reads as a (rows, d) array of booleans, integers or floats, d at least 1, or
            an array of CuPy.
        name: the argument's name, for messages.
        columns: the d that is required, if it is known.

    Raises:
        ArgumentError: wrong number of axes, no columns, wrong d, a dtype that is not real, or an array on a
            device that is not CuPy's.
    """
    array: Any
    check_readable(points, name)
    try:
        # An array of a device stays there until somebody knows whether it is needed here.
        array = points if on_device(points) else np.asarray(points)
    except (ValueError, TypeError):
        raise ArgumentError(
            f"{name} must be a rectangular (rows, d) array of real numbers, got a ragged one"
        ) from None
    if array.dtype.kind not in "buif":
        raise ArgumentError(
            f"{name} must hold real numbers (bool, integer or float dtype), got dtype {array.dtype}: "
            f"convert it first, for example with numpy.asarray({name}, dtype=float)"
        )
    if array.ndim != 2:
        raise ArgumentError(
            f"{name} must have two axes, (rows, d), got {array.ndim}: "
            f"for a single point or column use reshape(1, -1) or reshape(-1, 1)"
        )
    if array.shape[1] == 0:
        raise ArgumentError(f"{name} must have at least one column, got shape {array.shape}")
    if columns is not None and array.shape[1] != columns:
        raise ArgumentError(f"{name} must have d = {columns} columns, got {array.shape[1]}")
    return array


def _real(value: object, name: str, expected: str) -> float:
    if isinstance(value, bool | np.bool_ | str | bytes | complex):
        raise ArgumentError(f"{name} must be {expected}, got {value!r}")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} must be {expected}, got {type(value).__name__}") from None
    return number


def check_positive(value: object, name: str) -> float:
    """Return `value` as a positive finite float, or raise ArgumentError."""
    number = _real(value, name, "a positive finite number")
    if not (math.isfinite(number) and number > 0.0):
        raise ArgumentError(f"{name} must be a positive finite number, got {number!r}")
    return number


def check_budget(epsilon: object, delta: object) -> tuple[float, float]:
    """Return (epsilon, delta) with 0 < epsilon < inf and 0 <= delta < 1, or raise ArgumentError."""
    eps = check_positive(epsilon, "epsilon")
    dlt = _real(delta, "delta", "a number in [0, 1)")
    if not 0.0 <= dlt < 1.0:
        raise ArgumentError(f"delta must lie in [0, 1), got {dlt!r}: 0 asks for pure epsilon-DP")
    return eps, dlt


def check_integer(value: object, name: str, low: int, high: int) -> int:
    """Return `value` as an int in [low, high], or raise ArgumentError; booleans and floats are refused."""
    if isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name} must be an integer in [{low}, {high}], got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentError(
            f"{name} must be an integer in [{low}, {high}], got {type(value).__name__}"
        ) from None
    if not low <= number <= high:
        raise ArgumentError(f"{name} must lie in [{low}, {high}], got {number}")
    return number


def check_kernel(kernel: object, available: tuple[str, ...]) -> str:
    """Return the kernel's name, or raise ArgumentError with the names there are."""
    if not isinstance(kernel, str) or kernel not in available:
        raise ArgumentError(f"kernel must be one of {', '.join(available)}; got {kernel!r}")
    return kernel


def check_neighbours(neighbours: object) -> str:
    """Return the neighbour relation, or raise ArgumentError with the two there are."""
    if not isinstance(neighbours, str) or neighbours not in NEIGHBOURS:
        raise ArgumentError(f"neighbours must be one of {', '.join(NEIGHBOURS)}; got {neighbours!r}")
    return NEIGHBOURS[NEIGHBOURS.index(neighbours)]


def check_bounds(bounds: object, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the public domain as two (columns,) float64 arrays low < high, or None where none was given.

    Args:
        bounds: None, or a pair (low, high) of scalars or (columns,) arrays.
        columns: d.

    Raises:
        ArgumentError: not a pair, wrong length, not finite, or low >= high somewhere.
    """
    if bounds is None:
        return None
    try:
        pair: list[Any] = list(bounds)  # type: ignore[call-overload]
        ends = [
            np.array(np.broadcast_to(np.asarray(on_host(end), dtype=np.float64), (columns,))) for end in pair
        ]
        if len(ends) != 2:
            raise ValueError
    except (TypeError, ValueError):
        raise ArgumentError(
            f"bounds must be a pair (low, high) of numbers or arrays of length d = {columns}"
        ) from None
    if not (np.isfinite(ends[0]).all() and np.isfinite(ends[1]).all() and (ends[0] < ends[1]).all()):
        raise ArgumentError("bounds must be finite with low < high in every coordinate")
    return ends[0], ends[1]
