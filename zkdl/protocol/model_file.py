"""A trained model as a file: its weights, and what opens the statement's commitment to them.

The file is a safetensors file. Its tensors are the float64 weights under the names that a PyTorch
`Sequential(Linear, ReLU, Linear, ...)` gives them (``0.weight`` of shape (d_1, d_0), ``0.bias``, ``2.weight``
...), exact multiples of 2^-w. Its metadata hold the digest of the statement, w, and the blinding factors of
the final commitment.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import FormatError, InputError
from zkdl.protocol.files import write_whole

__all__ = ["Model"]

_DIGEST, _SCALE, _BLINDS = "zkdl.statement", "zkdl.weight_scale", "zkdl.blinds"
# float64 holds every integer up to here.
_EXACT = 1 << 53


@dataclass(frozen=True)
class Model:
    """The final weights of a run, with the opening of the commitment to them.

    Args:
        weights: One (d_{l-1}, d_l) int64 array per layer, at scale 2^weight_scale.
        biases: One (d_l,) int64 array per layer at the same scale, or the empty list.
        weight_scale: w, bits behind the point.
        statement_digest: `Statement.digest` of the run.
        blinds: (rows, 32) bytes, the canonical little-endian blinding factor of every committed row.

    *Privacy*: the file shows the weights, and whoever holds it can show that they are the committed ones.
    """

    weights: list[NDArray[np.int64]]
    biases: list[NDArray[np.int64]]
    weight_scale: int
    statement_digest: bytes
    blinds: NDArray[np.uint8]

    def tensors(self) -> dict[str, NDArray[np.float64]]:
        """The real weights by PyTorch name; each exact.

        Raises:
            InputError: A weight has more than 53 bits, more than float64 can hold.
        """
        out = {}
        for layer, weight in enumerate(self.weights):
            out[f"{2 * layer}.weight"] = self._real(weight, f"layer {layer + 1}").T.copy()
            if self.biases:
                out[f"{2 * layer}.bias"] = self._real(self.biases[layer], f"layer {layer + 1}")
        return out

    def _real(self, values: NDArray[np.int64], name: str) -> NDArray[np.float64]:
        largest = max((abs(int(values.max())), abs(int(values.min())))) if values.size else 0
        if largest > _EXACT:
            raise InputError(
                f"{name}: a weight of {largest.bit_length()} bits cannot be written exactly as float64 "
                "(53 bits); train with a smaller weight_scale"
            )
        return values.astype(np.float64) * 2.0**-self.weight_scale

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all, readable by its owner only.

        Raises:
            InputError: A weight cannot be written exactly.
            OSError: The file could not be written.
        """
        from safetensors.numpy import save

        metadata = {
            "format": "pt",
            _DIGEST: self.statement_digest.hex(),
            _SCALE: str(self.weight_scale),
            _BLINDS: base64.b64encode(self.blinds.tobytes()).decode(),
        }
        write_whole(path, save(self.tensors(), metadata), mode=0o600)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a file that `save` wrote.

        Raises:
            FormatError: Not such a file: unreadable, a tensor missing or unknown, of another type or shape,
                or with a value that is no multiple of 2^-w.
            OSError: The file cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        with open(path, "rb"):
            pass  # a missing file is told by the operating system's own error
        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, ValueError, TypeError, AttributeError) as error:
            raise FormatError(f"{path}: not a readable safetensors file ({error})") from None
        return _build(os.fspath(path), metadata, tensors)


def _build(path: str, metadata: Mapping[str, str], tensors: dict[str, NDArray]) -> Model:
    for key in (_DIGEST, _SCALE, _BLINDS):
        if key not in metadata:
            raise FormatError(f"{path}: expected metadata {key!r}; write the file with `zkdl export`")
    try:
        digest = bytes.fromhex(metadata[_DIGEST])
        scale = int(metadata[_SCALE])
        blinds = np.frombuffer(base64.b64decode(metadata[_BLINDS], validate=True), np.uint8)
    except (ValueError, binascii.Error) as error:
        raise FormatError(f"{path}: metadata cannot be decoded ({error})") from None
    if len(digest) != 32 or not 0 <= scale <= 62 or blinds.size % 32:
        raise FormatError(
            f"{path}: expected a digest of 32 bytes, a scale of 0 to 62 bits and blinds of 32 bytes each, "
            f"got {len(digest)}, {scale} and {blinds.size} bytes"
        )
    bias = "0.bias" in tensors
    layers = len(tensors) // (2 if bias else 1)
    weights, biases = [], []
    for layer in range(layers):
        weights.append(_integers(path, tensors, f"{2 * layer}.weight", 2, scale).T.copy())
        if bias:
            biases.append(_integers(path, tensors, f"{2 * layer}.bias", 1, scale))
    if layers == 0 or len(weights) + len(biases) != len(tensors):
        raise FormatError(f"{path}: expected tensors 0.weight, 2.weight, ..., got {sorted(tensors)[:8]}")
    return Model(weights, biases, scale, digest, blinds.reshape(-1, 32))


def _integers(
    path: str, tensors: Mapping[str, NDArray], name: str, ndim: int, scale: int
) -> NDArray[np.int64]:
    values = tensors.get(name)
    if values is None or values.dtype != np.float64 or values.ndim != ndim:
        found = "none" if values is None else f"{values.dtype} of shape {values.shape}"
        raise FormatError(f"{path}: expected a float64 tensor {name} with {ndim} axes, got {found}")
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values * 2.0**scale
        # NaN and infinities fail every comparison.
        exact = (np.abs(scaled) <= _EXACT) & (np.floor(scaled) == scaled)
    if not exact.all():
        place = np.argwhere(~exact)[0].tolist()
        raise FormatError(
            f"{path}: entry {place} of {name} is {values[tuple(place)]!r}, no multiple of 2^-{scale} "
            "of at most 53 bits; the weights must be the exported ones, not rounded"
        )
    return scaled.astype(np.int64)
