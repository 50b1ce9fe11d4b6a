"""The prime fields of BLS12-381: arrays of elements in, arrays out.

An array of elements is `(..., limbs)` uint64: little-endian 64-bit limbs of x R mod p with R = 2^(64 limbs)
(Montgomery form), always fully reduced, so equal elements have equal limbs. Zero is all zeros.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import field_kernels as kernels
from .backend import switched
from .device.tags import FQ_TAG, FR_TAG
from .device.words import Q_MODULUS, R_MODULUS
from .errors import DecodeError, NotCanonical
from .paths import lane_count, scalar_tag, vector_tag
from .threads import over_range

# Elements a thread must get before a second thread pays: about 40 microseconds of additions.
_GRAIN = 4096

# Below so many elements several lanes save less than choosing them costs.
_SHORT = 16


class Field:
    """A prime field: constants, conversions, and arithmetic on arrays of its elements.

    Use the two instances `Fr` (scalars, 4 limbs) and `Fq` (coordinates, 6 limbs). Every argument named `a` or
    `b` is an array of elements whose last axis holds the limbs; `b` may be a single element, `(limbs,)` or
    `(1, limbs)`, that meets every element of `a` (and the other way round).

    Example:
        >>> a = Fr.from_ints([1, 2, -3])
        >>> Fr.to_ints(Fr.mul(a, Fr.from_ints([10])))[:2]
        [10, 20]
    """

    def __init__(self, name: str, modulus: int, limbs: int, nbytes: int, tag: Any) -> None:
        self.name = name
        self.modulus = modulus
        self.limbs = limbs
        self.nbytes = nbytes
        self.tag = tag
        self._radix = 1 << (64 * limbs)
        self._radix_inverse = pow(self._radix, -1, modulus)
        self._one = self._words([self._radix % modulus])

    def __repr__(self) -> str:
        return f"Field({self.name})"

    def tag_for(self, n: int) -> Any:
        """The tag for kernels over n elements: of the path in use, or of the scalar one where n is small."""
        return vector_tag(self.name) if n >= max(_SHORT, lane_count()) else scalar_tag(self.name)

    # Conversions -----------------------------------------------------------------------------------------

    def from_ints(self, values: Iterable[int]) -> np.ndarray:
        """Python integers of any size or sign, reduced mod p.

        Args:
            values: integers.

        Returns:
            `(n, limbs)` elements.
        """
        p, radix = self.modulus, self._radix
        return self._words([int(value) * radix % p for value in values])

    @switched("field.to_ints")
    def to_ints(self, a: np.ndarray) -> list[int]:
        """The elements as Python integers in [0, p), in the array's order."""
        flat = self._flat(a)
        width = 8 * self.limbs
        if flat.size <= 8 * self.limbs:
            p, back = self.modulus, self._radix_inverse
            raw = flat.tobytes()
            return [
                int.from_bytes(raw[k : k + width], "little") * back % p for k in range(0, len(raw), width)
            ]
        raw = self.to_bytes(a)
        width = self.nbytes
        return [int.from_bytes(raw[k : k + width], "little") for k in range(0, len(raw), width)]

    @switched("field.from_int64")
    def from_int64(self, values: np.ndarray) -> np.ndarray:
        """An array of signed machine integers as elements.

        Args:
            values: integer array of any shape; any signed or unsigned dtype whose values fit int64.

        Returns:
            `values.shape + (limbs,)` elements.

        Raises:
            TypeError: `values` is not an integer array.
            OverflowError: an unsigned value at or above 2^63.
        """
        plain = as_int64(values, "values")
        out = np.empty((*plain.shape, self.limbs), np.uint64)
        source, target = plain.reshape(-1), out.reshape(-1)
        tag = self.tag_for(plain.size)
        over_range(lambda i, j: kernels.from_signed(tag, target, source, i, j), plain.size, _GRAIN)
        return out

    @switched("field.to_bytes")
    def to_bytes(self, a: np.ndarray) -> bytes:
        """Canonical little-endian encodings, `nbytes` each, joined."""
        flat = self._flat(a)
        plain = np.empty_like(flat)
        n = flat.size // self.limbs
        kernels.from_montgomery(self.tag_for(n), plain, flat, n)
        return plain.astype("<u8", copy=False).tobytes()

    def from_bytes(self, data: bytes | bytearray | memoryview) -> np.ndarray:
        """The inverse of `to_bytes`.

        Args:
            data: joined canonical encodings.

        Returns:
            `(n, limbs)` elements.

        Raises:
            DecodeError: the length is not a multiple of `nbytes`.
            NotCanonical: an encoding of p or more.
        """
        raw = bytes(data)
        if len(raw) % self.nbytes:
            raise DecodeError(
                f"data: expected a multiple of {self.nbytes} bytes ({self.name} elements), got {len(raw)}"
            )
        plain = np.frombuffer(raw, "<u8").astype(np.uint64)
        out = np.empty_like(plain)
        n = plain.size // self.limbs
        bad = kernels.to_montgomery(self.tag_for(n), self.tag, out, plain, n)
        if bad >= 0:
            raise NotCanonical(f"data: element {bad} is not below the {self.name} modulus; encode it reduced")
        return out.reshape(-1, self.limbs)

    # Constants and samples -------------------------------------------------------------------------------

    @switched("field.zeros")
    def zeros(self, n: int) -> np.ndarray:
        """n zeros."""
        return np.zeros((n, self.limbs), np.uint64)

    @switched("field.ones")
    def ones(self, n: int) -> np.ndarray:
        """n ones."""
        out = np.empty((n, self.limbs), np.uint64)
        out[:] = self._one
        return out

    def random(self, n: int) -> np.ndarray:
        """n uniform elements from the operating system's entropy.

        Each is an integer of twice the field's width reduced mod p: within 2^-250 of uniform.
        """
        size = n * self.limbs
        raw = np.frombuffer(os.urandom(16 * size), np.uint64)
        out = np.empty(size, np.uint64)
        kernels.wide_to_montgomery(self.tag, out, raw[:size].copy(), raw[size:].copy(), n)
        return out.reshape(n, self.limbs)

    # Arithmetic ------------------------------------------------------------------------------------------

    @switched("field.add")
    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a + b."""
        return self._binary(kernels.add_many, a, b, light=True)

    @switched("field.sub")
    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b."""
        return self._binary(kernels.sub_many, a, b, light=True)

    @switched("field.mul")
    def mul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a b, element by element."""
        return self._binary(kernels.mul_many, a, b)

    @switched("field.square")
    def square(self, a: np.ndarray) -> np.ndarray:
        """a^2."""
        flat = self._flat(a)
        out = np.empty_like(flat)
        n = flat.size // self.limbs
        tag = self.tag_for(n)
        over_range(lambda i, j: kernels.square_many(tag, out, flat, i, j), n, _GRAIN)
        return out.reshape(np.shape(a))

    @switched("field.neg")
    def neg(self, a: np.ndarray) -> np.ndarray:
        """-a."""
        flat = self._flat(a)
        out = np.empty_like(flat)
        n = flat.size // self.limbs
        kernels.neg_many(self._light_tag(n), out, flat, n)
        return out.reshape(np.shape(a))

    @switched("field.scale")
    def scale(self, a: np.ndarray, factor: int) -> np.ndarray:
        """factor a for one Python integer of any size or sign."""
        return self._binary(kernels.mul_many, a, self.from_ints([factor])[0])

    @switched("field.inverse")
    def inverse(self, a: np.ndarray) -> np.ndarray:
        """1 / a for every element, with one inversion and three products each.

        Raises:
            ZeroDivisionError: an element is zero.
        """
        flat = self._flat(a)
        out = np.empty_like(flat)
        n = flat.size // self.limbs
        bad = kernels.invert_many(self.tag_for(n), self.tag, out, flat, n) if n else -1
        if bad >= 0:
            raise ZeroDivisionError(f"a: element {bad} is zero and has no inverse in {self.name}")
        return out.reshape(np.shape(a))

    @switched("field.sum")
    def sum(self, a: np.ndarray) -> np.ndarray:
        """The sum of all elements, `(1, limbs)`."""
        flat = self._flat(a)
        out = np.empty((1, self.limbs), np.uint64)
        n = flat.size // self.limbs
        kernels.sum_many(self.tag_for(n), self.tag, out.reshape(-1), flat, n)
        return out

    @switched("field.inner")
    def inner(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The inner product of two arrays with equally many elements, `(1, limbs)`."""
        left, right = self._flat(a), self._flat(b)
        if left.size != right.size:
            raise ValueError(
                f"b: expected {left.size // self.limbs} elements like a, got {right.size // self.limbs}"
            )
        n = left.size // self.limbs
        tag = self.tag_for(n)

        def part(start: int, stop: int) -> np.ndarray:
            out = np.empty(self.limbs, np.uint64)
            kernels.inner_many(tag, self.tag, out, left, right, start, stop)
            return out

        parts = over_range(part, n, _GRAIN)
        return parts[0].reshape(1, -1) if len(parts) == 1 else self.sum(np.stack(parts))

    def equal(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether a and b hold the same elements; one element broadcasts over many."""
        left, right = np.asarray(a), np.asarray(b)
        try:
            np.broadcast_shapes(left.shape, right.shape)
        except ValueError:
            return False
        return bool(np.all(left == right))

    # Private ---------------------------------------------------------------------------------------------

    def _words(self, values: list[int]) -> np.ndarray:
        width = 8 * self.limbs
        raw = b"".join([value.to_bytes(width, "little") for value in values])
        return np.frombuffer(raw, "<u8").astype(np.uint64).reshape(-1, self.limbs)

    def _flat(self, a: np.ndarray) -> np.ndarray:
        return flat_limbs(a, self.limbs, self.name)

    def _light_tag(self, n: int) -> Any:
        """The tag for n additions: alone, they do not pay for bringing four elements into lanes."""
        return self.tag_for(n) if lane_count() >= 8 else self.tag

    def _binary(self, operation: Any, a: np.ndarray, b: np.ndarray, light: bool = False) -> np.ndarray:
        left, right = self._flat(a), self._flat(b)
        limbs = self.limbs
        n, m = left.size // limbs, right.size // limbs
        if n == m:
            shape = np.shape(a) if np.ndim(a) >= np.ndim(b) else np.shape(b)
            steps = (1, 1)
        elif m == 1:
            shape, steps = np.shape(a), (1, 0)
        elif n == 1:
            shape, steps = np.shape(b), (0, 1)
        else:
            raise ValueError(f"b: expected {n} elements like a, or a single one, got {m}")
        out = np.empty(shape, np.uint64)
        target, count = out.reshape(-1), out.size // limbs
        if count == 0:
            return out
        tag = self._light_tag(count) if light else self.tag_for(count)
        over_range(lambda i, j: operation(tag, target, left, steps[0], right, steps[1], i, j), count, _GRAIN)
        return out


def flat_limbs(a: np.ndarray, limbs: int, name: str) -> np.ndarray:
    """A flat, contiguous, writable view (or copy) of an array of elements: what kernels are compiled for."""
    array = np.asarray(a)
    if array.dtype != np.uint64 or array.ndim == 0 or array.shape[-1] != limbs:
        raise ValueError(
            f"expected a uint64 array of {name} elements with a last axis of {limbs} limbs, "
            f"got {array.dtype} of shape {array.shape}; make one with from_ints or from_int64"
        )
    flags = array.flags
    if not (flags.c_contiguous and flags.writeable and flags.aligned):
        array = array.copy()
    return array.reshape(-1)


def as_int64(values: np.ndarray, name: str) -> np.ndarray:
    """A contiguous, writable int64 array with the same integers.

    Raises:
        TypeError: not integers (booleans count as 0 and 1).
        OverflowError: an unsigned value at or above 2^63.
    """
    array = np.asarray(values)
    flags = array.flags
    if array.dtype == np.int64 and flags.c_contiguous and flags.writeable and flags.aligned:
        return array
    if array.dtype.kind not in "iub":
        raise TypeError(
            f"{name}: expected an integer array, got dtype {array.dtype}; round or convert it first"
        )
    if array.dtype == np.uint64 and array.size and int(array.max()) >= 1 << 63:
        raise OverflowError(f"{name}: expected values below 2^63, got {int(array.max())}")
    return np.array(array, dtype=np.int64, order="C")


Fr = Field("Fr", R_MODULUS, 4, 32, FR_TAG)
Fq = Field("Fq", Q_MODULUS, 6, 48, FQ_TAG)
