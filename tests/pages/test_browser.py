"""Pages in a real browser: nothing fetched, nothing complained of, readable on a phone and in the dark."""

import itertools
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import dpkit
from benchmarks._machine import ROOT
from benchmarks._publish_pictures import PICTURES
from benchmarks._readme_proofs import beside_published
from benchmarks._report import report_page
from dpkit._inspection import release_page
from tests.benchmarks.test_run import RESULTS, stored
from tests.pages import browser
from tests.pages.test_proof_page import GOLDEN
from zkdl.cli import app as zkdl_app
from zkdl.cli.notes import write_note

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.missing() is not None, reason=browser.missing() or "a browser is here"),
]

# Every text with its colour and the colour behind it; marks and lines of plots too.
COLOURS = """
const rgb = c => { const n = (c.match(/[0-9.]+/g) || [0, 0, 0, 0]).map(Number);
  return n.length > 3 && n[3] === 0 ? null : n; };
const behind = e => { for (; e; e = e.parentElement) {
  const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c; } return [255, 255, 255]; };
const out = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const style = getComputedStyle(e), back = behind(e), svg = e instanceof SVGElement;
  if (svg && ['title', 'desc', 'style'].includes(e.tagName)) continue;
  const ink = rgb(svg ? style.fill : style.color);
  if (own) out.push([ink, back, 'text', e.tagName + ' ' + e.textContent.slice(0, 40)]);
  if (svg && e.matches('.line')) out.push([rgb(style.stroke), back, 'drawing', e.getAttribute('class')]);
  if (svg && e.matches('.mark, .bar')) out.push([rgb(style.fill), back, 'drawing', e.getAttribute('class')]);
}
return out;
"""
FOCUSABLE = """
return [...document.querySelectorAll('a[href], button, summary, [tabindex="0"]')]
  .filter(e => !e.closest('details:not([open])') || e.tagName === 'SUMMARY')
  .map(e => e.outerHTML.slice(0, 120));
"""
FOCUSED = """
const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
return [e.outerHTML.slice(0, 120), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        box.right > 0 && box.bottom > 0 && box.top < innerHeight];
"""
WIDER = """
return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .skip')
  && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 120));
"""


def luminance(colour):
    channels = [c / 255 for c in colour[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """The ratio of WCAG 2.2: 4.5 is asked of text, 3 of drawings."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_colours():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def release_pages(folder):
    X = np.random.default_rng(0).uniform(size=(500, 2))
    made = {
        "kde": dpkit.KDE(X, features=256, delta=1e-6, bounds=(0, 1)),
        "hash": dpkit.KDE(X, "laplacian", features=32, structure="hash", neighbours="replace"),
        "distance": dpkit.DistanceSum(X, bounds=(0, 1)),
        "squares": dpkit.DistanceSum(X, metric="sqeuclidean", radius=2.0),
        "class": dpkit.SimilarityClassifier(classes=[0, 1]).fit(X, X[:, 0] > 0.5).releases_[0],
    }
    for name, release in made.items():
        page = release_page(release, f"{name} <b>&lt; {'long' * 30}.dpk", 4321, X[:40])
        yield _write(folder / f"{name}.html", page.data())


def proof_pages(folder):
    """A run with both range arguments, the prover's times beside one; committed records; a proof alone."""
    for name, statement in (
        ("bits", "statement"),
        ("lookup", "statement"),
        ("data", "data"),
        ("alone", None),
    ):
        place = folder / f"{name}-files"
        place.mkdir()
        proof = place / ("data.zkdl" if name == "data" else "proof.zkdl")
        shutil.copy(GOLDEN / f"{'bits' if name == 'alone' else name}.zkdl", proof)
        if statement:
            shutil.copy(GOLDEN / f"{statement}.json", place)
        if name == "lookup":
            times = {"witness": 1.2, "commitments": 0.5, "ranges": 33.0}
            write_note(
                proof, proof.read_bytes(), {"seconds": 35.0, "seconds_by_phase": times, "backend": "cpu"}
            )
        out = folder / f"{name}.html"
        done = CliRunner().invoke(zkdl_app, ["inspect", str(proof), "--html", str(out)])
        assert done.exit_code == 0, done.output
        yield out


def pictures(folder):
    """Every picture of the docs that has its colours inside, on its own ground, in one page each."""
    drawn = {"beside": beside_published(stored("proving"), ROOT / "docs")}
    drawn |= {f"small-{name}": make(stored(part)) or "" for name, (part, make) in PICTURES.items()}
    drawn |= {path.stem: path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.svg")}
    for name, svg in drawn.items():
        if "prefers-color-scheme" in svg:
            page = f"<!doctype html><meta charset='utf-8'><body style='margin:0;background:var(--card)'>{svg}"
            yield _write(folder / f"{name}.svg.html", page.encode())


def _write(path, data):
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def chromium():
    window = browser.Browser()
    yield window
    window.close()


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    return list(pictures(tmp_path_factory.mktemp("pictures")))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    report = report_page({path.stem: stored(path.stem) for path in RESULTS.glob("*.json")})
    return [*release_pages(folder), *proof_pages(folder), _write(folder / "report.html", report.data())]


def test_nothing_is_fetched_and_nothing_complained_of(chromium, pages):
    for page in pages:
        assert page.stat().st_size < 1 << 20
        chromium.open(page)
        assert chromium.fetched() == [page.resolve().as_uri()]
        assert chromium.complaints() == []
        assert chromium.run("return document.scripts.length") == 0


def test_the_checks_bite(chromium, tmp_path):
    bad = _write(
        tmp_path / "bad.html",
        b"<body><p style='width:900px;color:#999;background:#aaa'>x</p><img src='missing.png'>",
    )
    chromium.open(bad, width=360)
    assert len(chromium.fetched()) == 2
    assert chromium.complaints()
    assert chromium.run("return document.documentElement.scrollWidth") > 360
    assert any(contrast(ink, back) < 4.5 for ink, back, _, _ in chromium.run(COLOURS))


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_no_width_needs_sideways_scrolling(chromium, pages, width):
    for page in pages:
        chromium.open(page, width=width)
        assert chromium.run("return innerWidth") == width
        assert chromium.run("return document.documentElement.scrollWidth") <= width
        assert chromium.run(WIDER) == []


@pytest.mark.parametrize("dark", [False, True])
def test_everything_can_be_read_in_light_and_in_dark(chromium, pages, drawings, dark):
    for page in [*pages, *drawings]:
        chromium.open(page, dark=dark)
        chromium.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        found = chromium.run(COLOURS)
        assert len(found) > (2 if page in drawings else 50)
        backs = {luminance(back) for _, back, _, _ in found}
        assert all(back < 0.1 if dark else back > 0.7 for back in backs)
        least = {"text": 4.5, "drawing": 3.0}
        weak = [
            (what, round(contrast(ink, back), 2))
            for ink, back, kind, what in found
            if contrast(ink, back) < least[kind]
        ]
        assert weak == []


def test_the_keyboard_reaches_everything_in_order(chromium, pages):
    from selenium.webdriver.common.keys import Keys

    for page in pages:
        chromium.open(page)
        # What is folded away is reached too, once it is open.
        chromium.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        wanted = chromium.run(FOCUSABLE)
        assert "skip" in wanted[0]
        seen = []
        for _ in wanted:
            chromium.press(Keys.TAB)
            what, outlined, visible = chromium.run(FOCUSED)
            assert outlined, f"no outline: {what}"
            assert visible, f"focus is out of sight: {what}"
            seen.append(what)
        assert seen == wanted


def test_a_fold_opens_by_keyboard(chromium, pages):
    from selenium.webdriver.common.keys import Keys

    chromium.open(next(page for page in pages if page.stem == "data"))
    chromium.run("document.querySelector('summary').focus()")
    chromium.press(Keys.ENTER)
    assert chromium.run("return document.querySelector('details').open")
    assert chromium.run("return document.querySelector('details table').getBoundingClientRect().height") > 50


def test_every_picture_says_what_it_is(chromium, pages, drawings):
    for page in [*pages, *drawings]:
        chromium.open(page)
        silent = chromium.run(
            "return [...document.querySelectorAll('img, svg')].filter(e => e.tagName === 'IMG' ? !e.alt :"
            "!(e.closest('[aria-hidden=true]') || e.querySelector('svg[role=img] > title') ||"
            "e.getAttribute('role') === 'img' && e.querySelector('title')))"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert silent == []


def test_pages_have_one_heading_a_language_and_levels_in_order(chromium, pages):
    for page in pages:
        chromium.open(page)
        levels = chromium.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
        assert chromium.run("return document.documentElement.lang") == "en"
        assert chromium.run("return document.title.length") > 5


def test_plots_have_names_and_tables_have_heads(chromium, pages):
    for page in pages:
        chromium.open(page)
        unnamed = chromium.run(
            "return [...document.querySelectorAll('svg[role=img]')].filter("
            "s => !s.getAttribute('aria-labelledby').split(' ')"
            ".every(i => document.getElementById(i)?.textContent.length > 3)).length"
        )
        assert unnamed == 0
        twice = chromium.run(
            "const ids = [...document.querySelectorAll('[id]')].map(e => e.id);"
            "return ids.filter((i, k) => ids.indexOf(i) !== k)"
        )
        assert twice == []
        assert chromium.run(
            "return [...document.querySelectorAll('nav a, .skip')]"
            ".every(a => document.querySelector(a.getAttribute('href')))"
        )
