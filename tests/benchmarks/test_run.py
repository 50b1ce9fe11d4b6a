"""`benchmarks run`: nothing is measured twice, no figure is lost, and the report always stands."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import _run
from benchmarks._machine import machine, versions
from benchmarks._report import report_page
from dpkit._page import bytes_text, number_text, percent_text

RESULTS = Path(__file__).resolve().parent / "results"

SCRIPT = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
log = out.parent.parent.parent / "calls.txt"
with open(log, "a") as file:
    file.write(out.stem + "\\n")
print("words <of> the part")
{body}
json.dump({{"rows": [{{"name": "<b>", "value": 1.5}}], "quick": "--quick" in sys.argv}}, open(out, "w"))
{end}
"""


@pytest.fixture
def parts(monkeypatch):
    """Parts that are small programs; returns how to set what each does."""
    programs = {}
    identity = {"commit": "0123456789abcdef", "changed": None}
    monkeypatch.setattr(_run, "_program", lambda name: [sys.executable, "-c", programs[name]])
    monkeypatch.setattr(_run, "commit", lambda: dict(identity))

    def define(name, body="", end=""):
        programs[name] = SCRIPT.format(body=body, end=end)

    for name in ("alpha", "beta", "gamma"):
        define(name)
    define.identity = identity
    return define


def run(folder, *arguments):
    return _run.main([*arguments, "--out", str(folder)], ["alpha", "beta", "gamma"])


def calls(folder):
    return (folder / "calls.txt").read_text().split()


def test_a_finished_part_is_not_run_again(parts, tmp_path, capsys):
    assert run(tmp_path, "--only", "beta") == 0
    assert run(tmp_path) == 0
    assert calls(tmp_path) == ["beta", "alpha", "gamma"]
    said = capsys.readouterr()
    assert "beta: done already" in said.err
    assert said.out.splitlines()[-1] == str(tmp_path / "index.html")
    # Other options, another commit, or the wish for it: then it is.
    assert run(tmp_path, "--only", "beta", "--quick") == 0
    assert run(tmp_path, "--only", "beta", "--quick", "--again") == 0
    parts.identity["changed"] = "f00"
    assert run(tmp_path, "--only", "beta,alpha", "--quick") == 0
    assert calls(tmp_path)[3:] == ["beta", "beta", "alpha", "beta"]
    entry = json.loads((tmp_path / "raw" / "beta.json").read_text())
    assert entry["result"]["quick"] is True
    assert entry["state"] == "done"
    assert entry["machine"]["processor"]
    assert entry["versions"]["python"]


def test_a_full_run_asks_for_what_fits_in_an_hour(parts, tmp_path, monkeypatch, capsys):
    assert set(_run.EXPECTED) == set(_run.FIRST)
    assert set(_run.FULL) <= set(_run.FIRST)
    full, quick = (sum(seconds) for seconds in zip(*_run.EXPECTED.values(), strict=True))
    assert full <= 45 * 60
    assert quick <= 10 * 60
    monkeypatch.setattr(_run, "FULL", {"alpha": ("--seeds", "3")})
    parts("alpha", "assert sys.argv[-2:] == ['--seeds', '3']")
    assert run(tmp_path, "--only", "alpha") == 0
    assert json.loads((tmp_path / "raw" / "alpha.json").read_text())["options"] == ["--seeds", "3"]
    assert "[1/1, about 60 s left] alpha: done" in capsys.readouterr().err
    # A part with other options is another part.
    monkeypatch.setattr(_run, "FULL", {})
    parts("alpha")
    assert run(tmp_path, "--only", "alpha") == 0
    assert calls(tmp_path) == ["alpha", "alpha"]


@pytest.mark.parametrize(
    "body", ["sys.exit(3)", "raise ValueError('no')", "import os; os.kill(os.getpid(), 9)"]
)
def test_a_failure_loses_nothing_of_the_others(parts, tmp_path, body):
    parts("alpha", body)
    assert run(tmp_path) == 1
    assert calls(tmp_path) == ["alpha", "beta", "gamma"]
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "words &lt;of&gt; the part" in page
    assert "Last words of alpha" in page
    assert "&lt;b&gt;" in page
    parts("alpha")
    assert run(tmp_path) == 0
    assert calls(tmp_path)[3:] == ["alpha"]
    assert "Last words" not in (tmp_path / "index.html").read_text("utf-8")


def test_a_missed_limit_keeps_its_figures(parts, tmp_path):
    parts("alpha", end="sys.exit(1)")
    assert run(tmp_path, "--only", "alpha") == 0
    assert json.loads((tmp_path / "raw" / "alpha.json").read_text())["state"] == "missed"
    assert "missed a limit" in (tmp_path / "index.html").read_text("utf-8")


def test_a_broken_result_is_a_failure(parts, tmp_path):
    parts("alpha", end="open(out, 'w').write('{')")
    assert run(tmp_path, "--only", "alpha") == 1
    (tmp_path / "raw" / "beta.json").write_text("[")
    assert run(tmp_path, "--only", "beta") == 0


def test_a_part_that_was_cut_off_finds_what_it_wrote(parts, tmp_path):
    parts("alpha", "out.with_suffix('.half').write_text('half'); sys.exit(2)")
    assert run(tmp_path, "--only", "alpha") == 1
    parts("alpha", "assert out.with_suffix('.half').read_text() == 'half'")
    assert run(tmp_path, "--only", "alpha") == 0
    parts("alpha", "assert not out.with_suffix('.half').exists()")
    assert run(tmp_path, "--only", "alpha", "--again") == 0


def stored(name):
    """An entry as a run stores it, around figures of a small run whose times were taken beside others."""
    result = json.loads((RESULTS / f"{name}.json").read_text())
    return {
        "part": name, "quick": True, "commit": "0" * 40, "changed": None, "state": _run.DONE, "exit_code": 0,
        "seconds": 12.5, "started": "2026-01-01T00:00:00Z", "machine": machine(), "versions": versions(),
        "result": result,
    }  # fmt: skip


def test_the_report_shows_every_figure_of_a_run():
    names = _run.ordered(path.stem for path in RESULTS.glob("*.json"))
    assert names[:3] == ["tradeoff", "continual", "proving"]
    entries = {name: stored(name) for name in names}
    page = report_page(entries).html()
    for words in ("could not be drawn", "are not what this page expects", "is not in this run", "Part "):
        assert words not in page
    assert page.count("<figure") >= 12
    assert page.count('class="plot"') == page.count("<figure")
    assert len(page.encode()) < 1 << 20
    row = next(r for r in entries["tradeoff"]["result"]["kernels"] if r["epsilon"] == 0.1)
    assert percent_text(row["error"]) in page
    assert number_text(entries["continual"]["result"]["maxima"]["rows"][-1]["max_sum"]) in page
    assert bytes_text(entries["proving"]["result"]["points"][0]["proof_bytes"]) in page


def test_an_unknown_part_is_a_usage_error(parts, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        run(tmp_path, "--only", "delta")
    assert end.value.code == 2
    assert "no benchmark called delta" in capsys.readouterr().err


def test_an_interruption_ends_the_child_and_keeps_the_report(parts, tmp_path, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    assert run(tmp_path, "--only", "alpha") == 0
    monkeypatch.setattr(_run, "_watch", stopped)
    assert run(tmp_path) == 130
    assert "alpha" in (tmp_path / "index.html").read_text("utf-8")


def test_a_part_ends_with_all_that_it_started(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(300)"
    )
    part = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    grandchild = int(part.stdout.readline())
    _run._end(part)
    part.stdout.close()
    assert part.poll() is not None
    for _ in range(100):
        status = Path(f"/proc/{grandchild}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("what the part had started goes on")


def test_figures_of_another_shape_are_shown_all_the_same(parts, tmp_path):
    assert run(tmp_path, "--only", "alpha") == 0
    entry = json.loads((tmp_path / "raw" / "alpha.json").read_text())
    for name in (
        "tradeoff",
        "continual",
        "proving",
        "similarity",
        "audit",
        "accuracy",
        "arithmetic",
        "noise",
    ):
        page = report_page({name: {**entry, "part": name}}).html()
        assert "1.5" in page, name
    assert "not in this run" in report_page({}).html()
