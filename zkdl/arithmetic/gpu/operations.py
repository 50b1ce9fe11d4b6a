"""The table of everything that runs on a device, and the way to an engine that has been tried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import BackendError
from .. import multilinear, sumcheck
from ..backend import on_processor
from ..field import Field, Fr
from ..generators import generators
from ..msm import msm, msm_rows
from . import field_ops, msm_ops, multilinear_ops, round_ops
from .array import DeviceArray
from .cupy_device import CupyDevice
from .engine import Engine, Operation

OPERATIONS: dict[str, Operation] = {
    **field_ops.OPERATIONS,
    **multilinear_ops.OPERATIONS,
    **round_ops.OPERATIONS,
    **msm_ops.OPERATIONS,
}

KERNEL_FILES = (
    "buckets",
    "elementwise",
    "fraction",
    "logup",
    "msm",
    "multilinear",
    "points",
    "sumcheck",
    "sumcheck_small",
)
"""Sources whose kernels the operations launch."""

_TRIED = 1 << 11


def open_engine() -> Engine:
    """An engine on this machine's CUDA device, after a self-test.

    Raises:
        BackendError: CuPy or a device is missing, kernels do not compile or run, or results are wrong.
    """
    device = CupyDevice()
    device.compile(KERNEL_FILES)
    engine = Engine(device, OPERATIONS)
    self_test(engine)
    return engine


def self_test(engine: Engine) -> None:
    """Compare one result of every kind with the processor's, on random inputs.

    A wrong result would only surface much later, as a proof that nobody accepts.

    Raises:
        BackendError: a result differs.
    """
    f, g = Fr.random(_TRIED), Fr.random(_TRIED)
    (r,) = Fr.to_ints(Fr.random(1))
    small = np.random.default_rng(r % 2**32).integers(-(1 << 15), 1 << 15, (4, _TRIED))
    points = np.tile(generators(64), (_TRIED // 64, 1))
    trials: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
        ("field.mul", Field.mul, (Fr, f, g)),
        ("field.inverse", Field.inverse, (Fr, f)),
        ("sumcheck.round_quadratic", sumcheck.round_quadratic, (f, g)),
        ("sumcheck.round_quadratic", sumcheck.round_quadratic, (small[0], f)),
        ("sumcheck.round_layer", sumcheck.round_layer, (f, f, g, g, f)),
        ("multilinear.vecmat", multilinear.vecmat, (f, np.ascontiguousarray(small.T))),
        ("msm_rows", msm_rows, (points, small)),
        ("msm", msm, (points, f)),
        # Last: it works in place.
        ("multilinear.fold_high", multilinear.fold_high, (f, r)),
    ]
    for name, function, args in trials:
        found = engine.call(name, on_processor(function), args, {})
        wanted = on_processor(function)(*args)
        if not np.array_equal(found.to_host() if isinstance(found, DeviceArray) else found, wanted):
            raise BackendError(f"gpu backend: {name} is wrong on {engine.device.name}; use the cpu backend")
