"""Weights of a model as integers: of an exact export as they are, of any other rounded."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zkdl.errors import FormatError, InputError
from zkdl.protocol.model_file import Model

__all__ = ["integers", "read_tensors"]

Ints = NDArray[np.int64]
# float64 holds every integer up to here.
_EXACT = 1 << 53


def read_tensors(path: str | os.PathLike[str]) -> Model | dict[str, NDArray]:
    """Read a safetensors file: a `Model` where `zkdl export` wrote it, else its arrays by name.

    Raises:
        FormatError: Not a readable file of NumPy types.
        OSError: The file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):
        pass  # a missing file is told by the operating system's own error
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            if any(key.startswith("zkdl.") for key in file.metadata() or {}):
                return Model.load(path)
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{os.fspath(path)}: not a readable safetensors file ({error})") from None


def integers(
    model: Model | Mapping[str, NDArray], weight_scale: int | None, default_scale: int
) -> tuple[list[Ints], list[Ints], int]:
    """Weights and biases at scale 2^w.

    Args:
        model: An exact export, or arrays by the names that a PyTorch Sequential(Linear, ReLU, Linear, ...)
            gives them: ``0.weight`` of shape (d_1, d_0), ``0.bias``, ``2.weight``, ...
        weight_scale: w; by default that of an export, else ``default_scale``.

    Returns:
        One (d_{l-1}, d_l) array per layer, one (d_l,) array per layer or none, and w.

    Raises:
        InputError: Names or shapes do not fit, or a number is no finite one of at most 53 bits at that scale.
    """
    if isinstance(model, Model):
        if weight_scale in (None, model.weight_scale):
            return list(model.weights), list(model.biases), model.weight_scale
        model = model.tensors()
    scale = default_scale if weight_scale is None else weight_scale
    bias = "0.bias" in model
    layers = len(model) // (2 if bias else 1)
    names = [
        f"{2 * k}.{part}" for k in range(layers) for part in (("weight", "bias") if bias else ("weight",))
    ]
    if not names or set(names) != set(model):
        raise InputError(
            "model must hold tensors 0.weight, 0.bias, 2.weight, 2.bias, ... (or weights alone), named as by "
            f"PyTorch's Sequential(Linear, ReLU, Linear, ...); got {sorted(model)[:8]}"
        )
    weights = [_rounded(model, f"{2 * k}.weight", 2, scale).T.copy() for k in range(layers)]
    biases = [_rounded(model, f"{2 * k}.bias", 1, scale) for k in range(layers)] if bias else []
    for k, weight in enumerate(weights):
        if k and weight.shape[0] != weights[k - 1].shape[1]:
            raise InputError(
                f"{2 * k}.weight takes {weight.shape[0]} inputs, the layer before has "
                f"{weights[k - 1].shape[1]} outputs"
            )
        if biases and biases[k].shape != (weight.shape[1],):
            raise InputError(f"{2 * k}.bias must have shape {(weight.shape[1],)}, got {biases[k].shape}")
    return weights, biases, scale


def _rounded(model: Mapping[str, NDArray], name: str, ndim: int, scale: int) -> Ints:
    values = np.asarray(model[name])
    if values.dtype.kind != "f" or values.ndim != ndim or not values.size:
        raise InputError(
            f"{name} must be a float tensor with {ndim} axes, got {values.dtype} of shape {values.shape}"
        )
    with np.errstate(over="ignore"):
        scaled = np.rint(np.ldexp(values.astype(np.float64), scale))
    # NaN and infinities fail every comparison.
    good = np.abs(scaled) <= _EXACT
    if not good.all():
        place = np.argwhere(~good)[0].tolist()
        raise InputError(
            f"entry {place} of {name} is {values[tuple(place)]!r}, no finite number of at most 53 bits at "
            f"scale 2^{scale}"
        )
    return scaled.astype(np.int64)
