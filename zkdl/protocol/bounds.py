"""Static bounds: how large the integers of the relation can get, whatever the witness."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from zkdl.errors import InputError
from zkdl.protocol.initial import initial_bound
from zkdl.protocol.settings import Settings
from zkdl.protocol.transcript import FR_MODULUS

__all__ = ["WEIGHT_LIMIT", "check", "largest"]

WEIGHT_LIMIT = 1 << 62


def largest(
    widths: Sequence[int], bias: bool, settings: Settings, batch_size: int, steps: int, mu: int
) -> tuple[int, int]:
    """Bound every integer of the relation by the ranges of the committed cells alone.

    With |A| <= 2^(q_f-1), |H'| <= 2^(q_g-1) and |G_L| <= 2^(g-f) * 2^q_f, the weights of any step satisfy
    |W| <= |W_0| + mu T B max|A| max|G|; products follow. No honesty is assumed beyond the range checks.

    Args:
        widths: (d_0, ..., d_L).
        bias: Whether layers have a bias.
        settings: Fixed-point settings.
        batch_size: B.
        steps: T.
        mu: Multiplier of the update.

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
    for layer, (fan_in, _) in enumerate(pairwise(widths), start=1):
        gradient = settings.gradient_limit if layer < last else 1 << (g - f + settings.activation_bits)
        change = mu * steps * batch_size * activation * gradient
        weight_bounds.append(initial_bound(fan_in, settings) + change)
        largest_gradient.append(gradient)
    # 2^w Z' + R and 2^w H' + R' are bounded by the ranges of their cells.
    equation = (max(settings.activation_limit, settings.gradient_limit) + 1) << w
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        forward = (fan_in * activation + (bias << f)) * weight_bounds[layer - 1]
        backward = fan_out * largest_gradient[layer - 1] * weight_bounds[layer - 1]
        equation = max(equation, forward + (1 << w), backward + (1 << w))
    return max(weight_bounds), equation


def check(
    widths: Sequence[int], bias: bool, settings: Settings, batch_size: int, steps: int, mu: int
) -> None:
    """Refuse sizes at which an equation modulo p might not be one of integers.

    Raises:
        InputError: A weight could reach 2^62, or a side of an equation p/2.
    """
    weight, equation = largest(widths, bias, settings, batch_size, steps, mu)
    if weight >= WEIGHT_LIMIT:
        raise InputError(
            f"steps={steps}, batch_size={batch_size} and these settings let a weight reach "
            f"2^{weight.bit_length()}, expected below 2^62; use fewer steps per proof, "
            "or lower weight_scale or activation_bits"
        )
    if equation >= FR_MODULUS // 2:
        raise InputError(
            f"widths and settings let an intermediate value reach 2^{equation.bit_length()}, expected "
            "below 2^253; lower weight_scale or activation_bits"
        )
