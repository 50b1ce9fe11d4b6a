"""Private classification by average similarity: one structure a class, at the price of one structure."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import on_host
from dpkit._lattice import epsilon_of
from dpkit.errors import ArgumentError
from dpkit.guarantee import ZCDP, ApproxDP, Guarantee, PureDP
from dpkit.similarity.calibration import GAUSSIAN, RADIAL, Calibration
from dpkit.similarity.distance import DistanceSum, DistanceSumBuilder
from dpkit.similarity.distance_settings import DistanceSettings
from dpkit.similarity.distances import METRICS
from dpkit.similarity.fourier import ROTATION_INVARIANT, FourierMap
from dpkit.similarity.inputs import (
    check_bounds,
    check_budget,
    check_integer,
    check_neighbours,
    check_positive,
)
from dpkit.similarity.kde import KDE, KDEBuilder
from dpkit.similarity.kernels import KERNELS
from dpkit.similarity.moments import Ball, MomentMap, MomentReader, unit_rows
from dpkit.similarity.plan import Budget, NoisePlan
from dpkit.similarity.powers import PowerMap
from dpkit.similarity.radial import GROUP, grouped_change, shared_change
from dpkit.similarity.settings import KDESettings

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as cause:  # pragma: no cover - an extra
    raise ImportError("SimilarityClassifier needs scikit-learn: pip install 'dpkit-zkdl[sklearn]'") from cause

__all__ = ["SimilarityClassifier"]

# A count's noise moves a score by as much as the score is large, so it should get the share w that makes
# 1/(1-w) + s^2/w least, s/(1+s): scores are averages of kernels, or near 0 (means), or distances.
_COUNT_SHARES = {"small": Fraction(1, 10), "large": Fraction(1, 3)}
_FREQUENCIES = {True: 128, False: 3000}  # pure noise grows with their number, Gaussian noise does not
_SHARPNESS = 20.0
_QUERY_NUMBERS = 1 << 22


class SimilarityClassifier(ClassifierMixin, BaseEstimator):
    """A differentially private classifier: the class whose records are most similar on average wins.

    (Or, for squared distances and kernels, the class with the nearest mean: see `rule`.)

    Training makes one release a class, of sums of similarities and a count; everything afterwards is
    post-processing. A record is in one class only, so all classes together cost what one costs.

    Args:
        similarity: `sqeuclidean`, `l2`, `l1` or `lp` (least average distance), or a kernel: `gaussian`,
            `exponential`, `laplacian`, `cauchy`, `inverse_l2`, `inverse_l1` (largest average similarity).
        epsilon: privacy budget, positive.
        delta: 0 for pure epsilon-DP, above 0 for the Gaussian mechanism.
        radius: public norm bound; records outside the ball move to its surface.
        normalize: scale every record to norm `radius` (zero stays zero).
        classes: the public list of classes; records with other labels are left out. None takes the labels
            that occur in y, and thereby *declares them public*.
        bandwidth: of a kernel, in the units of records after scaling.
        bounds: box for `l1` and `lp`; default (-radius, radius).
        p: the power of `lp`.
        neighbours: `add-remove`, or `replace`: a record and its label change.
        features: frequencies of a kernel, projections of `l2`; None takes about
            3,000 (128 for a pure budget), or sizes them.
        rule: `average`; for `sqeuclidean` and kernels also `mean`, the nearest class mean (of features, for
            kernels), read from the same release and better on real data; `auto` takes `mean` for
            `sqeuclidean`, for kernels where the release's noise allows it, and `average` elsewhere.
        public_seed: fixes public feature maps only, never the noise.

    Attributes:
        classes_: the classes. class_count_: their noisy, shrunk counts. guarantee_: what the fit promises.
        releases_: one `KDE` or `DistanceSum` a class; their own guarantees speak of one class.

    Raises:
        ArgumentError: at `fit`, for an argument out of range.

    *Privacy*: proof in docs/privacy.md. Under `add-remove` a record with its label is in one class, so the
    classes compose in parallel. Under `replace` two classes may change, so each gets half the budget (a
    quarter of rho where contributions can point apart). The number of rows and columns of X, the classes and
    all arguments are public; labels are private.

    Example:
        >>> import dpkit
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(2, size=2000)
        >>> X = rng.normal(size=(2000, 3)) + 3.0 * y[:, None] - 1.5
        >>> model = dpkit.SimilarityClassifier(epsilon=1.0, delta=1e-5, classes=[0, 1]).fit(X, y)
        >>> bool(model.score(X, y) > 0.9)
        True
    """

    def __init__(
        self,
        similarity: str = "sqeuclidean",
        epsilon: float = 1.0,
        delta: float = 1e-5,
        radius: float = 1.0,
        normalize: bool = True,
        classes: Any = None,
        bandwidth: float = 0.6,
        bounds: Any = None,
        p: float | None = None,
        neighbours: str = "add-remove",
        features: int | None = None,
        rule: str = "auto",
        public_seed: int = 0,
    ) -> None:
        self.similarity = similarity
        self.epsilon = epsilon
        self.delta = delta
        self.radius = radius
        self.normalize = normalize
        self.classes = classes
        self.bandwidth = bandwidth
        self.bounds = bounds
        self.p = p
        self.neighbours = neighbours
        self.features = features
        self.rule = rule
        self.public_seed = public_seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> "SimilarityClassifier":
        """Release the classes' sums of similarities and return the fitted classifier.

        Args:
            X: (n, d) private records, real; NaN counts as 0, infinities clip.
            y: (n,) private labels.
        """
        rows, labels = validate_data(self, on_host(X), on_host(y), ensure_all_finite=False, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels if self.classes is None else np.asarray(self.classes))
        if self.classes_.size == 0:
            raise ArgumentError("classes must name at least one class")
        settings, self.guarantee_ = self._chosen(rows.shape[1])
        # Moments move records into their ball by themselves.
        moments = isinstance(settings, DistanceSettings) and isinstance(settings.map, MomentMap)
        records = rows if moments and self.bounds is None else self._scaled(rows)
        self.releases_: list[Any] = []
        for name in self.classes_:
            builder: Any
            if isinstance(settings, KDESettings):
                builder = KDEBuilder(settings, KDE._released)
            else:
                builder = DistanceSumBuilder(settings, DistanceSum._of)
            self.releases_.append(builder.update(records[labels == name]).release())
        variance = self._count_variance(settings)
        self.class_count_ = _shrunk(np.array([r.count for r in self.releases_], dtype=np.float64), variance)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return average similarities (distances negated), (m, classes); for two classes the difference."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of the largest average similarity for each query, (m,)."""
        best = self._scores(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return scores as a distribution over classes, (m, classes); not calibrated.

        p_c is proportional to exp(20 score_c / unit), the unit being the largest similarity (1 for kernels),
        or the public size of a distance.
        """
        scores = self._scores(X)
        lead = np.exp(_SHARPNESS / self._unit() * (scores - scores.max(axis=1, keepdims=True)))
        return np.asarray(lead / lead.sum(axis=1, keepdims=True))

    def _unit(self) -> float:
        """Return the public size of a score."""
        settings = self.releases_[0]._settings
        if isinstance(settings, KDESettings) or isinstance(settings.map, MomentMap):
            return 1.0
        if settings.metric == "l2":
            return float(settings.domain.ball.radius)
        return float((settings.map.widths ** (settings.power or 1.0)).sum() / 4.0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = True
        tags.classifier_tags.poor_score = True  # on a hundred records noise decides
        return tags

    # ---- what is released -------------------------------------------------------------------------

    def _chosen(self, d: int) -> tuple[KDESettings | DistanceSettings, Guarantee]:
        """Return settings and promise: by the Gaussian curve unless zCDP means less noise somewhere."""
        *first, last = [(self._settings(d, budget), whole) for budget, whole in self._budgets()]
        for settings, whole in first:
            if all(a <= b for a, b in zip(_scales(settings), _scales(last[0]), strict=True)):
                return settings, whole
        return last

    def _budgets(self) -> list[tuple[Budget, Guarantee]]:
        """Return what one class may spend under `add-remove`, and what all of them promise together."""
        epsilon, delta = check_budget(self.epsilon, self.delta)
        options = Budget.options(epsilon, delta, check_neighbours(self.neighbours))
        return [(self._of_one_class(whole, delta), whole.guarantee) for whole in options]

    def _of_one_class(self, whole: Budget, delta: float) -> Budget:
        if not whole.replace:
            return whole
        each = whole.amount / (2 if whole.pure else self._apart())
        own: Guarantee
        if whole.pure:
            own = PureDP(float(each))
        elif whole.spare:
            own = ApproxDP(epsilon_of(each, delta), delta, rho=ZCDP(each).rho)  # type: ignore[arg-type]
        else:
            own = ZCDP(float(each)).to_approx(delta)
        return Budget(whole.mechanism, each, False, own, whole.spare)

    def _apart(self) -> int:
        """Return how much squared change two records can make at most, over one record's.

        2 where contributions never have opposite signs (|a - b|^2 <= |a|^2 + |b|^2) or are in two classes, 4
        otherwise.
        """
        if self.similarity in ("l1", "l2"):
            return 2
        if self.similarity == "lp" and self.p not in (None, 2.0):
            power = PowerMap((0.0,), (1.0,), 4, check_positive(self.p, "p"))
            return 2 if power.same_signs else 4
        return 4

    def _settings(self, d: int, budget: Budget) -> KDESettings | DistanceSettings:
        """Return the public parameters that all classes share, or raise ArgumentError."""
        names = (*METRICS, *KERNELS)
        if not isinstance(self.similarity, str) or self.similarity not in names:
            raise ArgumentError(f"similarity must be one of {', '.join(names)}; got {self.similarity!r}")
        square = self.similarity == "sqeuclidean"
        means = square or self.similarity in KERNELS
        if self.rule not in ("auto", "average", "mean") or (self.rule == "mean" and not means):
            raise ArgumentError(
                f"rule must be 'auto' or 'average', or 'mean' with 'sqeuclidean' or a kernel; "
                f"got {self.rule!r} with {self.similarity!r}"
            )
        radius = check_positive(self.radius, "radius")
        if self.normalize not in (False, True):
            raise ArgumentError(f"normalize must be True or False, got {self.normalize!r}")
        delta = float(self.delta)
        epsilon = float(budget.amount) if budget.pure else float(budget.guarantee.epsilon)  # type: ignore[attr-defined]
        if self.similarity in KERNELS:
            return self._kernel_settings(d, budget, epsilon, delta)
        arguments: dict[str, Any] = {"metric": self.similarity, "p": self.p, "public_seed": self.public_seed}
        if self.similarity in ("l1", "lp"):
            arguments["bounds"] = (-radius, radius) if self.bounds is None else self.bounds
        elif self.bounds is None:
            arguments["radius"] = radius
            arguments["normalize"] = self.normalize and self.similarity == "sqeuclidean"
        else:
            arguments["bounds"] = self.bounds
        if self.similarity == "l2":
            arguments["features"] = self.features
        made = DistanceSettings.check(
            d, epsilon=epsilon, delta=delta, neighbours="add-remove", budget=budget, **arguments
        )
        if isinstance(made.map, MomentMap) and made.map.ball.normalize:
            top, share = 1 << made.map.grid_bits, self._count_share()
            change = shared_change(d, top * top) if budget.pure else top * top
            sums = budget.split(1 - share).scale(change)
            counts = budget.split(share).scale(1)
            group = GROUP if budget.pure else 1
            return dataclasses.replace(made, plan=NoisePlan.of(budget, [(sums, d), (counts, 1)], group))
        return made

    def _count_share(self) -> Fraction:
        """Return the count's share of the budget, from public arguments."""
        distances = self.similarity == "sqeuclidean" and self.rule == "average"
        return _COUNT_SHARES["large" if distances else "small"]

    def _kernel_settings(self, d: int, budget: Budget, epsilon: float, delta: float) -> KDESettings:
        seed = check_integer(self.public_seed, "public_seed", 0, 2**64 - 1)
        count = self.features
        if count is None:
            wanted = _FREQUENCIES[budget.pure]
            count = -(-wanted // d) * d if d < wanted else wanted
        # The public checks, then the same map under this budget and this share for the counts.
        share = self._count_share()
        checked = KDESettings.check(
            d,
            self.similarity,
            self.bandwidth,
            epsilon,
            delta,
            "add-remove",
            self.bounds,
            count,
            seed,
            structure="fourier",
        )
        features = checked.features
        change: Fraction | int = features.sensitivity_l2_squared
        if budget.pure:
            change = grouped_change(count, features.sensitivity_l2_squared // count)
        noise = Calibration(
            RADIAL if budget.pure else GAUSSIAN,
            budget.split(1 - share).scale(change) + budget.spare,
            budget.split(share).scale(1) + budget.spare,
            GROUP if budget.pure else 1,
        )
        return KDESettings(features, epsilon, delta, "add-remove", noise, budget.guarantee)

    def _count_variance(self, settings: KDESettings | DistanceSettings) -> float:
        if isinstance(settings, KDESettings):
            return settings.calibration.count_variance()
        return float(self.releases_[0]._reader.count()[1])

    # ---- queries ----------------------------------------------------------------------------------

    def _scaled(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return records as the structures want them: normalised or clipped into the ball, row by row."""
        columns = rows.shape[1]
        if self.bounds is not None and not self.normalize:
            check_bounds(self.bounds, columns)
            return rows
        return unit_rows(rows, Ball((0.0,) * columns, float(self.radius), None, bool(self.normalize)))

    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        rows = self._scaled(
            validate_data(self, on_host(X), reset=False, ensure_all_finite=False, dtype=np.float64)
        )
        first = self.releases_[0]
        if isinstance(first, KDE):
            return self._kernel_scores(rows)
        reader = first._reader
        if isinstance(reader, MomentReader):
            return self._moment_scores(rows)
        return -np.stack([r.query(rows, normalized=True) for r in self.releases_], axis=1)

    def _kernel_scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        first = self.releases_[0]
        features: FourierMap = first._settings.features
        averages = self._averages(rows, features)
        step, m = 2.0**-features.grid_bits, features.features
        noise = first._settings.calibration.sums_variance(m) * step * step / m / self.class_count_**2
        # Variances: 4 m noise^2 of the norms, 4 noise of twice the averages. The first must not be larger.
        if self.rule == "average" or (self.rule == "auto" and m * float(noise.mean()) > 1.0):
            return averages
        sums = np.stack([r._sums for r in self.releases_]) * step
        norms = (sums * sums).sum(axis=(1, 2)) / m / self.class_count_**2 - 2 * m * noise
        spread = 4.0 * m * noise**2 + 4.0 * noise * np.maximum(norms, 0.0)
        return np.asarray(2.0 * averages - _drawn_together(norms, float(spread.mean())))

    def _averages(self, rows: NDArray[np.float64], features: FourierMap) -> NDArray[np.float64]:
        if features.kernel not in ROTATION_INVARIANT:
            sums = np.stack([r.query(rows) for r in self.releases_], axis=1)
            return np.asarray(sums / self.class_count_)
        # All classes share the frequencies: one product serves them all.
        w = features.rounded_frequencies()
        noisy = np.stack([r._sums for r in self.releases_]) * 2.0**-features.grid_bits / features.features
        found = np.empty((len(rows), len(self.releases_)))
        step = max(1, _QUERY_NUMBERS // features.features)
        for start in range(0, len(rows), step):
            phases = (rows[start : start + step] / features.bandwidth) @ w.T
            found[start : start + step] = np.cos(phases) @ noisy[:, 0].T + np.sin(phases) @ noisy[:, 1].T
        return np.asarray(found / self.class_count_)

    def _moment_scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 2 <y, v>/n - s/n (the average), or with |v/n|^2, less its noise, for s/n (the mean)."""
        readers = [r._reader for r in self.releases_]
        y = readers[0]._ball.scaled(rows)
        means = np.stack([reader.mean()[0] for reader in readers]) / self.class_count_[:, None]
        scores = 2.0 * (y @ means.T)
        if self.rule != "average" and self.similarity == "sqeuclidean":
            noise = np.array([reader.mean()[1] for reader in readers]) / self.class_count_**2
            return np.asarray(scores - ((means * means).sum(axis=1) - means.shape[1] * noise))
        if not readers[0]._ball.normalize:
            scores = scores - np.array([r.squares() for r in readers]) / self.class_count_
        return np.asarray(scores)


def _scales(settings: KDESettings | DistanceSettings) -> list[Fraction]:
    """Return the scales of the noise, in one order for all settings of a map."""
    if isinstance(settings, KDESettings):
        return [settings.calibration.sums, settings.calibration.count or Fraction(0)]
    return [scale for scale, _ in settings.plan.runs]


def _shrunk(counts: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    """Return noisy class counts drawn towards their mean by as much as their spread is noise, floored at one.

    James and Stein's rule, positive part: what is left of the spread is 1 - (K-3) variance / sum of squares.
    """
    return np.maximum(_drawn_together(counts, variance), 1.0)


def _drawn_together(values: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    """Return James and Stein's estimate, positive part, of means from values of this variance."""
    centre = values.mean()
    spread = float(((values - centre) ** 2).sum())
    left = 1.0
    if len(values) > 3 and spread > 0.0:
        left = max(0.0, 1.0 - (len(values) - 3) * variance / spread)
    return np.asarray(centre + left * (values - centre))
