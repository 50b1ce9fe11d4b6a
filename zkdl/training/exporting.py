"""From a run to a model file: the trained weights with the opening of the commitments to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import WitnessError
from zkdl.protocol.initial import initial_weights
from zkdl.protocol.model_file import Model
from zkdl.protocol.statement import Statement
from zkdl.training.commitments import check_final, check_initial
from zkdl.training.witness import Witness

__all__ = ["export"]

State = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]


def export(statement: Statement, witness: Witness) -> Model:
    """The trained weights, W_0 plus the witness's difference, with what opens the commitments to them.

    Where part of W_0 is committed too, the blinding factors are those of the sum of both commitments.

    Args:
        statement: Of the run.
        witness: Of the same run.

    Returns:
        The model; ``model.save("model.safetensors")`` writes it, and ``zkdl.verify(statement, proof,
        weights=model)`` checks that it is the one that was proved.

    Raises:
        InputError: The statement is not acceptable.
        WitnessError: The witness does not open the statement's commitments to initial and final weights.

    *Privacy*: the model shows the weights; the records stay hidden.

    Example:
        >>> import zkdl
        >>> run = zkdl.train([[0.0, 1.0], [1.0, 0.0]], [0, 1], hidden=(2,), steps=1, batch_size=2,
        ...                  learning_rate="1/4")
        >>> sorted(zkdl.export(run.statement, run.witness).tensors())
        ['0.bias', '0.weight', '2.bias', '2.weight']
    """
    statement.validate()
    state = initial_weights(statement.initial_seed, statement.widths, statement.bias, statement.settings)
    state = _plus(state, (witness.final_difference, witness.bias_difference), "final commitment")
    blinds = witness.final_blinds
    check_final(statement, witness)
    if statement.initial_commitment:
        added = (witness.initial_difference, witness.initial_bias_difference)
        state = _plus(state, added, "initial commitment")
        check_initial(statement, witness)
        blinds = za.Fr.add(blinds, witness.initial_blinds)
    return Model(
        *state,
        statement.settings.weight_scale,
        statement.digest(),
        np.frombuffer(za.Fr.to_bytes(blinds), np.uint8).reshape(-1, za.Fr.nbytes),
    )


def _plus(start: State, difference: State, relation: str) -> State:
    """Weights and biases, entry by entry."""
    for ours, theirs in zip(start, difference, strict=True):
        if [part.shape for part in ours] != [part.shape for part in theirs]:
            raise WitnessError(
                f"{relation}: the witness has weights of other shapes than the statement; "
                "they belong to different runs",
                relation=relation,
            )
    return (
        [a + b for a, b in zip(start[0], difference[0], strict=True)],
        [a + b for a, b in zip(start[1], difference[1], strict=True)],
    )
