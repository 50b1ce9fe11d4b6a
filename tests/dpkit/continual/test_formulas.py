"""Error formulas and sensitivities against dense linear algebra, and against published figures."""

from fractions import Fraction

import numpy as np
import pytest

from dpkit.continual import Counter
from dpkit.continual.design import floor_rmse
from dpkit.continual.hybrid import HybridDesign, HybridEngine
from dpkit.continual.kary import KaryDesign, KaryEngine, balanced_digits, best_arity, mean_digit_sum
from dpkit.continual.settings import GAUSSIAN, LAPLACE, Budget
from dpkit.continual.smooth import SmoothDesign, SmoothEngine
from dpkit.continual.tree import BinaryEngine, HonakerEngine, TreeDesign
from tests.dpkit.continual.twins import ChosenNoise, answers, noise_matrix

RHO = Budget(GAUSSIAN, Fraction(1, 2))
EPS = Budget(LAPLACE, Fraction(1))


def tree_cases(horizon):
    binary, honaker = TreeDesign("binary", RHO, 1, horizon), TreeDesign("honaker", RHO, 1, horizon)
    smooth, kary = SmoothDesign(RHO, 1, horizon), KaryDesign(EPS, 1, horizon, 5)
    return [
        (binary, lambda q: BinaryEngine(binary.levels, q), binary.levels),
        (honaker, lambda q: HonakerEngine(honaker.levels, q), honaker.levels),
        (smooth, lambda q: SmoothEngine(smooth.height, q), smooth.height // 2),
        (kary, lambda q: KaryEngine(5, kary.height, q), kary.height),
    ]


@pytest.mark.parametrize("horizon", [1, 2, 3, 7, 8, 21, 32, 50])
def test_tree_variances_equal_the_rows_of_the_dense_matrix(horizon):
    for design, start, _ in tree_cases(horizon):
        matrix = noise_matrix(start, horizon)
        node = design.budget.variance(design.scale)
        dense = node * (matrix**2).sum(1)
        formula = [design.variance(t) for t in range(1, horizon + 1)]
        np.testing.assert_allclose(formula, dense, rtol=1e-9, err_msg=design.name)
        for last in {1, horizon // 2 + 1, horizon}:
            assert design.mean_variance(last) == pytest.approx(dense[:last].mean(), rel=1e-9)
            assert design.worst_variance(last) == pytest.approx(dense[:last].max(), rel=1e-9)


@pytest.mark.parametrize("horizon", [1, 2, 3, 7, 8, 21, 32])
def test_tree_sensitivity_is_what_the_noise_is_scaled_to(horizon):
    """The change of one element must be paid by node changes v with B v = A e_t: the least such |v|."""
    for design, start, declared in tree_cases(horizon):
        matrix, worst = noise_matrix(start, horizon), 0.0
        for t in range(horizon):
            change = (np.arange(horizon) >= t).astype(float)
            v, *_ = np.linalg.lstsq(matrix, change, rcond=None)
            np.testing.assert_allclose(matrix @ v, change, atol=1e-9)
            if design.budget.law == GAUSSIAN:
                worst = max(worst, float((v**2).sum()))
        assert worst <= declared + 1e-9, design.name
        if design.name == "binary":  # its nodes are independent, so v is unique and the count tight
            assert worst == pytest.approx(declared)
        scale = declared if design.budget.law == LAPLACE else Fraction(declared)
        assert design.scale >= scale
        assert float(design.scale) == pytest.approx(float(scale), rel=1e-8)


def nodes_of(name, horizon, k=5):
    """Return the intervals whose noise each draw is, in order of drawing, straight from the definitions."""
    if name == "binary":
        return [(t - (t & -t), t) for t in range(1, horizon + 1)]
    if name == "honaker":
        return [(t - (1 << h), t) for t in range(1, horizon + 1) for h in range((t & -t).bit_length())]
    raise AssertionError(name)


@pytest.mark.parametrize("name", ["binary", "honaker"])
def test_answers_are_functions_of_the_noisy_nodes(name):
    """With noise z the answers equal those of the tree whose nodes hold exact sums plus z."""
    horizon, rng = 45, np.random.default_rng(3)
    start = {d.name: s for d, s, _ in tree_cases(horizon)}[name]
    xs, nodes = rng.integers(0, 9, horizon), nodes_of(name, horizon)
    noise = rng.integers(-50, 50, len(nodes))
    sums = [int(xs[a:b].sum()) for a, b in nodes]
    got = answers(start, xs, noise.tolist())
    np.testing.assert_allclose(got, noise_matrix(start, horizon) @ (sums + noise), atol=1e-6)
    touched = [sum(a <= t < b for a, b in nodes) for t in range(horizon)]
    assert max(touched) <= horizon.bit_length()


def test_kary_nodes_are_disjoint_on_each_level():
    k, horizon = 5, 62
    height = 3
    for t in range(1, horizon + 1):
        digits = balanced_digits(t, k, height)
        assert sum(d * k**i for i, d in enumerate(digits)) == t
        assert max(map(abs, digits)) <= (k - 1) // 2
    v = noise_matrix(lambda q: KaryEngine(k, height, q), horizon)
    # each element is covered by signed nodes; recover them and count how many meet an element
    for t in range(horizon):
        prefix, nodes = 0, []
        for i in reversed(range(height)):
            d = balanced_digits(t + 1, k, height)[i]
            for m in range(abs(d)):
                a = prefix + (m if d > 0 else -m - 1) * k**i
                nodes.append((a, a + k**i, 1 if d > 0 else -1, i))
            prefix += d * k**i
        assert prefix == t + 1
        cover = [sum(s for a, b, s, _ in nodes if a <= x < b) for x in range(horizon)]
        assert cover == [int(x <= t) for x in range(horizon)]
        assert np.abs(v[t]).sum() == len(nodes)


@pytest.mark.parametrize("k", [3, 5, 13])
def test_digit_means_by_counting(k):
    for steps in (1, 2, 40, 333):
        height = next(h for h in range(1, 20) if (k**h - 1) // 2 >= steps)
        slow = np.mean([sum(map(abs, balanced_digits(t, k, height))) for t in range(1, steps + 1)])
        assert mean_digit_sum(k, steps) == pytest.approx(slow)


@pytest.mark.parametrize("inner", ["binary", "honaker", "smooth"])
def test_hybrid_variances_equal_the_dense_rows(inner):
    design, steps = HybridDesign(inner, RHO, 1), 40
    columns, scales = [], []

    class Source:
        """Hands out one-hot draws and records each queue's scale."""

        def __init__(self, hot):
            self.hot, self.count = hot, 0

        def discrete_gaussian(self, scale, size):
            raise AssertionError

    def run(hot):
        counter = {"n": 0, "scale": None}

        class Queue(ChosenNoise):
            def __init__(self, scale):
                super().__init__()
                self.scale = scale

            def next(self):
                value = (1 << 20) if counter["n"] == hot else 0
                if counter["n"] == hot:
                    counter["scale"] = self.scale
                counter["n"] += 1
                return value

        def epoch(i):
            engine = design.epoch(i).start(Source(0))
            engine._queue = Queue(design.epoch(i).scale)
            return engine

        engine = HybridEngine(Queue(design.total_scale), epoch)
        out = [engine.step(0) / (1 << 20) for _ in range(steps)]
        return out, counter

    total = run(-1)[1]["n"]
    for j in range(total):
        out, counter = run(j)
        columns.append(out)
        scales.append(float(counter["scale"]))
    dense = (np.array(columns).T ** 2 * np.array(scales)).sum(1)
    np.testing.assert_allclose([design.variance(t) for t in range(1, steps + 1)], dense, rtol=1e-9)
    # the change of one element, paid in noise draws: sum of v^2/(2 variance) within rho = 1/2
    weighted, paid = np.array(columns).T * np.sqrt(scales), []
    for t in range(steps):
        change = (np.arange(steps) >= t).astype(float)
        v, *_ = np.linalg.lstsq(weighted, change, rcond=None)
        np.testing.assert_allclose(weighted @ v, change, atol=1e-8)
        paid.append(float(v @ v) / 2)
    assert 0.2 < max(paid) <= 0.5 * (1 + 1e-9)
    for last in (1, 2, 3, 7, 12, 40):
        assert design.mean_variance(last) == pytest.approx(dense[:last].mean(), rel=1e-9)
        assert design.worst_variance(last) == pytest.approx(dense[:last].max(), rel=1e-9)


@pytest.mark.parametrize(
    ("mechanism", "horizon", "rmse", "worst"),
    [
        ("binary", 2**10, 7.42, 10.49),
        ("binary", 2**14, 10.25, 14.49),
        ("binary", 2**20, 14.49, 20.49),
        ("binary", 2**30, 21.56, 30.50),
        ("honaker", 2**10, 5.65, 7.99),
        ("honaker", 2**20, 10.65, 15.06),
        ("honaker", 2**30, 15.65, 22.13),
        ("smooth", 2**10, 7.0, 7.0),
        ("smooth", 2**14, 9.0, 9.0),
        ("smooth", 2**20, 12.0, 12.0),
        ("smooth", 2**30, 17.0, 17.0),
        ("blt", 2**10, 3.110, 3.273),
        ("blt", 2**14, 3.994, 4.156),
        ("blt", 2**20, 5.323, 5.485),
        ("blt", 2**30, None, 7.704),
        ("blt", 2**40, None, 9.965),
    ],
)
def test_published_figures(mechanism, horizon, rmse, worst):
    got = Counter(rho=0.5, horizon=horizon, mechanism=mechanism).prediction()
    assert rmse is None or got.rmse == pytest.approx(rmse, rel=2e-3)
    assert got.worst_std == pytest.approx(worst, rel=2e-3)
    assert got.rmse >= got.floor


def test_published_figures_of_pure_trees_and_floors():
    assert best_arity(2**10) == 13
    for horizon, kary, binary in ((2**10, 13.1, 34.8), (2**14, 20.8, 56.1), (2**20, 33.9, 93.9)):
        found = {p.mechanism: p.rmse for p in Counter.predict(epsilon=1.0, horizon=horizon)}
        assert found["k-ary"] == pytest.approx(kary, rel=5e-3)
        assert found["binary"] == pytest.approx(binary, rel=2e-3)
        assert next(iter(found)) == "k-ary"
    for horizon, floor in ((2**10, 2.910), (2**14, 3.791), (2**20, 5.115), (2**30, 7.321)):
        assert floor_rmse(horizon) == pytest.approx(floor, rel=3e-4)


def test_floor_is_the_nuclear_norm():
    singular = np.linalg.svd(np.tril(np.ones((200, 200))), compute_uv=False)
    assert floor_rmse(200) == pytest.approx(singular.sum() / 200)


def test_unknown_horizon_is_within_a_tenth_of_the_tuned_design_at_four_times_the_guess():
    for guess in (4, 40, 64, 2**10, 2**13, 2**14, 2**20):
        counter = Counter(rho=0.5, expected=guess, mechanism="blt")
        for length, limit in ((guess, 1.04), (4 * guess, 1.1)):
            open_ended = counter.prediction(length)
            tuned = Counter(rho=0.5, horizon=length, mechanism="blt").prediction()
            assert open_ended.rmse <= limit * tuned.rmse
            assert open_ended.worst_std <= limit * tuned.worst_std
