"""Tables that were committed once: what their owner keeps, and runs that use them.

A committed table has a public side, `zkdl.protocol.table`, a proof that its entries are in range, and a
private side: the integers and the blinding factors. Runs take over commitment and blinding factors.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import FormatError, InputError
from zkdl.protocol.commitment import rows_open
from zkdl.protocol.files import write_together, write_whole
from zkdl.protocol.layout import weight_rows
from zkdl.protocol.proof import Proof
from zkdl.protocol.table import Table
from zkdl.protocol.table_kinds import DataTable, WeightTable, read_table
from zkdl.training.npz import narrow, pack_npz, read_npz, wide

__all__ = ["CommittedData", "CommittedWeights"]

Ints = NDArray[np.int64]


@dataclass
class CommittedData:
    """Records that were committed once, for any number of runs.

    Attributes:
        table: Public; what the proof is about.
        proof: Public; that every number is in range.
        data: Private; (n, d_0 + d_L) int64 at scale 2^f, features, then labels.
        blinds: Private; (n, 4) uint64 field elements, blinding of the record commitments.
        classes: Number of classes, None for regression.
        test: Held-out (features, targets) to report accuracy on, not committed, or None.
    """

    table: DataTable
    proof: Proof
    data: Ints
    blinds: NDArray[np.uint64]
    classes: int | None = None
    test: tuple[NDArray[np.float64], NDArray] | None = None

    FILES = ("records.npz", "data.zkdl", "data.json")

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write ``data.json`` and ``data.zkdl`` (public) and ``records.npz`` (mode 0600), all or none.

        Raises:
            InputError: ``directory`` is a file.
            OSError: Something could not be written.
        """
        arrays: dict[str, NDArray] = {"data": narrow(self.data), "blinds": self.blinds}
        arrays["classes"] = np.array([self.classes or 0], dtype=np.int64)
        if self.test is not None:
            arrays["test_features"], arrays["test_targets"] = self.test
        _save(directory, self.FILES, arrays, self.proof, self.table)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> CommittedData:
        """Read what `save` wrote, and check that the integers open the commitment.

        Raises:
            FormatError: A file is malformed, or the three do not belong together.
            OSError: A file cannot be read.
        """
        table, proof, arrays, where = _load(directory, cls.FILES)
        if not isinstance(table, DataTable):
            raise FormatError(f"{where}: holds committed {table.kind}, expected data")
        data = _ints(arrays, "data", where)
        blinds = _blinds(arrays, where)
        classes = int(_ints(arrays, "classes", where).sum()) or None
        test = None
        if "test_features" in arrays and "test_targets" in arrays:
            test = (arrays.pop("test_features"), arrays.pop("test_targets"))
        _nothing_left(arrays, where)
        if data.shape != (table.rows, table.columns):
            raise FormatError(
                f"{where}: data must have shape {(table.rows, table.columns)}, got {data.shape}"
            )
        _check_opens(table, data, blinds, where)
        return cls(table, proof, data, blinds, classes, test)

    @property
    def public(self) -> tuple[DataTable, Proof]:
        """What anyone may have, and ``zkdl.verify(..., data=)`` takes."""
        return self.table, self.proof

    @property
    def features(self) -> NDArray[np.float64]:
        """(n, d_0) float64, exactly as committed."""
        return self.data[:, : self.table.features] / 2.0**self.table.scale

    @property
    def targets(self) -> NDArray:
        """(n,) labels where there are classes, else (n, d_L) float64, exactly as committed."""
        targets = self.data[:, self.table.features :] / 2.0**self.table.scale
        return targets if self.classes is None else np.argmax(targets, axis=1)

    def settings(self) -> dict[str, int]:
        """The fields of `zkdl.Settings` that runs on these records have to have."""
        return {"activation_scale": self.table.scale, "activation_bits": self.table.bits}


@dataclass
class CommittedWeights:
    """Weights that were committed once, for runs to start from.

    Attributes:
        table: Public; what the proof is about.
        proof: Public; that every weight is in range.
        weights: Private; one (d_{l-1}, d_l) int64 array per layer at scale 2^w.
        biases: Private; one (d_l,) int64 array per layer, or the empty list.
        blinds: Private; (rows, 4) uint64 field elements, blinding of the row commitments.
    """

    table: WeightTable
    proof: Proof
    weights: list[Ints]
    biases: list[Ints]
    blinds: NDArray[np.uint64]

    FILES = ("weights.npz", "weights.zkdl", "weights.json")

    @property
    def public(self) -> tuple[WeightTable, Proof]:
        """What anyone may have, and ``zkdl.verify(..., initial=)`` takes."""
        return self.table, self.proof

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write ``weights.json`` and ``weights.zkdl`` (public) and ``weights.npz`` (mode 0600), all or none.

        Raises:
            InputError: ``directory`` is a file.
            OSError: Something could not be written.
        """
        arrays: dict[str, NDArray] = {"blinds": self.blinds}
        for name, parts in (("weights", self.weights), ("biases", self.biases)):
            arrays.update({f"{name}_{k}": narrow(part) for k, part in enumerate(parts, start=1)})
        _save(directory, self.FILES, arrays, self.proof, self.table)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> CommittedWeights:
        """Read what `save` wrote, and check that the integers open the commitment.

        Raises:
            FormatError: A file is malformed, or the three do not belong together.
            OSError: A file cannot be read.
        """
        table, proof, arrays, where = _load(directory, cls.FILES)
        if not isinstance(table, WeightTable):
            raise FormatError(f"{where}: holds committed {table.kind}, expected weights")
        blinds = _blinds(arrays, where)
        layers = range(1, len(table.widths))
        weights = [_ints(arrays, f"weights_{k}", where) for k in layers]
        biases = [_ints(arrays, f"biases_{k}", where) for k in layers] if table.bias else []
        _nothing_left(arrays, where)
        shapes = list(zip(table.widths, table.widths[1:], strict=False))
        if [w.shape for w in weights] != shapes or [b.shape for b in biases] != [
            (d,) for d in table.widths[1:] if table.bias
        ]:
            raise FormatError(f"{where}: weights must have shapes {shapes}, got {[w.shape for w in weights]}")
        rows = weight_rows(table.widths, table.bias, table.row_bits, weights, biases)
        _check_opens(table, rows, blinds, where)
        return cls(table, proof, weights, biases, blinds)


def _save(
    directory: str | os.PathLike[str],
    names: tuple[str, str, str],
    arrays: dict[str, NDArray],
    proof: Proof,
    table: Table,
) -> None:
    private, proof_name, public = names
    write_together(
        directory,
        {
            private: lambda path: write_whole(path, pack_npz(arrays), mode=0o600),
            proof_name: proof.save,
            public: table.save,
        },
    )


def _load(
    directory: str | os.PathLike[str], names: tuple[str, str, str]
) -> tuple[Table, Proof, dict[str, NDArray], str]:
    folder = Path(directory)
    private, proof_name, public = (folder / name for name in names)
    table = read_table(public)
    try:
        table.validate()
    except InputError as error:
        raise FormatError(f"{public}: {error}") from None
    return table, Proof.load(proof_name), read_npz(private), os.fspath(private)


def _ints(arrays: dict[str, Any], name: str, where: str) -> Ints:
    if name not in arrays:
        raise FormatError(f"{where}: the array {name!r} is missing")
    return wide(arrays.pop(name), f"{where}: {name}")


def _blinds(arrays: dict[str, Any], where: str) -> NDArray[np.uint64]:
    array = arrays.pop("blinds", None)
    if array is None or array.dtype != np.uint64 or array.ndim != 2 or array.shape[1] != 4:
        raise FormatError(f"{where}: blinds must be an (m, 4) array of uint64")
    return np.ascontiguousarray(array)


def _nothing_left(arrays: dict[str, Any], where: str) -> None:
    if arrays:
        raise FormatError(f"{where}: unknown array {sorted(arrays)[0]!r}")


def _check_opens(table: Table, rows: Ints, blinds: NDArray[np.uint64], where: str) -> None:
    try:
        opens = len(blinds) == table.rows and rows_open(table.commitment, rows, blinds)
    except za.DecodeError as error:
        raise FormatError(f"{where}: the commitment beside it cannot be decoded ({error})") from None
    if not opens:
        raise FormatError(f"{where}: does not open the commitment in the table beside it")
