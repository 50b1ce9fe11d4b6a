"""Static bounds: how large the integers of the relation can get, whatever the witness."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from zkdl.errors import InputError
from zkdl.protocol.initial import initial_bound
from zkdl.protocol.settings import Settings
from zkdl.protocol.transcript import FR_MODULUS

__all__ = ["WEIGHT_LIMIT", "change_bounds", "check", "largest"]

WEIGHT_LIMIT = 1 << 62


def change_bounds(
    widths: Sequence[int], settings: Settings, batch_size: int, steps: int, mu: int
) -> list[int]:
    """Bound the magnitude of every entry of W_T - W_0 by the ranges of the committed cells alone, by layer.

    With |A| <= 2^(q_f-1), |H'| <= 2^(q_g-1) and |G_L| <= 2^(g-f) * 2^q_f this is mu T B max|A| max|G|; it
    holds for biases too, whose input is the constant 2^f.

    Example:
        >>> change_bounds((2, 3, 1), Settings(2, 2, 4, 4, 4, 4), 1, 1, 1)
        [64, 128]
    """
    last = len(widths) - 1
    steep = 1 << (settings.gradient_scale - settings.activation_scale + settings.activation_bits)
    most = mu * steps * batch_size * settings.activation_limit
    return [most * (settings.gradient_limit if layer < last else steep) for layer in range(1, last + 1)]


def largest(
    widths: Sequence[int],
    bias: bool,
    settings: Settings,
    batch_size: int,
    steps: int,
    mu: int,
    *,
    seeded: bool = True,
    initial_limit: int = 0,
) -> tuple[int, int]:
    """Bound every integer of the relation by the ranges of the committed cells alone.

    The weights of any step satisfy |W| <= |base| + initial_limit + `change_bounds`; products follow. No
    honesty is assumed beyond the range checks, and that committed initial weights keep their limit.

    Args:
        widths: (d_0, ..., d_L).
        bias: Whether layers have a bias.
        settings: Fixed-point settings.
        batch_size: B.
        steps: T.
        mu: Multiplier of the update.
        seeded: Whether initial weights come from a seed (the base is zero otherwise).
        initial_limit: Bound on what committed initial weights add to the base.

    Returns:
        (bound on every weight, bound on both sides of every equation).

    Example:
        >>> largest((2, 1), False, Settings(2, 2, 4, 4, 4, 4), 1, 1, 1)
        (155, 2496)
    """
    f, g, w = settings.activation_scale, settings.gradient_scale, settings.weight_scale
    activation = settings.activation_limit
    last = len(widths) - 1
    weight_bounds = []
    largest_gradient = []
    changes = change_bounds(widths, settings, batch_size, steps, mu)
    for layer, (fan_in, _) in enumerate(pairwise(widths), start=1):
        gradient = settings.gradient_limit if layer < last else 1 << (g - f + settings.activation_bits)
        base = initial_bound(fan_in, settings) if seeded else 0
        weight_bounds.append(base + initial_limit + changes[layer - 1])
        largest_gradient.append(gradient)
    # 2^w Z' + R and 2^w H' + R' are bounded by the ranges of their cells.
    equation = (max(settings.activation_limit, settings.gradient_limit) + 1) << w
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        forward = (fan_in * activation + (bias << f)) * weight_bounds[layer - 1]
        backward = fan_out * largest_gradient[layer - 1] * weight_bounds[layer - 1]
        equation = max(equation, forward + (1 << w), backward + (1 << w))
    return max(weight_bounds), equation


def check(
    widths: Sequence[int],
    bias: bool,
    settings: Settings,
    batch_size: int,
    steps: int,
    mu: int,
    *,
    seeded: bool = True,
    initial_limit: int = 0,
) -> None:
    """Refuse sizes at which an equation modulo p might not be one of integers; arguments as of `largest`.

    Raises:
        InputError: A weight could reach 2^62, or a side of an equation p/2.
    """
    weight, equation = largest(
        widths, bias, settings, batch_size, steps, mu, seeded=seeded, initial_limit=initial_limit
    )
    if weight >= WEIGHT_LIMIT:
        raise InputError(
            f"steps={steps}, batch_size={batch_size} and these settings let a weight reach "
            f"2^{weight.bit_length()}, expected below 2^62; use fewer steps per proof, "
            "or lower weight_scale or activation_bits"
            + (f" (initial_limit {initial_limit} is part of it)" if initial_limit else "")
        )
    if equation >= FR_MODULUS // 2:
        raise InputError(
            f"widths and settings let an intermediate value reach 2^{equation.bit_length()}, expected "
            "below 2^253; lower weight_scale or activation_bits"
        )
