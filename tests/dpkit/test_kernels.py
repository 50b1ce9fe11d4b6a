"""The exact oracle against formulas written out in plain Python."""

import math

import numpy as np
import pytest

import dpkit

FORMULAS = {
    "gaussian": lambda z: math.exp(-sum(t * t for t in z)),
    "exponential": lambda z: math.exp(-math.sqrt(sum(t * t for t in z))),
    "laplacian": lambda z: math.exp(-sum(abs(t) for t in z)),
    "cauchy": lambda z: 1 / (1 + sum(t * t for t in z)),
    "inverse_l2": lambda z: 1 / (1 + math.sqrt(sum(t * t for t in z))),
    "inverse_l1": lambda z: 1 / (1 + sum(abs(t) for t in z)),
}


@pytest.mark.parametrize("kernel", FORMULAS)
@pytest.mark.parametrize("d", [1, 3, 40])
def test_kernel_sum_is_the_formula(kernel, d):
    rng = np.random.default_rng(d)
    X, Y, h = rng.normal(size=(23, d)), rng.normal(size=(4, d)), 1.7
    expected = [sum(FORMULAS[kernel](((x - y) / h).tolist()) for x in X) for y in Y]
    np.testing.assert_allclose(dpkit.exact.kernel_sum(X, Y, kernel, h), expected, rtol=1e-12)


def test_blocks_do_not_matter():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(70_001, 2)), rng.normal(size=(2, 2))
    whole = dpkit.exact.kernel_sum(X, Y, "gaussian", 1.0)
    parts = sum(dpkit.exact.kernel_sum(part, Y, "gaussian", 1.0) for part in np.array_split(X, 7))
    np.testing.assert_allclose(whole, parts, rtol=1e-12)


def test_data_far_from_the_origin_loses_nothing():
    rng = np.random.default_rng(1)
    X, Y = rng.integers(-8, 8, size=(50, 3)) / 8.0, rng.integers(-8, 8, size=(5, 3)) / 8.0
    near = dpkit.exact.kernel_sum(X, Y, "gaussian", 0.5)
    far = dpkit.exact.kernel_sum(X + 2.0**40, Y + 2.0**40, "gaussian", 0.5)
    assert (near == far).all()


def test_repeating_records_multiplies_and_scaling_with_the_bandwidth_changes_nothing():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(30, 4)), rng.normal(size=(6, 4))
    for kernel in FORMULAS:
        once = dpkit.exact.kernel_sum(X, Y, kernel, 1.5)
        np.testing.assert_allclose(
            dpkit.exact.kernel_sum(np.repeat(X, 3, axis=0), Y, kernel, 1.5), 3 * once, rtol=1e-12
        )
        np.testing.assert_allclose(dpkit.exact.kernel_sum(X * 4, Y * 4, kernel, 6.0), once, rtol=1e-12)


def test_empty_data_and_no_queries():
    assert dpkit.exact.kernel_sum(np.empty((0, 2)), np.zeros((3, 2))).tolist() == [0.0, 0.0, 0.0]
    assert dpkit.exact.kernel_sum(np.zeros((3, 2)), np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [[1.0]]), "X must have two axes"),
        (([[1.0]], [[1.0, 2.0]]), "Y must have as many columns"),
        (([[1.0]], [[1.0]], "triangle"), "kernel must be one of gaussian"),
        (([[1.0]], [[1.0]], "gaussian", 0.0), "bandwidth must be a positive"),
        (([["a"]], [[1.0]]), "X must hold real numbers"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(dpkit.ArgumentError, match=message):
        dpkit.exact.kernel_sum(*arguments)
