import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zkdl import cli

ARGS = ["--data", "digits", "--hidden", "4", "--steps", "2", "--batch-size", "4", "--learning-rate", "1/16"]


@pytest.fixture
def zkdl(monkeypatch, capfd):
    """Run the command in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["zkdl", *map(str, arguments)])
        capfd.readouterr()
        previous = signal.getsignal(signal.SIGTERM)
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            signal.signal(signal.SIGTERM, previous)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with a proof beside it."""
    folder = tmp_path_factory.mktemp("cli") / "RUN"
    for arguments in (["train", *ARGS, "--out", folder], ["prove", folder]):
        subprocess.run(
            [sys.executable, "-m", "zkdl", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL
        )
    return folder


@pytest.fixture
def run_copy(finished, tmp_path):
    import shutil

    return Path(shutil.copytree(finished, tmp_path / "RUN"))


def test_the_whole_way(finished, zkdl):
    assert sorted(p.name for p in finished.iterdir()) == [
        "history.json", "proof.times.json", "proof.zkdl", "statement.json", "witness.npz",
    ]  # fmt: skip
    assert stat.S_IMODE((finished / "witness.npz").stat().st_mode) == 0o600
    code, out, _ = zkdl("verify", finished / "statement.json", finished / "proof.zkdl", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["accepted"] is True
    assert result["proof_bytes"] == (finished / "proof.zkdl").stat().st_size
    code, out, _ = zkdl("verify", finished / "statement.json", finished / "proof.zkdl")
    assert code == 0
    assert out.startswith("accepted")


def test_train_prints_one_object(zkdl, tmp_path):
    code, out, err = zkdl("train", *ARGS, "--out", tmp_path / "run", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["widths"] == [64, 4, 10]
    assert result["seconds"] > 0
    assert abs(result["test_accuracy"] - result["twin_test_accuracy"]) <= 0.05
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert len(history["loss"]) == len(history["twin_accuracy"]) == 2


@pytest.mark.parametrize("ranges", ["lookup", "bits"])
def test_prove_prints_its_figures(run_copy, zkdl, ranges):
    target = run_copy.parent / "other.zkdl"
    code, out, err = zkdl("prove", run_copy, "--out", target, "--ranges", ranges, "--threads", "2", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["proof_bytes"] == target.stat().st_size
    assert result["seconds"] >= sum(result["seconds_by_phase"].values()) > 0
    assert result["peak_rss_bytes"] > 10_000_000
    code, _, _ = zkdl("verify", run_copy / "statement.json", target)
    assert code == 0


def test_estimate_before_and_after_training(finished, zkdl):
    """Bytes are exact; seconds and memory are right within the noise of a shared machine."""
    found = []
    for arguments in ([finished], ARGS):
        code, out, err = zkdl("estimate", *arguments, "--json")
        assert (code, err) == (0, "")
        found.append(json.loads(out))
    proof = finished / "proof.zkdl"
    assert found[0]["proof_bytes"] == found[1]["proof_bytes"] == proof.stat().st_size
    # A process of its own: the peak of this one belongs to whatever ran here before.
    out, _ = _start("prove", finished, "--out", os.devnull, "--json").communicate(timeout=600)
    actual = json.loads(out)
    for estimate in found:
        assert actual["seconds"] / 10 < estimate["seconds"] < 10 * actual["seconds"] + 2
        assert actual["peak_rss_bytes"] / 3 < estimate["peak_rss_bytes"] < 3 * actual["peak_rss_bytes"]
        assert estimate["statistical_bits"] > 100


def test_inspect(finished, zkdl):
    code, out, _ = zkdl("inspect", finished / "proof.zkdl", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["bytes"] == (finished / "proof.zkdl").stat().st_size
    assert result["bytes"] > sum(result["sections"].values())
    assert result["statement"]["widths"] == [64, 4, 10]
    assert result["soundness"]["statistical_bits"] > 100
    code, out, _ = zkdl("inspect", finished / "proof.zkdl")
    assert code == 0
    assert "sections:" in out


def test_inspect_alone_shows_what_the_file_says(run_copy, zkdl):
    (run_copy / "statement.json").unlink()
    code, out, _ = zkdl("inspect", run_copy / "proof.zkdl", "--json")
    assert code == 0
    assert "statement" not in json.loads(out)


def test_rejected_proof(run_copy, zkdl):
    proof = run_copy / "proof.zkdl"
    content = bytearray(proof.read_bytes())
    proof.write_bytes(content[:-1])
    code, out, err = zkdl("verify", run_copy / "statement.json", proof, "--json")
    result = json.loads(out)
    assert code == 1
    assert (result["accepted"], result["reason"]) == (False, "truncated")
    assert err.startswith("zkdl: rejected: truncated")
    code, out, err = zkdl("verify", run_copy / "statement.json", proof)
    assert (code, out) == (1, "")
    assert "truncated" in err
    content[len(content) // 2] ^= 1
    proof.write_bytes(content)
    code, out, _ = zkdl("verify", run_copy / "statement.json", proof, "--json")
    assert code == 1
    assert json.loads(out)["accepted"] is False


def test_proof_of_another_statement(run_copy, zkdl, tmp_path):
    assert zkdl("train", *ARGS, "--seed", 2, "--out", tmp_path / "two")[0] == 0
    code, out, _ = zkdl("verify", tmp_path / "two" / "statement.json", run_copy / "proof.zkdl", "--json")
    assert code == 1
    assert json.loads(out)["reason"] == "statement-mismatch"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["train"],
        ["train", "--data", "digits"],
        ["train", "--steps", "many", "--data", "digits", "--out", "{new}"],
        ["prove"],
        ["verify", "one"],
        ["prove", "{run}", "--ranges", "none"],
        ["prove", "{run}", "--backend", "tpu"],
        ["prove", "{run}", "--threads", "0"],
        ["prove", "{tmp}/nothing"],
        ["prove", "{run}", "--out", "{tmp}/nothing/proof.zkdl"],
        ["prove", "{run}", "--out", "{run}"],
        ["verify", "{tmp}/nothing", "{run}/proof.zkdl"],
        ["verify", "{run}/statement.json", "{tmp}/nothing"],
        ["verify", "{run}/proof.zkdl", "{run}/statement.json"],
        ["verify", "{run}", "{run}"],
        ["inspect", "{run}/statement.json"],
        ["inspect", "{tmp}/nothing"],
        ["train", *ARGS, "--data", "imagenet", "--out", "{new}"],
        ["train", *ARGS, "--data", "{tmp}/nothing.npz", "--out", "{new}"],
        ["train", *ARGS, "--data", "{run}/witness.npz", "--out", "{new}"],
        ["train", *ARGS, "--hidden", "4,", "--out", "{new}"],
        ["train", *ARGS, "--hidden", "-4", "--out", "{new}"],
        ["train", *ARGS, "--steps", "0", "--out", "{new}"],
        ["train", *ARGS, "--batch-size", "100000", "--out", "{new}"],
        ["train", *ARGS, "--learning-rate", "1/3", "--out", "{new}"],
        ["train", *ARGS, "--learning-rate", "nan", "--out", "{new}"],
        ["train", *ARGS, "--learning-rate", "16", "--steps", "50", "--out", "{new}"],
        ["train", *ARGS, "--weight-scale", "12", "--out", "{new}"],
        ["train", *ARGS, "--seed", "-1", "--out", "{new}"],
        ["estimate"],
        ["estimate", "{run}", "--data", "digits"],
        ["estimate", "{tmp}"],
        ["estimate", "--data", "digits", "--steps", "0"],
        ["train", *ARGS, "--out", "{run}/statement.json"],
        ["train", *ARGS, "--out", "{run}/statement.json/below"],
    ],
)
def test_usage_errors_are_one_plain_line(arguments, finished, tmp_path, zkdl):
    places = {"run": finished, "tmp": tmp_path, "new": tmp_path / "new"}
    code, out, err = zkdl(*(part.format(**places) for part in arguments))
    assert code == 2
    assert err.startswith("zkdl: ") <= (err.count("\n") == 1)
    assert err or arguments == []
    assert out == "" or arguments == []
    assert list(tmp_path.iterdir()) == []


def test_gpu_without_a_device_is_one_line(finished, zkdl):
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a device")
    code, _, err = zkdl("prove", finished, "--backend", "gpu")
    assert code == 2
    assert err.count("\n") == 1
    assert "gpu backend" in err
    assert "cpu" in err


def test_a_changed_witness_is_refused(run_copy, zkdl):
    from zkdl.training import Witness

    witness = Witness.load(run_copy / "witness.npz")
    witness.remainder[0][1, 0, 0] ^= 1
    witness.save(run_copy / "witness.npz")
    (run_copy / "proof.zkdl").unlink()
    code, _, err = zkdl("prove", run_copy)
    assert code == 2
    assert "F2: step 1, layer 1" in err
    assert not (run_copy / "proof.zkdl").exists()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device", "RUN"), 3, "RUN: No space left on device"),
        (PermissionError(13, "Permission denied", "RUN"), 2, "RUN: Permission denied"),
        (MemoryError(), 3, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("boom"), 2, "internal error: ZeroDivisionError: boom"),
    ],
)
def test_every_failure_has_its_code_and_leaves_nothing(error, code, words, zkdl, monkeypatch, tmp_path):
    from zkdl.protocol.statement import Statement

    def fail(self, path):
        raise error

    monkeypatch.setattr(Statement, "save", fail)
    found, out, err = zkdl("train", *ARGS, "--out", tmp_path / "run")
    assert (found, out, err) == (code, "", f"zkdl: {words}\n" if code != 2 or "boom" not in words else err)
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_writing_the_proof(run_copy, zkdl, monkeypatch):
    (run_copy / "proof.zkdl").unlink()
    before = sorted(run_copy.iterdir())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = zkdl("prove", run_copy)
    assert code == 3
    assert "No space left" in err
    assert sorted(run_copy.iterdir()) == before


def test_unwritable_folder(run_copy, zkdl):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    run_copy.chmod(0o500)
    try:
        code, _, err = zkdl("prove", run_copy)
        assert code == 2
        assert "no permission" in err
        code, _, err = zkdl("train", *ARGS, "--out", run_copy / "new")
        assert code == 2
    finally:
        run_copy.chmod(0o700)


def test_file_data_and_settings_flags(zkdl, tmp_path):
    np.savez(tmp_path / "data.npz", X=np.random.default_rng(0).uniform(-1, 1, (20, 3)), y=np.arange(20) % 2)
    code, out, err = zkdl(
        "train", "--data", tmp_path / "data.npz", "--hidden", "none", "--steps", 1, "--batch-size", 2,
        "--learning-rate", "1/2", "--no-bias", "--initial-seed", 9, "--activation-scale", 5,
        "--gradient-scale", 6, "--weight-scale", 20, "--activation-bits", 10, "--gradient-bits", 9,
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["settings"] == {
        "activation_scale": 5, "gradient_scale": 6, "weight_scale": 20, "activation_bits": 10,
        "gradient_bits": 9, "limb_bits": 16,
    }  # fmt: skip
    statement = json.loads((tmp_path / "run" / "statement.json").read_text())
    assert (statement["bias"], statement["initial_seed"], statement["widths"]) == (False, 9, [3, 2])


def _start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "zkdl", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_without_a_trace(tmp_path, number, code):
    """The statement comes through a pipe, so the process is known to be at work when the signal arrives.

    The pipe closes after the signal is sent: a signal that comes between the interpreter's last look and its
    read, or on another thread, does not break off that read, and is acted on as soon as the read returns.
    """
    pipe = tmp_path / "statement.json"
    os.mkfifo(pipe)
    process = _start("prove", tmp_path)
    with open(pipe, "wb"):
        process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["statement.json"]


def test_closed_pipe_keeps_the_verdict(finished):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "zkdl", "verify", finished / "statement.json", finished / "proof.zkdl"],
        stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, "")


def test_full_standard_output_is_no_success(finished):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "zkdl", "inspect", finished / "proof.zkdl"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert process.returncode == 3
    assert process.stderr == "zkdl: standard output: No space left on device\n"


def test_import_is_fast_and_loads_nothing_heavy():
    light = "import sys, zkdl; assert not {'numba', 'numpy', 'typer'} & set(sys.modules)"
    no_kernels = "import zkdl.cli; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{light}; {no_kernels}"], check=True)


def test_lazy_names_are_all_there():
    import zkdl

    for name in zkdl.__all__:
        assert getattr(zkdl, name) is not None
    assert set(zkdl.__all__) <= set(dir(zkdl))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        zkdl.nonsense  # noqa: B018
