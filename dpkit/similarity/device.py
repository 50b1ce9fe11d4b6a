"""Build and query of Fourier features over an array module: CuPy on a GPU, NumPy in tests.

The integers are those of the compiled loops, bit for bit. Phases modulo 2^32 come from products of limbs of
16 bits: below 2^53 for d up to 2^20, so a double-precision matrix product is exact in whatever order a device
adds. The rest is shifts, table look-ups and integer sums. Noise
is never drawn here: exact sums come back and meet noise on the processor.

*Privacy*: the same map, hence the same proof. Exact sums lie in the device's memory while a chunk is added.
"""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpkit._arrays import on_host
from dpkit.errors import ArgumentError, DpkitError
from dpkit.similarity.fourier import COORDINATE_BITS, FAR, FourierMap
from dpkit.similarity.phases import INDEX_BITS, PHASE_BITS

__all__ = ["BACKENDS", "MAX_COLUMNS", "add_on", "answer_on", "array_module", "check_backend"]

BACKENDS = ("cpu", "gpu")
MAX_COLUMNS = 1 << 20
_LIMB_BITS = 16
_CHUNK_NUMBERS = 1 << 24  # entries of a (rows, m) array: 128 MiB


def array_module() -> Any:
    """Return CuPy, where it is installed and finds a device.

    Raises:
        DpkitError: it is not, or it does not.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as cause:
        raise DpkitError(
            "backend='gpu' needs CuPy: pip install 'dpkit-zkdl[gpu]', or use backend='cpu'"
        ) from cause
    try:
        devices = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as cause:
        raise DpkitError(f"backend='gpu' found no usable CUDA device ({cause}); use backend='cpu'") from cause
    if devices < 1:
        raise DpkitError("backend='gpu' found no CUDA device; use backend='cpu'")
    return cupy


def check_backend(backend: object) -> str:
    """Return the backend's name; for `gpu` make sure that there is one."""
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise ArgumentError(f"backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    if backend == "gpu":
        array_module()
    return backend


def _integers(xp: Any, points: Any, features: FourierMap, clip: bool) -> Any:
    """Return what `FourierMap.integers` returns, by the same correctly rounded operations."""
    values, nan = xp.asarray(points, dtype=xp.float64), 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # of the processor's NumPy; devices raise nothing
        if clip and features.bounds is not None:
            low, high = xp.asarray(features.bounds[0]), xp.asarray(features.bounds[1])
            nan = (low / 2 + high / 2) / features.bandwidth
            values = xp.clip(values, low, high)
        values = values / features.bandwidth
        scaled = xp.where(xp.isnan(values), nan, values) * float(1 << COORDINATE_BITS)
    return xp.clip(xp.rint(scaled), -float(FAR), float(FAR)).astype(xp.int64) & ((1 << PHASE_BITS) - 1)


def _limbs(xp: Any, integers: Any) -> list[Any]:
    """Return low and high half, float64, of integers in [0, 2^32)."""
    return [
        (integers & ((1 << _LIMB_BITS) - 1)).astype(xp.float64),
        (integers >> _LIMB_BITS).astype(xp.float64),
    ]


def _indices(xp: Any, integers: Any, words: list[Any]) -> Any:
    """Return table places of all phases, (rows, m) int64."""
    low, high = _limbs(xp, integers)
    cross = (low @ words[1]).astype(xp.int64) + (high @ words[0]).astype(xp.int64)
    cross = (cross & ((1 << _LIMB_BITS) - 1)) << _LIMB_BITS
    phases = cross + (low @ words[0]).astype(xp.int64)  # high times high: whole turns
    shift = PHASE_BITS - INDEX_BITS
    return ((phases + (1 << (shift - 1))) >> shift) & ((1 << INDEX_BITS) - 1)


def _words(xp: Any, features: FourierMap) -> list[Any]:
    if features.columns > MAX_COLUMNS:
        raise ArgumentError(f"backend='gpu' takes at most {MAX_COLUMNS} columns, got {features.columns}")
    return _limbs(xp, xp.asarray(np.ascontiguousarray(features.words.T).astype(np.int64)))


def _chunks(points: Any, features: FourierMap) -> list[slice]:
    rows = max(1, _CHUNK_NUMBERS // max(features.features, features.columns))
    return [slice(start, start + rows) for start in range(0, len(points), rows)]


def add_on(xp: Any, sums: NDArray[np.uint64], points: Any, features: FourierMap) -> None:
    """Add the contributions of records to the sums, (2, m) uint64, modulo 2^64, in place.

    Args:
        xp: the array module.
        sums: on the processor.
        points: (rows, d) real, of NumPy or of `xp`.
        features: the public map.
    """
    words, pairs = _words(xp, features), xp.asarray(features.pairs.T.astype(np.int64))
    for chunk in _chunks(points, features):
        places = _indices(xp, _integers(xp, points[chunk], features, clip=True), words)
        parts = [table[places].sum(axis=0) for table in pairs]
        sums += np.stack([np.asarray(on_host(part)) for part in parts]).view(np.uint64)


def answer_on(
    xp: Any, sums: NDArray[np.int64], points: Any, features: FourierMap, block: int
) -> NDArray[np.float64]:
    """Return what `dpkit.similarity.sums.answer` returns, but for the order in which floats are added.

    Args:
        xp: the array module.
        sums: (2, m) int64, noisy, in grid units.
        points: (rows, d) real queries, of NumPy or of `xp`.
        features: the public map.
        block: terms that belong together.
    """
    words, pairs = _words(xp, features), xp.asarray(features.pairs.T.astype(np.float64))
    cosines, sines = xp.asarray(sums * float(4.0**-features.grid_bits))
    m = features.features
    starts = range(0, m, block)
    sizes = xp.asarray(np.array([min(block, m - start) for start in starts], dtype=np.float64))
    found = []
    for chunk in _chunks(points, features):
        places = _indices(xp, _integers(xp, points[chunk], features, clip=False), words)
        terms = cosines * pairs[0][places] + sines * pairs[1][places]
        padded = xp.zeros((len(terms), len(starts) * block))
        padded[:, :m] = terms
        blocks = padded.reshape(len(terms), len(starts), block).sum(axis=2)
        parts = [terms.sum(axis=1), (blocks * blocks).sum(axis=1), blocks @ sizes]
        found.append(np.stack([np.asarray(on_host(part)) for part in parts], axis=1))
    return np.concatenate(found) if found else np.empty((0, 3))
