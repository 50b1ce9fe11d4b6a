"""Arrays that lie on a device: how they are told apart and brought over, a bounded piece at a time.

What knows no device computes on the processor, so arrays of CuPy are copied there; those who can use them
where they are (Fourier features with `backend="gpu"`) take them before that.
"""

from collections.abc import Iterator
from typing import Any

from dpkit.errors import ArgumentError

__all__ = ["check_readable", "on_device", "on_host", "pieces"]

_PIECE_NUMBERS = 1 << 22  # entries of a copy: 32 MiB of float64


def on_device(array: object) -> bool:
    """Return whether an array lies in the memory of a CUDA device."""
    return hasattr(array, "__cuda_array_interface__")


def check_readable(array: object, name: str) -> None:
    """Refuse an array of a device that is not CuPy's: others have no common way back.

    Raises:
        ArgumentError: it lies on a device and has no method `get`.
    """
    if on_device(array) and not callable(getattr(array, "get", None)):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise ArgumentError(
            f"{name} lies on a device in a {kind}, which is not read here: pass cupy.asarray({name}), "
            f"or a copy of it as a NumPy array"
        )


def on_host(array: Any) -> Any:
    """Return an array of a device as a NumPy array; anything else as it is.

    Raises:
        ArgumentError: the array of another library than CuPy.
    """
    if not on_device(array):
        return array
    check_readable(array, "the array")
    return array.get()


def pieces(points: Any) -> Iterator[Any]:
    """Yield (rows, d) points as they are, or, where they lie on a device, views of bounded size, in order.

    The last view may be empty, so that no points at all still are one piece.
    """
    if not on_device(points):
        yield points
        return
    rows = max(1, _PIECE_NUMBERS // max(1, points.shape[1]))
    for start in range(0, max(1, len(points)), rows):
        yield points[start : start + rows]
