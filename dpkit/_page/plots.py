"""Line and bar plots as inline SVG; colours come from the page's style, so that dark mode is theirs too."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dpkit._page.axes import Axis, Scale, fit
from dpkit._page.markup import Markup, join, tag

__all__ = ["COLOURS", "Bar", "Series", "bar_plot", "legend", "line_plot"]

COLOURS = 8
_WIDTH, _HEIGHT = 400.0, 268.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 28.0, 46.0
_DASHES = (None, "7 4", "2 4", "10 3 2 3", None, "7 4", "2 4", "10 3 2 3")


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Args:
        label: their name.
        x, y: their coordinates, of equal length.
        low, high: ends of an error band, or None.
        kind: `line` (with marks), `curve` (no marks), `bound` (a thin broken line, such as a floor) or
            `points`.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    kind: str = "line"


@dataclass(frozen=True)
class Bar:
    """One bar: its label, length, and the text at its end."""

    label: str
    value: float
    shown: str


def line_plot(series: Sequence[Series], x: Axis, y: Axis, title: str, identity: str) -> Markup:
    """Return an SVG of lines with their marks and error bands; every mark tells its numbers when pointed at.

    Args:
        series: what is drawn; what is not finite leaves a gap.
        x, y: the axes.
        title: read out in place of the picture, with a description of every series.
        identity: unique on the page.
    """
    across = fit(x, (float(v) for s in series for v in s.x))
    ends = (float(v) for s in series for part in (s.y, s.low or (), s.high or ()) for v in part)
    up = fit(y, ends)
    drawn = join(*_frame(across, up))
    for number, one in enumerate(series):
        drawn = join(drawn, *_series(one, number % COLOURS, across, up))
    return _svg(drawn, _HEIGHT, title, describe(series, x, y), identity)


def describe(series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Return in words what a line plot shows."""
    scales = [
        f"{axis.label} on {'a logarithmic' if axis.log else 'an even'} axis from "
        f"{fit(axis, values).ticks[0][1]} to {fit(axis, values).ticks[-1][1]}"
        for axis, values in (
            (x, [float(v) for s in series for v in s.x]),
            (y, [float(v) for s in series for v in s.y]),
        )
    ]
    parts = []
    for one in series:
        known = [(float(a), float(b)) for a, b in zip(one.x, one.y, strict=True) if math.isfinite(b)]
        if known:
            (a, b), (c, d) = known[0], known[-1]
            parts.append(f"{one.label}: {y.shown(b)} at {x.shown(a)}, {y.shown(d)} at {x.shown(c)}.")
    return f"Across: {scales[0]}. Up: {scales[1]}. {' '.join(parts)} All numbers are in the table."


def bar_plot(bars: Sequence[Bar], title: str, identity: str) -> Markup:
    """Return an SVG of horizontal bars from zero, each with its label above it and its number at the end."""
    largest = max((b.value for b in bars if math.isfinite(b.value)), default=1.0) or 1.0
    room, pitch = _WIDTH - 110.0, 38.0
    drawn = []
    for number, bar in enumerate(bars):
        top = 4.0 + pitch * number
        length = max(1.5, room * bar.value / largest) if math.isfinite(bar.value) else 0.0
        drawn.append(tag("text", bar.label, x=2, y=top + 12, class_="label"))
        drawn.append(tag("rect", x=2, y=top + 18, width=length, height=13, rx=2.5, class_="bar c0"))
        drawn.append(tag("text", bar.shown, x=length + 9, y=top + 29, class_="number"))
    words = "Bars: " + "; ".join(f"{b.label} {b.shown}" for b in bars) + "."
    return _svg(join(*drawn), 8.0 + pitch * len(bars), title, words, identity)


def legend(series: Sequence[Series]) -> Markup:
    """Return the list of series with a sample of each one's line and mark."""
    entries = []
    for number, one in enumerate(series):
        sample = join(
            None
            if one.kind == "points"
            else tag(
                "line",
                x1=1,
                y1=7,
                x2=27,
                y2=7,
                class_=f"line s{number % COLOURS} {one.kind}",
                stroke_dasharray=_dashes(one, number),
            ),
            None if one.kind in ("curve", "bound") else _mark(14.0, 7.0, number, None),
        )
        swatch = tag("svg", sample, viewBox="0 0 28 14", width="28", height="14", aria_hidden="true")
        entries.append(tag("li", swatch, tag("span", one.label)))
    return tag("ul", *entries, class_="legend")


def _svg(drawn: Markup, height: float, title: str, words: str, identity: str) -> Markup:
    return tag(
        "svg",
        tag("title", title, id=f"{identity}-t"),
        tag("desc", words, id=f"{identity}-d"),
        drawn,
        viewBox=f"0 0 {_WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{identity}-t {identity}-d",
        class_="plot",
    )


def _across(scale: Scale, value: float) -> float:
    return _LEFT + scale.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _up(scale: Scale, value: float) -> float:
    return _HEIGHT - _BOTTOM - scale.place(value) * (_HEIGHT - _TOP - _BOTTOM)


def _frame(across: Scale, up: Scale) -> Iterator[Markup]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    yield tag("text", up.axis.label, x=2, y=14, class_="axis")
    yield tag("text", across.axis.label, x=right, y=_HEIGHT - 6, class_="axis", text_anchor="end")
    for value, label in up.ticks:
        at = _up(up, value)
        yield tag("line", x1=_LEFT, y1=at, x2=right, y2=at, class_="grid")
        yield tag("text", label, x=_LEFT - 8, y=at + 4, class_="tick", text_anchor="end")
    for value, label in across.ticks:
        at = _across(across, value)
        yield tag("line", x1=at, y1=bottom, x2=at, y2=bottom + 5, class_="rule")
        # A long label under the right end stays inside the picture, also where letters are large.
        inside = 4.5 * len(label) < _WIDTH - at
        place, anchor = (at, "middle") if inside else (_WIDTH - 1.0, "end")
        yield tag("text", label, x=place, y=bottom + 19, class_="tick", text_anchor=anchor)
    yield tag("line", x1=_LEFT, y1=bottom, x2=right, y2=bottom, class_="rule")


def _series(one: Series, number: int, across: Scale, up: Scale) -> Iterator[Markup]:
    places = [
        (_across(across, float(a)), _up(up, float(b)), float(a), float(b))
        for a, b in zip(one.x, one.y, strict=True)
    ]
    if one.low is not None and one.high is not None:
        yield from _band(one, number, across, up)
    if one.kind != "points":
        for run in _runs(places):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b, _, _ in run)
            yield tag(
                "polyline",
                points=points,
                class_=f"line s{number} {one.kind}",
                stroke_dasharray=_dashes(one, number),
            )
    if one.kind in ("line", "points"):
        for a, b, u, v in places:
            if math.isfinite(a) and math.isfinite(b):
                yield _mark(a, b, number, f"{one.label}: {up.axis.shown(v)} at {across.axis.shown(u)}")


def _dashes(one: Series, number: int) -> str | None:
    return "3 4" if one.kind == "bound" else _DASHES[number % COLOURS]


def _band(one: Series, number: int, across: Scale, up: Scale) -> Iterator[Markup]:
    floor, ceiling = up.low, up.high
    edges = []
    for x, low, high in zip(one.x, one.low or (), one.high or (), strict=True):
        # A band that leaves the axis (a lower end at or below zero, on a logarithmic one) stops at its edge.
        bottom = max(float(low), floor) if math.isfinite(low) else math.nan
        top = min(float(high), ceiling)
        edges.append((_across(across, float(x)), _up(up, bottom), _up(up, top), 0.0))
    for run in _runs(edges):
        outline = [(a, b) for a, b, _, _ in run] + [(a, c) for a, _, c, _ in reversed(run)]
        yield tag(
            "polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in outline), class_=f"band c{number}"
        )


def _runs(
    places: Sequence[tuple[float, float, float, float]],
) -> Iterator[list[tuple[float, float, float, float]]]:
    """Yield stretches of points between gaps."""
    run: list[tuple[float, float, float, float]] = []
    for place in places:
        if all(map(math.isfinite, place[:3])):
            run.append(place)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _mark(a: float, b: float, number: int, words: str | None) -> Markup:
    """Return a mark whose shape, not its colour alone, tells the series."""
    style = f"mark c{number % COLOURS}"
    told = None if words is None else tag("title", words)
    shape = number % 4
    if shape == 1:
        corners = ((-3.6, -3.6), (3.6, -3.6), (3.6, 3.6), (-3.6, 3.6))
    elif shape == 2:
        corners = ((0.0, -4.8), (4.6, 3.4), (-4.6, 3.4))  # type: ignore[assignment]
    else:
        corners = ((0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0))
    if shape == 0:
        outline = f"M{a - 4:.1f} {b:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"
    else:
        outline = "M" + "L".join(f"{a + dx:.1f} {b + dy:.1f}" for dx, dy in corners) + "z"
    return tag("g", told, tag("path", d=outline), class_=style)
