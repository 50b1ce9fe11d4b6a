"""Proof files of committed tables: damaged, recombined, mislabelled; and what they give away."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.zkdl.adversaries import files, tables
from tests.zkdl.adversaries.tables import Committed, forge, reason
from tests.zkdl.golden import make_table
from zkdl import arithmetic as za
from zkdl.errors import InputError, Reason
from zkdl.protocol.channel import Section
from zkdl.protocol.table_kinds import WeightTable, read_table
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover import UnsafeSeededRandomness


@pytest.fixture(scope="module")
def data() -> Committed:
    return tables.data()


@pytest.fixture(scope="module")
def weights() -> Committed:
    return tables.weights()


class Case:
    """A table, an honest proof of it and where its messages lie."""

    def __init__(self, committed: Committed) -> None:
        self.committed, self.table = committed, committed.table
        self.proof = forge(committed)
        self.trace = list(files.TracedChannel.trace)


@pytest.fixture(scope="module")
def case(data: Committed) -> Case:
    return Case(data)


# --- the format, pinned to the byte ---------------------------------------------------------------------


def test_golden_table() -> None:
    """Files of the past verify, and the same seed still gives the same bytes."""
    pins = json.loads((make_table.HERE / "table_pins.json").read_text())
    table = read_table(make_table.HERE / "data.json")
    proof = (make_table.HERE / "data.zkdl").read_bytes()
    assert reason(table, proof) is None
    assert table.to_json() == (make_table.HERE / "data.json").read_text()
    assert table.digest().hex() == pins["table_digest"]
    assert (hashlib.sha256(proof).hexdigest(), len(proof)) == (pins["sha256"], pins["bytes"])
    assert make_table.make()[0] == table
    assert make_table.make()[2] == proof


# --- files ------------------------------------------------------------------------------------------------


def test_limb_commitments_swapped(weights: Committed) -> None:
    three = tables.weights(bits=33)
    case = Case(three)
    first, second = (m for m in case.trace if m.section == Section.COMMITMENTS and "limbs" in m.label)
    assert reason(three.table, case.proof) is None
    assert reason(three.table, files.swap(case.proof, first, second)) is not None


def test_chunks_dropped_repeated_and_reordered() -> None:
    with tables.chunks_of(4):
        committed = tables.data(rows=8, features=3)
        assert len(committed.table.chunks) == 2
        case = Case(committed)
        assert reason(case.table, case.proof) is None
        ranges = files.section(case.proof, Section.RANGES)
        starts = [m.start for m in case.trace if m.section == Section.RANGES and m.label == "lookup/roots"]
        if not starts:
            starts = [m.start for m in case.trace if m.section == Section.RANGES and "roots" in m.label]
        first, second, rest = ranges[: starts[1]], ranges[starts[1] : starts[2]], ranges[starts[2] :]
        assert len(first) == len(second)
        for changed in (
            first + rest,
            first + first + second + rest,
            second + first + rest,
            first + first + rest,
        ):
            assert reason(case.table, files.with_section(case.proof, Section.RANGES, changed)) is not None
        # Rows of the table in another order, or one of them twice, are another table.
        c = case.table.commitment
        for other in (c[48:96] + c[:48] + c[96:], c[:48] * 2 + c[96:], c[:-48]):
            changed_table = replace(case.table, commitment=other)  # type: ignore[type-var]
            assert reason(changed_table, case.proof) == Reason.STATEMENT_MISMATCH
            pasted = case.proof[:11] + changed_table.digest() + case.proof[43:]
            assert reason(changed_table, pasted) is not None


def test_proof_of_another_table(case: Case) -> None:
    other = tables.data(seed=1)
    theirs = forge(other)
    assert reason(other.table, theirs) is None
    assert reason(case.table, theirs) == Reason.STATEMENT_MISMATCH
    assert reason(case.table, theirs[:11] + case.table.digest() + theirs[43:]) is not None


CHANGES: dict[str, dict[str, Any]] = {
    "data": {
        "bits": 6, "scale": 2, "commitment": None, "features": 1, "outputs": 2, "version": 2,
        "backend": "kzg",
    },
    "weights": {
        "bits": 19, "scale": 2, "commitment": None, "widths": (3, 2, 3), "bias": False, "row_bits": 5,
        "version": 2, "backend": "kzg",
    },
}  # fmt: skip
CHANGED = [(kind, name) for kind, changes in CHANGES.items() for name in changes]


@pytest.mark.parametrize(("kind", "name"), CHANGED)
def test_every_public_field_changed_after_proving(
    data: Committed, weights: Committed, kind: str, name: str
) -> None:
    committed = data if kind == "data" else weights
    proof = forge(committed)
    value = CHANGES[kind][name]
    if name == "commitment":
        old = committed.table.commitment
        value = old[-48:] + old[48:-48] + old[:48] if len(old) > 48 else tables.data().table.commitment[:48]
    changed = replace(committed.table, **{name: value})  # type: ignore[type-var]
    assert reason(changed, proof) in (Reason.STATEMENT_MISMATCH, Reason.BAD_STATEMENT)
    # The digest is not the only guard: the transcript binds every field.
    pasted = proof[:11] + changed.digest() + proof[43:]
    assert reason(changed, pasted) is not None


def test_truncation_at_every_length(case: Case) -> None:
    assert reason(case.table, b"") == Reason.BAD_MAGIC
    for length in range(1, len(case.proof)):
        assert reason(case.table, case.proof[:length]) == Reason.TRUNCATED, length
    assert reason(case.table, case.proof + b"\0") == Reason.TRAILING_BYTES


def test_sections_of_another_length(case: Case) -> None:
    for section in (Section.COMMITMENTS, Section.RANGES, Section.OPENING):
        content = files.section(case.proof, section)
        for changed in (content[:-48], content + content[-48:], b""):
            assert reason(case.table, files.with_section(case.proof, section, changed)) == Reason.LENGTH


def test_a_flipped_byte_of_every_message(case: Case) -> None:
    """One byte of every message and of the header; the slow set flips every byte."""
    places = [*range(0, 43, 5)]
    at = 43
    for tag, content in files.split(case.proof)[1]:
        section = next(s for s, t in files.TAGS.items() if t == tag)
        inside = [m for m in case.trace if m.section == section]
        places += [
            at,
            at + 2,
            *(at + 5 + m.start + m.size // 2 for m in inside[:: max(1, len(inside) // 12)]),
        ]
        at += 5 + len(content)
    for place in places:
        _check_flip(case, place)


@pytest.mark.slow
def test_every_byte_flipped(case: Case) -> None:
    for place in range(len(case.proof)):
        _check_flip(case, place)


def _check_flip(case: Case, place: int) -> None:
    changed = bytearray(case.proof)
    changed[place] ^= 1 << (place % 8)
    assert reason(case.table, bytes(changed)) is not None, place


def test_run_proofs_and_table_proofs_are_told_apart(case: Case) -> None:
    from tests.zkdl.adversaries import cases

    run = cases.train()
    proof = bytes(cases.forge(run.statement, run.witness))
    assert reason(case.table, proof) == Reason.BAD_MAGIC
    assert cases.reason(run.statement, case.proof) == Reason.BAD_MAGIC


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 1}, "bits must be between 2 and 20"),
        ({"bits": 21}, "bits must be between 2 and 20"),
        ({"scale": 5}, "scale must be between 0 and 4"),
        ({"features": 0}, "features must be"),
        ({"features": 1 << 14}, "features \\+ outputs"),
        ({"commitment": b""}, "records must be"),
        ({"commitment": bytes(47)}, "records must be"),
        ({"commitment": bytes(49)}, "commitment must be 48 bytes"),
        ({"version": 0}, "version must be 1"),
        ({"backend": "kzg"}, "backend must be"),
    ],
)
def test_bad_tables_are_refused(data: Committed, change: dict[str, Any], message: str) -> None:
    bad = replace(data.table, **change)  # type: ignore[type-var]
    with pytest.raises(InputError, match=message):
        bad.validate()
    assert reason(bad, forge(data)) == Reason.BAD_STATEMENT


def test_a_huge_table_with_a_short_proof_is_refused_at_once(case: Case) -> None:
    huge = WeightTable(61, 1, bytes(48 << 6), (1 << 10, 1 << 10), False, 14)
    huge.validate()
    assert reason(huge, case.proof[:11] + huge.digest() + case.proof[43:]) == Reason.LENGTH
    with pytest.raises(InputError, match="one 48-byte point per row"):
        WeightTable(20, 1, bytes(48), (1 << 20, 1 << 20), False, 14).validate()


# --- zero knowledge -----------------------------------------------------------------------------------------


def _parts(proof: bytes, trace: list[files.Message], size: int) -> list[bytes]:
    out = []
    for message in trace:
        if message.points == (size == 48):
            raw = files.message_bytes(proof, message)
            out += [raw[k : k + size] for k in range(0, len(raw), size)]
    return out


def test_two_proofs_of_one_table_share_nothing(weights: Committed) -> None:
    both = []
    for _ in range(2):
        proof = forge(weights)
        both.append((proof, list(files.TracedChannel.trace)))
    for size in (48, 32):
        parts = [part for proof, trace in both for part in _parts(proof, trace, size)]
        assert not [part for part, count in Counter(parts).items() if count > 1]
    c = weights.table.commitment
    public = {c[k : k + 48] for k in range(0, len(c), 48)}
    assert all(public.isdisjoint(_parts(proof, trace, 48)) for proof, trace in both)
    seeded = [forge(weights, randomness=UnsafeSeededRandomness(1)) for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_clear_scalars_are_no_small_numbers(case: Case) -> None:
    scalars = [int.from_bytes(part, "little") for part in _parts(case.proof, case.trace, 32)]
    assert scalars
    assert all(min(v, R - v) >= 1 << 128 for v in scalars)


@pytest.mark.parametrize("kind", ["data", "weights"])
def test_a_simulator_without_witness_satisfies_every_equation(
    kind: str, data: Committed, weights: Committed
) -> None:
    from tests.zkdl.adversaries import simulator

    table = (data if kind == "data" else weights).table
    random = b"".join(za.g1.to_bytes(simulator.random_points(table.rows)))
    table = replace(table, commitment=random)  # type: ignore[type-var]
    proof, challenges = simulator.simulate_table(table)
    assert reason(table, proof) is not None
    with simulator.programmed(challenges):
        assert reason(table, proof) is None
    honest = forge(data if kind == "data" else weights)
    assert [len(c) for _, c in files.split(proof)[1]] == [len(c) for _, c in files.split(honest)[1]]
