"""The small language model: word pieces by hand, the network beside a float64 twin in loops."""

import math

import numpy as np
import pytest

from benchmarks import _embeddings as embeddings

PIECES = "[PAD] [UNK] [CLS] [SEP] un ##believ ##able good food cafe ! . a ##a $ 你".replace(" ", "\n")


@pytest.fixture
def small(monkeypatch):
    """The same network with random weights, small enough for loops."""
    monkeypatch.setattr(embeddings, "WIDTH", 6)
    monkeypatch.setattr(embeddings, "HEADS", 2)
    monkeypatch.setattr(embeddings, "LAYERS", 2)
    rng = np.random.default_rng(0)
    weights = {
        "embeddings.word_embeddings.weight": rng.normal(size=(16, 6)),
        "embeddings.position_embeddings.weight": rng.normal(size=(8, 6)),
        "embeddings.token_type_embeddings.weight": rng.normal(size=(2, 6)),
    }
    dense = {"attention.self.query": 6, "attention.self.key": 6, "attention.self.value": 6,
             "attention.output.dense": 6, "intermediate.dense": 12}  # fmt: skip
    norms = ["embeddings.LayerNorm"]
    for k in range(2):
        name = f"encoder.layer.{k}"
        for part, out in dense.items():
            weights[f"{name}.{part}.weight"] = rng.normal(size=(out, 6))
            weights[f"{name}.{part}.bias"] = rng.normal(size=out)
        weights[f"{name}.output.dense.weight"] = rng.normal(size=(6, 12))
        weights[f"{name}.output.dense.bias"] = rng.normal(size=6)
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for name in norms:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = rng.normal(size=6), rng.normal(size=6)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def twin(w, row):
    """One text through the network, token by token, float64."""
    w = {name: value.astype(np.float64) for name, value in w.items()}

    def dense(v, name):
        return w[f"{name}.weight"] @ v + w[f"{name}.bias"]

    def norm(v, name):
        v = v - v.mean()
        return v / math.sqrt((v * v).mean() + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = [
        norm(
            w["embeddings.word_embeddings.weight"][token]
            + w["embeddings.position_embeddings.weight"][place]
            + w["embeddings.token_type_embeddings.weight"][0],
            "embeddings.LayerNorm",
        )
        for place, token in enumerate(row)
    ]
    for k in range(2):
        name = f"encoder.layer.{k}"
        q, key, value = (
            [dense(v, f"{name}.attention.self.{p}") for v in x] for p in ("query", "key", "value")
        )
        mixed = []
        for i in range(len(x)):
            heads = []
            for h in (slice(0, 3), slice(3, 6)):
                odds = [math.exp(q[i][h] @ key[j][h] / math.sqrt(3)) for j in range(len(x))]
                heads.append(sum(o * value[j][h] for j, o in enumerate(odds)) / sum(odds))
            mixed.append(dense(np.concatenate(heads), f"{name}.attention.output.dense"))
        x = [norm(a + b, f"{name}.attention.output.LayerNorm") for a, b in zip(x, mixed, strict=True)]
        for i, v in enumerate(x):
            inner = [
                t * 0.5 * (1 + math.erf(t / math.sqrt(2))) for t in dense(v, f"{name}.intermediate.dense")
            ]
            x[i] = norm(v + dense(np.array(inner), f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean = np.mean(x, axis=0)
    return mean / np.linalg.norm(mean)


def test_the_network_is_its_twin_whatever_stands_beside_a_text(small):
    rows = [[2, 7, 8, 3], [2, 3], [2, 4, 5, 6, 10, 3], [2, 9, 3]]
    found = embeddings.Model(small)(rows, chunk=3)
    assert np.allclose(found, [twin(small, row) for row in rows], atol=2e-5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    alone = [embeddings.Model(small)([row])[0] for row in rows]
    assert np.allclose(found, alone, atol=2e-6)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Unbelievable food!", "un ##believ ##able food !"),
        ("Good\tCAFÉ.good", "good cafe . good"),
        ("a$a 你a", "a $ a 你 a"),
        ("tasty", "[UNK]"),
        ("unb", "[UNK]"),
        ("a" * 100, "a" + " ##a" * 99),
        ("a" * 101, "[UNK]"),
        ("", ""),
    ],
)
def test_texts_become_pieces(text, pieces):
    tokens = embeddings.Tokens(PIECES)
    expected = [tokens.places[piece] for piece in ["[CLS]", *pieces.split(), "[SEP]"]]
    assert tokens(text, most=200) == expected
    assert tokens(text, most=4) == [*expected[:-1][:3], tokens.last]


def test_other_inputs_are_refused():
    with pytest.raises(
        embeddings.OtherInputError, match=r"vocab\.txt has SHA-256 e3b0.*figures are about 07e"
    ):
        embeddings.checked(b"", "vocab.txt")
