"""`dpkit inspect --html`: the page says what the release holds, and a file's words stay words."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import dpkit
from dpkit._inspection import _best_guess, release_page
from dpkit.cli import app
from dpkit.release import Sealed, read_file, seal


@pytest.fixture(scope="module")
def records():
    return np.random.default_rng(0).uniform(size=(400, 3))


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.parametrize(
    "make",
    [
        lambda X: dpkit.KDE(X, features=64),
        lambda X: dpkit.KDE(X, features=64, delta=1e-6, bounds=(0, 1), neighbours="replace"),
        lambda X: dpkit.KDE(X, "laplacian", features=32, structure="hash"),
        lambda X: dpkit.KDE(X, "cauchy", features=33, structure="exponentials", neighbours="replace"),
        lambda X: dpkit.KDE(X, features=64, reduce=2, radius=2.0),
        lambda X: dpkit.DistanceSum(X, bounds=(0, 1)),
        lambda X: dpkit.DistanceSum(X, bounds=(0, 1), structure="tree", depth=4),
        lambda X: dpkit.DistanceSum(X, bounds=(0, 1), structure="two-tree", depth=4),
        lambda X: dpkit.DistanceSum(X, metric="l2", radius=2.0, features=8, delta=1e-6),
        lambda X: dpkit.DistanceSum(X, metric="lp", p=0.5, bounds=(0, 1)),
        lambda X: dpkit.DistanceSum(X, metric="sqeuclidean", bounds=(0, 1)),
        lambda X: dpkit.KDE(X[:0], features=1),
    ],
)
def test_every_release_has_a_page(records, make):
    release = make(records)
    page = release_page(release, "a.dpk", 1234, records[:5]).html()
    assert f"± {dpkit._page.number_text(release.noise_std(), 3)}" in page
    assert str(release.neighbours) in page
    assert "operating-system" in page
    assert "Take care" not in page
    for words in ("What it promises", "Neighbour relation", "structure: ", "Error against the query"):
        assert words in page
    assert "see below" not in page
    for key in release.public:
        assert key in page
    values = release.query(records[:5])
    assert all(dpkit._page.number_text(float(v)) in page for v in values)
    assert len(page) < 200_000


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"similarity": "gaussian", "features": 64},
        {"similarity": "laplacian", "features": 64},
        {"similarity": "l1"},
        {"similarity": "l2", "features": 4},
        {"similarity": "lp", "p": 1.5},
        {"delta": 0.0, "neighbours": "replace"},
    ],
)
def test_every_class_of_a_classifier_has_a_page(records, arguments, tmp_path):
    model = dpkit.SimilarityClassifier(classes=[0, 1], **arguments)
    model.fit(records, (records.sum(axis=1) > 1.5).astype(int))
    model.releases_[1].save(tmp_path / "one.dpk")
    done = run("inspect", tmp_path / "one.dpk", "--html", tmp_path / "one.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "one.html").read_text("utf-8")
    for words in ("What it promises", "add-remove", "structure: ", "Error against the query"):
        assert words in page


@pytest.mark.parametrize("kind", ["Counter", "Histogram", "MaxSum"])
def test_the_secret_state_of_a_stream_is_refused_as_what_it_is(kind, tmp_path):
    stream = dpkit.Counter(rho=0.5) if kind == "Counter" else getattr(dpkit, kind)(2, rho=0.5, horizon=8)
    (tmp_path / "a.state").write_bytes(stream.state())
    done = run("inspect", tmp_path / "a.state", "--html", tmp_path / "page.html")
    assert done.exit_code == 2
    assert "secret state of a stream" in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_a_whole_page_or_none(records, tmp_path):
    release, out = tmp_path / "kde.dpk", tmp_path / "page.html"
    kde = dpkit.KDE(records, features=64)
    kde.save(release)
    done = run("inspect", release, "--html", out)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == f"{out}: {out.stat().st_size} bytes"
    assert out.read_text("utf-8").endswith("</html>\n")

    np.save(tmp_path / "q.npy", records[:4])
    both = run("inspect", release, "--html", out, "--queries", tmp_path / "q.npy", "--json")
    assert json.loads(both.stdout)["count"] == kde.count
    assert "Answers to the queries that were asked" in out.read_text("utf-8")

    kept = out.read_bytes()
    np.save(tmp_path / "wide.npy", np.zeros((2, 5)))
    for wrong in (
        ("inspect", release, "--html", out, "--queries", tmp_path / "wide.npy"),
        ("inspect", tmp_path / "q.npy", "--html", out),
        ("inspect", release, "--html", tmp_path / "nowhere" / "page.html"),
        ("inspect", release, "--queries", tmp_path / "q.npy"),
    ):
        done = run(*wrong)
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith("dpkit: ")
        assert out.read_bytes() == kept


def test_a_file_cannot_inject_and_foreign_noise_is_pointed_out(records, tmp_path):
    path, out = tmp_path / "a<script>alert(1)<&script>.dpk", tmp_path / "page.html"
    dpkit.KDE(records, features=64).save(path)
    sealed = read_file(path)
    origin = "</style><script>alert(2)</script>\u202e"
    path.write_bytes(seal(Sealed(sealed.kind, {**sealed.public, "noise": origin}, sealed.arrays)))
    done = run("inspect", path, "--html", out)
    assert done.exit_code == 0, done.output
    page = out.read_text("utf-8")
    assert "<script" not in page
    assert "\u202e" not in page
    assert "alert(2)" in page
    assert "Take care" in page


@pytest.mark.parametrize(
    ("epsilon", "delta", "expected"), [(1.0, 0.0, 0.7311), (1e-9, 0.0, 0.5), (900.0, 0.0, 1.0)]
)
def test_best_guess(epsilon, delta, expected):
    assert _best_guess(dpkit.PureDP(epsilon)) == pytest.approx(expected, abs=1e-4)
    assert _best_guess(dpkit.ApproxDP(epsilon, 0.2)) == pytest.approx(
        min(1.0, expected + 0.2 / (1 + np.exp(min(epsilon, 700)))), abs=1e-4
    )
