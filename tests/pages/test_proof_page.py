"""`zkdl inspect --html`: the page says what the proof claims, and only with the statement that it names."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zkdl.cli import app
from zkdl.cli.inspecting import _soundness, _subject
from zkdl.cli.notes import note_path, read_note, write_note
from zkdl.cli.page import proof_page
from zkdl.cli.phases import phases
from zkdl.cli.table_page import table_page
from zkdl.protocol.proof import describe
from zkdl.protocol.report import report
from zkdl.protocol.statement import Statement
from zkdl.protocol.table_kinds import WeightTable, read_table

GOLDEN = Path(__file__).resolve().parent.parent / "zkdl" / "golden"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.parametrize("ranges", ["bits", "lookup"])
def test_the_page_has_every_number(ranges, tmp_path):
    out = tmp_path / "page.html"
    done = run("inspect", GOLDEN / f"{ranges}.zkdl", "--html", out)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == f"{out}: {out.stat().st_size} bytes"
    page = out.read_text("utf-8")
    data = (GOLDEN / f"{ranges}.zkdl").read_bytes()
    found = describe(data)
    for name, size in found["sections"].items():
        assert name in page
        assert f"{size:,}" in page
    statement = Statement.load(GOLDEN / "statement.json")
    assert statement.digest().hex() in page
    assert "–".join(map(str, statement.widths)) in page
    assert f"exactly {statement.steps} steps" in page
    assert str(statement.learning_rate) in page
    assert "Not proved" in page
    assert "<script" not in page

    both = run("inspect", GOLDEN / f"{ranges}.zkdl", "--html", out, "--json")
    bits = json.loads(both.stdout)["soundness"]["bits_by_argument"]
    assert all(name in page for name in bits)


def test_parameters_are_counted_with_their_biases(tmp_path):
    out = tmp_path / "page.html"
    run("inspect", GOLDEN / "bits.zkdl", "--html", out)
    assert f"{4 * 4 + 5 * 4 + 5 * 2} parameters" in out.read_text("utf-8")  # 3-4-4-2


def test_without_its_statement_a_proof_claims_nothing_that_can_be_told(tmp_path):
    alone, out = tmp_path / "a<img src=x>.zkdl", tmp_path / "page.html"
    shutil.copy(GOLDEN / "bits.zkdl", alone)
    assert run("inspect", alone, "--html", out).exit_code == 0
    page = out.read_text("utf-8")
    assert "cannot say what is claimed" in page
    assert "Soundness" not in page
    assert "<img" not in page
    assert run("inspect", alone, "--statement", GOLDEN / "statement.json", "--html", out).exit_code == 0
    assert "Soundness" in out.read_text("utf-8")


def test_a_chained_statement_says_where_it_starts_and_what_it_takes_for_granted():
    from dataclasses import replace

    claim = Statement.load(GOLDEN / "statement.json")
    claim = replace(
        claim,
        first_step=7,
        initial_seed=None,
        initial_commitment=claim.final_commitment,
        initial_limit=4096,
        data_ranges="separate",
    )
    found = dict(describe((GOLDEN / "bits.zkdl").read_bytes()))
    found["soundness"] = _soundness(_subject(claim, "bits"))
    page = proof_page("x", found, claim).html()
    assert "the zero network with a committed change" in page
    assert f"numbers 7 to {6 + claim.steps}" in page
    assert "stays within 4,096 and that the records are in range" in page


def test_failures_leave_no_file(tmp_path):
    for arguments in (
        ("inspect", GOLDEN / "bits.zkdl", "--html", tmp_path / "nowhere" / "page.html"),
        ("inspect", GOLDEN / "statement.json", "--html", tmp_path / "page.html"),
        ("inspect", GOLDEN / "bits.zkdl", "--html", tmp_path),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith("zkdl: ")
    assert list(tmp_path.iterdir()) == []


def test_a_committed_table_has_a_page(tmp_path):
    out = tmp_path / "page.html"
    done = run("inspect", GOLDEN / "data.zkdl", "--html", out)
    assert done.exit_code == 0, done.output
    table, page = read_table(GOLDEN / "data.json"), out.read_text("utf-8")
    assert table.digest().hex() in page
    assert f"{table.rows:,} × {table.columns:,}" in page
    assert f"{table.rows * table.columns:,} numbers there" in page
    assert f"{table.bits} bits" in page
    assert "from −16 to below 16, in steps of 2⁻⁴" in page
    assert "Not proved" in page
    for name, size in describe((GOLDEN / "data.zkdl").read_bytes())["sections"].items():
        assert name in page
        assert f"{size:,}" in page
    alone = shutil.copy(GOLDEN / "data.zkdl", tmp_path / "alone.zkdl")
    assert run("inspect", alone, "--html", out).exit_code == 0
    page = out.read_text("utf-8")
    assert "Proof of a committed table" in page
    assert "cannot say what is claimed" in page


def test_committed_weights_have_a_page():
    table = WeightTable(36, 32, b"", (3, 4, 2), True, 5)
    table = WeightTable(36, 32, bytes(48 * table.rows), (3, 4, 2), True, 5)
    counted = phases(table)
    sections = {phase.name: phase.bytes for phase in counted}
    total = report(table).proof_bytes
    found = {
        "proves": "a committed table", "format_version": 3, "bytes": total, "ranges": "lookup",
        "statement_digest": table.digest().hex(), "sections": sections, "soundness": _soundness(table),
    }  # fmt: skip
    page = table_page("weights.zkdl", found, table, counted).html()
    assert f"{4 * 4 + 5 * 2} numbers there" in page
    assert "network 3–4–2, with biases" in page
    assert "from −8 to below 8, in steps of 2⁻³²" in page
    assert "12 + 12 + 12 bits" in page
    assert f"{total:,} bytes" in page


@pytest.mark.parametrize("name", ["bits", "lookup", "data"])
def test_phases_add_up_to_the_proof_and_to_its_report(name):
    data = (GOLDEN / f"{name}.zkdl").read_bytes()
    claim = read_table(GOLDEN / "data.json") if name == "data" else Statement.load(GOLDEN / "statement.json")
    subject = _subject(claim, name)
    counted, whole = phases(subject), report(subject)
    assert {phase.name: phase.bytes for phase in counted} == describe(data)["sections"]
    assert sum(sum(phase.terms.values()) for phase in counted) == sum(whole.terms.values())
    assert all(phase.bytes == 48 * phase.points + 32 * phase.scalars for phase in counted)
    assert all(0 < phase.rounds <= phase.challenges for phase in counted[1:])
    assert counted[0].soundness_bits is None
    assert min(phase.soundness_bits for phase in counted[1:]) >= whole.statistical_bits
    make = table_page if name == "data" else proof_page
    page = make("x", {**describe(data), "soundness": _soundness(subject)}, claim, counted).html()
    for phase in counted:
        assert f"<dt>rounds</dt><dd>{phase.rounds}</dd>" in page


def test_times_are_shown_as_reported_and_only_of_this_very_proof(tmp_path):
    proof, out = tmp_path / "proof.zkdl", tmp_path / "page.html"
    data = (GOLDEN / "lookup.zkdl").read_bytes()
    proof.write_bytes(data)
    figures = {"seconds": 3.5, "seconds_by_phase": {"witness": 1.25, "<b>": 0.5}, "peak_rss_bytes": 2**28}
    write_note(proof, data, {**figures, "backend": "cpu", "out": "left out"})
    note = json.loads(note_path(proof).read_text())
    assert note["about"] == "reported by the prover, not proved"
    assert "out" not in note
    assert run("inspect", proof, "--html", out).exit_code == 0
    page = out.read_text("utf-8")
    for words in ("not proved", "Times, as reported", "1.25 s", "500 ms", "256 MiB", "3.5 s"):
        assert words in page
    assert "<b>" not in page
    assert (
        json.loads(run("inspect", proof, "--json").stdout)["reported"]["seconds_by_phase"]["witness"] == 1.25
    )

    wrong = [
        {**note, "proof_sha256": "0" * 64},
        {**note, "seconds_by_phase": {"a": -1}},
        {**note, "seconds_by_phase": {"a": True}},
        {**note, "seconds_by_phase": {"a": 10**400}},
        {**note, "seconds_by_phase": {str(k): 1 for k in range(99)}},
        {**note, "seconds_by_phase": {}},
        [note],
        "[" * 5000,
    ]
    for bad in wrong:
        note_path(proof).write_text(bad if isinstance(bad, str) else json.dumps(bad))
        assert read_note(proof, data) is None
        assert run("inspect", proof, "--html", out).exit_code == 0
        assert "as reported" not in out.read_text("utf-8")
    note_path(proof).write_text(json.dumps({**note, "seconds": "x", "processor": 3}))
    assert read_note(proof, data)["seconds_by_phase"] == figures["seconds_by_phase"]
    assert run("inspect", proof, "--html", out).exit_code == 0


def test_a_device_gets_no_note(tmp_path):
    write_note(Path("/dev/null"), b"", {"seconds_by_phase": {"a": 1.0}})
    write_note(tmp_path / "nowhere" / "proof.zkdl", b"", {"seconds_by_phase": {"a": 1.0}})
    assert not Path("/dev/null.times.json").exists()
    assert list(tmp_path.iterdir()) == []
