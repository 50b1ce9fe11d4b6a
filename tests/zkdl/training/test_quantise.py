import numpy as np
import pytest

from zkdl.errors import InputError
from zkdl.protocol.settings import Settings
from zkdl.training.quantise import check_features, check_targets, quantise


def test_halves_go_to_the_even_integer():
    values = np.array([[0.5, 1.5, 2.5, -0.5, -1.5]]) / 256
    assert quantise(values, Settings(8, 12, 32), "X").tolist() == [[0, 2, 2, 0, -2]]


def test_range_is_half_open():
    s = Settings(8, 12, 32)
    assert quantise(np.array([[-128.0, 128.0 - 1 / 256]]), s, "X").tolist() == [[-(2**15), 2**15 - 1]]
    for bad in (128.0, -128.01, 1e300, -1.7e308):
        with pytest.raises(InputError, match=r"X\[0, 1\] .* does not fit .*activation_bits"):
            quantise(np.array([[0.0, bad]]), s, "X")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[np.nan]]), r"X\[0, 0\] is nan"),
        (np.array([[1.0, -np.inf]]), r"X\[0, 1\] is -inf"),
        (np.zeros(3), "non-empty"),
        (np.zeros((0, 3)), "non-empty"),
        (np.zeros((3, 0)), "non-empty"),
        (np.array([["a"]]), "real numbers"),
        (np.array([[1j]]), "real numbers"),
        (np.array([[None]]), "real numbers"),
        ([[1.0], [1.0, 2.0]], "real numbers"),
    ],
)
def test_bad_features(bad, message):
    with pytest.raises(InputError, match=message):
        check_features(bad)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint16, bool])
def test_feature_types(dtype):
    assert check_features(np.ones((2, 2), dtype=dtype)).dtype == np.float64


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        ([0, 1, 2], None, "each of 2 records"),
        ([0.0, 1.0], None, "integer labels"),
        ([0, -1], None, "got -1"),
        ([0, 3], 3, "from 0 to 2, got 3"),
        ([0, 1 << 20], None, "at most 65536"),
        ([[np.nan], [0.0]], None, "finite"),
        ([[0.0], [0.0]], 2, "does not fit"),
        ([0, 1], 2.5, "classes must be an integer"),
        (np.zeros((2, 1, 1)), None, "each of 2 records"),
        (np.int64(3), None, "each of 2 records"),
    ],
)
def test_bad_targets(y, classes, message):
    with pytest.raises(InputError, match=message):
        check_targets(y, 2, classes)


def test_labels_become_one_hot_and_reals_stay():
    targets, classes = check_targets([2, 0], 2, None)
    assert targets.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert classes == 3
    targets, classes = check_targets([[0.25], [1.0]], 2, None)
    assert (targets.tolist(), classes) == ([[0.25], [1.0]], None)
