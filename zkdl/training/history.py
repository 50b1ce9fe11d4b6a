"""What happened while training: loss and accuracy per step, fixed point beside float64."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import FormatError
from zkdl.protocol import json_text
from zkdl.protocol.files import write_whole

__all__ = ["Evaluation", "History", "accuracy", "loss"]


def loss(outputs: NDArray, targets: NDArray) -> float:
    """Half the squared error of a record, averaged over records: mean_b of sum_k (o - y)^2 / 2."""
    difference = np.asarray(outputs, dtype=np.float64) - targets
    return float((difference**2).sum(axis=1).mean() / 2)


def accuracy(outputs: NDArray, targets: NDArray) -> float:
    """Share of records whose largest output is at the target's largest entry (the first on ties)."""
    return float((np.argmax(outputs, axis=1) == np.argmax(targets, axis=1)).mean())


@dataclass
class Evaluation:
    """Loss and accuracy on one set of records; accuracy is None for regression.

    Attributes:
        records: How many records.
        loss, accuracy: Of the fixed-point network.
        twin_loss, twin_accuracy: Of the float64 network.
    """

    records: int
    loss: float
    accuracy: float | None
    twin_loss: float | None
    twin_accuracy: float | None


@dataclass
class History:
    """One entry per step, measured on the step's own batch before its update.

    Attributes:
        loss, accuracy: Of the fixed-point run; accuracies are empty for regression.
        twin_loss, twin_accuracy: Of the float64 run from the same initial weights on the same batches.
        train, test: Evaluations after the last step on the records and on held-out ones.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    twin_loss: list[float] = field(default_factory=list)
    twin_accuracy: list[float] = field(default_factory=list)
    train: Evaluation | None = None
    test: Evaluation | None = None

    def to_json(self) -> str:
        """Text that `from_json` reads back."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> History:
        """Read what `to_json` wrote.

        Raises:
            FormatError: The text is no history.
        """
        try:
            values = json_text.loads(text)
            if not isinstance(values, dict) or set(values) != {f.name for f in fields(cls)}:
                raise ValueError("unexpected keys")
            for name in ("train", "test"):
                values[name] = None if values[name] is None else Evaluation(**values[name])
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise FormatError(f"history: not a training history ({error})") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, whole or not at all."""
        write_whole(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a file that `save` wrote."""
        return cls.from_json(Path(path).read_bytes())
