"""Which structure a kernel sum gets, and how large: by predicted error, from public inputs only."""

import dataclasses
import math
from dataclasses import dataclass

from dpkit.errors import ArgumentError, MissingBoundsError
from dpkit.similarity.calibration import calibrate
from dpkit.similarity.clouds import clouds_helpful
from dpkit.similarity.exponentials import BASES, ExponentialsMap
from dpkit.similarity.fourier import ROTATION_INVARIANT
from dpkit.similarity.hashing import BUCKETS, HASHED, planes_per_row
from dpkit.similarity.radial import pair_noise

__all__ = ["MAX_FEATURES", "NOMINAL_RECORDS", "KDEPrediction", "Question", "choose_features", "predictions"]

MAX_FEATURES = 1 << 20
_FEWEST = 256
_MOST = 3 << 12
_WIDE = 1 << 12  # wide records get fewer, so that a build stays quick
_QUICK_WORDS = 1 << 20
NOMINAL_RECORDS = 40_000
_MAX_WORDS = 1 << 25  # frequencies times columns: 256 MiB of public words
_SPREAD = 0.3  # sampling error of an average is at most about 0.3 / sqrt(m), measured
_TARGET = 0.0027
_PURE_RATE = 0.1
_SHARE = 0.98  # of the budget, for the sums
_ORTHOGONAL_SPREAD = 0.2
_HASH_SPREAD = 0.14
_CLOUD_SPREAD = 0.07  # behind public clouds: 0.02-0.06 for data about the middle, 0.14 and more far off it
_MOST_ROWS = 1 << 13  # 16 MiB of counters
_FEWEST_EXPONENTIALS = 8


def _sigma_one(epsilon: float, delta: float, neighbours: str) -> float:
    """Return the deviation of Gaussian noise on sums, for contributions of squared norm at most 1."""
    unit = 1 << 40
    noise = calibrate(1, unit, epsilon, delta, neighbours, unit)[0]
    return math.sqrt(float(noise.sums) / unit)


def choose_features(
    epsilon: float, delta: float, neighbours: str, columns: int, expected_records: int | None
) -> int:
    """Return m, a whole number of orthogonal blocks where that changes little.

    Sampling error of an average falls as c/sqrt(m). Pure radial noise on it grows as sqrt(2 m)/(eps n), so
    the best m is c eps n/sqrt(2), a fixed fraction of eps n: 0.1 for orthogonal frequencies (c = 0.14
    measured), half of it under `replace`, whose sensitivity is double. Gaussian noise does not grow with m
    (sigma_1/n for any m), so m is what brings the sampling error to 0.0027, or to half the noise where that
    is larger.

    Args:
        epsilon, delta, neighbours: the public budget.
        columns: d.
        expected_records: a *public* guess of n: an earlier noisy count, a bound, or n itself under `replace`,
            where it is public. None stands for 40,000. Never the private n.

    Returns:
        m in [256, 12288]; at most 4,096 or 2^20 / d, whichever is more, and 2^25 / d.

    Example:
        >>> choose_features(1.0, 0.0, "add-remove", 32, None)
        4000
    """
    records = max(1, NOMINAL_RECORDS if expected_records is None else expected_records)
    factor = 2.0 if neighbours == "replace" else 1.0
    most = max(1, min(_MOST, max(_WIDE, _QUICK_WORDS // columns), _MAX_WORDS // columns))
    if delta == 0.0:
        wanted = min(float(_MOST), _PURE_RATE * epsilon * records / factor)
    else:
        sigma = factor * _sigma_one(epsilon, delta, neighbours)
        wanted = (_SPREAD / max(_TARGET, sigma / (2.0 * records))) ** 2
    count = math.ceil(min(max(wanted, _FEWEST), most))
    if columns <= count // 4:
        count = min(-(-count // columns), most // columns) * columns
    return count


@dataclass(frozen=True)
class KDEPrediction:
    """What a structure of some size will do to an *average* similarity, known before any data.

    Args:
        features: m frequencies, or rows of counters.
        noise_std: standard deviation of the noise in an average over the expected records.
        sampling_std: of the choice of frequencies or partitions, about (measured: c / sqrt(m); c = 0.3 for
            Fourier features, 0.07 for counters from 128 rows on, 0.14 below).
        error: both, with bias and reduction, root of the sum of squares.
        expected_records: the n that the figures are about.
        structure: `fourier`, `exponentials` or `hash`.
        bias: largest error of the sum of exponentials.
        reduction: standard error that a dimension reduction adds to one pair, at most about this.
        kept: coordinates that the reduction leaves, or None.
        work: multiplications for each record, and for each query.
    """

    features: int
    noise_std: float
    sampling_std: float
    error: float
    expected_records: int
    structure: str = "fourier"
    bias: float = 0.0
    reduction: float = 0.0
    kept: int | None = None
    work: int = 0

    def reduced(self, kept: int, error: float) -> "KDEPrediction":
        """Return the figures behind a dimension reduction."""
        total = math.hypot(self.error, error)
        return dataclasses.replace(self, kept=kept, reduction=error, error=total)


@dataclass(frozen=True)
class Question:
    """The public inputs of a choice.

    Args:
        kernel, epsilon, delta, neighbours: as asked for.
        columns: d, behind a reduction the number of kept coordinates.
        expected: a public guess of n, or None.
        radius: of the domain in bandwidths, or None where there is none.
    """

    kernel: str
    epsilon: float
    delta: float
    neighbours: str
    columns: int
    expected: int | None = None
    radius: float | None = None

    @property
    def records(self) -> int:
        """The n that sizes are made for."""
        return max(1, NOMINAL_RECORDS if self.expected is None else self.expected)

    @property
    def replace(self) -> bool:
        """Whether neighbours differ by a replaced record."""
        return self.neighbours == "replace"

    @property
    def sigma(self) -> float:
        """Noise on an average of paired features under the Gaussian mechanism, per record of the data."""
        return _sigma_one(self.epsilon, self.delta, self.neighbours)

    @property
    def planes(self) -> float:
        """Mean number of hyperplanes of a row of counters; 0 for grids."""
        return planes_per_row(self.kernel, self.radius or 0.0, self.columns)


def figures(question: Question, structure: str, m: int) -> KDEPrediction:
    """Return the predicted errors of one structure of one size."""
    n, d = question.records, question.columns
    share = 1.0 if question.replace else _SHARE
    hashed = structure == "hash"
    if question.delta == 0.0:
        apart = 2.0 if question.replace else 1.0
        each = math.sqrt(2.0 * m) if hashed else pair_noise(m)
        noise = each * apart / (share * question.epsilon * n)
    else:
        apart = (math.sqrt(2.0) if hashed else 2.0) if question.replace else 1.0
        noise = apart * question.sigma / n
    if hashed:
        noise *= BUCKETS / (BUCKETS - 1.0)
        rows = question.planes if HASHED[question.kernel] == "planes" else 2.0
        spread, work = _HASH_SPREAD, int(m * rows * d)
        if clouds_helpful(m, d, BUCKETS):
            spread = _CLOUD_SPREAD
    else:
        spread, work = _SPREAD, m * d
    if structure == "fourier" and question.kernel in ROTATION_INVARIANT and d > 1:
        spread = _ORTHOGONAL_SPREAD
    sampling = spread / math.sqrt(m)
    bias = ExponentialsMap(question.kernel, 1.0, d, m).bias if structure == "exponentials" else 0.0
    total = math.sqrt(noise**2 + sampling**2 + bias**2)
    return KDEPrediction(m, noise, sampling, total, n, structure, bias, work=work)


def choose_rows(question: Question) -> int:
    """Return R, the rows of counters with the least predicted error that time and memory allow.

    Sampling c/sqrt(R), c = 0.07 behind public clouds, against noise sqrt(2R)/(eps n): R = 0.05 eps n, half of
    it under `replace`; c = 0.14 and twice the rows for records too wide for clouds.
    Gaussian noise does not grow with R: then R brings sampling to 0.0027, or to half the noise.
    """
    d = question.columns
    spread = _CLOUD_SPREAD if clouds_helpful(_FEWEST, d, BUCKETS) else _HASH_SPREAD
    if question.delta == 0.0:
        wanted = spread * question.epsilon * question.records / math.sqrt(2.0)
        wanted /= 2.0 if question.replace else 1.0
    else:
        wanted = (spread / max(_TARGET, question.sigma / (2.0 * question.records))) ** 2
    most = min(_MOST_ROWS, max(_WIDE // 2, _QUICK_WORDS // (4 * d)), _MAX_WORDS // d)
    if HASHED[question.kernel] == "planes":
        most = min(most, int(_QUICK_WORDS // max(1.0, question.planes * d)))
    return max(1, int(min(max(wanted, _FEWEST), most)))


def _check_structure(question: Question, structure: str, features: int | None) -> None:
    """Raise where a structure that was asked for does not exist for the kernel, the domain or the size."""
    if structure == "exponentials":
        if question.kernel not in BASES:
            raise ArgumentError(
                f"structure 'exponentials' is for {', '.join(BASES)}; {question.kernel!r} needs no such sum"
            )
        if features is not None and features < _FEWEST_EXPONENTIALS:
            raise ArgumentError(
                f"features must be at least {_FEWEST_EXPONENTIALS} for 'exponentials', got {features}"
            )
    if structure == "hash":
        if question.kernel not in HASHED:
            raise ArgumentError(
                f"structure 'hash' is for {', '.join(HASHED)}; {question.kernel!r} has no such hash"
            )
        if HASHED[question.kernel] == "planes" and question.radius is None:
            raise MissingBoundsError(
                f"hash counters for {question.kernel!r} need a public domain: pass radius= or bounds="
            )
        if question.planes * question.columns * (features or 1) > _MAX_WORDS:
            raise ArgumentError(
                f"the domain spans {question.radius:.3g} bandwidths: too many hyperplanes "
                f"for {features or 1} rows; pass fewer features, a smaller domain or structure='fourier'"
            )


def _available(question: Question, features: int | None) -> list[str]:
    """Return the structures that `auto` chooses from."""
    found = ["fourier"]
    if question.kernel in HASHED:
        try:
            _check_structure(question, "hash", features)
        except ArgumentError:
            return found
        size = choose_rows(question) if features is None else features
        work = figures(question, "hash", size).work
        if work <= _QUICK_WORDS or HASHED[question.kernel] == "grid":
            found.append("hash")
    return found


def predictions(question: Question, structure: str, features: int | None) -> list[KDEPrediction]:
    """Return predicted errors: the choice first, then other structures, then other sizes of the choice.

    `auto` takes the least predicted error; Fourier features unless counters are a twentieth better. Its
    inputs are public, so the choice is.

    Args:
        question: the public inputs.
        structure: a name, or `auto`.
        features: a size, or None for the automatic one.

    Raises:
        ArgumentError: the kernel has no such structure.
        MissingBoundsError: the structure needs a domain.
    """

    def best(name: str) -> KDEPrediction:
        if features is not None:
            return figures(question, name, features)
        q = question
        if name == "hash":
            return figures(q, name, choose_rows(q))
        return figures(q, name, choose_features(q.epsilon, q.delta, q.neighbours, q.columns, q.expected))

    if structure == "auto":
        names = _available(question, features)
    else:
        _check_structure(question, structure, features)
        names = [structure]
    found = sorted(
        (best(name) for name in names), key=lambda p: p.error * (0.95 if p.structure == "fourier" else 1.0)
    )
    if structure == "auto" and question.kernel in BASES and (features or _FEWEST) >= _FEWEST_EXPONENTIALS:
        found.append(best("exponentials"))
    chosen = found[0]
    others = {max(1, chosen.features >> k) for k in (1, 2, 3)}
    others |= {min(MAX_FEATURES, chosen.features << k) for k in (1, 2)}
    if chosen.structure == "exponentials":
        others = {m for m in others if m >= _FEWEST_EXPONENTIALS}
    around = [figures(question, chosen.structure, m) for m in sorted(others) if m != chosen.features]
    return [*found, *around]
