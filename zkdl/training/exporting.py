"""From a run to a model file: the trained weights with the opening of the final commitment."""

from __future__ import annotations

import numpy as np

from zkdl import arithmetic as za
from zkdl.errors import WitnessError
from zkdl.protocol.initial import initial_weights
from zkdl.protocol.model_file import Model
from zkdl.protocol.statement import Statement
from zkdl.training.commitments import check_final
from zkdl.training.witness import Witness

__all__ = ["export"]


def export(statement: Statement, witness: Witness) -> Model:
    """The trained weights, W_0 plus the witness's difference, with what opens the final commitment.

    Args:
        statement: Of the run.
        witness: Of the same run.

    Returns:
        The model; ``model.save("model.safetensors")`` writes it, and ``zkdl.verify(statement, proof,
        weights=model)`` checks that it is the one that was proved.

    Raises:
        InputError: The statement is not acceptable.
        WitnessError: The witness does not open the statement's final commitment.

    *Privacy*: the model shows the weights; the records stay hidden.

    Example:
        >>> import zkdl
        >>> run = zkdl.train([[0.0, 1.0], [1.0, 0.0]], [0, 1], hidden=(2,), steps=1, batch_size=2,
        ...                  learning_rate="1/4")
        >>> sorted(zkdl.export(run.statement, run.witness).tensors())
        ['0.bias', '0.weight', '2.bias', '2.weight']
    """
    statement.validate()
    differences = (witness.final_difference, witness.bias_difference)
    weights, biases = initial_weights(
        statement.initial_seed, statement.widths, statement.bias, statement.settings
    )
    for start, difference in zip((weights, biases), differences, strict=True):
        if [part.shape for part in start] != [part.shape for part in difference]:
            raise WitnessError(
                "final commitment: the witness has weights of other shapes than the statement; "
                "they belong to different runs",
                relation="final commitment",
            )
    check_final(statement, witness)
    blinds = np.frombuffer(za.Fr.to_bytes(witness.final_blinds), np.uint8).reshape(-1, za.Fr.nbytes)
    return Model(
        [start + end for start, end in zip(weights, differences[0], strict=True)],
        [start + end for start, end in zip(biases, differences[1], strict=True)],
        statement.settings.weight_scale,
        statement.digest(),
        blinds,
    )
