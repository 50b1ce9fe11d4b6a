"""What others offer for private sums, a few lines each, so that errors stand beside each other in one run.

- `Cosines`: one feature sqrt(2) cos(<w, x> + u) a frequency and independent Laplace noise, as the public
  code of the literature on locality-sensitive quantisation has it, under add-remove: a record moves each of I
  sums by at most sqrt(2), so noise has scale sqrt(2) I / epsilon. I is chosen by looking at the error, which
  favours it.
- `hash_counters`: R rows of W counters under p-stable hashes (one projection a row), noise of scale
  R / epsilon on every cell: the published R / (n epsilon), corrected. It answers for a kernel of its own, the
  probability of a collision, and is compared with that.
- `opendp_squares`: sums of squared distances from OpenDP's bounded sums: the count, the sum of squared norms
  and every column, epsilon shared equally between these d + 2 answers, as its composition asks.

Noise of the first two is NumPy's, in floating point: good for errors, not for releases.
"""

import math
from functools import cache

import numpy as np

SIZES = (250, 1000, 4000)
ROWS, WIDTH, CELLS = 200, 1.0, 1000


def frequencies(kernel, m, d, rng):
    """Return (m, d) frequencies of a kernel of bandwidth one."""
    normal = rng.standard_normal((m, d))
    if kernel == "gaussian":
        return math.sqrt(2) * normal
    if kernel == "exponential":
        return normal / np.abs(rng.standard_normal((m, 1)))
    return rng.standard_cauchy((m, d))


class Cosines:
    """Sums of single cosines of the records, without noise: noise for any epsilon is drawn when asked.

    Args:
        kernel: `gaussian`, `exponential` or `laplacian`.
        X: (n, d) records.
        bandwidth: the kernel's.
        m: features.
        rng: a NumPy generator, for frequencies and noise.
    """

    def __init__(self, kernel, X, bandwidth, m, rng):
        self.w = (frequencies(kernel, m, X.shape[1], rng).T / bandwidth).astype(np.float32)
        self.u = rng.uniform(0.0, 2 * math.pi, m).astype(np.float32)
        self.sums, self.rng = np.zeros(m), rng
        for start in range(0, len(X), 4096):
            self.sums += self._features(X[start : start + 4096]).sum(axis=0, dtype=np.float64)

    def _features(self, rows):
        return math.sqrt(2) * np.cos(rows.astype(np.float32) @ self.w + self.u)

    def answers(self, Y, epsilon):
        """Return noisy kernel sums at the queries."""
        m = len(self.sums)
        noisy = self.sums + self.rng.laplace(scale=math.sqrt(2) * m / epsilon, size=m)
        return self._features(Y) @ noisy / m


def collision_sum(X, Y):
    """Return exact sums of the probability that a hash of width WIDTH sends both to one place."""
    from scipy.special import ndtr

    out = np.empty(len(Y))
    for k, y in enumerate(Y):
        t = WIDTH / np.maximum(np.linalg.norm(X - y, axis=1), 1e-12)
        out[k] = (1 - 2 * ndtr(-t) - 2 / (math.sqrt(2 * math.pi) * t) * (1 - np.exp(-t * t / 2))).sum()
    return out


def hash_counters(X, Y, epsilon, rng):
    """Return noisy sums at the queries; cells of the same number collide, which the mean of a row undoes."""
    w, b = rng.standard_normal((X.shape[1], ROWS)), rng.uniform(0.0, WIDTH, ROWS)
    place = lambda rows: np.floor((rows @ w + b) / WIDTH).astype(np.int64) % CELLS
    theirs, total = place(Y), np.zeros(len(Y))
    ours = place(X)
    for row in range(ROWS):
        counts = np.bincount(ours[:, row], minlength=CELLS) + rng.laplace(scale=ROWS / epsilon, size=CELLS)
        total += counts[theirs[:, row]]
    return total / ROWS


@cache
def _opendp():
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


def opendp_squares(X, Y, epsilon):
    """Return noisy sums of |x - y|^2, records in [0, 1]^d on a grid of 2^16, every answer from OpenDP."""
    dp, (n, d), grid = _opendp(), X.shape, 1 << 16
    share = epsilon / (d + 2)

    def asked(values, most):
        space = dp.vector_domain(dp.atom_domain(bounds=(0, most), T="i64")), dp.symmetric_distance()
        total = space >> dp.t.then_sum()
        return (total >> dp.m.then_laplace(total.map(1) / share))(values.tolist())

    whole = np.rint(X * grid).astype(np.int64)
    count = asked(np.ones(n, dtype=np.int64), 1)
    squares = asked(np.rint((X * X).sum(axis=1) * grid).astype(np.int64), d * grid) / grid
    columns = np.array([asked(column, grid) for column in whole.T]) / grid
    return squares - 2 * Y @ columns + count * (Y * Y).sum(axis=1)
