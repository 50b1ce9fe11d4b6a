"""The README's measured section is written from published figures, and says nothing else."""

import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import _readme, _readme_proofs
from benchmarks._machine import ROOT
from benchmarks._publish import published
from tests.benchmarks.test_run import RESULTS, stored

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def entries():
    return {path.stem: stored(path.stem) for path in RESULTS.glob("*.json")}


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    text = "Before.\n\n<!-- measured -->\nold\n<!-- end measured -->\n\nAfter.\n"
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return tmp_path / "docs"


def put(path, data):
    path.write_bytes(data)
    return [path]


def test_the_readme_is_what_published_figures_give():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count("<!-- measured -->") == readme.count("<!-- end measured -->") == 1
    assert _readme.rendered(readme, published(DOCS), DOCS) == readme


def test_its_picture_is_what_published_figures_give():
    entry = published(DOCS).get("proving")
    if entry is None:
        pytest.skip("no proofs are published")
    drawn = _readme_proofs.beside_published(entry, DOCS)
    path = DOCS / "figures" / _readme_proofs.PICTURE
    assert (path.read_text(encoding="utf-8") if path.exists() else None) == drawn


def test_nothing_published_changes_nothing(docs):
    before = (docs.parent / "README.md").read_bytes()
    assert _readme.write(docs, {}, put) == [docs.parent / "README.md"]
    assert (docs.parent / "README.md").read_bytes() == before


def test_every_part_has_its_figures_and_names_where_they_come_from(docs, entries):
    shutil.copy(DOCS / "figures" / "headline.json", docs / "figures")
    (docs / "figures" / "error-against-epsilon.svg").write_text("<svg/>")
    _readme.write(docs, entries, put)
    text = (docs.parent / "README.md").read_text(encoding="utf-8")
    assert text.startswith("Before.\n\n<!-- measured -->")
    assert text.endswith("<!-- end measured -->\n\nAfter.\n")
    assert "old" not in text.split("\n")
    result = {name: entry["result"] for name, entry in entries.items()}
    error = next(r for r in result["similarity"]["errors"] if r["budget"] == "pure")["mean_relative_error"]
    assert f"{100 * error:.3g} %" in text
    counters = [r for r in result["continual"]["counters"] if r["mechanism"] != "k-ary"]
    best = min((r for r in counters if r["horizon"] == 2**14), key=lambda r: r["predicted_rmse"])
    assert f"| {best['mechanism']} | {best['predicted_rmse']:.3g} | {best['floor']:.3g} |" in text
    for row in result["classification"]["rows"]:
        assert f"{row['accuracy']:.3f}" in text
    measured = [r for r in result["proving"]["points"] if r["ranges"] == "bits" and r["status"] == "measured"]
    assert any(f"{row['proof_bytes']:,} B" in text for row in measured)
    assert "374,297 B" in text  # the headline's longest run, kept from before
    assert "Measured earlier: AMD EPYC, 2026-" in text
    assert f"at least {round(result['noise']['smallest_ratio'])} times as many as OpenDP" in text
    msm = [r for r in result["arithmetic"]["rows"] if r["kernel"] == "msm 2^12, 255 bits"]
    assert f"| {msm[0]['seconds']:.3g} s |" in text
    for name in entries:
        assert f"docs/results/{name}.json" in text
    assert "2026-01-01, commit 000000000000, small sizes" in text
    assert text.count("<img") == 2  # a picture that is not there is not shown
    for alt in re.findall(r'alt="([^"]*)"', text):
        assert len(alt) > 60
        assert not set("<>") & set(alt)


@pytest.mark.parametrize("part", [path.stem for path in RESULTS.glob("*.json")])
def test_a_part_alone_or_missing_loses_nothing_of_the_others(docs, entries, part):
    alone = _readme.measured({part: entries[part]}, docs)
    rest = _readme.measured({name: entry for name, entry in entries.items() if name != part}, docs)
    assert f"docs/results/{part}.json" in alone
    assert f"docs/results/{part}.json" not in rest
    lines = [line for line in alone.splitlines()[4:] if line.startswith(("| ", "**"))]
    assert not set(lines) & {line for line in rest.splitlines() if not line.startswith("|  |")}


def test_machines_that_differ_are_named_apart(docs, entries):
    other = {**entries["noise"], "machine": {**entries["noise"]["machine"], "processor": "Other"}}
    text = _readme.measured({**entries, "noise": other}, docs)
    assert "- [noise](docs/results/noise.json): Other" in text


def test_the_picture_beside_published_work(docs, entries):
    assert _readme_proofs.beside_published(entries["proving"], docs) is None
    shutil.copy(DOCS / "figures" / "headline.json", docs / "figures")
    drawn = _readme_proofs.beside_published(entries["proving"], docs)
    root = ElementTree.fromstring(drawn)
    _, _, width, height = map(float, root.get("viewBox").split())
    name = "{http://www.w3.org/2000/svg}"
    for circle in root.iter(f"{name}circle"):
        assert 0 < float(circle.get("cx")) < width
        assert 0 < float(circle.get("cy")) < height
    said = " ".join(root.itertext())
    for words in (
        "3.85 s a step",
        "11.7 kB a step",
        "47 s",
        "82 kB a step",
        "1.63 MB in all",
        "not published",
    ):
        assert words in said
    assert "prefers-color-scheme:dark" in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in drawn
    assert len(drawn) < 20_000


def test_fresh_figures_of_the_headline_go_before_kept_ones(docs, entries):
    shutil.copy(DOCS / "figures" / "headline.json", docs / "figures")
    kept = _readme_proofs.headline(entries["proving"], docs)
    assert [row["steps"] for row, earlier in kept if earlier] == [8, 32]
    fresh = {**kept[0][0], "seconds": 12.25}
    result = {**entries["proving"]["result"]}
    result["points"] = [*result["points"], fresh]
    found = _readme_proofs.headline({**entries["proving"], "result": result}, docs)
    assert [(row["steps"], bool(earlier)) for row, earlier in found] == [(8, False), (32, True)]
    assert found[0][0]["seconds"] == 12.25
