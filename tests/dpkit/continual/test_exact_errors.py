"""Errors measured on the code without sampling: chosen numbers stand for the noise."""

import numpy as np
import pytest

from benchmarks._continual_exact import answers, exact_errors, variances
from dpkit.continual import Counter

GAUSSIANS = ("binary", "honaker", "smooth", "hybrid", "sqrt", "blt")
CASES = [*((name, {"rho": 0.5}) for name in GAUSSIANS), ("k-ary", {"epsilon": 1.0})]
PUBLISHED = {  # RMSE and worst step at 2^10, 2^14, 2^20
    "binary": ((7.42, 10.49), (10.25, 14.49), (14.49, 20.49)),
    "honaker": ((5.65, 7.99), (7.65, 10.82), (10.65, 15.06)),
    "smooth": ((7.00, 7.00), (9.00, 9.00), (12.00, 12.00)),
    "sqrt": ((3.110, 3.273), (3.993, 4.155), (5.317, 5.479)),
    "blt": ((3.110, 3.273), (3.993, 4.155), (5.317, 5.479)),
    "k-ary": ((13.1, None), (20.8, None), (33.9, None)),
    "hybrid": ((None, None),) * 3,
}


@pytest.mark.parametrize(("mechanism", "budget"), CASES)
@pytest.mark.parametrize("horizon", [1, 13, 64, 100])
def test_squares_equal_those_of_every_single_entry(mechanism, budget, horizon):
    """One draw after the other: the dense matrix of the compiled code, squared and summed."""
    if mechanism == "hybrid":
        pytest.skip("two kinds of draws; test_formulas has the dense matrix")
    design = Counter(mechanism=mechanism, horizon=horizon, **budget)._design
    linear = mechanism in ("sqrt", "blt")
    pulse = 8 * round(float(design.scale) ** 0.5) if linear else 1 << 20
    squares, draw, silent = np.zeros(horizon), 0, 0
    while silent < 3 and draw < 3 * horizon:  # some draws of a k-ary tree are never used
        column = answers(design, [0] * draw + [pulse], horizon) / pulse
        squares += column**2
        silent = 0 if np.abs(column).max() > 1e-9 else silent + 1
        draw += 1
    assert draw >= horizon
    node = float(design.scale) if linear else design.budget.variance(design.scale)
    np.testing.assert_allclose(variances(design, horizon), squares * node, rtol=1e-6)


@pytest.mark.parametrize(("mechanism", "budget"), CASES)
def test_the_code_has_the_error_that_it_predicts(mechanism, budget):
    _within_one_percent(mechanism, budget, 0)


@pytest.mark.slow
@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize(("mechanism", "budget"), CASES)
def test_the_code_has_the_error_that_it_predicts_over_long_streams(mechanism, budget, place):
    _within_one_percent(mechanism, budget, place)


def _within_one_percent(mechanism, budget, place):
    horizon = (1 << 10, 1 << 14, 1 << 20)[place]
    counter = Counter(mechanism=mechanism, horizon=horizon, **budget)
    rmse, worst = exact_errors(counter, horizon)
    predicted = counter.prediction()
    assert rmse == pytest.approx(predicted.rmse, rel=1e-5)
    assert worst == pytest.approx(predicted.worst_std, rel=1e-5)
    for value, published in zip((rmse, worst), PUBLISHED[mechanism][place], strict=True):
        assert published is None or value == pytest.approx(published, rel=0.01)
    if mechanism != "k-ary":
        assert rmse >= predicted.floor


@pytest.mark.parametrize("mechanism", ["sqrt", "blt"])
def test_a_draw_counts_the_same_whenever_it_comes(mechanism):
    design = Counter(rho=0.5, mechanism=mechanism, horizon=1500)._design
    pulse = 8 * round(float(design.scale) ** 0.5)
    first = answers(design, [pulse], 1500) / pulse
    for place in (1, 255, 256, 700, 1498):
        later = answers(design, [0] * place + [pulse], 1500) / pulse
        np.testing.assert_allclose(later[place:], first[: 1500 - place], atol=1e-6)
        assert np.abs(later[:place]).max() < 1e-6


def test_exact_errors_notice_a_wrong_matrix(monkeypatch):
    """Planted fault: one weight of the estimate is off by a tenth."""
    from dpkit.continual import tree

    counter = Counter(rho=0.5, mechanism="honaker", horizon=1 << 10)
    honest = tree.below_weights
    wrong = lambda n: [w * (0.9 if h == 2 else 1) for h, w in enumerate(honest(n))]
    monkeypatch.setattr(tree, "below_weights", wrong)
    assert exact_errors(counter, 1 << 10)[0] > 1.0002 * counter.prediction().rmse
