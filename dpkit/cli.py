"""The `dpkit` command: build a private release, query it, look inside.

Results go to standard output, progress to standard error and only on a terminal. Exit codes: 0 done; 2 wrong
usage, unreadable input or a bad argument; 3 not enough memory or disk; 130 interrupted. Never a traceback.
"""

import contextlib
import errno
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import dpkit
from dpkit._options import (
    Backend,
    Center,
    Data,
    Delta,
    Epsilon,
    ExpectedRecords,
    High,
    Json,
    Low,
    Neighbours,
    Normalized,
    Out,
    OutAnswers,
    PublicSeed,
    Queries,
    Radius,
    Release,
    Std,
    read_bounds,
    read_numbers,
    read_reduction,
)  # fmt: skip
from dpkit.continual.cli import counter_app
from dpkit.errors import ArgumentError, DpkitError
from dpkit.release import write_atomically

__all__ = ["app", "main"]

_CHUNK_ROWS = 1 << 16
_RESOURCE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EFBIG}

app = typer.Typer(
    name="dpkit",
    help="Differentially private data structures: release once, query as often as you like.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
kde_app = typer.Typer(help="Private sums of kernel similarities.", no_args_is_help=True)
distance_app = typer.Typer(help="Private sums of distances.", no_args_is_help=True)
app.add_typer(kde_app, name="kde")
app.add_typer(distance_app, name="distance")
app.add_typer(counter_app, name="counter")


def _version(wanted: bool) -> None:
    if wanted:
        _print(f"dpkit {dpkit.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    """Turn errors into one line on standard error and the documented exit code."""
    try:
        yield
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except MemoryError:
        _fail("not enough memory", 3)
    except DpkitError as cause:
        _fail(str(cause), 2)
    except OSError as cause:
        if cause.errno == errno.EPIPE:
            raise
        where = f"{cause.filename}: " if cause.filename else ""
        _fail(f"{where}{cause.strerror or cause}", 3 if cause.errno in _RESOURCE_ERRNOS else 2)
    except typer.Exit:
        raise
    except Exception as cause:  # its message might quote private data, so only its name is shown
        _fail(f"internal error ({type(cause).__name__}): please report it", 1)


def _fail(message: str, code: int) -> None:
    print(f"dpkit: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(code)


def _print(text: str) -> None:
    print(text)  # noqa: T201


def _load_points(path: Path, name: str) -> NDArray[Any]:
    """Map a .npy file of real numbers into memory; nothing in it can run code."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        raise ArgumentError(
            f"{path}: not a .npy file of numbers (write one with numpy.save; pickled objects are refused)"
        ) from None
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise ArgumentError(f"{path}: an .npz archive; save the array of {name} alone with numpy.save")
    return loaded


def _chunks(rows: int, what: str) -> Iterator[slice]:
    """Yield slices of rows, with a progress bar on standard error where that is a terminal."""
    slices = [slice(start, min(start + _CHUNK_ROWS, rows)) for start in range(0, rows, _CHUNK_ROWS)]
    if not sys.stderr.isatty() or len(slices) < 2:
        yield from slices
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(slices, description=what, console=Console(stderr=True), transient=True)


@kde_app.command("build")
def _kde_build(
    data: Data,
    out: Out,
    kernel: Annotated[
        str, typer.Option(help="gaussian, exponential, laplacian, cauchy, inverse_l2 or inverse_l1.")
    ] = "gaussian",
    bandwidth: Annotated[float, typer.Option(help="Kernel width h, in the units of the data.")] = 1.0,
    epsilon: Epsilon = 1.0,
    delta: Delta = 0.0,
    neighbours: Neighbours = "add-remove",
    low: Low = None,
    high: High = None,
    radius: Radius = None,
    features: Annotated[int | None, typer.Option(help="Number of frequencies; default: sized.")] = None,
    structure: Annotated[str, typer.Option(help="auto, fourier, hash or exponentials.")] = "auto",
    reduce: Annotated[
        str | None, typer.Option(metavar="INTEGER|auto", help="Coordinates after a reduction in front.")
    ] = None,
    expected_records: ExpectedRecords = None,
    public_seed: PublicSeed = 0,
    backend: Backend = "cpu",
    as_json: Json = False,
) -> None:
    """Build a private kernel sum from DATA.npy and write the sealed release."""
    with _reporting():
        records = _load_records(data)
        builder = dpkit.KDE.builder(
            d=records.shape[1],
            kernel=kernel,
            bandwidth=bandwidth,
            epsilon=epsilon,
            delta=delta,
            neighbours=neighbours,
            bounds=read_bounds(low, high),
            features=features,
            public_seed=public_seed,
            expected_records=_guess(expected_records, neighbours, records),
            structure=structure,
            reduce=read_reduction(reduce),
            radius=radius,
            backend=backend,
        )
        _finish(builder, records, out, as_json)


@distance_app.command("build")
def _distance_build(
    data: Data,
    out: Out,
    metric: Annotated[str, typer.Option(help="l1, l2, sqeuclidean or lp.")] = "l1",
    epsilon: Epsilon = 1.0,
    delta: Delta = 0.0,
    neighbours: Neighbours = "add-remove",
    low: Low = None,
    high: High = None,
    radius: Radius = None,
    center: Center = None,
    p: Annotated[float | None, typer.Option(help="Power of lp: the sum of |x_i - y_i|^p.")] = None,
    structure: Annotated[str, typer.Option(help="hat, tree or two-tree (l1).")] = "hat",
    features: Annotated[int | None, typer.Option(help="Number of projections (l2); default: sized.")] = None,
    depth: Annotated[int | None, typer.Option(help="Levels of the structure; default: sized.")] = None,
    alpha: Annotated[float, typer.Option(help="Growth of the annuli of tree.")] = 0.3,
    expected_records: ExpectedRecords = None,
    public_seed: PublicSeed = 0,
    as_json: Json = False,
) -> None:
    """Build a private sum of distances from DATA.npy and write the sealed release."""
    with _reporting():
        records = _load_records(data)
        builder = dpkit.DistanceSum.builder(
            d=records.shape[1],
            metric=metric,
            epsilon=epsilon,
            delta=delta,
            neighbours=neighbours,
            bounds=read_bounds(low, high),
            radius=radius,
            center=read_numbers(center, "--center"),
            p=p,
            structure=structure,
            features=features,
            depth=depth,
            alpha=alpha,
            public_seed=public_seed,
            expected_records=_guess(expected_records, neighbours, records),
        )
        _finish(builder, records, out, as_json)


def _load_records(path: Path) -> NDArray[Any]:
    """Map the records of a file into memory; their dtype is checked with the first chunk."""
    records = _load_points(path, "records")
    if records.ndim != 2:
        raise ArgumentError(f"{path}: expected a (n, d) array, got {records.ndim} axes")
    return records


def _guess(expected: int | None, neighbours: str, records: NDArray[Any]) -> int | None:
    """Return the public guess of n; where the number of records is public, that is it."""
    return len(records) if expected is None and neighbours == "replace" else expected


def _finish(builder: Any, records: NDArray[Any], out: Path, as_json: bool) -> None:
    """Add the records to a builder, write its release and say what was built."""
    builder.update(records[:0])  # checks the dtype of an empty file too
    for rows in _chunks(len(records), "adding records"):
        builder.update(records[rows])
    release = builder.release()
    release.save(out)
    if as_json:
        _print(json.dumps({**_summary(release), "out": str(out)}))
    else:
        _print(f"{out}: {release!r}")


@kde_app.command("query")
def _kde_query(
    release: Release,
    queries: Queries,
    out: OutAnswers = None,
    as_json: Json = False,
    normalized: Normalized = False,
    std: Std = False,
) -> None:
    """Answer the queries, one line each; queries cost no privacy."""
    _answer(dpkit.KDE, release, queries, out, as_json, normalized, std)


@distance_app.command("query")
def _distance_query(
    release: Release,
    queries: Queries,
    out: OutAnswers = None,
    as_json: Json = False,
    normalized: Normalized = False,
    std: Std = False,
) -> None:
    """Answer the queries, one line each; queries cost no privacy."""
    _answer(dpkit.DistanceSum, release, queries, out, as_json, normalized, std)


def _answer(
    kind: Any, path: Path, queries: Path, out: Path | None, as_json: bool, normalized: bool, std: bool
) -> None:
    """Answer queries from a release of a kind, and print the answers or write them to a file."""
    with _reporting():
        if as_json and out is not None:
            raise ArgumentError("--json and --out exclude each other: choose one")
        points = _load_points(queries, "queries")
        release = kind.load(path)
        release.query(points[:0])  # checks shape and dtype before the work starts
        parts = [
            np.stack(release.query(points[rows], normalized=normalized, return_std=True), axis=1)
            for rows in _chunks(len(points), "answering")
        ]
        table = np.concatenate(parts) if parts else np.empty((0, 2))
        if out is not None:
            buffer = io.BytesIO()
            np.save(buffer, table if std else table[:, 0], allow_pickle=False)
            write_atomically(out, buffer.getvalue())
        elif as_json:
            answers: dict[str, Any] = {"normalized": normalized, "values": _plain(table[:, 0])}
            if std:
                answers["std"] = _plain(table[:, 1])
            _print(json.dumps(answers))
        else:
            for value, error in table:
                _print(f"{value:.17g}\t{error:.6g}" if std else f"{value:.17g}")


@app.command("inspect")
def _inspect(
    release: Release,
    html: Annotated[Path | None, typer.Option(help="Write a page for a browser to this file.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="With --html: queries (.npy) whose answers the page shows.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a release promises and everything public inside it."""
    with _reporting():
        if queries is not None and html is None:
            raise ArgumentError("--queries goes with --html: name the page to write")
        loaded = dpkit.load(release)
        summary = {**_summary(loaded), "bytes": release.stat().st_size}
        if html is not None:
            _write_page(loaded, release, html, queries)
            if not as_json:
                _print(f"{html}: {html.stat().st_size} bytes")
                return
        if as_json:
            _print(json.dumps(summary))
            return
        width = max(map(len, summary))
        for name, value in summary.items():
            _print(f"{name:<{width}}  {value}")


def _write_page(release: Any, path: Path, html: Path, queries: Path | None) -> None:
    from dpkit._inspection import release_page

    points = None if queries is None else _load_points(queries, "queries")
    write_atomically(html, release_page(release, path.name, path.stat().st_size, points).data())


def _summary(release: Any) -> dict[str, Any]:
    kind = "kde" if isinstance(release, dpkit.KDE) else "distance"
    return {"kind": kind, **release.public, "count": release.count, "noise_std": release.noise_std()}


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers for JSON, which knows neither NaN nor infinity: those become null."""
    return [float(v) if np.isfinite(v) else None for v in values]


def main() -> None:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
