"""Checking that a model file holds the very weights that a statement commits to."""

from __future__ import annotations

import itertools

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected, Reason
from zkdl.protocol.chain import final_state
from zkdl.protocol.commitment import rows_open
from zkdl.protocol.initial import initial_weights
from zkdl.protocol.layout import weight_rows
from zkdl.protocol.model_file import Model
from zkdl.protocol.statement import Statement


def check_model(statement: Statement, model: Model) -> None:
    """Check that ``model`` opens the commitments of ``statement`` to initial and final weights.

    Their sum is a commitment to the difference of the final weights and the public base of the initial ones,
    which is computed here from the seed. All rows are opened at once under 128-bit coefficients of the
    verifier's own: another model passes with probability 2^-128, or breaks the commitment.

    Args:
        statement: Acceptable (see `Statement.validate`).
        model: From `zkdl.export` or `Model.load`.

    Raises:
        ProofRejected: Reason ``statement-mismatch`` or ``weights``.
    """
    if model.statement_digest != statement.digest():
        raise ProofRejected(
            Reason.STATEMENT_MISMATCH,
            f"the model is of statement {model.statement_digest.hex()[:16]}..., "
            f"this one is {statement.digest().hex()[:16]}...",
        )
    widths, settings = statement.widths, statement.settings
    shapes = list(itertools.pairwise(widths))
    if [weight.shape for weight in model.weights] != shapes:
        raise _refusal(f"expected shapes {shapes}, got {[weight.shape for weight in model.weights]}")
    lengths = [(width,) for width in widths[1:]] if statement.bias else []
    if [bias.shape for bias in model.biases] != lengths:
        raise _refusal(f"expected biases of shapes {lengths}, got {[bias.shape for bias in model.biases]}")
    if model.weight_scale != settings.weight_scale:
        raise _refusal(f"expected weight_scale {settings.weight_scale}, got {model.weight_scale}")
    if len(model.blinds) != statement.weight_rows:
        raise _refusal(f"expected {statement.weight_rows} blinding factors, got {len(model.blinds)}")
    weights, biases = initial_weights(statement.initial_seed, widths, statement.bias, settings)
    matrix = weight_rows(
        widths,
        statement.bias,
        statement.row_bits,
        [end - start for end, start in zip(model.weights, weights, strict=True)],
        [end - start for end, start in zip(model.biases, biases, strict=True)],
    )
    try:
        blinds = za.Fr.from_bytes(model.blinds.tobytes())
        opens = rows_open(final_state(statement), matrix, blinds)
    except za.NotCanonical:
        raise _refusal("a blinding factor is not reduced") from None
    except za.DecodeError as error:
        raise _refusal(f"the commitments to the weights cannot be decoded ({error})") from None
    if not opens:
        raise _refusal("these weights and blinding factors do not open the final commitment")


def _refusal(message: str) -> ProofRejected:
    return ProofRejected(Reason.WEIGHTS, f"model: {message}")
