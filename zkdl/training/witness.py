"""The private witness of one run: what the prover knows and the verifier never sees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import FormatError
from zkdl.protocol.files import write_whole
from zkdl.training.npz import narrow, pack_npz, read_npz, wide
from zkdl.training.trainer import StepTensors

__all__ = ["Witness"]

Ints = NDArray[np.int64]
_LISTS = (
    "positive", "sign", "remainder", "gradient", "gradient_remainder", "final_difference", "bias_difference",
    "initial_difference", "initial_bias_difference",
)  # fmt: skip


@dataclass
class Witness:
    """All private values of a run; everything else of the relation follows from these.

    Lists hold one int64 array per layer, layer l at index l - 1.

    Attributes:
        data: (n, d_0 + d_L), every record: features at scale 2^f, then labels at scale 2^f.
        positive: P_l, (T, B, d_l).
        sign: S_l in {0, 1}, (T, B, d_l).
        remainder: R_l, (T, B, d_l).
        gradient: H'_l for l < L, (T, B, d_l), signed.
        gradient_remainder: R'_l for l < L, (T, B, d_l).
        final_difference: W_T - W_0, (d_{l-1}, d_l).
        bias_difference: b_T - b_0, (d_l,); the empty list without biases.
        data_blinds: (n, 4) uint64 field elements, blinding of the record commitments.
        final_blinds: (rows, 4) uint64 field elements, blinding of the commitment to the differences.
        initial_difference, initial_bias_difference: W_0 and b_0 minus their public base, where these are
            committed; else empty lists.
        initial_blinds: (rows, 4) uint64 field elements, blinding of the commitment to those; else (0, 4).
    """

    data: Ints
    positive: list[Ints] = field(default_factory=list)
    sign: list[Ints] = field(default_factory=list)
    remainder: list[Ints] = field(default_factory=list)
    gradient: list[Ints] = field(default_factory=list)
    gradient_remainder: list[Ints] = field(default_factory=list)
    final_difference: list[Ints] = field(default_factory=list)
    bias_difference: list[Ints] = field(default_factory=list)
    data_blinds: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 4), dtype=np.uint64))
    final_blinds: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 4), dtype=np.uint64))
    initial_difference: list[Ints] = field(default_factory=list)
    initial_bias_difference: list[Ints] = field(default_factory=list)
    initial_blinds: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 4), dtype=np.uint64))

    @classmethod
    def empty(cls, data: Ints, widths: tuple[int, ...], steps: int, batch_size: int) -> Witness:
        """A witness whose cells are zeros of the right shapes, to be filled by `record`."""

        def cells(layers: tuple[int, ...]) -> list[Ints]:
            return [np.zeros((steps, batch_size, width), dtype=np.int64) for width in layers]

        every, inner = widths[1:], widths[1:-1]
        return cls(data, cells(every), cells(every), cells(every), cells(inner), cells(inner))

    def record(self, step: int, tensors: StepTensors) -> None:
        """Keep the cells of one step."""
        for name in ("positive", "sign", "remainder", "gradient", "gradient_remainder"):
            for target, values in zip(getattr(self, name), getattr(tensors, name), strict=True):
                target[step] = values

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file that only its owner may read, whole or not at all."""
        arrays = {name: narrow(array) for name, array in self._named()}
        write_whole(path, pack_npz(arrays), mode=0o600)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Witness:
        """Read a file that `save` wrote; shapes are checked against a statement by `check_witness`.

        Raises:
            FormatError: The file is no witness.
            OSError: The file cannot be read.
        """
        arrays = read_npz(path)
        where = os.fspath(path)
        lists: dict[str, list[Ints]] = {}
        for name in _LISTS:
            lists[name] = []
            while (key := f"{name}_{len(lists[name]) + 1}") in arrays:
                lists[name].append(wide(arrays.pop(key), f"{where}: {key}"))
        blinds: dict[str, NDArray[np.uint64]] = {}
        for name in ("data_blinds", "final_blinds", "initial_blinds"):
            absent = np.zeros((0, 4), dtype=np.uint64) if name == "initial_blinds" else None
            array = arrays.pop(name, absent)
            if array is None or array.dtype != np.uint64 or array.ndim != 2 or array.shape[1] != 4:
                raise FormatError(f"{where}: {name} must be an (m, 4) array of uint64")
            blinds[name] = np.ascontiguousarray(array)
        if "data" not in arrays:
            raise FormatError(f"{where}: the array 'data' is missing")
        data = wide(arrays.pop("data"), f"{where}: data")
        if arrays:
            raise FormatError(f"{where}: unknown array {sorted(arrays)[0]!r}")
        return cls(data=data, **{**lists, **blinds})  # type: ignore[arg-type]

    def _named(self) -> Iterator[tuple[str, NDArray]]:
        yield "data", self.data
        for name in _LISTS:
            for index, array in enumerate(getattr(self, name), start=1):
                yield f"{name}_{index}", array
        yield "data_blinds", self.data_blinds
        yield "final_blinds", self.final_blinds
        if len(self.initial_blinds):
            yield "initial_blinds", self.initial_blinds

    @property
    def added(self) -> tuple[list[Ints], list[Ints]] | None:
        """What is committed of the initial weights and biases, or None."""
        return (self.initial_difference, self.initial_bias_difference) if self.initial_difference else None
