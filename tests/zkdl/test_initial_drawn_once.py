"""Initial weights are a public function of the seed, and the prover computes it once."""

import dataclasses

import numpy as np
import pytest

import zkdl
from zkdl.errors import InputError, WitnessError
from zkdl.protocol import initial
from zkdl.protocol.instance import Instance
from zkdl.training import check_witness
from zkdl.training.trainer import Trainer

X = np.random.default_rng(1).uniform(0.0, 1.0, (12, 3))
Y = np.arange(12) % 2
SMALL = {"hidden": (4,), "steps": 2, "batch_size": 4, "learning_rate": "1/4", "classes": 2}


@pytest.fixture(scope="module")
def runs():
    first = zkdl.train(X, Y, **SMALL)
    return first, zkdl.train(X, Y, steps=2, resume=first)


@pytest.fixture
def drawn(monkeypatch):
    """The layers drawn from a seed, in order."""
    layers, draw = [], initial.integers
    monkeypatch.setattr(initial, "integers", lambda *a: layers.append(a[1][1]) or draw(*a))
    return layers


@pytest.mark.parametrize("number", [0, 1], ids=["from a seed", "resumed"])
@pytest.mark.parametrize("check", [True, False])
def test_a_proof_draws_every_layer_once(runs, drawn, number, check):
    run = runs[number]
    proof = zkdl.prove(run.statement, run.witness, check_witness=check)
    assert drawn == [1, 2]
    if number == 0:  # the verifier is another party: it draws for itself
        zkdl.verify(run.statement, proof)
        assert drawn == [1, 2, 1, 2]


def test_the_check_alone_draws_once(runs, drawn):
    check_witness(runs[1].statement, runs[1].witness)
    assert drawn == [1, 2]


def test_the_check_leaves_the_initial_weights_as_they_are(runs):
    for run in runs:
        instance = Instance(run.statement)
        before = [[part.copy() for part in parts] for parts in instance.base]
        check_witness(run.statement, run.witness, instance=instance)
        for parts, copies in zip(instance.base, before, strict=True):
            assert len(parts) == len(copies)
            assert all((part == copy).all() for part, copy in zip(parts, copies, strict=True))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["final_difference", "bias_difference"])
def test_a_wrong_difference_is_still_caught(runs, number, name):
    run = runs[number]
    wrong = [part.copy() for part in getattr(run.witness, name)]
    wrong[-1].flat[-1] += 1
    with pytest.raises(WitnessError, match="U: layer 2"):
        zkdl.prove(run.statement, dataclasses.replace(run.witness, **{name: wrong}))


def test_an_instance_of_another_statement_is_refused(runs):
    with pytest.raises(InputError, match="instance must be of the statement"):
        check_witness(runs[0].statement, runs[0].witness, instance=Instance(runs[1].statement))


def test_one_layer_of_a_trainer():
    trainer = Trainer((3, 4, 2), True, zkdl.Settings(), 1, initial_seed=1)
    for number in (1, 2):
        weights, biases = trainer.layer(number)
        assert (weights == trainer.weights[number - 1]).all()
        assert (biases == trainer.biases[number - 1]).all()
    assert Trainer((3, 2), False, zkdl.Settings(), 1, initial_seed=1).layer(1)[1] is None
