"""Slow twins: the matrices behind an engine, and noise that a test chooses."""

import numpy as np

from dpkit.noise import UnsafeSeededNoise


class ChosenNoise:
    """A queue that hands out given numbers, then zeros, and counts what was taken."""

    def __init__(self, numbers=()):
        self.numbers, self.taken = list(numbers), 0

    def next(self):
        z = self.numbers[self.taken] if self.taken < len(self.numbers) else 0
        self.taken += 1
        return z

    def ahead(self, n):
        return np.array([self.next() for _ in range(n)], dtype=np.int64)

    def consume(self, draws, used):
        self.taken -= len(draws) - used


def queues_of(engine):
    """Return the names of the engine's queue attributes."""
    return [name for name in vars(engine) if name in ("_queue", "_totals")]


def noise_matrix(start, steps, unit=1 << 20):
    """Return B, (steps, draws): column j is the answers' response to a draw j of size `unit`, over it.

    `start(queue)` returns an engine; elements are zero.
    """
    probe = ChosenNoise()
    engine = start(probe)
    for _ in range(steps):
        engine.step(0)
    columns = []
    for j in range(probe.taken):
        engine = start(ChosenNoise([0] * j + [unit]))
        columns.append([engine.step(0) / unit for _ in range(steps)])
    return np.array(columns).T


def answers(start, xs, noise=()):
    engine = start(ChosenNoise(noise))
    return [engine.step(int(x)) for x in xs]


def seeded(counter, seed):
    """Restart a counter on seeded noise."""
    counter._open(UnsafeSeededNoise(seed))
    return counter
