"""The gallery: short programs that run and show what they say."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GALLERY = sorted((ROOT / "docs" / "examples").glob("[a-z]*.py"))


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1].replace(",", ""))


def density_of_a_map(said):
    assert "PureDP(epsilon=1.0" in said
    assert said.count("\n  ") >= 44
    largest, densest = number(r"largest error ([\d,]+)", said), number(r"of ([\d,]+) at the densest", said)
    assert largest < densest / 2
    assert number(r"(\d+)% of the places", said) > 60


def classify_embeddings(said):
    rows = {float(e): float(a) for e, a in re.findall(r"^ +([\d.]+) +([\d.]+)%", said, re.M)}
    assert rows[10.0] > 80
    assert rows[0.1] < rows[10.0]
    assert abs(rows[10.0] - number(r"no privacy +([\d.]+)%", said)) < 8


def live_counter(said):
    assert "ZCDP(rho=0.5, neighbours='zero-out') together" in said
    assert len(re.findall(r"^ +\d+ .* ± .* ± ", said, re.M)) == 14
    assert number(r"([\d.]+)% of 20,160", said) > 50


def proof_for_an_auditor(said):
    assert "accepted: this model" in said
    assert re.search(r"one bit changed in the proof: refused, [a-z-]+", said)
    assert re.search(r"a model of another training: refused, [a-z-]+", said)


def audit_a_broken_mechanism(said):
    assert re.search(r"hasty tree.*PROMISE BROKEN", said)
    assert said.count("-> CAUGHT") == 1
    assert said.count("-> nothing found") == 1


CHECKS = {
    check.__name__: check
    for check in (
        density_of_a_map,
        classify_embeddings,
        live_counter,
        proof_for_an_auditor,
        audit_a_broken_mechanism,
    )
}


def test_every_example_is_short_listed_and_checked():
    assert {path.stem for path in GALLERY} == set(CHECKS)
    page = (ROOT / "docs" / "examples" / "README.md").read_text()
    for path in GALLERY:
        assert f"]({path.name})" in page
        assert len(path.read_text().splitlines()) < 60
        assert f"]({path.stem}.svg)" in page
        drawn = (path.parent / f"{path.stem}.svg").read_text("utf-8")
        assert len(drawn) < 40_000
        assert ElementTree.fromstring(drawn).get("role") == "img"
        assert path.read_text().startswith('"""')


@pytest.mark.slow
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_example_shows_what_it_says(path, tmp_path):
    command = [sys.executable, "-W", "error", str(path), "--out", "pictures"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    CHECKS[path.stem](done.stdout)
    assert [drawn.name for drawn in tmp_path.rglob("*.*")] == [f"{path.stem}.svg"]
    ElementTree.parse(tmp_path / "pictures" / f"{path.stem}.svg")
