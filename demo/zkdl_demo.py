"""Train a small network in fixed point, prove it, verify it, then try to cheat in several ways.

Training, proving and verifying go through the command line as a user would type it; the attacks go through
the Python interface, because no command makes false proofs.
"""

import dataclasses
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import zkdl

SETTINGS = "--data digits --hidden 32,32 --steps 8 --batch-size 32 --learning-rate 1/16 --seed 1"


@contextmanager
def timed(what):
    """Announce a step before it starts and say how long it took."""
    print(f"  {what} ...", end=" ", flush=True)
    start = time.perf_counter()
    yield
    print(f"{time.perf_counter() - start:.1f} s", flush=True)


def run(line, folder):
    """Run one `zkdl` command line in a folder and fail unless it exits 0."""
    print(f"$ zkdl {line}", flush=True)
    start = time.perf_counter()
    code = subprocess.run(
        [sys.executable, "-m", "zkdl", *shlex.split(line)], cwd=folder, check=False
    ).returncode
    if code != 0:
        raise SystemExit(f"zkdl {line} exited {code}")
    print(f"  [{time.perf_counter() - start:.1f} s]\n", flush=True)


def refused(what, statement, proof):
    """Verify a forgery, print the reason it is refused for, and fail loudly if it is not."""
    try:
        zkdl.verify(statement, proof)
    except (zkdl.ProofRejected, zkdl.ZkdlError) as reason:
        print(f"  {what}\n      refused: {reason}", flush=True)
        return
    raise SystemExit(f"ACCEPTED A FORGERY: {what}")


def flipped(proof, position):
    """The proof with one bit of one byte changed."""
    forged = bytearray(proof)
    forged[position] ^= 1
    return bytes(forged)


def main():
    """Tell the whole story in a temporary folder."""
    print("The first run on a machine compiles its kernels: half a minute more, once.\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="zkdl-demo-") as folder:
        run(f"train {SETTINGS} --out RUN", folder)
        run("prove RUN", folder)
        run("verify RUN/statement.json RUN/proof.zkdl", folder)
        cheat(Path(folder) / "RUN")


def cheat(out):
    """Forge in every way at hand; each forgery must be refused, or the demo fails."""
    statement = zkdl.Statement.load(out / "statement.json")
    witness = zkdl.Witness.load(out / "witness.npz")
    proof = (out / "proof.zkdl").read_bytes()

    print("Now the cheating. A proof with one bit changed:")
    for position in (len(proof) // 3, 2 * len(proof) // 3, len(proof) - 1):
        refused(f"bit flipped in byte {position}", statement, flipped(proof, position))

    print("\nA true proof shown for another statement:")
    other = dataclasses.replace(statement, seed=statement.seed + 1)
    refused("another sampling seed", other, proof)
    renamed = proof.replace(statement.digest(), other.digest())
    refused("the same, the proof's own note of its statement rewritten to match", other, renamed)
    refused(
        "twice the learning rate",
        dataclasses.replace(statement, learning_rate=2 * statement.learning_rate),
        proof,
    )

    print("\nA proof made with care from a witness that is not true:")
    sign_lie = [s.copy() for s in witness.sign]
    sign_lie[0][3, 5, 7] ^= 1
    weight_lie = [w.copy() for w in witness.final_difference]
    weight_lie[0][0, 0] += 1
    lies = {
        "one ReLU sign of step 3 flipped": dataclasses.replace(witness, sign=sign_lie),
        "one final weight one unit off": dataclasses.replace(witness, final_difference=weight_lie),
    }
    for what, lie in lies.items():
        try:
            zkdl.prove(statement, lie)
        except zkdl.WitnessError as reason:
            print(f"  {what}\n      the prover itself declines: {reason}", flush=True)
        with timed("forced to prove it anyway"):
            forged = zkdl.prove(statement, lie, check_witness=False)
        refused("the verifier's view of it", statement, forged)

    fresh = bytes(zkdl.prove(statement, witness))
    zkdl.verify(statement, fresh)
    mine, first = (np.frombuffer(p, np.uint8)[-40_000:] for p in (fresh, proof))
    agree = np.mean(mine == first)
    print(f"\nA second honest proof verifies too; {agree:.1%} of its last 40,000 bytes agree with the first")
    print("(1 in 256 would by chance): every proof draws fresh blinding.")


if __name__ == "__main__":
    sys.exit(main())
