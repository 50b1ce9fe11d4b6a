"""Planted bugs: streaming counters that promise what they do not keep, and the honest ones beside them.

Every case is an `audit.Mechanism` on short streams. What is released are the answers; an adversary may turn
them into anything, and the ones here solve them back into noisy nodes and differences of nodes.
"""

from fractions import Fraction

import numpy as np

from dpkit.audit import Mechanism
from dpkit.continual.blt import BLTDesign
from dpkit.continual.kary import KaryDesign, KaryEngine
from dpkit.continual.queue import NoiseQueue
from dpkit.continual.settings import GAUSSIAN, LAPLACE, Budget
from dpkit.continual.smooth import SmoothDesign, SmoothEngine
from dpkit.continual.sqrt import SqrtDesign
from dpkit.continual.tree import BinaryEngine, HonakerEngine, TreeDesign
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


def whole(design, guarantee, name=None, factor=1):
    """A design on four steps, seen through its answers; factor scales its noise."""
    queue = NoiseQueue(OSNoise(), design.budget.law, design.scale * factor)
    scale = float(design.sensitivity)

    def start():
        if isinstance(design, SmoothDesign):
            return SmoothEngine(design.height, queue)
        if isinstance(design, KaryDesign):
            return KaryEngine(design.k, design.height, queue)
        if isinstance(design, BLTDesign | SqrtDesign):
            return design.engine(queue, slow=True)
        return HonakerEngine(design.levels, queue)

    def view(out):
        if not isinstance(design, BLTDesign):
            return node_view(out)
        return np.diff(out, axis=1, prepend=0.0) @ design_matrix(design).T  # independent noise again

    def run(records, runs):
        out, units = np.empty((runs, len(records))), (records * scale).astype(np.int64)
        for row in out:
            fresh = start()
            row[:] = [fresh.step(x) for x in units.tolist()]
        return view(out)

    def centre(records):
        return view(np.cumsum(records * scale)[None, :])[0]

    return Mechanism(name or design.name, guarantee, run, centre)


def design_matrix(design):
    """Return C on four steps."""
    k = np.arange(STEPS)
    c = (design.recursion.weights()[:, None] * np.exp(-design.recursion.rates()[:, None] * k)).sum(0)
    c[0] = 1.0
    at = k[:, None] - k
    return np.where(at >= 0, c[np.abs(at)], 0.0)


def blt(**options):
    """A rational counter of four steps with two poles."""
    return BLTDesign(RHO, 1 << 10, 1 << 10, STEPS, degree=2, **options)


RHO, EPS = Budget(GAUSSIAN, Fraction(1, 2)), Budget(LAPLACE, Fraction(1))
HONEST = [
    tree("tree, zCDP", RHO),
    tree("tree, pure", EPS),
    two_counters(shared=False),
    whole(TreeDesign("honaker", RHO, 1, STEPS), ZCDP(0.5, "zero-out")),
    whole(SmoothDesign(RHO, 1, STEPS), ZCDP(0.5, "zero-out")),
    whole(KaryDesign(EPS, 1, STEPS, 3), PureDP(1.0, "zero-out")),
    whole(blt(), ZCDP(0.5, "zero-out")),
    whole(SqrtDesign(RHO, 1 << 10, 1 << 10, STEPS), ZCDP(0.5, "zero-out")),
]
BUGS = [
    tree("half noise, zCDP", RHO, factor=Fraction(1, 4)),
    tree("half noise, pure", EPS, factor=Fraction(1, 2)),
    tree("levels missing, zCDP", RHO, levels=1),
    tree("levels missing, pure", EPS, levels=1),
    tree("noise of a level not refreshed", RHO, reuse=True),
    two_counters(shared=True),
    whole(
        SqrtDesign(RHO, 1 << 10, 1 << 10, STEPS), ZCDP(0.5, "zero-out"), "half noise, sqrt", Fraction(1, 4)
    ),
]

# an item that comes and goes four times; what it does is the stream of moves
COMING = [("an item or none", np.array([1, -1, 1, -1]), np.array([0, 0, 0, 0]))]
FLIPS = [(whole(blt(changes=4), ZCDP(0.5, "zero-out"), "four flips"), False)]
# one person's elements at every step
SEVERAL = [("four elements or none", np.array([1, 1, 1, 1]), np.array([0, 0, 0, 0]))]
PARTS = [
    (whole(blt(parts=4, gap=1), ZCDP(0.5, "zero-out"), "four elements"), False),
    (whole(blt(), ZCDP(0.5, "zero-out"), "four elements paid as one"), True),
]
