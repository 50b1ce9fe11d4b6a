"""Public randomness: the same on every machine, and of the right law."""

import hashlib
import math

import numpy as np
import pytest
from scipy import stats

from dpkit.similarity.stream import PublicStream, _log


def test_words_are_shake_256_of_the_documented_string():
    raw = hashlib.shake_256(b"dpkit public features v1|x|7|0").digest(8 * (1 << 16))
    raw += hashlib.shake_256(b"dpkit public features v1|x|7|1").digest(80)
    expected = np.frombuffer(raw, dtype="<u8")
    stream = PublicStream(7, "x")
    got = np.concatenate([stream.words(3), stream.words(0), stream.words((1 << 16) + 7)])
    assert (got == expected).all()


def test_first_values_are_pinned():
    """Exact bits: a change here would make saved releases unreadable and shards unmergeable."""
    assert PublicStream(0, "pin").uniforms(1)[0].hex() == "0x1.65c3a9229f878p-4"
    assert [v.hex() for v in PublicStream(0, "pin").normals(2)] == [
        "-0x1.6858baa77c6f1p-4",
        "0x1.22b6d69708154p-2",
    ]
    assert PublicStream(0, "pin").exponentials(1)[0].hex() == "0x1.380cd6797b33ep+1"


def test_log_agrees_with_the_mathematical_one():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.random(2000), 2.0 ** rng.uniform(-1000, 1000, 2000), [1.0, 0.5, math.sqrt(0.5)]])
    expected = np.log(x)
    assert np.abs(_log(x) - expected).max() <= 4e-16 * max(1.0, np.abs(expected).max())
    assert _log(np.array([1.0]))[0] == 0.0


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        ("uniforms", stats.uniform()),
        ("normals", stats.norm()),
        ("exponentials", stats.expon()),
    ],
)
def test_laws(draw, law):
    values = getattr(PublicStream(11, "law"), draw)(100_000)
    assert values.shape == (100_000,)
    assert stats.kstest(values, law.cdf).pvalue > 1e-3
    lag = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert abs(lag) < 0.02


def test_uniforms_are_inside_the_open_interval():
    values = PublicStream(5, "open").uniforms(200_000)
    assert values.min() > 0.0
    assert values.max() < 1.0


def test_seeds_and_labels_separate_streams():
    streams = [PublicStream(s, label).words(64) for s in (0, 1) for label in ("a", "b")]
    assert len({w.tobytes() for w in streams}) == 4
