"""From arrays of reals and labels to integers at scale 2^f, with every bad input named."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import InputError
from zkdl.protocol.settings import Settings

__all__ = ["check_features", "check_targets", "one_hot", "quantise"]

_MAX_CLASSES = 1 << 16


def check_features(x: object, name: str = "X") -> NDArray[np.float64]:
    """Features as a finite (n, d) float64 array.

    Args:
        x: Anything that NumPy reads as a two-dimensional array of real numbers.
        name: What errors call it.

    Raises:
        InputError: Wrong kind or shape, no records or features, NaN or infinity.
    """
    array = _real_array(x, name)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} must be a non-empty (n, d) array, got shape {array.shape}")
    return _finite(array, name)


def check_targets(
    y: object, records: int, classes: int | None, name: str = "y"
) -> tuple[NDArray[np.float64], int | None]:
    """Targets as (n, k) float64, one-hot for integer labels.

    Args:
        y: (n,) integer labels, or (n, k) real regression targets.
        records: The n that is expected.
        classes: Number of classes; by default one more than the largest label.
        name: What errors call it.

    Returns:
        The targets, and the number of classes or None for regression.

    Raises:
        InputError: Wrong kind, length, label or number.
    """
    array = _real_array(y, name)
    if array.ndim not in (1, 2) or len(array) != records or 0 in array.shape:
        raise InputError(
            f"{name} must hold one label or row of targets for each of {records} records, "
            f"got shape {array.shape}"
        )
    if array.ndim == 2:
        if classes is not None and classes != array.shape[1]:
            raise InputError(f"classes={classes} does not fit {name} of shape {array.shape}")
        return _finite(array, name), None
    if array.dtype.kind not in "iub":
        raise InputError(
            f"{name} must hold integer labels, got dtype {array.dtype}; for regression pass shape (n, 1)"
        )
    low, high = int(array.min()), int(array.max())
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, (int, np.integer))):
        raise InputError(f"classes must be an integer, got {classes!r}")
    count = high + 1 if classes is None else int(classes)
    if low < 0 or high >= count:
        raise InputError(f"{name} must hold labels from 0 to {count - 1}, got {low if low < 0 else high}")
    if count > _MAX_CLASSES:
        raise InputError(f"classes must be at most {_MAX_CLASSES}, got {count}")
    return one_hot(array.astype(np.int64), count), count


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(n,) labels to (n, classes) rows of zeros with a single one.

    Example:
        >>> one_hot(np.array([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    out = np.zeros((len(labels), classes))
    out[np.arange(len(labels)), labels] = 1.0
    return out


def quantise(values: NDArray[np.float64], settings: Settings, name: str) -> NDArray[np.int64]:
    """Round values * 2^f to the nearest integer, halves to the even one.

    Args:
        values: Finite (n, k) float64.
        settings: For f and q_f.
        name: What errors call the array.

    Returns:
        (n, k) int64 in [-2^(q_f-1), 2^(q_f-1)).

    Raises:
        InputError: A value does not fit; nothing is clipped.

    Example:
        >>> quantise(np.array([[0.5, -1.0]]), Settings(8, 12, 32), "X").tolist()
        [[128, -256]]
    """
    limit = settings.activation_limit
    # Scaling by a power of two is exact, so the only rounding is the one that is wanted. A product that
    # overflows to infinity is out of range like any other.
    with np.errstate(over="ignore"):
        scaled = np.rint(np.ldexp(values, settings.activation_scale))
    bad = (scaled < -limit) | (scaled >= limit)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        reach = limit / 2**settings.activation_scale
        raise InputError(
            f"{name}[{row}, {column}] = {values[row, column]:g} does not fit in [{-reach:g}, {reach:g}) "
            f"({settings.activation_bits} bits at scale 2^{settings.activation_scale}); rescale the data, "
            "raise Settings.activation_bits or lower Settings.activation_scale"
        )
    return scaled.astype(np.int64)


def _real_array(values: object, name: str) -> NDArray:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} must be an array of real numbers ({error})") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    return array


def _finite(array: NDArray, name: str) -> NDArray[np.float64]:
    values = array.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(f"{name}[{row}, {column}] is {values[row, column]}, expected finite numbers")
    return values
