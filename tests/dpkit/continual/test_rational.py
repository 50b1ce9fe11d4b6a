"""The rational counter: formulas by convolution, integers against their sensitivity, fast against slow."""

import math
from fractions import Fraction

import numpy as np
import pytest

from dpkit.continual import Counter, blt_rates
from dpkit.continual.blt import BLTDesign
from dpkit.continual.blt_rates import Target
from dpkit.continual.recursion import RecursiveNoise, SlowNoise
from dpkit.continual.settings import GAUSSIAN, Budget
from tests.dpkit.continual.twins import ChosenNoise, noise_matrix

RHO = Budget(GAUSSIAN, Fraction(1, 2))
TOP = 1 << 20

TARGETS = [
    (1, Target(8)),
    (2, Target(50, unbounded=True)),
    (4, Target(300)),
    (6, Target(1000, unbounded=True)),
    (4, Target(400, decay=0.03)),
    (4, Target(400, unbounded=True, window=37)),
    (3, Target(60, window=100)),
    (4, Target(300, changes=5)),
    (4, Target(300, parts=4, gap=50)),
    (3, Target(120, parts=40, gap=2)),
]


@pytest.mark.parametrize(("degree", "target"), TARGETS, ids=lambda x: str(x)[:60])
def test_formulas_by_direct_convolution(degree, target):
    a, b = map(np.array, blt_rates.design_rates(degree, target))
    r, (beta, rates) = blt_rates.encoder_weights(a, b), blt_rates.noise_weights(a, b, target.decay)
    assert (r > 0).all()
    assert (beta > 0).all()
    n = target.n
    k = np.arange(n)
    c = (r[:, None] * np.exp(-a[:, None] * k)).sum(0)
    c[0] = 1.0
    assert (np.diff(c) <= 1e-15).all()
    workload = np.exp(-target.decay * k)
    if target.window:
        workload[target.window :] = 0.0
    rows = np.linalg.solve(_toeplitz(c), workload)
    assert float(blt_rates.norm(a, r, n)) == pytest.approx((c**2).sum(), rel=1e-11)
    for t in (1, n // 2, n):
        assert float(target.rows(beta, rates, t)) == pytest.approx((rows[:t] ** 2).sum(), rel=1e-9)
    assert target.rows_sum(beta, rates, n) == pytest.approx(np.cumsum(rows**2).sum(), rel=1e-9)
    np.testing.assert_allclose(np.exp(-blt_rates.zeros_of(a, r)), np.exp(-b), rtol=1e-9, atol=1e-15)
    if target.unbounded:
        assert float(blt_rates.norm(a, r, math.inf)) >= (c**2).sum() * (1 - 1e-12)


def _toeplitz(c):
    n = len(c)
    at = np.subtract.outer(np.arange(n), np.arange(n))
    return np.where(at >= 0, c[at], 0.0)


def design_of(horizon, **options):
    design = BLTDesign(RHO, TOP, TOP, horizon, **{"expected": 64, **options})
    assert design.recursion.wide == 0
    return design


@pytest.mark.parametrize("options", [{}, {"keep": 0.9}, {"window": 10}])
@pytest.mark.parametrize("horizon", [64, None])
def test_variances_equal_the_dense_rows(horizon, options):
    design = design_of(horizon, degree=3, **options)
    matrix = noise_matrix(lambda q: design.engine(q, slow=True), 64, unit=1 << 36)
    dense = (matrix**2).sum(1) * float(design.scale)
    np.testing.assert_allclose([design.variance(t) for t in range(1, 65)], dense, rtol=1e-6)
    assert design.mean_variance(64) == pytest.approx(dense.mean(), rel=1e-6)


def z_of(recursion, released, xs):
    """Return the z that makes a slow engine release these integers, given the elements: the inverse."""
    noise, found = SlowNoise(recursion, None), []
    for i, x in zip(released, xs, strict=True):
        e = int(i) - (int(x) << recursion.p)
        found.append(e + recursion.carry(noise._states))
        noise.push(e)
    return np.array(found, dtype=object)


def _patterns(options, n, rng):
    """Yield the signed places where neighbours may differ."""
    changes, parts, gap = (options.get(k, 1) for k in ("changes", "parts", "gap"))
    for trial in range(12):
        if changes > 1:
            count = int(rng.integers(1, changes + 1))
            places = np.sort(rng.choice(n, count, replace=False)) if trial else np.arange(0, n, n // changes)
            places = places[:changes]
            yield places, (-1) ** np.arange(len(places))
        else:
            spare = n - 1 - gap * (parts - 1)
            first = 0 if trial == 0 or spare < 1 else int(rng.integers(0, spare))
            places = first + gap * np.arange(parts)
            places = places[places < n]
            signs = np.ones(len(places), int) if trial % 2 == 0 else rng.choice([-1, 1], len(places))
            yield places, signs


@pytest.mark.parametrize(
    "options", [{}, {"changes": 2}, {"changes": 6}, {"parts": 4, "gap": 20}, {"keep": 0.9}]
)
@pytest.mark.parametrize("horizon", [100, None])
def test_integers_keep_their_sensitivity(horizon, options):
    """Brute force: for any released integers, neighbours' z differ by at most S; and nearly by S."""
    rng, worst = np.random.default_rng(5), 0.0
    design = design_of(horizon, degree=4, **options)
    bound = float(design.scale)  # S^2/(2 rho) with rho = 1/2
    sigma = math.sqrt(bound)
    for places, signs in _patterns(options, 100, rng):
        xs = rng.integers(0, TOP + 1, 100)
        xs[places] = TOP * (signs > 0)
        ys = xs.copy()
        ys[places] = TOP - xs[places]
        noise = np.rint(rng.normal(0, sigma, 100)).astype(np.int64).tolist()
        slow = SlowNoise(design.recursion, ChosenNoise(noise))
        released = [(int(x) << design.recursion.p) + slow.next() for x in xs]
        assert z_of(design.recursion, released, xs).tolist() == noise
        moved = z_of(design.recursion, released, ys) - np.array(noise, dtype=object)
        worst = max(worst, float(sum(m * m for m in moved)))
    assert worst <= bound
    if horizon and options.get("changes", 1) == 1:
        assert worst >= 0.999 * bound  # the calibration wastes nothing
    assert worst >= 0.5 * bound


@pytest.mark.parametrize(("options", "places"), [({"changes": 6}, 6), ({"parts": 4, "gap": 20}, 4)])
def test_brute_force_finds_several_changes_paid_as_one(options, places):
    """Planted bug: noise for one element where several may differ; the z of neighbours show it at once."""
    at = np.arange(places) * (100 // places)
    xs, ys = np.zeros(100, dtype=int), np.zeros(100, dtype=int)
    xs[at] = TOP * ((-1) ** np.arange(places) if "changes" in options else 1)
    for wrong in (False, True):
        design = design_of(100, degree=4, **({} if wrong else options))
        zero = [0] * 100
        slow = SlowNoise(design.recursion, ChosenNoise(zero))
        released = [slow.next() for _ in range(100)]
        moved = z_of(design.recursion, released, xs) - z_of(design.recursion, released, ys)
        assert (float(sum(int(m) ** 2 for m in moved)) > 1.5 * float(design.scale)) == wrong


def test_every_placement_of_participations_on_a_short_stream():
    """All pairs and triples at least b apart on 24 steps: none beats b apart from the start."""
    import itertools

    n, gap = 24, 5
    for parts in (2, 3, 4):
        design = BLTDesign(RHO, TOP, TOP, n, degree=3, parts=parts, gap=gap)
        a, r = design.recursion.rates(), design.recursion.weights()
        k = np.arange(n)
        c = (r[:, None] * np.exp(-a[:, None] * k)).sum(0)
        c[0] = 1.0
        matrix, worst = _toeplitz(c), 0.0
        for places in itertools.combinations(range(n), parts):
            if min(np.diff(places)) >= gap:
                for signs in itertools.product((1, -1), repeat=parts):
                    worst = max(worst, float(((matrix[:, places] @ np.array(signs)) ** 2).sum()))
        assert worst == pytest.approx(design.change**2, rel=1e-7)


@pytest.mark.parametrize("keep_window", [(1.0, 0), (0.97, 0), (1.0, 30), (1.0, 700)])
@pytest.mark.parametrize("horizon", [500, None])
def test_fast_and_slow_engines_agree_to_the_last_bit(horizon, keep_window):
    rng = np.random.default_rng(7)
    keep, window = keep_window
    design = design_of(horizon, expected=500, keep=keep, window=window)
    xs, noise = rng.integers(0, TOP, 500), rng.integers(-(1 << 38), 1 << 38, 500).tolist()
    slow, fast = design.engine(ChosenNoise(noise), slow=True), design.engine(ChosenNoise(noise))
    want = slow.steps(xs)
    got = [fast.step(int(x)) for x in xs[:130]]
    middle = fast.export()
    np.testing.assert_array_equal(want, [*got, *fast.steps(xs[130:])])
    assert slow.export() == fast.export()
    again = design.engine(ChosenNoise(noise[130:]))
    again.restore(middle)
    np.testing.assert_array_equal(want[130:], again.steps(xs[130:]))


@pytest.mark.parametrize("horizon", [100, 2**20, 2**28, 2**40, None])
def test_the_compiled_loop_does_the_work(horizon, monkeypatch):
    """Ordinary draws never take the slow way, or all comparisons of the two would compare one with itself."""
    counter = Counter(rho=0.5, horizon=horizon, mechanism="blt")
    monkeypatch.setattr(SlowNoise, "from_z", None)
    assert counter.steps(np.ones(100)).shape == (100,)


@pytest.mark.parametrize("horizon", [2**28, 2**34, 2**40])
def test_wide_states_agree_to_the_last_bit(horizon):
    """Far horizons need states of 128 bits; Python's integers are the twin."""
    rng = np.random.default_rng(8)
    design = BLTDesign(RHO, TOP, TOP, horizon)
    used = design.recursion
    assert used.wide
    assert design._slack(used, design.change) < 2e-3
    assert design.state_size <= 10
    for sign in (-1, 1):
        noise = rng.integers(-(1 << 36), 1 << 36, 400).tolist()
        # such as long streams leave behind
        states = [str(sign * (w << 36)) for w in used.omega]
        slow, fast = SlowNoise(used, ChosenNoise(noise)), RecursiveNoise(used, ChosenNoise(noise))
        slow.restore(states)
        fast.restore(states)
        np.testing.assert_array_equal(slow.take(200), fast.take(200))
        assert [slow.next() for _ in range(200)] == [fast.next() for _ in range(200)]
        assert slow.export() == fast.export()


@pytest.mark.parametrize("horizon", [1000, 2**30])
def test_what_the_words_cannot_hold_goes_to_the_slow_twin(horizon):
    """Draws of 10^6 standard deviations: the compiled loop notices and nothing wraps."""
    design = BLTDesign(RHO, TOP, TOP, horizon)
    for z in (*(1 << k for k in range(36, 62, 2)), -(1 << 57), -(1 << 45), (1 << 62) - 1):
        noise = [5, z, *[z] * 30, 7, *[0] * 40]
        slow = SlowNoise(design.recursion, ChosenNoise(noise))
        fast = RecursiveNoise(design.recursion, ChosenNoise(noise))
        assert [slow.next() for _ in range(72)] == [
            *fast.take(40).tolist(),
            *[fast.next() for _ in range(32)],
        ]
        assert slow.export() == fast.export()


def test_sums_beyond_64_bits_are_the_same_one_by_one_and_in_bulk():
    from dpkit.continual.readers import SumReader

    moves = np.array([2**62, 2**62, 2**62, -5, -(2**62), -(2**62), -(2**62), -(2**62), -(2**62), 3] * 3)
    one, many = SumReader(0.5), SumReader(0.5)
    np.testing.assert_array_equal([one.one(int(m)) for m in moves], many.many(moves))
    assert one.export() == many.export() == str(int(moves.astype(object).sum()))


def test_optimum_is_near_the_square_root_up_to_any_horizon():
    """Worst error over the best lower-triangular Toeplitz factorisation's, (ln T + 0.5772 + 4 ln 2)/pi."""
    for power, slack in ((10, 1.001), (14, 1.001), (20, 1.002), (24, 1.002), (30, 1.003), (40, 1.009)):
        best = (power * math.log(2) + 0.57722 + 4 * math.log(2)) / math.pi
        figures = Counter(rho=0.5, horizon=2**power, mechanism="blt").prediction()
        assert figures.worst_std <= slack * best
        assert figures.state_size <= 10


def test_long_run_floors_of_windows_and_decay():
    """The least long-run error is the mean of |A(e^iu)|: decayed sums within 0.2 % of it, windows 10 %."""
    u = 2 * np.pi * (np.arange(1 << 16) + 0.5) / (1 << 16)
    decayed = np.abs(1 / (1 - 0.99 * np.exp(1j * u))).mean()
    got = BLTDesign(RHO, TOP, TOP, None, 1 << 12, keep=0.99)
    assert decayed <= math.sqrt(got.worst_variance(1 << 12)) / TOP <= 1.002 * decayed
    window = np.abs(np.sin(50 * u) / np.sin(u / 2)).mean()
    got = BLTDesign(RHO, TOP, TOP, None, 1 << 12, window=100)
    assert window <= math.sqrt(got.worst_variance(1 << 12)) / TOP <= 1.1 * window
