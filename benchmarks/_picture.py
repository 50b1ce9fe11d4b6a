"""A plot as a file of its own: title, lines, legend and colours inside one SVG, light and dark."""

import re
from importlib.resources import files

from dpkit._page import Markup, line_plot, tag
from dpkit._page.plots import COLOURS, _dashes, _mark

_WIDTH, _PLOT, _TOP, _ROW = 400, 268, 26, 17
_LETTERS = 6.1  # width of a letter of the legend, at most
_STYLE = """
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--ink);font-size:11.5px}
.title{font-size:12px;font-weight:600}.sheet{fill:var(--card)}
.tick{fill:var(--soft);font-size:11px}.axis{fill:var(--soft)}
.grid{stroke:var(--grid)}.rule{stroke:var(--soft)}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.bound{stroke-width:1.5;stroke:var(--soft)}
.mark path{stroke:var(--card);stroke-width:1}.band{opacity:.16}
"""


def picture(title, series, x, y):
    """Return an SVG file of a line plot, as text.

    Args:
        title: one line above the plot, and what is read out in its place.
        series: what is drawn, as `dpkit._page.Series`.
        x, y: the axes.
    """
    plot = line_plot(series, x, y, title, "plot")
    # A nested picture takes all of the room around it unless it is told how much.
    plot = Markup(plot.replace("<svg ", f'<svg y="{_TOP}" width="{_WIDTH}" height="{_PLOT}" ', 1))
    entries, height = _legend(series, _TOP + _PLOT + 12)
    drawn = tag(
        "svg",
        tag("style", Markup(_colours() + _STYLE)),
        tag("rect", x=0, y=0, width=_WIDTH, height=height, rx=6, class_="sheet"),
        tag("text", title, x=8, y=18, class_="title"),
        plot,
        *entries,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height}",
        width=str(_WIDTH * 8 // 5),
        height=str(height * 8 // 5),
    )
    return f"{drawn}\n"


def _colours():
    """Return the page's own colours, both schemes."""
    style = files("dpkit._page").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root\{.*?\}", style, re.DOTALL)[:2]
    marks = "".join(f".s{k}{{stroke:var(--k{k})}}.c{k}{{fill:var(--k{k})}}" for k in range(COLOURS))
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}{marks}"


def _legend(series, top):
    """Return samples with their names, as many a row as fit, and the height of the whole."""
    entries, left = [], 8.0
    for number, one in enumerate(series):
        wide = 46 + _LETTERS * len(one.label)
        if left > 8 and left + wide > _WIDTH:
            left, top = 8.0, top + _ROW
        parts = [
            tag("line", x1=0, y1=0, x2=26, y2=0, class_=f"line s{number % COLOURS} {one.kind}",
                stroke_dasharray=_dashes(one, number)),
            None if one.kind in ("curve", "bound") else _mark(13.0, 0.0, number, None),
            tag("text", one.label, x=32, y=4),
        ]  # fmt: skip
        entries.append(tag("g", *parts, transform=f"translate({left:g} {top:g})"))
        left += wide
    return entries, top + 14
