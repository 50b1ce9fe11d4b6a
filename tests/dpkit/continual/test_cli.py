"""`dpkit counter run`, through the function and through the command."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import dpkit
from dpkit.continual import cli
from dpkit.continual.cli import counter_app, run_stream

SETTINGS = {"rho": 1e4, "horizon": 1000, "mechanism": "binary"}


def stream(text, arguments=SETTINGS, **options):
    """Feed text and return the lines that came out."""
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    os.write(write_in, text.encode())
    os.close(write_in)
    try:
        run_stream(arguments, read_in, write_out, **options)
    finally:
        os.close(write_out)
        os.close(read_in)
        with os.fdopen(read_out) as file:
            lines = file.read().splitlines()
    return lines


def test_sums_come_out_line_by_line():
    lines = stream("1\n0\n1\n0.5\nnonsense\n7\n")
    np.testing.assert_allclose([float(x) for x in lines], [1, 1, 2, 2.5, 2.5, 3.5], atol=0.2)
    assert len(stream("1\n1", std=True)[0].split("\t")) == 2
    assert stream("") == []


def test_windows_and_decay():
    sure = {"rho": 1e7, "horizon": 1000}
    lines = stream("1\n" * 5, {**sure, "window": 3})
    np.testing.assert_allclose([float(x) for x in lines], [1, 2, 3, 3, 3], atol=0.05)
    lines = stream("1\n" * 3, {**sure, "decay": 0.5})
    np.testing.assert_allclose([float(x) for x in lines], [1, 1.5, 1.75], atol=0.05)


def test_a_slow_stream_is_answered_at_once():
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    worker = threading.Thread(target=run_stream, args=(SETTINGS, read_in, write_out))
    worker.start()
    with os.fdopen(read_out) as answers:
        for i in range(3):
            os.write(write_in, b"1\n")
            assert abs(float(answers.readline()) - i - 1) < 0.3
        os.close(write_in)
        worker.join(10)
        os.close(write_out)
    os.close(read_in)


def test_runs_go_on_from_a_checkpoint(tmp_path):
    path = tmp_path / "run.ckpt"
    first = stream("1\n" * 10, checkpoint=path)
    assert path.stat().st_mode & 0o077 == 0
    old = tmp_path / "old"
    shutil.copy(path, old)
    second = stream("1\n" * 5, checkpoint=path)
    assert len(second) == 5
    assert abs(float(second[-1]) - 15) < 0.3
    assert abs(float(first[-1]) - 10) < 0.3
    shutil.copy(old, path)
    with pytest.raises(dpkit.BudgetSpentError, match="old copy"):
        stream("0\n", checkpoint=path)
    path.unlink()
    with pytest.raises(dpkit.BudgetSpentError, match="missing"):
        stream("0\n", checkpoint=path)


def test_a_run_cut_off_before_printing_prints_the_same_answers_later(tmp_path, monkeypatch):
    path, cut = tmp_path / "run.ckpt", []

    def broken(sink, text):
        cut.append(text)
        raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(cli, "_write", broken)
        with pytest.raises(BrokenPipeError):
            stream("1\n1\n", checkpoint=path)
    again = stream("1\n", checkpoint=path)
    assert "".join(f"{line}\n" for line in again[:2]) == cut[0]
    assert len(again) == 3


def test_what_fits_the_horizon_is_answered():
    with pytest.raises(dpkit.HorizonError):
        stream("1\n" * 5, {**SETTINGS, "horizon": 3})
    assert stream("1\n" * 3, {**SETTINGS, "horizon": 3})[2:]


def test_a_checkpoint_serves_one_run_at_a_time_and_one_configuration(tmp_path):
    path = tmp_path / "run.ckpt"
    stream("1\n", checkpoint=path)
    with pytest.raises(dpkit.ArgumentError, match="other settings"):
        stream("1\n", {**SETTINGS, "rho": 2.0}, checkpoint=path)
    from dpkit.continual.cli import _Checkpoint

    holder = _Checkpoint(path, {})
    with pytest.raises(dpkit.BudgetSpentError, match="another run"):
        stream("1\n", checkpoint=path)
    holder.close()
    path.write_bytes(b"junk")
    with pytest.raises(dpkit.FormatError):
        stream("1\n", checkpoint=path)


def test_the_command():
    code = "from dpkit.continual.cli import counter_app; counter_app(['run', *__import__('sys').argv[1:]])"
    assert counter_app.registered_commands[0].name == "run"
    run = lambda *options: subprocess.run(
        [sys.executable, "-c", code, *options], input="1\n1\n", capture_output=True, text=True, timeout=300
    )
    good = run("--rho", "1e4", "--horizon", "10", "--mechanism", "binary")
    assert good.returncode == 0, good.stderr
    assert len(good.stdout.splitlines()) == 2
    short = run("--rho", "1", "--horizon", "1")
    assert short.returncode == 2
    assert "horizon 1 would be passed" in short.stderr
    assert run().returncode == 2
