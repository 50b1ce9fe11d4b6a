"""The public statement: what was trained, on which committed data, to which committed weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property

from zkdl.errors import InputError
from zkdl.protocol import bounds, statement_json
from zkdl.protocol.channel import POINT_BYTES
from zkdl.protocol.fields import between, encode, natural
from zkdl.protocol.files import write_whole
from zkdl.protocol.layout import MAX_ROW_BITS, MIN_ROW_BITS, weight_stack
from zkdl.protocol.settings import Settings, as_learning_rate

__all__ = ["BACKEND", "DATA_RANGES", "LOSS", "POINT_BYTES", "VERSION", "Statement"]

VERSION = 2
BACKEND = "bls12-381/hyrax"
LOSS = "squared_error"
DATA_RANGES = ("proof", "separate")
"""Where the range proof of the records is: inside the proof of the run, or a proof of its own."""

_MAX_LAYERS = 64
_MAX_WIDTH = 1 << 20
_MAX_SAMPLES = 1 << 26
_MAX_CELLS = 1 << 36
_DOMAIN = b"dpkit-zkdl/statement"
_NATURALS = (
    "batch_size", "steps", "seed", "initial_seed", "records", "row_bits", "first_step", "initial_limit",
    "version",
)  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """Everything public about one training run; a proof is about exactly one of these.

    It claims: the committed weights are what T steps of mini-batch SGD make of the initial weights, on the
    batches that ``seed`` draws from the committed records, by the exact integer rules that ``settings`` fix.
    The initial weights are what ``initial_seed`` names plus what ``initial_commitment`` commits to.

    Args:
        widths: (d_0, ..., d_L), from the number of features to the number of outputs.
        bias: Whether every layer has a bias.
        settings: Fixed-point settings.
        batch_size: B.
        steps: T.
        learning_rate: eta, an exact positive rational.
        seed: Names the batches, see `zkdl.protocol.sampling.batches`.
        initial_seed: Names the base of the initial weights, see `zkdl.protocol.initial.initial_weights`; None
            for a base of zeros.
        records: n, the number of committed records.
        row_bits: A committed row of weights or cells has 2^row_bits entries.
        data_commitment: One 48-byte point per record (features, then labels).
        final_commitment: One 48-byte point per row of the difference of final and initial weights.
        first_step: The batches are those of steps first_step, ..., first_step + T - 1 of the seed's sequence.
        initial_commitment: Empty, or one 48-byte point per row of what is added to the base.
        initial_limit: Claimed bound on the magnitude of every entry of that; 0 where nothing is added. A
            proof of this statement takes it for granted: whoever hands the commitment on has to show it.
        data_ranges: ``"proof"``: the proof shows that the records it uses are in range; ``"separate"``: a
            proof about the data commitment does.
        loss: ``"squared_error"``.
        backend: ``"bls12-381/hyrax"``.
        version: Protocol version, 2.

    Raises:
        InputError: A field has the wrong type. Values are checked by `validate`.
    """

    widths: tuple[int, ...]
    bias: bool
    settings: Settings
    batch_size: int
    steps: int
    learning_rate: Fraction
    seed: int
    initial_seed: int | None
    records: int
    row_bits: int
    data_commitment: bytes
    final_commitment: bytes
    first_step: int = 0
    initial_commitment: bytes = b""
    initial_limit: int = 0
    data_ranges: str = DATA_RANGES[0]
    loss: str = LOSS
    backend: str = BACKEND
    version: int = VERSION

    def __post_init__(self) -> None:
        if not isinstance(self.widths, Sequence) or isinstance(self.widths, (str, bytes)):
            raise InputError(f"widths must be a sequence of integers, got {self.widths!r}")
        object.__setattr__(self, "widths", tuple(natural("widths", width) for width in self.widths))
        for name in _NATURALS:
            if name != "initial_seed" or self.initial_seed is not None:
                object.__setattr__(self, name, natural(name, getattr(self, name)))
        kinds = {"bias": bool, "settings": Settings, "data_ranges": str, "loss": str, "backend": str}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} must be a {kind.__name__}, got {getattr(self, name)!r}")
        for name in ("data_commitment", "final_commitment", "initial_commitment"):
            value = getattr(self, name)
            if not isinstance(value, (bytes, bytearray, memoryview)):
                raise InputError(f"{name} must be bytes, got {type(value).__name__}")
            object.__setattr__(self, name, bytes(value))
        object.__setattr__(self, "learning_rate", as_learning_rate(self.learning_rate))

    @property
    def num_layers(self) -> int:
        """L, the number of weight matrices."""
        return len(self.widths) - 1

    @property
    def mu(self) -> int:
        """The integer of the update W <- W - mu * D."""
        return self.settings.multiplier(self.batch_size, self.learning_rate)

    @property
    def limb_widths(self) -> tuple[int, ...]:
        """Bits of each little-endian limb of a remainder."""
        return self.settings.limb_widths

    def validate(self) -> None:
        """Check every field, and that no integer of the relation can reach p/2 or a weight 2^62.

        The bounds are static: they hold for every witness whose cells lie in their ranges, honest or not,
        so equations modulo p are equations of integers.

        Raises:
            InputError: The first field that is not acceptable, with what is expected.
        """
        if self.version != VERSION:
            raise InputError(f"version must be {VERSION}, got {self.version}")
        if self.backend != BACKEND:
            raise InputError(f"backend must be {BACKEND!r}, got {self.backend!r}")
        if self.loss != LOSS:
            raise InputError(f"loss must be {LOSS!r}, got {self.loss!r}")
        if not 1 <= self.num_layers <= _MAX_LAYERS:
            raise InputError(f"widths must name 2 to {_MAX_LAYERS + 1} layers, got {len(self.widths)}")
        for width in self.widths:
            between("widths", width, 1, _MAX_WIDTH)
        between("seed", self.seed, 0, (1 << 63) - 1)
        if self.initial_seed is not None:
            between("initial_seed", self.initial_seed, 0, (1 << 63) - 1)
        elif not self.initial_commitment:
            raise InputError("initial_seed is None: then initial_commitment must hold the initial weights")
        if self.data_ranges not in DATA_RANGES:
            raise InputError(f"data_ranges must be one of {DATA_RANGES}, got {self.data_ranges!r}")
        between("records", self.records, 1, _MAX_SAMPLES)
        between("batch_size", self.batch_size, 1, self.records)
        between("steps", self.steps, 1, _MAX_SAMPLES // self.batch_size)
        between("first_step", self.first_step, 0, (1 << 63) - 1 - self.steps)
        between("row_bits", self.row_bits, MIN_ROW_BITS, MAX_ROW_BITS)
        if self.widths[0] + self.widths[-1] > 1 << self.row_bits:
            raise InputError(
                f"row_bits must let one record of {self.widths[0] + self.widths[-1]} numbers fit in a row, "
                f"got {self.row_bits}"
            )
        cells = self.steps * self.batch_size * sum(self.widths[1:])
        if cells > _MAX_CELLS:
            raise InputError(
                f"steps * batch_size * neurons must be at most 2^36, got {cells}; use fewer steps"
            )
        if bool(self.initial_limit) != bool(self.initial_commitment):
            raise InputError(
                "initial_limit must be positive with an initial_commitment and 0 without one, got "
                f"{self.initial_limit} and {len(self.initial_commitment)} bytes"
            )
        bounds.check(
            self.widths,
            self.bias,
            self.settings,
            self.batch_size,
            self.steps,
            self.mu,
            seeded=self.initial_seed is not None,
            initial_limit=self.initial_limit,
        )
        self._check_commitments()

    def _check_commitments(self) -> None:
        expected = self.records * POINT_BYTES
        if len(self.data_commitment) != expected:
            raise InputError(
                f"data_commitment must be {expected} bytes for {self.records} records, "
                f"got {len(self.data_commitment)}"
            )
        # The cheap bound first: the exact number of rows is only worked out when the weights fit in what
        # was sent, so that a short statement cannot ask for a long computation.
        points, rest = divmod(len(self.final_commitment), POINT_BYTES)
        weights = sum(a * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))
        if rest or weights > points << self.row_bits or points != self.weight_rows:
            raise InputError(
                f"final_commitment must hold one {POINT_BYTES}-byte point per row of weights "
                f"({weights} weights, rows of {1 << self.row_bits}), got {len(self.final_commitment)} bytes"
            )
        if len(self.initial_commitment) not in (0, len(self.final_commitment)):
            raise InputError(
                f"initial_commitment must be empty or {len(self.final_commitment)} bytes like "
                f"final_commitment, got {len(self.initial_commitment)}"
            )

    @cached_property
    def weight_rows(self) -> int:
        """Rows in which a state of the weights is committed."""
        return len(weight_stack(self.widths, self.bias, self.row_bits).live_rows)

    def canonical_bytes(self) -> bytes:
        """The encoding that proofs bind: injective, every field with its length in front.

        Integers are little-endian without leading zeros, text is UTF-8, the order is that of the fields.
        """
        rate = self.learning_rate
        parts: list[bytes] = [_DOMAIN, encode(self.version)]
        parts += [self.backend.encode(), self.loss.encode()]
        parts += [encode(len(self.widths)), *map(encode, self.widths), encode(int(self.bias))]
        parts += [encode(value) for value in self.settings.as_dict().values()]
        parts += [encode(self.batch_size), encode(self.steps)]
        parts += [encode(rate.numerator), encode(rate.denominator)]
        base = () if self.initial_seed is None else (self.initial_seed,)
        parts += [encode(value) for value in (self.seed, len(base), *base, self.records, self.row_bits)]
        parts += [self.data_commitment, self.final_commitment, encode(self.first_step)]
        parts += [self.initial_commitment, encode(self.initial_limit), self.data_ranges.encode()]
        return b"".join(len(part).to_bytes(8, "little") + part for part in parts)

    def digest(self) -> bytes:
        """SHA-256 of `canonical_bytes`."""
        return hashlib.sha256(self.canonical_bytes()).digest()

    def to_json(self) -> str:
        """Text that `from_json` reads back to an equal statement."""
        return statement_json.dump({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Statement:
        """Read what `to_json` wrote; strict, but without `validate`.

        Raises:
            FormatError: Not JSON, an unknown, missing or repeated key, a wrong type, a float.
        """
        return statement_json.build(cls, statement_json.parse(text))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, whole or not at all."""
        write_whole(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statement:
        """Read a file that `save` wrote.

        Raises:
            FormatError: The file is no statement.
            OSError: The file cannot be read.
        """
        return cls.from_json(statement_json.read_limited(path))
