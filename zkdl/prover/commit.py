"""Committing to records or weights once: rounded, committed, proved to be in range."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zkdl import arithmetic as za
from zkdl.errors import InputError
from zkdl.protocol.commitment import commit_rows
from zkdl.protocol.layout import choose_row_bits, log2_ceil, weight_rows
from zkdl.protocol.model_file import Model
from zkdl.protocol.settings import Settings
from zkdl.protocol.table_kinds import DataTable, WeightTable
from zkdl.prover.randomness import OSRandomness, Randomness
from zkdl.prover.table import prove_table
from zkdl.training.committed import CommittedData, CommittedWeights
from zkdl.training.fit import Progress
from zkdl.training.model_weights import integers, read_tensors
from zkdl.training.quantise import check_features, check_targets, quantise

__all__ = ["commit_data", "commit_weights"]

_PLACES = 3
"""Bits in front of the point that weights get by default: |W| < 8."""


def commit_data(
    X: object,
    y: object,
    *,
    activation_scale: int | None = None,
    activation_bits: int | None = None,
    classes: int | None = None,
    test: tuple[object, object] | None = None,
    progress: Progress | None = None,
    randomness: Randomness | None = None,
) -> CommittedData:
    """Commit to records once and prove that every number is in range, for any number of runs.

    Args:
        X: (n, d) features; rounded to the nearest multiple of 2^-f, halves to even.
        y: (n,) integer labels, committed as one-hot targets, or (n, k) real regression targets.
        activation_scale: f; 10 by default. Every run on these records has this scale,
        activation_bits: and this width; 16 by default.
        classes: Number of classes; one more than the largest label by default.
        test: Held-out ``(X, y)``, kept beside the records to report accuracy on; not committed.
        progress: Called with a phase name and a fraction.
        randomness: Source of blinding; the operating system's by default.

    Returns:
        The committed records: ``zkdl.train(data=committed)`` trains on them, ``committed.save(directory)``.

    Raises:
        InputError: An argument is not acceptable; NaN, infinities and values out of range included.

    *Privacy*: ``committed.table`` and ``committed.proof`` are public: they show n, d, the number of outputs
    and the settings. Everything else is private.

    Example:
        >>> import zkdl
        >>> data = zkdl.commit_data([[0.0, 1.0], [1.0, 0.0]], [0, 1], activation_scale=4, activation_bits=8)
        >>> data.table.rows, data.table.columns
        (2, 4)
        >>> zkdl.verify_table(data.table, data.proof)
    """
    settings = _data_settings(activation_scale, activation_bits)
    features = check_features(X)
    targets, classes = check_targets(y, len(features), classes)
    held_out = None
    if test is not None:
        x_test = check_features(test[0], "X_test")
        y_test, _ = check_targets(test[1], len(x_test), classes, "y_test")
        if (x_test.shape[1], y_test.shape[1]) != (features.shape[1], targets.shape[1]):
            raise InputError(
                f"test has {x_test.shape[1]} features and {y_test.shape[1]} outputs, expected "
                f"{features.shape[1]} and {targets.shape[1]}"
            )
        held_out = (x_test, y_test if classes is None else np.argmax(y_test, axis=1))
    data = np.hstack([quantise(features, settings, "X"), quantise(targets, settings, "y")])
    source = randomness or OSRandomness()
    blinds = np.ascontiguousarray(source.elements(len(data)))
    table = DataTable(
        settings.activation_bits,
        settings.activation_scale,
        _commit(data, blinds, progress),
        features.shape[1],
        targets.shape[1],
    )
    proof = prove_table(table, data, blinds, check=False, progress=progress, randomness=source)
    return CommittedData(table, proof, data, blinds, classes, held_out)


def commit_weights(
    model: Model | Mapping[str, NDArray] | str | os.PathLike[str],
    *,
    weight_scale: int | None = None,
    bits: int | None = None,
    row_bits: int | None = None,
    progress: Progress | None = None,
    randomness: Randomness | None = None,
) -> CommittedWeights:
    """Commit to weights once and prove that every one is in range, for runs to start from.

    Args:
        model: What `zkdl.export` gives, taken exactly; or arrays by their PyTorch names (``0.weight`` of
            shape (d_1, d_0), ``0.bias``, ``2.weight``, ...), rounded to multiples of 2^-w, halves to even; or
            the path of a safetensors file with either.
        weight_scale: w; 32 by default, or what an exact export has. Every run from these weights has this
            scale.
        bits: b, weights lie in [-2^(b-1), 2^(b-1)); by default w + 4, that is |W| < 8. It is public: choose
            it without looking at the weights.
        row_bits: A committed row has 2^row_bits entries; runs take it over. By default as for a short run.
        progress: Called with a phase name and a fraction.
        randomness: Source of blinding; the operating system's by default.

    Returns:
        The committed weights: ``zkdl.train(X, y, initial=committed)`` starts from them.

    Raises:
        InputError: An argument is not acceptable, or a weight does not fit in ``bits``.
        FormatError: The file is malformed.

    *Privacy*: ``committed.table`` and ``committed.proof`` are public: they show widths, scale and bits.

    Example:
        >>> import zkdl
        >>> weights = zkdl.commit_weights({"0.weight": np.array([[0.5, -0.25]])}, weight_scale=12, bits=14)
        >>> weights.table.widths, weights.weights[0].tolist()
        ((2, 1), [[2048], [-1024]])
    """
    if isinstance(model, (str, os.PathLike)):
        model = read_tensors(model)
    for name, value in (("weight_scale", weight_scale), ("bits", bits), ("row_bits", row_bits)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer))):
            raise InputError(f"{name} must be an integer, got {value!r}")
    Settings(**({} if weight_scale is None else {"weight_scale": int(weight_scale)}))
    weights, biases, scale = integers(model, weight_scale, Settings().weight_scale)
    bits = scale + _PLACES + 1 if bits is None else int(bits)
    widths = (weights[0].shape[0], *(weight.shape[1] for weight in weights))
    if row_bits is None:
        row_bits = choose_row_bits(widths, bool(biases), 64, 8, Settings().limb_widths)
    if int(row_bits) < log2_ceil(widths[0] + widths[-1]):
        raise InputError(
            f"row_bits must be at least {log2_ceil(widths[0] + widths[-1])}, so that a record of "
            f"{widths[0] + widths[-1]} numbers fits in a row, got {row_bits}"
        )
    _check_magnitude(weights, biases, bits, scale)
    empty = WeightTable(bits, scale, b"", widths, bool(biases), int(row_bits))
    probe = WeightTable(bits, scale, bytes(48 * empty.rows), widths, bool(biases), int(row_bits))
    probe.validate()
    rows = weight_rows(widths, bool(biases), int(row_bits), weights, biases)
    source = randomness or OSRandomness()
    blinds = np.ascontiguousarray(source.elements(len(rows)))
    table = WeightTable(bits, scale, _commit(rows, blinds, progress), widths, bool(biases), int(row_bits))
    proof = prove_table(table, rows, blinds, check=False, progress=progress, randomness=source)
    return CommittedWeights(table, proof, weights, biases, blinds)


def _data_settings(scale: int | None, bits: int | None) -> Settings:
    given = {"activation_scale": scale, "activation_bits": bits}
    fixed = {name: value for name, value in given.items() if value is not None}
    wanted = {**{name: getattr(Settings(), name) for name in given}, **fixed}
    for name, value in wanted.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise InputError(f"{name} must be an integer, got {value!r}")
    # The other fields do not matter here: they only have to leave room for these two.
    return Settings(
        **wanted,
        gradient_scale=max(wanted["activation_scale"], Settings().gradient_scale),
        limb_bits=max(wanted["activation_bits"], Settings().limb_bits),
    )


def _commit(rows: NDArray[np.int64], blinds: NDArray[np.uint64], progress: Progress | None) -> bytes:
    if progress is not None:
        progress("commit", 0.0)
    return b"".join(za.g1.to_bytes(commit_rows(rows, blinds)))


def _check_magnitude(
    weights: list[NDArray[np.int64]], biases: list[NDArray[np.int64]], bits: int, scale: int
) -> None:
    limit = 1 << (max(bits, 1) - 1)
    for name, parts in (("weight", weights), ("bias", biases)):
        for k, part in enumerate(parts):
            bad = (part < -limit) | (part >= limit)
            if bad.any():
                value = int(part[tuple(np.argwhere(bad)[0])])
                raise InputError(
                    f"{2 * k}.{name} holds {value / 2**scale:g}, which does not fit in {bits} bits at scale "
                    f"2^{scale}: it must lie in [{-limit / 2**scale:g}, {limit / 2**scale:g}); raise bits"
                )
