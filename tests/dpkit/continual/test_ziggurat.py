"""The exact ziggurat: its table in exact arithmetic, the kernel against its twin, the law."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from dpkit.continual import ziggurat as z
from dpkit.noise import OSNoise, UnsafeSeededNoise
from dpkit.noise.tables import log_tables

VARIANCES = [Fraction(1 << 32), Fraction(10**15, 7), Fraction(1 << 72) + Fraction(1, 3), Fraction(1 << 84)]


def graph(table, m):
    """Return S exp(-m^2/(2v)) to 60 digits."""
    with mpmath.workdps(60):
        v = mpmath.mpf(table.variance.numerator) / table.variance.denominator
        return table.top * mpmath.exp(-(mpmath.mpf(m) ** 2) / (2 * v))


@pytest.mark.parametrize("variance", VARIANCES)
def test_layers_cover_the_graph_and_sure_columns_lie_under_it(variance):
    table = z.make_ziggurat(variance)
    assert len(table.columns) == len(table.sure) == 256
    assert table.heights[-1] >= table.top
    for i in range(256):
        low, high = table.heights[i], table.heights[i + 1]
        if i:
            assert high - low == (1 << 55) // table.columns[i]
            assert graph(table, table.columns[i]) <= low  # what lies right of the layer is lower
        if table.sure[i]:
            assert graph(table, table.sure[i] - 1) >= high
    assert (table.columns[0] + 2 * table.span) * table.heights[1] <= 1 << 55
    for j in range(60):
        assert graph(table, table.columns[0] + j * table.span) * 2**j <= table.heights[1]
    sure = sum((b - a) * s for a, b, s in zip(table.heights, table.heights[1:], table.sure, strict=False))
    assert sure > 0.97 * 256 * 2**55  # most draws take one word


class Words:
    """Hands out given words, then fails."""

    def __init__(self, words):
        self.words, self.at = words, 0

    def __call__(self):
        self.at += 1
        return int(self.words[self.at - 1])


def kernel(variance, words):
    _, array, curve = z._prepared(variance)
    out = np.empty(len(words), dtype=np.int64)
    missed = np.empty((len(words), 3), dtype=np.uint64)
    used, done, misses = z._fill(words, out, 0, array, curve, log_tables(), missed)
    return used, out[:done], missed[:misses]


def twin(variance, words):
    """Draw by the slow twin, word by word as the kernel takes them."""
    table, out, at = z.make_ziggurat(variance), [], 0
    while at < len(words) - 1:
        first = int(words[at])
        layer = first & 255
        second_used = False

        def second():
            raise AssertionError

        class Lazy(int):
            pass

        at += 1
        probe = int(words[at])
        r, m = first >> 9, 0
        if layer:
            x = table.columns[layer]
            m, rest = r * x >> 55, (r * x) & ((1 << 55) - 1)
            second_used = rest >= (1 << 55) % x and m >= table.sure[layer]
        else:
            m = r // table.heights[1]
            second_used = m >= table.sure[0]
        found = z.trial(table, first, probe, second)
        at += second_used
        if found is not None:
            out.append(found)
    return out


@pytest.mark.parametrize("variance", VARIANCES)
def test_kernel_equals_its_twin_word_by_word(variance):
    words = np.frombuffer(np.random.default_rng(1).bytes(8 * 12_000), dtype=np.uint64).copy()
    words[::3] &= ~np.uint64(255)  # more of the lowest layer
    words[1::5] |= np.uint64(248)  # and of the top ones
    words[2::7] |= np.uint64(0xFFFFFFFF << 32)  # and of the right edges
    used, got, missed = kernel(variance, words)
    assert used >= len(words) - 2
    want = twin(variance, words)
    declined = set(missed[:, 0].tolist())
    assert len(declined) < 5
    assert len(want) - len(declined) <= len(got) <= len(want) + len(declined)
    if not declined:
        np.testing.assert_array_equal(got, want[: len(got)])


def test_tails_are_reached_and_follow_the_law():
    """Layer 0 right of its rectangle, by the twin and the kernel: the tail's share and its decay."""
    variance = Fraction(1 << 60)
    table, sigma = z.make_ziggurat(variance), 2.0**30
    rng, height = np.random.default_rng(2), table.heights[1]
    first = table.columns[0] * height + rng.integers(0, 2 * table.span * height, 60_000)
    second = np.frombuffer(rng.bytes(8 * 60_000), dtype=np.uint64)
    words = np.stack([(first << 9 | rng.integers(0, 2, 60_000) << 8).astype(np.uint64), second], 1)
    _, got, missed = kernel(variance, words.ravel())
    assert len(missed) < 5
    tail = np.abs(got[np.abs(got) >= table.columns[0]]) / sigma
    assert len(tail) > 10_000
    edge = table.columns[0] / sigma
    for more in (0.1, 0.3, 0.6):
        want = math.erfc((edge + more) / math.sqrt(2)) / math.erfc(edge / math.sqrt(2))
        share = (tail >= edge + more).mean()
        assert abs(share - want) < 5 * math.sqrt(want / len(tail)) + 2e-3 * want


@pytest.mark.parametrize("width", [3.0, 3.66])
def test_law_by_chi_square_where_every_value_counts(width):
    """A small variance, 40 standard deviations of single integers; also with layers to spare (width 3)."""
    variance, sigma = Fraction(2000, 3), math.sqrt(2000 / 3)
    table = z._build(variance, math.floor(width * sigma)) if width == 3.0 else z.make_ziggurat(variance)
    rng, draws = np.random.default_rng(3), []
    while len(draws) < (2000 if width == 3.0 else 20_000):
        words = np.frombuffer(rng.bytes(8 * 8), dtype=np.uint64).tolist()
        found = z.trial(table, words[0], words[1], iter(words[2:]).__next__)
        if found is not None:
            draws.append(found)
    edges = np.arange(-80, 81, 8)
    values = np.arange(-400, 401)
    p = np.exp(-(values**2) / (2 * 2000 / 3))
    p /= p.sum()
    cells = np.digitize(values, edges)
    want = np.bincount(cells, p, len(edges) + 1) * len(draws)
    got = np.bincount(np.digitize(draws, edges), minlength=len(edges) + 1)
    assert ((got - want) ** 2 / want).sum() < len(edges) + 5 * math.sqrt(2 * len(edges))
    zero = np.mean(np.array(draws) == 0)
    assert abs(zero - p[400]) < 5 * math.sqrt(p[400] / len(draws))


@pytest.mark.parametrize("variance", [Fraction(1 << 32), Fraction(1 << 72)])
def test_moments_and_distribution_at_scale(variance):
    from scipy.stats import kstest

    draws = z.draw_gaussian(UnsafeSeededNoise(4), variance, 400_000) / math.sqrt(float(variance))
    assert kstest(draws[:200_000], "norm").pvalue > 1e-6
    for power, value in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = math.sqrt(math.prod(range(1, 2 * power, 2)) / len(draws))
        assert abs((draws**power).mean() - value) < 5 * spread
    assert z.draw_gaussian(OSNoise(), variance, 10).dtype == np.int64


def test_draws_do_not_depend_on_how_they_are_asked_for():
    variance = Fraction(1 << 60)
    whole = z.draw_gaussian(UnsafeSeededNoise(5), variance, 20_000)
    source, parts = UnsafeSeededNoise(5), []
    for n in (1, 2, 3, 94, 900, 9000, 10_000):
        parts.append(z.draw_gaussian(source, variance, n))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_declined_draws_are_finished_by_the_twin(monkeypatch):
    """With the sure columns taken away in layer 0 the kernel declines its edge; the law stays."""
    variance = Fraction(1 << 44)
    table, array, curve = z._prepared(variance)
    array = array.copy()
    array[0, 5] = 0
    monkeypatch.setattr(z, "_prepared", lambda v: (table, array, curve))
    draws = z.draw_gaussian(UnsafeSeededNoise(6), variance, 60_000) / 2.0**22
    assert abs(draws.var() - 1) < 5 * math.sqrt(2 / len(draws))
    small = z.draw_gaussian(UnsafeSeededNoise(6), Fraction(9), 1000)  # below the table: the source's sampler
    assert abs(small.var() - 9) < 3
