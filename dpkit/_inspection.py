"""The page of `dpkit inspect --html`: what a release promises, what is in it, how good its answers are."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._page import (
    Axis,
    Markup,
    Page,
    Series,
    bytes_text,
    chart,
    facts,
    figures,
    note,
    number_text,
    paragraph,
    percent_text,
    power_text,
    section,
    table,
    tag,
)
from dpkit._version import __version__
from dpkit.errors import ArgumentError
from dpkit.release import unseal
from dpkit.similarity.kde import KDE

__all__ = ["MOST_QUERIES", "release_page"]

MOST_QUERIES = 500
_PATH_POINTS = 41
_DELTAS = tuple(10.0**-k for k in range(12, 1, -1))

_RELATIONS = {
    "add-remove": "One record more or less. How many records there are is private too.",
    "replace": "One record replaced by any other. How many records there are is public.",
    "zero-out": "One element of the stream set to zero. The length of the stream is public.",
}
_KERNELS = {
    "gaussian": "exp(−|x−y|²/h²)",
    "exponential": "exp(−|x−y|/h)",
    "laplacian": "exp(−|x−y|₁/h)",
    "cauchy": "1/(1+|x−y|²/h²)",
    "inverse_l2": "1/(1+|x−y|/h)",
    "inverse_l1": "1/(1+|x−y|₁/h)",
}
_UNITS = {
    "fourier": ("frequencies", "paired random Fourier features, public"),
    "hash": ("rows of counters", "each with a public random hash"),
    "exponentials": ("frequencies", "a sum of exponential kernels, each with public Fourier features"),
}
_METRICS = {
    "l1": "sum of |x−y|₁",
    "l2": "sum of |x−y|₂",
    "sqeuclidean": "sum of |x−y|₂²",
    "lp": "sum over coordinates of |x−y|^p",
}
_STRUCTURES = {
    "fourier": "paired random frequencies",
    "hash": "hashed counters",
    "exponentials": "a sum of exponential kernels",
    "hat": "hat functions on levels of a grid",
    "moments": "sums of the columns and of the squares",
    "tree": "a tree of counts for each column",
    "two-tree": "two trees of counts for each column",
}


def release_page(release: Any, name: str, size: int, queries: NDArray[Any] | None = None) -> Page:
    """Return the page of a release.

    Args:
        release: a KDE or a DistanceSum, as `dpkit.load` gives it.
        name: of its file.
        size: of its file, in bytes.
        queries: (m, d) public points whose answers are shown too, at most `MOST_QUERIES` of them.

    Returns:
        A page of public parameters, noisy numbers and what follows from them: post-processing, which costs
        no privacy.
    """
    kernel = isinstance(release, KDE)
    public = release.public
    what = _title(public["kernel"]) + " kernel" if kernel else f"{public['metric']} distances"
    parts = [
        _promise(release, public),
        _answers(release, kernel, queries),
        _structure(release, public, kernel),
    ]
    parts.append(_parameters(public))
    return Page(
        title=f"Private sum of {'a ' if kernel else ''}{what}",
        kicker=f"dpkit release · {name}",
        lead="One release, answers without limit. This page shows only what the file holds and what follows "
        "from it: noisy integers, public parameters, the promise they come with.",
        top=figures(_figures(release, size)),
        sections=parts,
        footer=f"dpkit {__version__}. The file's checksum finds damage; it does not say who wrote it.",
    )


def _title(kernel: str) -> str:
    return kernel.capitalize() if kernel in ("gaussian", "laplacian", "cauchy") else kernel.replace("_", " ")


def _figures(release: Any, size: int) -> list[tuple[str, str, str]]:
    guarantee = release.guarantee
    delta = float(release.public["delta"])
    epsilon = f"ε = {number_text(float(release.public['epsilon']))}"
    exact, noise = release.neighbours == "replace", release.noise_std()
    return [
        (
            epsilon,
            "pure differential privacy" if delta == 0 else f"differential privacy, δ = {number_text(delta)}",
            f"an undecided attacker who knows all other records guesses right at most "
            f"{percent_text(_best_guess(guarantee))} of the time",
        ),
        (
            number_text(round(float(release.count))),
            "records",
            f"{'exact: public' if exact else 'noisy: the true number is private'} under {release.neighbours}",
        ),
        (
            f"± {number_text(noise, 3)}",
            "noise in a sum",
            f"standard deviation; {number_text(noise / max(1.0, release.count), 2)} in an average",
        ),
        (
            _structure_name(release),
            f"structure: {_STRUCTURES.get(_structure_name(release), 'see below')}",
            f"{_numbers_in(release):,} noisy integers, {bytes_text(size)}, whatever the number of records",
        ),
    ]


def _structure_name(release: Any) -> str:
    """Return what answers are read from; squares need no grid, whatever structure was asked for."""
    if isinstance(release, KDE):
        return str(release.structure)
    return "moments" if release.public["metric"] == "sqeuclidean" else str(release.public["structure"])


def _best_guess(guarantee: Any) -> float:
    """Return how often a guess between two equally likely neighbours is right at most.

    (e^eps + delta) / (1 + e^eps): half of one plus the largest total variation distance.
    """
    delta = float(getattr(guarantee, "delta", 0.0))
    epsilon = float(guarantee.epsilon(delta) if delta else guarantee.epsilon)
    if epsilon > 700.0:
        return 1.0
    return min(1.0, (math.exp(epsilon) + delta) / (1.0 + math.exp(epsilon)))


def _words(guarantee: Any) -> str:
    """Return a guarantee as text: its name and its numbers."""
    symbols = {"epsilon": "ε", "delta": "δ", "rho": "ρ", "mu": "μ"}
    numbers = [
        f"{symbols.get(key, key)} = {number_text(float(value))}"
        for key, value in guarantee.to_dict().items()
        if isinstance(value, float)
    ]
    return f"{type(guarantee).__name__}: {', '.join(numbers)}"


def _numbers_in(release: Any) -> int:
    return sum(int(array.size) for array in unseal(release.to_bytes()).arrays.values())


def _promise(release: Any, public: dict[str, Any]) -> tuple[str, Markup]:
    guarantee, relation = release.guarantee, str(release.neighbours)
    origin = str(public["noise"])
    rows: list[tuple[str, Any, Any]] = [
        ("Guarantee", _words(guarantee), "holds against any attacker, with any other knowledge, for ever"),
        ("Neighbour relation", relation, _RELATIONS.get(relation)),
        ("Mechanism", str(public["mechanism"]), "exact integer noise; scales are fractions, rounded up"),
        ("Noise from", origin, None),
    ]
    unsafe = origin != "operating-system"
    warning = note(
        "The noise of this release did not come from the operating system but from ",
        repr(origin),
        ": whoever can draw it again can take it off. Use such a release for tests only.",
        warning=True,
    )
    pairs = [(d, float(guarantee.epsilon_at(d))) for d in _DELTAS]
    pairs = [(d, e) for d, e in pairs if math.isfinite(e)]
    curve = None
    if float(public["delta"]) > 0.0 and len(pairs) > 1:
        curve = chart(
            "The same promise at other deltas",
            "Every point (δ, ε) on the line is promised at once; all are rounded towards the weaker side.",
            [Series("ε", [d for d, _ in pairs], [e for _, e in pairs])],
            Axis("δ", log=10),
            Axis("ε", zero=True),
        )
    return section("What it promises", warning if unsafe else None, facts(rows), curve)


def _answers(release: Any, kernel: bool, queries: NDArray[Any] | None) -> tuple[str, Markup]:
    parts: list[Markup | None] = [
        paragraph(
            "Answers are unbiased, up to what the structure rounds off. Their standard error is known, and a "
            "program gets it from query(Y, return_std=True); a true answer lies within two of them about 19 "
            "times in 20."
        )
    ]
    parts.append(_relative(release) if kernel else _relative_distance(release))
    parts.append(_along(release))
    if queries is not None:
        parts.append(_asked(release, queries))
    return section("How good its answers are", *parts)


def _relative(release: Any) -> Markup:
    """Error of an answer of a kernel sum against the average similarity at the query, noise and sampling."""
    records = max(1.0, float(release.count))
    noise = release.noise_std() / records
    places = [10.0 ** (k / 4) for k in range(-12, 1)]
    drawn = [Series("noise alone", places, [noise / s for s in places])]
    about = (
        "Where records are dense the error is a small share of the answer; far from all records nothing but "
        "noise is left."
    )
    if predicted := _predictions(release):
        sampling = predicted[0].sampling_std * math.sqrt(predicted[0].features / release.features)
        drawn.append(Series("noise and sampling", places, [math.hypot(noise, sampling) / s for s in places]))
        about += " Sampling is that of the public map, an upper figure; the noise is exact."
    return chart(
        "Error against the query",
        about,
        drawn,
        Axis("average similarity at the query", log=10),
        Axis("standard error over answer", log=10, percent=True),
    )


def _relative_distance(release: Any) -> Markup | None:
    """Standard error over the answer of a sum of distances, along a diagonal of the public domain."""
    domain = _domain(release.public)
    if domain is None:
        return None
    low, high = domain
    shares = np.linspace(0.0, 1.0, _PATH_POINTS)
    values, errors = release.query(low + shares[:, None] * (high - low), return_std=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(values > 0.0, errors / values, np.nan)
    return chart(
        "Error against the query",
        "Standard error over the answer, at queries from the lowest corner of the public domain to its "
        "highest. Distances are never all small, so the error is a small share of the answer everywhere; a "
        "gap is where the noisy answer is not above zero.",
        [Series("standard error over answer", shares.tolist(), _list(relative), kind="curve")],
        Axis("share of the way from corner to corner"),
        Axis("standard error over answer", log=10, percent=True),
    )


def _predictions(release: Any) -> list[Any]:
    """Return what sizes of the release's own structure would do, the automatic one first, if known."""
    public = release.public
    try:
        found = KDE.predict(
            d=release.d,
            kernel=release.kernel,
            bandwidth=release.bandwidth,
            epsilon=float(public["epsilon"]),
            delta=float(public["delta"]),
            neighbours=str(release.neighbours),
            bounds=public.get("bounds"),
            expected_records=max(1, int(release.count)),
            structure=release.structure,
            reduce=public.get("reduce"),
            radius=public.get("radius"),
        )
    except ArgumentError:  # a page shows what it can: not every release could be asked for again
        return []
    return [row for row in found if row.structure == release.structure]


def _domain(public: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if public.get("bounds") is not None:
        low, high = (np.asarray(end, dtype=np.float64) for end in public["bounds"])
    elif public.get("radius") is not None:
        columns = int(public["columns"])
        given = public.get("center")
        centre = np.zeros(columns) if given is None else np.asarray(given, dtype=np.float64)
        reach = float(public["radius"]) / math.sqrt(columns)
        low, high = centre - reach, centre + reach
    else:
        return None
    columns = int(public["columns"])
    return np.broadcast_to(low, (columns,)), np.broadcast_to(high, (columns,))


def _along(release: Any) -> Markup | None:
    """Averages along a diagonal of the public domain, with their error bands."""
    domain = _domain(release.public)
    if domain is None:
        return None
    low, high = domain
    shares = np.linspace(0.0, 1.0, _PATH_POINTS)
    values, errors = release.query(low + shares[:, None] * (high - low), normalized=True, return_std=True)
    one = low.size == 1
    way = "across the public bounds" if one else "from the lowest corner of the public domain to its highest"
    along = (low + shares[:, None] * (high - low))[:, 0] if one else shares
    numbers = table(
        ["place", "average", "standard error"],
        [[number_text(float(a)), float(v), float(e)] for a, v, e in zip(along, values, errors, strict=True)],
        "averages per record",
    )
    return chart(
        "Answers across the domain",
        f"Average per record at queries {way}; the band is two standard errors to either side.",
        [
            Series(
                "average",
                along.tolist(),
                values.tolist(),
                _list(values - 2 * errors),
                _list(values + 2 * errors),
                kind="curve",
            )
        ],
        Axis("query" if one else "share of the way from corner to corner"),
        Axis("average per record"),
        numbers,
    )


def _asked(release: Any, queries: NDArray[Any]) -> Markup:
    """Answers to the reader's own queries, largest first."""
    values, errors = release.query(queries[:MOST_QUERIES], return_std=True)
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    ranks = list(range(1, len(order) + 1))
    values_, errors_ = values[order], errors[order]
    numbers = table(
        ["query (row)", "answer", "standard error"],
        [[str(int(k)), float(v), float(e)] for k, v, e in zip(order, values_, errors_, strict=True)],
        f"{len(order)} answers, largest first",
    )
    return chart(
        "Answers to the queries that were asked",
        "Sums, largest first, with a band of two standard errors to either side.",
        [
            Series(
                "answer",
                ranks,
                _list(values_),
                _list(values_ - 2 * errors_),
                _list(values_ + 2 * errors_),
                kind="points",
            )
        ],
        Axis("rank of the answer"),
        Axis("sum over records"),
        numbers,
    )


def _structure(release: Any, public: dict[str, Any], kernel: bool) -> tuple[str, Markup]:
    rows: list[Any] = [("Columns of a record", number_text(int(public["columns"])))]
    if kernel:
        name, (unit, about) = str(public["kernel"]), _UNITS.get(release.structure, ("size", "of the sketch"))
        if public.get("reduce"):
            rows.append(
                (
                    "Reduced to",
                    f"{public['reduce']} columns",
                    "by a public projection; its error is not in the bands",
                )
            )
        rows += [
            ("Kernel", name, _KERNELS.get(name)),
            ("Bandwidth h", number_text(float(public["bandwidth"])), "in the units of the records"),
            (unit.capitalize(), number_text(int(public["features"])), about),
        ]
    else:
        name = str(public["metric"])
        rows += [
            ("Metric", name, _METRICS.get(name)),
            ("Structure", _structure_name(release), _STRUCTURES.get(_structure_name(release))),
        ]
        rows += [
            (label, number_text(public[key]))
            for key, label in (("p", "Power p"), ("depth", "Levels"), ("features", "Projections"))
            if public.get(key) is not None
        ]
    rows.append(
        ("Public seed", number_text(int(public["public_seed"])), "fixes the public map, never the noise")
    )
    rows.append(
        ("Grid", power_text(2, -int(public["grid_bits"])), "the unit of the integers that are summed")
    )
    arrays = unseal(release.to_bytes()).arrays
    listing = table(
        ["array", "numbers", "shape", "bytes"],
        [
            [label, int(a.size), " × ".join(map(str, a.shape)), bytes_text(a.nbytes)]
            for label, a in sorted(arrays.items())
        ],
        "what the file holds: noisy integers, 8 bytes each",
    )
    sizes = _sizes(release) if kernel else None
    return section("What is in it", facts(rows), sizes, _spaced(listing))


def _sizes(release: Any) -> Markup | None:
    """What other numbers of frequencies would have done, from public inputs alone."""
    found = sorted(_predictions(release), key=lambda row: row.features)
    if len(found) < 2:
        return None
    sizes, unit = [row.features for row in found], _UNITS.get(release.structure, ("size", "of the sketch"))[0]
    return chart(
        "Other sizes for the same promise",
        f"Predicted error of an average similarity. This release has {release.features:,} {unit}.",
        [
            Series("together", sizes, [row.error for row in found]),
            Series("noise", sizes, [row.noise_std for row in found]),
            Series("sampling", sizes, [row.sampling_std for row in found]),
        ],
        Axis(unit, log=2),
        Axis("standard error of an average", zero=True),
    )


def _parameters(public: dict[str, Any]) -> tuple[str, Markup]:
    rows = [[key, _short(value)] for key, value in sorted(public.items())]
    return section("Every public parameter", _spaced(table(["name", "value"], rows, "as stored", words=(1,))))


def _short(value: Any, most: int = 300) -> str:
    shown = value if isinstance(value, str) else repr(value)
    return shown if len(shown) <= most else f"{shown[:most]} … ({len(shown):,} characters)"


def _spaced(content: Markup) -> Markup:
    return tag("div", content, class_="spaced")


def _list(values: NDArray[np.float64]) -> list[float]:
    return [float(v) for v in values]
