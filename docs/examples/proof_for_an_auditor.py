"""Training with a proof handed to an auditor, who has neither the data nor the weights.

The hospital trains on records that must not leave it. The auditor gets the statement and the proof, and later
a model, and checks that this very model is what the agreed training made of the committed records.
"""

import tempfile
from pathlib import Path

import numpy as np
from _pictures import Gallery

import zkdl

picture = Gallery(__file__, __doc__)
rng = np.random.default_rng(3)
X = rng.uniform(0, 1, size=(256, 12))
y = (X[:, :6].sum(axis=1) > X[:, 6:].sum(axis=1)).astype(int)

with tempfile.TemporaryDirectory() as name:
    desk = Path(name)
    # At the hospital. The seed comes from a public draw, so that nobody could pick a convenient one.
    run = zkdl.train(X, y, hidden=(16,), steps=8, batch_size=32, learning_rate="1/8", seed=20_24)
    run.statement.save(desk / "statement.json")
    zkdl.prove(run.statement, run.witness).save(desk / "proof.zkdl")
    zkdl.export(run.statement, run.witness).save(desk / "model.safetensors")
    print(f"loss {run.history.loss[0]:.3f} -> {run.history.loss[-1]:.3f} in {run.statement.steps} steps")
    sizes = {file.name: file.stat().st_size for file in sorted(desk.iterdir())}
    for name, size in sizes.items():
        print(f"  handed over: {name:18} {size:7,} bytes")
    private = {"256 records, never shown": X.nbytes, **sizes}
    picture.bars("What the auditor gets, and what not", [(k, v, f"{v:,} bytes") for k, v in private.items()])

    # At the auditor's.
    statement = zkdl.Statement.load(desk / "statement.json")
    proof = zkdl.Proof.load(desk / "proof.zkdl")
    model = zkdl.Model.load(desk / "model.safetensors")
    zkdl.verify(statement, proof, model)
    print("accepted: this model is the result of exactly these steps on the committed records")

    forged = bytearray(bytes(proof))
    forged[len(forged) // 2] ^= 1
    try:
        zkdl.verify(statement, zkdl.Proof.from_bytes(forged), model)
    except zkdl.ProofRejected as refusal:
        print(f"one bit changed in the proof: refused, {refusal.reason}")

    other = zkdl.train(X, y, hidden=(16,), steps=8, batch_size=32, learning_rate="1/8", seed=4)
    try:
        zkdl.verify(statement, proof, zkdl.export(other.statement, other.witness))
    except zkdl.ProofRejected as refusal:
        print(f"a model of another training: refused, {refusal.reason}")
