"""The endomorphism psi(x, y) = (beta x, -y) of G1: multiplication by z^2 at the price of one product.

r = z^4 - z^2 + 1 for the curve parameter z, so any scalar is s = low + high z^2 with both halves below 2^127
in size, and s P = low P + high psi(P): half the doublings (Gallant, Lambert and Vanstone, 2001).
`device.halves` does the same inside kernels.
"""

from __future__ import annotations

from .field import Fq, Fr

SQUARED_PARAMETER = 0xD201000000010000**2
"""z^2: psi(P) = z^2 P on the subgroup of order r."""

BETA = Fq.from_ints([0x5F19672FDF76CE51BA69C6076A0F77EADDB3A93BE6F89688DE17D813620A00022E01FFFFFFFEFFFE])[0]
"""The cube root of unity in psi, `(6,)`."""


def split(scalar: int) -> tuple[int, int]:
    """Signed (low, high), both below 2^127 in size, with scalar P = low P + high psi(P); 0 <= scalar < r.

    Example:
        >>> low, high = split(12345 + 678 * SQUARED_PARAMETER)
        >>> low, high
        (12345, 678)
    """
    if scalar > Fr.modulus // 2:
        low, high = split(Fr.modulus - scalar)
        return -low, -high
    high, low = divmod(scalar, SQUARED_PARAMETER)
    return (low - SQUARED_PARAMETER, high + 1) if low > SQUARED_PARAMETER // 2 else (low, high)
