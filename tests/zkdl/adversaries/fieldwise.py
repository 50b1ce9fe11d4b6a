"""A record whose numbers are field elements and no small integers, and a prover that copes with it.

The features are X + k / 7 with k in the left kernel of W_0: every pre-activation is that of X, so all
cells are honest, and only the range argument over the records can tell. Such a record would let a
prover move the first layer by any multiple of k.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from zkdl import arithmetic as za
from zkdl.protocol.claims import DataPart
from zkdl.protocol.commitment import blind_base, row_bases
from zkdl.protocol.initial import initial_weights
from zkdl.protocol.instance import Instance
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.witness import Witness

from .cases import SMALL, Run, train

WIDTHS = (3, 2, 2)


def _element(value: Any) -> np.ndarray:
    return za.Fr.from_ints([int(value) % R])


def _combine(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """sum_j matrix[i, j] vector[j] for Python integers of any size."""
    known = za.Fr.to_ints(vector)
    return za.Fr.from_ints([sum(int(a) * v for a, v in zip(row, known, strict=True)) % R for row in matrix])


@contextmanager
def any_integers() -> Iterator[None]:
    """The arithmetic of the prover also takes object arrays of Python integers, slowly."""
    m, field = za.multilinear, type(za.Fr)
    matvec, vecmat, from_int64 = m.matvec, m.vecmat, field.from_int64

    def slow_matvec(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return _combine(matrix, vector) if matrix.dtype == object else matvec(matrix, vector)

    def slow_vecmat(vector: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return _combine(matrix.T, vector) if matrix.dtype == object else vecmat(vector, matrix)

    def slow_from_int64(self: Any, values: np.ndarray) -> np.ndarray:
        if values.dtype == object:
            return self.from_ints([int(v) for v in values.reshape(-1)]).reshape(*values.shape, 4)
        return from_int64(self, values)

    with (
        patch.object(m, "matvec", slow_matvec),
        patch.object(m, "vecmat", slow_vecmat),
        patch.object(field, "from_int64", slow_from_int64),
    ):
        yield


class FieldTensors(Tensors):
    """Tensors whose records and final differences are Python integers modulo r."""

    def __init__(self, instance: Instance, witness: Witness) -> None:
        plain = copy.copy(witness)
        plain.final_difference = [np.zeros(d.shape, dtype=np.int64) for d in witness.final_difference]
        super().__init__(instance, plain)
        self.gradients[-1] = self.gradients[-1].astype(np.int64)
        names = range(1, instance.num_layers + 1)
        final = {("weight", k): witness.final_difference[k - 1] for k in names}
        self.tables["final"] = instance.final.table(final, object)

    def _multiplicities(self) -> np.ndarray:
        limit = self.instance.statement.settings.activation_limit
        true, inside = self.data, np.abs(self.data) < limit
        self.data = np.where(inside, true, limit).astype(np.int64)
        out = super()._multiplicities()
        self.data = true
        return out

    def evaluate(self, parts: Any) -> int:
        total = 0
        for part in parts:
            if isinstance(part, DataPart):
                window = self.data[:, part.first : part.first + part.count]
                folded = za.multilinear.vecmat(part.rows, window)
                value = za.Fr.to_ints(za.Fr.inner(folded, part.column_weights()))[0]
                total += part.coef * int(value)
            elif part.poly == "final":
                place = self.block_slice(part.poly, part.block, 1 << len(part.point))
                entries = self.tables["final"][place].reshape(1, -1)
                value = za.Fr.to_ints(_combine(entries, za.multilinear.eq_table(list(part.point))))[0]
                total += part.coef * int(value)
            else:
                total += super().evaluate([part])
        return total % R


class FieldWork(ProverWork):
    """Opens records and differences that are no int64."""

    def _opening_table(self, poly: str) -> np.ndarray:
        return self._tensors.tables["final"] if poly == "final" else super()._opening_table(poly)


def _commit(rows: np.ndarray, blinds: np.ndarray) -> bytes:
    points = []
    for row, blind in zip(rows, blinds, strict=True):
        scalars = np.concatenate([za.Fr.from_ints([int(v) % R for v in row]), blind.reshape(1, 4)])
        points.append(za.msm(np.concatenate([row_bases(len(row)), blind_base()]), scalars))
    return b"".join(za.g1.to_bytes(np.concatenate(points)))


def field_run() -> Run:
    """One step of one record with features X + k / 7."""
    run = train(WIDTHS, batch_size=1, steps=1, records=2, bias=False)
    s, w = run.statement, run.witness
    (first, _), _ = initial_weights(s.initial_seed, WIDTHS, False, SMALL)
    kernel = np.cross(first[:, 0].astype(object), first[:, 1].astype(object))
    assert not (kernel @ first.astype(object)).any()
    seventh = pow(7, -1, R)
    record = int(Instance(s).batch_records[0, 0])
    data = w.data.astype(object)
    data[record, :3] = [
        (int(v) + int(k) * seventh) % R for v, k in zip(data[record, :3], kernel, strict=True)
    ]

    sign, hidden = w.sign[0][0, 0], w.gradient[0][0, 0]
    gradient = ((1 - sign) * hidden).astype(object)
    change = -s.mu * np.outer(data[record, :3], gradient)
    w.final_difference = [np.array(change % R, dtype=object), w.final_difference[1].astype(object)]
    w.data = data
    instance = Instance(s)
    final = {("weight", k): w.final_difference[k - 1] for k in (1, 2)}
    rows = instance.final.rows(instance.final.table(final, object))
    run.statement = replace(
        s, data_commitment=_commit(data, w.data_blinds), final_commitment=_commit(rows, w.final_blinds)
    )
    return run
