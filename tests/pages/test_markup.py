"""Pages are escaped by construction, and plots put numbers where they belong."""

import math
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpkit._page import Axis, Bar, Page, Series, bar_plot, chart, facts, line_plot, section, table
from dpkit._page.axes import fit
from dpkit._page.markup import tag, text
from dpkit._page.numbers import number_text

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>'\"&\u202e\x00\ud800"


def parse(markup):
    """Well-formed XML or an error: our pages close every element."""
    return ElementTree.fromstring(str(markup))


@given(st.text(st.characters(), max_size=40))
def test_text_comes_back_as_it_was_and_makes_no_element(plain):
    made = parse(tag("p", plain, title=plain))
    assert len(made) == 0
    shown = text(plain)
    assert not set("<>\"'") & set(shown)
    if plain.isprintable() and plain.isascii():
        assert (made.text or "") == plain
        assert made.get("title") == plain


class Elements(HTMLParser):
    """Names of elements and of their attributes, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.names, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_a_hostile_name_stays_text_wherever_it_goes():
    series = [Series(HOSTILE, [1.0, 2.0], [1.0, 2.0]), Series("b", [1.0], [math.nan])]
    axis = Axis(HOSTILE)
    page = Page(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        top=facts([(HOSTILE, HOSTILE, HOSTILE)]),
        sections=[
            section(HOSTILE, chart(HOSTILE, HOSTILE, series, axis, axis)),
            section("two", table([HOSTILE], [[HOSTILE]], HOSTILE)),
            section("three", bar_plot([Bar(HOSTILE, 1.0, HOSTILE)], HOSTILE, "id")),
        ],
        footer=HOSTILE,
    ).html()
    page.encode("utf-8")
    found = Elements()
    found.feed(page)
    assert "section" in found.names
    assert not found.names & {"script", "img", "iframe", "object", "base"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "\u202e" not in page
    assert "\x00" not in page
    assert page.count("alert(1)") > 10


def numbers_drawn(svg):
    line = next(e for e in svg.iter() if e.tag == "polyline")
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


@pytest.mark.parametrize("log", [0, 10, 2])
def test_points_stand_where_the_ticks_say(log):
    xs = [1.0, 8.0, 64.0]
    svg = parse(line_plot([Series("a", xs, xs)], Axis("x", log=log), Axis("y", log=log), "t", "id"))
    scale = fit(Axis("x", log=log), xs)
    drawn = numbers_drawn(svg)
    left, right = (x for x, _ in (drawn[0], drawn[-1]))
    share = (scale.place(8.0) - scale.place(1.0)) / (scale.place(64.0) - scale.place(1.0))
    assert drawn[1][0] == pytest.approx(left + share * (right - left), abs=0.11)
    assert drawn[0][1] > drawn[1][1] > drawn[2][1]  # upwards is smaller in SVG


@settings(max_examples=60)
@example([5e-324], 10)
@example([-5e-324, 1e300], 0)
@given(
    st.lists(st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, 1e-300]), min_size=1, max_size=8),
    st.sampled_from([0, 2, 10]),
)
def test_every_plot_is_well_formed_and_inside_its_frame(values, log):
    series = [Series("a", list(range(len(values))), values, values, values)]
    svg = parse(line_plot(series, Axis("x"), Axis("y", log=log), "t", "id"))
    _, _, width, height = map(float, svg.get("viewBox").split())
    for element in svg.iter():
        if element.tag in ("polyline", "polygon"):
            for pair in element.get("points").split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height
    assert len(fit(Axis("y", log=log), values).ticks) <= 12


def test_gaps_break_the_line_and_the_table_keeps_them():
    gap = [Series("a", [1, 2, 3, 4, 5], [1.0, 2.0, math.nan, 4.0, 5.0])]
    whole = parse(chart("t", "about", gap, Axis("x"), Axis("y")))
    assert sum(e.tag == "polyline" for e in whole.iter()) == 2
    assert sum(e.tag == "tr" for e in whole.iter()) == 6


def test_a_plot_is_read_out_and_its_table_has_the_same_numbers():
    made = parse(
        chart("Error", "why", [Series("ours", [1, 10], [0.5, 0.25])], Axis("n", log=10), Axis("error"))
    )
    svg = next(e for e in made.iter() if e.tag == "svg")
    assert svg.get("role") == "img"
    named = svg.get("aria-labelledby").split()
    found = {e.get("id"): e.text for e in svg.iter() if e.get("id")}
    assert set(named) == set(found)
    assert "0.5 at 1, 0.25 at 10" in " ".join(found.values())
    cells = [e.text for e in made.iter() if e.tag in ("td", "th")]
    assert cells == ["n", "ours", "1", "0.5", "10", "0.25"]
    region = next(e for e in made.iter() if e.get("role") == "region")
    assert region.get("tabindex") == "0"


@given(st.floats(-1e20, 1e20).filter(lambda v: v == 0 or abs(v) > 1e-20))
def test_number_text_is_right_to_its_digits(value):
    shown = number_text(value, 6).replace(",", "").replace("−", "-")
    plain = shown.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    if "× 10" in plain:
        plain = plain.replace(" × 10", "e")
    elif shown != plain:
        plain = plain.replace("10", "1e", 1)
    assert float(plain) == pytest.approx(value, rel=2e-5)
