"""Data for proofs of training: real images where they fit, else a public synthetic set of colour images."""

from __future__ import annotations

import numpy as np

from zkdl.protocol.stream import integers
from zkdl.training import datasets

_DOMAIN = b"dpkit-zkdl/benchmark-images/v1"
_SIDE, _CHANNELS, _CLASSES, _WAVES = 32, 3, 10, 6


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features in [0, 1] and labels of ``digits``, ``mnist5k`` or ``images32-N`` (N synthetic records)."""
    if name.startswith("images32-"):
        return images(int(name.partition("-")[2]))
    data = datasets.load(name)
    return data.X, data.y


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic images: (count, 3072) features k / 255 and labels, the same numbers on every machine.

    A class is a sum of a few plane waves in each colour; a record shifts them, changes their strength and
    adds noise. Most pixels are dark, as in photographs of objects on a plain ground. All randomness is a
    SHAKE-256 stream.
    """
    labels = integers(_DOMAIN, (0,), count, _CLASSES)
    waves = _uniform(1, (_CLASSES, _CHANNELS, _WAVES, 3))
    strength = 0.7 + 0.6 * _uniform(2, (count, 1, 1, 1))
    shift = 0.15 * _uniform(3, (count, _WAVES))
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    out = np.empty((count, _CHANNELS * _SIDE * _SIDE))
    step = 256
    for first in range(0, count, step):
        part = slice(first, min(count, first + step))
        chosen = waves[labels[part]]
        kx, ky, phase = (chosen[..., k, None, None] for k in range(3))
        moved = phase + shift[part][:, None, :, None, None]
        plane = np.cos(2 * np.pi * (3 * kx * x + 3 * ky * y + moved)).mean(axis=2)
        out[part] = np.maximum(0.0, strength[part] * plane).reshape(len(plane), -1)
    noise = integers(_DOMAIN, (4,), out.size, 33).reshape(out.shape)
    return np.clip(np.rint(255 * out) + noise - 16, 0, 255) / 255.0, labels


def _uniform(key: int, shape: tuple[int, ...]) -> np.ndarray:
    return integers(_DOMAIN, (key,), int(np.prod(shape)), 1 << 32).reshape(shape) / 2.0**32
