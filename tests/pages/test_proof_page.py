"""`zkdl inspect --html`: the page says what the proof claims, and only with the statement that it names."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zkdl.cli import app
from zkdl.protocol.proof import describe
from zkdl.protocol.statement import Statement

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

    from zkdl.cli.inspecting import _soundness
    from zkdl.cli.page import proof_page

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
    found["soundness"] = _soundness(claim, "bits")
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
