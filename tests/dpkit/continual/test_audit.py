"""Audits of the counters: honest ones pass, each planted bug is caught."""

from fractions import Fraction

import numpy as np
import pytest

from dpkit.audit import audit
from dpkit.continual.settings import GAUSSIAN, Budget
from dpkit.continual.tree import BinaryEngine, TreeDesign
from tests.dpkit.continual.mutants import BUGS, COMING, FLIPS, HONEST, LAST, PAIR, PARTS, SEVERAL
from tests.dpkit.continual.twins import noise_matrix

RUNS = 16_000


@pytest.mark.parametrize("mechanism", HONEST, ids=lambda m: m.name)
def test_honest_counters_pass(mechanism):
    report = audit(mechanism, [PAIR, LAST], runs=RUNS, confidence=1 - 1e-6)
    assert not report.violated, report


@pytest.mark.parametrize("mechanism", BUGS, ids=lambda m: m.name)
def test_planted_bugs_are_caught(mechanism):
    report = audit(mechanism, [PAIR, LAST], runs=RUNS, confidence=1 - 1e-6)
    assert report.violated, report


@pytest.mark.parametrize(("mechanism", "broken"), FLIPS + PARTS, ids=lambda x: getattr(x, "name", ""))
def test_patterns_of_several_changes(mechanism, broken):
    """Items that come and go, and people with four elements: paid for, or not."""
    pairs = SEVERAL if "elements" in mechanism.name else COMING
    report = audit(mechanism, pairs, runs=RUNS, confidence=1 - 1e-6)
    assert report.violated == broken, report


@pytest.mark.parametrize("missing", [0, 1])
def test_brute_force_finds_one_missing_level(missing):
    """A level too few hardly shows in samples; the node changes, which are integers, show it at once."""
    horizon = 100
    design = TreeDesign("binary", Budget(GAUSSIAN, Fraction(1, 2)), 1, horizon)
    paid = float(Budget(GAUSSIAN, Fraction(1, 2)).scale(design.levels - missing))
    matrix = noise_matrix(lambda q: BinaryEngine(design.levels, q), horizon)
    worst = 0
    for t in range(horizon):
        changes = np.linalg.solve(matrix, (np.arange(horizon) >= t).astype(float))
        assert np.abs(changes - np.rint(changes)).max() < 1e-9
        worst = max(worst, int(np.rint(changes @ changes)))
    assert (worst <= paid) == (missing == 0)
