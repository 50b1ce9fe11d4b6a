"""Committing to a run's records and final weights, and checking that a witness opens what a statement holds.

The difference W_T - W_0 of a layer is -mu * sum_n a_n g_n^T over the T * B samples, with a_n the layer's
input and g_n its gradient. A commitment to a row of it is therefore a short combination of commitments to
the g_n: for wide layers and few samples far less work than committing to every entry. Both ways give the
same points; the cheaper one is taken layer by layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import WitnessError
from zkdl.protocol.commitment import commit_rows, row_bases, rows_open
from zkdl.protocol.layout import Block, weight_rows, weight_stack
from zkdl.protocol.sampling import batches
from zkdl.protocol.statement import Statement
from zkdl.training.witness import Witness

__all__ = ["check_commitments", "check_final", "check_initial", "commit_data", "commit_final"]

_WINDOW_BITS = 9
# The estimate counts additions only, so the indirect way has to win clearly.
_CLEARLY = 2


@dataclass(frozen=True)
class _Factors:
    """a_n as rows of ``inputs`` (N, d_{l-1}) and -mu * g_n as rows of ``gradients`` (N, d_l)."""

    inputs: NDArray[np.int64]
    gradients: NDArray[np.int64]


def commit_data(data: NDArray[np.int64], blinds: NDArray[np.uint64]) -> bytes:
    """One 48-byte Pedersen commitment per record.

    Args:
        data: (n, d_0 + d_L) integers.
        blinds: (n, 4) field elements.
    """
    return b"".join(za.g1.to_bytes(commit_rows(data, blinds)))


def commit_final(statement: Statement, witness: Witness) -> bytes:
    """One 48-byte Pedersen commitment per row of the laid-out weight differences.

    Args:
        statement: Its commitments are not looked at.
        witness: Complete and right but for the commitments.
    """
    stack = weight_stack(statement.widths, statement.bias, statement.row_bits)
    matrix = weight_rows(
        statement.widths,
        statement.bias,
        statement.row_bits,
        witness.final_difference,
        witness.bias_difference,
    )
    points = np.zeros((len(matrix), 12), dtype=np.uint64)
    direct = np.ones(len(matrix), dtype=bool)
    place = {int(row): index for index, row in enumerate(stack.live_rows)}
    for layer in range(1, statement.num_layers + 1):
        block = stack.block(("weight", layer))
        if not _indirect_is_cheaper(statement, block, witness.final_difference[layer - 1]):
            continue
        first = place[block.offset >> statement.row_bits]
        found = _combine(_factors(statement, witness, layer), block, statement.row_bits)
        points[first : first + len(found)] = found
        direct[first : first + len(found)] = False
    if direct.any():
        chosen = matrix if direct.all() else np.ascontiguousarray(matrix[direct])
        points[direct] = za.msm_rows(row_bases(matrix.shape[1]), chosen)
    return b"".join(za.g1.to_bytes(za.g1.add(points, _blinding(witness.final_blinds))))


def _blinding(blinds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    nothing = np.zeros((len(blinds), 1), dtype=np.int64)
    return commit_rows(nothing, blinds)


def _indirect_is_cheaper(statement: Statement, block: Block, difference: NDArray[np.int64]) -> bool:
    """Compare additions of both ways; a row must hold whole rows of the block, and of no other block."""
    fan_out_vars = block.axis_vars[1]
    if block.size >> statement.row_bits == 0 or fan_out_vars > statement.row_bits:
        return False
    settings = statement.settings
    samples = statement.steps * statement.batch_size
    fan_in, fan_out = block.shape
    per_row = 1 << (statement.row_bits - fan_out_vars)
    magnitude = max(abs(int(difference.max())), abs(int(difference.min())))
    direct = fan_in * fan_out * _windows(magnitude.bit_length())
    scaled = settings.gradient_bits + statement.mu.bit_length()
    combined = samples * (per_row * fan_out * _windows(scaled) + fan_in * _windows(settings.activation_bits))
    return combined * _CLEARLY < direct


def _windows(bits: int) -> int:
    return -(-max(bits, 1) // _WINDOW_BITS)


def _factors(statement: Statement, witness: Witness, layer: int) -> _Factors:
    """The layer's inputs and scaled gradients of all samples."""
    settings = statement.settings
    order = batches(
        statement.seed, statement.records, statement.batch_size, statement.steps, statement.first_step
    )
    features = statement.widths[0]
    if layer == 1:
        inputs = witness.data[order][:, :, :features]
    else:
        inputs = (1 - witness.sign[layer - 2]) * witness.positive[layer - 2]
    if layer < statement.num_layers:
        gradients = (1 - witness.sign[layer - 1]) * witness.gradient[layer - 1]
    else:
        output = witness.positive[-1] - settings.activation_limit * witness.sign[-1]
        shift = settings.gradient_scale - settings.activation_scale
        gradients = (output - witness.data[order][:, :, features:]) << shift
    fan_in, fan_out = statement.widths[layer - 1], statement.widths[layer]
    return _Factors(
        np.ascontiguousarray(inputs.reshape(-1, fan_in)),
        np.ascontiguousarray(-statement.mu * gradients.reshape(-1, fan_out)),
    )


def _combine(factors: _Factors, block: Block, row_bits: int) -> NDArray[np.uint64]:
    """Commitments, without blinding, to the committed rows of one block of weight differences."""
    samples, fan_in = factors.inputs.shape
    width = 1 << block.axis_vars[1]
    per_row = (1 << row_bits) // width
    bases = row_bases(1 << row_bits)
    # One commitment per sample and position of a weight row inside a committed row.
    parts = [
        za.msm_rows(bases[j * width : j * width + block.shape[1]], factors.gradients) for j in range(per_row)
    ]
    rows = -(-fan_in // per_row)
    scalars = np.zeros((rows * per_row, samples), dtype=np.int64)
    scalars[:fan_in] = factors.inputs.T
    return za.msm_rows(np.concatenate(parts), scalars.reshape(rows, per_row * samples))


def check_commitments(statement: Statement, witness: Witness) -> None:
    """Check that the witness opens all commitments of the statement.

    Raises:
        WitnessError: Relation ``"data commitment"``, ``"initial commitment"`` or ``"final commitment"``.
    """
    _check("data commitment", statement.data_commitment, witness.data, witness.data_blinds)
    check_initial(statement, witness)
    check_final(statement, witness)


def check_initial(statement: Statement, witness: Witness) -> None:
    """Check that the witness opens the commitment to initial weights, if there is one.

    Raises:
        WitnessError: Relation ``"initial commitment"``.
    """
    if not statement.initial_commitment:
        return
    rows = weight_rows(
        statement.widths,
        statement.bias,
        statement.row_bits,
        witness.initial_difference,
        witness.initial_bias_difference,
    )
    _check("initial commitment", statement.initial_commitment, rows, witness.initial_blinds)


def check_final(statement: Statement, witness: Witness) -> None:
    """Check that the witness opens the commitment to the final weights.

    Raises:
        WitnessError: Relation ``"final commitment"``.
    """
    rows = weight_rows(
        statement.widths,
        statement.bias,
        statement.row_bits,
        witness.final_difference,
        witness.bias_difference,
    )
    _check("final commitment", statement.final_commitment, rows, witness.final_blinds)


def _check(relation: str, encoded: bytes, matrix: NDArray[np.int64], blinds: NDArray[np.uint64]) -> None:
    try:
        opens = rows_open(encoded, matrix, blinds)
    except za.DecodeError as error:
        raise WitnessError(
            f"{relation}: the {relation} of the statement cannot be decoded ({error})", relation=relation
        ) from None
    if not opens:
        raise WitnessError(
            f"{relation}: the witness and its blinds do not open the {relation} of the statement; "
            "statement and witness belong to different runs, or one was changed",
            relation=relation,
        )
