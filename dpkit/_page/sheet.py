"""A picture as a file of its own: one SVG with its colours inside, light and dark, no script and no fonts."""

import re
from importlib.resources import files

from dpkit._page.markup import Content, Markup, tag
from dpkit._page.plots import COLOURS

__all__ = ["WIDTH", "sheet"]

WIDTH = 400.0
"""The width of a sheet in its own units, that of a plot."""
_STYLE = """
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--ink);font-size:11.5px}
.title{font-size:12px;font-weight:600}.sheet{fill:var(--card)}
.tick,.number{fill:var(--soft);font-size:11px}.axis{fill:var(--soft)}
.grid{stroke:var(--grid)}.rule{stroke:var(--soft)}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.bound{stroke-width:1.5;stroke:var(--soft)}
.mark path{stroke:var(--card);stroke-width:1}.band{opacity:.16}
.ours{font-weight:600}.stem{opacity:.45}.shade{fill:var(--accent)}
"""


def sheet(title: str, words: str, height: float, *drawn: Content) -> str:
    """Return an SVG file as text: a ground, a title, and what is drawn below y = 28.

    Args:
        title: one line at the top.
        words: read out in place of the picture, after the title.
        height: of the whole, where `WIDTH` is its width.
        drawn: SVG in the classes of the pages.

    Example:
        >>> line = tag("line", x1=8, y1=40, x2=390, y2=40, class_="rule")
        >>> made = sheet("A line", "From left to right.", 60, line)
        >>> made.startswith("<svg ") and "prefers-color-scheme:dark" in made
        True
    """
    whole = tag(
        "svg",
        tag("title", f"{title}. {words}"),
        tag("style", Markup(_colours() + _STYLE)),
        tag("rect", x=0, y=0, width=WIDTH, height=height, rx=6, class_="sheet"),
        tag("text", title, x=8, y=18, class_="title"),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=WIDTH * 1.6,
        height=height * 1.6,
        role="img",
    )
    return f"{whole}\n"


def _colours() -> str:
    """Return the pages' own colours, both schemes."""
    style = files("dpkit._page").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root\{.*?\}", style, re.DOTALL)[:2]
    marks = "".join(f".s{k}{{stroke:var(--k{k})}}.c{k}{{fill:var(--k{k})}}" for k in range(COLOURS))
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}{marks}"
