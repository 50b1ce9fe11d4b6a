"""Files of the past: the current verifier accepts them, and the format is pinned to the byte."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction

import pytest

from tests.zkdl.adversaries.cases import SMALL, reason
from tests.zkdl.golden.make import HERE, RANGES, make_resumed, make_run
from zkdl.protocol.chain import Link
from zkdl.protocol.channel import Section
from zkdl.protocol.proof import FORMAT_VERSION, MAGIC, Proof, describe
from zkdl.protocol.statement import Statement
from zkdl.verifier import verify_chain

PINS = json.loads((HERE / "pins.json").read_text())


@pytest.fixture(scope="module")
def statement() -> Statement:
    return Statement.load(HERE / "statement.json")


@pytest.mark.parametrize("ranges", RANGES)
def test_golden_proofs_verify(statement: Statement, ranges: str) -> None:
    proof = Proof.load(HERE / f"{ranges}.zkdl")
    assert reason(statement, proof) is None
    pin = dict(PINS[ranges])
    assert hashlib.sha256(bytes(proof)).hexdigest() == pin.pop("sha256")
    assert describe(bytes(proof)) == pin


def test_golden_statement(statement: Statement) -> None:
    assert statement.to_json() == (HERE / "statement.json").read_text()
    assert statement.digest().hex() == PINS["statement_digest"]
    assert (statement.widths, statement.settings) == ((3, 4, 4, 2), SMALL)
    assert (statement.learning_rate, statement.mu) == (Fraction(1, 16), 1)
    # Same seeds, same batches, same initial weights, same training, same commitments: on every platform.
    assert make_run().statement == statement


def test_golden_chain(statement: Statement) -> None:
    resumed, proof = Statement.load(HERE / "resumed.json"), Proof.load(HERE / "resumed.zkdl")
    assert resumed == make_resumed().statement
    pin = dict(PINS["resumed"])
    assert hashlib.sha256(bytes(proof)).hexdigest() == pin.pop("sha256")
    assert describe(bytes(proof)) == pin
    links = verify_chain([(statement, Proof.load(HERE / "lookup.zkdl")), (resumed, proof)])
    # The records are committed anew in the second run: nobody can tell that they are the same.
    assert links == [Link("other", "continue")]


@pytest.mark.parametrize("ranges", RANGES)
def test_the_layout_of_the_file(ranges: str) -> None:
    data = (HERE / f"{ranges}.zkdl").read_bytes()
    assert data[:8] == MAGIC == b"ZKDLPRF\0"
    assert int.from_bytes(data[8:10], "little") == FORMAT_VERSION == 3
    assert data[10] == {"bits": 0, "lookup": 1}[ranges]
    assert data[11:43].hex() == PINS["statement_digest"]
    at = 43
    for tag, section in enumerate(Section, start=1):
        assert data[at] == tag
        size = int.from_bytes(data[at + 1 : at + 5], "little")
        assert size == PINS[ranges]["sections"][section]
        at += 5 + size
    assert at == len(data)


def test_golden_files_are_small() -> None:
    assert sum(file.stat().st_size for file in HERE.iterdir() if file.is_file()) < 100_000
