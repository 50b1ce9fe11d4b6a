"""Planted bugs: private kernel sums that promise what they do not keep, each with one fault seen in the wild.

Every mutant is a `Mechanism` built from the shipped pieces with one thing wrong, so an audit that passes it
is blind.
"""

import dataclasses
from fractions import Fraction

import numpy as np

from dpkit.audit import Mechanism
from dpkit.audit.kde import exact_vector
from dpkit.noise import OSNoise, UnsafeSeededNoise
from dpkit.similarity.calibration import add_noise, calibrate
from dpkit.similarity.fourier import FourierMap, frequencies
from dpkit.similarity.settings import KDESettings


def small_settings(neighbours, delta, epsilon=1.0, m=2):
    """Few frequencies in as many dimensions, so that worst-case records exist and audits are quick."""
    return KDESettings.of(FourierMap("gaussian", 1.0, m, m), epsilon, delta, neighbours)


def noisy(settings, calibration, exact, runs, source=None):
    out = add_noise(
        exact[:-1].view(np.uint64).reshape(2, -1), int(exact[-1]), calibration, source or OSNoise(), runs
    )
    return np.concatenate([out["sums"].reshape(runs, -1), out["count"][:, None]], axis=1)


def _with_calibration(name, settings, calibration):
    def centre(records):
        return exact_vector(settings.features, records)

    def run(records, runs):
        return noisy(settings, calibration, centre(records), runs)

    return Mechanism(name, settings.guarantee, run, centre)


def half_noise(neighbours, delta):
    """Every scale is half of what it must be."""
    settings = small_settings(neighbours, delta)
    plan, factor = settings.calibration, Fraction(1, 2) if delta == 0.0 else Fraction(1, 4)
    count = None if plan.count is None else plan.count * factor
    halved = dataclasses.replace(plan, sums=plan.sums * factor, count=count)
    return _with_calibration("half noise", settings, halved)


def missing_sqrt2(neighbours):
    """Delta_1 taken as m 2^P, as though a record touched only one feature of each pair."""
    settings = small_settings(neighbours, 0.0)
    features = settings.features
    wrong, _ = calibrate(features.features * 2**features.grid_bits, 0, settings.epsilon, 0.0, neighbours)
    return _with_calibration("missing sqrt 2", settings, wrong)


def missing_replace_factor(delta):
    """A promise under `replace` kept with the noise of `add-remove`."""
    settings = small_settings("replace", delta)
    features = settings.features
    wrong, _ = calibrate(
        features.sensitivity_l1,
        features.sensitivity_l2_squared,
        settings.epsilon,
        delta,
        "add-remove",
        pairs=features.features,
    )
    wrong = dataclasses.replace(wrong, count=None)
    return _with_calibration("missing replace factor", settings, wrong)


def non_empty_only(neighbours, delta):
    """Noise only on coordinates that are not zero."""
    settings = small_settings(neighbours, delta)

    def centre(records):
        return exact_vector(settings.features, records)

    def run(records, runs):
        exact = centre(records)
        return np.where(exact == 0, 0, noisy(settings, settings.calibration, exact, runs))

    return Mechanism("noise on non-empty cells only", settings.guarantee, run, centre)


def scale_for_the_count_forgotten(neighbours):
    """The sums take the whole budget and the count is released exactly."""
    settings = small_settings(neighbours, 0.0)
    exact_count = dataclasses.replace(settings.calibration, count=None)
    return _with_calibration("exact count", settings, exact_count)


def rounded_sum(features):
    """Float contributions, added, and only the sum rounded to the grid."""
    w = frequencies(features.kernel, features.features, features.columns, features.public_seed)

    def exact(records):
        phases = np.nan_to_num(records / features.bandwidth, posinf=1e6, neginf=-1e6) @ w.T
        sums = np.stack([np.cos(phases).sum(axis=0), np.sin(phases).sum(axis=0)])
        return np.append(np.rint(sums * 2.0**features.grid_bits).astype(np.int64).reshape(-1), len(records))

    return exact


def nearest_rounding(features):
    """Contributions rounded to nearest in place of toward zero: a pair can leave the disc."""
    w = frequencies(features.kernel, features.features, features.columns, features.public_seed)

    def exact(records):
        phases = np.nan_to_num(records / features.bandwidth, posinf=1e6, neginf=-1e6) @ w.T
        parts = np.stack([np.cos(phases), np.sin(phases)])
        rounded = np.rint(parts * 2.0**features.grid_bits).astype(np.int64).sum(axis=1)
        return np.append(rounded.reshape(-1), len(records))

    return exact


class KeepsRawSums:
    """A release that still holds the exact sums, tucked away in a closure."""

    def __init__(self, kde, exact):
        self.kde = kde
        self.again = lambda: exact


class ReleasesTwice:
    """A builder that hands out fresh noise on the same sums as often as it is asked."""

    def __init__(self, settings, records):
        self.settings, self.exact = settings, exact_vector(settings.features, records)

    def release(self):
        return noisy(self.settings, self.settings.calibration, self.exact, 1)[0]


def twice_released(neighbours):
    """What an adversary sees of `ReleasesTwice`: two releases for one promise."""
    settings = small_settings(neighbours, 0.0)

    def centre(records):
        return np.tile(exact_vector(settings.features, records), 2)

    def run(records, runs):
        exact = exact_vector(settings.features, records)
        return np.concatenate([noisy(settings, settings.calibration, exact, runs) for _ in range(2)], axis=1)

    return Mechanism("second release", settings.guarantee, run, centre)


def seed_reuse(settings, records):
    """A release whose noise comes from the public seed."""
    exact = exact_vector(settings.features, records)
    return lambda: noisy(
        settings, settings.calibration, exact, 1, UnsafeSeededNoise(settings.features.public_seed)
    )[0]


def floor_of_float_noise(neighbours):
    """Counter scale divided by the records' number, then floored (noise is -1 or 0): a published fault."""
    settings = small_settings(neighbours, 0.0)
    rng = np.random.default_rng(1)

    def centre(records):
        return exact_vector(settings.features, records)

    def run(records, runs):
        exact = centre(records)
        scale = float(settings.calibration.sums) / max(1, len(records)) / 2**20
        return exact + np.floor(rng.laplace(scale=scale, size=(runs, exact.size))).astype(np.int64)

    return Mechanism("scale over n, floored", settings.guarantee, run, centre)


def delta_is_not_small(epsilon=1.0):
    """Publishes everything with probability 0.01: no epsilon holds."""
    settings = small_settings("add-remove", 0.0, epsilon)
    rng = np.random.default_rng(2)

    def centre(records):
        return exact_vector(settings.features, records)

    def run(records, runs):
        exact = centre(records)
        honest = noisy(settings, settings.calibration, exact, runs)
        return np.where(rng.random(runs)[:, None] < 0.01, exact, honest)

    return Mechanism("publishes all, sometimes", settings.guarantee, run, centre)
