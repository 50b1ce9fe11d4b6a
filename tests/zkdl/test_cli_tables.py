"""The command line of committed tables: making them, and the commands that take them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from zkdl.cli import app

SCALES = ["--activation-scale", "3", "--activation-bits", "8"]
SMALL = ["--steps", "1", "--batch-size", "2", "--learning-rate", "1/16", *SCALES]
SMALL += ["--gradient-scale", "4", "--gradient-bits", "8", "--limb-bits", "8", "--weight-scale", "12"]


def call(*arguments: object) -> tuple[int, str]:
    """Exit code and everything that was printed."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert "internal error" not in done.output
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records, committed records, a run on them, its model committed, and a proved run from there."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    np.savez(folder / "all.npz", X=rng.uniform(-1, 1, (4, 3)), y=np.array([0, 1, 0, 1]))
    for line in (
        ["commit-data", folder / "all.npz", "--out", folder / "DATA", *SCALES],
        ["train", "--data", folder / "DATA", "--hidden", "2", "--out", folder / "RUN", *SMALL],
        ["export", folder / "RUN"],
        ["commit-weights", folder / "RUN" / "model.safetensors", "--out", folder / "START"],
        [
            "train",
            "--data",
            folder / "DATA",
            "--initial",
            folder / "START",
            "--out",
            folder / "TUNED",
            *SMALL,
        ],
        ["prove", folder / "TUNED"],
    ):
        code, out = call(*line)
        assert code == 0, out
    return folder


def pair(folder: Path) -> list[Path]:
    return [folder / "statement.json", folder / "proof.zkdl"]


def test_what_is_printed(place: Path, tmp_path: Path) -> None:
    code, out = call("commit-data", place / "all.npz", "--out", tmp_path / "D", *SCALES, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["records"], found["features"], found["outputs"], found["bits"]) == (4, 3, 2, 8)
    assert found["proof_bytes"] == (tmp_path / "D" / "data.zkdl").stat().st_size
    assert {"seconds", "peak_rss_bytes", "seconds_by_phase", "table_digest"} <= set(found)
    code, out = call("commit-data", place / "all.npz", "--out", tmp_path / "D", *SCALES)
    assert (code, "4 records of 5 numbers committed" in out) == (0, True)
    code, out = call("commit-weights", place / "RUN" / "model.safetensors", "--out", tmp_path / "W", "--json")
    assert json.loads(out)["widths"] == [3, 2, 2]


def test_a_table_alone_is_verified(place: Path) -> None:
    for folder, kind in (("DATA", "data"), ("START", "weights")):
        files = place / folder / f"{kind}.json", place / folder / f"{kind}.zkdl"
        code, out = call("verify", *files, "--json")
        assert code == 0
        assert (json.loads(out)["accepted"], json.loads(out)["kind"]) == (True, kind)
        code, out = call("verify", *files)
        assert (code, out.startswith("accepted")) == (0, True)
    swapped = place / "DATA" / "data.json", place / "START" / "weights.zkdl"
    code, out = call("verify", *swapped, "--json")
    assert code == 1
    assert json.loads(out.splitlines()[0])["reason"] == "statement-mismatch"


def test_a_run_is_verified_with_its_tables(place: Path) -> None:
    data, start = place / "DATA", place / "START"
    for known in (data, data / "data.json"):
        code, out = call("verify", *pair(place / "TUNED"), "--data", known, "--initial", start, "--json")
        assert code == 0, out
        assert json.loads(out)["accepted"] is True
        assert json.loads(out)["table_bytes"] > 0
    for missing, reason in (
        (["--initial", start], "data"),
        (["--data", data], "initial"),
        ([], "initial"),
        (["--data", start / "weights.json", "--initial", start], "data"),
        (["--data", data, "--initial", data / "data.json"], "initial"),
    ):
        code, out = call("verify", *pair(place / "TUNED"), *missing, "--json")
        assert (code, json.loads(out.splitlines()[0])["reason"]) == (1, reason)


def test_resumed_runs_are_verified_with_the_tables(place: Path, tmp_path: Path) -> None:
    assert call("train", "--resume", place / "TUNED", "--steps", "1", "--out", tmp_path / "MORE")[0] == 0
    assert call("prove", tmp_path / "MORE")[0] == 0
    both = [*pair(place / "TUNED"), *pair(tmp_path / "MORE")]
    code, out = call("verify", *both, "--data", place / "DATA", "--initial", place / "START", "--json")
    assert code == 0, out
    assert json.loads(out)["links"] == [{"data": "same", "batches": "continue"}]
    assert call("verify", *both, "--initial", place / "START")[0] == 1


def test_inspect_and_estimate(place: Path, tmp_path: Path) -> None:
    code, out = call("inspect", place / "DATA" / "data.zkdl", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["proves"] == "a committed table"
    assert list(found["sections"]) == ["commitments", "ranges", "opening"]
    assert found["statement"]["kind"] == "data"
    assert found["soundness"]["statistical_bits"] > 200
    code, out = call("inspect", place / "DATA" / "data.zkdl", "--statement", place / "START" / "weights.json")
    assert (code, "not the statement" in out) == (2, True)
    code, out = call("inspect", place / "DATA" / "data.zkdl", "--html", tmp_path / "page.html")
    assert code == 0, out
    assert "Proof of committed records" in (tmp_path / "page.html").read_text("utf-8")
    assert "Times, as reported" in (tmp_path / "page.html").read_text("utf-8")


def test_wrong_usage(place: Path, tmp_path: Path) -> None:
    data, start = place / "DATA", place / "START"
    (tmp_path / "file").write_text("")
    for line, message in (
        (["commit-data", place / "all.npz", "--out", tmp_path / "file"], "must be a directory"),
        (["commit-data", place / "none.npz", "--out", tmp_path / "D"], "No such file"),
        (["commit-weights", place / "all.npz", "--out", tmp_path / "D"], "safetensors"),
        (["commit-weights", place / "none", "--out", tmp_path / "D"], "No such file"),
        (["train", "--data", place, "--out", tmp_path / "R", *SMALL], "data.json"),
        (["train", "--data", start, "--out", tmp_path / "R", *SMALL], "data.json"),
        (["train", "--data", data, "--initial", data, "--out", tmp_path / "R", *SMALL], "weights.json"),
        (
            ["train", "--data", data, "--initial", start, "--resume", place / "RUN", "--out", tmp_path / "R"],
            "--initial and --resume",
        ),
        (
            [
                "train",
                "--data",
                data,
                "--activation-scale",
                "4",
                "--batch-size",
                "2",
                "--out",
                tmp_path / "R",
            ],
            "must be 3",
        ),
        (["verify", data / "data.json", data / "data.zkdl", "--initial", start], "table alone"),
        (["verify", *pair(place / "TUNED"), "--data", tmp_path / "none"], "No such file"),
    ):
        code, out = call(*line)
        assert code == 2, out
        assert message in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
