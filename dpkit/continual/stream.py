"""What every stream shares: one owner, one clock, refusals, and a state that is continued once."""

from __future__ import annotations

import math
import os
import threading
from typing import Any, Self

from dpkit.continual import state as states
from dpkit.continual.settings import GAUSSIAN
from dpkit.errors import BudgetSpentError, FormatError, HorizonError
from dpkit.guarantee import Guarantee, NearGDP, PureDP

__all__ = ["INTERRUPTED", "Stream"]

INTERRUPTED = "this stream was interrupted in the middle of a step and cannot go on: start a new one"


class Stream:
    """The base of the streaming statistics: one owner, one clock, one continuation.

    *Privacy*: two continuations of one state share noise, so their difference can show inputs exactly. Every
    way to make a second one inside a process, or by a fork, is refused; memory snapshots are out of scope.

    A subclass gives `step`, `steps` and `predict`; for its state, `_kind`, `_settings` (the arguments that
    make an equal object), `_describe` (the public numbers that the noise depends on), `_export`, `_restore`.
    """

    guarantee: Guarantee
    """What the whole sequence of answers promises."""
    _kind: str
    _settings: dict[str, Any]
    _columns = 1
    """How many counters with noise of their own may differ between neighbours."""

    def _describe(self) -> dict[str, Any]:
        """Return the design's public numbers, JSON-ready; a state of another design is refused."""
        raise NotImplementedError

    def _export(self) -> dict[str, Any]:
        """Return exact sums and live noise, JSON-ready; secret."""
        raise NotImplementedError

    def _restore(self, saved: dict[str, Any]) -> None:
        """Continue from `_export`."""
        raise NotImplementedError

    def _begin(self, limit: int) -> None:
        self._limit = limit
        self._t = 0
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._ended = ""

    @property
    def t(self) -> int:
        """Number of elements taken so far."""
        return self._t

    def _enter(self, steps: int) -> None:
        """Refuse to go on where that would repeat noise; until `_leave` the stream counts as interrupted."""
        if self._ended:
            raise BudgetSpentError(self._ended)
        if os.getpid() != self._pid:
            raise BudgetSpentError(
                "this stream was forked into another process, and two continuations of one stream share "
                "noise: go on in the process that made it, or hand it over with state()"
            )
        if self._t + steps > self._limit:
            raise HorizonError(
                f"horizon {self._limit} would be passed: {self._t} steps taken, {steps} more asked for; "
                "a new stream is a new release, with a budget of its own"
            )
        self._ended = INTERRUPTED

    def _leave(self, steps: int) -> int:
        """Count the steps taken and return the clock."""
        self._t += steps
        self._ended = ""
        return self._t

    def tight(self) -> Guarantee:
        """Return the sharpest proved guarantee of the whole stream, for its (epsilon, delta).

        Discrete Gaussian noise of variance v, in units of its lattice, is within total variation 1/(8 v) of a
        rounded continuous Gaussian, and that is mu-GDP with mu = sqrt(2 rho): n draws make it `NearGDP`.
        Where that is not proved (pure budgets, two noises, selections) it is `guarantee` itself.
        """
        rho, draws = self.guarantee.rho, self._draws()
        if rho is None or draws is None or isinstance(self.guarantee, PureDP):
            return self.guarantee
        count, variance = draws
        if variance < 100:  # the lemma's condition; on so coarse a lattice it would say nothing anyway
            return self.guarantee
        slack = min(1.0, count / (8.0 * variance) * (1 + 1e-9))
        mu = math.nextafter(math.sqrt(2.0 * rho), math.inf)
        return NearGDP(mu, slack, self.guarantee.neighbours)

    def _draws(self) -> tuple[int, float] | None:
        """Return how many Gaussian draws of one variance differ between neighbours, and that variance."""
        design = getattr(self, "_design", None)
        per_step = {"blt": 1, "sqrt": 1, "binary": 1, "honaker": 2}.get(getattr(design, "name", ""))
        if design is None or per_step is None or design.budget.law != GAUSSIAN:
            return None
        return per_step * self._limit * self._columns, float(design.scale)

    def state(self) -> bytes:
        """Seal the stream's state and end this object; `from_state` continues it, once.

        *Privacy*: the bytes hold exact sums and live noise: keep them as secret as the stream itself. Draws
        not yet used are left out and drawn afresh.
        """
        with self._lock:
            self._enter(0)
            self._ended = "this stream was handed over by state(): continue it with from_state"
            return self._sealed()

    def _sealed(self) -> bytes:
        """Return the state without ending the stream; the caller sees to it that only one goes on."""
        return states.seal_state(self._kind, self._settings, self._describe(), self._t, self._export())

    @classmethod
    def from_state(cls, data: bytes, store: states.ClaimStore | None = None) -> Self:
        """Continue the stream that `state` sealed.

        Args:
            data: what `state` returned.
            store: where the right to continue is claimed, once; a `ClaimFolder` works across processes and
                machines that share the folder. None accepts only states that this process made, once each.

        Raises:
            FormatError: not a state of this kind of stream, or damaged.
            BudgetSpentError: the state was continued before, or comes from elsewhere and store is None.
        """
        stream, token = cls._unsealed(data)
        states.claim(token, store)
        return stream

    @classmethod
    def _unsealed(cls, data: bytes) -> tuple[Self, str]:
        settings, t, saved, token = states.open_state(cls._kind, data)
        stream = states.rebuilt(lambda: cls(**settings))
        states.check_design(data, stream._describe())
        if not 0 <= t <= stream._limit:
            raise FormatError(f"malformed state: {t} steps of a stream of {stream._limit}")
        stream._t = t
        states.rebuilt(lambda: stream._restore(saved))
        return stream, token

    def _no_copy(self, *_: object) -> Any:
        raise BudgetSpentError(
            "a stream cannot be copied or pickled, since two continuations of one stream share noise: "
            "hand it over with state() and from_state"
        )

    __copy__ = __deepcopy__ = __reduce_ex__ = _no_copy
