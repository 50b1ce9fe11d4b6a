"""Exact decisions about a uniform real number of which only finitely many bits have been drawn.

A uniform U in [0, 1) is held as an interval [u, u + 1) / 2^n. A question about U (what is floor(-b log U)?
is U < exp(-gamma)?) is answered once both ends of the interval give the same answer, by integer arithmetic
with directed rounding; until then 64 more bits are drawn. The answer is therefore the answer for the real
number U, and the law of the result is exact. This is also the slow twin of the compiled kernels, which
share the words.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

_GUARD = 40
_SIGN = 1 << 63

Word = Callable[[], int]


class LazyUniform:
    """A uniform real in [0, 1) known to lie in [bits, bits + 1) / 2^count; `word` supplies 64 more bits."""

    __slots__ = ("bits", "count", "word")

    def __init__(self, bits: int, count: int, word: Word) -> None:
        self.bits, self.count, self.word = bits, count, word

    def extend(self) -> None:
        """Draw 64 more bits."""
        self.bits = self.bits << 64 | self.word()
        self.count += 64

    def neg_log_bounds(self, precision: int) -> tuple[int, int | None]:
        """Return integers low, high with low <= 2^precision (-log U) <= high; high is None for no bound."""
        low = max(0, neg_log(self.bits + 1, self.count, precision) - 2)
        return low, neg_log(self.bits, self.count, precision) + 2 if self.bits else None


@lru_cache(maxsize=64)
def _log2(q: int) -> int:
    """Return 2^q log 2 to within 4 q: log 2 = 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749)."""
    return 18 * _atanh_inverse(26, q) - 2 * _atanh_inverse(4801, q) + 8 * _atanh_inverse(8749, q)


def _atanh_inverse(k: int, q: int) -> int:
    total, power, odd = 0, (1 << q) // k, 1
    while power:
        total += power // odd
        power //= k * k
        odd += 2
    return total


def neg_log(u: int, n: int, precision: int) -> int:
    """Return an integer within 2 of 2^precision (-log(u / 2^n)), for 1 <= u <= 2^n.

    With u = 2^(L-1) x, 1 <= x < 2, and y = (x - 1)/(x + 1) <= 1/3:

        -log(u / 2^n) = (n - L + 1) log 2 - 2 atanh y.

    The series is summed with `_GUARD` more bits, q in all. Each of its fewer than q/3 + 1 terms is off by
    less than 3 units and log 2 by less than 4 q, so the sum is off by less than (3 + 4 n) q + 6 < 2^40 units
    while n and q stay below 2^18; the final shift takes less than 1 more.
    """
    q = precision + _GUARD
    length = u.bit_length()
    top = 1 << (length - 1)
    y = ((u - top) << q) // (u + top)
    square = y * y >> q
    total, power, odd = 0, y, 1
    while power:
        total += power // odd
        power = power * square >> q
        odd += 2
    return ((n - length + 1) * _log2(q) - 2 * total) >> _GUARD


def floor_neg_log(scale: Fraction, uniform: LazyUniform) -> int:
    """Return floor(-scale log U), drawing more bits of U while the answer is open.

    P(answer >= k) = P(U <= exp(-k/scale)) = exp(-k/scale): a geometric law.
    """
    num, den = scale.numerator, scale.denominator
    while True:
        precision = uniform.count + 32 + max(0, num.bit_length() - den.bit_length() + 1)
        low, high = uniform.neg_log_bounds(precision)
        if high is not None:
            answer = low * num // (den << precision)
            if answer == high * num // (den << precision):
                return answer
        uniform.extend()


def below_exp(gamma: Fraction, uniform: LazyUniform) -> bool:
    """Return whether U < exp(-gamma), gamma >= 0, drawing more bits of U while the answer is open."""
    if gamma == 0:
        return True
    while True:
        precision = uniform.count + 32
        low, high = uniform.neg_log_bounds(precision)
        threshold = (gamma.numerator << precision) // gamma.denominator  # below gamma by less than one unit
        if low > threshold:
            return True
        if high is not None and high < threshold:
            return False
        uniform.extend()


def laplace_trial(scale: Fraction, first: int, word: Word) -> int | None:
    """Return one draw of the discrete Laplace law, or None where the trial must be repeated.

    The top bit of `first` is the sign, the other 63 bits open a uniform U; the magnitude is floor(-scale
    log U). Minus zero is refused, so that zero does not get double weight.
    """
    magnitude = floor_neg_log(scale, LazyUniform(first & (_SIGN - 1), 63, word))
    if first < _SIGN:
        return magnitude
    return -magnitude if magnitude else None


def gaussian_trial(variance: Fraction, t: int, first: int, second: int, word: Word) -> int | None:
    """Return one draw of the discrete Gaussian law, or None where the trial must be repeated.

    y is discrete Laplace of scale t and is kept with probability exp(-(|y| - variance/t)^2 / (2 variance));
    the product of the two is proportional to exp(-y^2 / (2 variance)).

    Source: Canonne, Kamath, Steinke (2020), Algorithm 3.
    """
    y = laplace_trial(Fraction(t), first, word)
    if y is None:
        return None
    gamma = (abs(y) - variance / t) ** 2 / (2 * variance)
    return y if below_exp(gamma, LazyUniform(second, 64, word)) else None


def laplace(scale: Fraction, first: int, word: Word) -> int:
    """Finish a discrete Laplace draw whose first trial begins with the word `first`."""
    while (z := laplace_trial(scale, first, word)) is None:
        first = word()
    return z


def gaussian(variance: Fraction, t: int, first: int, second: int, word: Word) -> int:
    """Finish a discrete Gaussian draw whose first trial begins with the words `first` and `second`."""
    while (z := gaussian_trial(variance, t, first, second, word)) is None:
        first, second = word(), word()
    return z


def wrapped(z: int) -> int:
    """Return z modulo 2^64, decoded as signed."""
    return (z + (1 << 63)) % (1 << 64) - (1 << 63)
