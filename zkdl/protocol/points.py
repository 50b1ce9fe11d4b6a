"""Challenges that one argument hands to the next, and to the prover's work."""

from __future__ import annotations

from dataclasses import dataclass, field

from zkdl.protocol.channel import Handle


@dataclass
class MatmulPoints:
    """Challenges of the matrix products and the claims they leave, by layer.

    ``forward[l]`` is A_l(rho_t, tau_b, rho_l), ``backward[l]`` G_l at the same place;
    ``weight[l]`` is W_l(rho_t; rho_{l-1}, y_l), ``weight_back[l]`` W_l(rho_t; y_{l-1}, rho_l) and
    ``bias[l]`` bias_l(rho_t; y_l).
    """

    tau_b: list[int]
    tau_t: list[int]
    y: list[int]
    powers: list[int] = field(default_factory=list)
    rho_t: list[int] = field(default_factory=list)
    rho: list[int] = field(default_factory=list)
    forward: dict[int, Handle] = field(default_factory=dict)
    backward: dict[int, Handle] = field(default_factory=dict)
    weight: dict[int, Handle] = field(default_factory=dict)
    weight_back: dict[int, Handle] = field(default_factory=dict)
    bias: dict[int, Handle] = field(default_factory=dict)


@dataclass
class UpdatePoints:
    """Challenges of the updates and the claims they leave, by layer.

    With sigma = (sigma_b, sigma_s): ``forward_rho[l]`` is A_l(sigma, rho_l), ``forward_y[l]``
    A_l(sigma, y_l), ``backward_y[l]`` G_l(sigma, y_l) and ``backward_rho[l]`` G_l(sigma, rho_l).
    """

    matmul: MatmulPoints
    powers: list[int] = field(default_factory=list)
    sigma_b: list[int] = field(default_factory=list)
    sigma_s: list[int] = field(default_factory=list)
    forward_rho: dict[int, Handle] = field(default_factory=dict)
    forward_y: dict[int, Handle] = field(default_factory=dict)
    backward_y: dict[int, Handle] = field(default_factory=dict)
    backward_rho: dict[int, Handle] = field(default_factory=dict)


@dataclass
class ReluPoints:
    """Points and coefficients of the Hadamard sumcheck.

    ``weights[(tensor, layer)]`` lists (coefficient, place) with tensor ``"A"`` or ``"G"``.
    """

    update: UpdatePoints
    weights: dict[tuple[str, int], list[tuple[int, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class LookupChallenges:
    """alpha and beta of the identity."""

    alpha: int
    beta: int
