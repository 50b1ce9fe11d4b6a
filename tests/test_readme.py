"""The documentation's commands and examples are real: they exist, and they run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)


def command_lines(*programs):
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line.split() and line.split()[0] in programs]


def program(name):
    """Run a command line tool of this checkout with the interpreter of the tests."""
    return [
        sys.executable,
        "-c",
        f"import sys; from {name}.cli import main; sys.argv[0] = {name!r}; sys.exit(main())",
    ]


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {line.split()[1] for line in command_lines("make")}
    assert named
    assert named <= targets


def test_every_sh_line_is_a_known_program():
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if line]
    assert {line.split()[0] for line in lines} <= {"make", "dpkit", "zkdl", "python3", ".", "pip"}


@pytest.mark.parametrize("line", command_lines("dpkit", "zkdl"))
def test_command_and_its_options_exist(line):
    words = shlex.split(line)
    subcommands = [w for w in words[1:] if re.fullmatch(r"[a-z]+(-[a-z]+)*", w)]
    depth = 2 if words[1] in ("kde", "distance", "counter") else 1
    done = subprocess.run(
        [*program(words[0]), *subcommands[:depth], "--help"],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    missing = [w for w in words if w.startswith("--") and w not in done.stdout]
    assert not missing, f"{line!r} uses options that --help does not name: {missing}"


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_readme_python_example_runs(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("README.md", "python")[number], f"README example {number}", "exec"), {})


@pytest.mark.slow
def test_readme_commands_run_as_written(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "DATA.npy", rng.normal(size=(1000, 3)))
    np.save(tmp_path / "QUERIES.npy", rng.normal(size=(4, 3)))
    for line in command_lines("dpkit", "zkdl"):
        words = shlex.split(line)
        command = [*program(words[0]), *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize(
    "page", [*PAGES, "SECURITY.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_between_pages_lead_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    broken = [t for t in targets if "://" not in t and not (path.parent / t).exists()]
    assert broken == []
