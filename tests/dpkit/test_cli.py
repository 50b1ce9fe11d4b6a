"""The `dpkit` command: results, exit codes, and never a traceback."""

import errno
import inspect
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import dpkit
from dpkit import cli
from dpkit.cli import app
from dpkit.similarity import device
from dpkit.similarity.kde import KDEBuilder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "data.npy", rng.normal(size=(500, 3)))
    np.save(tmp_path / "queries.npy", rng.normal(size=(4, 3)))
    np.save(tmp_path / "wide.npy", rng.normal(size=(4, 5)))
    np.save(tmp_path / "flat.npy", rng.normal(size=4))
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    np.save(tmp_path / "empty.npy", np.empty((0, 3)))
    np.savez(tmp_path / "many.npz", x=np.zeros((2, 3)))
    (tmp_path / "text.npy").write_text("1,2,3\n")
    (tmp_path / "nothing.npy").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def build(*extra):
    done = run("kde", "build", "data.npy", "--epsilon", "1", "--features", "64", "--out", "kde.dpk", *extra)
    assert done.exit_code == 0, done.output
    return done


def test_build_query_inspect(folder):
    build("--bandwidth", "2", "--kernel", "gaussian", "--public-seed", "7")
    kde = dpkit.load("kde.dpk")
    assert (kde.bandwidth, kde.public_seed, kde.features, kde.d) == (2.0, 7, 64, 3)
    Y = np.load("queries.npy")
    expected, errors = kde.query(Y, return_std=True)

    lines = run("kde", "query", "kde.dpk", "queries.npy").stdout.split()
    assert [float(line) for line in lines] == expected.tolist()

    pairs = [
        line.split("\t")
        for line in run("kde", "query", "kde.dpk", "queries.npy", "--std").stdout.splitlines()
    ]
    assert [float(v) for v, _ in pairs] == expected.tolist()
    np.testing.assert_allclose([float(e) for _, e in pairs], errors, rtol=1e-5)

    answers = json.loads(run("kde", "query", "kde.dpk", "queries.npy", "--json", "--std").stdout)
    assert answers == {"normalized": False, "values": expected.tolist(), "std": errors.tolist()}

    averages = json.loads(run("kde", "query", "kde.dpk", "queries.npy", "--json", "--normalized").stdout)
    assert averages["values"] == kde.query(Y, normalized=True).tolist()

    assert run("kde", "query", "kde.dpk", "queries.npy", "--out", "answers.npy").stdout == ""
    assert (np.load("answers.npy") == expected).all()
    run("kde", "query", "kde.dpk", "queries.npy", "--out", "answers.npy", "--std")
    assert (np.load("answers.npy") == np.stack([expected, errors], axis=1)).all()

    shown = json.loads(run("inspect", "kde.dpk", "--json").stdout)
    assert shown["kind"] == "kde"
    assert shown["guarantee"] == kde.guarantee.to_dict()
    assert shown["count"] == kde.count
    assert shown["bytes"] == os.path.getsize("kde.dpk")
    assert "discrete-radial" in run("inspect", "kde.dpk").stdout


def test_all_settings_reach_the_release(folder):
    shown = json.loads(
        build("--delta", "1e-6", "--neighbours", "replace", "--kernel", "laplacian", "--json").stdout
    )
    assert shown["mechanism"] == "discrete-gaussian"
    assert (shown["neighbours"], shown["delta"], shown["kernel"]) == ("replace", 1e-6, "laplacian")
    assert shown["count"] == 500
    assert shown["out"] == "kde.dpk"


def built(*arguments):
    done = run(*arguments, "data.npy", "--out", "it.dpk", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_structures_domains_and_reductions_of_kernel_sums(folder):
    hashed = ("kde", "build", "--kernel", "laplacian", "--structure")
    assert built(*hashed, "hash")["structure"] == "hash"
    assert "structure" not in built(*hashed, "fourier")
    shown = built("kde", "build", "--low", "-1,-2,-3", "--high", "4")
    assert shown["bounds"] == [[-1.0, -2.0, -3.0], [4.0, 4.0, 4.0]]
    shown = built("kde", "build", "--radius", "2.5", "--reduce", "2")
    assert (shown["radius"], shown["reduce"]) == (2.5, 2)
    assert built("kde", "build", "--reduce", "auto").get("reduce") is None  # three columns: nothing to gain


def test_a_ball_and_annuli_of_sums_of_distances(folder):
    shown = built("distance", "build", "--metric", "sqeuclidean", "--radius", "2", "--center", "0,1,-1")
    assert (shown["radius"], shown["center"]) == (2.0, [0.0, 1.0, -1.0])
    tree = ("distance", "build", "--structure", "tree", "--depth", "3", "--low", "0", "--high", "1,1,2")
    assert built(*tree, "--alpha", "0.5")["alpha"] == 0.5


def test_the_backend_reaches_the_builder(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(device, "array_module", lambda: asked.append("gpu") or np)
    monkeypatch.setattr("dpkit.similarity.settings.array_module", lambda: asked.append("used") or np)
    build("--backend", "gpu")
    assert asked[0] == "gpu"
    assert "used" in asked


@pytest.mark.parametrize(
    ("command", "structure"),
    [(cli._kde_build, dpkit.KDE), (cli._distance_build, dpkit.DistanceSum)],
)
def test_flags_are_the_arguments_of_the_classes(command, structure):
    """Same names, same defaults; X is a file, bounds are two flags."""
    flags = {name: p.default for name, p in inspect.signature(command).parameters.items()}
    arguments = {name: p.default for name, p in inspect.signature(structure).parameters.items()}
    for name in ("data", "out", "as_json", "low", "high"):
        flags.pop(name)
    for name in ("X", "bounds"):
        arguments.pop(name)
    assert flags == arguments


def test_sizes_come_from_public_inputs(folder):
    for extra, features in (
        (["--expected-records", "500"], 258),
        ([], 4002),
        (["--neighbours", "replace"], 258),
    ):
        done = run("kde", "build", "data.npy", "--out", "kde.dpk", "--json", *extra)
        assert json.loads(done.stdout)["features"] == features


def test_missing_numbers_become_null(folder):
    build()
    np.save("holes.npy", np.array([[np.nan, 0, 0], [0, 0, 0]]))
    values = json.loads(run("kde", "query", "kde.dpk", "holes.npy", "--json").stdout)["values"]
    assert values[0] is None
    assert isinstance(values[1], float)


def test_empty_data_and_no_queries(folder):
    assert run("kde", "build", "empty.npy", "--features", "8", "--out", "e.dpk").exit_code == 0
    assert json.loads(run("kde", "query", "e.dpk", "empty.npy", "--json").stdout)["values"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("kde build absent.npy --out x", "absent.npy: No such file"),
        ("kde build text.npy --out x", "text.npy: not a .npy file"),
        ("kde build nothing.npy --out x", "nothing.npy: not a .npy file"),
        ("kde build objects.npy --out x", "pickled objects are refused"),
        ("kde build many.npz --out x", "npz"),
        ("kde build words.npy --out x", "real numbers"),
        ("kde build flat.npy --out x", "(n, d)"),
        ("kde build . --out x", "directory"),
        ("kde build data.npy --epsilon 0 --out x", "epsilon"),
        ("kde build data.npy --epsilon nan --out x", "epsilon"),
        ("kde build data.npy --epsilon much --out x", "--epsilon"),
        ("kde build data.npy --delta 1 --out x", "delta"),
        ("kde build data.npy --bandwidth -1 --out x", "bandwidth"),
        ("kde build data.npy --kernel triangle --out x", "gaussian"),
        ("kde build data.npy --neighbours friends --out x", "add-remove"),
        ("kde build data.npy --features 0 --out x", "features"),
        ("kde build data.npy --public-seed -1 --out x", "public_seed"),
        ("kde build data.npy --structure tower --out x", "structure must be one of"),
        ("kde build data.npy --structure hash --out x", "hash"),
        ("kde build data.npy --reduce some --out x", "--reduce must be 'auto'"),
        ("kde build data.npy --radius -1 --out x", "radius"),
        ("kde build data.npy --radius 1 --low 0 --high 1 --out x", "bounds exclude radius"),
        ("kde build data.npy --low 0 --out x", "--low and --high go together"),
        ("kde build data.npy --low 0,a --high 1 --out x", "--low must be a number"),
        ("kde build data.npy --low 0,1 --high 2 --out x", "length d = 3"),
        ("kde build data.npy --low 1 --high 0 --out x", "low < high"),
        ("kde build data.npy --backend tpu --out x", "cpu, gpu"),
        ("kde build data.npy --backend gpu --kernel laplacian --structure hash --out x", "gpu"),
        ("distance build data.npy --center 0 --low 0 --high 1 --out x", "center"),
        ("distance build data.npy --metric l2 --radius 1 --center 0,? --out x", "--center must be"),
        ("kde build data.npy", "--out"),
        ("kde build data.npy --out absent/x", "absent: no such folder"),
        ("kde query kde.dpk wide.npy", "d = 3 columns, got 5"),
        ("kde query kde.dpk flat.npy", "Y must have two axes"),
        ("kde query kde.dpk absent.npy", "absent.npy"),
        ("kde query data.npy queries.npy", "not a dpkit release"),
        ("kde query kde.dpk queries.npy --json --out x", "exclude"),
        ("kde query kde.dpk", "QUERIES"),
        ("inspect data.npy", "not a dpkit release"),
        ("inspect nothing.npy", "not a dpkit release"),
        ("inspect absent.dpk", "absent.dpk"),
        ("inspect", "RELEASE"),
        ("kde", "build"),
        ("kde fly", "fly"),
        ("fly", "fly"),
        ("--flag", "--flag"),
    ],
)
def test_usage_and_input_errors_exit_2(folder, arguments, words):
    build()
    done = run(*arguments.split())
    assert done.exit_code == 2
    assert words in done.stderr or arguments == "kde"
    assert "Traceback" not in done.output
    if done.stderr.startswith("dpkit: "):
        assert done.stderr.count("\n") == 1
    assert not (folder / "x").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 3),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (PermissionError(errno.EACCES, "Permission denied", "kde.dpk"), 2),
        (KeyboardInterrupt(), 130),
        (RuntimeError("private: 4711"), 1),
    ],
)
def test_other_failures_have_their_own_codes(folder, monkeypatch, error, code):
    def fail(*_):
        raise error

    monkeypatch.setattr(KDEBuilder, "update", fail)
    done = run("kde", "build", "data.npy", "--out", "kde.dpk")
    assert done.exit_code == code
    assert done.stderr.startswith("dpkit: ")
    assert "4711" not in done.output
    assert not (folder / "kde.dpk").exists()


def test_a_failed_build_keeps_the_old_release(folder):
    build()
    before = (folder / "kde.dpk").read_bytes()
    assert run("kde", "build", "words.npy", "--out", "kde.dpk").exit_code == 2
    assert (folder / "kde.dpk").read_bytes() == before
    assert sorted(p.name for p in folder.glob(".*")) == []


def test_the_installed_command(folder):
    """In a process of its own: results on stdout alone, a full disk is 3, no traceback."""
    command = [sys.executable, "-W", "error", "-m", "dpkit", "kde", "build", "data.npy", "--out"]
    done = subprocess.run([*command, "kde.dpk"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("kde.dpk: KDE(")
    if os.path.exists("/dev/full"):
        full = subprocess.run([*command, "/dev/full"], capture_output=True, text=True, timeout=300)
        assert (full.returncode, full.stdout) == (3, "")
        assert full.stderr == "dpkit: No space left on device\n"


def test_help_names_the_commands():
    shown = run("--help").output
    assert "kde" in shown
    assert "inspect" in shown
    assert "build" in run("kde", "--help").output
    assert run("--version").output == f"dpkit {dpkit.__version__}\n"
