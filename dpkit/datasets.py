"""Real data that comes with the package, for demos, tests and benchmarks; nothing is ever downloaded."""

import hashlib
import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from dpkit.errors import FormatError

__all__ = ["Table", "load_diamonds"]

_DIAMONDS_SHA256 = "334a2b7e6a94eb8ed1a523ec7466036a4170c1d4b1c0d5959c6c4336e433308b"
_DIAMONDS_STEPS = {"carat": 100, "depth": 10, "table": 10, "price": 1, "x": 100, "y": 100, "z": 100}
_DIAMONDS_LEVELS = {
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": ("D", "E", "F", "G", "H", "I", "J"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}


@dataclass(frozen=True)
class Table:
    """A data set of numbers and labels.

    Args:
        data: (n, d) float64.
        columns: names of the d columns.
        labels: by name, (n,) int64 codes into `levels`.
        levels: by name, what the codes stand for, in order.
    """

    data: NDArray[np.float64]
    columns: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    levels: dict[str, tuple[str, ...]]

    def select(self, *names: str) -> NDArray[np.float64]:
        """Return the named columns, (n, len(names)) float64."""
        return np.ascontiguousarray(self.data[:, [self.columns.index(name) for name in names]])


def load_diamonds() -> Table:
    """Return prices and measurements of 53,940 diamonds (the `diamonds` data of ggplot2, MIT licence).

    Columns: carat; depth, table (per cent); price (US dollars); x, y, z (mm). Labels: cut, color, clarity,
    worst cut first, best colour first, worst clarity first.

    Raises:
        FormatError: the bundled file is not the one whose SHA-256 is pinned here.

    Example:
        >>> table = load_diamonds()
        >>> table.data.shape, table.data[0, :4].tolist(), table.levels["cut"][table.labels["cut"][0]]
        ((53940, 7), [0.23, 61.5, 55.0, 326.0], 'Ideal')
    """
    raw = files("dpkit").joinpath("data/diamonds.npz").read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != _DIAMONDS_SHA256:
        raise FormatError(f"dpkit/data/diamonds.npz is damaged: SHA-256 {found}, expected {_DIAMONDS_SHA256}")
    with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
        data = np.stack([stored[name] / steps for name, steps in _DIAMONDS_STEPS.items()], axis=1)
        labels = {name: stored[name].astype(np.int64) for name in _DIAMONDS_LEVELS}
    return Table(data, tuple(_DIAMONDS_STEPS), labels, dict(_DIAMONDS_LEVELS))
