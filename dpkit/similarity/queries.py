"""What every private sum answers, once: the typed face of `query`, with the checks that go before it."""

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpkit._arrays import pieces
from dpkit.similarity.inputs import check_points

__all__ = ["Answers", "Queryable"]

Answers = NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]


class Queryable:
    """A release that answers queries; `_answer` does the work on checked points."""

    @property
    def d(self) -> int:
        """The number of columns of records and queries."""
        raise NotImplementedError

    @property
    def count(self) -> float:
        """The released number of records."""
        raise NotImplementedError

    @overload
    def query(
        self,
        Y: ArrayLike,
        normalized: bool = False,
        return_std: Literal[False] = False,
        *,
        clamp: bool = False,
    ) -> NDArray[np.float64]: ...
    @overload
    def query(
        self, Y: ArrayLike, normalized: bool = False, *, return_std: Literal[True], clamp: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    @overload
    def query(
        self, Y: ArrayLike, normalized: bool = False, return_std: bool = False, *, clamp: bool = False
    ) -> Answers: ...
    def query(
        self, Y: ArrayLike, normalized: bool = False, return_std: bool = False, *, clamp: bool = False
    ) -> Answers:
        """Return the private sums (or averages) over the records at the queries.

        Answers are unbiased (up to what the class names), so they may be negative. What happens to queries
        with missing or infinite coordinates, or outside a domain, is in the class's text.

        Args:
            Y: (m, d) real queries, of NumPy or CuPy; public.
            normalized: divide by the released count, floored at 1.
            return_std: also return standard errors.
            clamp: cut answers to what the released count of records can have: nothing below 0, nothing above
                the count times the largest value that one record can add. A cut answer errs less but is no
                longer unbiased: leave it off where answers are averaged or subtracted.

        Returns:
            (m,) float64, or a pair of such arrays with `return_std`. For averages the standard errors cover
            the count's noise as well, by the delta method; `clamp` does not change them.

        Raises:
            ArgumentError: wrong shape or dtype; for `lp` sums, a query outside the bounds.

        *Privacy*: post-processing; costs nothing, however often it is called.
        """
        parts = [
            self._clamped(part, normalized, return_std, clamp)
            for part in pieces(check_points(Y, "Y", self.d))
        ]
        if len(parts) == 1:
            return parts[0]
        if not return_std:
            return np.concatenate(parts)
        values, errors = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(errors)

    def _clamped(self, queries: NDArray[Any], normalized: bool, return_std: bool, clamp: bool) -> Answers:
        found = self._answer(queries, normalized, return_std)
        if not clamp:
            return found
        most = self._largest(queries) * (1.0 if normalized else max(float(self.count), 1.0))
        if isinstance(found, tuple):
            return np.clip(found[0], 0.0, most), found[1]
        return np.clip(found, 0.0, most)

    def _largest(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return the most that one record can add to the sum at each query, (m,)."""
        raise NotImplementedError

    def _answer(self, queries: NDArray[Any], normalized: bool, return_std: bool) -> Answers:
        raise NotImplementedError
