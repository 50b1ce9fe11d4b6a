"""The errors of zkdl: one type per way to fail, each saying what to do about it."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "BackendError",
    "FormatError",
    "InputError",
    "ProofRejected",
    "RangeOverflowError",
    "Reason",
    "ResourceError",
    "WitnessError",
    "ZkdlError",
]


class ZkdlError(Exception):
    """Base of every error that zkdl raises on purpose."""


class InputError(ZkdlError, ValueError):
    """An argument, setting or statement is not acceptable; the message names it."""


class FormatError(ZkdlError, ValueError):
    """A file cannot be read as what it should be: a statement, a witness, a data set."""


class BackendError(ZkdlError, RuntimeError):
    """The requested arithmetic backend is not available on this machine."""


class ResourceError(ZkdlError, RuntimeError):
    """Not enough memory or disk to finish."""


class WitnessError(ZkdlError, ValueError):
    """The witness does not satisfy the relation of the statement.

    Attributes:
        relation: Which rule of the relation fails, e.g. ``"F2"`` or ``"data commitment"``.
        step: Training step of the first violation, counted from 0, or None where no step applies.
        layer: Layer of the first violation, counted from 1, or None where no layer applies.
    """

    def __init__(
        self, message: str, *, relation: str = "", step: int | None = None, layer: int | None = None
    ) -> None:
        super().__init__(message)
        self.relation = relation
        self.step = step
        self.layer = layer


class RangeOverflowError(ZkdlError, ValueError):
    """A value left its fixed-point range during training; nothing is clamped.

    Attributes:
        step: Training step, counted from 0, or None before the first step.
        layer: Layer, counted from 1 (0: the input).
        tensor: Which tensor, e.g. ``"pre-activation"``.
        value: The first offending integer.
        setting: The field of ``zkdl.Settings`` to raise.
    """

    def __init__(
        self,
        message: str,
        *,
        step: int | None = None,
        layer: int = 0,
        tensor: str = "",
        value: int = 0,
        setting: str = "",
    ) -> None:
        super().__init__(message)
        self.step = step
        self.layer = layer
        self.tensor = tensor
        self.value = value
        self.setting = setting


class Reason(StrEnum):
    """Stable codes for why a proof was rejected."""

    BAD_MAGIC = "bad-magic"
    """The file does not start like a proof of this format."""
    VERSION = "version"
    """The format or protocol version is not the one this verifier implements."""
    BACKEND = "backend"
    """The curve or opening scheme named by the proof is not the statement's."""
    STATEMENT_MISMATCH = "statement-mismatch"
    """The proof names another statement."""
    BAD_STATEMENT = "bad-statement"
    """The statement itself is not acceptable: a bound, a width, a commitment."""
    TRUNCATED = "truncated"
    """The proof ends early."""
    TRAILING_BYTES = "trailing-bytes"
    """Bytes are left after the last section."""
    LENGTH = "length"
    """A section has a length other than the one that the statement implies."""
    SECTION = "section"
    """A section is missing, repeated, unknown or out of order."""
    SCALAR_NOT_CANONICAL = "scalar-not-canonical"
    """A scalar is not below the group order."""
    POINT_NOT_CANONICAL = "point-not-canonical"
    """A point encoding is not the canonical compressed one."""
    POINT_NOT_ON_CURVE = "point-not-on-curve"
    """An encoded coordinate belongs to no point of the curve."""
    POINT_NOT_IN_SUBGROUP = "point-not-in-subgroup"
    """A point is on the curve but not in the subgroup of prime order."""
    POINT_AT_INFINITY = "point-at-infinity"
    """The point at infinity appears where it is not allowed."""
    SUMCHECK = "sumcheck"
    """The messages of the proof do not fit each other: rounds, claims, evaluations."""
    MATMUL = "matmul"
    """A matrix product (F1, B1 or B4) is not proved."""
    ACTIVATION = "activation"
    """The rescale, sign or ReLU equations (F2, F3, B2, B3) are not proved."""
    RANGE = "range"
    """A cell is not proved to lie in its range."""
    MULTIPLICITY = "multiplicity"
    """The multiplicities of the lookup do not match the number of cells."""
    WEIGHTS = "weights"
    """The weights do not follow from the initial ones by the stated updates (U)."""
    DATA = "data"
    """The batches do not come from the committed records that the seed names."""
    PRODUCT = "product"
    """A proof that one committed value is the product of two others fails."""
    EQUALITY = "equality"
    """A proof that commitments hide equal values fails."""
    INITIAL = "initial"
    """The initial weights rest on a commitment that nothing presented here vouches for."""
    CHAIN = "chain"
    """Two statements in a row do not fit: one does not start where the other ended."""
    OPENING = "opening"
    """A commitment does not open to the claimed evaluation."""
    SETTINGS_REFUSED = "settings-refused"
    """The caller's own acceptance policy refuses the parameters."""


class ProofRejected(ZkdlError):
    """The verifier does not accept the proof.

    Attributes:
        reason: A stable short code (`Reason`); it is a `str`.
        position: In a chain of proofs, which one is not accepted, counted from 0; else None.

    Example:
        >>> error = ProofRejected(Reason.OPENING, "row opening 3 does not fit")
        >>> error.reason == "opening", str(error)
        (True, 'opening: row opening 3 does not fit')
    """

    def __init__(self, reason: Reason | str, message: str = "") -> None:
        self.reason = Reason(reason)
        self.position: int | None = None
        self.detail = message
        super().__init__(f"{self.reason}: {message}" if message else str(self.reason))
