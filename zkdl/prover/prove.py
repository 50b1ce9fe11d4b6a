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
from zkdl.prover.memory import check_memory
from zkdl.prover.randomness import OSRandomness, Randomness
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.check import check_witness as check_relation
from zkdl.training.witness import Witness

Progress = Callable[[str, float], None]


class TimedChannel(ProverChannel):
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
    memory_limit: int | None = None,
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
        memory_limit: bytes that this process may reach; by default ``ZKDL_MEMORY_LIMIT`` or what is
            available. 0 for no limit.

    Returns:
        The proof, with ``phases``: seconds by phase.

    Raises:
        InputError: an unknown range argument, or a statement that is not acceptable.
        ResourceError: the proof would take more memory than that; see `zkdl.prover.memory.check_memory`.
        WitnessError: the witness does not satisfy the relation.

    *Transcript*: see `zkdl.protocol.schedule.run`.
    """
    if ranges not in RANGE_CODES:
        raise InputError(f"ranges is {ranges!r}, expected one of {', '.join(map(repr, RANGE_CODES))}")
    start = time.perf_counter()
    statement.validate()
    check_memory(statement, ranges, memory_limit)
    if progress is not None:
        progress("witness", 0.0)
    instance = Instance(statement, ranges)  # type: ignore[arg-type]
    if check_witness:
        check_relation(statement, witness, instance=instance)
    tensors = Tensors(instance, witness)
    known = known_rows(instance, tensors, witness)
    channel = TimedChannel(Transcript(PROTOCOL), known, randomness or OSRandomness(), progress=progress)
    run(channel, instance, ProverWork(instance, tensors))
    end = time.perf_counter()
    marks = [("witness", start), *channel.starts, ("end", end)]
    phases = {name: later - at for (name, at), (_, later) in itertools.pairwise(marks)}
    return Proof(encode(ranges, statement.digest(), channel.finished()), phases)


def known_rows(instance: Instance, tensors: Tensors, witness: Witness) -> dict[str, SecretRows]:
    """The rows behind the commitments of the statement, by name."""
    blinds = {
        "data": np.ascontiguousarray(witness.data_blinds[instance.used_records]),
        "final": witness.final_blinds,
        "initial": witness.initial_blinds,
    }
    rows = {
        name: tensors.data if name == "data" else instance.stack(name).rows(tensors.tables[name])
        for name in instance.known
    }
    return {name: SecretRows(matrix, blinds[name]) for name, matrix in rows.items()}
