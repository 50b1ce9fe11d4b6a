"""Windows, decay, several participations, vectors, the square root, and items that come and go."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import dpkit
from dpkit.continual import Counter, DistinctCount, VectorCounter
from dpkit.continual import sqrt as roots
from dpkit.continual.settings import GAUSSIAN, Budget
from dpkit.continual.sqrt import SlowSqrtNoise, SqrtDesign, SqrtNoise, sqrt_coefficients
from dpkit.continual.vector import Ball
from dpkit.continual.workload import Workload
from dpkit.noise import UnsafeSeededNoise
from tests.dpkit.continual.twins import ChosenNoise, noise_matrix

RHO = Budget(GAUSSIAN, Fraction(1, 2))
TOP = 1 << 20


@pytest.mark.parametrize("options", [{"window": 20}, {"decay": 0.9}, {"window": 2}])
@pytest.mark.parametrize("horizon", [150, None])
def test_windows_and_decay_sum_what_they_say(options, horizon):
    rng = np.random.default_rng(1)
    xs = rng.integers(0, 2, 150).astype(float)
    keep, window = options.get("decay", 1.0), options.get("window", 150)
    truth = [sum(x * keep**k for k, x in enumerate(xs[t::-1][:window])) for t in range(150)]
    sure = Counter(rho=1e7, horizon=horizon, expected=150, **options)
    got = [sure.step(x).value for x in xs[:70]]
    again = Counter.from_state(sure.state())
    np.testing.assert_allclose([*got, *again.steps(xs[70:])], truth, atol=0.02)

    counter, errors = Counter(rho=0.5, horizon=horizon, expected=150, **options), []
    source = UnsafeSeededNoise(3)
    for _ in range(600):
        counter._open(source)
        errors.append(counter.steps(xs) - truth)
    ratio = np.var(errors, axis=0) / [counter.std(t) ** 2 for t in range(1, 151)]
    assert np.abs(ratio - 1).max() < 5 * math.sqrt(2 / 600)
    figures = counter.prediction(150)
    assert figures.rmse >= figures.floor
    assert figures.floor > 0.5 * figures.rmse
    assert counter.mechanism == "blt"


def test_floors_of_windows_are_nuclear_norms():
    matrix = np.tril(np.ones((300, 300))) - np.tril(np.ones((300, 300)), -20)
    want = np.linalg.svd(matrix, compute_uv=False).sum() / 300
    assert Workload(window=20).floor(300) == pytest.approx(want)
    want = 20 * np.abs(np.sinc(20 * (u := np.arange(1, 4096, 2) / 8192)) / np.sinc(u)).mean()  # the long run
    assert 0.95 * want < Workload(window=20).floor(512 * 9) <= want


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 5, "decay": 0.5}, "exclude each other"),
        ({"decay": 1.0}, "decay must lie"),
        ({"window": 1}, "window must be"),
        ({"participations": 0}, "participations must be"),
        ({"participations": 2, "separation": 0}, "separation must be"),
        ({"window": 5, "mechanism": "binary"}, "need mechanism='blt'"),
        ({"participations": 2, "mechanism": "honaker"}, "several participations need"),
        ({"mechanism": "sqrt"}, "needs a horizon"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(dpkit.ArgumentError, match=message):
        Counter(rho=0.5, **arguments)
    with pytest.raises(dpkit.ArgumentError):
        Counter(epsilon=1.0, window=5)


@pytest.mark.parametrize("mechanism", ["blt", "sqrt"])
def test_participations_cost_less_than_group_privacy(mechanism):
    one = Counter(rho=0.5, horizon=1000, mechanism=mechanism).prediction().rmse
    four = Counter(rho=0.5, horizon=1000, mechanism=mechanism, participations=4, separation=200)
    assert one < four.prediction().rmse < 3 * one  # four elements at once would cost four times the error
    assert four.guarantee == dpkit.ZCDP(0.5, "zero-out")


# the square root


def test_coefficients_against_exact_integers():
    f = sqrt_coefficients(3000)
    for k in (0, 1, 5, 127, 128, 129, 600, 2999):
        exact = Fraction(math.comb(2 * k, k), 4**k)
        assert abs(Fraction(float(f[k])) / exact - 1) < 2.0**-48


@pytest.mark.parametrize("horizon", [1, 2, 3, 50])
def test_sqrt_variances_equal_the_dense_rows(horizon):
    design = SqrtDesign(RHO, TOP, TOP, horizon)
    start = lambda q: design.engine(q, slow=True)
    matrix = noise_matrix(start, horizon, unit=1 << 36)
    dense = (matrix**2).sum(1) * float(design.scale)
    np.testing.assert_allclose([design.variance(t) for t in range(1, horizon + 1)], dense, rtol=1e-6)
    assert design.mean_variance(horizon) == pytest.approx(dense.mean(), rel=1e-6)


def test_published_figures_of_the_square_root():
    for power, rmse, worst in ((10, 3.110, 3.273), (14, 3.993, 4.155), (20, 5.317, 5.479)):
        figures = Counter(rho=0.5, horizon=2**power, mechanism="sqrt").prediction()
        assert figures.rmse == pytest.approx(rmse, rel=1e-3)
        assert figures.worst_std == pytest.approx(worst, rel=1e-3)


def sqrt_z(design, released, xs):
    """Return the z that makes the fast engine release these sums, block by block through its own code."""
    found, total, previous = [], 0, 0
    for i, x in zip(released, xs, strict=True):
        total += int(i) - (int(x) << design.p)  # the noise of this step
        probe = SqrtNoise(design.horizon, design.limit, ChosenNoise())
        probe.restore({"z": [*found, 0], "previous": previous})
        probe._t = len(found)
        if probe._t >= probe._count:
            probe._next_block()
        found.append(total - int(probe._made[len(found) % roots._BLOCK]))
    return np.array(found, dtype=object)


@pytest.mark.parametrize("options", [{}, {"changes": 3}, {"parts": 3, "gap": 25}])
def test_sqrt_integers_keep_their_sensitivity(options, monkeypatch):
    """Neighbours' z for equal released integers, with small blocks so that transforms take part."""
    monkeypatch.setattr(roots, "_BLOCK", 8)
    rng, n = np.random.default_rng(4), 90
    design, worst = SqrtDesign(RHO, TOP, TOP, n, **options), 0.0
    bound, sigma = float(design.scale), math.sqrt(float(design.scale))
    for trial in range(6):
        if "changes" in options:
            places = np.arange(3) * 30 if trial == 0 else np.sort(rng.choice(n, 3, replace=False))
            signs = np.array([1, -1, 1])
        else:
            places = np.arange(options.get("parts", 1)) * options.get("gap", 1) + (
                trial and int(rng.integers(20))
            )
            signs = np.ones(len(places), int)
        xs = rng.integers(0, TOP + 1, n)
        xs[places] = TOP * (signs > 0)
        ys = xs.copy()
        ys[places] = TOP - xs[places]
        noise = np.rint(rng.normal(0, sigma, n)).astype(np.int64).tolist()
        moves = SqrtNoise(n, design.limit, ChosenNoise(noise)).take(n)
        released = [(int(x) << design.p) + int(m) for x, m in zip(xs, moves, strict=True)]
        assert sqrt_z(design, released, xs).tolist() == noise
        moved = sqrt_z(design, released, ys) - np.array(noise, dtype=object)
        worst = max(worst, float(sum(m * m for m in moved)))
    assert (0.5 if "changes" in options else 0.999) * bound < worst <= bound


@pytest.mark.parametrize("horizon", [1, 255, 256, 257, 1500])
def test_sqrt_blocks_equal_the_definition_up_to_rounding(horizon):
    design = SqrtDesign(RHO, TOP, TOP, horizon)
    sigma = math.sqrt(float(design.scale))
    noise = np.rint(np.random.default_rng(5).normal(0, sigma, horizon)).astype(np.int64).tolist()
    slow = SlowSqrtNoise(horizon, design.limit, ChosenNoise(noise)).take(horizon).cumsum()
    fast = SqrtNoise(horizon, design.limit, ChosenNoise(noise)).take(horizon).cumsum()
    assert np.abs(slow - fast).max() <= 2 <= design.rounding
    far = [*noise[: horizon // 2], 200 * design.limit, *noise[horizon // 2 + 1 :]]
    slow = SlowSqrtNoise(horizon, design.limit, ChosenNoise(far)).take(horizon).cumsum()
    fast = SqrtNoise(horizon, design.limit, ChosenNoise(far)).take(horizon).cumsum()
    start = horizon // 2 // 256 * 256
    assert np.abs(slow - fast).max() <= 2
    np.testing.assert_array_equal(slow[start:], fast[start:])  # from there on the slow twin's own


def test_sqrt_noise_does_not_look_ahead():
    """Changing later draws, anywhere, leaves earlier noise alone to the last bit."""
    design = SqrtDesign(RHO, TOP, TOP, 2000)
    rng = np.random.default_rng(6)
    noise = rng.integers(-(1 << 38), 1 << 38, 2000)
    whole = SqrtNoise(2000, design.limit, ChosenNoise(noise.tolist())).take(2000)
    for cut in (1, 100, 256, 700, 1024, 1999):
        other = np.concatenate([noise[:cut], rng.integers(-(1 << 38), 1 << 38, 2000 - cut)])
        again = SqrtNoise(2000, design.limit, ChosenNoise(other.tolist())).take(2000)
        np.testing.assert_array_equal(whole[:cut], again[:cut])


# vectors


@given(
    arrays(np.float64, (3, 4), elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.sampled_from([1.0, 3e-7, 1e9]),
)
@settings(max_examples=200, deadline=None)
def test_every_vector_lands_in_the_ball(rows, norm):
    units = Ball(norm).units(rows)
    assert ((units.astype(object) ** 2).sum(1) <= TOP**2).all()
    for row, got in zip(rows, units, strict=True):
        if not np.isfinite(row).all():
            assert (got == 0).all()
        elif math.hypot(*row) <= norm:
            np.testing.assert_allclose(got * Ball(norm).unit, row, atol=1.01 * Ball(norm).unit)


@pytest.mark.parametrize(("mechanism", "neighbours"), [("blt", "zero-out"), ("honaker", "replace")])
def test_vectors_are_summed_with_one_counters_noise(mechanism, neighbours):
    rng = np.random.default_rng(7)
    rows = rng.normal(0, 1, (200, 3))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    truth = (rows * np.minimum(1, 2 / lengths)).cumsum(0)
    sure = VectorCounter(3, norm=2.0, rho=1e8, horizon=200, mechanism=mechanism, neighbours=neighbours)
    first = sure.step(rows[0])
    got = np.vstack([first.value, sure.steps(rows[1:])])
    np.testing.assert_allclose(got, truth, atol=0.02)
    one = Counter(rho=0.5, horizon=200, mechanism=mechanism)
    many = VectorCounter(3, norm=2.0, rho=0.5, horizon=200, mechanism=mechanism, neighbours=neighbours)
    factor = 4.0 if neighbours == "replace" else 2.0
    assert many.std(77) == pytest.approx(factor * one.std(77), rel=1e-3)
    best = VectorCounter.predict(3, norm=2.0, rho=0.5, horizon=200, neighbours=neighbours)[0]
    assert best.rmse >= best.floor
    assert best.counts == 3
    for bad in ([1, 2], [[1, 2, 3]], ["a"] * 3, [1j, 0, 0]):
        with pytest.raises(dpkit.ArgumentError, match="vectors must be"):
            many.step(bad)
    with pytest.raises(dpkit.ArgumentError, match="L2 length need rho"):
        VectorCounter(3, epsilon=1.0)
    with pytest.raises(dpkit.ArgumentError, match="norm must be"):
        VectorCounter(3, rho=1.0, norm=0.0)


def test_vector_sensitivity_by_brute_force():
    """The z of all coordinates together move by at most S, in two columns as in one."""
    from dpkit.continual.blt import BLTDesign
    from tests.dpkit.continual.test_rational import SlowNoise, z_of

    rng, n, d = np.random.default_rng(8), 80, 3
    design, worst = BLTDesign(RHO, TOP, TOP, n, degree=3, columns=d), 0.0
    for _ in range(8):
        change = rng.normal(0, 1, d)
        change = np.trunc(change / np.linalg.norm(change) * TOP * (1 - 1e-9)).astype(int)
        at, moved = int(rng.integers(3)), 0
        for c in change:
            xs = np.zeros(n, dtype=int)
            noise = rng.integers(-(1 << 36), 1 << 36, n).tolist()
            slow = SlowNoise(design.recursion, ChosenNoise(noise))
            released = [slow.next() for _ in range(n)]
            xs[at] = c
            moved += sum(
                int(m) ** 2 for m in z_of(design.recursion, released, xs) - np.array(noise, dtype=object)
            )
        worst = max(worst, float(moved))
    assert 0.9 * float(design.scale) < worst <= float(design.scale)


# items that come and go


def presence(stream, flips):
    """Return the counted moves, straight from the definition."""
    copies, counted, used, moves = {}, {}, {}, []
    for item, sign in stream:
        before = sum(counted.values())
        if item is not None:
            copies[item] = copies.get(item, 0) + sign
            now = int(copies[item] > 0)
            if now != counted.get(item, 0) and used.get(item, 0) < flips:
                counted[item], used[item] = now, used.get(item, 0) + 1
        moves.append(sum(counted.values()) - before)
    return np.array(moves)


@pytest.mark.parametrize("flips", [1, 2, 3])
def test_brute_force_change_of_presence(flips):
    """All streams of five elements on two items: what the budget and the counter's bound pay for."""
    n, worst_item, worst_event = 5, 0, 0
    symbols = [(None, 0), ("a", 1), ("a", -1), ("b", 1)]
    k = np.arange(n)
    c = (k + 1.0) ** -0.5
    matrix = np.where(k[:, None] >= k, c[np.abs(k[:, None] - k)], 0.0)
    norm = lambda m: float(np.interp(m, np.arange(n + 1), np.concatenate([[0], np.cumsum(c**2)])))
    for stream in itertools.product(symbols, repeat=n):
        own = presence(stream, flips)
        gone = presence([(None, 0) if s[0] == "a" else s for s in stream], flips)
        change = own - gone
        moved = change[change != 0]
        assert len(moved) <= flips
        assert (np.diff(moved) != 0).all()  # alternating signs
        assert float(((matrix @ change) ** 2).sum()) <= flips * norm(n / flips) + 1e-12
        worst_item = max(worst_item, len(moved))
        for j in range(n):
            other = presence([(None, 0) if i == j else s for i, s in enumerate(stream)], flips)
            moved = float(((matrix @ (own - other)) ** 2).sum())
            assert moved <= 4 * flips * norm(n / flips) + 1e-12
            worst_event = max(worst_event, np.abs(own - other).sum())
    assert worst_item == flips
    assert worst_event > flips or flips == 1


@pytest.mark.parametrize("bulk", [False, True])
def test_items_come_and_go(bulk):
    rng = np.random.default_rng(9)
    items, signs = rng.integers(0, 6, 400).tolist(), rng.choice([-1, 0, 1], 400)
    distinct = DistinctCount(rho=1e7, flips=7, horizon=400)
    if bulk:
        got = distinct.steps(items, signs)
    else:
        got = [distinct.step(x, int(s)).value for x, s in zip(items, signs, strict=True)]
    truth = presence([(x, int(s)) for x, s in zip(items, signs, strict=True)], 7).cumsum()
    np.testing.assert_allclose(got, truth, atol=0.2)
    again = DistinctCount(rho=1e7, flips=7, horizon=400)
    again.steps(items[:200], signs[:200])
    resumed = DistinctCount.from_state(again.state())
    np.testing.assert_allclose(resumed.steps(items[200:], signs[200:]), truth[200:], atol=0.2)


def test_budget_of_flips():
    base = {"rho": 0.5, "horizon": 1000}
    for mechanism in ("honaker", "blt"):
        one = DistinctCount(**base, mechanism=mechanism)
        nine = DistinctCount(**base, mechanism=mechanism, flips=9)
        assert nine.guarantee == one.guarantee
        ratio = nine.std(1000) / one.std(1000)
        assert ratio == pytest.approx(3, rel=1e-3) if mechanism == "honaker" else 2 < ratio < 2.8
        event = DistinctCount(**base, mechanism=mechanism, flips=9, unit="event")
        assert event.std(1000) == pytest.approx(2 * nine.std(1000), rel=1e-2)
    pure = DistinctCount(epsilon=1.0, horizon=1000, mechanism="binary", flips=9)
    plain = DistinctCount(epsilon=1.0, horizon=1000, mechanism="binary")
    assert pure.std(5) == pytest.approx(9 * plain.std(5), rel=1e-6)


def test_changes_are_checked():
    with pytest.raises(dpkit.ArgumentError, match="deletions need flips=w"):
        DistinctCount(rho=1).step("a", -1)
    for bad in (2, -2, 0.5, "x"):
        with pytest.raises(dpkit.ArgumentError, match="change must be"):
            DistinctCount(rho=1, flips=2).step("a", bad)
    with pytest.raises(dpkit.ArgumentError, match="change must be"):
        DistinctCount(rho=1, flips=2).steps(["a", "b"], [1])
    with pytest.raises(dpkit.ArgumentError, match="flips must be"):
        DistinctCount(rho=1, flips=0)
