"""The prover: statement and witness in, proof out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np

from zkdl.errors import InputError
from zkdl.protocol.channel import Section
from zkdl.protocol.instance import Instance
from zkdl.protocol.proof import RANGE_CODES, Proof, encode
from zkdl.protocol.schedule import PROTOCOL, run
from zkdl.protocol.statement import Statement
from zkdl.protocol.transcript import Transcript
from zkdl.prover.channel import ProverChannel, SecretRows
from zkdl.prover.randomness import OSRandomness, Randomness
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.check import check_witness as check_relation
from zkdl.training.witness import Witness

Progress = Callable[[str, float], None]


class _TimedChannel(ProverChannel):
    """Notes when each section starts, and says so."""

    def __init__(self, *args: object, progress: Progress | None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.starts: list[tuple[str, float]] = []
        self._progress = progress

    def section(self, section: Section) -> None:
        self.starts.append((str(section), time.perf_counter()))
        if self._progress is not None:
            self._progress(str(section), (1 + list(Section).index(section)) / (1 + len(Section)))
        super().section(section)


def prove(
    statement: Statement,
    witness: Witness,
    *,
    ranges: str = "lookup",
    check_witness: bool = True,
    progress: Progress | None = None,
    randomness: Randomness | None = None,
) -> Proof:
    """Prove that the run described by ``statement`` was computed exactly.

    Args:
        statement: the public statement.
        witness: every integer of the run and the blindings of the statement's commitments.
        ranges: the range argument, ``"lookup"`` or ``"bits"`` (the slow baseline).
        check_witness: recompute the whole relation first and refuse a wrong witness. Without it
            the prover goes through the motions whatever the witness: for tests of the verifier.
        progress: called with the name of the phase and the fraction done.
        randomness: source of blinding; the operating system's by default.

    Returns:
        The proof, with ``phases``: seconds by phase.

    Raises:
        InputError: an unknown range argument, or a statement that is not acceptable.
        WitnessError: the witness does not satisfy the relation.

    *Transcript*: see `zkdl.protocol.schedule.run`.
    """
    if ranges not in RANGE_CODES:
        raise InputError(f"ranges is {ranges!r}, expected one of {', '.join(map(repr, RANGE_CODES))}")
    start = time.perf_counter()
    statement.validate()
    if progress is not None:
        progress("witness", 0.0)
    if check_witness:
        check_relation(statement, witness)
    instance = Instance(statement, ranges)  # type: ignore[arg-type]
    tensors = Tensors(instance, witness)
    known = {
        "data": SecretRows(tensors.data, np.ascontiguousarray(witness.data_blinds[instance.used_records])),
        "final": SecretRows(instance.final.rows(tensors.tables["final"]), witness.final_blinds),
    }
    channel = _TimedChannel(Transcript(PROTOCOL), known, randomness or OSRandomness(), progress=progress)
    run(channel, instance, ProverWork(instance, tensors))
    end = time.perf_counter()
    marks = [("witness", start), *channel.starts, ("end", end)]
    phases = {name: later - at for (name, at), (_, later) in itertools.pairwise(marks)}
    return Proof(encode(ranges, statement.digest(), channel.finished()), phases)
