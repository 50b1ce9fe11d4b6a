"""The lower bounds as attacks: members are traced where composition was forgotten, and not otherwise."""

import json

import numpy as np
import pytest

import dpkit
from dpkit.audit import trace_maxsum, trace_sumselect, uncomposed_maxsum, uncomposed_sumselect
from dpkit.audit.reductions import _auc, _marginals, _selections

RHO = 0.5


def ours(kind, rho=RHO, **settings):
    return lambda d, horizon: kind(d, horizon=horizon, rho=rho, **settings)


class Exact:
    """Exact column sums: what the reductions read when nothing is hidden."""

    def __init__(self, d, select=False):
        self.sums, self.select, self.fed = np.zeros(d, dtype=np.int64), select, 0

    def steps(self, rows):
        self.fed += len(rows)
        sums = self.sums + np.cumsum(rows, axis=0)
        self.sums = sums[-1]
        return sums.argmax(axis=1) if self.select else sums.max(axis=1)


def test_without_noise_the_marginals_are_exact_and_the_stream_is_as_long_as_said():
    matrix = np.random.default_rng(0).integers(0, 2, size=(6, 9), dtype=np.int8)
    exact = Exact(9)
    np.testing.assert_allclose(_marginals(exact, matrix), matrix.mean(axis=0), atol=1e-12)
    assert exact.fed == 2 * 6 * 9


def test_without_noise_each_selection_is_a_largest_column_of_its_block():
    matrix = np.random.default_rng(1).integers(0, 2, size=(5, 12), dtype=np.int8)
    exact = Exact(12, select=True)
    named = _selections(exact, matrix, 4)
    assert (named // 4 == np.arange(3)).all()
    sums = matrix.sum(axis=0).reshape(3, 4)
    np.testing.assert_array_equal(sums.reshape(-1)[named], sums.max(axis=1))
    assert exact.fed == 2 * 5 * 3


def test_auc_counts_ties_by_half():
    assert _auc(np.array([2.0, 1.0]), np.array([1.0, 0.0])) == 0.875
    rng = np.random.default_rng(2)
    inside, outside = rng.integers(0, 5, size=30).astype(float), rng.integers(0, 5, size=40).astype(float)
    pairs = inside[:, None] - outside[None, :]
    assert _auc(inside, outside) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_marginals_are_traced_where_composition_was_forgotten():
    report = trace_maxsum(uncomposed_maxsum(RHO), trials=20)
    assert report.auc >= 0.95
    assert report.accuracy < 0.15


def test_selections_are_traced_where_composition_was_forgotten():
    report = trace_sumselect(uncomposed_sumselect(RHO), trials=10)
    assert report.auc >= 0.95
    assert report.accuracy > 0.95


def test_maxsum_is_not_traced():
    report = trace_maxsum(ours(dpkit.MaxSum), trials=90)
    assert 0.4 <= report.auc <= 0.6
    assert report.standard_error < 0.025


def test_sumselect_is_not_traced():
    report = trace_sumselect(ours(dpkit.SumSelect), trials=80)
    assert 0.4 <= report.auc <= 0.6
    assert report.standard_error < 0.025


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "kind"), [(trace_maxsum, dpkit.MaxSum), (trace_sumselect, dpkit.SumSelect)]
)
def test_under_replacement_nobody_is_traced(attack, kind):
    assert 0.4 <= attack(ours(kind, neighbours="replace"), trials=60).auc <= 0.6


@pytest.mark.slow
def test_without_privacy_our_own_are_traced_too():
    """The attacks measure privacy, not some weakness of the code: with a huge budget they see everything."""
    assert trace_maxsum(ours(dpkit.MaxSum, rho=5000.0, mechanism="blocks"), trials=20).auc >= 0.95


def test_reports_are_json_and_arguments_are_checked():
    report = trace_maxsum(uncomposed_maxsum(), n=2, d=4, trials=2, seed=1)
    assert json.loads(report.to_json()) == report.to_dict()
    assert report.steps == 16
    for wrong in ({"n": 1}, {"d": 1}, {"trials": 1}):
        with pytest.raises(dpkit.ArgumentError, match=next(iter(wrong))):
            trace_maxsum(uncomposed_maxsum(), **wrong)
    with pytest.raises(dpkit.ArgumentError, match="width"):
        trace_sumselect(uncomposed_sumselect(), width=1)
