"""A plot as a file of its own: a sheet with title, lines and legend."""

from dpkit._page import Markup, line_plot, sheet, tag
from dpkit._page.plots import describe, legend

_WIDTH, _PLOT, _TOP, _ROW = 400, 268, 26, 17
_LETTERS = 6.1  # width of a letter of the legend, at most


def picture(title, series, x, y):
    """Return an SVG file of a line plot, as text.

    Args:
        title: one line above the plot.
        series: what is drawn, as `dpkit._page.Series`.
        x, y: the axes.
    """
    plot = line_plot(series, x, y, title, "plot")
    # A nested picture takes all of the room around it unless it is told how much.
    plot = Markup(plot.replace("<svg ", f'<svg y="{_TOP}" width="{_WIDTH}" height="{_PLOT}" ', 1))
    entries, height = _legend(series, _TOP + _PLOT + 5)
    words = describe(series, x, y).replace(" All numbers are in the table.", "")
    return sheet(title, words, height, plot, *entries)


def _legend(series, top):
    """Return samples with their names, as many a row as fit, and the height of the whole."""
    samples = [part.partition(">")[2].partition("</svg>")[0] for part in legend(series).split("<svg ")[1:]]
    entries, left = [], 8.0
    for one, sample in zip(series, samples, strict=True):
        wide = 46 + _LETTERS * len(one.label)
        if left > 8 and left + wide > _WIDTH:
            left, top = 8.0, top + _ROW
        name = tag("text", one.label, x=33, y=11)
        entries.append(tag("g", Markup(sample), name, transform=f"translate({left:g} {top:g})"))
        left += wide
    return entries, top + 21
