"""Planted bugs: streaming counters that promise what they do not keep, and the honest ones beside them.

Every case is an `audit.Mechanism` on short streams. What is released are the answers; an adversary may turn
them into anything, and the ones here solve them back into noisy nodes and differences of nodes.
"""

from fractions import Fraction

import numpy as np

from dpkit.audit import Mechanism
from dpkit.continual.blt import BLTDesign
from dpkit.continual.kary import KaryDesign
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.settings import GAUSSIAN, LAPLACE, Budget
from dpkit.continual.smooth import SmoothDesign
from dpkit.continual.tree import BinaryEngine, TreeDesign
from dpkit.guarantee import ZCDP, PureDP
from dpkit.noise import OSNoise
from tests.dpkit.continual.twins import ChosenNoise

STEPS = 4
PAIR = ("first element 1 or 0", np.array([1, 0, 0, 0]), np.array([0, 0, 0, 0]))
LAST = ("last element 1 or 0", np.array([0, 0, 1, 0]), np.array([0, 0, 0, 0]))


class LevelNoise:
    """One noise a level, drawn once and never refreshed: the bug; `tick` follows the tree's clock."""

    def __init__(self, queue, levels):
        self.noise, self.t = [queue.next() for _ in range(levels)], 0

    def next(self):
        self.t += 1
        return self.noise[(self.t & -self.t).bit_length() - 1]


def node_view(answers):
    """Return the noisy nodes, a_t - a_(t - 2^l): as many numbers, with independent noise."""
    padded = np.concatenate([np.zeros((len(answers), 1)), answers], axis=1)
    nodes = [padded[:, t] - padded[:, t - (t & -t)] for t in range(1, answers.shape[1] + 1)]
    return np.stack(nodes, axis=1)


def level_view(answers):
    """Return the difference of the two nodes of the lowest level: free of noise where they share it."""
    nodes = node_view(answers)
    return nodes[:, :1] - nodes[:, 2:3]


def _mechanism(name, guarantee, start, view):
    def run(records, runs):
        out = np.empty((runs, len(records)))
        for row in out:
            engine = start()
            row[:] = [engine.step(int(x)) for x in records]
        return view(out)

    def centre(records):
        return view(np.cumsum(records)[None, :].astype(float))[0]

    return Mechanism(name, guarantee, run, centre)


def tree(name, budget, factor=1, levels=None, reuse=False):
    """A binary tree on four steps; factor scales its noise, levels is what it is calibrated for."""
    design = TreeDesign("binary", budget, 1, STEPS)
    honest = design.levels
    scale = budget.scale(levels or honest) * factor
    queue = NoiseQueue(OSNoise(), budget.law, scale)
    guarantee = (ZCDP if budget.law == GAUSSIAN else PureDP)(float(budget.amount), "zero-out")

    def start():
        return BinaryEngine(honest, LevelNoise(queue, honest) if reuse else queue)

    return _mechanism(name, guarantee, start, level_view if reuse else node_view)


def two_counters(shared):
    """Counters of x and 1 - x, half the budget each, with noise of their own or, the bug, the same."""
    design = TreeDesign("binary", Budget(GAUSSIAN, Fraction(1, 4)), 1, STEPS)
    queue = NoiseQueue(OSNoise(), GAUSSIAN, design.scale)

    def run(records, runs):
        out = np.empty((runs, 2 * STEPS))
        for row in out:
            noise = [queue.next() for _ in range(2 * STEPS)]
            first = BinaryEngine(design.levels, ChosenNoise(noise[:STEPS]))
            second = BinaryEngine(design.levels, ChosenNoise(noise[:STEPS] if shared else noise[STEPS:]))
            row[:STEPS] = [first.step(int(x)) for x in records]
            row[STEPS:] = [second.step(1 - int(x)) for x in records]
        return np.concatenate([out, out[:, :STEPS] - out[:, STEPS:]], axis=1)

    def centre(records):
        one, other = np.cumsum(records), np.cumsum(1 - records)
        return np.concatenate([one, other, one - other]).astype(float)

    return Mechanism("two counters", ZCDP(0.5, "replace"), run, centre)


def whole(design, guarantee):
    """An honest design on four steps, seen through its answers."""
    engine = design.start(OSNoise())
    queue = engine._noise._queue if isinstance(design, BLTDesign) else engine._queue
    scale = float(design.sensitivity)

    def start():
        if isinstance(design, SmoothDesign):
            return type(engine)(design.height, queue)
        if isinstance(design, KaryDesign):
            return type(engine)(design.k, design.height, queue)
        if isinstance(design, BLTDesign):
            return design.engine(queue)
        return type(engine)(design.levels, queue)

    def run(records, runs):
        out = np.empty((runs, len(records)))
        for row in out:
            fresh = start()
            row[:] = [fresh.step(int(x * scale)) for x in records]
        return node_view(out)

    def centre(records):
        return node_view(np.cumsum(records * scale)[None, :])[0]

    return Mechanism(design.name, guarantee, run, centre)


RHO, EPS = Budget(GAUSSIAN, Fraction(1, 2)), Budget(LAPLACE, Fraction(1))
HONEST = [
    tree("tree, zCDP", RHO),
    tree("tree, pure", EPS),
    two_counters(shared=False),
    whole(TreeDesign("honaker", RHO, 1, STEPS), ZCDP(0.5, "zero-out")),
    whole(SmoothDesign(RHO, 1, STEPS), ZCDP(0.5, "zero-out")),
    whole(KaryDesign(EPS, 1, STEPS, 3), PureDP(1.0, "zero-out")),
    whole(BLTDesign(RHO, 1 << 10, 1 << 10, STEPS, degree=2), ZCDP(0.5, "zero-out")),
]
BUGS = [
    tree("half noise, zCDP", RHO, factor=Fraction(1, 4)),
    tree("half noise, pure", EPS, factor=Fraction(1, 2)),
    tree("levels missing, zCDP", RHO, levels=1),
    tree("levels missing, pure", EPS, levels=1),
    tree("noise of a level not refreshed", RHO, reuse=True),
    two_counters(shared=True),
]
