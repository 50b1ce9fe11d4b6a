"""An audit that catches a broken mechanism: a tree counter that pays for one level and uses them all.

Both counters below are unbiased, look alike, and promise the same. The audit plays the game that the promise
is about, on fresh copies, and certifies lower bounds on what each really gives away.
"""

import numpy as np
from _pictures import Gallery

import dpkit
from dpkit.audit import adapt, audit_stream, shipped

picture = Gallery(__file__, __doc__)
RHO, STEPS = 0.5, 8


class HastyCounter:
    """A binary tree of noisy partial sums whose noise forgets that an element is in every level."""

    def __init__(self):
        self.rng, self.t = np.random.default_rng(), 0
        self.sigma = 1 / np.sqrt(2 * RHO)  # right for one release of each element; there are four
        self.levels = [0.0] * (STEPS.bit_length() + 1)
        self.noisy = [0.0] * len(self.levels)

    def add(self, x):
        """Take one element between 0 and 1, and return the noisy sum of all so far."""
        self.t += 1
        level = (self.t & -self.t).bit_length() - 1
        self.levels[level] = sum(self.levels[:level]) + min(1.0, max(0.0, x))
        self.levels[:level] = [0.0] * level
        self.noisy[level] = self.levels[level] + self.rng.normal(0, self.sigma)
        return sum(self.noisy[k] for k in range(len(self.levels)) if self.t >> k & 1)


promise = dpkit.ZCDP(RHO, "zero-out")
hasty = adapt(HastyCounter, lambda m, x: m.add(x), promises=promise, length=STEPS, name="hasty tree")
sound = shipped(dpkit.Counter, rho=RHO, horizon=STEPS, mechanism="binary")

bars = [("promised, as a Gaussian", np.sqrt(2 * RHO), f"μ = {np.sqrt(2 * RHO):.2f}")]
for mechanism in (hasty, sound):
    report = audit_stream(mechanism, runs=1500)
    print(report)
    print(f"-> {'CAUGHT' if report.violated else 'nothing found'} at confidence {report.confidence}\n")
    verdict = "caught" if report.violated else "nothing found"
    bars.append((f"{mechanism.name}, certified", report.mu, f"μ ≥ {report.mu:.2f}, {verdict}"))
picture.bars("What each mechanism gives away at least", bars)
print("An audit shows that a promise is false, never that it is true: docs/auditing.md")
