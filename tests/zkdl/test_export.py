"""Exported models: exact, open to PyTorch's names, and only the proved one passes."""

from __future__ import annotations

import dataclasses
import json
import stat

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import zkdl
from zkdl.cli import app
from zkdl.protocol.initial import initial_weights
from zkdl.verifier import model as model_check


def _train(seed=1, bias=True):
    rng = np.random.default_rng(5)
    return zkdl.train(
        rng.normal(size=(24, 5)),
        rng.integers(0, 3, 24),
        hidden=(4,),
        steps=2,
        batch_size=8,
        learning_rate="1/4",
        seed=seed,
        bias=bias,
    )


@pytest.fixture(scope="module")
def run():
    return _train()


@pytest.fixture(scope="module")
def proof(run):
    return zkdl.prove(run.statement, run.witness)


@pytest.fixture
def model(run):
    return zkdl.export(run.statement, run.witness)


def rejected(run, proof, model):
    with pytest.raises(zkdl.ProofRejected) as caught:
        zkdl.verify(run.statement, proof, weights=model)
    return str(caught.value.reason)


def test_a_saved_model_is_read_back_and_accepted(run, proof, model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    back = zkdl.Model.load(path)
    for mine, theirs in zip(model.weights + model.biases, back.weights + back.biases, strict=True):
        assert (mine == theirs).all()
    zkdl.verify(run.statement, proof, weights=back)


def test_without_bias(tmp_path):
    run = _train(bias=False)
    path = tmp_path / "model.safetensors"
    zkdl.export(run.statement, run.witness).save(path)
    model_check.check_model(run.statement, zkdl.Model.load(path))


def test_the_tensors_are_the_trained_weights_under_pytorch_names(run, model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    tensors = load_file(path)
    start, _ = initial_weights(run.statement.initial_seed, run.statement.widths, True, run.statement.settings)
    scale = 2.0**run.statement.settings.weight_scale
    assert sorted(tensors) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    for layer, name in enumerate(("0.weight", "2.weight")):
        real = (start[layer] + run.witness.final_difference[layer]) / scale
        assert tensors[name].dtype == np.float64
        assert (tensors[name] == real.T).all()


def test_the_exported_network_computes_what_was_trained(run, model):
    """A float forward pass of the exported tensors gives the loss of a float evaluation of the run."""
    tensors = model.tensors()
    scale = 2.0**run.statement.settings.activation_scale
    records = run.witness.data / scale
    hidden = np.maximum(records[:, :5] @ tensors["0.weight"].T + tensors["0.bias"], 0)
    outputs = hidden @ tensors["2.weight"].T + tensors["2.bias"]
    loss = ((outputs - records[:, 5:]) ** 2).sum(axis=1).mean() / 2
    assert loss == pytest.approx(run.history.train.loss, rel=1e-2)


# What must not pass -----------------------------------------------------------------------------------------


def test_one_unit_in_one_weight(run, proof, model):
    model.weights[1][2, 1] += 1
    assert rejected(run, proof, model) == "weights"


def test_one_unit_in_one_bias(run, proof, model):
    model.biases[0][3] -= 1
    assert rejected(run, proof, model) == "weights"


def test_another_run_under_this_digest(run, proof):
    other = _train(seed=2)
    forged = zkdl.export(other.statement, other.witness)
    assert rejected(run, proof, forged) == "statement-mismatch"
    forged = dataclasses.replace(forged, statement_digest=run.statement.digest())
    assert rejected(run, proof, forged) == "weights"


def test_another_blinding_factor(run, proof, model):
    blinds = model.blinds.copy()
    blinds[-1, 0] ^= 1
    assert rejected(run, proof, dataclasses.replace(model, blinds=blinds)) == "weights"


def test_blinds_missing_or_not_reduced(run, proof, model):
    assert rejected(run, proof, dataclasses.replace(model, blinds=model.blinds[:-1])) == "weights"
    full = np.full_like(model.blinds, 255)
    assert rejected(run, proof, dataclasses.replace(model, blinds=full)) == "weights"


def test_other_shapes_and_scale(run, proof, model):
    assert rejected(run, proof, dataclasses.replace(model, biases=[])) == "weights"
    assert rejected(run, proof, dataclasses.replace(model, weights=model.weights[:1])) == "weights"
    scale = model.weight_scale + 1
    assert rejected(run, proof, dataclasses.replace(model, weight_scale=scale)) == "weights"


def test_the_guard_is_what_rejects(run, proof, model, monkeypatch):
    """Without the opening check the forged model passes: the tests above test that check."""
    model.weights[1][2, 1] += 1
    monkeypatch.setattr(model_check, "rows_open", lambda *_: True)
    zkdl.verify(run.statement, proof, weights=model)


def test_a_witness_of_another_run_is_not_exported(run):
    other = _train(seed=2)
    with pytest.raises(zkdl.WitnessError, match="final commitment"):
        zkdl.export(run.statement, other.witness)
    with pytest.raises(zkdl.WitnessError, match="shapes"):
        zkdl.export(run.statement, _train(bias=False).witness)


# Files ------------------------------------------------------------------------------------------------------


def test_weights_that_float64_cannot_hold(model):
    model.weights[0][0, 0] = (1 << 53) + 1
    with pytest.raises(zkdl.InputError, match="54 bits"):
        model.tensors()


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0**-60, 1e300])
def test_values_that_no_export_holds(model, tmp_path, value):
    path = tmp_path / "model.safetensors"
    model.save(path)
    metadata = {
        "zkdl.statement": model.statement_digest.hex(),
        "zkdl.weight_scale": str(model.weight_scale),
        "zkdl.blinds": "",
    }
    tensors = load_file(path)
    tensors["2.weight"][1, 1] = value
    save_file(tensors, path, metadata)
    with pytest.raises(zkdl.FormatError, match=r"entry \[1, 1\] of 2.weight"):
        zkdl.Model.load(path)


def test_files_that_are_no_models(model, tmp_path):
    path = tmp_path / "model.safetensors"
    for content in (b"", b"junk", b"\xff" * 64, (1 << 60).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(zkdl.FormatError, match="safetensors"):
            zkdl.Model.load(path)
    save_file({"0.weight": np.zeros((2, 2))}, path)
    with pytest.raises(zkdl.FormatError, match="zkdl export"):
        zkdl.Model.load(path)
    good = {"zkdl.statement": "00" * 32, "zkdl.weight_scale": "8", "zkdl.blinds": ""}
    cases = (
        ({"0.weight": np.zeros((2, 2), np.float32)}, {}),
        ({"0.weight": np.zeros(4)}, {}),
        ({"1.weight": np.zeros((2, 2))}, {}),
        ({"0.weight": np.zeros((2, 2)), "extra": np.zeros(1)}, {}),
        ({"0.weight": np.zeros((2, 2))}, {"zkdl.statement": "zz"}),
        ({"0.weight": np.zeros((2, 2))}, {"zkdl.statement": "00"}),
        ({"0.weight": np.zeros((2, 2))}, {"zkdl.weight_scale": "99"}),
        ({"0.weight": np.zeros((2, 2))}, {"zkdl.blinds": "a"}),
        ({"0.weight": np.zeros((2, 2))}, {"zkdl.blinds": "YQ=="}),
    )
    for tensors, change in cases:
        save_file(tensors, path, {**good, **change})
        with pytest.raises(zkdl.FormatError):
            zkdl.Model.load(path)
    with pytest.raises(FileNotFoundError):
        zkdl.Model.load(tmp_path / "nothing")


def test_command_line(run, proof, tmp_path):
    folder = tmp_path / "run"
    run.save(folder)
    proof.save(folder / "proof.zkdl")
    runner = CliRunner()
    done = runner.invoke(app, ["export", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    model = folder / "model.safetensors"
    assert found["bytes"] == model.stat().st_size
    arguments = [
        "verify",
        str(folder / "statement.json"),
        str(folder / "proof.zkdl"),
        "--weights",
        str(model),
    ]
    assert runner.invoke(app, arguments).exit_code == 0
    other = _train(seed=2)
    zkdl.export(other.statement, other.witness).save(model)
    refused = runner.invoke(app, [*arguments, "--json"])
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["reason"] == "statement-mismatch"
    model.write_bytes(b"junk")
    assert runner.invoke(app, arguments).exit_code == 2
