"""Damaged, recombined and mislabelled proof files: every one is refused with its own reason."""

from __future__ import annotations

import itertools
import re
import sys
import time
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.zkdl.adversaries import files, guards
from tests.zkdl.adversaries.cases import Run, forge, reason, train
from zkdl import arithmetic as za
from zkdl.cli import app
from zkdl.errors import InputError, Reason
from zkdl.protocol.channel import SECTION_REASON, Section
from zkdl.protocol.settings import Settings
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.channel import ProverChannel

TINY = Settings(
    activation_scale=1, gradient_scale=1, weight_scale=3, activation_bits=3, gradient_bits=2, limb_bits=3
)


class Case:
    """A run, an honest proof of it and where its messages lie."""

    def __init__(self, run: Run, ranges: str) -> None:
        self.run, self.statement = run, run.statement
        self.proof = self.another(ranges)
        self.trace = list(files.TracedChannel.trace)
        self.ranges = ranges

    def another(self, ranges: str) -> bytes:
        return bytes(forge(self.run.statement, self.run.witness, ranges=ranges, channel=files.TracedChannel))

    def messages(self, *, points: bool) -> list[files.Message]:
        """One message of every label, numbers in labels aside: the last one."""
        kinds = {re.sub(r"\d+", "#", m.label): m for m in self.trace if m.points == points}
        return list(kinds.values())


@pytest.fixture(scope="module")
def small() -> Case:
    return Case(train(), "bits")


@pytest.fixture(scope="module")
def looked_up() -> Case:
    return Case(train(), "lookup")


@pytest.fixture(scope="module")
def tiny() -> Case:
    run = train((1, 1), batch_size=1, steps=1, records=1, bias=False, settings=TINY, row_bits=4)
    return Case(run, "bits")


def test_honest_files_verify(small: Case, looked_up: Case, tiny: Case) -> None:
    for case in (small, looked_up, tiny):
        assert reason(case.statement, case.proof) is None
        assert files.join(*files.split(case.proof)) == case.proof
        assert sum(m.size for m in case.trace) + files.HEADER + 5 * len(Section) == len(case.proof)


def test_truncation_at_every_length(small: Case, tiny: Case) -> None:
    assert reason(tiny.statement, b"") == Reason.BAD_MAGIC
    for case in (small, tiny):
        for length in range(1, len(case.proof)):
            assert reason(case.statement, case.proof[:length]) == Reason.TRUNCATED, length


def test_trailing_bytes(small: Case) -> None:
    for tail in (b"\0", b"\1" + bytes(4), small.proof):
        assert reason(small.statement, small.proof + tail) == Reason.TRAILING_BYTES


def test_a_file_above_the_limit_is_not_even_parsed(small: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["zkdl.verifier.verify"], "MAX_PROOF_BYTES", len(small.proof) - 1)
    assert reason(small.statement, small.proof) == Reason.LENGTH


def test_a_huge_statement_with_a_short_proof_is_refused_at_once(small: Case) -> None:
    """Neither 2^24 rows nor 2^23 samples are laid out."""
    wide = replace(
        small.statement,
        widths=(1, 1 << 20),
        bias=False,
        batch_size=1 << 8,
        steps=1 << 15,
        learning_rate=Fraction(1 << 8, 1 << 5),
        records=1 << 8,
        row_bits=14,
        data_commitment=bytes(48 << 8),
        final_commitment=bytes(48 << 6),
    )
    with pytest.raises(InputError):
        wide.validate()
    narrow = replace(wide, widths=(1, 1 << 13), row_bits=14, final_commitment=bytes(48))
    narrow.validate()
    proof = small.proof[:11] + narrow.digest() + small.proof[43:]
    start = time.process_time()
    assert reason(narrow, proof) == Reason.LENGTH
    assert time.process_time() - start < 5


def test_statements_whose_integers_could_wrap_are_refused(small: Case) -> None:
    for rate in (Fraction(1 << 61), Fraction(1 << 46, 32)):
        fast = replace(small.statement, learning_rate=rate)
        proof = small.proof[:11] + fast.digest() + small.proof[43:]
        assert reason(fast, proof) == Reason.BAD_STATEMENT


def test_missing_duplicate_and_reordered_sections(small: Case) -> None:
    header, sections = files.split(small.proof)
    last = len(sections) - 1
    for k in range(len(sections)):
        missing = files.join(header, sections[:k] + sections[k + 1 :])
        assert reason(small.statement, missing) == (Reason.TRUNCATED if k == last else Reason.SECTION)
        twice = files.join(header, sections[: k + 1] + sections[k:])
        assert reason(small.statement, twice) == (Reason.TRAILING_BYTES if k == last else Reason.SECTION)
        for j in range(k):
            swapped = list(sections)
            swapped[j], swapped[k] = swapped[k], swapped[j]
            assert reason(small.statement, files.join(header, swapped)) == Reason.SECTION
            # The same with tags that look right: contents in the wrong place.
            contents = [(tag, content) for (tag, _), (_, content) in zip(sections, swapped, strict=True)]
            assert reason(small.statement, files.join(header, contents)) is not None
    unknown = files.join(header, [*sections[:2], (77, b""), *sections[2:]])
    assert reason(small.statement, unknown) == Reason.SECTION


def test_sections_of_another_length(small: Case) -> None:
    for section in Section:
        content = files.section(small.proof, section)
        for wrong in (content + b"\0", content + content, b"", content[:-1], content[48:]):
            if wrong != content:
                damaged = files.with_section(small.proof, section, wrong)
                accepted = {Reason.LENGTH}
                if not wrong or wrong == content[48:]:
                    # What moves into place may also fail to decode before the end is reached.
                    accepted |= {
                        Reason.POINT_NOT_CANONICAL,
                        Reason.POINT_NOT_ON_CURVE,
                        Reason.SCALAR_NOT_CANONICAL,
                        Reason.POINT_NOT_IN_SUBGROUP,
                    }
                assert reason(small.statement, damaged) in accepted, section


@pytest.mark.parametrize("bit", [0, 7])
def test_header_bytes_flipped(small: Case, bit: int) -> None:
    for at in range(files.HEADER):
        damaged = bytearray(small.proof)
        damaged[at] ^= 1 << bit
        if at < 8:
            expected = {Reason.BAD_MAGIC}
        elif at < 10:
            expected = {Reason.VERSION}
        elif at == 10:
            # 0 becomes 1: a proof with bits is read as one with a lookup, and has too many bytes.
            expected = {Reason.LENGTH} if bit == 0 else {Reason.BACKEND}
        else:
            expected = {Reason.STATEMENT_MISMATCH}
        assert reason(small.statement, bytes(damaged)) in expected, at


def test_section_headers_flipped(small: Case) -> None:
    at = files.HEADER
    for _, content in files.split(small.proof)[1]:
        for k in range(5):
            for bit in range(8):
                damaged = bytearray(small.proof)
                damaged[at + k] ^= 1 << bit
                expected = (
                    {Reason.SECTION} if k == 0 else {Reason.TRUNCATED, Reason.SECTION, Reason.TRAILING_BYTES}
                )
                assert reason(small.statement, bytes(damaged)) in expected
        at += 5 + len(content)


def _flip_all(case: Case, positions: range) -> None:
    for at in positions:
        damaged = bytearray(case.proof)
        damaged[at] ^= 1 << (at % 8)
        assert reason(case.statement, bytes(damaged)) is not None, at


def test_every_seventeenth_byte_flipped(tiny: Case) -> None:
    # 17 is prime to 48 and to 32: every position inside a point and inside a scalar is met.
    _flip_all(tiny, range(files.HEADER, len(tiny.proof), 17))


@pytest.mark.slow
def test_every_byte_flipped(tiny: Case, small: Case) -> None:
    _flip_all(tiny, range(len(tiny.proof)))
    _flip_all(small, range(0, len(small.proof), 5))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_spliced_files_are_refused_and_never_crash(small: Case, data: st.DataObject) -> None:
    """Slices copied from one place of a proof to another, keeping its length."""
    size = data.draw(st.sampled_from((1, 32, 48, 96, 300)))
    source = data.draw(st.integers(0, len(small.proof) - size))
    target = data.draw(st.integers(0, len(small.proof) - size))
    damaged = small.proof[:target] + small.proof[source : source + size] + small.proof[target + size :]
    assert (reason(small.statement, damaged) is None) == (damaged == small.proof)


def test_scalars_that_are_not_canonical(small: Case, looked_up: Case) -> None:
    for case in (small, looked_up):
        for message in case.messages(points=False):
            item = message.items - 1
            raw = files.message_bytes(case.proof, message)[32 * item :]
            shifted = (int.from_bytes(raw, "little") + R).to_bytes(32, "little")
            damaged = files.patch(case.proof, message, shifted, item)
            assert reason(case.statement, damaged) == Reason.SCALAR_NOT_CANONICAL, message


BAD_POINTS = {
    "off the curve": (files.off_curve, Reason.POINT_NOT_ON_CURVE),
    "order r times cofactor": (files.wrong_order, Reason.POINT_NOT_IN_SUBGROUP),
    "order 3": (lambda: files.encode_x(0), Reason.POINT_NOT_IN_SUBGROUP),
    "infinity": (lambda: files.INFINITY, Reason.POINT_AT_INFINITY),
    "infinity with an x": (lambda: files.encode_x(1, 0xC0), Reason.POINT_NOT_CANONICAL),
    "infinity with a sign": (lambda: files.encode_x(0, 0xE0), Reason.POINT_NOT_CANONICAL),
    "uncompressed flag": (lambda: files.encode_x(4, 0x00), Reason.POINT_NOT_CANONICAL),
    "x equal to the modulus": (lambda: files.encode_x(za.Fq.modulus), Reason.POINT_NOT_CANONICAL),
    "x too large": (lambda: files.encode_x((1 << 381) - 1), Reason.POINT_NOT_CANONICAL),
}


@pytest.mark.parametrize("kind", BAD_POINTS)
def test_points_that_are_no_points(small: Case, kind: str) -> None:
    make, expected = BAD_POINTS[kind]
    # Every kind of point for one kind of damage, a quarter of them for each of the others.
    every, start = (1, 0) if kind == "order 3" else (4, list(BAD_POINTS).index(kind) % 4)
    for message in small.messages(points=True)[start::every]:
        damaged = files.patch(small.proof, message, make(), message.items - 1)
        assert reason(small.statement, damaged) == expected, message


@pytest.mark.parametrize("name", ["data_commitment", "final_commitment"])
@pytest.mark.parametrize("kind", BAD_POINTS)
def test_statements_with_points_that_are_no_points(small: Case, kind: str, name: str) -> None:
    make, expected = BAD_POINTS[kind]
    old = getattr(small.statement, name)
    statement = replace(small.statement, **{name: old[:-48] + make()})
    # The prover goes along with the statement, so the digest is right.
    assert reason(statement, forge(statement, small.run.witness)) == expected


def test_negated_and_foreign_points_are_refused(small: Case) -> None:
    """Points that decode but are not the ones committed."""
    other = za.g1.to_bytes(za.g1.generator())[0]
    for k, message in enumerate(small.messages(points=True)):
        negated = bytearray(files.message_bytes(small.proof, message)[:48])
        negated[0] ^= 0x20
        damaged = files.patch(small.proof, message, (bytes(negated), other)[k % 2])
        assert reason(small.statement, damaged) is not None, message


def test_wrong_answers_are_refused_by_their_own_section(small: Case, looked_up: Case) -> None:
    """A clear scalar off by one: what was sent before it is right, so its own equation is first to fail."""
    names = {f"opening/{r}": r for r in (Reason.OPENING, Reason.DATA, Reason.WEIGHTS)}
    names |= {"ledger": Reason.SUMCHECK, "ledger/opening": Reason.SUMCHECK}
    for case in (small, looked_up):
        for message in case.messages(points=False):
            value = int.from_bytes(files.message_bytes(case.proof, message)[:32], "little")
            damaged = files.patch(case.proof, message, ((value + 1) % R).to_bytes(32, "little"))
            expected = names.get(message.label.rpartition("/")[0], SECTION_REASON[message.section])
            if message.label.startswith("lookup/sum"):
                expected = Reason.MULTIPLICITY
            assert reason(case.statement, damaged) == expected, message


def test_sections_of_another_proof_of_the_same_statement(small: Case) -> None:
    """Every relation still says that it misses by nothing; the messages do not fit each other."""
    other = small.another("bits")
    assert reason(small.statement, other) is None
    for section in Section:
        mixed = files.with_section(small.proof, section, files.section(other, section))
        assert reason(small.statement, mixed) == Reason.SUMCHECK, section


def test_two_round_messages_swapped(small: Case, looked_up: Case) -> None:
    for case in (small, looked_up):
        rounds = [m for m in case.trace if m.label.endswith("/round")]
        pairs = [(a, b) for a, b in itertools.pairwise(rounds) if a.label == b.label]
        assert {m.section for m, _ in pairs} == set(Section) - {Section.COMMITMENTS}
        for a, b in {a.section: (a, b) for a, b in pairs}.values():
            damaged = files.swap(case.proof, a, b)
            assert reason(case.statement, damaged) == Reason.SUMCHECK, a


def test_fold_messages_swapped(small: Case) -> None:
    for name in (Reason.OPENING, Reason.DATA, Reason.WEIGHTS):
        crosses = [m for m in small.trace if m.label == f"opening/{name}/cross"]
        assert reason(small.statement, files.swap(small.proof, *crosses[:2])) == name
        raw = files.message_bytes(small.proof, crosses[-1])
        turned = files.patch(small.proof, crosses[-1], raw[48:] + raw[:48])
        assert reason(small.statement, turned) == name


class _WrongOrder(ProverChannel):
    """Adds the point (0, 2) of order 3 to one commitment."""

    def _write(self, label: str, data: bytes) -> None:
        if label == "opening/values":
            point = za.g1.add(za.g1.from_bytes(data[:48]), files.order_three())
            data = za.g1.to_bytes(point)[0] + data[48:]
        super()._write(label, data)


def test_without_the_subgroup_check_a_point_of_wrong_order_passes(tiny: Case) -> None:
    """Its coefficient in the one final equation is a multiple of 3 in a third of all attempts."""
    statement, witness = tiny.run.statement, tiny.run.witness
    outcomes = set()
    for _ in range(40):
        proof = forge(statement, witness, channel=_WrongOrder)
        assert reason(statement, proof) == Reason.POINT_NOT_IN_SUBGROUP
        with guards.without_subgroup_check():
            outcomes.add(reason(statement, proof))
        if None in outcomes:
            return
    pytest.fail(f"never accepted without the check: {outcomes}")


def test_the_command_line_says_no_with_exit_code_1(small: Case, tmp_path) -> None:
    statement, proof = tmp_path / "statement.json", tmp_path / "proof.zkdl"
    small.statement.save(statement)
    damaged = files.swap(small.proof, *[m for m in small.trace if m.label == "matmul/round"][:2])
    for data, code in ((small.proof, 0), (damaged, 1), (small.proof[:-1], 1), (b"", 1)):
        proof.write_bytes(data)
        result = CliRunner().invoke(app, ["verify", str(statement), str(proof)])
        assert result.exit_code == code, result.output
    replace(small.statement, seed=3).save(statement)
    proof.write_bytes(small.proof)
    result = CliRunner().invoke(app, ["verify", str(statement), str(proof), "--json"])
    assert result.exit_code == 1
    assert "statement-mismatch" in result.output
