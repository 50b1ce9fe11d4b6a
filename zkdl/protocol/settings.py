"""Fixed-point settings: the scales and ranges at which training is exact."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from fractions import Fraction

import numpy as np

from zkdl.errors import InputError

__all__ = ["MAX_LIMB_BITS", "MAX_WEIGHT_SCALE", "Settings", "as_learning_rate"]

MAX_WEIGHT_SCALE = 48
MAX_LIMB_BITS = 20
_PREFERRED_WEIGHT_SCALE = 32
# From the finest scales to the coarsest. 16-bit activations and gradients of small networks with wide
# initial weights reach tens, and nothing is ever clamped: so both keep 6 bits in front of the point.
_PREFERRED_SCALES = ((10, 10), (9, 10), (8, 10), (7, 10), (6, 10))
_RATE_PATTERN = re.compile(
    r"\s*\+?(\d{1,18}/\d{1,18}|\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?\s*"
)


def as_learning_rate(value: Fraction | str | int | float) -> Fraction:
    """Read a learning rate as the exact positive fraction that it is written as.

    A float stands for the shortest decimal that prints it (its ``repr``): 0.05 is 1/20, not the
    binary fraction nearest to it.

    Args:
        value: A Fraction, an integer, a float, or text such as ``"1/64"``, ``"0.05"`` or ``"5e-2"``.

    Returns:
        The positive rational, in lowest terms.

    Raises:
        InputError: Not a positive finite number, or longer than 18 digits.

    Example:
        >>> as_learning_rate("1/64"), as_learning_rate(0.0625)
        (Fraction(1, 64), Fraction(1, 16))
    """
    expected = "learning_rate must be a positive exact number such as '1/64', '0.0625' or Fraction(1, 64)"
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (Fraction, str, int, float, np.integer, np.floating)
    ):
        raise InputError(f"{expected}, got {value!r}")
    if isinstance(value, Fraction):
        rate = value
    else:
        text = (
            value
            if isinstance(value, str)
            else repr(value.item() if isinstance(value, np.generic) else value)
        )
        if not _RATE_PATTERN.fullmatch(text) or ("/" in text and "e" in text.lower()):
            raise InputError(f"{expected}, got {value!r}")
        try:
            rate = Fraction(text.strip().lstrip("+"))
        except ZeroDivisionError:
            raise InputError(f"{expected}, got {value!r}") from None
    if rate <= 0:
        raise InputError(f"{expected}, got {value!r}")
    if max(rate.numerator, rate.denominator) >= 1 << 62:
        raise InputError(f"learning_rate must have numerator and denominator below 2^62, got {value!r}")
    return rate


@dataclass(frozen=True)
class Settings:
    """Scales and widths of the integers that training computes with.

    A real number v is stored as the integer nearest to v * 2^scale. Activations (and data) live at
    scale 2^f in q_f bits, gradients at 2^g in q_g bits, both two's complement; weights live at 2^w and
    are never rounded.

    Args:
        activation_scale: f, bits behind the point of activations, data and labels.
        gradient_scale: g >= f, bits behind the point of gradients.
        weight_scale: w, bits behind the point of weights; also the width of every rounding remainder.
        activation_bits: q_f, so that rescaled pre-activations lie in [-2^(q_f-1), 2^(q_f-1)).
        gradient_bits: q_g, so that rescaled gradients lie in [-2^(q_g-1), 2^(q_g-1)).
        limb_bits: Width of the limbs into which a proof splits values; activations and gradients fit in one.

    Raises:
        InputError: A field is no integer or out of range; the message names it.

    Example:
        >>> Settings(activation_scale=8, gradient_scale=10, weight_scale=32).limb_widths
        (16, 16)
    """

    activation_scale: int = 10
    gradient_scale: int = 10
    weight_scale: int = 32
    activation_bits: int = 16
    gradient_bits: int = 16
    limb_bits: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _integer(field.name, getattr(self, field.name)))
        self._between("limb_bits", 2, MAX_LIMB_BITS)
        self._between("weight_scale", 1, MAX_WEIGHT_SCALE)
        self._between("activation_bits", 3, self.limb_bits, "limb_bits")
        self._between("gradient_bits", 2, self.limb_bits, "limb_bits")
        # A label of one is 2^f and has to fit below 2^(q_f - 1).
        self._between("activation_scale", 1, self.activation_bits - 2, "activation_bits - 2")
        self._between("gradient_scale", self.activation_scale, 32)

    def _between(self, name: str, low: int, high: int, why: str = "") -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            bound = f"{why} = {high}" if why else str(high)
            hint = " (gradients are at least as fine as activations)" if name == "gradient_scale" else ""
            raise InputError(f"{name} must be between {low} and {bound}, got {value}{hint}")

    @property
    def activation_limit(self) -> int:
        """2^(q_f - 1): rescaled pre-activations lie in [-limit, limit)."""
        return 1 << (self.activation_bits - 1)

    @property
    def gradient_limit(self) -> int:
        """2^(q_g - 1): rescaled gradients lie in [-limit, limit)."""
        return 1 << (self.gradient_bits - 1)

    @property
    def limb_widths(self) -> tuple[int, ...]:
        """Bits of each little-endian limb of a w-bit remainder, the last one possibly narrower."""
        full, rest = divmod(self.weight_scale, self.limb_bits)
        return (self.limb_bits,) * full + ((rest,) if rest else ())

    def multiplier(self, batch_size: int, learning_rate: Fraction | str | int | float) -> int:
        """The integer mu = (eta / B) * 2^(w-f-g) of the update W <- W - mu * D.

        Args:
            batch_size: B.
            learning_rate: eta, read by `as_learning_rate`.

        Returns:
            mu, a positive integer.

        Raises:
            InputError: mu is not an integer, so that the update would need rounding.

        Example:
            >>> Settings().multiplier(64, "1/64")
            1
        """
        rate = as_learning_rate(learning_rate)
        shift = self.weight_scale - self.activation_scale - self.gradient_scale
        mu = rate / batch_size * Fraction(2) ** shift
        if mu.denominator != 1:
            need = _update_bits(rate, batch_size) + self.activation_scale + self.gradient_scale
            raise InputError(
                f"learning_rate {rate} with batch_size {batch_size} needs weight_scale >= {need} "
                f"(activation_scale + gradient_scale + {need - self.activation_scale - self.gradient_scale}) "
                f"for an update without rounding, got weight_scale={self.weight_scale}"
            )
        return int(mu)

    @classmethod
    def choose(
        cls, batch_size: int, learning_rate: Fraction | str | int | float, **overrides: int | None
    ) -> Settings:
        """Pick scales so that the update needs no rounding, with w = 32 where that is possible.

        With eta / B = a / 2^k in lowest terms the update is exact when w >= f + g + k. The finest pair
        (f, g) from (10, 10) down to (6, 10) with f + g + k <= 32 is taken, and w = 32, two full 16-bit
        limbs. If even (6, 10) does not fit, w = 16 + k: remainders then take a third limb.

        Args:
            batch_size: B >= 1.
            learning_rate: eta, read by `as_learning_rate`.
            **overrides: Fields to fix by hand; None leaves a field to be chosen.

        Returns:
            Settings whose `multiplier` is a positive integer.

        Raises:
            InputError: eta / B is no dyadic fraction, or too small for any w up to 48, or an override is bad.

        Example:
            >>> Settings.choose(64, "1/64") == Settings(10, 10, 32, 16, 16, 16)
            True
            >>> Settings.choose(64, "1/4096").weight_scale
            34
        """
        unknown = set(overrides) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(
                f"unknown setting {sorted(unknown)[0]!r}; known: {[f.name for f in fields(cls)]}"
            )
        fixed = {name: _integer(name, value) for name, value in overrides.items() if value is not None}
        rate = as_learning_rate(learning_rate)
        if _integer("batch_size", batch_size) < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        bits = _update_bits(rate, int(batch_size))
        limit = fixed.get("weight_scale", _PREFERRED_WEIGHT_SCALE)
        pairs = [_fit_pair(f, g, fixed) for f, g in _PREFERRED_SCALES]
        f, g = next(((f, g) for f, g in pairs if f + g + bits <= limit), pairs[-1])
        weight_scale = fixed.get("weight_scale", max(_PREFERRED_WEIGHT_SCALE, f + g + bits))
        if weight_scale > MAX_WEIGHT_SCALE:
            raise InputError(
                f"learning_rate {rate} with batch_size {batch_size} needs weight_scale {weight_scale}, "
                f"more than {MAX_WEIGHT_SCALE}; use a larger learning rate or lower scales"
            )
        chosen = cls(**{**fixed, "activation_scale": f, "gradient_scale": g, "weight_scale": weight_scale})
        chosen.multiplier(int(batch_size), rate)
        return chosen

    def as_dict(self) -> dict[str, int]:
        """The fields by name, in declaration order."""
        return asdict(self)


def _integer(name: str, value: object) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{name} must be an integer, got {value!r}")
    return int(value)


def _fit_pair(f: int, g: int, fixed: dict[str, int]) -> tuple[int, int]:
    """Bend a preferred pair of scales to the fields that the caller has fixed, keeping g >= f."""
    g = fixed.get("gradient_scale", g)
    f = fixed.get("activation_scale", min(f, g, fixed.get("activation_bits", 16) - 2))
    return f, fixed.get("gradient_scale", max(f, g))


def _update_bits(rate: Fraction, batch_size: int) -> int:
    """k such that rate / batch_size = a / 2^k in lowest terms."""
    ratio = rate / batch_size
    power = ratio.denominator
    if power & (power - 1):
        # The nearest fraction with a four-bit numerator: few bits keep the weight scale small.
        unit = Fraction(2) ** (ratio.numerator.bit_length() - ratio.denominator.bit_length() - 4)
        near = max(1, round(ratio / unit)) * unit * batch_size
        raise InputError(
            f"learning_rate / batch_size must be an integer over a power of two so that updates are exact, "
            f"got {rate} / {batch_size}; use for example learning_rate='{near}'"
        )
    return power.bit_length() - 1
