"""How many diamonds are like this one? A private sketch of 53,940 diamonds answers, beside exact sums."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import dpkit

# Public units, from common knowledge and never from the data: carats, per cent, US dollars, millimetres.
COLUMNS = {"carat": 0.4, "depth": 2.0, "price": 3000.0, "x": 1.2}
QUERIES = {
    "a small bargain": (0.30, 62.0, 600, 4.3),
    "a popular gift": (0.50, 61.8, 1500, 5.1),
    "an engagement": (1.00, 62.0, 5000, 6.4),
    "overpriced": (1.00, 62.0, 9000, 6.4),
    "a rich uncle's": (1.50, 61.5, 12000, 7.3),
    "two carats": (2.00, 61.0, 15000, 8.1),
    "nobody sells this": (4.00, 70.0, 1000, 3.0),
}
EPSILON, DELTA = 1.0, 1e-6
EXPECTED_RECORDS = 50_000  # a public guess, used for the sketch's size only


def seconds(call):
    """Run a function; return its result and how long it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def main() -> int:
    """Build, show a table of answers, save, load, and try to release twice."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    diamonds = dpkit.datasets.load_diamonds()
    records = diamonds.select(*COLUMNS) / np.array(list(COLUMNS.values()))
    points = np.array(list(QUERIES.values())) / np.array(list(COLUMNS.values()))
    console.print(f"[bold]{len(records):,} diamonds[/bold], each a private record of {', '.join(COLUMNS)}")

    sketches = {}
    for name, delta in (("pure", 0.0), ("approximate", DELTA)):
        kde, took = seconds(
            lambda delta=delta: dpkit.KDE(
                records, bandwidth=1.0, epsilon=EPSILON, delta=delta, expected_records=EXPECTED_RECORDS
            )
        )
        sketches[name] = kde
        console.print(
            f"built in {took:.1f} s: {kde.features:,} frequencies, [green]{kde.guarantee!r}[/green]"
        )
    exact, exact_time = seconds(lambda: dpkit.exact.kernel_sum(records, points))

    table = Table(title="Similar diamonds, sum of exp(-distance^2)", title_justify="left")
    table.add_column("query")
    table.add_column("exact", justify="right")
    for kde in sketches.values():
        g = kde.guarantee
        approximate = isinstance(g, dpkit.ApproxDP)
        promise = f"eps={g.epsilon:g}" + (f" delta={g.delta:g}" if approximate else "")
        table.add_column(promise, justify="right", style="cyan")
        table.add_column("std error", justify="right", style="dim")
        table.add_column("off by", justify="right")
    answers = [kde.query(points, return_std=True) for kde in sketches.values()]
    for i, name in enumerate(QUERIES):
        cells = [name, f"{exact[i]:,.0f}"]
        for values, errors in answers:
            off = f"{values[i] / exact[i] - 1:+.1%}" if exact[i] > 1 else "-"
            cells += [f"{values[i]:,.0f}", f"{errors[i]:,.0f}", off]
        table.add_row(*cells)
    console.print(table)

    kde = sketches["pure"]
    many = points[np.arange(20_000) % len(points)] + np.random.default_rng(0).normal(
        size=(20_000, len(COLUMNS))
    )
    _, took = seconds(lambda: kde.query(many))
    per_exact = exact_time / len(points)
    console.print(
        f"20,000 further queries, no further budget: {took:.2f} s ({took / len(many) * 1e6:.0f} us each; "
        f"an exact sum took {per_exact * 1e3:.1f} ms)"
    )
    console.print(f"records: {kde.count:,} (noisy count; the true number stays private)")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "diamonds.dpk"
        kde.save(path)
        same = np.array_equal(dpkit.load(path).query(points), kde.query(points))
        size = path.stat().st_size
    console.print(
        f"saved to {size / 1024:.0f} KiB, loaded, asked again: {'equal' if same else 'DIFFERENT'} answers"
    )

    builder = dpkit.KDE.builder(d=len(COLUMNS), features=64).update(records)
    builder.release()
    try:
        builder.release()
    except dpkit.BudgetSpentError as refusal:
        console.print(f"a second release of the same sums is refused: [yellow]{refusal}[/yellow]")
        return 0 if same else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
