"""`benchmarks publish`: docs say what published figures say, no more, no less."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import _publish, _run
from benchmarks._machine import ROOT
from benchmarks._publish_pictures import PICTURES
from benchmarks._publish_tables import TABLES
from tests.benchmarks.test_run import RESULTS, stored

DOCS = ROOT / "docs"
MARKER = re.compile(r"<!-- results: ([a-z0-9-]+) -->")


@pytest.fixture
def report(tmp_path):
    """A folder as a run leaves it, and pages with a place for every table."""
    raw, docs = tmp_path / "REPORT" / "raw", tmp_path / "docs"
    raw.mkdir(parents=True)
    docs.mkdir()
    for path in RESULTS.glob("*.json"):
        (raw / path.name).write_text(json.dumps(stored(path.stem)))
    places = "".join(f"<!-- results: {name} -->\nstale words\n<!-- end -->\n\n" for name in TABLES)
    (docs / "benchmarks.md").write_text(f"# Before\n\n{places}after\n")
    (docs / "benchmarks-proving.md").write_text("untouched\n")
    return tmp_path


def publish(folder, *more):
    return _publish.main([str(folder / "REPORT"), "--docs", str(folder / "docs"), *more])


@pytest.mark.parametrize("name", _publish.PAGES)
def test_the_docs_say_what_the_published_figures_say(name):
    page = (DOCS / name).read_text("utf-8")
    assert _publish.rendered(page, _publish.published(DOCS)) == page, "run: python -m benchmarks publish"


def test_every_table_and_picture_has_its_place():
    pages = "".join((DOCS / name).read_text("utf-8") for name in _publish.PAGES)
    assert sorted(MARKER.findall(pages)) == sorted(TABLES)
    shown = set(re.findall(r"\(figures/([a-z0-9-]+\.svg)\)", pages))
    parts = {part for part, _ in TABLES.values()} | {part for part, _ in PICTURES.values()}
    assert parts == set(_run.FIRST)
    assert shown & set(PICTURES) == set(PICTURES) - {"accuracy-against-epsilon-mnist5k.svg"}


def test_published_results_are_small():
    sizes = [path.stat().st_size for path in (DOCS / "results").glob("*.json")]
    assert sum(sizes) < 1 << 20
    assert max(sizes, default=0) < 200_000


def test_a_run_is_published_once(report, capsys):
    assert publish(report) == 0
    docs = report / "docs"
    said = capsys.readouterr().out
    assert "docs/results/tradeoff.json" in said
    page = (docs / "benchmarks.md").read_text("utf-8")
    assert page.startswith("# Before")
    assert page.endswith("after\n")
    assert "stale words" not in page
    assert "Not published" not in page
    assert page.count("commit 000000000000") == len(TABLES)
    assert page.count(", --quick.*") == len(TABLES)
    assert (docs / "benchmarks-proving.md").read_text() == "untouched\n"
    entry = json.loads((docs / "results" / "noise.json").read_text("utf-8"))
    assert entry["machine"]["processor"]
    assert entry["versions"]["python"]
    assert f"{entry['result']['rows'][0]['dpkit_per_second']:,}" in page
    # The same again, and the pages alone from what is published: nothing to write.
    assert publish(report) == 0
    assert _publish.main(["--docs", str(docs)]) == 0
    assert capsys.readouterr().out == ""


def test_pictures_are_whole_and_say_their_numbers(report):
    assert publish(report) == 0
    drawn = {path.name for path in (report / "docs" / "figures").glob("*.svg")}
    # The small run has no figures of MNIST.
    assert set(PICTURES) - drawn == {"accuracy-against-epsilon-mnist5k.svg"}
    for name in drawn:
        text = (report / "docs" / "figures" / name).read_text("utf-8")
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("svg")
        assert "prefers-color-scheme:dark" in text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "<script" not in text


def test_a_failed_part_is_not_published(report, capsys):
    path = report / "REPORT" / "raw" / "noise.json"
    path.write_text(json.dumps({**stored("noise"), "state": _run.FAILED, "result": None}))
    assert publish(report) == 1
    assert not (report / "docs" / "results" / "noise.json").exists()
    assert "not published: noise" in capsys.readouterr().err
    assert "*Not published yet: part noise.*" in (report / "docs" / "benchmarks.md").read_text("utf-8")


def test_parts_are_published_one_by_one(report, capsys):
    assert publish(report, "--only", "noise,tradeoff") == 0
    assert {path.stem for path in (report / "docs" / "results").glob("*.json")} == {"noise", "tradeoff"}
    assert publish(report, "--only", "nothing,noise") == 1
    assert "not published: nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        _publish.main([str(report / "nowhere"), "--docs", str(report / "docs")])
    assert end.value.code == 2


def test_rounding_keeps_integers_and_what_people_read():
    entry = _publish.compact(stored("noise"))
    rate = entry["result"]["rows"][0]["dpkit_per_second"]
    assert isinstance(rate, int)
    assert rate > 10**6
    assert _publish.rounded([1 / 3, float("inf"), True, None, "x"]) == [
        0.33333,
        float("inf"),
        True,
        None,
        "x",
    ]
    assert json.loads(_publish.written(entry)) == entry


def test_an_unknown_marker_is_an_error():
    with pytest.raises(KeyError, match="no-such-table"):
        _publish.rendered("<!-- results: no-such-table -->\n<!-- end -->\n", {})
