"""The built distribution: complete, installable, and working away from the checkout."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_SUFFIXES = {".py", ".typed", ".npz", ".npy", ".json", ".csv", ".txt", ".cu", ".cuh"}


def run(command, *, cwd, timeout=600, env=None, code=0):
    """Run a command outside the checkout and hand back its standard output."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def package_files():
    """What a wheel must carry: every source and data file of the packages, and the CUDA sources."""
    names = set()
    for package in ("dpkit", "zkdl"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix in DATA_SUFFIXES and "__pycache__" not in path.parts:
                names.add(path.relative_to(ROOT).as_posix())
    return names | {f"zkdl/cuda/{p.name}" for p in (ROOT / "cuda").iterdir() if p.suffix in DATA_SUFFIXES}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(wheel, source distribution), the wheel built from the unpacked source distribution."""
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], cwd=out)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_wheel_carries_packages_data_and_licence(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    assert package_files() <= names
    assert {n.split("/")[-1] for n in names if "/licenses/" in n} == {"LICENSE", "NOTICE"}
    # Nothing else goes along: no tests, no caches, no second copy of the CUDA sources.
    assert {n.split("/")[0] for n in names} == {
        "dpkit",
        "zkdl",
        next(n for n in names if ".dist-info" in n).split("/")[0],
    }
    assert not [n for n in names if "__pycache__" in n or n.endswith(".pyc")]


def test_source_distribution_is_a_working_tree(built):
    with tarfile.open(built[1]) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    wanted = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "NOTICE",
        "CHANGELOG.md",
        "Makefile",
        "tests/test_wheel.py",
    }
    wanted |= {"cuda/field.cuh", "demo/run.py"}
    assert wanted <= names


def test_unpacked_wheel_works_away_from_the_checkout(built, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(built[0]).extractall(site)
    env = {"PYTHONPATH": str(site)}
    text = (
        "import dpkit, zkdl, zkdl.cuda_sources as c, pathlib; "
        "print(dpkit.__file__, zkdl.__file__, c.cuda_folder(), sep='\\n')"
    )
    where = run([sys.executable, "-c", text], cwd=elsewhere, env=env).split()
    assert where == [str(site / "dpkit/__init__.py"), str(site / "zkdl/__init__.py"), str(site / "zkdl/cuda")]
    for package in ("dpkit", "zkdl"):
        command = f"import sys; from {package}.cli import main; sys.argv = ['{package}', '--help']; main()"
        assert "Usage" in run([sys.executable, "-c", command], cwd=elsewhere, env=env)


@pytest.mark.slow
def test_fresh_environment_end_to_end(built, tmp_path):
    """A user's first steps from the wheel alone: install, build and query a sketch, train, prove, verify."""
    env = {"ZKDL_CACHE_DIR": str(tmp_path / "cache")}
    run([sys.executable, "-m", "venv", tmp_path / "venv"], cwd=tmp_path)
    binaries = tmp_path / "venv" / "bin"
    pip = [binaries / "python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", built[0]]
    installed = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    if installed.returncode != 0:
        pytest.fail(
            "pip could not install the wheel and its dependencies into a fresh environment; this test needs "
            f"a package index (network or a configured mirror). pip said:\n{installed.stderr[-2000:]}"
        )
    timing = "import time; t = time.process_time(); import {0}; print(time.process_time() - t)"
    for package in ("dpkit", "zkdl"):
        assert "Usage" in run([binaries / package, "--help"], cwd=tmp_path)
        seconds = [
            float(run([binaries / "python", "-c", timing.format(package)], cwd=tmp_path)) for _ in range(3)
        ]
        assert min(seconds) < 1.0, f"import {package} took {min(seconds):.2f} s"

    rng = np.random.default_rng(0)
    np.save(tmp_path / "records.npy", rng.normal(size=(2000, 3)))
    np.save(tmp_path / "queries.npy", rng.normal(size=(5, 3)))
    build = ["kde", "build", "records.npy", "--kernel", "gaussian", "--bandwidth", "1", "--epsilon", "1"]
    run([binaries / "dpkit", *build, "--out", "kde.dpk"], cwd=tmp_path)
    run([binaries / "dpkit", "kde", "query", "kde.dpk", "queries.npy", "--out", "answers.npy"], cwd=tmp_path)
    assert np.load(tmp_path / "answers.npy").shape == (5,)
    json.loads(run([binaries / "dpkit", "inspect", "kde.dpk", "--json"], cwd=tmp_path))

    settings = [
        "--data",
        "digits",
        "--hidden",
        "16",
        "--steps",
        "2",
        "--batch-size",
        "16",
        "--learning-rate",
        "1/64",
    ]
    run([binaries / "zkdl", "train", *settings, "--seed", "1", "--out", "RUN"], cwd=tmp_path, env=env)
    run([binaries / "zkdl", "prove", "RUN"], cwd=tmp_path, env=env)
    verify = [binaries / "zkdl", "verify", "RUN/statement.json", "RUN/proof.zkdl", "--json"]
    assert json.loads(run(verify, cwd=tmp_path, env=env))["accepted"] is True
    proof = tmp_path / "RUN" / "proof.zkdl"
    forged = bytearray(proof.read_bytes())
    forged[len(forged) // 2] ^= 1
    proof.write_bytes(forged)
    refused = json.loads(run(verify, cwd=tmp_path, env=env, code=1))
    assert refused["accepted"] is False
    assert refused["reason"]
