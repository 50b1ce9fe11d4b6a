"""Where the examples of this folder draw: `--out FOLDER` writes NAME.svg there; without it, nothing."""

import argparse
from pathlib import Path

from dpkit._page import Axis, Bar, Markup, Series, bar_plot, line_plot, sheet, tag
from dpkit._page.plots import legend


class Gallery:
    """One example's picture.

    Args:
        script: its file.
        about: its description, for `--help`.
    """

    def __init__(self, script, about):
        parser = argparse.ArgumentParser(description=about.partition("\n")[0])
        parser.add_argument("--out", type=Path, metavar="FOLDER", help="also draw a picture to this folder")
        self.folder, self.name = parser.parse_args().out, Path(script).stem

    def _write(self, text):
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{self.name}.svg").write_text(text, encoding="utf-8")

    def lines(self, title, series, x, y):
        """Draw lines: series of `dpkit._page.Series`, axes of `dpkit._page.Axis`."""
        plot = line_plot(series, x, y, title, "plot")
        names = [
            tag("g", _inside(swatch), tag("text", one.label, x=33, y=11),
                transform=f"translate({8 + 190 * (k % 2)} {300 + 18 * (k // 2)})")
            for k, (one, swatch) in enumerate(zip(series, _swatches(series), strict=True))
        ]  # fmt: skip
        height = 308 + 18 * ((len(series) + 1) // 2)
        self._write(sheet(title, "A plot of lines.", height, _placed(plot, 28, 268), *names))

    def bars(self, title, rows):
        """Draw bars: (label, value, text at its end)."""
        height = 8 + 38 * len(rows)
        plot = bar_plot([Bar(*row) for row in rows], title, "plot")
        words = "; ".join(f"{label}: {shown}" for label, _, shown in rows)
        self._write(sheet(title, f"{words}.", 34 + height, _placed(plot, 30, height)))

    def maps(self, title, maps, shades=8):
        """Draw square maps side by side: by name, (rows, columns) shares between 0 and 1."""
        width, drawn, height = 384 / len(maps) - 8, [], 0.0
        for number, (name, shares) in enumerate(maps.items()):
            cell = width / shares.shape[1], width / shares.shape[0]
            left, height = 8 + number * (width + 16), 48 + width
            drawn.append(tag("text", name, x=left, y=40, class_="axis"))
            levels = (shares.clip(0, 0.999) * shades).astype(int)
            for level in range(1, shades):
                path = "".join(_runs(levels == level, left, cell))
                drawn.append(tag("path", d=path, class_="shade", fill_opacity=level / (shades - 1)))
        self._write(sheet(title, f"Maps side by side: {', '.join(maps)}.", height + 8, *drawn))


def _runs(mask, left, cell):
    """Yield a path for every stretch of marked cells in a row; cells have a width and a height."""
    for row, marks in enumerate(mask):
        start = None
        for column, marked in enumerate([*marks, False]):
            if marked and start is None:
                start = column
            elif not marked and start is not None:
                wide = (column - start) * cell[0]
                place = f"M{left + start * cell[0]:.1f} {48 + row * cell[1]:.1f}"
                yield f"{place}h{wide:.1f}v{cell[1]:.1f}h{-wide:.1f}z"
                start = None


def _placed(plot, top, height):
    """Return a plot as a part of a sheet: a nested picture takes all of the room unless told how much."""
    return Markup(plot.replace("<svg ", f'<svg y="{top}" width="400" height="{height}" ', 1))


def _swatches(series):
    return legend(series).split("<svg ")[1:]


def _inside(swatch):
    return Markup(swatch.partition(">")[2].partition("</svg>")[0])


__all__ = ["Axis", "Gallery", "Series"]
