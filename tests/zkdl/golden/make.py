"""Make the golden files: a statement with two proofs, and one that continues it; without any secret.

    python -m tests.zkdl.golden.make

Blindings come from `UnsafeSeededRandomness`, so these proofs hide nothing; their data is made up.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.zkdl.adversaries.cases import Run, after, train
from zkdl.protocol.chain import hand_on
from zkdl.protocol.proof import describe
from zkdl.prover import UnsafeSeededRandomness, prove
from zkdl.training.commitments import commit_data
from zkdl.verifier import verify

HERE = Path(__file__).resolve().parent
RANGES = ("bits", "lookup")
DATA = ((8, -3, 5, 8, 0), (0, 0, 0, 0, 8), (-8, 7, 1, 0, 8), (2, 4, -6, 8, 0))
"""Three features and a one-hot label at scale 2^3; one record rounds to zero everywhere."""


def make_run() -> Run:
    """Two steps of a 3-4-4-2 network on four made-up records."""
    return _seeded(train(data=np.array(DATA, dtype=np.int64)), 2307)


def make_resumed() -> Run:
    """One more step, from the weights that `make_run` ends at."""
    run = make_run()
    return _seeded(train(data=run.witness.data, start=after(run), first_step=2, steps=1), 2308)


def _seeded(run: Run, seed: int) -> Run:
    randomness = UnsafeSeededRandomness(seed)
    run.witness.data_blinds = randomness.elements(len(run.witness.data_blinds))
    run.witness.final_blinds = randomness.elements(len(run.witness.final_blinds))
    data = commit_data(run.witness.data, run.witness.data_blinds)
    run.statement = replace(run.statement, data_commitment=data)
    run.recommit()
    return run


def main() -> None:
    """Write the files and what the test expects of them."""
    run = make_run()
    run.statement.save(HERE / "statement.json")
    pins: dict[str, object] = {"statement_digest": run.statement.digest().hex()}
    for seed, ranges in enumerate(RANGES):
        proof = prove(run.statement, run.witness, ranges=ranges, randomness=UnsafeSeededRandomness(seed))
        verify(run.statement, proof)
        proof.save(HERE / f"{ranges}.zkdl")
        pins[ranges] = {"sha256": hashlib.sha256(bytes(proof)).hexdigest(), **describe(bytes(proof))}
    first, run = run, make_resumed()
    run.statement.save(HERE / "resumed.json")
    proof = prove(run.statement, run.witness, ranges="bits", randomness=UnsafeSeededRandomness(len(RANGES)))
    verify(run.statement, proof, initial=hand_on(first.statement))
    proof.save(HERE / "resumed.zkdl")
    pins["resumed"] = {"sha256": hashlib.sha256(bytes(proof)).hexdigest(), **describe(bytes(proof))}
    (HERE / "pins.json").write_text(json.dumps(pins, indent=2) + "\n")


if __name__ == "__main__":
    main()
