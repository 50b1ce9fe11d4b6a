"""Make the golden files of a committed table, reproducibly and without any secret.

python -m tests.zkdl.golden.make_table
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from zkdl.protocol.commitment import commit_rows
from zkdl.protocol.table_kinds import DataTable
from zkdl.prover import UnsafeSeededRandomness, prove_table
from zkdl.verifier import verify_table

HERE = Path(__file__).resolve().parent
ENTRIES = np.array([[-256, 255, 0], [7, -1, 100], [0, 0, 0]], dtype=np.int64)
"""Three made-up records of 9 bits, both ends of the range among them."""


def make() -> tuple[DataTable, np.ndarray, bytes]:
    """The table, its entries and a proof; blindings are known to everyone."""
    from zkdl import arithmetic as za

    randomness = UnsafeSeededRandomness(2307)
    blinds = randomness.elements(len(ENTRIES))
    commitment = b"".join(za.g1.to_bytes(commit_rows(ENTRIES, blinds)))
    table = DataTable(9, 4, commitment, 2, 1)
    return table, ENTRIES, bytes(prove_table(table, ENTRIES, blinds, randomness=randomness))


def main() -> None:
    """Write the files and what the test expects of them."""
    table, _, proof = make()
    verify_table(table, proof)
    table.save(HERE / "data.json")
    (HERE / "data.zkdl").write_bytes(proof)
    pins = {
        "table_digest": table.digest().hex(),
        "sha256": hashlib.sha256(proof).hexdigest(),
        "bytes": len(proof),
    }
    (HERE / "table_pins.json").write_text(json.dumps(pins, indent=2) + "\n")


if __name__ == "__main__":
    main()
