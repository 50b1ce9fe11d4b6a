"""Error formulas and sensitivities against dense linear algebra, and against published figures."""

import math
from fractions import Fraction

import numpy as np
import pytest

from dpkit.continual import Counter, blt_rates
from dpkit.continual.blt import BLTDesign, BLTEngine
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
    for last in (1, 2, 3, 7, 12, 40):
        assert design.mean_variance(last) == pytest.approx(dense[:last].mean(), rel=1e-9)
        assert design.worst_variance(last) == pytest.approx(dense[:last].max(), rel=1e-9)


@pytest.mark.parametrize(("degree", "n"), [(1, 8), (2, 50), (4, 300), (6, 1000)])
@pytest.mark.parametrize("unbounded", [False, True])
def test_rational_formulas_by_direct_convolution(degree, n, unbounded):
    a, b = map(np.array, blt_rates.design_rates(degree, n, unbounded))
    r, (beta, rates) = blt_rates.encoder_weights(a, b), blt_rates.noise_weights(a, b)
    assert (r > 0).all()
    assert (beta > 0).all()
    k = np.arange(n)
    c = (r[:, None] * np.exp(-a[:, None] * k)).sum(0)
    c[0] = 1.0
    rows = (beta[:, None] * np.exp(-rates[:, None] * k)).sum(0)
    np.testing.assert_allclose(np.convolve(c, rows)[:n], 1.0, atol=1e-10)
    assert float(blt_rates.norm(a, r, n)) == pytest.approx((c**2).sum(), rel=1e-11)
    assert float(blt_rates.noise_norm(beta, rates, n)) == pytest.approx((rows**2).sum(), rel=1e-11)
    sums = np.cumsum(rows**2)
    assert blt_rates.noise_norm_sum(beta, rates, n) == pytest.approx(sums.sum(), rel=1e-9)
    if unbounded:
        assert float(blt_rates.norm(a, r, math.inf)) > (c**2).sum()


def rational(horizon, degree, compiled, expected=64):
    design = BLTDesign(RHO, 1 << 20, 1 << 20, horizon, expected, degree)
    assert design.encoder.width == 64
    return design, (lambda q: design_engine(design, q, compiled))


def design_engine(design, queue, compiled=False):
    from dpkit.continual.blt import CompiledBLT

    return (CompiledBLT if compiled else BLTEngine)(design.encoder, queue)


@pytest.mark.parametrize("horizon", [64, None])
def test_rational_variances_equal_the_dense_rows(horizon):
    design, start = rational(horizon, 4, False)
    matrix = noise_matrix(start, 64, unit=1 << 40) * float(1 << 40) / 2.0**40
    dense = (matrix**2).sum(1) * float(design.scale) * 1.0
    formula = [design.variance(t) for t in range(1, 65)]
    np.testing.assert_allclose(formula, dense, rtol=1e-6)
    assert design.mean_variance(64) == pytest.approx(dense.mean(), rel=1e-6)


@pytest.mark.parametrize("horizon", [100, None])
def test_rational_integers_keep_their_sensitivity(horizon):
    """Brute force: any stream, any time, any change; the means of y move by at most S."""
    rng = np.random.default_rng(5)
    design, start = rational(horizon, 4, False)
    top = 1 << 20
    bound = float(design.scale)  # S^2/(2 rho) with rho = 1/2
    worst = 0.0
    for kind in range(60):
        xs = rng.integers(0, top + 1, 100) if kind % 3 else np.full(100, top * (kind % 2))
        ys = xs.copy()
        at = 0 if kind < 30 else int(rng.integers(100))
        xs[at], ys[at] = top, 0
        first, second = start(ChosenNoise()), start(ChosenNoise())
        moved = [first.encode(int(x)) - second.encode(int(y)) for x, y in zip(xs, ys, strict=True)]
        worst = max(worst, float(sum(m * m for m in moved)))
    assert worst <= bound
    if horizon:
        assert worst >= 0.999 * bound  # the calibration wastes nothing


@pytest.mark.parametrize("horizon", [3000, None])
def test_rational_decoding_undoes_the_encoding(horizon):
    rng = np.random.default_rng(6)
    design, start = rational(horizon, 4, True, expected=3000)
    xs = rng.integers(0, (1 << 20) + 1, 3000)
    got = start(ChosenNoise()).steps(xs)
    error = np.abs(got - np.cumsum(xs)) / 2.0**20
    assert error.max() < 1e-6 * math.sqrt(design.variance(1)) / 2.0**20 * 100


def test_rational_engines_agree_to_the_last_bit():
    rng = np.random.default_rng(7)
    for horizon in (500, None):
        design, _ = rational(horizon, 6, True, expected=500)
        xs, noise = rng.integers(0, 1 << 20, 500), rng.integers(-(1 << 42), 1 << 42, 500).tolist()
        slow, fast = (
            design_engine(design, ChosenNoise(noise)),
            design_engine(design, ChosenNoise(noise), True),
        )
        np.testing.assert_array_equal(slow.steps(xs), fast.steps(xs))
        assert slow.export() == fast.export()


@pytest.mark.parametrize("horizon", [2**28, 2**34, 2**40])
def test_wide_engines_agree_to_the_last_bit(horizon):
    """Far horizons need states of 128 bits; Python's integers are the twin. Elements of both signs."""
    rng = np.random.default_rng(8)
    design = BLTDesign(RHO, 1 << 20, 1 << 20, horizon)
    assert design.encoder.width == 128
    assert design._slack(design.encoder) < 2e-3
    for low, high in ((0, 1), (-1, 1), (-1, 0), (1, 2)):
        xs = rng.integers(low << 20, (high << 20) + 1, 400) if high < 2 else np.full(400, 1 << 20)
        noise = rng.integers(-(1 << 36), 1 << 36, 400).tolist()
        slow, fast = (
            design_engine(design, ChosenNoise(noise)),
            design_engine(design, ChosenNoise(noise), True),
        )
        # states such as long streams leave behind
        big = [int(s) * (1 << 20) * (1 if low >= 0 else -1) for s in design.encoder.omega]
        start = {**slow.export(), "states": [str(b << 6) for b in big]}
        slow.restore(start)
        fast.restore(start)
        np.testing.assert_array_equal(slow.steps(xs[:200]), fast.steps(xs[:200]))
        np.testing.assert_array_equal(
            [slow.step(int(x)) for x in xs[200:]], [fast.step(int(x)) for x in xs[200:]]
        )
        assert slow.export() == fast.export()


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
        ("blt", 2**14, 3.999, 4.163),
        ("blt", 2**20, 5.323, 5.485),
        ("blt", 2**30, None, 7.800),
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
    for guess in (2**14, 2**20):
        open_ended = Counter(rho=0.5, expected=guess).prediction(4 * guess)
        tuned = Counter(rho=0.5, horizon=4 * guess).prediction()
        assert open_ended.rmse <= 1.1 * tuned.rmse
        assert open_ended.worst_std <= 1.11 * tuned.worst_std
