"""Self-contained HTML pages with plots: no network, no script, light and dark, readable on a phone."""

from dpkit._page.axes import Axis
from dpkit._page.document import Page, chart, facts, figures, note, paragraph, section, table
from dpkit._page.markup import Markup, tag
from dpkit._page.numbers import bytes_text, number_text, percent_text, power_text, seconds_text
from dpkit._page.plots import Bar, Series, bar_plot, line_plot
from dpkit._page.sheet import sheet

__all__ = [
    "Axis",
    "Bar",
    "Markup",
    "Page",
    "Series",
    "bar_plot",
    "bytes_text",
    "chart",
    "facts",
    "figures",
    "line_plot",
    "note",
    "number_text",
    "paragraph",
    "percent_text",
    "power_text",
    "seconds_text",
    "section",
    "sheet",
    "table",
    "tag",
]
