"""A finished run: its statement, witness and history, and the folder that they are kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zkdl.protocol.files import write_together
from zkdl.protocol.statement import Statement
from zkdl.training.history import History
from zkdl.training.witness import Witness

__all__ = ["Run"]


@dataclass
class Run:
    """A finished training run.

    Attributes:
        statement: Public; what a proof is about.
        witness: Private; needed to prove, never to verify.
        history: Loss and accuracy per step, beside a float64 twin.
    """

    statement: Statement
    witness: Witness
    history: History

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write ``statement.json``, ``witness.npz`` (mode 0600) and ``history.json`` to a directory.

        A new directory appears complete or not at all. In an existing one, which may hold other files, each
        of the three is replaced whole, the statement last and only after both others were written; a proof
        of an earlier run that lies there then no longer verifies.

        Raises:
            InputError: ``directory`` is a file.
            OSError: Something could not be written.
        """
        write_together(
            directory,
            {
                "history.json": self.history.save,
                "witness.npz": self.witness.save,
                "statement.json": self.statement.save,
            },
        )

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Run:
        """Read what `save` wrote.

        Raises:
            FormatError: One of the files is malformed.
            OSError: One of the files cannot be read.
        """
        folder = Path(directory)
        return cls(
            Statement.load(folder / "statement.json"),
            Witness.load(folder / "witness.npz"),
            History.load(folder / "history.json"),
        )
