"""The parts of a page (sections, facts, tables, charts) and the whole document."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from dpkit._page.axes import Axis
from dpkit._page.markup import Content, Markup, join, tag
from dpkit._page.numbers import number_text
from dpkit._page.plots import Series, legend, line_plot

__all__ = ["Page", "chart", "facts", "figures", "note", "paragraph", "section", "table"]

# Whatever a page holds, a browser fetches nothing for it and runs nothing in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def identity(words: str) -> str:
    """Return words as an identifier for links.

    Example:
        >>> identity("What it costs: 2 plots")
        'what-it-costs-2-plots'
    """
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "part"


def paragraph(*content: Content) -> Markup:
    """Return a paragraph."""
    return tag("p", *content)


def note(*content: Content, warning: bool = False) -> Markup:
    """Return a paragraph that is set apart; a warning says so in words too."""
    start = join(tag("strong", "Take care."), " ") if warning else None
    return tag("div", tag("p", start, *content), class_="note warn" if warning else "note")


def facts(rows: Sequence[tuple[str, Content] | tuple[str, Content, Content]]) -> Markup:
    """Return names with their values, and a smaller word of explanation where there is one."""
    written = []
    for row in rows:
        more = tag("span", row[2], class_="more") if len(row) > 2 and row[2] else None
        written.append(tag("div", tag("dt", row[0]), tag("dd", row[1], more)))
    return tag("dl", *written, class_="facts")


def figures(rows: Sequence[tuple[str, str, str]]) -> Markup:
    """Return the few numbers that matter most: (number, what it is, the small print)."""
    written = [
        tag(
            "div",
            tag("dt", what),
            tag("dd", number, class_="big"),
            tag("dd", more, class_="more") if more else None,
        )
        for number, what, more in rows
    ]
    return tag("dl", *written, class_="keys")


def table(
    head: Sequence[str], rows: Sequence[Sequence[object]], caption: str, words: Sequence[int] = ()
) -> Markup:
    """Return a table that scrolls by itself, by keyboard too.

    Args:
        head: names of the columns.
        rows: text as it is, numbers as people read them; the first column names the row.
        caption: what the table holds.
        words: columns, beside the first, that hold words and are set to the left.
    """
    left = dict.fromkeys(words, "words")

    def cell(k: int, value: object) -> Markup:
        shown = value if isinstance(value, str) else number_text(value)
        return tag("th", shown, scope="row") if k == 0 else tag("td", shown, class_=left.get(k))

    heading = tag("tr", *(tag("th", name, scope="col", class_=left.get(k)) for k, name in enumerate(head)))
    body = [tag("tr", *(cell(k, value) for k, value in enumerate(row))) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", heading), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=f"Table: {caption}")


def pair(title: str, about: Content, plot: Markup, numbers: Markup, names: Markup | None = None) -> Markup:
    """Return a figure: title, a sentence, the plot, and its numbers beside it."""
    caption = tag("figcaption", tag("h3", title), tag("p", about) if about else None)
    return tag("figure", caption, tag("div", tag("div", names, plot), numbers, class_="pair"))


def chart(
    title: str, about: Content, series: Sequence[Series], x: Axis, y: Axis, numbers: Markup | None = None
) -> Markup:
    """Return a line plot with its legend, and a table of the numbers that it draws (or another one)."""
    names = legend(series) if len(series) > 1 else None
    plot = line_plot(series, x, y, title, f"plot-{identity(title)}")
    return pair(title, about, plot, _numbers(title, series, x, y) if numbers is None else numbers, names)


def _numbers(title: str, series: Sequence[Series], x: Axis, y: Axis) -> Markup:
    places = sorted({float(v) for one in series for v in one.x})
    known = [dict(zip(map(float, one.x), map(float, one.y), strict=True)) for one in series]
    head = [x.label, *(one.label for one in series)]
    rows = [
        [x.shown(place), *(y.shown(values[place]) if place in values else "" for values in known)]
        for place in places
    ]
    return table(head, rows, y.label if len(series) > 1 else title)


def section(title: str, *content: Content) -> tuple[str, Markup]:
    """Return a section as `Page` wants it: its title and its markup, which links can lead to."""
    return title, tag("section", tag("h2", title), *content, id=identity(title), aria_label=title)


@dataclass
class Page:
    """A page that is being put together.

    Args:
        title: of the window and at the top.
        kicker: a line above the title: what kind of page this is.
        lead: a sentence or two under the title.
        top: what stands before the first section, such as `figures`.
        sections: what `section` returned, in order.
        footer: the last line.

    Example:
        >>> page = Page("A page", "kind", "What it says.", sections=[section("One", paragraph("a < b"))])
        >>> "a &lt; b" in page.html() and "<script" not in page.html()
        True
    """

    title: str
    kicker: str
    lead: Content
    top: Markup | None = None
    sections: list[tuple[str, Markup]] = field(default_factory=list)
    footer: str = ""

    def html(self) -> str:
        """Return the whole document."""
        links = [tag("li", tag("a", name, href=f"#{identity(name)}")) for name, _ in self.sections]
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", self.title),
            # A page without an icon would be asked for one.
            Markup('<link rel="icon" href="data:,">'),
            tag("style", Markup(files("dpkit._page").joinpath("style.css").read_text("utf-8"))),
        )
        body = tag(
            "body",
            tag("a", "Skip to the content", href="#content", class_="skip"),
            tag(
                "header",
                tag("p", self.kicker, class_="kicker"),
                tag("h1", self.title),
                tag("p", self.lead, class_="lead"),
                tag("nav", tag("ul", *links), aria_label="Sections") if len(links) > 2 else None,
            ),
            tag("main", self.top, *(part for _, part in self.sections), id="content"),
            tag("footer", tag("p", self.footer)) if self.footer else None,
        )
        return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"

    def data(self) -> bytes:
        """Return the document as UTF-8."""
        return self.html().encode("utf-8")
