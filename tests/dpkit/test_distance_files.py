"""Releases of sums of distances on the disk and on the command line."""

import copy
import json
import pickle

import numpy as np
import pytest
from typer.testing import CliRunner

import dpkit
from dpkit.cli import app
from tests.dpkit.test_distance import METRICS, centres


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("neighbours", ["add-remove", "replace"])
def test_a_saved_release_answers_alike(name, neighbours, tmp_path):
    X, Y = centres(200, 2, 0, 10)
    found = dpkit.DistanceSum(X, neighbours=neighbours, **METRICS[name])
    found.save(tmp_path / "d.dpk")
    for same in (
        dpkit.load(tmp_path / "d.dpk"),
        dpkit.DistanceSum.load(tmp_path / "d.dpk"),
        pickle.loads(pickle.dumps(found)),
        copy.deepcopy(found),
    ):
        assert isinstance(same, dpkit.DistanceSum)
        for normalized in (False, True):
            a, b = (r.query(Y, normalized=normalized, return_std=True) for r in (found, same))
            assert (np.array(a) == np.array(b)).all()
        assert (same.guarantee, same.count, same.noise_std(), same.public) == (
            found.guarantee,
            found.count,
            found.noise_std(),
            found.public,
        )
    with pytest.raises(dpkit.FormatError, match="'distance', not a 'kde'"):
        dpkit.KDE.load(tmp_path / "d.dpk")


def test_tampered_parameters_are_refused():
    from dpkit.release import Sealed, seal, unseal

    good = unseal(dpkit.DistanceSum(np.zeros((3, 2)), bounds=(0.0, 1.0), depth=4).to_bytes())
    changes = [
        {"metric": "l7"},
        {"depth": 5},
        {"columns": 3},
        {"mechanism": "none"},
        {"mechanism": "discrete-gaussian"},
        {"scales": [["0", 34]]},
        {"scales": [["1/0", 34]]},
        {"scales": [["1", 34]]},
        {"scales": "x"},
        {"grid_bits": 19},
        {"bounds": None},
        {"noise": 3},
        {"guarantee": {"kind": "ZCDP", "rho": 1.0, "neighbours": "add-remove"}},
    ]
    for change in changes:
        forged = seal(Sealed("distance", {**good.public, **change}, good.arrays))
        with pytest.raises(dpkit.FormatError):
            dpkit.DistanceSum.from_bytes(forged)
    for arrays in (
        {},
        {"vector": good.arrays["vector"][1:]},
        {"vector": good.arrays["vector"].astype(float)},
    ):
        with pytest.raises(dpkit.FormatError):
            dpkit.DistanceSum.from_bytes(seal(Sealed("distance", good.public, arrays)))
    missing = {k: v for k, v in good.public.items() if k != "depth"}
    with pytest.raises(dpkit.FormatError):
        dpkit.DistanceSum.from_bytes(seal(Sealed("distance", missing, good.arrays)))
    assert dpkit.DistanceSum.from_bytes(seal(good)).d == 2


def test_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, Y = centres(300, 2, 0, 4)
    np.save("data.npy", X)
    np.save("queries.npy", Y)

    def run(*arguments, code=0):
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, done.output
        return done

    build = ("distance", "build", "data.npy", "--low", "0", "--high", "1")
    shown = json.loads(run(*build, "--out", "d.dpk", "--json").stdout)
    assert (shown["kind"], shown["metric"], shown["out"]) == ("distance", "l1", "d.dpk")
    found = dpkit.load("d.dpk")
    lines = run("distance", "query", "d.dpk", "queries.npy").stdout.split()
    assert [float(line) for line in lines] == found.query(Y).tolist()
    answers = json.loads(
        run("distance", "query", "d.dpk", "queries.npy", "--json", "--std", "--normalized").stdout
    )
    assert answers["values"] == found.query(Y, normalized=True).tolist()
    inspected = json.loads(run("inspect", "d.dpk", "--json").stdout)
    assert inspected["noise_std"] == found.noise_std()
    assert (
        "DistanceSum(metric='l2'"
        in run("distance", "build", "data.npy", "--metric", "l2", "--radius", "2", "--out", "l2.dpk").stdout
    )
    run(
        "distance",
        "build",
        "data.npy",
        "--metric",
        "lp",
        "--p",
        "0.5",
        "--low",
        "0",
        "--high",
        "1",
        "--out",
        "p.dpk",
    )
    for arguments, words in (
        (("distance", "build", "data.npy", "--out", "x"), "public domain"),
        (("distance", "build", "data.npy", "--low", "0", "--out", "x"), "--high"),
        (("distance", "build", "data.npy", "--metric", "l3", "--out", "x"), "metric"),
        (("kde", "query", "d.dpk", "queries.npy"), "not a 'kde'"),
    ):
        assert words in run(*arguments, code=2).stderr
    assert not (tmp_path / "x").exists()
