"""Continuing a run: the same training in two pieces, and what cannot be continued."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import zkdl
from tests.zkdl.adversaries.cases import SMALL
from zkdl.cli import app
from zkdl.errors import InputError, WitnessError
from zkdl.protocol import bounds
from zkdl.protocol.chain import final_state
from zkdl.training.check import check_witness

RNG = np.random.default_rng(3)
X, Y = RNG.uniform(0, 1, (12, 3)), RNG.integers(0, 2, 12)
ETA = Fraction(2, 32)


def begin(steps: int = 2, **change: object) -> zkdl.Run:
    arguments = {
        "hidden": (3,), "batch_size": 2, "learning_rate": ETA, "seed": 7, "settings": SMALL, "test": (X, Y),
    }  # fmt: skip
    return zkdl.train(X, Y, steps=steps, **{**arguments, **change})


@pytest.fixture(scope="module")
def first() -> zkdl.Run:
    return begin()


@pytest.fixture(scope="module")
def second(first: zkdl.Run) -> zkdl.Run:
    return zkdl.train(resume=first, steps=3)


def _weights(run: zkdl.Run) -> list[np.ndarray]:
    model = zkdl.export(run.statement, run.witness)
    return [*model.weights, *model.biases]


def test_training_in_pieces_is_training_at_once(second: zkdl.Run) -> None:
    """Across the end of an epoch too: six steps make one."""
    third = zkdl.train(X, Y, resume=second, steps=4)
    whole = begin(9)
    assert all(np.array_equal(a, b) for a, b in zip(_weights(third), _weights(whole), strict=True))
    for name in ("positive", "gradient", "remainder"):
        pieces = zip(getattr(third.witness, name), getattr(whole.witness, name), strict=True)
        assert all(np.array_equal(a, b[5:]) for a, b in pieces)
    assert third.history.loss == whole.history.loss[5:]
    assert (third.statement.first_step, third.statement.steps) == (5, 4)


def test_what_is_taken_over(first: zkdl.Run, second: zkdl.Run) -> None:
    a, b = first.statement, second.statement
    for name in (
        "widths", "bias", "settings", "batch_size", "learning_rate", "seed", "initial_seed", "row_bits",
        "records", "data_commitment", "data_ranges",
    ):  # fmt: skip
        assert getattr(a, name) == getattr(b, name), name
    assert b.initial_commitment == final_state(a) == a.final_commitment
    assert b.final_commitment != a.final_commitment
    assert np.array_equal(first.witness.data_blinds, second.witness.data_blinds)
    check_witness(b, second.witness)
    # No record was given: accuracy is still that of classes.
    assert len(second.history.accuracy) == 3
    assert second.history.train is not None
    assert second.history.train.accuracy is not None


def test_what_may_change(first: zkdl.Run) -> None:
    other = RNG.uniform(0, 1, (9, 3))
    run = zkdl.train(other, Y[:9], resume=first, steps=1, batch_size=4, learning_rate=Fraction(4, 32), seed=8)
    s = run.statement
    assert (s.records, s.batch_size, s.seed, s.first_step) == (9, 4, 8, 0)
    assert s.data_commitment[:48] != first.statement.data_commitment[:48]
    check_witness(s, run.witness)
    # Of the same number of records the sequence of batches goes on.
    assert zkdl.train(X[::-1], Y, resume=first, steps=1).statement.first_step == 2


def test_regression_goes_on_as_regression() -> None:
    targets = RNG.uniform(-1, 1, (12, 2))
    before = zkdl.train(X, targets, hidden=(), batch_size=2, learning_rate=ETA, settings=SMALL, steps=1)
    run = zkdl.train(resume=before, steps=1)
    assert run.history.accuracy == []
    assert run.statement.data_commitment == before.statement.data_commitment


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": (4,)}, "hidden must be that of the run that is resumed"),
        ({"bias": False}, "bias must be"),
        ({"settings": replace(SMALL, weight_scale=13)}, "settings must be"),
        ({"initial_seed": 9}, "initial_seed must be"),
        ({"learning_rate": Fraction(1, 3)}, "power of two"),
        ({"batch_size": 13}, "batch_size"),
        ({"steps": 0}, "steps"),
        ({"X": X[:, :2], "y": Y}, "2 features and 2 outputs"),
        ({"X": X, "y": Y + 1}, "labels from 0 to 1"),
        ({"X": X}, "y"),
        ({"resume": "RUN"}, "resume must be a zkdl.Run"),
    ],
)
def test_what_cannot_be_continued(first: zkdl.Run, change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        zkdl.train(**{"resume": first, "steps": 1, **change})


def test_what_may_be_said_again(first: zkdl.Run) -> None:
    zkdl.train(resume=first, steps=1, hidden=[3], bias=True, settings=SMALL, initial_seed=7)


def test_without_a_run_the_records_are_needed() -> None:
    with pytest.raises(InputError, match="X and y must be given"):
        zkdl.train(steps=1)


def test_a_run_whose_parts_do_not_belong_together(first: zkdl.Run, second: zkdl.Run) -> None:
    mixed = zkdl.Run(first.statement, second.witness, first.history)
    with pytest.raises(WitnessError):
        zkdl.train(resume=mixed, steps=1)
    other = begin()
    with pytest.raises(WitnessError, match="commitment"):
        zkdl.train(resume=zkdl.Run(first.statement, other.witness, first.history), steps=1)


def test_so_many_runs_that_a_weight_could_grow_too_large(
    first: zkdl.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of what is handed on is part of the static bounds; here just one run fits."""
    s = first.statement
    most, _ = bounds.largest(s.widths, s.bias, s.settings, s.batch_size, s.steps, s.mu)
    monkeypatch.setattr(bounds, "WEIGHT_LIMIT", most + 1)
    s.validate()
    with pytest.raises(InputError, match=r"a weight reach 2\^\d+, .*initial_limit \d+ is part of it"):
        zkdl.train(resume=first, steps=2)


def test_files_keep_the_opening(second: zkdl.Run, tmp_path: Path) -> None:
    second.save(tmp_path / "run")
    again = zkdl.Run.load(tmp_path / "run")
    assert again.statement == second.statement
    check_witness(again.statement, again.witness)
    assert np.array_equal(again.witness.initial_blinds, second.witness.initial_blinds)


def test_the_exported_model_is_that_of_the_last_run(first: zkdl.Run, second: zkdl.Run) -> None:
    runs = [(run.statement, zkdl.prove(run.statement, run.witness)) for run in (first, second)]
    model = zkdl.export(second.statement, second.witness)
    assert zkdl.verify_chain(runs, model)[0].batches == "continue"
    for wrong, reason in (
        (zkdl.export(first.statement, first.witness), "statement-mismatch"),
        (replace(model, weights=[model.weights[0] + 1, model.weights[1]]), "weights"),
        (replace(model, blinds=model.blinds[:, ::-1].copy()), "weights"),
    ):
        with pytest.raises(zkdl.ProofRejected) as error:
            zkdl.verify_chain(runs, wrong)
        assert error.value.reason == reason
    spoilt = replace(second.statement, initial_commitment=second.statement.final_commitment)
    with pytest.raises(WitnessError, match="initial commitment"):
        zkdl.export(spoilt, second.witness)


def test_on_the_command_line(tmp_path: Path) -> None:
    def zkdl_(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.output

    np.savez(tmp_path / "d.npz", X=X, y=Y)
    a, b = tmp_path / "a", tmp_path / "b"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.as_dict().items()]
    settings = ["--hidden=3", "--batch-size=2", f"--learning-rate={ETA}", *flags]
    assert zkdl_("train", "--data", tmp_path / "d.npz", "--steps=2", "--out", a, *settings)[0] == 0
    assert zkdl_("train", "--resume", a, "--steps=1", "--out", b)[0] == 0
    code, out = zkdl_("train", "--resume", a, "--bias", "--hidden=3", *flags[:1], "--out", b, "--json")
    assert (code, json.loads(out)["first_step"]) == (0, 2)
    for run in (a, b):
        assert zkdl_("prove", run, "--ranges=bits")[0] == 0
    files = [run / name for run in (a, b) for name in ("statement.json", "proof.zkdl")]
    code, out = zkdl_("verify", *files)
    assert code == 0
    assert "2 runs in a row" in out
    assert "run 2: same data, batches continue" in out
    code, out = zkdl_("verify", *files, "--json")
    found = json.loads(out)
    assert (found["proofs"], found["links"]) == (2, [{"data": "same", "batches": "continue"}])
    assert zkdl_("export", b)[0] == 0
    assert zkdl_("verify", *files, "--weights", b / "model.safetensors")[0] == 0

    code, out = zkdl_("verify", *files[2:])
    assert code == 1
    assert "together with the statement and proof of the run" in out
    code, out = zkdl_("verify", *files, *files[2:], "--json")
    assert code == 1
    assert '"reason": "chain"' in out
    assert '"position": 2' in out
    for wrong in (files[:1], files[:3], []):
        assert zkdl_("verify", *wrong)[0] == 2
    for wrong in (
        ("--resume", a, "--no-bias"),
        ("--resume", a, "--weight-scale=13"),
        ("--resume", tmp_path / "none"),
        ("--resume", a, "--steps=1", "--out", b / ".." / "a"),
        (),
    ):
        out = () if "--out" in wrong else ("--out", tmp_path / "c")
        assert zkdl_("train", *wrong, *out)[0] == 2
    assert not (tmp_path / "c").exists()
    code, out = zkdl_("inspect", b / "proof.zkdl", "--json")
    stated = json.loads(out)["statement"]
    assert (stated["first_step"], stated["initial_weights"]) == (2, "seed 1 and a commitment")
